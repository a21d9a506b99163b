//! The engine's metrics: every name, unit and help text is declared here.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicU64};

use nexus_core::{breaker::BreakerState, event::StoredEvent, retry::Verdict};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Seconds: from a fast local answer to the longest timeout.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Labels of attempts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByResult {
    /// `success`, `retry`, `unwell` or `gone`.
    pub result: &'static str,
}

/// Labels of one subscription; the set is bounded by the number of subscriptions shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BySubscription {
    /// Its name.
    pub subscription: String,
}

/// The engine's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Events dispatched.
    pub events: Counter,
    /// Attempts by result.
    pub attempts: Family<ByResult, Counter>,
    /// The same by verdict: success, retry, unwell, gone.
    results: [Counter; 5],
    /// Time of attempts, per subscription.
    pub reaction_seconds: Family<BySubscription, Histogram>,
    /// From handing events to the store until they are on disk.
    pub commit_seconds: Histogram,
    /// Dead letters made.
    pub dead_letters: Counter,
    /// Deliveries waiting to be tried again.
    pub retry_queue: Gauge,
    /// Dead letters that wait for a person.
    pub dead_waiting: Gauge,
    /// Events behind the head, per subscription that is behind.
    pub lag: Family<BySubscription, Gauge>,
    /// 0 closed, 1 half open, 2 open; per subscription.
    pub breaker: Family<BySubscription, Gauge>,
    store: StoreGauges,
}

/// A breaker's state as a gauge: 0 closed, 1 half open, 2 open.
pub(crate) fn breaker_figure(state: BreakerState) -> i64 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}

#[derive(Debug, Default)]
struct StoreGauges {
    commits: Gauge,
    groups: Gauge,
    group_seconds: Gauge<f64, AtomicU64>,
    last_group_seconds: Gauge<f64, AtomicU64>,
    sync_seconds: Gauge<f64, AtomicU64>,
    last_sync_seconds: Gauge<f64, AtomicU64>,
    door_items: Gauge,
    door_bytes: Gauge,
    own_items: Gauge,
    own_bytes: Gauge,
    file_bytes: Gauge,
    wal_bytes: Gauge,
    disk_free: Gauge,
    head: Gauge,
}

impl StoreGauges {
    fn declare(&self, r: &mut Registry) {
        r.register("log_head_seq", "Last seq of the log", self.head.clone());
        r.register("store_commits", "Commits since the start", self.commits.clone());
        r.register(
            "store_groups",
            "Transactions since the start; commits per group is the batch size",
            self.groups.clone(),
        );
        r.register(
            "store_group_seconds_total",
            "Time spent in transactions, syncs included",
            self.group_seconds.clone(),
        );
        r.register(
            "store_last_group_seconds",
            "Time of the last transaction, sync included",
            self.last_group_seconds.clone(),
        );
        r.register(
            "store_sync_seconds_total",
            "Time spent in COMMITs: writing a group to the write-ahead log, and the fsync",
            self.sync_seconds.clone(),
        );
        r.register(
            "store_last_sync_seconds",
            "Time of the last COMMIT, its fsync included",
            self.last_sync_seconds.clone(),
        );
        r.register("store_door_queue_items", "Commits from doors waiting for the writer", self.door_items.clone());
        r.register("store_door_queue_bytes", "Bytes from doors waiting for the writer", self.door_bytes.clone());
        r.register("store_own_queue_items", "The hub's own commits waiting for the writer", self.own_items.clone());
        r.register("store_own_queue_bytes", "Bytes of the hub's own waiting for the writer", self.own_bytes.clone());
        r.register("store_file_bytes", "Size of the database file", self.file_bytes.clone());
        r.register("store_wal_bytes", "Size of the write-ahead log", self.wal_bytes.clone());
        r.register("disk_free_bytes", "Free space where the data lies", self.disk_free.clone());
    }
}

impl Metrics {
    /// Declares everything.
    pub fn new() -> Arc<Self> {
        let attempts = Family::<ByResult, Counter>::default();
        let results = ["success", "retry", "unwell", "gone", "refused"];
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("nexus")),
            events: Counter::default(),
            results: results.map(|result| attempts.get_or_create_owned(&ByResult { result })),
            attempts,
            reaction_seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            commit_seconds: Histogram::new(SECONDS),
            dead_letters: Counter::default(),
            retry_queue: Gauge::default(),
            dead_waiting: Gauge::default(),
            lag: Family::default(),
            breaker: Family::default(),
            store: StoreGauges::default(),
        };
        metrics.register(|r| {
            let m = &metrics;
            r.register("events_processed", "Events dispatched from the log", m.events.clone());
            r.register("delivery_attempts", "Delivery attempts by result", m.attempts.clone());
            r.register(
                "reaction_duration_seconds",
                "Time of one delivery attempt, by subscription",
                m.reaction_seconds.clone(),
            );
            r.register(
                "commit_seconds",
                "From handing published events to the store until they are on disk",
                m.commit_seconds.clone(),
            );
            r.register("dead_letters", "Dead letters made since the start", m.dead_letters.clone());
            r.register("dead_letters_waiting", "Dead letters that wait for a person", m.dead_waiting.clone());
            r.register("retry_queue_size", "Deliveries that wait to be tried again", m.retry_queue.clone());
            r.register(
                "subscription_lag_events",
                "Events between a subscription's position and the head",
                m.lag.clone(),
            );
            r.register("breaker_state", "Breaker per subscription: 0 closed, 1 half open, 2 open", m.breaker.clone());
            m.store.declare(r);
        });
        Arc::new(metrics)
    }

    /// Lets another crate declare its own beside these.
    pub fn register(&self, declare: impl FnOnce(&mut Registry)) {
        declare(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a String can't fail.
        let _ = text::encode(&mut out, &registry);
        out
    }

    /// Events went to the dispatcher.
    pub fn dispatched(&self, events: &[Arc<StoredEvent>]) {
        self.events.inc_by(events.len() as u64);
    }

    /// An attempt was answered.
    pub fn attempted(&self, verdict: Verdict) {
        let [success, retry, unwell, gone, refused] = &self.results;
        match verdict {
            Verdict::Success => success.inc(),
            Verdict::Retry => retry.inc(),
            Verdict::RetryUnwell => unwell.inc(),
            Verdict::Gone => gone.inc(),
            Verdict::Refused => refused.inc(),
        };
    }

    /// Where the time of a subscription's attempts is counted.
    pub fn timing(&self, subscription: &str) -> Histogram {
        let by = BySubscription { subscription: subscription.to_owned() };
        self.reaction_seconds.get_or_create_owned(&by)
    }

    /// Takes over the store's figures.
    pub fn observe_store(&self, stats: &nexus_core::store::StoreStats, head: u64) {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        let s = &self.store;
        set(&s.head, head);
        set(&s.commits, stats.commits);
        set(&s.groups, stats.groups);
        s.group_seconds.set(stats.group_seconds);
        s.last_group_seconds.set(stats.last_group_seconds);
        s.sync_seconds.set(stats.sync_seconds);
        s.last_sync_seconds.set(stats.last_sync_seconds);
        set(&s.door_items, stats.door_queue_items);
        set(&s.door_bytes, stats.door_queue_bytes);
        set(&s.own_items, stats.own_queue_items);
        set(&s.own_bytes, stats.own_queue_bytes);
        set(&s.file_bytes, stats.file_bytes);
        set(&s.wal_bytes, stats.wal_bytes);
        set(&s.disk_free, stats.disk_free_bytes);
    }
}
