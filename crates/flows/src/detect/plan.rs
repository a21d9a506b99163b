//! A detector as a flow declares it: which events concern it, of which key, and what a match publishes.

use std::collections::BTreeMap;

use nexus_core::time::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::{Detector, Memory, Signal, Verdict};
use crate::{
    expression::Expression,
    openapi::plain,
    plan::{FilterPlan, FlowId},
};

/// Detectors of one flow.
pub const DETECTORS: usize = 20;
/// The type of the event that a match publishes, where the flow names no other.
pub const MATCHED: &str = "dev.nexus.pattern.matched.v1";
/// Bytes of a key; a longer one, or one with control characters, is kept as its digest.
const KEY_BYTES: usize = 256;

/// One detector of a flow, from its `nexus.dev/detect`.
#[derive(Debug)]
pub struct DetectPlan {
    /// Its name, unique in the flow.
    pub name: String,
    /// What is detected.
    pub detector: Detector,
    /// Digest of its definition but for `emit`: what is remembered under another is not its own.
    pub digest: String,
    /// The type of the event that a match publishes.
    pub emit: String,
    /// The events that are counted, that begin the wait, that come first, that hold the number.
    pub first: FilterPlan,
    /// The events that end an absence, or that come second.
    pub second: Option<FilterPlan>,
    /// The events that may not stand between.
    pub breaking: Option<FilterPlan>,
    /// What tells one key from another; without, there is one for all.
    pub key: Option<Expression>,
    /// The number of a threshold.
    pub number: Option<Expression>,
}

/// What an event is to one detector: to be given to [`Detector::observe`] with the memory of this key, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Which of the flow's detectors, by its place in `Settings::detect`.
    pub detector: usize,
    /// Whose memory.
    pub key: String,
    /// What it is.
    pub signal: Signal,
}

/// The digest of a detector's definition, in whichever order its fields stand.
pub(crate) fn definition_digest(source: &Value) -> String {
    let mut source = sorted(source);
    if let Some(fields) = source.as_object_mut() {
        fields.remove("emit");
    }
    let digest = digest(&SHA256, source.to_string().as_bytes());
    data_encoding::HEXLOWER.encode(digest.as_ref().get(..8).unwrap_or_default())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let ordered: BTreeMap<&String, Value> = fields.iter().map(|(key, value)| (key, sorted(value))).collect();
            ordered.into_iter().map(|(key, value)| (key.clone(), value)).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// A match: all that its event says.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Which of the flow's detectors.
    pub detector: usize,
    /// Of which key.
    pub key: String,
    /// When.
    pub at: Timestamp,
    /// When it began.
    pub since: Option<Timestamp>,
    /// The number that crossed the limit.
    pub number: Option<f64>,
}

impl Match {
    /// The match that a verdict speaks of, if it does.
    pub fn of(hit: &Hit, verdict: &Verdict, at: Timestamp) -> Option<Self> {
        let number = match hit.signal {
            Signal::Number(number) => Some(number),
            _ => None,
        };
        verdict.matched.then(|| Self { detector: hit.detector, key: hit.key.clone(), at, since: verdict.since, number })
    }
}

impl DetectPlan {
    /// The types of events that concern it; `None` for a filter without one: any event may.
    pub fn kinds(&self) -> impl Iterator<Item = Option<&str>> {
        [Some(&self.first), self.second.as_ref(), self.breaking.as_ref()].into_iter().flatten().map(FilterPlan::kind)
    }

    /// What the event (a CloudEvent) is to it, in the order in which it counts: what breaks or ends comes before what
    /// begins, so that an event that is both ends the old wait and begins a new one.
    pub fn signals(&self, event: &Value) -> Vec<Signal> {
        let is = |filter: &FilterPlan| filter.matches(event, &());
        let mut found = Vec::new();
        if self.breaking.as_ref().is_some_and(is) {
            found.push(Signal::Breaking);
        }
        if self.second.as_ref().is_some_and(is) {
            found.push(Signal::Second);
        }
        if is(&self.first) {
            match &self.number {
                None => found.push(Signal::First),
                Some(number) => {
                    let value = number.eval(event, &()).ok();
                    found.extend(value.as_ref().and_then(Value::as_f64).map(Signal::Number));
                }
            }
        }
        found
    }

    /// Whose memory the event concerns. `None`: it has no such key, and counts for nobody.
    pub fn key(&self, event: &Value) -> Option<String> {
        let Some(key) = &self.key else { return Some(String::new()) };
        let value = key.eval(event, &()).ok().filter(|value| !value.is_null())?;
        let text = plain(&value);
        if text.len() <= KEY_BYTES && !text.contains(char::is_control) {
            return Some(text);
        }
        let digest = digest(&SHA256, text.as_bytes());
        Some(format!("sha256:{}", data_encoding::HEXLOWER.encode(digest.as_ref())))
    }

    /// What the event is to it and whose memory it concerns; `n` is its place among the flow's detectors.
    pub fn hits(&self, n: usize, event: &Value) -> Vec<Hit> {
        let signals = self.signals(event);
        if signals.is_empty() {
            return Vec::new();
        }
        let Some(key) = self.key(event) else { return Vec::new() };
        signals.into_iter().map(|signal| Hit { detector: n, key: key.clone(), signal }).collect()
    }

    /// The CloudEvent that a match publishes: the same match gives the same event, its id included. `event` is the one
    /// that completed the pattern; a wait that is over has none.
    pub fn matched(&self, flow: &FlowId, found: &Match, event: Option<&Value>) -> Value {
        let mut data = Map::new();
        data.insert("flow".into(), json!({"namespace": flow.namespace, "name": flow.name, "version": flow.version}));
        data.insert("detector".into(), self.name.clone().into());
        data.insert("detected".into(), self.detector.kind().into());
        data.insert("key".into(), found.key.clone().into());
        data.insert("at".into(), found.at.to_string().into());
        if let Some(since) = found.since {
            data.insert("since".into(), since.to_string().into());
        }
        if let Detector::Count { count, .. } = &self.detector {
            data.insert("count".into(), (*count).into());
        }
        if let Some(number) = found.number {
            data.insert("number".into(), number.into());
        }
        // Which event it was, not what it held: what is erased from the log must not live on here.
        if let Some(event) = event {
            let named = ["id", "type", "source", "subject", "time"];
            let shown: Map<String, Value> =
                named.iter().filter_map(|name| Some(((*name).to_owned(), event.get(*name)?.clone()))).collect();
            data.insert("event".into(), shown.into());
        }
        let mut made = json!({
            "specversion": "1.0",
            "id": self.id(flow, found, event),
            "source": format!("/flows/{}/{}", flow.namespace, flow.name),
            "type": self.emit,
            "time": found.at.to_string(),
            "datacontenttype": "application/json",
            "data": data,
        });
        if !found.key.is_empty() {
            made["subject"] = found.key.clone().into();
        }
        made
    }

    fn id(&self, flow: &FlowId, found: &Match, event: Option<&Value>) -> String {
        let event = event.and_then(|event| event.get("id")).map(plain).unwrap_or_default();
        let parts =
            [flow.namespace.as_str(), &flow.name, &self.name, &found.key, &found.at.micros().to_string(), &event];
        // Lengths keep the parts apart, whatever stands in them.
        let text: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
        let digest = digest(&SHA256, text.as_bytes());
        data_encoding::HEXLOWER.encode(digest.as_ref().get(..16).unwrap_or_default())
    }

    /// Takes what concerns one key.
    pub fn observe(&self, memory: &mut Memory, signal: Signal, at: Timestamp) -> Verdict {
        self.detector.observe(memory, signal, at)
    }
}

impl Detector {
    /// Its kind, as flows name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Count { .. } => "count",
            Self::Absence { .. } => "absence",
            Self::Sequence { .. } => "sequence",
            Self::Threshold { .. } => "threshold",
        }
    }
}
