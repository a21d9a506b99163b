//! The NEO body: `{"event":"PAYMENT_RECEIVED","payload":{…}}`.

use std::borrow::Cow;

use bytes::Bytes;
use nexus_core::{json, limits::JSON_DEPTH, problem::Problem};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::draft::{Draft, priority};
use crate::error::malformed;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default, borrow)]
    event: Option<Name<'a>>,
    /// Accepted for `event`.
    #[serde(default, borrow, rename = "type")]
    kind: Option<Name<'a>>,
    #[serde(default, borrow)]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    priority: Value,
}

/// A name that is borrowed where it holds no escape.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads the body; the payload stays byte for byte as it came.
pub(crate) fn read(bytes: &Bytes) -> Result<Draft, Problem> {
    json::check(bytes, JSON_DEPTH)?;
    let form = r#"send {"event":"PAYMENT_RECEIVED","payload":{…}}"#;
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(malformed(format!("the body must be a JSON object; {form}")));
    }
    let body: Body<'_> =
        serde_json::from_slice(bytes).map_err(|error| malformed(format!("the body does not fit ({error}); {form}")))?;
    let Some(Name(name)) = body.event.or(body.kind) else {
        return Err(malformed(format!("event is missing; {form}")));
    };
    let data = body.payload.map_or(Bytes::from_static(b"null"), |raw| bytes.slice_ref(raw.get().as_bytes()));
    let mut draft = Draft::new(&name, data, bytes.clone())?;
    draft.subject = body.subject;
    draft.priority = priority(&body.priority)?;
    let id = match body.id {
        Value::String(id) if !id.is_empty() => Some(id),
        Value::Number(id) => Some(id.to_string()),
        Value::Null | Value::String(_) => None,
        _ => return Err(malformed("id must be a text or a number")),
    };
    Ok(draft.identified(id))
}

#[cfg(test)]
mod tests {
    use nexus_core::{event::Priority, problem::Code};
    use proptest::prelude::*;

    use super::*;

    fn draft(text: &str) -> Result<Draft, Problem> {
        read(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn the_payload_is_kept_as_it_came() {
        let draft =
            draft(r#"{ "event": "PAYMENT_RECEIVED", "payload": { "b": 1,  "a": 1.50 }, "id": 7, "priority": 3 }"#)
                .expect("valid");
        assert_eq!((draft.name.as_str(), draft.topic.as_str()), ("PAYMENT_RECEIVED", "payment.received"));
        assert_eq!(&draft.data[..], br#"{ "b": 1,  "a": 1.50 }"#);
        assert_eq!((draft.key.as_deref(), draft.priority), (Some("7"), Priority::Critical));
    }

    #[test]
    fn type_stands_for_event_and_a_payload_may_be_absent() {
        let draft = draft(r#"{"type":"mint.failed"}"#).expect("valid");
        assert_eq!((draft.topic.as_str(), &draft.data[..]), ("mint.failed", &b"null"[..]));
    }

    #[test]
    fn what_is_no_object_with_an_event_is_refused() {
        for bad in [
            "",
            "[]",
            "7",
            r#""x""#,
            "{}",
            r#"{"event":""}"#,
            r#"{"event":7}"#,
            r#"{"event":"a b"}"#,
            "{",
            r#"{"event":"a","event":"b"}"#,
            r#"{"event":"../etc"}"#,
            r#"{"event":"a","payload":1e400}"#,
            "\u{feff}{}",
        ] {
            assert_eq!(draft(bad).expect_err(bad).code, Code::Malformed, "{bad}");
        }
        let deep = format!(r#"{{"event":"a","payload":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(draft(&deep).expect_err("too deep").code, Code::Malformed);
    }

    proptest! {
        #[test]
        fn no_body_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&Bytes::from(bytes));
        }
    }
}
