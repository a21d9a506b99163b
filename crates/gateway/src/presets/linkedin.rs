//! LinkedIn organization notifications: `X-LI-Signature` over `hmacsha256={body}`, and the challenge code.

use nexus_core::sign::{Secret, constant_eq, first_match, hex, hmac_sha256, unhex};
use serde_json::{Value, json};

use super::{
    body::{self, Parsed},
    error::{MapError, VerifyError},
    preset::Preset,
    request::{ChallengeAnswer, Incoming, Mapped},
};

/// Longest code that is answered.
const CODE_BYTES: usize = 128;

pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let header = incoming.header("x-li-signature")?;
    let given = unhex(header.strip_prefix("hmacsha256=").unwrap_or(header)).filter(|bytes| bytes.len() == 32);
    let given = given.ok_or_else(|| VerifyError::malformed("X-LI-Signature must be 64 hex digits"))?;
    let signed = [&b"hmacsha256="[..], incoming.body];
    Ok(first_match(secrets, |secret| constant_eq(&hmac_sha256(secret.as_bytes(), &signed), &given))?)
}

/// `GET ?challengeCode=…`, signed with the newest secret. Codes are UUIDs; nothing is answered that could be the signed
/// text of a body (it begins with `hmacsha256=`).
pub(super) fn challenge(incoming: &Incoming<'_>, secrets: &[Secret]) -> Option<ChallengeAnswer> {
    if incoming.method != "GET" {
        return None;
    }
    let code = incoming.query("challengeCode")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if code.is_empty() || code.len() > CODE_BYTES || !code.bytes().all(plain) {
        return None;
    }
    let made = hex(&hmac_sha256(secrets.first()?.as_bytes(), &[code.as_bytes()]));
    Some(ChallengeAnswer::json(&json!({ "challengeCode": code, "challengeResponse": made })))
}

fn notifications(parsed: &Value) -> &[Value] {
    parsed.get("notifications").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn delivery(parsed: &Value) -> Option<String> {
    let ids: Option<Vec<String>> = notifications(parsed).iter().map(|n| body::id(n, &["notificationId"])).collect();
    let ids = ids.filter(|ids| !ids.is_empty())?;
    Some(body::key(&ids.iter().map(String::as_str).collect::<Vec<_>>()))
}

pub(super) fn map(parsed: Parsed) -> Result<Mapped, MapError> {
    body::object(&parsed)?;
    let kind = body::text(&parsed.value, &["type"]);
    let kind = kind.ok_or_else(|| MapError::field("type", "is missing; every notification of LinkedIn has one"))?;
    let topic = body::topic(Preset::LinkedIn.as_str(), kind)?;
    let subject = notifications(&parsed.value).first().and_then(|n| body::id(n, &["organizationalEntity"]));
    let delivery = delivery(&parsed.value);
    Ok(body::one(topic, parsed.data, subject, delivery))
}
