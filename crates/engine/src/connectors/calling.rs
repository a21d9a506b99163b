//! What a connector is called with, and what that gives.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use nexus_core::{event::Priority, id::EventId};
use serde_json::Value;

/// How deep in a chain of cause and effect a request is.
const DEPTH: HeaderName = HeaderName::from_static("x-nexus-depth");

/// A call.
#[derive(Clone, Debug)]
pub struct ConnectorCall {
    /// Which connector.
    pub connector: String,
    /// Which of its operations.
    pub operation: String,
    /// Which connection; absent = the only one.
    pub connection: Option<String>,
    /// What it is called with.
    pub input: Value,
    /// The same key is the same call, also after a crash; absent = one is made for this call alone.
    pub key: Option<String>,
    /// Whose turn comes first when calls must wait.
    pub priority: Priority,
    /// How long it may wait for its turn and between attempts, together.
    pub patience: Duration,
    /// Steps from the first cause, this call's own not counted.
    pub depth: u8,
    /// What it belongs to: whoever is called hands it back with what it causes.
    pub correlation: Option<String>,
    /// The event that caused it.
    pub causation: Option<EventId>,
    /// The trace it is part of.
    pub traceparent: Option<String>,
}

impl ConnectorCall {
    /// With the usual rest: normal priority, 30 s of patience.
    pub fn new(connector: impl Into<String>, operation: impl Into<String>, input: Value) -> Self {
        Self {
            connector: connector.into(),
            operation: operation.into(),
            connection: None,
            input,
            key: None,
            priority: Priority::Normal,
            patience: Duration::from_secs(30),
            depth: 0,
            correlation: None,
            causation: None,
            traceparent: None,
        }
    }

    /// Where it belongs, as headers that an effect of it is sent back with.
    pub(super) fn lineage(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(DEPTH, HeaderValue::from(u16::from(self.depth) + 1));
        let causation = self.causation.map(|id| id.to_string());
        let texts = [
            ("x-correlation-id", self.correlation.as_deref()),
            ("x-causation-id", causation.as_deref()),
            ("traceparent", self.traceparent.as_deref()),
        ];
        for (name, text) in texts {
            // A correlation id that no header can hold ties nothing together; the call is good all the same.
            if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

/// Where a request for several calls belongs: what all of them say, and the greatest depth.
pub(super) fn shared_lineage<'a>(all: impl Iterator<Item = &'a HeaderMap> + Clone) -> HeaderMap {
    let depth = |headers: &HeaderMap| headers.get(DEPTH)?.to_str().ok()?.parse::<u16>().ok();
    let deepest = all.clone().filter_map(depth).max();
    let mut shared = all.clone().next().cloned().unwrap_or_default();
    for headers in all {
        let differ = shared.iter().filter(|(name, value)| headers.get(*name) != Some(value));
        let differ: Vec<_> = differ.map(|(name, _)| name.clone()).collect();
        differ.iter().for_each(|name| drop(shared.remove(name)));
    }
    if let Some(deepest) = deepest {
        shared.insert(DEPTH, HeaderValue::from(deepest));
    }
    shared
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// The operation's output.
    pub output: Value,
    /// The connection that was used; `-` where none is needed.
    pub connection: String,
    /// Requests that were sent for it, also for others together with it.
    pub requests: u32,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_calls_belong_where_each_of_them_does_and_as_deep_as_the_deepest() {
        let call = |correlation: &str, traceparent: &str, depth| ConnectorCall {
            correlation: Some(correlation.into()),
            traceparent: Some(traceparent.into()),
            depth,
            ..ConnectorCall::new("c", "o", json!({}))
        };
        let all = [call("order-7", "00-a-b-01", 3), call("order-7", "00-c-d-01", 1), call("order-7", "00-a-b-01", 2)];
        let headers: Vec<HeaderMap> = all.iter().map(ConnectorCall::lineage).collect();
        let shared = shared_lineage(headers.iter());
        assert_eq!(shared.get("x-correlation-id").and_then(|v| v.to_str().ok()), Some("order-7"));
        assert_eq!(shared.get("x-nexus-depth").and_then(|v| v.to_str().ok()), Some("4"));
        assert!(!shared.contains_key("traceparent"));
    }
}
