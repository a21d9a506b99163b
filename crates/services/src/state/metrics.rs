//! Figures of the state store: every name, unit and help text is declared here. And the last conflict, for people.

use std::sync::{Mutex, PoisonError};

use nexus_core::time::Timestamp;
use nexus_engine::Hub;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use serde::Serialize;

/// What can become of a conflict.
const OUTCOMES: [&str; 4] = ["refused", "merged", "resolved", "parked"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

/// A write that met another.
#[derive(Clone, Debug, Serialize)]
pub struct LastConflict {
    /// Its key.
    pub key: String,
    /// `refused`, `merged`, `resolved` or `parked`.
    pub outcome: &'static str,
    /// The version it expected.
    pub expected_version: Option<u64>,
    /// The version that stood.
    pub current_version: u64,
    /// Who wrote.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The figures.
#[derive(Debug, Default)]
pub(super) struct StateMetrics {
    writes: Counter,
    conflicts: Family<ByOutcome, Counter>,
    last: Mutex<Option<LastConflict>>,
}

impl StateMetrics {
    pub(super) fn new(hub: &Hub) -> Self {
        let metrics = Self::default();
        for outcome in OUTCOMES {
            // Shown as 0 from the start.
            drop(metrics.conflicts.get_or_create(&ByOutcome { outcome }));
        }
        hub.metrics().register(|registry| {
            registry.register("state_writes", "Changes of state that were stored", metrics.writes.clone());
            let help = "Writes of state that met another: refused, merged, resolved by a custom rule, or parked";
            registry.register("state_conflicts", help, metrics.conflicts.clone());
        });
        metrics
    }

    pub(super) fn written(&self) {
        self.writes.inc();
    }

    /// Changes since the start of the process; it moves with every one.
    pub(super) fn writes(&self) -> u64 {
        self.writes.get()
    }

    pub(super) fn conflict(&self, last: LastConflict) {
        self.conflicts.get_or_create(&ByOutcome { outcome: last.outcome }).inc();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// Conflicts by outcome since the start, and the last one.
    pub(super) fn conflicts(&self) -> (Vec<(&'static str, u64)>, Option<LastConflict>) {
        let count = |outcome| (outcome, self.conflicts.get_or_create(&ByOutcome { outcome }).get());
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (OUTCOMES.into_iter().map(count).collect(), last)
    }
}
