//! `POST /webhook/{source}` (also `/api/webhooks/{source}`): a provider's own webhook, verified and mapped by the preset
//! of its source. `GET` answers the questions that some providers ask first.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, header};
use nexus_core::{
    limits::BODY_BYTES,
    problem::{Code, Problem},
    store::Appended,
};
use nexus_engine::source::ActiveSource;
use serde_json::{Map, Value, json};

use super::{Draft, Lineage, admit, admit::permit, count, draft, replayed};
use crate::{
    answer::{Answer, Body},
    call::Call,
    error::not_found,
    presets::{self, ChallengeAnswer, Incoming, Mapped, Preset},
};

/// `POST /webhook/{source}`.
pub(crate) async fn receive(mut call: Call) -> Result<Answer, Problem> {
    let source = find(&call)?;
    count(&call, Some(&source))?;
    let preset = preset(&source)?;
    let body = call.bytes(BODY_BYTES).await?;
    let url = url(&call);
    let incoming = incoming(&call, &url, &body);
    if let Some(answer) = presets::challenge(preset, &incoming, &source.secrets) {
        return Ok(answered(answer));
    }
    presets::verify(preset, &incoming, &source.secrets)?;
    let drafts = match read(preset, &source, &incoming, &body)? {
        Read::Ignored(reason) => return Answer::data(&json!({"status": "ignored", "reason": reason})),
        Read::Events(drafts) => drafts,
    };
    let lineage = Lineage::of(&call).await?;
    let names: Vec<String> = drafts.iter().map(|d| d.name.clone()).collect();
    let mut events = Vec::with_capacity(drafts.len());
    let several = drafts.len() > 1;
    for (n, draft) in drafts.into_iter().enumerate() {
        permit(&source, &draft)?;
        let share = if several { lineage.share(n) } else { lineage.clone() };
        events.push(admit(&call, &source, draft, &share)?);
    }
    let appended = call.hub().publish_all(events).await?;
    processed(&names, &appended)
}

/// The proof that a request comes from this source, and the provider's own id of it.
pub(crate) fn prove(call: &Call, source: &ActiveSource, body: &Bytes) -> Result<Option<String>, Problem> {
    let preset = preset(source)?;
    let url = url(call);
    let incoming = incoming(call, &url, body);
    presets::verify(preset, &incoming, &source.secrets)?;
    let parsed = presets::parse(preset, &incoming)?;
    Ok(presets::delivery_id(preset, &incoming, &parsed.value))
}

/// `GET /webhook/{source}`.
pub(crate) async fn challenge(call: Call) -> Result<Answer, Problem> {
    let source = find(&call)?;
    count(&call, Some(&source))?;
    let preset = preset(&source)?;
    let url = url(&call);
    let body = Bytes::new();
    if let Some(answer) = presets::challenge(preset, &incoming(&call, &url, &body), &source.secrets) {
        return Ok(answered(answer));
    }
    let message = match preset {
        Preset::X => "a challenge is asked with ?crc_token=…",
        Preset::LinkedIn => "a challenge is asked with ?challengeCode=…",
        _ => "this source takes POST; its provider asks no question with GET",
    };
    Err(Problem::new(Code::Unauthenticated, message))
}

/// The source of the path.
fn find(call: &Call) -> Result<Arc<ActiveSource>, Problem> {
    let id = call.param("source")?;
    let set = call.hub().sources().active();
    set.get(&id).filter(|s| s.source.enabled).cloned().ok_or_else(|| not_found("source", &id))
}

fn preset(source: &ActiveSource) -> Result<Preset, Problem> {
    source.source.preset.parse().map_err(|error| {
        tracing::error!(source = %source.id, %error, "a stored source has an unknown preset");
        Problem::new(Code::Internal, format!("source {:?} has an unknown preset", source.id))
    })
}

/// The URL that the provider called, as far as we can know it: some sign it.
fn url(call: &Call) -> String {
    let path = call.parts.uri.path_and_query().map_or("/", |p| p.as_str());
    match call.gate.config.public_url.as_deref() {
        Some(public) => format!("{}{path}", public.trim_end_matches('/')),
        None => {
            let host = call.header("host").unwrap_or("localhost");
            let scheme = if call.gate.config.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{host}{path}")
        }
    }
}

fn incoming<'a>(call: &'a Call, url: &'a str, body: &'a Bytes) -> Incoming<'a> {
    Incoming {
        method: call.parts.method.as_str(),
        url,
        path_query: call.parts.uri.path_and_query().map_or("/", |p| p.as_str()),
        headers: &call.parts.headers,
        body,
        now: call.now,
    }
}

enum Read {
    Events(Vec<Draft>),
    Ignored(String),
}

/// The events of a proven body: by the source's own mapping, else by its preset.
fn read(preset: Preset, source: &ActiveSource, incoming: &Incoming<'_>, body: &Bytes) -> Result<Read, Problem> {
    if let Some(mapping) = &source.mapping {
        let parsed = presets::parse(preset, incoming)?;
        let mut drafts = draft::mapped(mapping, &parsed.data)?;
        if let [only] = drafts.as_mut_slice()
            && only.key.is_none()
        {
            only.key = presets::delivery_id(preset, incoming, &parsed.value);
            only.source_id.clone_from(&only.key);
        }
        return Ok(Read::Events(drafts));
    }
    let events = match presets::map(preset, incoming)? {
        Mapped::Ignored { reason } => return Ok(Read::Ignored(reason)),
        Mapped::Events(events) if events.is_empty() => return Ok(Read::Ignored("it holds no events".to_owned())),
        Mapped::Events(events) => events,
    };
    let one = events.len() == 1;
    let drafts = events.into_iter().map(|event| {
        let digested = if one { body.clone() } else { event.data.clone() };
        // The seed's own providers speak its vocabulary.
        let seed = matches!(preset, Preset::Nexus | Preset::FlowPay | Preset::Factory);
        let name = if seed { event.topic.screaming() } else { event.topic.to_string() };
        let mut draft = Draft::of_topic(name, event.topic, event.data, digested);
        draft.subject = event.subject;
        draft.identified(event.delivery)
    });
    Ok(Read::Events(drafts.collect()))
}

/// `{"status":"processed","event","id"}`, with all events beside where there are several.
fn processed(names: &[String], appended: &[Appended]) -> Result<Answer, Problem> {
    let mut fields = Map::new();
    fields.insert("status".into(), "processed".into());
    if let (Some(name), Some(first)) = (names.first(), appended.first()) {
        fields.insert("event".into(), name.clone().into());
        fields.insert("id".into(), first.id.to_string().into());
    }
    if appended.len() > 1 {
        let all = names.iter().zip(appended).map(|(name, a)| json!({"event": name, "id": a.id, "seq": a.seq}));
        fields.insert("events".into(), Value::Array(all.collect()));
        fields.insert("count".into(), appended.len().into());
    }
    let all_repeats = !appended.is_empty() && appended.iter().all(|a| a.repeat);
    Ok(replayed(Answer::data(&fields)?, all_repeats))
}

/// A provider's question answered in the provider's way, which may be 204 without a body.
fn answered(answer: ChallengeAnswer) -> Answer {
    let status = http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::OK);
    let given = Answer::raw(answer.content_type, Body::full(answer.body)).status(status);
    given.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
