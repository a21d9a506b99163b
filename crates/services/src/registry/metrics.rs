//! The registry's metrics: every name, unit and help text is declared here. No label comes from outside.

use nexus_engine::metrics::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

use super::vitals::Status;

/// Seconds: from a fast local answer to the longest timeout.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// How services are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    status: &'static str,
}

/// How calls and checks ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The service answered below 500.
    Answered,
    /// The service answered 500 or above.
    Failed,
    /// No service of this name.
    Unknown,
    /// No instance may be called.
    Unavailable,
    /// Not in time.
    Late,
    /// No usable answer.
    Broken,
    /// A plugin or a limit refused it.
    Refused,
    /// The caller went away.
    Cancelled,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Answered,
        Self::Failed,
        Self::Unknown,
        Self::Unavailable,
        Self::Late,
        Self::Broken,
        Self::Refused,
        Self::Cancelled,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Unavailable => "unavailable",
            Self::Late => "late",
            Self::Broken => "broken",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The registry's metrics.
#[derive(Debug)]
pub(super) struct RegistryMetrics {
    services: Family<ByStatus, Gauge>,
    invokes: Family<ByOutcome, Counter>,
    invoke_seconds: Histogram,
    /// Calls under way.
    pub(super) in_flight: Gauge,
    /// Calls that went to a second or third instance.
    pub(super) retries: Counter,
    checks: Family<ByOutcome, Counter>,
    /// Heartbeats taken.
    pub(super) heartbeats: Counter,
}

impl RegistryMetrics {
    /// Declares everything beside the hub's own.
    pub(super) fn new(hub: &Metrics) -> Self {
        let made = Self {
            services: Family::default(),
            invokes: Family::default(),
            invoke_seconds: Histogram::new(SECONDS),
            in_flight: Gauge::default(),
            retries: Counter::default(),
            checks: Family::default(),
            heartbeats: Counter::default(),
        };
        // A series that begins at zero can be watched from the start.
        for status in Status::ALL {
            drop(made.services.get_or_create(&ByStatus { status: status.as_str() }));
        }
        for outcome in Outcome::ALL {
            drop(made.invokes.get_or_create(&ByOutcome { outcome: outcome.as_str() }));
        }
        for outcome in ["passed", "degraded", "failed"] {
            drop(made.checks.get_or_create(&ByOutcome { outcome }));
        }
        hub.register(|r| {
            r.register("services", "Registered services by status", made.services.clone());
            r.register("service_invokes", "Calls of services by how they ended", made.invokes.clone());
            r.register(
                "service_invoke_seconds",
                "Time of one call of a service, retries included",
                made.invoke_seconds.clone(),
            );
            r.register("service_invokes_in_flight", "Calls of services under way", made.in_flight.clone());
            r.register("service_invoke_retries", "Calls sent to one more instance", made.retries.clone());
            r.register("service_checks", "Health checks of services by result", made.checks.clone());
            r.register("service_heartbeats", "Heartbeats of services", made.heartbeats.clone());
        });
        made
    }

    /// One more or one less in this state.
    pub(super) fn count(&self, status: Status, by: i64) {
        self.services.get_or_create(&ByStatus { status: status.as_str() }).inc_by(by);
    }

    /// A call ended.
    pub(super) fn invoked(&self, outcome: Outcome, took: std::time::Duration) {
        self.invokes.get_or_create(&ByOutcome { outcome: outcome.as_str() }).inc();
        self.invoke_seconds.observe(took.as_secs_f64());
    }

    /// A check came back.
    pub(super) fn checked(&self, outcome: &'static str) {
        self.checks.get_or_create(&ByOutcome { outcome }).inc();
    }
}
