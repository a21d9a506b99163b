//! How the hub is: for load balancers, for people, and as gauges.

use std::collections::BTreeMap;

use nexus_core::{breaker::BreakerState, time::Timestamp};
use serde::Serialize;

use crate::{
    delivery::{
        machine::{Machine, Now},
        state::Mode,
    },
    desk::Desk,
    dispatch::Dispatch,
    metrics::{BySubscription, Metrics, breaker_figure},
    subscription::Target,
};

/// Subscriptions shown as metrics; those that keep up and are well need no line.
const SHOWN: usize = 1_000;

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// `healthy`, `degraded` or `unhealthy`.
    pub status: &'static str,
    /// What was seen.
    pub detail: String,
}

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// The worst of the checks.
    pub status: &'static str,
    /// Requests are served.
    pub ready: bool,
    /// Version of the binary.
    pub version: &'static str,
    /// Since the start.
    pub uptime_seconds: f64,
    /// By component.
    pub checks: BTreeMap<&'static str, Check>,
    /// Subscription → `closed`, `open` or `half_open`. Not by URL: one may be a secret.
    pub breakers: BTreeMap<String, BreakerState>,
    /// Figures that the seeds' clients read; those of parts that are not there are 0.
    pub stats: BTreeMap<&'static str, u64>,
}

fn check(bad: Option<&'static str>, detail: String) -> Check {
    Check { status: bad.unwrap_or("healthy"), detail }
}

impl Health {
    /// Looks.
    pub async fn take(desk: &Desk, dispatch: &Dispatch, started: Timestamp) -> Self {
        let stats = desk.store.stats();
        let head = desk.store.head();
        let mut checks = BTreeMap::new();
        let readable = desk.store.event(nexus_core::id::EventId::from_bytes([0; 16])).await;
        let store = match readable {
            Ok(_) => check(None, format!("log at {}:{}", head.epoch, head.seq)),
            Err(_) => check(Some("unhealthy"), "the store does not answer".into()),
        };
        checks.insert("store", store);
        let low = stats.disk_free_bytes < stats.disk_reserve_bytes;
        let detail = if low {
            format!("{} bytes free, and events are refused below {}", stats.disk_free_bytes, stats.disk_reserve_bytes)
        } else {
            format!("{} bytes free", stats.disk_free_bytes)
        };
        checks.insert("disk", check(low.then_some("degraded"), detail));
        let mut breakers = BTreeMap::new();
        let deliveries = match dispatch.ask(figures).await {
            Ok(figures) => {
                let open = figures.breakers.values().filter(|b| **b == BreakerState::Open).count();
                let bad = (open > 0 || figures.stopped > 0).then_some("degraded");
                let detail = format!(
                    "{} in flight, {} retrying, {open} breakers open, {} subscriptions stopped",
                    figures.in_flight, figures.retrying, figures.stopped
                );
                breakers = figures.breakers;
                check(bad, detail)
            }
            Err(_) => check(Some("unhealthy"), "the dispatcher does not answer".into()),
        };
        checks.insert("deliveries", deliveries);
        let has = |status| checks.values().any(|c: &Check| c.status == status);
        let status = match (has("unhealthy"), has("degraded")) {
            (true, _) => "unhealthy",
            (false, true) => "degraded",
            (false, false) => "healthy",
        };
        Self {
            status,
            ready: status != "unhealthy",
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: desk.now().since(started).as_secs_f64(),
            checks,
            breakers,
            stats: BTreeMap::from([
                ("posts_tracked", 0),
                ("leads_captured", 0),
                ("active_conversations", 0),
                ("events", head.seq),
            ]),
        }
    }
}

/// Figures of the machine.
#[derive(Debug, Default)]
pub struct Figures {
    in_flight: usize,
    retrying: usize,
    stopped: usize,
    breakers: BTreeMap<String, BreakerState>,
    lags: Vec<(String, u64)>,
    states: Vec<(String, BreakerState)>,
}

/// Takes the machine's figures.
pub fn figures(machine: &Machine, now: Now) -> Figures {
    let mut found = Figures::default();
    for (_, state) in machine.states() {
        let s = &state.spec.subscription;
        found.in_flight += state.in_flight.len();
        found.retrying += state.exceptions.len();
        found.stopped += usize::from(!state.active);
        let breaker = state.breaker.state(now.mono);
        let interesting = breaker != BreakerState::Closed || state.mode == Mode::Behind;
        if found.states.len() < SHOWN {
            if interesting || found.states.len() < SHOWN / 2 {
                found.states.push((s.name.clone(), breaker));
            }
            if let Target::Webhook { .. } | Target::Http { .. } = &s.target {
                found.breakers.insert(s.name.clone(), breaker);
            }
            let lanes = state.log_lanes().iter().map(|l| state.lanes[usize::from(*l)].position());
            let position = match state.mode {
                Mode::Live => state.first_open().unwrap_or(machine.head() + 1),
                Mode::Behind => lanes.min().unwrap_or(0),
            };
            found.lags.push((s.name.clone(), (machine.head() + 1).saturating_sub(position)));
        }
    }
    found
}

impl Figures {
    /// Sets the gauges.
    pub fn publish(&self, metrics: &Metrics) {
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.retry_queue.set(whole(self.retrying as u64));
        metrics.lag.clear();
        metrics.breaker.clear();
        for (name, lag) in &self.lags {
            metrics.lag.get_or_create(&BySubscription { subscription: name.clone() }).set(whole(*lag));
        }
        for (name, breaker) in &self.states {
            metrics.breaker.get_or_create(&BySubscription { subscription: name.clone() }).set(breaker_figure(*breaker));
        }
    }
}
