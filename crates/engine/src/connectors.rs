//! Calling outside services: what a service is like stands in a manifest, whose account is used in a connection.
//!
//! ```text
//! manifest ─► check ─► Connector ─┐
//!                                 ├─► call: turn ─► token ─► draft + proof ─► send ─► judge ─► output, or try again
//! connection (record, secrets) ───┘
//! ```
//!
//! - [`manifest`], [`check`], [`library`], `template`: from a file to a [`Connector`] that can be called.
//! - [`connection`], [`connections`]: accounts, as they are kept and changed.
//! - `operation`, `path`, `auth`, `oauth`, `answer`, `limit`: the decisions, each a pure function.
//! - `calling`: what a call is asked with.
//! - `batch`: which calls go out as one request.
//! - `call`, `turn`, `grant`: the I/O around them; `mail`: the same over SMTP.
//! - `waits`, `metrics`: what is shown of all that.
//! - [`import`]: a manifest from a description in OpenAPI or Swagger.

mod answer;
mod auth;
mod batch;
mod call;
mod calling;
pub mod check;
pub mod connection;
pub mod connections;
pub mod error;
mod grant;
pub mod import;
pub mod library;
mod limit;
mod mail;
pub mod manifest;
mod metrics;
mod oauth;
mod operation;
mod path;
mod template;
mod turn;
mod waits;

use std::sync::Arc;

use nexus_core::problem::Problem;
use nexus_outbound::Client;
use tokio::sync::Semaphore;

pub(crate) use self::{answer::http_date, template::encode};
pub use self::{
    calling::{Called, ConnectorCall},
    check::Connector,
    connections::Connections,
    error::CallError,
    grant::Authorization,
    library::{Library, Origin},
    turn::{LimitNote, UsageNote},
    waits::Wait,
};
use crate::{desk::Desk, metrics::Metrics, supervisor::Spawn};

struct Inner {
    desk: Desk,
    client: Client,
    spawn: Spawn,
    library: Arc<Library>,
    connections: Arc<Connections>,
    turns: turn::Turns,
    calls: Semaphore,
    agreeing: grant::AgreeingNow,
    groups: call::Groups,
    waits: waits::Waits,
    metrics: metrics::ConnectorMetrics,
}

/// Calls connectors. Cheap to clone.
#[derive(Clone)]
pub struct Connectors(Arc<Inner>);

impl std::fmt::Debug for Connectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connectors({:?})", self.0.library.names().collect::<Vec<_>>())
    }
}

impl Connectors {
    /// Over these connections, with what was written down of limits before.
    pub(crate) async fn open(
        desk: Desk,
        client: Client,
        spawn: Spawn,
        library: Arc<Library>,
        connections: Arc<Connections>,
        metrics: &Metrics,
    ) -> Result<Self, Problem> {
        let turns = turn::Turns::open(desk.clone()).await?;
        let (calls, agreeing) = (Semaphore::new(call::CALLS_AT_ONCE), grant::AgreeingNow::default());
        Ok(Self(Arc::new(Inner {
            desk,
            client,
            spawn,
            library,
            connections,
            turns,
            calls,
            agreeing,
            groups: call::Groups::default(),
            waits: waits::Waits::default(),
            metrics: metrics::ConnectorMetrics::new(metrics),
        })))
    }

    /// The connectors there are.
    pub fn library(&self) -> &Library {
        &self.0.library
    }

    /// The connections.
    pub fn connections(&self) -> &Connections {
        &self.0.connections
    }

    /// Brings the gauges up to date.
    pub(crate) fn observe(&self) {
        self.0.metrics.observe(&self.0.connections);
    }

    /// Why the call with this idempotency key waits now, if it does and the call is this process's.
    pub fn waiting(&self, key: &str) -> Option<Wait> {
        self.0.waits.of(key)
    }

    /// Forgets what no longer limits anything. Once a minute.
    pub(crate) fn tidy(&self) {
        self.0.turns.tidy();
    }

    /// Writes down exactly what was used of long quotas, when nothing is sent any more.
    pub(crate) async fn close(&self) {
        self.0.turns.close().await;
    }
}
