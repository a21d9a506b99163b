//! Flows without a hub: a run is played in memory, on a clock that jumps, with stand-ins for everything outside. Nothing
//! is stored, nothing is sent. For `nexus flows test`, and to see what a new version would have done with past events.
//!
//! - [`stub`]: what answers in place of the outside.
//! - [`recorded()`]: stand-ins from what a run did.
//! - `world`: the host in memory.
//! - [`mod@diff`]: what two rehearsals did differently.
//! - [`case`], [`check`]: tables of cases, as people write them, and whether they hold.

pub mod case;
pub mod check;
pub mod diff;
mod recorded;
pub mod stub;
mod world;

use std::{collections::BTreeMap, time::Duration};

pub use diff::diff;
use nexus_core::time::Timestamp;
pub use recorded::recorded;
use serde::Serialize;
use serde_json::{Map, Value, json};
pub use stub::{Reply, Selection, Stub};

use crate::{
    effect::{Outcome, Step, StepPhase},
    plan::{Definition, FlowId},
    run::Waiting,
    secrets::Secrets,
};

/// Steps of all runs together; a rehearsal beyond them goes in a circle.
pub const STEPS: usize = 20_000;
/// Runs of one rehearsal, the flow's own and those it starts.
pub const RUNS: usize = 500;
/// When a rehearsal begins, where its script does not say.
pub const BEGINS: Timestamp = Timestamp::from_secs(1_767_225_600);
/// The run's id, where its script does not say.
pub const RUN: &str = "rehearsal";

/// What happens to the run.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it is given.
    pub input: Value,
    /// The secrets there are; those that are declared and not here get a made-up value.
    pub secrets: Secrets,
    /// What answers in place of the outside, the first that fits.
    pub stubs: Vec<Stub>,
    /// The events that come, each so long after the beginning.
    pub events: Vec<(Duration, Value)>,
    /// How much time passes. `None`: as much as it takes.
    pub advance: Option<Duration>,
    /// When it begins.
    pub begins: Timestamp,
    /// The run's id, as `$workflow.id` shows it.
    pub run: String,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            input: Value::Null,
            secrets: Secrets::default(),
            stubs: Vec::new(),
            events: Vec::new(),
            advance: None,
            begins: BEGINS,
            run: RUN.to_owned(),
        }
    }
}

/// A call that was made, as people may see it: without secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Called {
    /// The run that made it: empty for the flow's own, else the way to it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// The task, as a pointer.
    pub task: String,
    /// The task's name.
    pub name: String,
    /// When, since the beginning.
    #[serde(serialize_with = "millis")]
    pub after_ms: Duration,
    /// What was called.
    #[serde(flatten)]
    pub what: What,
}

/// What was called.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum What {
    /// A request.
    Http {
        /// In capitals.
        method: String,
        /// With its query.
        uri: String,
        /// Without those of the authentication.
        #[serde(skip_serializing_if = "Map::is_empty")]
        headers: Map<String, Value>,
        /// What was sent.
        #[serde(skip_serializing_if = "Value::is_null")]
        body: Value,
        /// How it was proven who calls.
        #[serde(skip_serializing_if = "Value::is_null")]
        authentication: Value,
    },
    /// A function of the hub.
    Function {
        /// Its name.
        function: String,
        /// Its version.
        version: String,
        /// Its arguments.
        with: Value,
    },
    /// Another flow that is not at hand.
    Flow {
        /// Which.
        flow: String,
        /// Its input.
        input: Value,
    },
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http { method, uri, .. } => write!(f, "{method} {uri}"),
            Self::Function { function, version, .. } => write!(f, "{function}:{version}@default"),
            Self::Flow { flow, .. } => write!(f, "the flow {flow}"),
        }
    }
}

/// Why a rehearsal came to no end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Stopped {
    /// It would call something that nothing stands in for.
    WouldCall(Called),
    /// It goes in a circle.
    Circle {
        /// What was counted.
        limit: String,
    },
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WouldCall(called) => write!(f, "{} would call {}", called.task, called.what),
            Self::Circle { limit } => write!(f, "it seems to go in a circle: {limit}"),
        }
    }
}

/// What came of a rehearsal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rehearsal {
    /// Of which flow.
    pub flow: FlowId,
    /// As lifecycle events name it; `stopped` when it came to no end.
    pub status: String,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it came to no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// What its tasks did, in order; those of flows it ran are not among them.
    #[serde(serialize_with = "times")]
    pub steps: Vec<Step>,
    /// The calls that were made, those of flows it ran included.
    pub calls: Vec<Called>,
    /// The events that were published, those of flows it ran included.
    pub emitted: Vec<Value>,
    /// What it waits for.
    #[serde(serialize_with = "times")]
    pub waiting: Vec<Waiting>,
    /// How much time passed on its clock.
    #[serde(serialize_with = "millis")]
    pub took_ms: Duration,
    /// What its expressions cost, in steps of their evaluation.
    pub cost: u64,
}

impl Rehearsal {
    /// The names of the tasks that began, in order.
    pub fn began(&self) -> Vec<&str> {
        self.steps.iter().filter(|step| step.phase == StepPhase::Started).map(|step| step.name.as_str()).collect()
    }

    /// Its output, where it completed.
    pub fn output(&self) -> Option<&Value> {
        match &self.outcome {
            Some(Outcome::Completed { output }) => Some(output),
            _ => None,
        }
    }

    /// Its error, where it faulted.
    pub fn error(&self) -> Option<Value> {
        match &self.outcome {
            Some(Outcome::Faulted { error }) => Some(error.to_value()),
            _ => None,
        }
    }
}

fn millis<S: serde::Serializer>(length: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

/// With times as people read them.
fn times<T: Serialize, S: serde::Serializer>(things: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(things.iter().map(readable))
}

/// A step or a wait with its times as people read them.
pub(crate) fn readable(thing: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(thing).unwrap_or_default();
    for key in ["at", "until"] {
        if let Some(time) = value.get_mut(key)
            && let Some(micros) = time.as_i64()
        {
            *time = Timestamp::from_micros(micros).to_string().into();
        }
    }
    value
}

/// Other flows, by `namespace/name@version`, that a flow may run.
pub type Others<'d> = BTreeMap<String, &'d Definition>;

/// Plays a run of `definition`. `others`: the flows that it may run; one that is not there is a call like any other.
pub fn rehearse(definition: &Definition, others: &Others<'_>, script: Script) -> Rehearsal {
    world::World::new(definition, others, script).play()
}

/// An event with what every event has, where it lacks it: enough to write only type and data in a case.
pub fn complete(event: &Value, n: usize, at: Timestamp) -> Value {
    let mut made =
        json!({"specversion": "1.0", "id": format!("event-{n}"), "source": "/rehearsal", "time": at.to_string()});
    if let (Value::Object(made), Value::Object(given)) = (&mut made, event) {
        if given.get("data").is_some_and(|data| !data.is_string()) {
            made.insert("datacontenttype".into(), "application/json".into());
        }
        made.extend(given.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    made
}
