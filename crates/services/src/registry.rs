//! Who is there, how they are, and whom to call.

use std::sync::Arc;

use nexus_core::{plugin::PluginHost, record::Collection};
use nexus_engine::{Hub, StartError};

/// Settings of the registry.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {}

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    hub: Hub,
    _plugins: Arc<dyn PluginHost>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({:?})", self.hub)
    }
}

/// What it keeps.
pub(crate) fn collections() -> Vec<&'static Collection> {
    Vec::new()
}

impl Registry {
    /// Reads what earlier processes left, and starts watching over it.
    pub async fn open(hub: &Hub, _options: RegistryOptions, plugins: Arc<dyn PluginHost>) -> Result<Self, StartError> {
        Ok(Self { hub: hub.clone(), _plugins: plugins })
    }
}
