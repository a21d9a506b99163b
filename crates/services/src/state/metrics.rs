//! Figures of the state store: every name, unit and help text is declared here.

use nexus_engine::Hub;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

/// The figures.
#[derive(Debug, Default)]
pub(super) struct StateMetrics {
    writes: Counter,
    conflicts: Family<ByOutcome, Counter>,
}

impl StateMetrics {
    pub(super) fn new(hub: &Hub) -> Self {
        let metrics = Self::default();
        hub.metrics().register(|registry| {
            let writes = metrics.writes.clone();
            registry.register("nexus_state_writes", "Changes of state that were stored", writes);
            let conflicts = metrics.conflicts.clone();
            let help = "Writes that met another: refused, merged, resolved or parked";
            registry.register("nexus_state_conflicts", help, conflicts);
        });
        metrics
    }

    pub(super) fn written(&self) {
        self.writes.inc();
    }

    pub(super) fn conflict(&self, outcome: &'static str) {
        self.conflicts.get_or_create(&ByOutcome { outcome }).inc();
    }
}
