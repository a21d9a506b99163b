//! Bodies as JSON, and what presets read out of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use nexus_core::{
    json,
    limits::{BATCH_EVENTS, ID_BYTES, JSON_DEPTH, TOPIC_BYTES, TOPIC_SEGMENTS},
    sign,
    topic::Topic,
};
use ring::digest::{SHA256, digest};
use serde_json::{Value, value::RawValue};

use super::{
    error::MapError,
    preset::Preset,
    request::{Incoming, Mapped, MappedEvent},
};

/// A body that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// Its value, to look into.
    pub value: Value,
    /// Its JSON text, to keep: as received, except for forms.
    pub data: Bytes,
}

/// Reads the body of `incoming` as JSON. A form becomes an object of strings; a provider that wraps JSON in a form
/// (`payload=…`) is unwrapped.
pub fn parse(preset: Preset, incoming: &Incoming<'_>) -> Result<Parsed, MapError> {
    // `curl -d` labels everything as a form: what opens like JSON is JSON.
    let opens = incoming.body.iter().find(|b| !b.is_ascii_whitespace());
    if !incoming.is_form() || matches!(opens, Some(b'{' | b'[')) {
        return checked(Bytes::copy_from_slice(incoming.body));
    }
    let mut fields = BTreeMap::new();
    for (name, value) in pairs(incoming.body) {
        fields.insert(String::from_utf8_lossy(&name).into_owned(), String::from_utf8_lossy(&value).into_owned());
    }
    if matches!(preset, Preset::GitHub | Preset::Slack)
        && let Some(payload) = fields.remove("payload")
    {
        return checked(payload.into());
    }
    let object: serde_json::Map<String, Value> = fields.into_iter().map(|(n, v)| (n, Value::String(v))).collect();
    checked(Value::Object(object).to_string().into())
}

fn checked(data: Bytes) -> Result<Parsed, MapError> {
    json::check(&data, JSON_DEPTH)?;
    // What passed the check is readable; the other arm is for the type only.
    let value = serde_json::from_slice(&data).map_err(|_| MapError::Kind { expected: "value" })?;
    Ok(Parsed { value, data })
}

/// The pairs of an urlencoded form or query, decoded to bytes. What is no valid escape stands for itself.
pub(super) fn pairs(form: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pair = |part: &[u8]| {
        let split = part.iter().position(|b| *b == b'=');
        let (name, value) = split.map_or((part, &b""[..]), |i| (&part[..i], &part[i + 1..]));
        (unescape(name), unescape(value))
    };
    form.split(|b| *b == b'&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => hex_byte(*high, *low),
            _ => None,
        };
        out.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    out
}

/// The byte that two hex digits say.
pub(super) fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |d: u8| char::from(d).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// The text at a path of keys.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// The id at a path of keys, be it a text or a number.
pub(super) fn id(value: &Value, path: &[&str]) -> Option<String> {
    match at(value, path)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The value at a path of keys.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// `id` as a subject: only where it is short and looks like neither an address nor a phone number.
pub(super) fn opaque(id: Option<String>) -> Option<String> {
    id.filter(|id| {
        let phone = id.strip_prefix('+').is_some_and(|rest| rest.bytes().any(|b| b.is_ascii_digit()));
        !id.is_empty()
            && id.len() <= ID_BYTES
            && !phone
            && !id.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control())
    })
}

/// One idempotency key of several parts; a long one is digested.
pub(super) fn key(parts: &[&str]) -> String {
    let key = parts.join(":");
    if key.len() <= ID_BYTES { key } else { sign::hex(digest(&SHA256, key.as_bytes()).as_ref()) }
}

/// `{prefix}.{kind}` as a topic: lower case, `_` for what a topic can't hold, no empty segment, cut at the limits.
pub(super) fn topic(prefix: &str, kind: &str) -> Result<Topic, MapError> {
    let fold = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '_' | '-' | '.') => c,
        _ => '_',
    };
    let folded: String = kind.chars().map(fold).collect();
    let mut text = prefix.to_owned();
    for segment in folded.split('.').filter(|s| !s.is_empty()).take(TOPIC_SEGMENTS - prefix.split('.').count()) {
        if text.len() + 1 + segment.len() > TOPIC_BYTES {
            break;
        }
        text.push('.');
        text.push_str(segment);
    }
    Ok(Topic::parse(&text)?)
}

/// One event of the whole body.
pub(super) fn one(topic: Topic, data: Bytes, subject: Option<String>, delivery: Option<String>) -> Mapped {
    Mapped::Events(vec![MappedEvent { topic, data, subject: opaque(subject), delivery }])
}

/// One event per element of an array, each with its own bytes of the body.
pub(super) fn each(
    parsed: &Parsed,
    mut event: impl FnMut(&Value, Bytes) -> Result<MappedEvent, MapError>,
) -> Result<Mapped, MapError> {
    const NO_ARRAY: MapError = MapError::Kind { expected: "array of events" };
    let values = parsed.value.as_array().ok_or(NO_ARRAY)?;
    if values.len() > BATCH_EVENTS {
        return Err(MapError::TooMany(values.len()));
    }
    let raw: Vec<&RawValue> = serde_json::from_slice(&parsed.data).map_err(|_| NO_ARRAY)?;
    let events: Result<Vec<_>, _> =
        values.iter().zip(raw).map(|(value, raw)| event(value, Bytes::copy_from_slice(raw.get().as_bytes()))).collect();
    let events = events?;
    if events.is_empty() {
        Ok(Mapped::Ignored { reason: "the body holds no event".into() })
    } else {
        Ok(Mapped::Events(events))
    }
}

/// Refuses what is no object.
pub(super) fn object(parsed: &Parsed) -> Result<&serde_json::Map<String, Value>, MapError> {
    parsed.value.as_object().ok_or(MapError::Kind { expected: "object" })
}
