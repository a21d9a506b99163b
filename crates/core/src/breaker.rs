//! A circuit breaker: after some failures in a row nothing is sent for a while, then one probe decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerPolicy {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open before a probe is let through.
    pub open_for: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(30) }
    }
}

/// State of a breaker, as shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Everything goes.
    Closed,
    /// Nothing goes.
    Open,
    /// One probe is out, or may go.
    HalfOpen,
}

/// The state machine. Times are monotonic.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    failures: u32,
    open_until: Option<Duration>,
    probing: bool,
}

impl Breaker {
    /// Closed.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, failures: 0, open_until: None, probing: false }
    }

    /// Its state at `now`.
    pub fn state(&self, now: Duration) -> BreakerState {
        match self.open_until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// When the next probe may go, while it is open.
    pub fn open_until(&self) -> Option<Duration> {
        self.open_until
    }

    /// Asks to send one request; `true` takes the probe's place when half open.
    pub fn admit(&mut self, now: Duration) -> bool {
        match self.state(now) {
            BreakerState::Closed => true,
            BreakerState::Open => false,
            BreakerState::HalfOpen => !std::mem::replace(&mut self.probing, true),
        }
    }

    /// Whether [`Self::admit`] would let a request through.
    pub fn would_admit(&self, now: Duration) -> bool {
        match self.state(now) {
            BreakerState::Closed => true,
            BreakerState::Open => false,
            BreakerState::HalfOpen => !self.probing,
        }
    }

    /// A request ended well. `true` when this closed the breaker.
    pub fn success(&mut self) -> bool {
        self.failures = 0;
        self.probing = false;
        self.open_until.take().is_some()
    }

    /// A request failed in a way that says the endpoint is unwell. `true` when this opened (or re-opened) the breaker.
    pub fn failure(&mut self, now: Duration) -> bool {
        self.failures = self.failures.saturating_add(1);
        let was_probe = std::mem::take(&mut self.probing);
        // Stragglers sent before it opened neither prolong nor re-open it.
        let opens = if self.open_until.is_some() { was_probe } else { self.failures >= self.policy.failures };
        if opens {
            self.open_until = Some(now + self.policy.open_for);
        }
        opens
    }

    /// The probe ended without saying anything about the endpoint (cancelled): another may go.
    pub fn probe_lost(&mut self) {
        self.probing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn five_failures_open_it_and_one_probe_decides() {
        let mut b = Breaker::new(BreakerPolicy::default());
        assert!((0..4).all(|_| !b.failure(s(1))));
        assert!(b.failure(s(1)), "the fifth opens it");
        assert!(!b.admit(s(30)));
        assert!(b.admit(s(31)), "the probe");
        assert!(!b.admit(s(31)), "only one probe");
        assert!(b.failure(s(32)));
        assert!(!b.admit(s(61)));
        assert!(b.admit(s(62)));
        assert!(b.success());
        assert_eq!(b.state(s(62)), BreakerState::Closed);
    }

    #[test]
    fn a_success_in_between_starts_the_count_anew() {
        let mut b = Breaker::new(BreakerPolicy::default());
        for _ in 0..4 {
            b.failure(s(1));
        }
        b.success();
        assert!((0..4).all(|_| !b.failure(s(1))));
    }
}
