//! `POST /events`: signed events from sources, in the NEO form or as CloudEvents.
//!
//! The signature is checked over the raw body before anything is parsed. The answer is sent after the commit.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use nexus_core::{
    limits::BODY_BYTES,
    problem::{Code, Problem},
    sign,
    store::Appended,
};
use nexus_engine::{
    source::{ActiveSource, SourceRate},
    sources::SourceSet,
};

use crate::{
    address,
    answer::{Answer, render},
    call::Call,
    rates::Caller,
};

mod admit;
mod cloud;
mod draft;
pub(crate) mod lineage;
mod neo;
pub(crate) mod publish;
pub(crate) mod schema;
pub(crate) mod webhook;

pub(crate) use admit::{admit, finish};
pub(crate) use draft::{Draft, priority as draft_priority};
pub(crate) use lineage::Lineage;

/// `POST /events`.
pub(crate) async fn events(mut call: Call) -> Result<Answer, Problem> {
    let set = call.hub().sources().active();
    let named = call.header("x-nexus-source").map(|id| (id.to_owned(), set.get(id).cloned()));
    // A named source is counted before its body is read, an unnamed one when its signature tells who it is.
    if let Some((_, Some(source))) = &named {
        count(&call, Some(source))?;
    }
    let body = call.bytes(BODY_BYTES).await?;
    let matching = match prove(&call, &set, named.as_ref(), &body) {
        Ok(matching) => matching,
        Err(problem) => {
            if !matches!(&named, Some((_, Some(_)))) {
                count(&call, None)?;
            }
            return Err(problem);
        }
    };
    if named.is_none() {
        count(&call, matching.first())?;
    }
    let form = Form::of(&call)?;
    let lineage = Lineage::of(&call).await?;
    let (source, drafts) = choose(&call, &matching, |source| read(&call, source, form, &body))?;
    let batch = form == Form::Batch || drafts.len() != 1;
    store(&call, source, drafts, &lineage, batch).await
}

/// Admits the drafts as this source's, stores them in one commit and answers.
async fn store(
    call: &Call,
    source: &ActiveSource,
    mut drafts: Vec<Draft>,
    lineage: &Lineage,
    batch: bool,
) -> Result<Answer, Problem> {
    let names: Vec<String> = drafts.iter().map(|d| d.name.clone()).collect();
    if !batch && let Some(draft) = drafts.pop() {
        let event = admit(call, source, draft, lineage)?;
        let appended = call.hub().publish(event).await?;
        return accepted(&names[0], &appended);
    }
    let mut events = Vec::with_capacity(drafts.len());
    for (n, draft) in drafts.into_iter().enumerate() {
        events.push(admit(call, source, draft, &lineage.share(n))?);
    }
    let appended = if events.is_empty() { Vec::new() } else { call.hub().publish_all(events).await? };
    accepted_batch(&names, &appended)
}

/// How the body of `POST /events` is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Neo,
    Structured,
    Batch,
    Binary,
}

impl Form {
    fn of(call: &Call) -> Result<Self, Problem> {
        let media = crate::call::media_type(&call.parts.headers);
        match media.as_deref() {
            Some("application/cloudevents+json") => Ok(Self::Structured),
            Some("application/cloudevents-batch+json") => Ok(Self::Batch),
            _ if call.parts.headers.contains_key("ce-specversion") => Ok(Self::Binary),
            None => Ok(Self::Neo),
            Some(media) if crate::call::is_json(media) || crate::call::is_undeclared(media) => Ok(Self::Neo),
            Some(media) => Err(crate::call::unsupported(
                Some(media),
                "application/json, application/cloudevents+json, application/cloudevents-batch+json, or the ce-* headers",
            )),
        }
    }
}

/// The events that a body says, read as this source's.
fn read(call: &Call, source: &ActiveSource, form: Form, body: &Bytes) -> Result<Vec<Draft>, Problem> {
    match form {
        Form::Neo => match &source.mapping {
            Some(mapping) => draft::mapped(mapping, body),
            None => neo::read(body).map(|draft| vec![draft]),
        },
        Form::Structured => cloud::structured(body),
        Form::Batch => cloud::batch(body),
        Form::Binary => cloud::binary(&call.parts.headers, body),
    }
}

/// The sources whose secret made the signature: the named one, or all that match.
fn prove(
    call: &Call,
    set: &SourceSet,
    named: Option<&(String, Option<Arc<ActiveSource>>)>,
    body: &[u8],
) -> Result<Vec<Arc<ActiveSource>>, Problem> {
    let Some(signature) = call.header("x-nexus-signature") else {
        let message = "X-Nexus-Signature is missing: send the lower-case hex HMAC-SHA256 of the raw body with the source's secret";
        return Err(Problem::new(Code::Unauthenticated, message));
    };
    let timestamp = call.header("x-nexus-timestamp");
    let mut why = sign::SignatureError::Mismatch;
    let mut matching = Vec::new();
    let candidates: Vec<&Arc<ActiveSource>> = match named {
        Some((_, found)) => found.iter().collect(),
        None => set.iter().collect(),
    };
    for source in candidates {
        if !source.source.enabled || source.secrets.is_empty() {
            continue;
        }
        let checked = match timestamp {
            Some(at) => sign::verify_nexus_signature_at(signature, at, body, &source.secrets, call.now),
            None => sign::verify_nexus_signature(signature, body, &source.secrets),
        };
        match checked {
            Ok(_) => matching.push(Arc::clone(source)),
            Err(error) => why = error,
        }
    }
    if matching.is_empty() {
        let who = named.map_or_else(String::new, |(id, _)| format!("source {id:?}: "));
        return Err(Problem::new(Code::Unauthenticated, format!("X-Nexus-Signature: {who}{why}")));
    }
    Ok(matching)
}

/// The first matching source that may dispatch what the body says; else why the first may not.
fn choose<'a>(
    call: &Call,
    matching: &'a [Arc<ActiveSource>],
    read: impl Fn(&ActiveSource) -> Result<Vec<Draft>, Problem>,
) -> Result<(&'a ActiveSource, Vec<Draft>), Problem> {
    let mut refusal = None;
    for source in matching {
        let checked = read(source).and_then(|drafts| {
            for draft in &drafts {
                admit::permit(source, draft)?;
            }
            Ok(drafts)
        });
        match checked {
            Ok(drafts) => return Ok((source, drafts)),
            Err(problem) => refusal = refusal.or(Some(problem)),
        }
    }
    tracing::debug!(request_id = call.id.as_str(), "no matching source may dispatch this");
    Err(refusal.unwrap_or_else(|| Problem::new(Code::Unauthenticated, "no source matches")))
}

/// Takes one token of the source's rate for this client address; `None` = nobody knows who it is.
pub(crate) fn count(call: &Call, source: Option<&Arc<ActiveSource>>) -> Result<(), Problem> {
    let address = address::counted(call.client);
    let (caller, rate) = match source.map(|s| (s, s.source.rate_limit)) {
        Some((_, SourceRate::Off)) => return Ok(()),
        Some((source, SourceRate::Limit(rate))) => (Caller::Source(&source.id, address), Some(rate)),
        Some((_, SourceRate::Default)) | None => (Caller::Address(address), call.gate.config.ingress_rate),
    };
    let Some(rate) = rate else { return Ok(()) };
    call.counted(call.gate.limits.take("ingress", caller, rate, call.hub().clock().mono()))
}

/// Marks the answer to a repeat.
fn replayed(answer: Answer, repeat: bool) -> Answer {
    if !repeat {
        return answer;
    }
    answer.header(http::HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"))
}

/// `{"status":"accepted","event","id","seq"}`.
fn accepted(name: &str, appended: &Appended) -> Result<Answer, Problem> {
    let name = render(name)?;
    let Appended { seq, id, repeat } = appended;
    let text = format!(r#"{{"status":"accepted","event":{name},"id":"{id}","seq":{seq}}}"#);
    Ok(replayed(Answer::json(text), *repeat))
}

/// `{"status":"accepted","events":[{"event","id","seq"}…],"count"}`.
fn accepted_batch(names: &[String], appended: &[Appended]) -> Result<Answer, Problem> {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(32 + appended.len() * 96);
    text.push_str(r#"{"status":"accepted","events":["#);
    for (i, (name, Appended { seq, id, .. })) in names.iter().zip(appended).enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Writing into a String can't fail.
        let _ = write!(text, r#"{comma}{{"event":{},"id":"{id}","seq":{seq}}}"#, render(name)?);
    }
    let _ = write!(text, r#"],"count":{}}}"#, appended.len());
    let all_repeats = !appended.is_empty() && appended.iter().all(|a| a.repeat);
    Ok(replayed(Answer::json(text), all_repeats))
}
