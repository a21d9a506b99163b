//! Keeping house: keys whose time is over, transactions that nobody confirmed, and what retention lets go.

use std::time::Duration;

use async_trait::async_trait;
use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    record::{Collection, Record, Value},
    store::{Commit, CommitError, Guard, IndexQuery, Key, Lane, Range, Timer, TimerWrite, Write},
    time::Timestamp,
};
use nexus_engine::{
    desk::{refused, unreadable},
    timers::OnTimer,
};

use super::{
    StateStore,
    conflict::Parked,
    plan::Step,
    transaction::Settled,
    version::{HISTORY, Origin, STATE},
    write::next,
};

/// How often what is too old is looked for.
const EVERY: Duration = Duration::from_secs(600);
/// Documents removed in one commit.
const BATCH: usize = 256;

/// Deletes a key when its time is over.
pub(super) struct Expiry(pub(super) StateStore);

#[async_trait]
impl OnTimer for Expiry {
    async fn fire(&self, timer: &Timer) -> Result<(), Problem> {
        let store = &self.0;
        let fire = TimerWrite::Fire { id: timer.id.clone(), version: timer.version };
        let mut commit = Commit { lane: Lane::Own, ..Commit::default() };
        let mut held = None;
        if let Ok((key, version)) = serde_json::from_str::<(String, u64)>(&timer.body) {
            let base = store.fresh(&key).await.map_err(|e| e.problem)?;
            if base.version().is_some_and(|v| v.version == version && !v.deleted) {
                let (origin, now) = (Origin::hub(), store.desk().now());
                let mut next = next(&base, None, None, &origin, now);
                next.reason = Some("expired".to_owned());
                let step = Step { key: &key, current: base.held.as_deref(), next };
                let added = step.add(&mut commit, &origin, store.inner.options.history_versions, now);
                held = Some((key, added.map_err(|e| Problem::new(Code::Internal, e.to_string()))?));
                // The step cancels the timer of the version before; this is that timer, and it is used up instead.
                commit.timers.clear();
            }
        }
        commit.timers.push(fire);
        match store.desk().try_commit(commit).await {
            Ok(_) => {
                if let Some((key, held)) = held {
                    store.inner.cache.put(&key, &held);
                    store.inner.metrics.written();
                }
                Ok(())
            }
            // Somebody wrote it meanwhile, and took the timer away or moved it.
            Err(CommitError::Conflict { .. } | CommitError::Timer(_)) => Ok(()),
            Err(error) => Err(refused(&error)),
        }
    }
}

/// Undoes a transaction that nobody confirmed in time.
pub(super) struct Unconfirmed(pub(super) StateStore);

#[async_trait]
impl OnTimer for Unconfirmed {
    async fn fire(&self, timer: &Timer) -> Result<(), Problem> {
        let id: String = serde_json::from_str(&timer.body).unwrap_or_default();
        let undone = self.0.roll_back(&id, "not confirmed in time", &Principal::admin("hub"), Some(timer)).await;
        match undone {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.problem.code, Code::Conflict | Code::NotFound) => {
                let timers = vec![TimerWrite::Fire { id: timer.id.clone(), version: timer.version }];
                let commit = Commit { timers, lane: Lane::Own, ..Commit::default() };
                match self.0.desk().try_commit(commit).await {
                    Ok(_) | Err(CommitError::Timer(_)) => Ok(()),
                    Err(error) => Err(refused(&error)),
                }
            }
            Err(error) => Err(error.problem),
        }
    }
}

impl StateStore {
    /// Removes what is too old, for ever again.
    pub(super) async fn keep_house(self) {
        loop {
            self.desk().clock.sleep(EVERY).await;
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "old state could not be removed; trying again later");
            }
        }
    }

    async fn sweep(&self) -> Result<(), Problem> {
        let before = self.desk().now().minus(self.inner.options.history_age);
        let by_age: [(&'static Collection, &'static str); 3] = [
            (&HISTORY, "state_history_age"),
            (Parked::COLLECTION, "state_conflicts_age"),
            (Settled::COLLECTION, "state_transactions_age"),
        ];
        for (collection, index) in by_age {
            while self.remove_old(collection, index, Vec::new(), before).await? {}
        }
        // A deleted key is forgotten only when its deletion is as old as its history.
        while self.remove_old(&STATE, "state_deleted", Vec::new(), before).await? {}
        Ok(())
    }

    /// Removes some documents whose time is before; true when there may be more.
    async fn remove_old(
        &self,
        collection: &'static Collection,
        index: &'static str,
        prefix: Vec<Value>,
        before: Timestamp,
    ) -> Result<bool, Problem> {
        // From the earliest time there is, so that what has no time is left out.
        let range = Range {
            collection,
            index,
            prefix,
            from: Some(Value::Int(i64::MIN)),
            until: Some(Value::Int(before.micros())),
        };
        let query = IndexQuery { range, descending: false, filters: Vec::new(), after: None, limit: BATCH };
        let found = self.desk().store.list(query).await.map_err(unreadable)?.items;
        if found.is_empty() {
            return Ok(false);
        }
        let mut commit = Commit { lane: Lane::Own, ..Commit::default() };
        for document in &found {
            let key = Key { collection, key: document.key.clone() };
            commit.guards.push(Guard::Version(key.clone(), document.version));
            commit.documents.push(Write::Delete(key));
        }
        match self.desk().try_commit(commit).await {
            Ok(_) => {
                found.iter().for_each(|document| self.inner.cache.drop_key(&document.key));
                Ok(found.len() == BATCH)
            }
            // Somebody wrote one of them; the next sweep goes on.
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(error) => Err(refused(&error)),
        }
    }
}
