//! The hub's own form, and the proof that all of NEO shares: `X-Nexus-Signature`.

use std::collections::BTreeMap;

use bytes::Bytes;
use nexus_core::{
    sign::{Secret, verify_nexus_signature, verify_nexus_signature_at},
    topic::Topic,
};
use serde_json::{Value, value::RawValue};

use super::{
    body::{self, Parsed},
    error::{MapError, VerifyError},
    request::{Incoming, Mapped},
};

/// Hex HMAC-SHA256 over the raw body; with `X-Nexus-Timestamp`, over `{timestamp}.{body}` and fresh.
pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let signature = incoming.header("x-nexus-signature")?;
    Ok(match incoming.optional("x-nexus-timestamp")? {
        Some(timestamp) => verify_nexus_signature_at(signature, timestamp, incoming.body, secrets, incoming.now)?,
        None => verify_nexus_signature(signature, incoming.body, secrets)?,
    })
}

/// A hub that sends here gives its event's id in the header and the body.
pub(super) fn delivery(incoming: &Incoming<'_>, parsed: &Value) -> Option<String> {
    let id = incoming.hint("webhook-id").filter(|id| !id.is_empty()).or_else(|| body::text(parsed, &["id"]))?;
    Some(body::key(&[id]))
}

pub(super) fn map(incoming: &Incoming<'_>, parsed: Parsed) -> Result<Mapped, MapError> {
    let members = body::object(&parsed)?;
    let name = members.get("event").or_else(|| members.get("type")).and_then(Value::as_str);
    let name = name.ok_or_else(|| MapError::Event("event is missing; give a name such as PAYMENT_RECEIVED".into()))?;
    let topic = Topic::parse(name)?;
    let delivery = delivery(incoming, &parsed.value);
    Ok(body::one(topic, payload(&parsed.data)?, None, delivery))
}

/// The bytes of `payload` as they stand; `null` where there is none.
fn payload(data: &Bytes) -> Result<Bytes, MapError> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(data).map_err(|_| MapError::Kind { expected: "object" })?;
    Ok(members.get("payload").map_or(Bytes::from_static(b"null"), |raw| Bytes::copy_from_slice(raw.get().as_bytes())))
}
