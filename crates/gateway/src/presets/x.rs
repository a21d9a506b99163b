//! X account activity: `x-twitter-webhooks-signature` over the raw body, and the CRC question.

use data_encoding::BASE64;
use nexus_core::sign::{Secret, constant_eq, first_match, hmac_sha256};
use serde_json::{Value, json};

use super::{
    body::{self, Parsed},
    error::{MapError, VerifyError},
    preset::Preset,
    request::{ChallengeAnswer, Incoming, Mapped},
};

/// Longest token that is answered.
const TOKEN_BYTES: usize = 256;

pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let header = incoming.header("x-twitter-webhooks-signature")?;
    let given = header.strip_prefix("sha256=").and_then(|text| BASE64.decode(text.as_bytes()).ok());
    let given = given.filter(|bytes| bytes.len() == 32);
    let given = given
        .ok_or_else(|| VerifyError::malformed("x-twitter-webhooks-signature must be sha256= and base64 of 32 bytes"))?;
    Ok(first_match(secrets, |secret| constant_eq(&hmac_sha256(secret.as_bytes(), &[incoming.body]), &given))?)
}

/// The CRC: `GET ?crc_token=…`, signed with the newest secret.
///
/// The answer is an HMAC under the key that also signs bodies, so whoever may choose the token freely could have a body
/// signed. Tokens are therefore held to characters that no JSON object is made of.
pub(super) fn challenge(incoming: &Incoming<'_>, secrets: &[Secret]) -> Option<ChallengeAnswer> {
    if incoming.method != "GET" {
        return None;
    }
    let token = incoming.query("crc_token")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.=+/ ".contains(&b);
    if token.is_empty() || token.len() > TOKEN_BYTES || !token.bytes().all(plain) {
        return None;
    }
    let made = BASE64.encode(&hmac_sha256(secrets.first()?.as_bytes(), &[token.as_bytes()]));
    Some(ChallengeAnswer::json(&json!({ "response_token": format!("sha256={made}") })))
}

/// The kind of activity: the newer form names it, the older one has it as the key of its list.
fn kind(parsed: &Value) -> Option<&str> {
    if let Some(kind) = body::text(parsed, &["data", "event_type"]) {
        return Some(kind);
    }
    let lists = || parsed.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    lists().find(|name| name.ends_with("_events")).or_else(|| lists().find(|name| name.ends_with("_event")))
}

/// The id of the post or message that it is about, where there is exactly one.
pub(super) fn delivery(parsed: &Value) -> Option<String> {
    if let Some(uuid) = body::text(parsed, &["data", "event_uuid"]) {
        return Some(body::key(&[uuid]));
    }
    let kind = kind(parsed)?;
    let [only] = parsed.get(kind)?.as_array()?.as_slice() else { return None };
    let places: [&[&str]; 3] = [&["id_str"], &["id"], &["status", "id"]];
    let id = places.iter().find_map(|place| body::id(only, place))?;
    Some(body::key(&[&body::id(parsed, &["for_user_id"]).unwrap_or_default(), kind, &id]))
}

pub(super) fn map(parsed: Parsed) -> Result<Mapped, MapError> {
    body::object(&parsed)?;
    let Some(kind) = kind(&parsed.value) else {
        return Ok(Mapped::Ignored { reason: "it holds no list of events".into() });
    };
    let topic = body::topic(Preset::X.as_str(), kind)?;
    let delivery = delivery(&parsed.value);
    let subject = body::id(&parsed.value, &["for_user_id"]);
    Ok(body::one(topic, parsed.data, subject, delivery))
}
