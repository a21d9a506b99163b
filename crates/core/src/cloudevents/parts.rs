//! What all modes share: attributes by name, their rules, and data in the form of the log.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::Value;

use super::{CloudEvent, ORIGINAL_TYPE};
use crate::{
    event::Attributes,
    json,
    limits::{ATTRIBUTES_BYTES, EVENT_DATA_BYTES, ID_BYTES, JSON_DEPTH},
    problem::{Code, Problem},
    time::Timestamp,
    topic::Topic,
};

/// The data as it came.
pub(super) enum Payload {
    Absent,
    /// A JSON value that was checked already.
    Json(Bytes),
    /// Bytes that stood in `data_base64`.
    Decoded(Vec<u8>),
    /// The body of a binary mode message.
    Body(Bytes),
}

/// Attributes as they are read, one after the other.
#[derive(Default)]
pub(super) struct Parts {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    kind: Option<String>,
    subject: Option<String>,
    correlation: Option<String>,
    attributes: Attributes,
    bytes: usize,
}

impl Parts {
    /// Takes one attribute. `null` is the same as none.
    pub(super) fn set(&mut self, name: &str, value: Value) -> Result<(), Problem> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(Problem::field(name, "an attribute name has lower-case letters a to z and digits only"));
        }
        if value.is_null() {
            return Ok(());
        }
        self.count(name, &value)?;
        let slot = match name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "subject" => &mut self.subject,
            "correlationid" => &mut self.correlation,
            "time" => &mut self.attributes.occurred,
            "datacontenttype" => &mut self.attributes.datacontenttype,
            "dataschema" => &mut self.attributes.dataschema,
            "traceparent" => &mut self.attributes.traceparent,
            "data" => return Err(Problem::field("data", "no attribute may have this name")),
            extension => return self.extend(extension, value),
        };
        let Value::String(text) = value else {
            return Err(Problem::field(name, "must be a string"));
        };
        check_text(name, &text)?;
        if text.is_empty() {
            return Err(Problem::field(name, "must not be empty; leave it out instead"));
        }
        *slot = Some(text);
        Ok(())
    }

    fn extend(&mut self, name: &str, value: Value) -> Result<(), Problem> {
        match &value {
            Value::String(text) => check_text(name, text)?,
            Value::Number(number) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {}
            Value::Number(_) => {
                return Err(Problem::field(name, "a number must be an integer of 32 bits; send others as a string"));
            }
            Value::Array(_) | Value::Object(_) => {
                return Err(Problem::field(name, "an extension must be a string, an integer or a boolean"));
            }
            Value::Null | Value::Bool(_) => {}
        }
        self.attributes.extensions.insert(name.to_owned(), value);
        Ok(())
    }

    fn count(&mut self, name: &str, value: &Value) -> Result<(), Problem> {
        self.bytes += name.len() + value.as_str().map_or(16, str::len);
        if self.bytes > ATTRIBUTES_BYTES {
            let message = format!("the attributes take more than {ATTRIBUTES_BYTES} bytes together");
            return Err(Problem::new(Code::Malformed, message));
        }
        Ok(())
    }

    /// Checks what is required and turns the data into one JSON value.
    pub(super) fn finish(mut self, payload: Payload) -> Result<CloudEvent, Problem> {
        let specversion = required("specversion", self.specversion)?;
        if specversion != "1.0" {
            return Err(Problem::field("specversion", format!("is {specversion:?}; 1.0 is understood")));
        }
        let id = bounded("id", required("id", self.id)?)?;
        let source = bounded("source", uri("source", required("source", self.source)?)?)?;
        let kind = required("type", self.kind)?;
        let topic = Topic::parse(&kind).map_err(|error| Problem::field("type", error.to_string()))?;
        let subject = self.subject.map(|s| bounded("subject", s)).transpose()?;
        let correlation = self.correlation.map(|c| bounded("correlationid", c)).transpose()?;
        if let Some(time) = &self.attributes.occurred {
            check_time(time)?;
        }
        if let Some(schema) = self.attributes.dataschema.take() {
            self.attributes.dataschema = Some(uri("dataschema", schema)?);
        }
        if topic.as_str() != kind {
            self.attributes.extensions.entry(ORIGINAL_TYPE.to_owned()).or_insert(Value::String(kind));
        }
        let data = data(payload, &mut self.attributes)?;
        if data.len() > EVENT_DATA_BYTES {
            let message = format!("the data has {} bytes; at most {EVENT_DATA_BYTES} are allowed", data.len());
            return Err(Problem::new(Code::TooLarge, message));
        }
        Ok(CloudEvent { id, source, topic, subject, correlation, attributes: self.attributes, data })
    }
}

/// The media type without parameters, lower case.
pub(super) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether data of this media type is JSON, by the JSON format's rule.
pub(super) fn is_json(essence: &str) -> bool {
    essence.split_once('/').is_some_and(|(_, subtype)| subtype == "json" || subtype.ends_with("+json"))
}

/// The data as one JSON value; says in `attributes` what it was where that can't be seen.
fn data(payload: Payload, attributes: &mut Attributes) -> Result<Bytes, Problem> {
    let declared = match &attributes.datacontenttype {
        None => None,
        Some(media_type) => Some(check_media_type(media_type)?),
    };
    let json = declared.as_deref().map(is_json);
    if declared.as_deref() == Some("application/json") {
        attributes.datacontenttype = None;
    }
    let (bytes, as_text) = match payload {
        Payload::Absent => return Ok(Bytes::from_static(b"null")),
        Payload::Json(value) => return Ok(value),
        Payload::Body(bytes) if bytes.is_empty() => return Ok(Bytes::from_static(b"null")),
        Payload::Body(bytes) => (bytes, true),
        Payload::Decoded(bytes) => (Bytes::from(bytes), false),
    };
    match (json, json::check(&bytes, JSON_DEPTH)) {
        (Some(true) | None, Ok(())) => Ok(bytes),
        (Some(true), Err(error)) => Err(error.into()),
        // Undeclared and no JSON: bytes of an unknown kind.
        (None, Err(_)) => {
            attributes.datacontenttype = Some("application/octet-stream".to_owned());
            attributes.binary = true;
            quoted(&BASE64.encode(&bytes))
        }
        (Some(false), _) => match std::str::from_utf8(&bytes) {
            Ok(text) if as_text && !text.contains('\0') => quoted(text),
            _ => {
                attributes.binary = true;
                quoted(&BASE64.encode(&bytes))
            }
        },
    }
}

fn quoted(text: &str) -> Result<Bytes, Problem> {
    serde_json::to_vec(text).map(Bytes::from).map_err(|error| Problem::new(Code::Malformed, error.to_string()))
}

fn required(name: &str, value: Option<String>) -> Result<String, Problem> {
    value.ok_or_else(|| Problem::field(name, "is missing; every CloudEvent needs id, source, specversion and type"))
}

fn bounded(name: &str, text: String) -> Result<String, Problem> {
    if text.len() > ID_BYTES {
        return Err(Problem::field(name, format!("has {} bytes; at most {ID_BYTES} are allowed", text.len())));
    }
    Ok(text)
}

/// No control characters and no noncharacters, as the type system of CloudEvents asks of every string.
fn check_text(name: &str, text: &str) -> Result<(), Problem> {
    let bad = text.chars().find(|c| {
        let code = u32::from(*c);
        c.is_control() || code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
    });
    match bad {
        Some(c) => Err(Problem::field(name, format!("holds the character {c:?}, which no attribute may hold"))),
        None => Ok(()),
    }
}

/// Whether this can be a URI or a reference to one: the characters that RFC 3986 never allows are refused.
fn uri(name: &str, text: String) -> Result<String, Problem> {
    match text.chars().find(|c| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'))
    {
        Some(c) => Err(Problem::field(name, format!("holds {c:?} and so is no URI; percent-encode it"))),
        None => Ok(text),
    }
}

fn check_media_type(text: &str) -> Result<String, Problem> {
    let essence = essence(text);
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    match essence.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) => Ok(essence),
        _ => Err(Problem::field("datacontenttype", format!("{text:?} is no media type such as application/json"))),
    }
}

/// RFC 3339 with a zone; readers differ on everything looser.
fn check_time(text: &str) -> Result<(), Problem> {
    let wrong = || Problem::field("time", format!("{text:?} is no RFC 3339 time such as 2026-01-02T03:04:05Z"));
    let bytes = text.as_bytes();
    let shape = b"0000-00-00T00:00:00";
    if bytes.len() <= shape.len() {
        return Err(wrong());
    }
    let (head, mut tail) = bytes.split_at(shape.len());
    let fits = head.iter().zip(shape).all(|(have, want)| match want {
        b'0' => have.is_ascii_digit(),
        want => have.eq_ignore_ascii_case(want),
    });
    if let [b'.', rest @ ..] = tail {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        tail = if digits == 0 { b"" } else { &rest[digits..] };
    }
    let zoned = match tail {
        [b'Z' | b'z'] => true,
        // RFC 3339 goes to 23:59; jiff reads further.
        [b'+' | b'-', hour @ .., b':', b'0'..=b'5', ones] => {
            let hour_fits = matches!(hour, [b'0' | b'1', b'0'..=b'9'] | [b'2', b'0'..=b'3']);
            hour_fits && ones.is_ascii_digit()
        }
        _ => false,
    };
    if fits && zoned && Timestamp::parse(text).is_some() { Ok(()) } else { Err(wrong()) }
}

/// The extensions of a finished event that may be shown: valid names, simple values.
pub(super) fn shown(extensions: &BTreeMap<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    extensions.iter().map(|(name, value)| (name.as_str(), value)).filter(|(name, value)| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && (value.is_string() || value.is_boolean() || value.is_i64())
    })
}
