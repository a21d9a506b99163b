//! `POST /events/{topic}`: publishing with a token, in the form of the Integration Core.

use std::sync::Arc;

use bytes::Bytes;
use nexus_core::{
    access::Principal,
    json,
    limits::{BODY_BYTES, JSON_DEPTH},
    problem::{Code, Problem},
    store::Appended,
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    admit,
    draft::{Draft, priority},
    lineage::Lineage,
    replayed,
};
use crate::{
    answer::{Answer, render},
    call::{Call, is_json, is_undeclared, media_type, typed, unsupported},
    error::malformed,
};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    priority: Value,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    id: Option<String>,
}

/// A payload that is there, be it `null`.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Some)
}

/// `POST /events/{topic}`.
pub(crate) async fn topic(mut call: Call) -> Result<Answer, Problem> {
    let name = call.param("topic")?;
    let lineage = Lineage::of(&call).await?;
    let body = call.bytes(BODY_BYTES).await?;
    if let Some(media) = media_type(&call.parts.headers)
        && !is_json(&media)
        && !is_undeclared(&media)
    {
        return Err(unsupported(Some(&media), "application/json"));
    }
    let draft = read(&name, &body)?;
    let principal = call.principal()?;
    may_publish(principal, &draft)?;
    let producer: Arc<str> = Arc::clone(&principal.name);
    let event = admit::finish(call.now, &producer, draft, &lineage)?;
    let Appended { seq, id, repeat } = call.hub().publish(event).await?;
    let text = format!(r#"{{"message_id":"{id}","topic":{},"seq":{seq}}}"#, render(&name)?);
    Ok(replayed(Answer::json(text), repeat))
}

/// 403 unless the token may publish this topic.
pub(crate) fn may_publish(principal: &Principal, draft: &Draft) -> Result<(), Problem> {
    if principal.may_for("events:publish", draft.topic.as_str()) {
        return Ok(());
    }
    let message = format!("{} lacks the scope events:publish for {}", principal.name, draft.topic);
    Err(Problem::new(Code::Forbidden, message))
}

fn read(name: &str, bytes: &Bytes) -> Result<Draft, Problem> {
    json::check(bytes, JSON_DEPTH)?;
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(malformed(r#"the body must be a JSON object: {"payload":…,"priority"?}"#));
    }
    let body: Body<'_> = typed(bytes)?;
    let Some(payload) = body.payload else {
        return Err(Problem::field("payload", "missing; send {\"payload\":…}"));
    };
    let data = bytes.slice_ref(payload.get().as_bytes());
    let mut draft = Draft::new(name, data, bytes.clone())?;
    draft.priority = priority(&body.priority)?;
    draft.subject = body.subject;
    Ok(draft.identified(body.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_needed_and_a_topic_has_no_path_tricks() {
        let read = |name: &str, text: &str| read(name, &Bytes::copy_from_slice(text.as_bytes()));
        let draft = read("user.created", r#"{"payload": {"n": 1}, "priority": "HIGH"}"#).expect("valid");
        assert_eq!(&draft.data[..], br#"{"n": 1}"#);
        assert_eq!(read("user.created", "{}").expect_err("no payload").code, Code::Invalid);
        assert_eq!(read("user.created", r#"{"payload":null}"#).map(|d| d.data), Ok(Bytes::from_static(b"null")));
        for bad in ["../x", "a/b", "a.*", "", ">", "a..b"] {
            assert_eq!(read(bad, r#"{"payload":1}"#).expect_err(bad).code, Code::Malformed);
        }
        assert_eq!(read("a", "[1]").expect_err("no object").code, Code::Malformed);
    }
}
