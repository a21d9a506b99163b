//! Keeping the house: what a running hub does by itself every few seconds, and every minute.

use std::{sync::Arc, time::Duration};

use nexus_core::store::ExceptionState;

use super::Hub;
use crate::retention::Retention;

/// How often the house is kept.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How often retention runs.
const RETENTION: Duration = Duration::from_secs(60);

impl Hub {
    /// Keeps the house for as long as the hub runs.
    pub(super) async fn keep_house(&self, retention: Retention) {
        let clock = Arc::clone(&self.0.desk.clock);
        let mut due = Duration::ZERO;
        loop {
            self.observe().await;
            self.0.credentials.sources.refresh();
            self.0.client.tidy();
            // By the clock, not by rounds: one that was moved forward is to be followed at once.
            if clock.mono() >= due {
                due = clock.mono() + RETENTION;
                retention.run().await;
                self.tidy().await;
            }
            match &self.0.test_clock {
                Some(clock) => clock.doze(HOUSEKEEPING).await,
                None => clock.sleep(HOUSEKEEPING).await,
            }
        }
    }

    /// Writes down when tokens were used and forgets what is too old. Nothing depends on it at once.
    async fn tidy(&self) {
        self.0.connectors.tidy();
        for done in [self.0.credentials.tokens.keep().await, self.0.commands.sweep().await] {
            if let Err(error) = done {
                tracing::warn!(%error, "keeping tokens and commands tidy failed; it is tried again in a minute");
            }
        }
    }

    /// Brings the gauges up to date.
    pub async fn observe(&self) {
        let store = &self.0.desk.store;
        let metrics = &self.0.metrics;
        metrics.observe_store(&store.stats(), store.head().seq);
        if let Ok(counts) = store.exception_counts().await {
            let dead: u64 = counts.iter().filter(|(_, s, _)| *s == ExceptionState::Dead).map(|(.., n)| n).sum();
            metrics.dead_waiting.set(i64::try_from(dead).unwrap_or(i64::MAX));
        }
        self.0.connectors.observe();
        let figures = self.0.dispatch.ask(crate::health::figures).await;
        if let Ok(figures) = figures {
            figures.publish(metrics);
        }
    }
}
