//! From a draft to an event of a source: its vocabulary, its permissions, its schemas, its keys.

use std::sync::Arc;

use nexus_core::{
    cloudevents::ORIGINAL_SOURCE,
    event::{NewEvent, Once},
    limits::{ATTRIBUTES_BYTES, EVENT_DATA_BYTES, ID_BYTES, IDEMPOTENCY_WINDOW},
    own,
    problem::{Code, Problem},
    time::Timestamp,
    topic::Topic,
};
use nexus_engine::source::{ActiveSource, OnViolation};
use ring::digest;

use super::{
    draft::Draft,
    lineage::{Lineage, id_fits},
};
use crate::{call::Call, error::malformed};

/// Event types that every source knows, in the form of the NEO vocabulary.
const BUILT_IN: [&str; 5] = ["PAYMENT_RECEIVED", "PAYMENT_FAILED", "MINT_REQUESTED", "MINT_CONFIRMED", "MINT_FAILED"];

/// 400 when a closed source does not know the event, 403 when it may not dispatch it.
pub(crate) fn permit(source: &ActiveSource, draft: &Draft) -> Result<(), Problem> {
    let canonical = draft.topic.alias_of();
    let names = || std::iter::once(&draft.topic).chain(&canonical);
    if !names().any(|topic| source.knows(topic)) {
        let message = format!(
            "source {:?} has a closed vocabulary without {:?}; it knows {}",
            source.id,
            draft.name,
            known(source)
        );
        return Err(Problem::new(Code::UnknownEvent, message));
    }
    if names().any(|topic| source.may_dispatch(topic)) {
        return Ok(());
    }
    let allowed = source.allow.iter().flatten().map(|f| f.as_str()).collect::<Vec<_>>().join(", ");
    let message = format!(
        "source {:?} may not dispatch {:?}; it may dispatch {}",
        source.id,
        draft.name,
        if allowed.is_empty() { "nothing" } else { &allowed }
    );
    Err(Problem::new(Code::Forbidden, message))
}

fn known(source: &ActiveSource) -> String {
    let declared = source.source.allow.iter().filter(|f| f.exact().is_some()).map(|f| f.as_str().to_owned());
    let mut names: Vec<String> = BUILT_IN.iter().map(|n| (*n).to_owned()).collect();
    names.extend(declared.chain(source.source.schemas.keys().map(Topic::to_string)));
    names.sort();
    names.dedup();
    names.join(", ")
}

/// The event to store: permission was checked, schema and sizes are checked here.
pub(crate) fn admit(call: &Call, source: &ActiveSource, draft: Draft, lineage: &Lineage) -> Result<NewEvent, Problem> {
    let violation = match schema_of(source, &draft) {
        Some((topic, _)) => call.gate.schemas.check(source, topic, &draft.data)?,
        None => None,
    };
    if let Some(violation) = &violation
        && source.source.on_violation == OnViolation::Refuse
    {
        let mut problem = Problem::new(
            Code::Invalid,
            format!(
                "{} does not fit the schema of {:?} at {}: {}",
                draft.name, source.id, violation.path, violation.reason
            ),
        );
        problem.details.insert(violation.path.clone(), violation.reason.clone());
        return Err(problem);
    }
    let mut event = finish(call.now, &source.id, draft, lineage)?;
    if let Some(once) = &mut event.once {
        once.window = source.window;
    }
    event.attributes.schema_violation = violation.map(|v| format!("{}: {}", v.path, v.reason));
    Ok(event)
}

fn schema_of<'a>(source: &'a ActiveSource, draft: &Draft) -> Option<(&'a Topic, &'a serde_json::Value)> {
    let schemas = &source.source.schemas;
    if schemas.is_empty() {
        return None;
    }
    schemas.get_key_value(&draft.topic).or_else(|| schemas.get_key_value(&draft.topic.alias_of()?))
}

/// The event of `producer`, within the limits and with its keys.
pub(crate) fn finish(
    now: Timestamp,
    producer: &Arc<str>,
    draft: Draft,
    lineage: &Lineage,
) -> Result<NewEvent, Problem> {
    own::refuse(&draft.topic)?;
    if draft.data.len() > EVENT_DATA_BYTES {
        let message = format!("the payload has {} bytes; at most {EVENT_DATA_BYTES} are allowed", draft.data.len());
        return Err(Problem::new(Code::TooLarge, message));
    }
    let ids = [("subject", &draft.subject), ("id", &draft.source_id), ("correlation id", &draft.correlation)];
    for (what, id) in ids {
        if id.as_deref().is_some_and(|id| !id_fits(id)) {
            return Err(malformed(format!("{what} must be 1 to {ID_BYTES} bytes without control characters")));
        }
    }
    let extensions = serde_json::to_string(&draft.attributes.extensions).map_or(usize::MAX, |text| text.len());
    if !draft.attributes.extensions.is_empty() && extensions > ATTRIBUTES_BYTES {
        return Err(malformed(format!("the extension attributes take more than {ATTRIBUTES_BYTES} bytes")));
    }
    let once = once(producer, &draft, lineage.key.as_deref());
    let mut event = NewEvent::new(draft.topic, Arc::clone(producer), draft.data, now);
    let alias = event.attributes.alias.take();
    event.attributes = draft.attributes;
    event.attributes.alias = alias;
    event.attributes.source_id = draft.source_id;
    if let Some(said) = draft.said_source.filter(|said| **said != *event.source) {
        event.attributes.extensions.entry(ORIGINAL_SOURCE.into()).or_insert_with(|| said.into());
    }
    event.correlation = draft.correlation;
    event.subject = draft.subject;
    event.priority = draft.priority;
    event.once = once;
    lineage.mark(&mut event);
    Ok(event)
}

/// The caller's `Idempotency-Key` is strict: another body under it is its mistake. A producer's own id keeps the first body.
fn once(producer: &Arc<str>, draft: &Draft, key: Option<&str>) -> Option<Once> {
    let (key, strict) = match (key, &draft.key) {
        (Some(key), _) => (format!("key:{key}"), true),
        (None, Some(id)) => (format!("id:{id}"), false),
        (None, None) => return None,
    };
    let mut first = [0u8; 16];
    first.copy_from_slice(sha256(&draft.digested).as_ref().get(..16)?);
    let key = if key.len() <= ID_BYTES { key } else { nexus_core::sign::hex(sha256(key.as_bytes()).as_ref()) };
    Some(Once { scope: Arc::clone(producer), key, digest: first, strict, window: IDEMPOTENCY_WINDOW })
}

fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}
