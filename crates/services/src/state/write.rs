//! Writing: read the present version, decide, commit under a guard; again when somebody else was faster.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    problem::{Code, Problem},
    store::{Commit, CommitError, Lane},
    time::Timestamp,
};
use serde_json::value::RawValue;

use super::{
    StateStore,
    change::{Change, StateError, Written, number},
    plan::Step,
    resolve::Joined,
    version::{Held, Origin, STATE, Version},
};

/// Tries of one write against others of the same key; then 503.
const TRIES: u32 = 64;
/// Longest pause between two of them.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The version that a write is built on.
pub(super) struct Base {
    pub(super) held: Option<Arc<Held>>,
    /// It was read from the store just now: a refusal may be based on it.
    pub(super) is_fresh: bool,
}

impl Base {
    pub(super) fn version(&self) -> Option<&Version> {
        self.held.as_ref().map(|held| &held.version)
    }
}

impl StateStore {
    /// Makes a change to one key. `Ok` means it is on disk.
    pub async fn write(&self, change: Change, origin: &Origin) -> Result<Written, StateError> {
        change.check()?;
        origin.check()?;
        let mut base = self.base(&change.key).await?;
        let mut turn = None;
        for _ in 0..TRIES {
            if !base.is_fresh && !fits(&change, base.version()) {
                base = self.fresh(&change.key).await?;
            }
            let now = self.desk().now();
            let mut joined = None;
            if !change.expect.holds(base.version()) {
                joined = Some(self.join(&change, &base, origin).await?);
            } else if change.value.is_none() && base.version().is_none_or(|v| v.deleted) {
                return Err(StateError::missing(&change.key));
            }
            let outcome = joined.as_ref().map(|joined| joined.outcome);
            let next = match joined {
                None => next(&base, change.value.clone(), change.ttl, origin, now),
                Some(Joined { value, reason, .. }) => {
                    let mut next = next(&base, Some(value), change.ttl, origin, now);
                    next.reason = Some(reason);
                    next
                }
            };
            match self.try_step(&change.key, base.held.as_deref(), next, origin).await {
                Ok(version) => {
                    if let Some(outcome) = outcome {
                        self.met(outcome, &change, &base, origin);
                    }
                    return Ok(Written { version, merged: outcome.is_some() });
                }
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            if turn.is_none() {
                turn = self.inner.turns.take(&change.key).await;
            }
            base = self.fresh(&change.key).await?;
        }
        drop(turn);
        Err(overrun(&change.key))
    }

    async fn try_step(
        &self,
        key: &str,
        current: Option<&Held>,
        next: Version,
        origin: &Origin,
    ) -> Result<u64, CommitError> {
        let version = next.version;
        let mut commit = Commit { lane: Lane::Door, ..Commit::default() };
        let held = Step { key, current, next }
            .add(&mut commit, origin, self.inner.options.history_versions, self.desk().now())
            .map_err(|e| CommitError::Broken(format!("a version can't be written as JSON: {e}")))?;
        self.desk().try_commit(commit).await?;
        self.inner.cache.put(key, &held);
        self.inner.metrics.written();
        Ok(version)
    }

    /// The latest version this process knows of.
    pub(super) async fn base(&self, key: &str) -> Result<Base, StateError> {
        match self.inner.cache.get(key) {
            Some(held) => Ok(Base { held: Some(held), is_fresh: false }),
            None => self.fresh(key).await,
        }
    }

    /// The version on disk.
    pub(super) async fn fresh(&self, key: &str) -> Result<Base, StateError> {
        let found = self.desk().store.get(&STATE, key).await?;
        let held = found.map(|document| Held::read(&document).map(Arc::new)).transpose()?;
        Ok(Base { held, is_fresh: true })
    }

    /// A random pause that grows with the attempts, so that writers of one key get out of each other's way.
    pub(super) async fn pause(&self, attempt: u32) {
        if attempt == 0 {
            return;
        }
        let most = Duration::from_micros(250 << attempt.min(7)).min(LONGEST_PAUSE);
        let micros = self.desk().jitter() % u64::try_from(most.as_micros()).unwrap_or(1).max(1);
        // A matter of the machine, not of the hub's time: the test clock must not hold writers up.
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }
}

/// Whether a change can go ahead on a version that may not be the last.
fn fits(change: &Change, current: Option<&Version>) -> bool {
    change.expect.holds(current) && (change.value.is_some() || current.is_some_and(|c| !c.deleted))
}

/// The version that comes after `base`.
pub(super) fn next(
    base: &Base,
    value: Option<Box<RawValue>>,
    ttl: Option<Duration>,
    origin: &Origin,
    now: Timestamp,
) -> Version {
    let deleted = value.is_none();
    Version {
        version: number(base.version()) + 1,
        deleted,
        value: value.unwrap_or_else(|| RawValue::NULL.to_owned()),
        updated_at: now,
        updated_by: origin.by.clone(),
        correlation_id: origin.correlation.clone(),
        reason: None,
        expires_at: ttl.filter(|_| !deleted).map(|ttl| now.plus(ttl)),
    }
}

/// 503: others were faster every time.
pub(super) fn overrun(key: &str) -> StateError {
    Problem::new(Code::Unavailable, format!("{key:?} is written by too many at once; try again"))
        .retry_after(Duration::from_secs(1))
        .into()
}
