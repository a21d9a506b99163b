//! Stripe: `Stripe-Signature: t=…,v1=…` over `{t}.{body}`.

use nexus_core::sign::{Secret, constant_eq, first_match, fresh, hmac_sha256, unhex};
use serde_json::Value;

use super::{
    body::{self, Parsed},
    error::{MapError, VerifyError},
    preset::Preset,
    request::{Incoming, Mapped},
};

pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let header = incoming.header("stripe-signature")?;
    let entries = || header.split(',').filter_map(|entry| entry.trim().split_once('='));
    let timestamp = entries().find(|(name, _)| *name == "t").map(|(_, value)| value);
    let timestamp = timestamp.ok_or_else(|| VerifyError::malformed("Stripe-Signature has no t=<unix seconds>"))?;
    let given: Vec<Vec<u8>> =
        entries().filter(|(name, _)| *name == "v1").filter_map(|(_, value)| unhex(value)).collect();
    if given.is_empty() {
        return Err(VerifyError::malformed("Stripe-Signature has no v1=<64 hex digits>"));
    }
    fresh(timestamp, incoming.now)?;
    Ok(first_match(secrets, |secret| {
        let made = hmac_sha256(secret.as_bytes(), &[timestamp.as_bytes(), b".", incoming.body]);
        given.iter().fold(false, |matched, given| matched | constant_eq(&made, given))
    })?)
}

pub(super) fn delivery(parsed: &Value) -> Option<String> {
    body::text(parsed, &["id"]).map(|id| body::key(&[id]))
}

pub(super) fn map(parsed: Parsed) -> Result<Mapped, MapError> {
    body::object(&parsed)?;
    let kind = body::text(&parsed.value, &["type"]);
    let kind = kind.ok_or_else(|| MapError::field("type", "is missing; every event of Stripe has one"))?;
    let topic = body::topic(Preset::Stripe.as_str(), kind)?;
    let subject = body::id(&parsed.value, &["data", "object", "id"])
        .or_else(|| body::id(&parsed.value, &["related_object", "id"]));
    let delivery = delivery(&parsed.value);
    Ok(body::one(topic, parsed.data, subject, delivery))
}
