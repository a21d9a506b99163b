//! Settings of the registry, each with its default and what happens at it.

use std::time::Duration;

use nexus_core::breaker::BreakerPolicy;

use super::{choice::Strategy, vitals::Thresholds};

/// Registered instances; one more is refused.
pub const SERVICES: usize = 10_000;
/// Bytes of a service's answer to a call; a larger one is 502.
pub const INVOKE_ANSWER_BYTES: usize = 8 << 20;
/// Calls under way together; one more is refused (503).
pub const INVOKES_AT_ONCE: usize = 4_096;
/// Instances that one call may be sent to.
pub const INVOKE_TRIES: usize = 3;

/// Settings of the registry.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Time between two checks of an instance.
    pub check_interval: Duration,
    /// Each interval is longer or shorter by up to this many per cent, so that checks do not come in waves.
    pub check_jitter_percent: u32,
    /// Time for one check, body included.
    pub check_timeout: Duration,
    /// Checks under way together; the next one waits.
    pub checks_at_once: usize,
    /// What makes an instance unhealthy, healthy, degraded.
    pub thresholds: Thresholds,
    /// Time between two heartbeats after which an instance expires, where it named none.
    pub heartbeat_ttl: Duration,
    /// Time for a call, retries included, where the caller names none.
    pub invoke_timeout: Duration,
    /// The longest time that a caller may name.
    pub longest_invoke_timeout: Duration,
    /// How an instance is chosen, where neither the caller nor the service says.
    pub strategy: Strategy,
    /// When the breaker of an instance opens, and for how long.
    pub breaker: BreakerPolicy,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            check_interval: Duration::from_secs(10),
            check_jitter_percent: 10,
            check_timeout: Duration::from_secs(2),
            checks_at_once: 256,
            thresholds: Thresholds { unhealthy_after: 3, healthy_after: 2, slow: Duration::from_secs(1) },
            heartbeat_ttl: Duration::from_secs(30),
            invoke_timeout: Duration::from_secs(30),
            longest_invoke_timeout: Duration::from_secs(300),
            strategy: Strategy::default(),
            breaker: BreakerPolicy::default(),
        }
    }
}

impl RegistryOptions {
    /// The longest time for which a dead instance may still be called: the checks that it takes to find out, each as late
    /// as it can be. (A call that finds its port closed makes the next check come at once.)
    pub fn detection_bound(&self) -> Duration {
        let jitter = self.check_interval * self.check_jitter_percent / 100;
        (self.check_interval + jitter + self.check_timeout) * self.thresholds.unhealthy_after.max(1)
    }
}
