//! What the host keeps: flows, their versions, runs, what the tasks of runs did, and what runs listen for.

use nexus_core::{
    access::Scope,
    event::Seq,
    id::EventId,
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    effect::{Listen, Step},
    plan::FlowId,
    run::state::{RunState, Status},
};

/// `namespace/name`: a flow, whichever version.
pub fn name_of(id: &FlowId) -> String {
    format!("{}/{}", id.namespace, id.name)
}

/// A flow: which of its versions new runs begin with, and whether it is on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// `namespace/name`.
    pub name: String,
    /// The version that new runs begin with.
    pub version: String,
    /// Its triggers fire.
    pub enabled: bool,
    /// Where the present version came from: `file:NAME`, `token:NAME`, `hub`.
    pub origin: String,
    /// When the flow was first published.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When its interval began, where it has one: its fires keep to this grid.
    pub anchor: Timestamp,
}

static FLOWS: Collection = Collection { name: "flows", columns: &[], indexes: &[] };

impl Record for Flow {
    const COLLECTION: &'static Collection = &FLOWS;
    fn key(&self) -> String {
        self.name.clone()
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// One version of a flow. Never changed: runs are interpreted with the version that they began with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Which.
    pub id: FlowId,
    /// The document as it was published.
    pub text: String,
    /// It may call private addresses: who published it may name them.
    pub private: bool,
    /// Who published it.
    pub by: String,
    /// What the publisher might do then: what its runs may.
    pub scopes: Vec<Scope>,
    /// When.
    pub at: Timestamp,
}

static VERSIONS: Collection = Collection {
    name: "flow_versions",
    columns: &[Column { name: "flow", kind: ColumnType::Text }, Column { name: "at", kind: ColumnType::Int }],
    indexes: &[Index { name: "by_flow", columns: &["flow", "at"], kind: IndexKind::Plain, only: None }],
};

impl Record for Version {
    const COLLECTION: &'static Collection = &VERSIONS;
    fn key(&self) -> String {
        self.id.to_string()
    }
    fn columns(&self) -> Vec<Value> {
        vec![name_of(&self.id).into(), self.at.into()]
    }
}

/// Why a run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trigger {
    /// An event.
    Event {
        /// Its id.
        id: EventId,
        /// Its place in the log.
        seq: Seq,
        /// Its type.
        #[serde(rename = "type")]
        topic: String,
    },
    /// A schedule was due.
    Schedule {
        /// When.
        due: Timestamp,
    },
    /// Somebody asked for it.
    Manual {
        /// Who.
        by: String,
    },
    /// A request to the flow's own address.
    Webhook {
        /// Who sent it.
        by: String,
    },
    /// Another run.
    Flow {
        /// Which run.
        run: String,
        /// The wait of that run, where it waits for the end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait: Option<u64>,
    },
}

impl Trigger {
    /// Its kind in a word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Event { .. } => "event",
            Self::Schedule { .. } => "schedule",
            Self::Manual { .. } => "manual",
            Self::Webhook { .. } => "webhook",
            Self::Flow { .. } => "flow",
        }
    }

    /// The event, or the other run.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Event { id, .. } => Some(id.to_string()),
            Self::Flow { run, .. } => Some(run.clone()),
            Self::Schedule { .. } | Self::Manual { .. } | Self::Webhook { .. } => None,
        }
    }
}

/// What a run belongs to and how far it is from its first cause.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// What it belongs to; absent = itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// The event that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
    /// Steps from the first cause: what the run publishes has this depth.
    #[serde(default)]
    pub depth: u8,
    /// The trace it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A run, its state included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Why it began.
    pub trigger: Trigger,
    /// What it belongs to.
    #[serde(default)]
    pub lineage: Lineage,
    /// Place in the log after which it listens: that of its trigger.
    pub from_seq: Seq,
    /// Its place among those that were accepted at this end of the log; 0 where an event began it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub accepted: i64,
    /// The key of which its flow has at most one active run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// It waits for its turn: another run has the key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queued: bool,
    /// Sub-flows above it.
    #[serde(default)]
    pub level: u8,
    /// Commits so far: numbers what its tasks did.
    #[serde(default)]
    pub commits: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The subject of the event that began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What of its flow's budget it was counted under: nothing can be told of the key from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<String>,
    /// Its data was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
    /// The interpreter's state.
    pub state: RunState,
}

/// That the data of a run was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// When.
    pub at: Timestamp,
    /// It had not ended by then: it was cut off.
    pub cut_off: bool,
}

static RUNS: Collection = Collection {
    name: "flow_runs",
    columns: &[
        Column { name: "flow", kind: ColumnType::Text },
        Column { name: "flow_version", kind: ColumnType::Text },
        Column { name: "status", kind: ColumnType::Text },
        Column { name: "created_at", kind: ColumnType::Int },
        Column { name: "ended_at", kind: ColumnType::Int },
        Column { name: "began_by", kind: ColumnType::Text },
        Column { name: "correlation", kind: ColumnType::Text },
        Column { name: "active_key", kind: ColumnType::Text },
        Column { name: "is_open", kind: ColumnType::Bool },
        Column { name: "is_busy", kind: ColumnType::Bool },
        Column { name: "is_keyed", kind: ColumnType::Bool },
        Column { name: "is_queued", kind: ColumnType::Bool },
        Column { name: "cause", kind: ColumnType::Text },
        Column { name: "about", kind: ColumnType::Text },
        Column { name: "spent", kind: ColumnType::Text },
        Column { name: "has_key", kind: ColumnType::Bool },
        Column { name: "from_seq", kind: ColumnType::Int },
        Column { name: "accepted", kind: ColumnType::Int },
    ],
    indexes: &[
        Index { name: "by_flow", columns: &["flow", "created_at"], kind: IndexKind::Plain, only: None },
        Index { name: "by_time", columns: &["created_at"], kind: IndexKind::Plain, only: None },
        Index { name: "open", columns: &["flow", "created_at"], kind: IndexKind::Plain, only: Some("is_open") },
        Index { name: "busy", columns: &["created_at"], kind: IndexKind::Plain, only: Some("is_busy") },
        Index { name: "active", columns: &["active_key"], kind: IndexKind::Unique, only: Some("is_keyed") },
        Index {
            name: "queued",
            columns: &["active_key", "from_seq", "accepted"],
            kind: IndexKind::Plain,
            only: Some("is_queued"),
        },
        Index {
            name: "by_key",
            columns: &["active_key", "from_seq", "accepted"],
            kind: IndexKind::Plain,
            only: Some("has_key"),
        },
        Index { name: "by_cause", columns: &["cause"], kind: IndexKind::Plain, only: None },
    ],
};

/// The text that a run of this flow is found by that has or had this key.
pub fn active_key(flow: &str, key: &str) -> String {
    format!("{flow} {key}")
}

impl Run {
    /// `namespace/name` of its flow.
    pub fn flow(&self) -> String {
        name_of(&self.state.flow)
    }

    /// The place of what began it among all that begins runs of its flow.
    pub fn place(&self) -> (Seq, i64) {
        (self.from_seq, self.accepted)
    }

    /// How it stands, in a word.
    pub fn status(&self) -> &'static str {
        if self.queued { "queued" } else { self.state.status.as_str() }
    }

    /// Whether something of it must be asked for again after a restart, beside timers and listens.
    pub fn is_busy(&self) -> bool {
        !self.queued && (self.state.status == Status::Pending || self.state.has_work())
    }
}

impl Record for Run {
    const COLLECTION: &'static Collection = &RUNS;
    fn key(&self) -> String {
        self.state.id.clone()
    }
    fn columns(&self) -> Vec<Value> {
        let open = !self.state.status.has_ended();
        let flow = self.flow();
        let keyed = self.key.as_deref().map(|key| active_key(&flow, key));
        let has_key = keyed.is_some();
        vec![
            flow.into(),
            self.state.flow.version.as_str().into(),
            self.status().into(),
            self.created_at.into(),
            self.ended_at.into(),
            self.trigger.as_str().into(),
            self.lineage.correlation.as_deref().into(),
            keyed.into(),
            open.into(),
            self.is_busy().into(),
            (has_key && open && !self.queued).into(),
            (has_key && open && self.queued).into(),
            self.trigger.cause().into(),
            self.about.as_deref().into(),
            self.spent.as_deref().into(),
            has_key.into(),
            Value::Int(i64::try_from(self.from_seq).unwrap_or(i64::MAX)),
            Value::Int(self.accepted),
        ]
    }
}

/// What the tasks of a run did in one commit; facts, never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// Of which run.
    pub run: String,
    /// In which of its commits.
    pub commit: u64,
    /// What.
    pub steps: Vec<Step>,
}

static STEPS: Collection = Collection { name: "flow_steps", columns: &[], indexes: &[] };

/// The keys of a run's steps, and of what it heard, begin like this, and none that comes after.
pub fn keys_of(run: &str) -> (String, String) {
    (format!("{run}/"), format!("{run}0"))
}

impl Record for Steps {
    const COLLECTION: &'static Collection = &STEPS;
    fn key(&self) -> String {
        format!("{}/{:012}", self.run, self.commit)
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// That a run took an event that it listened for: it may hold what that event held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// Which run.
    pub run: String,
    /// The event's place in the log.
    pub seq: Seq,
    /// The event's subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

static HEARD: Collection = Collection {
    name: "flow_heard",
    columns: &[
        Column { name: "run", kind: ColumnType::Text },
        Column { name: "seq", kind: ColumnType::Int },
        Column { name: "about", kind: ColumnType::Text },
    ],
    indexes: &[Index { name: "by_seq", columns: &["seq"], kind: IndexKind::Plain, only: None }],
};

impl Record for Heard {
    const COLLECTION: &'static Collection = &HEARD;
    fn key(&self) -> String {
        format!("{}/{:020}", self.run, self.seq)
    }
    fn columns(&self) -> Vec<Value> {
        vec![
            self.run.as_str().into(),
            Value::Int(i64::try_from(self.seq).unwrap_or(i64::MAX)),
            self.about.as_deref().into(),
        ]
    }
}

/// What a run listens for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listening {
    /// Which run.
    pub run: String,
    /// Of which version of a flow.
    pub flow: FlowId,
    /// The end of the log when it was asked for: what came before is read for it alone.
    pub since: Seq,
    /// What it is told begins after this.
    pub after: Seq,
    /// The wait.
    pub listen: Listen,
}

static LISTENS: Collection = Collection { name: "flow_listens", columns: &[], indexes: &[] };

/// Key of a wait's record.
pub fn listen_key(run: &str, wait: u64) -> String {
    format!("{run}/{wait}")
}

impl Record for Listening {
    const COLLECTION: &'static Collection = &LISTENS;
    fn key(&self) -> String {
        listen_key(&self.run, self.listen.id)
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// How far the log was told to those who listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Up to here.
    pub seq: Seq,
}

static TOLD: Collection = Collection { name: "flow_told", columns: &[], indexes: &[] };

/// The one key of [`Told`].
pub const TOLD_KEY: &str = "log";

impl Record for Told {
    const COLLECTION: &'static Collection = &TOLD;
    fn key(&self) -> String {
        TOLD_KEY.to_owned()
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// The collections that the store must be opened with.
pub fn collections() -> Vec<&'static Collection> {
    vec![
        &FLOWS,
        &VERSIONS,
        &RUNS,
        &STEPS,
        &HEARD,
        &LISTENS,
        &TOLD,
        super::approval::record::Approval::COLLECTION,
        super::behaviour::Remembered::COLLECTION,
    ]
}
