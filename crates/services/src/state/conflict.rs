//! Conflicts: counted always, and kept for somebody's choice where the policy of the key says so.

use nexus_core::{
    event::NewEvent,
    problem::{Code, Problem},
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value},
    store::{Commit, CommitError, Guard, IndexQuery, Key, Lane, Range, Write},
    time::Timestamp,
    topic::Topic,
};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::{
    StateStore,
    change::{StateError, VALUE_BYTES, number},
    key::check_key,
    plan::{CONFLICT, RESOLVED, Step},
    read::Listed,
    version::{Held, Origin},
    write::{next, overrun},
};

/// Conflicts that wait for a choice; at it one more write is refused without being kept.
pub const OPEN_CONFLICTS: u32 = 10_000;
/// Tries of one choice against writers of the same key.
const TRIES: u32 = 64;

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
    /// The version that stood when it was parked.
    pub current_version: u64,
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
fn notice(topic: &str, parked: &Parked, origin: &Origin, now: Timestamp) -> NewEvent {
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

fn wrong(e: &serde_json::Error) -> Problem {
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

    /// One conflict.
    pub async fn conflict(&self, id: &str) -> Result<Parked, StateError> {
        Ok(self.conflict_at(id).await?.0)
    }

    async fn conflict_at(&self, id: &str) -> Result<(Parked, u64), StateError> {
        let found = self.desk().store.get(&CONFLICTS, id).await?;
        let Some(document) = found else {
            return Err(Problem::new(Code::NotFound, format!("there is no conflict {id:?}")).into());
        };
        let parked = serde_json::from_str(&document.body)
            .map_err(|e| nexus_core::store::StoreError::Broken(format!("conflict {id} is unreadable: {e}")))?;
        Ok((parked, document.version))
    }

    /// Conflicts in the order of time: all, or those that wait; of one key, or all.
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
        let items = page.items.iter().map(read).collect::<Result<Vec<Parked>, _>>()?;
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

    /// Ends a conflict by a choice; `value` goes with [`Choice::Value`].
    pub async fn resolve(
        &self,
        id: &str,
        choice: Choice,
        value: Option<Box<RawValue>>,
        origin: &Origin,
    ) -> Result<Parked, StateError> {
        if (choice == Choice::Value) != value.is_some() {
            return Err(Problem::field("value", "goes with the choice \"value\", and only with it").into());
        }
        if value.as_ref().is_some_and(|v| v.get().len() > VALUE_BYTES) {
            let message = format!("the value is larger than {VALUE_BYTES} bytes");
            return Err(Problem::new(Code::TooLarge, message).into());
        }
        for attempt in 0..TRIES {
            let (mut parked, document) = self.conflict_at(id).await?;
            if let Some(done) = &parked.resolved {
                let message = format!("conflict {id} was resolved by {} at {}", done.by, done.at);
                return Err(Problem::new(Code::Conflict, message).into());
            }
            check_key(&parked.key)?;
            let base = self.fresh(&parked.key).await?;
            let wanted = match choice {
                Choice::Current => None,
                Choice::Wanted => Some((!parked.deletes).then(|| parked.wanted.clone())),
                Choice::Value => Some(value.clone()),
            };
            let now = self.desk().now();
            let mut commit = Commit { lane: Lane::Door, ..Commit::default() };
            let mut version = number(base.version());
            let mut held = None;
            // Deleting what is not there changes nothing.
            let idle = matches!(wanted, Some(None)) && base.version().is_none_or(|v| v.deleted);
            if let Some(wanted) = wanted.filter(|_| !idle) {
                let mut next = next(&base, wanted, None, origin, now);
                next.reason = Some(format!("conflict {id} resolved: {}", json!(choice).as_str().unwrap_or_default()));
                version = next.version;
                let step = Step { key: &parked.key, current: base.held.as_deref(), next };
                let kept = self.inner.options.history_versions;
                held = Some(step.add(&mut commit, origin, kept, now).map_err(|e| wrong(&e))?);
            }
            parked.resolved = Some(Resolution { choice, by: origin.by.clone(), at: now, version });
            commit.guards.push(Guard::Version(Key::of::<Parked>(id), document));
            commit.documents.push(Write::put(&parked).map_err(|e| wrong(&e))?);
            commit.events.push(notice(RESOLVED, &parked, origin, now));
            match self.desk().try_commit(commit).await {
                Ok(_) => {
                    if let Some(held) = held {
                        self.inner.cache.put(&parked.key, &held);
                    }
                    return Ok(parked);
                }
                Err(CommitError::Conflict { .. }) => self.pause(attempt).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(overrun(id))
    }
}
