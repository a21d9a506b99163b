//! The metrics of flows: every name, unit and help text is declared here.

use nexus_engine::{Hub, metrics::Metrics};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

use super::record::Run;
use crate::effect::Outcome;

/// Seconds: from a flow of pure tasks to one that waits for a day.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0];

/// How runs of a flow ended. Bounded by the number of flows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEnd {
    flow: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFlow {
    flow: String,
}

/// The metrics.
pub(super) struct FlowMetrics {
    steps: Counter,
    cost: Counter,
    runs: Family<ByEnd, Counter>,
    seconds: Family<ByFlow, Histogram>,
    unreadable: Gauge,
}

impl FlowMetrics {
    pub(super) fn new(hub: &Hub) -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let metrics = Self {
            steps: Counter::default(),
            cost: Counter::default(),
            runs: Family::default(),
            seconds,
            unreadable: Gauge::default(),
        };
        metrics.register(hub.metrics());
        metrics
    }

    fn register(&self, metrics: &Metrics) {
        metrics.register(|registry| {
            registry.register("flow_steps", "Steps of runs that were committed", self.steps.clone());
            registry.register("flow_expression_cost", "Evaluation steps of the expressions of runs", self.cost.clone());
            registry.register(
                "flow_runs_unreadable",
                "Runs that can't be read and were set aside",
                self.unreadable.clone(),
            );
            registry.register("flow_runs", "Runs that ended, by flow and outcome", self.runs.clone());
            registry.register(
                "flow_run_seconds",
                "From the beginning of a run to its end, by flow",
                self.seconds.clone(),
            );
        });
    }

    pub(super) fn unreadable(&self, runs: usize) {
        self.unreadable.set(i64::try_from(runs).unwrap_or(i64::MAX));
    }

    pub(super) fn stepped(&self, cost: u64) {
        self.steps.inc();
        self.cost.inc_by(cost);
    }

    pub(super) fn ended(&self, run: &Run, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Completed { .. } => "completed",
            Outcome::Faulted { .. } => "faulted",
            Outcome::Cancelled => "cancelled",
        };
        let flow = run.flow();
        self.runs.get_or_create(&ByEnd { flow: flow.clone(), outcome }).inc();
        let took = run.ended_at.map(|at| at.since(run.created_at).as_secs_f64()).unwrap_or_default();
        self.seconds.get_or_create(&ByFlow { flow }).observe(took);
    }
}
