//! Discord: ed25519 over `{timestamp}{body}`; the application's public key stands in for the secret.

use nexus_core::sign::{Secret, first_match, fresh, unhex};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

use super::{
    body::{self, Parsed, parse},
    error::{MapError, VerifyError},
    preset::Preset,
    request::{ChallengeAnswer, Incoming, Mapped},
};

pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let signature = unhex(incoming.header("x-signature-ed25519")?).filter(|bytes| bytes.len() == 64);
    let signature = signature.ok_or_else(|| VerifyError::malformed("X-Signature-Ed25519 must be 128 hex digits"))?;
    let timestamp = incoming.header("x-signature-timestamp")?;
    fresh(timestamp, incoming.now)?;
    let signed = [timestamp.as_bytes(), incoming.body].concat();
    let mut unusable = false;
    let found = first_match(secrets, |secret| match unhex(secret.expose()).filter(|key| key.len() == 32) {
        Some(key) => UnparsedPublicKey::new(&ED25519, key).verify(&signed, &signature).is_ok(),
        None => {
            unusable = true;
            false
        }
    });
    if found.is_err() && unusable {
        return Err(VerifyError::Secret {
            reason: "the public key must be 64 hex digits, as the application's page shows it",
        });
    }
    Ok(found?)
}

/// What the body asks or tells.
enum Message<'a> {
    /// Is an endpoint for interactions there?
    InteractionPing,
    /// Is an endpoint for webhook events there?
    EventPing,
    /// An interaction.
    Interaction(&'static str),
    /// A webhook event.
    Event(&'a str),
}

fn message(value: &Value) -> Result<Message<'_>, MapError> {
    let kind = value.get("type").and_then(Value::as_u64);
    if value.get("event").is_some() || value.get("version").is_some_and(Value::is_number) && kind == Some(0) {
        return match (kind, body::text(value, &["event", "type"])) {
            (Some(0), _) => Ok(Message::EventPing),
            (_, Some(event)) => Ok(Message::Event(event)),
            _ => Err(MapError::field("event", "has no type; every webhook event of Discord has one")),
        };
    }
    match kind {
        Some(1) => Ok(Message::InteractionPing),
        Some(2) => Ok(Message::Interaction("application_command")),
        Some(3) => Ok(Message::Interaction("message_component")),
        Some(4) => Ok(Message::Interaction("application_command_autocomplete")),
        Some(5) => Ok(Message::Interaction("modal_submit")),
        Some(_) => Ok(Message::Interaction("interaction")),
        None => Err(MapError::field("type", "is missing; every interaction of Discord has a number there")),
    }
}

/// The pings with which Discord checks an endpoint, also with wrong signatures, which get no answer here.
pub(super) fn challenge(incoming: &Incoming<'_>, secrets: &[Secret]) -> Option<ChallengeAnswer> {
    verify(incoming, secrets).ok()?;
    let parsed = parse(Preset::Discord, incoming).ok()?;
    match message(&parsed.value).ok()? {
        Message::InteractionPing => Some(ChallengeAnswer::json(&json!({ "type": 1 }))),
        Message::EventPing => {
            Some(ChallengeAnswer { status: 204, content_type: "application/json", body: String::new() })
        }
        Message::Interaction(_) | Message::Event(_) => None,
    }
}

pub(super) fn delivery(parsed: &Value) -> Option<String> {
    if let Some(id) = body::text(parsed, &["id"]) {
        return Some(body::key(&[id]));
    }
    // Webhook events have no id of their own.
    let application = body::text(parsed, &["application_id"])?;
    let (kind, time) = (body::text(parsed, &["event", "type"])?, body::text(parsed, &["event", "timestamp"])?);
    Some(body::key(&[application, kind, time]))
}

pub(super) fn map(parsed: Parsed) -> Result<Mapped, MapError> {
    body::object(&parsed)?;
    let kind = match message(&parsed.value)? {
        Message::InteractionPing | Message::EventPing => return Ok(Mapped::Ignored { reason: "a ping".into() }),
        Message::Interaction(kind) => kind,
        Message::Event(kind) => kind,
    };
    let topic = body::topic(Preset::Discord.as_str(), kind)?;
    let subject = body::id(&parsed.value, &["channel_id"]).or_else(|| body::id(&parsed.value, &["guild_id"]));
    let delivery = delivery(&parsed.value);
    Ok(body::one(topic, parsed.data, subject, delivery))
}
