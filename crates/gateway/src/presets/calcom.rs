//! Cal.com: `X-Cal-Signature-256` over the raw body.

use nexus_core::sign::{Secret, constant_eq, first_match, hmac_sha256, unhex};
use serde_json::Value;

use super::{
    body::{self, Parsed},
    error::{MapError, VerifyError},
    preset::Preset,
    request::{Incoming, Mapped},
};

pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let header = incoming.header("x-cal-signature-256")?;
    let given = unhex(header.strip_prefix("sha256=").unwrap_or(header)).filter(|bytes| bytes.len() == 32);
    let given = given
        .ok_or_else(|| VerifyError::malformed("X-Cal-Signature-256 must be 64 hex digits; set a secret in Cal.com"))?;
    Ok(first_match(secrets, |secret| constant_eq(&hmac_sha256(secret.as_bytes(), &[incoming.body]), &given))?)
}

/// The booking; some triggers have it in the payload, some at the top.
fn booking(parsed: &Value) -> Option<String> {
    body::id(parsed, &["payload", "uid"]).or_else(|| body::id(parsed, &["uid"]))
}

pub(super) fn delivery(parsed: &Value) -> Option<String> {
    Some(body::key(&[&booking(parsed)?, body::text(parsed, &["triggerEvent"])?]))
}

pub(super) fn map(parsed: Parsed) -> Result<Mapped, MapError> {
    body::object(&parsed)?;
    let kind = body::text(&parsed.value, &["triggerEvent"]);
    let kind = kind.ok_or_else(|| MapError::field("triggerEvent", "is missing; every webhook of Cal.com has one"))?;
    let topic = body::topic(Preset::CalCom.as_str(), kind)?;
    let (subject, delivery) = (booking(&parsed.value), delivery(&parsed.value));
    Ok(body::one(topic, parsed.data, subject, delivery))
}
