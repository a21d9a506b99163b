//! An approval as it is kept, and as people see it.

use nexus_core::{
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value as Cell},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{effect::WaitId, host::record::Lineage};

/// How an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody is asked.
    Open,
    /// Somebody decided.
    Decided,
    /// Nobody did in time.
    Expired,
    /// Nobody waits for it any more: its run went on without it, or ended.
    Withdrawn,
}

impl State {
    /// Every one, in a word.
    pub const WORDS: [&'static str; 4] = ["open", "decided", "expired", "withdrawn"];

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Decided => "decided",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Yes.
    Approved,
    /// No.
    Rejected,
    /// Nothing, in time.
    Timeout,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What came of it.
    pub outcome: Outcome,
    /// Who decided.
    pub by: Option<String>,
    /// Why.
    pub comment: Option<String>,
    /// What was filled in.
    pub answers: Value,
    /// When.
    pub at: Timestamp,
}

/// Who is asked next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    /// When.
    pub at: Timestamp,
    /// Whom.
    pub assignee: String,
}

/// Somebody is asked whether a run may go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// The stable key of the call that asks.
    pub id: String,
    /// The run that asks.
    pub run: String,
    /// `namespace/name` of its flow.
    pub flow: String,
    /// The wait of the run that the answer is for.
    pub wait: WaitId,
    /// The task that asks.
    pub task: String,
    /// What is asked, in a line.
    pub title: String,
    /// What one has to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// What may be filled in: a JSON Schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Value>,
    /// Why the run began.
    pub asked_by: String,
    /// How it stands.
    pub state: State,
    /// SHA-256 of the token of its link, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Links made so far.
    #[serde(default)]
    pub links: u32,
    /// Who is asked now was told.
    #[serde(default)]
    pub told: bool,
    /// When it was asked.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// Who is asked next, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate: Option<Escalation>,
    /// When somebody else was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What the run belongs to.
    #[serde(default)]
    pub lineage: Lineage,
}

static APPROVALS: Collection = Collection {
    name: "flow_approvals",
    columns: &[
        Column { name: "run", kind: ColumnType::Text },
        Column { name: "flow", kind: ColumnType::Text },
        Column { name: "state", kind: ColumnType::Text },
        Column { name: "assignee", kind: ColumnType::Text },
        Column { name: "created_at", kind: ColumnType::Int },
        Column { name: "token", kind: ColumnType::Text },
        Column { name: "is_open", kind: ColumnType::Bool },
    ],
    indexes: &[
        Index { name: "by_time", columns: &["created_at"], kind: IndexKind::Plain, only: None },
        Index { name: "open", columns: &["created_at"], kind: IndexKind::Plain, only: Some("is_open") },
        Index { name: "by_run", columns: &["run"], kind: IndexKind::Plain, only: None },
        Index { name: "by_token", columns: &["token"], kind: IndexKind::Unique, only: None },
    ],
};

impl Record for Approval {
    const COLLECTION: &'static Collection = &APPROVALS;
    fn key(&self) -> String {
        self.id.clone()
    }
    fn columns(&self) -> Vec<Cell> {
        vec![
            self.run.as_str().into(),
            self.flow.as_str().into(),
            self.state.as_str().into(),
            self.assignee.as_deref().into(),
            self.created_at.into(),
            self.token.as_deref().into(),
            (self.state == State::Open).into(),
        ]
    }
}

impl Approval {
    /// What the run is given, once it has ended in a way that counts.
    pub fn given(&self) -> Option<Value> {
        let decision = self.decision.as_ref()?;
        Some(json!({
            "outcome": decision.outcome,
            "by": decision.by,
            "comment": decision.comment,
            "answers": decision.answers,
            "at": decision.at.to_string(),
            "escalated": self.escalated_at.is_some(),
        }))
    }

    /// As people see it: without what its link is recognised by.
    pub fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "run": self.run,
            "flow": self.flow,
            "task": self.task,
            "title": self.title,
            "description": self.description,
            "assignee": self.assignee,
            "asked_by": self.asked_by,
            "form": self.form,
            "state": self.state,
            "created_at": self.created_at.to_string(),
            "expires_at": self.expires_at.to_string(),
            "escalates_at": self.escalate.as_ref().map(|next| next.at.to_string()),
            "escalated_at": self.escalated_at.map(|at| at.to_string()),
            "decision": self.given(),
        })
    }

    /// How it ended, in words.
    pub fn how_it_ended(&self) -> String {
        match (&self.decision, self.state) {
            (Some(decision), State::Decided) => {
                let word = if decision.outcome == Outcome::Approved { "approved" } else { "rejected" };
                let by = decision.by.as_deref().unwrap_or("somebody");
                format!("was {word} by {by} at {}", decision.at)
            }
            (_, State::Expired) => format!("was not decided by {}, which was its time", self.expires_at),
            (_, State::Withdrawn) => {
                format!("is withdrawn: nobody waits for it any more; see what became of run {}", self.run)
            }
            _ => "is open".to_owned(),
        }
    }
}
