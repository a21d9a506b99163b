//! Keys with versions, history, watches and rules for conflicts.
//!
//! A change is one commit: the key's document, the version it replaces, the event `state.changed`, and the timer that
//! ends it. Every commit is guarded by the version it was decided on, so a compare-and-set is what it says, and a
//! refusal is only given after a look at the store.
//!
//! - [`key`], [`version`], [`change`]: what is stored, what is asked for, and when it fits.
//! - [`plan`]: what one change writes. [`write`](mod@write), [`read`]: doing it.
//! - [`policy`], [`merge`], [`value`], [`resolve`], [`conflict`], [`chosen`]: what becomes of a write that met another.
//! - [`transaction`]: several keys at once, with checks and a time to confirm.
//! - [`keeping`], [`snapshot`], [`metrics`]: what ends by itself, the copy as a file, figures.

use std::{path::PathBuf, sync::Arc, time::Duration};

use nexus_core::{
    access::Principal,
    plugin::PluginHost,
    problem::Problem,
    record::{Collection, Record},
};
use nexus_engine::{Hub, StartError, desk::Desk, supervisor::TaskKind};
use serde::Serialize;

mod cache;
mod change;
mod chosen;
mod conflict;
mod keeping;
mod key;
mod merge;
mod metrics;
mod plan;
mod policy;
mod read;
mod resolve;
mod snapshot;
mod transaction;
mod value;
mod version;
mod write;

pub use change::{Change, Expect, LONGEST_TTL_SECONDS, StateError, VALUE_BYTES, Written};
pub use chosen::Chosen;
pub use conflict::{Cause, Choice, OPEN_CONFLICTS, Parked, Resolution};
pub use key::{KEY_BYTES, check_key};
pub use merge::MergeKind;
pub use metrics::LastConflict;
pub use plan::{CHANGED, CONFLICT, RESOLVED, is_own_topic};
pub use policy::{NewPolicy, OnConflict, Policy};
pub use read::Listed;
pub use transaction::{
    CONFIRM_WITHIN_SECONDS, Moved, Settled, Standing, TRANSACTION_BYTES, TRANSACTION_CHECKS, TRANSACTION_KEYS,
    Transaction,
};
pub use version::{Origin, Version};

/// Versions of a key that are kept unless the settings say otherwise, the present one included.
pub const HISTORY_VERSIONS: u64 = 100;
/// Fewest versions that can be kept: what undoes a transaction needs the one before.
pub const FEWEST_VERSIONS: u64 = 2;
/// How long replaced versions, deletions, resolved conflicts and ended transactions are kept.
pub const HISTORY_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often the state is written to its file, where it changed.
pub const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(60);

/// Settings of the state store.
#[derive(Clone, Debug)]
pub struct StateOptions {
    /// Versions of a key that are kept, the present one included.
    pub history_versions: u64,
    /// How long replaced versions and deletions are kept.
    pub history_age: Duration,
    /// Where the state is written as JSON, and read from when the log has never held any.
    pub file: Option<PathBuf>,
    /// How often it is written, where something changed.
    pub snapshot_interval: Duration,
    /// Rules for conflicts, by name; stored ones with the same prefix go before them.
    pub policies: Vec<(String, NewPolicy)>,
}

impl Default for StateOptions {
    fn default() -> Self {
        Self {
            history_versions: HISTORY_VERSIONS,
            history_age: HISTORY_AGE,
            file: None,
            snapshot_interval: SNAPSHOT_INTERVAL,
            policies: Vec::new(),
        }
    }
}

struct Inner {
    hub: Hub,
    options: StateOptions,
    cache: cache::Cache,
    turns: cache::Turns,
    metrics: metrics::StateMetrics,
    policies: policy::Policies,
    plugins: Arc<dyn PluginHost>,
}

/// The state store. Cheap to clone.
#[derive(Clone)]
pub struct StateStore {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for StateStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateStore({:?})", self.inner.hub)
    }
}

/// Conflicts since the start of the process, and those that wait.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// All of them, since the start of the process.
    pub conflicts: u64,
    /// The same by what became of them.
    pub by_outcome: std::collections::BTreeMap<&'static str, u64>,
    /// Conflicts that wait for a choice.
    pub open: usize,
    /// The last one of this process.
    pub last_conflict: Option<LastConflict>,
}

/// What it keeps.
pub(crate) fn collections() -> Vec<&'static Collection> {
    vec![
        &version::STATE,
        &version::HISTORY,
        Policy::COLLECTION,
        Parked::COLLECTION,
        Settled::COLLECTION,
        snapshot::Import::COLLECTION,
    ]
}

impl StateStore {
    /// Opens it over the hub's store; reads the state file where the log has never held any state.
    pub async fn open(hub: &Hub, options: StateOptions, plugins: Arc<dyn PluginHost>) -> Result<Self, StartError> {
        let other = |e: Problem| StartError::Other(e.message);
        let options = StateOptions { history_versions: options.history_versions.max(FEWEST_VERSIONS), ..options };
        let policies = policy::Policies::open(hub.desk(), options.policies.clone()).await.map_err(other)?;
        let metrics = metrics::StateMetrics::new(hub);
        let (cache, turns) = (cache::Cache::default(), cache::Turns::default());
        let inner = Inner { hub: hub.clone(), options, cache, turns, metrics, policies, plugins };
        let store = Self { inner: Arc::new(inner) };
        hub.timers().register(plan::TTL, Arc::new(keeping::Expiry(store.clone())));
        hub.timers().register(transaction::CONFIRM, Arc::new(keeping::Unconfirmed(store.clone())));
        if let Some(file) = store.inner.options.file.clone() {
            store.import(&file).await.map_err(other)?;
            hub.spawn().start(TaskKind::Engine, store.clone().keep_snapshots(file));
        }
        hub.spawn().start(TaskKind::Background, store.clone().keep_house());
        Ok(store)
    }

    fn desk(&self) -> &Desk {
        self.inner.hub.desk()
    }

    /// The rules for conflicts, the longest prefix first.
    pub fn policies(&self) -> Vec<Policy> {
        self.inner.policies.list()
    }

    /// Sets a stored rule.
    pub async fn set_policy(&self, name: &str, rule: NewPolicy, by: &Principal) -> Result<Policy, Problem> {
        self.inner.policies.set(self.desk(), name, rule, by).await
    }

    /// Removes a stored rule.
    pub async fn remove_policy(&self, name: &str, by: &Principal) -> Result<(), Problem> {
        self.inner.policies.remove(self.desk(), name, by).await
    }

    /// How many conflicts there were, and the last.
    pub async fn summary(&self) -> Result<Summary, StateError> {
        let (by_outcome, last_conflict) = self.inner.metrics.conflicts();
        Ok(Summary {
            conflicts: by_outcome.iter().map(|(_, n)| n).sum(),
            by_outcome: by_outcome.into_iter().collect(),
            open: self.open_conflicts().await?,
            last_conflict,
        })
    }
}
