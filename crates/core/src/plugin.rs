//! The port for plugins: the moments at which one may look on, change or refuse. Hooks run before the commit.

use async_trait::async_trait;
use serde_json::Value;

use crate::problem::Problem;

/// A write that met another.
#[derive(Clone, Debug)]
pub struct StateConflict {
    /// Which key.
    pub key: String,
    /// The value that the writer had read; absent when it read none or it is no longer known.
    pub base: Option<Value>,
    /// The value that stands.
    pub current: Option<Value>,
    /// The value that the writer wants.
    pub wanted: Value,
}

/// What runs plugins. Every method has an answer without any plugin: go on unchanged.
#[async_trait]
pub trait PluginHost: Send + Sync + 'static {
    /// Whether any plugin looks at calls of services. Without one their bodies pass as the bytes that they are.
    fn watches_invokes(&self) -> bool {
        true
    }

    /// Before a service is called. The body to send, or a refusal that the caller sees.
    async fn before_service_invoke(&self, service: &str, body: Value) -> Result<Value, Problem> {
        let _ = service;
        Ok(body)
    }

    /// After a service has answered; it can't change the answer.
    async fn after_service_invoke(&self, service: &str, status: u16, body: &[u8]) {
        let _ = (service, status, body);
    }

    /// The value that resolves a conflict; `None` when there is no resolver of this name.
    async fn resolve_conflict(&self, resolver: &str, conflict: &StateConflict) -> Result<Option<Value>, Problem> {
        let _ = (resolver, conflict);
        Ok(None)
    }
}

/// A host without plugins.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPlugins;

#[async_trait]
impl PluginHost for NoPlugins {
    fn watches_invokes(&self) -> bool {
        false
    }
}
