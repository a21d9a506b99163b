//! Keys with versions, history, watches and rules for conflicts.

use std::sync::Arc;

use nexus_core::{plugin::PluginHost, record::Collection};
use nexus_engine::{Hub, StartError};

/// Settings of the state store.
#[derive(Clone, Debug, Default)]
pub struct StateOptions {}

/// The state store. Cheap to clone.
#[derive(Clone)]
pub struct StateStore {
    hub: Hub,
    _plugins: Arc<dyn PluginHost>,
}

impl std::fmt::Debug for StateStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateStore({:?})", self.hub)
    }
}

/// What it keeps.
pub(crate) fn collections() -> Vec<&'static Collection> {
    Vec::new()
}

impl StateStore {
    /// Opens it over the hub's store.
    pub async fn open(hub: &Hub, _options: StateOptions, plugins: Arc<dyn PluginHost>) -> Result<Self, StartError> {
        Ok(Self { hub: hub.clone(), _plugins: plugins })
    }
}
