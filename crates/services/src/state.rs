//! Keys with versions, history, watches and rules for conflicts.
//!
//! A change is one commit: the key's document, the version it replaces, the event `state.changed`, and the timer that
//! ends it. Every commit is guarded by the version it was decided on, so a compare-and-set is what it says, and a
//! refusal is only given after a look at the store.
//!
//! - [`key`], [`version`], [`change`]: what is stored, what is asked for, and when it fits.
//! - [`plan`]: what one change writes. [`write`](mod@write), [`read`]: doing it.

use std::sync::Arc;

use nexus_core::{plugin::PluginHost, record::Collection};
use nexus_engine::{Hub, StartError, desk::Desk};

mod cache;
mod change;
mod key;
mod metrics;
mod plan;
mod read;
mod version;
mod write;

pub use change::{Change, Expect, LONGEST_TTL, StateError, VALUE_BYTES, Written};
pub use key::{KEY_BYTES, check_key};
pub use plan::{CHANGED, CONFLICT, RESOLVED, is_own_topic};
pub use read::Listed;
pub use version::{Origin, Version};

/// Versions of a key that are kept unless the settings say otherwise, the present one included.
pub const HISTORY_VERSIONS: u64 = 100;

/// Settings of the state store.
#[derive(Clone, Debug)]
pub struct StateOptions {
    /// Versions of a key that are kept, the present one included.
    pub history_versions: u64,
}

impl Default for StateOptions {
    fn default() -> Self {
        Self { history_versions: HISTORY_VERSIONS }
    }
}

struct Inner {
    hub: Hub,
    options: StateOptions,
    cache: cache::Cache,
    metrics: metrics::StateMetrics,
    _plugins: Arc<dyn PluginHost>,
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

/// What it keeps.
pub(crate) fn collections() -> Vec<&'static Collection> {
    vec![&version::STATE, &version::HISTORY]
}

impl StateStore {
    /// Opens it over the hub's store.
    pub async fn open(hub: &Hub, options: StateOptions, plugins: Arc<dyn PluginHost>) -> Result<Self, StartError> {
        let metrics = metrics::StateMetrics::new(hub);
        let inner = Inner { hub: hub.clone(), options, cache: cache::Cache::default(), metrics, _plugins: plugins };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn desk(&self) -> &Desk {
        self.inner.hub.desk()
    }
}
