//! Twilio: `X-Twilio-Signature` over the public URL and the sorted form fields; JSON bodies by their digest in the URL.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use nexus_core::sign::{Secret, constant_eq, first_match, hmac_sha1, unhex};
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::{
    body::{self, Parsed},
    error::{MapError, VerifyError},
    preset::Preset,
    request::{Incoming, Mapped, MappedEvent},
};

pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let header = incoming.header("x-twilio-signature")?;
    let given = BASE64.decode(header.as_bytes()).ok().filter(|bytes| bytes.len() == 20);
    let given = given.ok_or_else(|| VerifyError::malformed("X-Twilio-Signature must be base64 of 20 bytes"))?;
    let fields = fields(incoming)?;
    let urls = [incoming.url.to_owned(), other_port(incoming.url)];
    Ok(first_match(secrets, |secret| {
        urls.iter().fold(false, |matched, url| {
            matched | constant_eq(&hmac_sha1(secret.as_bytes(), &[url.as_bytes(), &fields]), &given)
        })
    })?)
}

/// What follows the URL in the signed text: name and value of each field, sorted, no pair twice. A body that is no form
/// is not signed itself: the signed URL carries its digest.
fn fields(incoming: &Incoming<'_>) -> Result<Vec<u8>, VerifyError> {
    if incoming.is_form() {
        let sorted: BTreeSet<_> = body::pairs(incoming.body).into_iter().collect();
        return Ok(sorted.into_iter().flat_map(|(name, value)| [name, value]).flatten().collect());
    }
    if incoming.body.is_empty() {
        return Ok(Vec::new());
    }
    // Out of the signed URL, not out of the path as received, which no signature covers.
    let (_, query) = incoming.url.split_once('?').unwrap_or_default();
    let named =
        body::pairs(query.as_bytes()).into_iter().find(|(name, _)| name == b"bodySHA256").map(|(_, value)| value);
    let named = named.and_then(|value| unhex(std::str::from_utf8(&value).ok()?));
    let named =
        named.ok_or_else(|| VerifyError::malformed("a body that is no form needs bodySHA256=<hex> in the URL"))?;
    if constant_eq(digest(&SHA256, incoming.body).as_ref(), &named) {
        Ok(Vec::new())
    } else {
        Err(VerifyError::Mismatch)
    }
}

/// The same URL with the scheme's own port written out, or without its port: Twilio signs either.
fn other_port(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let port = if scheme.eq_ignore_ascii_case("https") { "443" } else { "80" };
    match authority.rsplit_once(':') {
        Some((host, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => format!("{scheme}://{host}{path}"),
        _ => format!("{scheme}://{authority}:{port}{path}"),
    }
}

/// What the request is about: kind, id and state.
fn about(parsed: &Value) -> (&'static str, Option<&str>, Option<&str>) {
    let field = |name| body::text(parsed, &[name]);
    if field("RecordingSid").is_some() {
        return ("recording", field("RecordingSid"), field("RecordingStatus"));
    }
    if let Some(sid) = field("MessageSid").or_else(|| field("SmsSid")) {
        return ("message", Some(sid), field("MessageStatus").or_else(|| field("SmsStatus")));
    }
    ("call", field("CallSid"), field("CallStatus"))
}

/// An incoming or outgoing message or call in one state. Calls count their callbacks.
pub(super) fn delivery(incoming: &Incoming<'_>, parsed: &Value) -> Option<String> {
    let (_, Some(sid), status) = about(parsed) else {
        return incoming.hint("i-twilio-idempotency-token").map(|token| body::key(&[token]));
    };
    let number = body::text(parsed, &["SequenceNumber"]).unwrap_or_default();
    Some(body::key(&[sid, status.unwrap_or_default(), number]))
}

pub(super) fn map(incoming: &Incoming<'_>, parsed: Parsed) -> Result<Mapped, MapError> {
    let provider = Preset::Twilio.as_str();
    if parsed.value.is_array() {
        return body::each(&parsed, streamed);
    }
    body::object(&parsed)?;
    let delivery = delivery(incoming, &parsed.value);
    let (kind, sid, status) = about(&parsed.value);
    let kind = match (sid, body::text(&parsed.value, &["EventType"])) {
        (Some(_), _) => format!("{kind}.{}", status.unwrap_or("received")),
        (None, Some(kind)) => kind.to_owned(),
        (None, None) => "event".to_owned(),
    };
    let subject = sid.map(str::to_owned);
    Ok(body::one(body::topic(provider, &kind)?, parsed.data, subject, delivery))
}

/// One event of an event stream, a CloudEvent whose type begins with `com.twilio.`.
fn streamed(value: &Value, data: bytes::Bytes) -> Result<MappedEvent, MapError> {
    let kind =
        body::text(value, &["type"]).ok_or_else(|| MapError::field("type", "is missing in an event of the stream"))?;
    let topic = body::topic(Preset::Twilio.as_str(), kind.strip_prefix("com.twilio.").unwrap_or(kind))?;
    let id = body::text(value, &["id"]);
    Ok(MappedEvent { topic, data, subject: None, delivery: id.map(|id| body::key(&[id])) })
}
