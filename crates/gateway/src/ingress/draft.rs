//! An event as a body said it, before it is anybody's: the common form of every dialect that comes in.

use bytes::Bytes;
use nexus_core::{
    event::{Attributes, Priority},
    json,
    limits::{BATCH_EVENTS, JSON_DEPTH},
    problem::{Code, Problem},
    topic::Topic,
};
use nexus_engine::jq::Jq;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::error::malformed;

/// An event as a body said it.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// Its name as it was sent, for the answer.
    pub(crate) name: String,
    /// The name, folded.
    pub(crate) topic: Topic,
    /// One JSON value.
    pub(crate) data: Bytes,
    /// What it is about.
    pub(crate) subject: Option<String>,
    /// What it belongs to, by its own word.
    pub(crate) correlation: Option<String>,
    /// Delivery lane.
    pub(crate) priority: Priority,
    /// Extensions.
    pub(crate) attributes: Attributes,
    /// What makes a repeat of it harmless: an id that is unique for its producer.
    pub(crate) key: Option<String>,
    /// The producer's id of it, to be kept with it.
    pub(crate) source_id: Option<String>,
    /// Where it comes from by its own word (CloudEvents `source`).
    pub(crate) said_source: Option<String>,
    /// The bytes that tell a repeat from another body under the same key.
    pub(crate) digested: Bytes,
}

impl Draft {
    /// A plain event with this name and data.
    pub(crate) fn new(name: &str, data: Bytes, digested: Bytes) -> Result<Self, Problem> {
        Ok(Self::of_topic(name.to_owned(), topic(name)?, data, digested))
    }

    /// The same for a name that is folded already.
    pub(crate) fn of_topic(name: String, topic: Topic, data: Bytes, digested: Bytes) -> Self {
        Self {
            name,
            topic,
            data,
            subject: None,
            correlation: None,
            priority: Priority::default(),
            attributes: Attributes::default(),
            key: None,
            source_id: None,
            said_source: None,
            digested,
        }
    }

    /// With the producer's id, where it gave one.
    pub(crate) fn identified(mut self, id: Option<String>) -> Self {
        self.source_id.clone_from(&id);
        self.key = id;
        self
    }
}

/// An event's name from outside.
pub(crate) fn topic(name: &str) -> Result<Topic, Problem> {
    Topic::parse(name).map_err(|error| malformed(format!("event {name:?}: {error}")))
}

/// A priority as `0..3` or its name.
pub(crate) fn priority(value: &Value) -> Result<Priority, Problem> {
    let read = match value {
        Value::Null => return Ok(Priority::default()),
        Value::Number(n) => n.as_u64().and_then(Priority::from_number),
        Value::String(name) => name.parse().ok(),
        _ => None,
    };
    read.ok_or_else(|| Problem::field("priority", format!("{value} is none; LOW, NORMAL, HIGH, CRITICAL or 0 to 3")))
}

/// What a source's own mapping gives for one event.
#[derive(Deserialize)]
struct Mapped<'a> {
    event: String,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    priority: Value,
    #[serde(default)]
    id: Option<String>,
}

/// The events that a source's jq mapping makes of a body.
pub(crate) fn mapped(mapping: &Jq, body: &Bytes) -> Result<Vec<Draft>, Problem> {
    json::check(body, JSON_DEPTH)?;
    let wrong = |what: String| malformed(format!("the source's mapping does not fit this body: {what}"));
    let result = mapping.run_text(body).map_err(|error| wrong(error.to_string()))?;
    let several = result.trim_start().starts_with('[');
    let list: Vec<Mapped<'_>> =
        if several { serde_json::from_str(&result) } else { serde_json::from_str(&result).map(|one| vec![one]) }
            .map_err(|error| wrong(format!("it must give {{event, payload}} or a list of them ({error})")))?;
    if list.len() > BATCH_EVENTS {
        return Err(Problem::new(Code::TooLarge, format!("more than {BATCH_EVENTS} events in one request")));
    }
    let one = list.len() == 1;
    list.into_iter()
        .map(|mapped| {
            let data = Bytes::copy_from_slice(mapped.payload.get().as_bytes());
            let digested = if one { body.clone() } else { data.clone() };
            let mut draft = Draft::new(&mapped.event, data, digested)?;
            draft.subject = mapped.subject;
            draft.priority = priority(&mapped.priority)?;
            Ok(draft.identified(mapped.id))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn priorities_are_numbers_or_names() {
        assert_eq!(priority(&json!(3)), Ok(Priority::Critical));
        assert_eq!(priority(&json!("low")), Ok(Priority::Low));
        assert_eq!(priority(&Value::Null), Ok(Priority::Normal));
        for bad in [json!(4), json!(-1), json!("urgent"), json!([]), json!(1.5)] {
            assert_eq!(priority(&bad).map_err(|p| p.code), Err(Code::Invalid), "{bad}");
        }
    }

    #[test]
    fn a_mapping_makes_one_event_or_several() {
        let body = Bytes::from_static(br#"{"kind":"paid","lines":[1,2]}"#);
        let one = Jq::compile(r#"{event: ("order." + .kind), payload: .lines}"#).expect("compiles");
        let drafts = mapped(&one, &body).expect("fits");
        assert_eq!((drafts.len(), drafts[0].topic.as_str()), (1, "order.paid"));
        assert_eq!(&drafts[0].data[..], b"[1,2]");
        let several = Jq::compile(r#"[.lines | map({event: "line.seen", payload: .})][0]"#).expect("compiles");
        assert_eq!(mapped(&several, &body).expect("fits").len(), 2);
        let wrong = Jq::compile(".kind").expect("compiles");
        assert_eq!(mapped(&wrong, &body).expect_err("no event").code, Code::Malformed);
    }
}
