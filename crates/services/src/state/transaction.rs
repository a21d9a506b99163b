//! Several keys in one commit: all of it or none; checked over its result; and, where it asks for it, undone unless
//! somebody confirms it in time.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value},
    store::{Commit, CommitError, Guard, Key, Lane, Timer, TimerWrite, Write},
    time::Timestamp,
};
use nexus_engine::jq::Jq;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::{
    StateStore,
    change::{Change, StateError, number},
    conflict::Cause,
    plan::Step,
    version::{Held, Origin, Version},
    write::{Base, next, overrun},
};

/// Keys of one transaction; more are refused (413).
pub const TRANSACTION_KEYS: usize = 100;
/// Bytes of its values together; more are refused (413).
pub const TRANSACTION_BYTES: usize = 1 << 20;
/// Its checks; more are refused (422).
pub const TRANSACTION_CHECKS: usize = 16;
/// Longest time to confirm it, in seconds.
pub const CONFIRM_WITHIN_SECONDS: u64 = 12 * 3600;
/// The same.
const CONFIRM_WITHIN: Duration = Duration::from_secs(CONFIRM_WITHIN_SECONDS);
/// Kind of the timers that undo what nobody confirmed.
pub(super) const CONFIRM: &str = "state.confirm";
/// Tries of one transaction against writers of its keys.
const TRIES: u32 = 64;

pub(super) static TRANSACTIONS: Collection = Collection {
    name: "state_transactions",
    columns: &[Column { name: "ended_at", kind: ColumnType::Int }],
    indexes: &[Index { name: "state_transactions_age", columns: &["ended_at"], kind: IndexKind::Plain, only: None }],
};

/// Several changes at once.
#[derive(Debug)]
pub struct Transaction {
    /// The changes, each of another key.
    pub changes: Vec<Change>,
    /// jq over `{"<key>": <value after it, null where deleted>, …}`; each must come out true.
    pub checks: Vec<String>,
    /// Undo it unless it is confirmed within this.
    pub confirm_within: Option<Duration>,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Done; undone unless it is confirmed in time.
    Waiting,
    /// Done for good.
    Confirmed,
    /// Undone.
    RolledBack,
}

/// What a transaction did to a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Moved {
    /// The key.
    pub key: String,
    /// Its version before; 0 = it never was.
    pub before: u64,
    /// It existed before.
    pub existed: bool,
    /// Its version after.
    pub version: u64,
}

/// A transaction that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settled {
    /// Its id, where it waits or waited for being confirmed.
    pub id: String,
    /// What it did.
    pub keys: Vec<Moved>,
    /// Where it stands.
    pub state: Standing,
    /// By whom.
    pub by: String,
    /// When.
    pub made_at: Timestamp,
    /// Undone then, unless it is confirmed.
    pub confirm_by_at: Timestamp,
    /// When it was confirmed or undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Conflicts of keys that somebody had changed since, when it was undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// Keys whose value before is no longer in the history; they stay as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

impl Record for Settled {
    const COLLECTION: &'static Collection = &TRANSACTIONS;
    fn key(&self) -> String {
        self.id.clone()
    }
    fn columns(&self) -> Vec<Value> {
        vec![self.ended_at.into()]
    }
}

fn timer_of(id: &str) -> String {
    format!("{CONFIRM}/{id}")
}

fn wrong(e: &serde_json::Error) -> Problem {
    Problem::new(Code::Internal, format!("a transaction can't be written as JSON: {e}"))
}

impl Transaction {
    fn check(&self) -> Result<Vec<Jq>, Problem> {
        if self.changes.is_empty() {
            return Err(Problem::field("changes", "at least one is needed"));
        }
        if self.changes.len() > TRANSACTION_KEYS {
            return Err(Problem::new(Code::TooLarge, format!("a transaction has at most {TRANSACTION_KEYS} changes")));
        }
        let bytes: usize = self.changes.iter().filter_map(|c| c.value.as_ref()).map(|v| v.get().len()).sum();
        if bytes > TRANSACTION_BYTES {
            let message = format!("the values have {bytes} bytes together; at most {TRANSACTION_BYTES} are allowed");
            return Err(Problem::new(Code::TooLarge, message));
        }
        let mut seen = std::collections::HashSet::new();
        for (n, change) in self.changes.iter().enumerate() {
            change.check()?;
            if !seen.insert(change.key.as_str()) {
                return Err(Problem::field(&format!("changes[{n}].key"), "each key stands once in a transaction"));
            }
        }
        if self.checks.len() > TRANSACTION_CHECKS {
            return Err(Problem::field("checks", format!("at most {TRANSACTION_CHECKS} are possible")));
        }
        if self.confirm_within.is_some_and(|within| within.is_zero() || within > CONFIRM_WITHIN) {
            return Err(Problem::field("confirm_within_seconds", format!("1 to {CONFIRM_WITHIN_SECONDS}")));
        }
        let compile = |(n, text): (usize, &String)| {
            Jq::compile(text).map_err(|e| Problem::field(&format!("checks[{n}]"), e.to_string()))
        };
        self.checks.iter().enumerate().map(compile).collect()
    }

    /// 409 that names the first check that the result does not pass.
    fn hold(&self, checks: &[Jq]) -> Result<(), Problem> {
        if checks.is_empty() {
            return Ok(());
        }
        let field = |change: &Change| {
            let value = change.value.as_ref().map_or("null", |v| v.get());
            format!("{}:{value}", serde_json::Value::from(change.key.as_str()))
        };
        let input = format!("{{{}}}", self.changes.iter().map(field).collect::<Vec<_>>().join(","));
        for (n, check) in checks.iter().enumerate() {
            let why = match check.run_text(input.as_bytes()) {
                Ok(result) if result == "true" => continue,
                Ok(result) => format!("it gave {}", result.chars().take(200).collect::<String>()),
                Err(error) => error.to_string(),
            };
            let message = format!("check {n}, {:?}, does not hold: {why}; nothing was changed", check.text());
            return Err(Problem::new(Code::Conflict, message));
        }
        Ok(())
    }
}

/// A commit on its way, and what the cache holds once it is done.
struct Draft {
    commit: Commit,
    held: Vec<(String, Arc<Held>)>,
}

impl StateStore {
    /// Makes all changes, or none.
    pub async fn transact(&self, transaction: &Transaction, origin: &Origin) -> Result<Settled, StateError> {
        let checks = transaction.check()?;
        origin.check()?;
        transaction.hold(&checks)?;
        for attempt in 0..TRIES {
            let (mut draft, settled) = self.draft(transaction, origin).await?;
            if transaction.confirm_within.is_some() {
                draft.commit.guards.push(Guard::Absent(Key::of::<Settled>(settled.id.as_str())));
                draft.commit.documents.push(Write::put(&settled).map_err(|e| wrong(&e))?);
                draft.commit.timers.push(TimerWrite::Set {
                    id: timer_of(&settled.id),
                    due: settled.confirm_by_at,
                    kind: CONFIRM.to_owned(),
                    body: json!(settled.id).to_string(),
                });
            }
            match self.desk().try_commit(draft.commit).await {
                Ok(_) => {
                    self.learn(draft.held);
                    return Ok(settled);
                }
                Err(CommitError::Conflict { .. }) => self.pause(attempt).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(overrun("the transaction"))
    }

    fn learn(&self, held: Vec<(String, Arc<Held>)>) {
        for (key, held) in held {
            self.inner.cache.put(&key, &held);
            self.inner.metrics.written();
        }
    }

    async fn draft(&self, transaction: &Transaction, origin: &Origin) -> Result<(Draft, Settled), StateError> {
        let now = self.desk().now();
        let mut commit = Commit { lane: Lane::Door, ..Commit::default() };
        let (mut held, mut keys) = (Vec::new(), Vec::new());
        for change in &transaction.changes {
            let base = self.fresh(&change.key).await?;
            if !change.expect.holds(base.version()) {
                self.met("refused", change, &base, origin);
                return Err(StateError::stale(&change.key, change.expect, base.version()));
            }
            let existed = base.version().is_some_and(|v| !v.deleted);
            if change.value.is_none() && !existed {
                return Err(StateError::missing(&change.key));
            }
            let next = next(&base, change.value.clone(), change.ttl, origin, now);
            let before = number(base.version());
            keys.push(Moved { key: change.key.clone(), before, existed, version: next.version });
            let step = Step { key: &change.key, current: base.held.as_deref(), next };
            let kept = self.inner.options.history_versions;
            held.push((change.key.clone(), step.add(&mut commit, origin, kept, now).map_err(|e| wrong(&e))?));
        }
        let state = if transaction.confirm_within.is_some() { Standing::Waiting } else { Standing::Confirmed };
        let settled = Settled {
            id: format!("{:016x}{:016x}", now.micros(), self.desk().jitter()),
            keys,
            state,
            by: origin.by.clone(),
            made_at: now,
            confirm_by_at: now.plus(transaction.confirm_within.unwrap_or_default()),
            ended_at: None,
            reason: None,
            conflicts: Vec::new(),
            lost: Vec::new(),
        };
        Ok((Draft { commit, held }, settled))
    }

    /// A transaction that waits or waited for being confirmed.
    pub async fn transaction(&self, id: &str) -> Result<Settled, StateError> {
        Ok(self.transaction_at(id).await?.0)
    }

    async fn transaction_at(&self, id: &str) -> Result<(Settled, u64), StateError> {
        let found = self.desk().store.get(&TRANSACTIONS, id).await?;
        let Some(document) = found else {
            let message = format!("there is no transaction {id:?} that was to be confirmed");
            return Err(Problem::new(Code::NotFound, message).into());
        };
        let settled = serde_json::from_str(&document.body)
            .map_err(|e| nexus_core::store::StoreError::Broken(format!("transaction {id} is unreadable: {e}")))?;
        Ok((settled, document.version))
    }

    async fn waiting(&self, id: &str) -> Result<(Settled, u64), StateError> {
        let (settled, document) = self.transaction_at(id).await?;
        match settled.state {
            Standing::Waiting => Ok((settled, document)),
            Standing::Confirmed => {
                Err(Problem::new(Code::Conflict, format!("transaction {id} is confirmed already")).into())
            }
            Standing::RolledBack => {
                Err(Problem::new(Code::Conflict, format!("transaction {id} is rolled back already")).into())
            }
        }
    }

    /// Makes a transaction one for good. Said again, it is as the first time.
    pub async fn confirm(&self, id: &str, by: &Principal) -> Result<Settled, StateError> {
        let found = self.transaction(id).await?;
        if matches!(found.state, Standing::Confirmed) {
            return Ok(found);
        }
        let (mut settled, document) = self.waiting(id).await?;
        settled.state = Standing::Confirmed;
        settled.ended_at = Some(self.desk().now());
        let commit = Commit {
            guards: vec![Guard::Version(Key::of::<Settled>(id), document)],
            events: vec![self.desk().audit(by, "state.transaction_confirmed", &json!({"id": id}))],
            documents: vec![Write::put(&settled).map_err(|e| wrong(&e))?],
            timers: vec![TimerWrite::Cancel(timer_of(id))],
            lane: Lane::Door,
        };
        self.desk().try_commit(commit).await?;
        Ok(settled)
    }

    /// Undoes a transaction by new versions; a key that somebody changed since becomes a conflict. `timer`: because
    /// nobody confirmed it in time.
    pub async fn roll_back(
        &self,
        id: &str,
        reason: &str,
        by: &Principal,
        timer: Option<&Timer>,
    ) -> Result<Settled, StateError> {
        let origin = Origin { by: by.name.to_string(), ..Origin::default() };
        let found = self.transaction(id).await?;
        if timer.is_none() && matches!(found.state, Standing::RolledBack) {
            return Ok(found);
        }
        for attempt in 0..TRIES {
            let (mut settled, document) = self.waiting(id).await?;
            let now = self.desk().now();
            let lane = if timer.is_some() { Lane::Own } else { Lane::Door };
            let mut draft = Draft { commit: Commit { lane, ..Commit::default() }, held: Vec::new() };
            let keys = settled.keys.clone();
            for moved in &keys {
                self.undo(moved, reason, &origin, &mut draft, &mut settled).await?;
            }
            settled.state = Standing::RolledBack;
            settled.ended_at = Some(now);
            settled.reason = Some(reason.to_owned());
            let commit = &mut draft.commit;
            commit.guards.push(Guard::Version(Key::of::<Settled>(id), document));
            commit.documents.push(Write::put(&settled).map_err(|e| wrong(&e))?);
            let detail = json!({"id": id, "reason": reason, "conflicts": settled.conflicts, "lost": settled.lost});
            commit.events.push(self.desk().audit(by, "state.transaction_rolled_back", &detail));
            commit.timers.push(match timer {
                Some(timer) => TimerWrite::Fire { id: timer.id.clone(), version: timer.version },
                None => TimerWrite::Cancel(timer_of(id)),
            });
            match self.desk().try_commit(draft.commit).await {
                Ok(_) => {
                    self.learn(draft.held);
                    return Ok(settled);
                }
                Err(CommitError::Conflict { .. }) => self.pause(attempt).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(overrun("the transaction"))
    }

    /// Takes one key back to what it was before, in a commit.
    async fn undo(
        &self,
        moved: &Moved,
        reason: &str,
        origin: &Origin,
        draft: &mut Draft,
        settled: &mut Settled,
    ) -> Result<(), StateError> {
        let base = self.fresh(&moved.key).await?;
        let before: Option<Box<RawValue>> = if moved.existed {
            match self.find_version(&moved.key, moved.before).await? {
                Some(Version { value, .. }) => Some(value),
                None => {
                    settled.lost.push(moved.key.clone());
                    return Ok(());
                }
            }
        } else {
            None
        };
        if number(base.version()) != moved.version {
            let stood = (moved.version, base.held.as_deref());
            let parked = self.parked(&moved.key, before, stood, Cause::Rollback, origin);
            self.park_in(&mut draft.commit, &parked, origin)?;
            settled.conflicts.push(parked.id);
            return Ok(());
        }
        self.take_back(&moved.key, &base, before, reason, origin, draft)
    }

    fn take_back(
        &self,
        key: &str,
        base: &Base,
        before: Option<Box<RawValue>>,
        reason: &str,
        origin: &Origin,
        draft: &mut Draft,
    ) -> Result<(), StateError> {
        if before.is_none() && base.version().is_none_or(|v| v.deleted) {
            return Ok(());
        }
        let now = self.desk().now();
        let mut next = next(base, before, None, origin, now);
        next.reason = Some(format!("rolled back: {reason}"));
        let step = Step { key, current: base.held.as_deref(), next };
        let kept = self.inner.options.history_versions;
        let held = step.add(&mut draft.commit, origin, kept, now).map_err(|e| wrong(&e))?;
        draft.held.push((key.to_owned(), held));
        Ok(())
    }
}
