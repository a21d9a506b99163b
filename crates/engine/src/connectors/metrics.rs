//! The metrics of connectors: every name, unit and help text is declared here.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

use super::{connection::State, connections::Connections, error::CallError};
use crate::metrics::{Metrics, breaker_figure};

/// How calls of a connector ended. Bounded by the number of connectors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEnd {
    connector: String,
    outcome: &'static str,
}

/// Bounded by the number of connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByConnection {
    connection: String,
    connector: String,
}

/// The metrics.
#[derive(Debug, Default)]
pub(super) struct ConnectorMetrics {
    calls: Family<ByEnd, Counter>,
    unusable: Family<ByConnection, Gauge>,
    breaker: Family<ByConnection, Gauge>,
}

impl ConnectorMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            registry.register(
                "connector_calls",
                "Calls of connectors that ended, by connector and outcome: done, or the kind of the refusal",
                own.calls.clone(),
            );
            registry.register(
                "connection_unusable",
                "Whether calls by a connection are refused until somebody does something: 0 no, 1 it is disabled or must be \
                 connected again",
                own.unusable.clone(),
            );
            registry.register(
                "connection_breaker_state",
                "Breaker per connection: 0 closed, 1 half open, 2 open",
                own.breaker.clone(),
            );
        });
        own
    }

    /// A call ended.
    pub(super) fn called(&self, connector: &str, error: Option<&CallError>) {
        let outcome = error.map_or("done", CallError::kind);
        self.calls.get_or_create_owned(&ByEnd { connector: connector.to_owned(), outcome }).inc();
    }

    /// How the connections are.
    pub(super) fn observe(&self, connections: &Connections) {
        self.unusable.clear();
        self.breaker.clear();
        for view in connections.list(None) {
            let by = ByConnection { connection: view.name, connector: view.connector };
            self.unusable.get_or_create_owned(&by).set(i64::from(view.state != State::Connected));
            self.breaker.get_or_create_owned(&by).set(breaker_figure(view.health.breaker));
        }
    }
}
