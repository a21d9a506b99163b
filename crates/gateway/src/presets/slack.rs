//! Slack: `X-Slack-Signature` over `v0:{timestamp}:{body}`; events, slash commands and interactions.

use nexus_core::sign::{Secret, constant_eq, first_match, fresh, hmac_sha256, unhex};
use serde_json::{Value, json};

use super::{
    body::{self, Parsed, parse},
    error::{MapError, VerifyError},
    preset::Preset,
    request::{ChallengeAnswer, Incoming, Mapped},
};

pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let header = incoming.header("x-slack-signature")?;
    let timestamp = incoming.header("x-slack-request-timestamp")?;
    let given = header.strip_prefix("v0=").and_then(unhex).filter(|bytes| bytes.len() == 32);
    let given = given.ok_or_else(|| VerifyError::malformed("X-Slack-Signature must be v0= and 64 hex digits"))?;
    fresh(timestamp, incoming.now)?;
    let signed = [b"v0:", timestamp.as_bytes(), b":", incoming.body];
    Ok(first_match(secrets, |secret| constant_eq(&hmac_sha256(secret.as_bytes(), &signed), &given))?)
}

/// The question with which Slack checks a new URL.
pub(super) fn challenge(incoming: &Incoming<'_>, secrets: &[Secret]) -> Option<ChallengeAnswer> {
    if incoming.is_form() {
        return None;
    }
    // The proof first: nothing is parsed for a stranger.
    verify(incoming, secrets).ok()?;
    let parsed = parse(Preset::Slack, incoming).ok()?;
    if body::text(&parsed.value, &["type"]) != Some("url_verification") {
        return None;
    }
    let challenge = body::text(&parsed.value, &["challenge"])?;
    Some(ChallengeAnswer::json(&json!({ "challenge": challenge })))
}

pub(super) fn delivery(parsed: &Value) -> Option<String> {
    let id = body::text(parsed, &["event_id"]).or_else(|| body::text(parsed, &["trigger_id"]))?;
    Some(body::key(&[id]))
}

pub(super) fn map(parsed: Parsed) -> Result<Mapped, MapError> {
    body::object(&parsed)?;
    let value = &parsed.value;
    let kind = match body::text(value, &["type"]) {
        Some("url_verification") => return Ok(Mapped::Ignored { reason: "a check of the URL".into() }),
        Some("event_callback") => body::text(value, &["event", "type"])
            .ok_or_else(|| MapError::field("event", "has no type; every event of Slack has one"))?,
        Some(kind) => kind,
        None if body::text(value, &["command"]).is_some() => "command",
        None => {
            return Err(MapError::field("type", "is missing; events, interactions and slash commands are understood"));
        }
    };
    let topic = body::topic(Preset::Slack.as_str(), kind)?;
    let places: [&[&str]; 4] =
        [&["event", "channel"], &["event", "item", "channel"], &["channel", "id"], &["channel_id"]];
    let subject = places.iter().find_map(|place| body::text(value, place)).map(str::to_owned);
    let delivery = delivery(value);
    Ok(body::one(topic, parsed.data, subject, delivery))
}
