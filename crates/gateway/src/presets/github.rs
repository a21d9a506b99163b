//! GitHub: `X-Hub-Signature-256` over the raw body, the event's name in a header.

use nexus_core::sign::{Secret, constant_eq, first_match, hmac_sha256, unhex};

use super::{
    body::{self, Parsed},
    error::{MapError, VerifyError},
    preset::Preset,
    request::{Incoming, Mapped},
};

pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let header = incoming.header("x-hub-signature-256")?;
    let given = header.strip_prefix("sha256=").and_then(unhex).filter(|bytes| bytes.len() == 32);
    let given = given.ok_or_else(|| VerifyError::malformed("X-Hub-Signature-256 must be sha256= and 64 hex digits"))?;
    Ok(first_match(secrets, |secret| constant_eq(&hmac_sha256(secret.as_bytes(), &[incoming.body]), &given))?)
}

/// A delivery keeps its id when it is sent again by hand.
pub(super) fn delivery(incoming: &Incoming<'_>) -> Option<String> {
    incoming.hint("x-github-delivery").filter(|id| !id.is_empty()).map(|id| body::key(&[id]))
}

pub(super) fn map(incoming: &Incoming<'_>, parsed: Parsed) -> Result<Mapped, MapError> {
    body::object(&parsed)?;
    let Some(event) = incoming.hint("x-github-event").filter(|event| !event.is_empty()) else {
        return Err(MapError::field("X-GitHub-Event", "the header is missing; GitHub names the event in it"));
    };
    let kind = match body::text(&parsed.value, &["action"]) {
        Some(action) => format!("{event}.{action}"),
        None => event.to_owned(),
    };
    let topic = body::topic(Preset::GitHub.as_str(), &kind)?;
    // The number, as the name holds that of a person.
    let subject = body::id(&parsed.value, &["repository", "id"]);
    Ok(body::one(topic, parsed.data, subject, delivery(incoming)))
}
