//! Frames that come in: NEO has `action`, Core has `type`; whatever else is answered with an error frame.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use nexus_core::{
    json,
    limits::{CONSUMER_HELD, JSON_DEPTH, SOCKET_SUBSCRIPTIONS},
    problem::{Code, Problem},
    topic::TopicFilter,
};
use nexus_engine::tail::Start;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{Dialect, consuming::Consumption, parse_since, since_form, watch::Keys};
use crate::ingress::{Draft, draft_priority};

/// What a frame asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Events that match, under the names asked for.
    Subscribe {
        /// Language of the subscription.
        dialect: Dialect,
        /// What to match.
        filters: Vec<TopicFilter>,
        /// As they were written.
        names: Vec<String>,
        /// Where to begin; the present when absent.
        since: Option<Start>,
    },
    /// No more of these.
    Unsubscribe {
        /// Language of the subscription.
        dialect: Dialect,
        /// What not to match any more.
        filters: Vec<TopicFilter>,
        /// As they were written.
        names: Vec<String>,
    },
    /// Changes of a key of the state, or of those that begin alike.
    Watch {
        /// Which.
        keys: Keys,
        /// Where to begin; the present when absent.
        since: Option<Start>,
    },
    /// No more of these.
    Unwatch(Keys),
    /// An event to store.
    Publish(Box<Draft>),
    /// Something about deliveries of subscriptions that are consumed.
    Consumption(Consumption),
    /// A sign of life.
    Ping,
}

/// Why a frame is refused, and in which language to say so.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Its language, where it could be told.
    pub(crate) dialect: Option<Dialect>,
    /// Why.
    pub(crate) problem: Problem,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(default)]
    action: Value,
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    events: Value,
    #[serde(default)]
    topic: Value,
    #[serde(default)]
    topics: Value,
    #[serde(default, borrow)]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    priority: Value,
    #[serde(default)]
    since: Value,
    #[serde(default)]
    subscription: Value,
    #[serde(default)]
    max: Value,
    #[serde(default)]
    lease: Value,
    #[serde(default)]
    leases: Value,
    #[serde(default)]
    delay_ms: Value,
    #[serde(default)]
    reason: Value,
    #[serde(default)]
    ms: Value,
    #[serde(default)]
    key: Value,
    #[serde(default)]
    prefix: Value,
}

/// Reads a text frame.
pub(crate) fn parse(text: &Bytes) -> Result<Asked, Refused> {
    let unknown = |problem| Refused { dialect: None, problem };
    json::check(text, JSON_DEPTH).map_err(|error| unknown(error.into()))?;
    let frame: Frame<'_> = serde_json::from_slice(text).map_err(|_| unknown(wrong("a frame must be a JSON object")))?;
    if !frame.action.is_null() {
        return neo(&frame).map_err(|problem| Refused { dialect: Some(Dialect::Neo), problem });
    }
    if !frame.kind.is_null() {
        return core(&frame, text).map_err(|problem| Refused { dialect: Some(Dialect::Core), problem });
    }
    Err(unknown(wrong(format!(r#"a frame needs "action" (subscribe, unsubscribe) or "type" ({TYPES})"#))))
}

fn wrong(message: impl Into<String>) -> Problem {
    Problem::new(Code::Malformed, message)
}

/// The texts of a list that is not empty.
fn texts(list: &Value, field: &str, form: &str) -> Result<Vec<String>, Problem> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Option<Vec<String>> = items.iter().map(|v| v.as_str().map(str::to_owned)).collect();
    match names.filter(|names| !names.is_empty()) {
        Some(names) if names.len() <= SOCKET_SUBSCRIPTIONS => Ok(names),
        Some(_) => Err(Problem::new(Code::TooLarge, format!("at most {SOCKET_SUBSCRIPTIONS} {field}"))),
        None => Err(wrong(format!("{field} must be a list of names or filters: {form}"))),
    }
}

fn neo(frame: &Frame<'_>) -> Result<Asked, Problem> {
    let form = r#"{"action":"subscribe","events":["PAYMENT_RECEIVED"]}"#;
    let names = || texts(&frame.events, "events", form);
    let dialect = Dialect::Neo;
    match frame.action.as_str() {
        Some("subscribe") => {
            let names = names()?;
            Ok(Asked::Subscribe { dialect, filters: filters(&names)?, names, since: since(&frame.since)? })
        }
        Some("unsubscribe") => {
            let names = names()?;
            Ok(Asked::Unsubscribe { dialect, filters: filters(&names)?, names })
        }
        _ => Err(wrong(format!("unknown action {}; subscribe and unsubscribe are known: {form}", frame.action))),
    }
}

/// The types of frames of the Core dialect.
const TYPES: &str = "subscribe, unsubscribe, publish, watch, unwatch, consume, ack, nack, extend, ping";

fn core(frame: &Frame<'_>, text: &Bytes) -> Result<Asked, Problem> {
    let topic = || match &frame.topic {
        Value::String(topic) => Ok(topic.clone()),
        Value::Null => Err(wrong("topic is missing")),
        other => Err(wrong(format!("topic must be a text, not {other}"))),
    };
    // Several at once begin at one place, so that a client that comes back misses nothing between two frames.
    let names = || match &frame.topics {
        Value::Null => Ok(vec![topic()?]),
        list => texts(list, "topics", r#"{"type":"subscribe","topics":["order.*","user.created"]}"#),
    };
    let dialect = Dialect::Core;
    match frame.kind.as_str() {
        Some("subscribe") => {
            let names = names()?;
            Ok(Asked::Subscribe { dialect, filters: filters(&names)?, names, since: since(&frame.since)? })
        }
        Some("unsubscribe") => {
            let names = names()?;
            Ok(Asked::Unsubscribe { dialect, filters: filters(&names)?, names })
        }
        Some("publish") => {
            let payload = frame
                .payload
                .ok_or_else(|| wrong(r#"payload is missing; send "payload": …, null where there is none"#))?;
            let data = text.slice_ref(payload.get().as_bytes());
            let mut draft = Draft::new(&topic()?, data, text.clone())?;
            draft.priority = draft_priority(&frame.priority)?;
            Ok(Asked::Publish(Box::new(draft)))
        }
        Some("watch") => Ok(Asked::Watch { keys: keys(frame)?, since: since(&frame.since)? }),
        Some("unwatch") => Ok(Asked::Unwatch(keys(frame)?)),
        Some("ping") => Ok(Asked::Ping),
        Some("consume" | "ack" | "nack" | "extend") => consumption(frame).map(Asked::Consumption),
        _ => Err(wrong(format!("unknown type {}; known: {TYPES}", frame.kind))),
    }
}

fn consumption(frame: &Frame<'_>) -> Result<Consumption, Problem> {
    let millis = |name, value| number(name, value).map(|n| n.map(Duration::from_millis));
    Ok(match frame.kind.as_str() {
        Some("consume") => {
            let most = number("max", &frame.max)?.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            Consumption::Consume { subscription: needed("subscription", &frame.subscription)?, most }
        }
        Some("ack") => Consumption::Ack(leases(frame)?),
        Some("nack") => {
            let reason = (!frame.reason.is_null()).then(|| needed("reason", &frame.reason)).transpose()?;
            let delay = millis("delay_ms", &frame.delay_ms)?;
            Consumption::Nack { lease: needed("lease", &frame.lease)?, delay, reason }
        }
        _ => Consumption::Extend { lease: needed("lease", &frame.lease)?, by: millis("ms", &frame.ms)? },
    })
}

/// `lease`, or several as `leases`.
fn leases(frame: &Frame<'_>) -> Result<Vec<String>, Problem> {
    let Some(items) = frame.leases.as_array() else { return Ok(vec![needed("lease", &frame.lease)?]) };
    if items.is_empty() || items.len() > CONSUMER_HELD {
        return Err(wrong(format!("leases must name 1 to {CONSUMER_HELD} leases")));
    }
    items.iter().map(|item| needed("leases", item)).collect()
}

fn needed(name: &str, value: &Value) -> Result<String, Problem> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(wrong(format!("{name} must be a text, not {value}"))),
    }
}

fn number(name: &str, value: &Value) -> Result<Option<u64>, Problem> {
    match value {
        Value::Null => Ok(None),
        value => value.as_u64().map(Some).ok_or_else(|| wrong(format!("{name} must be a whole number, not {value}"))),
    }
}

fn keys(frame: &Frame<'_>) -> Result<Keys, Problem> {
    let text = |value: &Value| match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(wrong(format!("key and prefix are texts, not {other}"))),
    };
    Keys::of(text(&frame.key)?, text(&frame.prefix)?)
}

fn filters(names: &[String]) -> Result<Vec<TopicFilter>, Problem> {
    names.iter().map(|name| TopicFilter::parse(name).map_err(|error| wrong(format!("{name:?}: {error}")))).collect()
}

fn since(value: &Value) -> Result<Option<Start>, Problem> {
    let text: Cow<'_, str> = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => number.to_string().into(),
        _ => return Err(since_form("since")),
    };
    parse_since(&text).map(Some).ok_or_else(|| since_form("since"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Asked, Refused> {
        parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn the_frame_chooses_the_dialect() {
        let neo = read(r#"{"action":"subscribe","events":["PAYMENT_RECEIVED","mint.*"],"since":5}"#).expect("valid");
        let Asked::Subscribe { dialect: Dialect::Neo, names, since: Some(Start::After(5)), .. } = neo else {
            panic!("{neo:?}");
        };
        assert_eq!(names, ["PAYMENT_RECEIVED", "mint.*"]);
        let core = read(r#"{"type":"publish","topic":"user.created","payload":{"n":1},"priority":"HIGH"}"#);
        assert!(matches!(core, Ok(Asked::Publish(d)) if &d.data[..] == br#"{"n":1}"#));
        assert!(matches!(read(r#"{"type":"ping"}"#), Ok(Asked::Ping)));
    }

    #[test]
    fn every_wrong_frame_is_refused_in_its_own_dialect() {
        let cases = [
            (None, "hello"),
            (None, "[]"),
            (None, "{}"),
            (None, "7"),
            (None, r#"{"events":["a"]}"#),
            (None, r#"{"action":"subscribe","action":"x"}"#),
            (Some(Dialect::Neo), r#"{"action":"subscribe"}"#),
            (Some(Dialect::Neo), r#"{"action":"subscribe","events":[]}"#),
            (Some(Dialect::Neo), r#"{"action":"subscribe","events":"a"}"#),
            (Some(Dialect::Neo), r#"{"action":"subscribe","events":["a",7]}"#),
            (Some(Dialect::Neo), r#"{"action":"subscribe","events":["a..b"]}"#),
            (Some(Dialect::Neo), r#"{"action":"dance","events":["a"]}"#),
            (Some(Dialect::Neo), r#"{"action":7}"#),
            (Some(Dialect::Neo), r#"{"action":"subscribe","events":["a"],"since":"x"}"#),
            (Some(Dialect::Core), r#"{"type":"subscribe"}"#),
            (Some(Dialect::Core), r#"{"type":"subscribe","topics":[]}"#),
            (Some(Dialect::Core), r#"{"type":"subscribe","topics":["a",null]}"#),
            (Some(Dialect::Core), r#"{"type":"publish","topic":"a.*","payload":1}"#),
            (Some(Dialect::Core), r#"{"type":"publish","topic":"a","payload":1,"priority":9}"#),
            (Some(Dialect::Core), r#"{"type":"nope"}"#),
            (Some(Dialect::Core), r#"{"type":"consume"}"#),
            (Some(Dialect::Core), r#"{"type":"consume","subscription":"a","max":-1}"#),
            (Some(Dialect::Core), r#"{"type":"consume","subscription":7}"#),
            (Some(Dialect::Core), r#"{"type":"ack"}"#),
            (Some(Dialect::Core), r#"{"type":"ack","leases":[]}"#),
            (Some(Dialect::Core), r#"{"type":"ack","leases":[7]}"#),
            (Some(Dialect::Core), r#"{"type":"nack","lease":"x","delay_ms":"soon"}"#),
            (Some(Dialect::Core), r#"{"type":"nack","lease":"x","reason":7}"#),
            (Some(Dialect::Core), r#"{"type":"extend","lease":"x","ms":1.5}"#),
            (Some(Dialect::Core), r#"{"type":"watch"}"#),
            (Some(Dialect::Core), r#"{"type":"watch","key":7}"#),
            (Some(Dialect::Core), r#"{"type":"watch","key":"a","prefix":"a"}"#),
            (Some(Dialect::Core), r#"{"type":"unwatch","key":""}"#),
        ];
        for (dialect, text) in cases {
            let refused = read(text).expect_err(text);
            assert_eq!(refused.dialect, dialect, "{text}");
            assert!(!refused.problem.message.is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_frame_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&Bytes::from(bytes));
        }

        #[test]
        fn no_object_with_the_known_keys_panics(
            key in "(action|type|events|topic|topics|since|priority|payload)",
            value in "(\\[\\]|null|7|\"subscribe\"|\"publish\"|\\{\\}|true|\"\\\\u0041\"|-1e9)",
            second in "(\"subscribe\"|\"ping\"|\"publish\"|1)",
        ) {
            let _ = read(&format!(r#"{{"type":{second},"{key}":{value}}}"#));
            let _ = read(&format!(r#"{{"action":{second},"{key}":{value}}}"#));
        }
    }
}
