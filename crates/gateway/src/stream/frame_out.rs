//! Frames that go out, exactly as each dialect has them. An event is rendered once per form and shared by all sockets.

use bytes::Bytes;
use nexus_core::{
    event::{Seq, StoredEvent},
    problem::{Code, Problem},
    time::Timestamp,
    topic::TopicFilter,
};
use nexus_engine::tail::Entry;
use serde_json::{Value, json};

use super::{Dialect, consuming::About, watch::Keys};

/// Renderings kept with an entry: (dialect, form of the name), plus the record of `GET /api/v1/events`.
const NEO: usize = 0;
const CORE: usize = 3;
const KYROS: usize = 6;
const RECORD: usize = 7;

/// The frame of an event under `name` in a dialect.
pub(crate) fn event(entry: &Entry, dialect: Dialect, name: &str, alias: Option<&str>) -> Bytes {
    let topic = entry.event.topic.as_str();
    let form = if name == topic {
        Some(0)
    } else if is_screaming_of(name, topic) {
        Some(1)
    } else if Some(name) == alias {
        Some(2)
    } else {
        None
    };
    let slot = match (dialect, form) {
        (Dialect::Neo, Some(form)) => Some(NEO + form),
        (Dialect::Core, Some(form)) => Some(CORE + form),
        (Dialect::Kyros, Some(0)) => Some(KYROS),
        _ => None,
    };
    let render = |event: &StoredEvent| match dialect {
        Dialect::Neo => neo(event, name),
        Dialect::Core => core(event, name),
        Dialect::Kyros => kyros(event, name),
    };
    match slot {
        Some(slot) => entry.frame(slot, render),
        None => render(&entry.event).into(),
    }
}

/// The record of an event, shared between event streams.
pub(crate) fn shared_record(entry: &Entry) -> Bytes {
    entry.frame(RECORD, record)
}

/// Whether `name` is `topic` in capitals with `_` for `.`.
fn is_screaming_of(name: &str, topic: &str) -> bool {
    let shouted = |t: u8, n: u8| if t == b'.' { n == b'_' } else { n == t.to_ascii_uppercase() };
    name.len() == topic.len() && topic.bytes().zip(name.bytes()).all(|(t, n)| shouted(t, n))
}

fn neo(event: &StoredEvent, name: &str) -> String {
    format!(r#"{{"event":{},"payload":{},"timestamp":{}}}"#, text(name), payload(event), event.time.millis())
}

fn core(event: &StoredEvent, name: &str) -> String {
    format!(
        r#"{{"type":"event","topic":{},"payload":{},"timestamp":{},"id":"{}","seq":{}}}"#,
        text(name),
        payload(event),
        seconds(event.time),
        event.id,
        event.seq
    )
}

fn kyros(event: &StoredEvent, name: &str) -> String {
    let correlation =
        event.correlation.as_deref().map_or_else(String::new, |c| format!(r#""correlationId":{},"#, text(c)));
    format!(
        r#"{{"type":{},"payload":{},{correlation}"timestamp":"{}","source":"backend","id":"{}","seq":{}}}"#,
        text(name),
        payload(event),
        event.time,
        event.id,
        event.seq
    )
}

/// An event with all that the log knows of it.
pub(crate) fn record(event: &StoredEvent) -> String {
    let optional = |name: &str, value: Option<&str>| {
        value.map_or_else(String::new, |value| format!(r#""{name}":{},"#, text(value)))
    };
    let causation = event.causation.map(|c| c.to_string());
    format!(
        concat!(
            r#"{{"id":"{}","seq":{},"type":{},"source":{},{}"time":"{}","received":"{}","priority":"{}","#,
            r#""correlation_id":{},{}"depth":{},"attributes":{},"erased":{},"payload":{}}}"#
        ),
        event.id,
        event.seq,
        text(event.topic.as_str()),
        text(&event.source),
        optional("subject", event.subject.as_deref()),
        event.time,
        event.received,
        event.priority.as_str(),
        text(&event.correlation_id()),
        optional("causation_id", causation.as_deref()),
        event.depth,
        event.attributes.as_deref().unwrap_or("{}"),
        matches!(event.data, nexus_core::event::Data::Erased { .. }),
        payload(event)
    )
}

/// The data as JSON text on one line: a raw line break can only be white space between tokens.
pub(crate) fn payload(event: &StoredEvent) -> std::borrow::Cow<'_, str> {
    let text = String::from_utf8_lossy(event.json());
    if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ").into() } else { text }
}

/// Epoch seconds as a float, also when they are whole.
pub(crate) fn seconds(time: Timestamp) -> String {
    Value::from(time.secs_f64()).to_string()
}

fn text(value: &str) -> String {
    Value::from(value).to_string()
}

/// The answer to a subscription that was made at a place of the log (`epoch:seq`), or ended.
pub(crate) fn subscribed(dialect: Dialect, asked: &[String], position: Option<&str>) -> String {
    let word = if position.is_some() { "subscribed" } else { "unsubscribed" };
    let mut answer = match (dialect, asked) {
        (Dialect::Core, [topic]) => json!({"type": word, "topic": topic}),
        (Dialect::Core, topics) => json!({"type": word, "topics": topics}),
        (Dialect::Neo | Dialect::Kyros, events) => return json!({"status": word, "events": events}).to_string(),
    };
    placed(&mut answer, position);
    answer.to_string()
}

/// The answer to a watch that was made at a place of the log, or ended.
pub(crate) fn watched(keys: &Keys, position: Option<&str>) -> String {
    let word = if position.is_some() { "watching" } else { "unwatched" };
    let mut answer = match keys {
        Keys::One(key) => json!({"type": word, "key": key}),
        Keys::Prefix(prefix) => json!({"type": word, "prefix": prefix}),
    };
    placed(&mut answer, position);
    answer.to_string()
}

fn placed(answer: &mut Value, position: Option<&str>) {
    if let (Some(position), Some(fields)) = (position, answer.as_object_mut()) {
        fields.insert("position".to_owned(), position.into());
    }
}

/// A refusal. A frame of no dialect is answered so that both readers see it.
pub(crate) fn error(dialect: Option<Dialect>, code: Code, message: &str) -> String {
    let (code, both) = (code.as_str(), dialect.is_none());
    match dialect {
        Some(Dialect::Core) => json!({"type": "error", "code": code, "message": message}),
        _ if both => json!({"status": "error", "type": "error", "code": code, "message": message}),
        _ => json!({"status": "error", "code": code, "message": message}),
    }
    .to_string()
}

/// [`error`] for a problem.
pub(crate) fn problem(dialect: Option<Dialect>, problem: &Problem) -> String {
    error(dialect, problem.code, &problem.message)
}

/// [`problem`] about a lease or a subscription, which it names.
pub(crate) fn about(problem: &Problem, what: &About) -> String {
    let (name, value) = match what {
        About::Lease(lease) => ("lease", lease),
        About::Subscription(subscription) => ("subscription", subscription),
    };
    json!({"type": "error", "code": problem.code.as_str(), "message": problem.message, name: value}).to_string()
}

/// Events that are not sent.
pub(crate) fn gap(dialect: Dialect, from: Seq, to: Seq, reason: &str, now: Timestamp) -> String {
    match dialect {
        Dialect::Neo => json!({"status": "gap", "from": from, "to": to, "message": reason}),
        Dialect::Core => json!({"type": "gap", "from": from, "to": to, "message": reason}),
        Dialect::Kyros => json!({
            "type": "stream.gap", "payload": {"from": from, "to": to, "reason": reason},
            "timestamp": now.to_string(), "source": "backend",
        }),
    }
    .to_string()
}

/// The name that a filter's subscriber reads, and the frame; `None` when it does not match.
pub(crate) fn for_filter(entry: &Entry, dialect: Dialect, filter: &TopicFilter, alias: Option<&str>) -> Option<Bytes> {
    let name = filter.name_for(entry.event.topic.as_str(), alias)?;
    Some(event(entry, dialect, name, alias))
}

#[cfg(test)]
mod tests {
    use nexus_core::{
        event::{Data, Priority},
        id::EventId,
        topic::Topic,
    };

    use super::*;

    fn sample() -> StoredEvent {
        StoredEvent {
            seq: 7,
            id: EventId::from_bytes([1; 16]),
            topic: Topic::parse("payment.received").expect("valid"),
            source: "flowpay".into(),
            subject: None,
            time: Timestamp::from_millis(1_767_323_045_678),
            received: Timestamp::from_millis(1_767_323_045_000),
            priority: Priority::Normal,
            correlation: Some("c1".into()),
            causation: None,
            depth: 0,
            attributes: None,
            data: Data::Present { salt: [0; 16], json: Bytes::from_static(b"{\n\"n\":1}") },
            hash: [0; 32],
        }
    }

    fn value(text: &str) -> Value {
        serde_json::from_str(text).expect("valid JSON")
    }

    #[test]
    fn each_dialect_has_its_keys_and_types_exactly() {
        let event = sample();
        assert_eq!(
            value(&neo(&event, "PAYMENT_RECEIVED")),
            json!({"event": "PAYMENT_RECEIVED", "payload": {"n": 1}, "timestamp": 1_767_323_045_678_i64})
        );
        assert_eq!(
            value(&core(&event, "payment.received")),
            json!({"type": "event", "topic": "payment.received", "payload": {"n": 1}, "timestamp": 1_767_323_045.678,
                   "id": event.id.to_string(), "seq": 7})
        );
        assert_eq!(
            value(&kyros(&event, "payment.received")),
            json!({"type": "payment.received", "payload": {"n": 1}, "correlationId": "c1",
                   "timestamp": "2026-01-02T03:04:05.678Z", "source": "backend", "id": event.id.to_string(), "seq": 7})
        );
        assert!(!record(&event).contains('\n'));
        assert_eq!(value(&record(&event))["priority"], "NORMAL");
        assert_eq!(seconds(Timestamp::from_secs(5)), "5.0");
    }

    #[test]
    fn a_name_in_capitals_is_told_from_another() {
        assert!(is_screaming_of("PAYMENT_RECEIVED", "payment.received"));
        assert!(is_screaming_of("FOO_BAR_BAZ", "foo.bar_baz"));
        assert!(!is_screaming_of("PAYMENT_FAILED__", "payment.received"));
        assert!(!is_screaming_of("Payment_Received", "payment.received"));
    }
}
