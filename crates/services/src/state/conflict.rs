//! Conflicts: counted always, and kept for somebody's choice where the policy of the key says so.

use nexus_core::{
    event::NewEvent,
    problem::{Code, Problem},
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value},
    store::{Commit, CommitError, Guard, IndexQuery, Lane, Range, Write},
    time::Timestamp,
    topic::Topic,
};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::{
    StateStore,
    change::{StateError, number},
    plan::CONFLICT,
    read::Listed,
    version::{Held, Origin},
};

/// Conflicts that wait for a choice; at it one more write is refused without being kept.
pub const OPEN_CONFLICTS: u32 = 10_000;

pub(super) static CONFLICTS: Collection = Collection {
    name: "state_conflicts",
    columns: &[
        Column { name: "open", kind: ColumnType::Bool },
        Column { name: "state_key", kind: ColumnType::Text },
        Column { name: "resolved_at", kind: ColumnType::Int },
    ],
    indexes: &[
        Index { name: "state_conflicts_open", columns: &["open"], kind: IndexKind::Plain, only: Some("open") },
        Index { name: "state_conflicts_age", columns: &["resolved_at"], kind: IndexKind::Plain, only: None },
    ],
};

/// Why a write became a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It expected another version than the present one.
    Write,
    /// A transaction was rolled back, and somebody had changed this key since.
    Rollback,
}

/// What somebody chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// What stands.
    Current,
    /// What the parked write wanted.
    Wanted,
    /// Another value.
    Value,
}

/// How a conflict ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resolution {
    /// What was chosen.
    pub choice: Choice,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The version of the key after it.
    pub version: u64,
}

/// A write that waits for somebody's choice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parked {
    /// Its id; ids sort by time.
    pub id: String,
    /// The key.
    pub key: String,
    /// Why it waits.
    pub cause: Cause,
    /// The value that the write wanted.
    pub wanted: Box<RawValue>,
    /// It wanted the key deleted; `wanted` is then `null`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletes: bool,
    /// The version that the writer had read; 0 = none.
    pub base_version: u64,
    /// The version that stands; once it is resolved, the one that it was resolved against. (In the store, while it
    /// waits: the one that stood when it was parked.)
    pub current_version: u64,
    /// The version that stood when it was parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked_version: Option<u64>,
    /// Who wanted it.
    pub by: String,
    /// When.
    pub parked_at: Timestamp,
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolution>,
}

impl Parked {
    /// As it is shown; `present` is the version that its key has now, while it waits.
    pub(super) fn seen(mut self, present: Option<u64>) -> Self {
        self.parked_version.get_or_insert(self.current_version);
        self.current_version = present.unwrap_or(self.current_version);
        self
    }
}

impl Record for Parked {
    const COLLECTION: &'static Collection = &CONFLICTS;
    fn key(&self) -> String {
        self.id.clone()
    }
    fn columns(&self) -> Vec<Value> {
        let resolved_at = self.resolved.as_ref().map(|r| r.at);
        vec![self.resolved.is_none().into(), self.key.as_str().into(), resolved_at.into()]
    }
}

/// What becomes of it, for the log: never with values.
pub(super) fn notice(topic: &str, parked: &Parked, origin: &Origin, now: Timestamp) -> NewEvent {
    let mut data = json!({
        "id": parked.id, "key": parked.key, "cause": parked.cause, "by": parked.by,
        "base_version": parked.base_version, "current_version": parked.current_version,
    });
    if let Some(resolved) = &parked.resolved {
        data["choice"] = json!(resolved.choice);
        data["version"] = json!(resolved.version);
        data["resolved_by"] = json!(resolved.by);
    }
    let mut event = NewEvent::new(Topic::from_canonical(topic), origin.by.as_str(), data.to_string(), now);
    event.subject = Some(parked.key.clone());
    origin.mark(&mut event);
    event
}

pub(super) fn wrong(e: &serde_json::Error) -> Problem {
    Problem::new(Code::Internal, format!("a conflict can't be written as JSON: {e}"))
}

/// How many wait, for a guard.
fn open() -> Range {
    Range {
        collection: &CONFLICTS,
        index: "state_conflicts_open",
        prefix: vec![Value::Bool(true)],
        from: None,
        until: None,
    }
}

impl StateStore {
    /// A new conflict of `wanted` (deletion when absent) against what stands.
    pub(super) fn parked(
        &self,
        key: &str,
        wanted: Option<Box<RawValue>>,
        (base_version, current): (u64, Option<&Held>),
        cause: Cause,
        origin: &Origin,
    ) -> Parked {
        let now = self.desk().now();
        Parked {
            id: format!("{:016x}{:016x}", now.micros(), self.desk().jitter()),
            key: key.to_owned(),
            cause,
            deletes: wanted.is_none(),
            wanted: wanted.unwrap_or_else(|| RawValue::NULL.to_owned()),
            base_version,
            current_version: number(current.map(|held| &held.version)),
            parked_version: None,
            by: origin.by.clone(),
            parked_at: now,
            correlation_id: origin.correlation.clone(),
            resolved: None,
        }
    }

    /// Adds a new conflict to a commit.
    pub(super) fn park_in(&self, commit: &mut Commit, parked: &Parked, origin: &Origin) -> Result<(), Problem> {
        commit.guards.push(Guard::AtMost(open(), OPEN_CONFLICTS - 1));
        commit.documents.push(Write::put(parked).map_err(|e| wrong(&e))?);
        commit.events.push(notice(CONFLICT, parked, origin, self.desk().now()));
        Ok(())
    }

    /// Keeps a write for somebody's choice. `false`: too many wait already.
    pub(super) async fn park(&self, parked: &Parked, origin: &Origin) -> Result<bool, StateError> {
        let mut commit = Commit { lane: Lane::Door, ..Commit::default() };
        self.park_in(&mut commit, parked, origin)?;
        match self.desk().try_commit(commit).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// One conflict, with the version that its key has now.
    pub async fn conflict(&self, id: &str) -> Result<Parked, StateError> {
        self.shown(self.conflict_at(id).await?.0).await
    }

    async fn shown(&self, parked: Parked) -> Result<Parked, StateError> {
        let present = match &parked.resolved {
            None => Some(number(self.fresh(&parked.key).await?.version())),
            Some(_) => None,
        };
        Ok(parked.seen(present))
    }

    pub(super) async fn conflict_at(&self, id: &str) -> Result<(Parked, u64), StateError> {
        let found = self.desk().store.get(&CONFLICTS, id).await?;
        let Some(document) = found else {
            return Err(Problem::new(Code::NotFound, format!("there is no conflict {id:?}")).into());
        };
        let parked = serde_json::from_str(&document.body)
            .map_err(|e| nexus_core::store::StoreError::Broken(format!("conflict {id} is unreadable: {e}")))?;
        Ok((parked, document.version))
    }

    /// Conflicts in the order of time, each with the version that its key has now: all, or those that wait; of one key, or all.
    pub async fn conflicts(
        &self,
        key: Option<&str>,
        only_open: bool,
        after: Option<String>,
        limit: usize,
    ) -> Result<Listed<Parked>, StateError> {
        let (index, prefix) =
            if only_open { ("state_conflicts_open", vec![Value::Bool(true)]) } else { ("", Vec::new()) };
        let range = Range { collection: &CONFLICTS, index, prefix, from: None, until: None };
        let filters = key.map(|key| ("state_key", Value::from(key))).into_iter().collect();
        let query = IndexQuery { range, descending: false, filters, after, limit };
        let page = self.desk().store.list(query).await?;
        let read = |document: &nexus_core::record::Document| {
            serde_json::from_str(&document.body).map_err(|e| {
                nexus_core::store::StoreError::Broken(format!("conflict {} is unreadable: {e}", document.key))
            })
        };
        let mut items = Vec::with_capacity(page.items.len());
        for document in &page.items {
            items.push(self.shown(read(document)?).await?);
        }
        Ok(Listed { items, next: page.next })
    }

    /// How many wait.
    pub async fn open_conflicts(&self) -> Result<usize, StateError> {
        let mut count = 0;
        let mut after = None;
        loop {
            let query = IndexQuery { range: open(), descending: false, filters: Vec::new(), after, limit: 1_000 };
            let page = self.desk().store.scan(query).await?;
            count += page.items.len();
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }
}
