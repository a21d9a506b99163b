//! The test clock: moved from deadline to deadline, and at each of them everything comes to rest before it moves on.

use std::{sync::atomic::Ordering, time::Duration};

use nexus_core::{
    problem::{Code, Problem},
    time::{Clock, Timestamp},
};

use super::Hub;
use crate::clock::SystemClock;

/// Rounds of settling, of two milliseconds or more each, for which something may go on.
mod rounds {
    /// What consumers took, and sleepers whose moment has come.
    pub(super) const LEASES: usize = 25;
    /// What handlers do.
    pub(super) const WORK: usize = 150;
    /// Deliveries to endpoints.
    pub(super) const DELIVERIES: usize = 500;
    /// Timers, which wait for nothing but the disk.
    pub(super) const TIMERS: usize = 5_000;
}
/// Stops of one advance of the test clock; a bound, as something could re-arm itself with every step.
const STOPS: usize = 200_000;

impl Hub {
    /// Moves the test clock forward, from deadline to deadline, letting everything settle at each.
    pub async fn advance(&self, by: Duration) -> Result<Timestamp, Problem> {
        let Some(clock) = &self.0.test_clock else {
            return Err(Problem::new(Code::NotFound, "there is no such path"));
        };
        let target = Clock::mono(clock) + by;
        for _ in 0..STOPS {
            self.settle().await?;
            let now = Clock::mono(clock);
            if now >= target {
                break;
            }
            let next = clock.next_deadline().map_or(target, |at| at.min(target));
            clock.advance(next.saturating_sub(now));
            tokio::task::yield_now().await;
        }
        self.settle().await?;
        Ok(self.0.desk.now())
    }

    /// Waits until only time or an event could change anything; at most some seconds of real time.
    async fn settle(&self) -> Result<(), Problem> {
        for round in 0..rounds::TIMERS {
            let head = self.0.desk.store.head().seq;
            self.0.dispatch.flush().await?;
            let delivered = self.0.dispatch.ask(move |machine, _| machine.is_quiet(head)).await?;
            // Whoever is at work is given a moment; one that never ends must not stop the clock.
            let held =
                self.0.consumers.leased() > 0 || self.0.test_clock.as_ref().is_some_and(SystemClock::is_someone_late);
            let works = self.0.work.load(Ordering::Acquire) > 0;
            if self.0.timers.are_quiet().await
                && (delivered || round >= rounds::DELIVERIES)
                && (!works || round >= rounds::WORK)
                && (!held || round >= rounds::LEASES)
            {
                return Ok(());
            }
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}
