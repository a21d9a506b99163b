//! `[services]`: how registered services are watched, chosen and called.

use std::time::Duration;

use nexus_core::breaker::BreakerPolicy;
use nexus_services::{
    RegistryOptions,
    registry::{Strategy, vitals::Thresholds},
};
use serde::{Deserialize, Serialize};

use super::value::Period;

/// The registry.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Services {
    /// Time between two health checks of an instance.
    pub(crate) check_interval: Period,
    /// Each interval is longer or shorter by up to so many per cent.
    pub(crate) check_jitter: u32,
    /// Time for one check.
    pub(crate) check_timeout: Period,
    /// Checks under way together.
    pub(crate) checks_at_once: usize,
    /// Failed checks in a row that make an instance unhealthy.
    pub(crate) unhealthy_after: u32,
    /// Passed checks in a row that make it healthy again.
    pub(crate) healthy_after: u32,
    /// A check that takes longer makes it degraded.
    pub(crate) slow_check: Period,
    /// Time between two heartbeats after which an instance expires, unless it named one.
    pub(crate) heartbeat_ttl: Period,
    /// Time for a call whose caller names none.
    pub(crate) invoke_timeout: Period,
    /// The longest time that a caller may name.
    pub(crate) longest_invoke_timeout: Period,
    /// How an instance is chosen.
    pub(crate) strategy: Strategy,
    /// Failures in a row that open an instance's breaker.
    pub(crate) breaker_failures: u32,
    /// How long a breaker stays open before one call is let through.
    pub(crate) breaker_open: Period,
}

impl Default for Services {
    fn default() -> Self {
        let options = RegistryOptions::default();
        Self {
            check_interval: Period(options.check_interval),
            check_jitter: options.check_jitter_percent,
            check_timeout: Period(options.check_timeout),
            checks_at_once: options.checks_at_once,
            unhealthy_after: options.thresholds.unhealthy_after,
            healthy_after: options.thresholds.healthy_after,
            slow_check: Period(options.thresholds.slow),
            heartbeat_ttl: Period(options.heartbeat_ttl),
            invoke_timeout: Period(options.invoke_timeout),
            longest_invoke_timeout: Period(options.longest_invoke_timeout),
            strategy: options.strategy,
            breaker_failures: options.breaker.failures,
            breaker_open: Period(options.breaker.open_for),
        }
    }
}

impl Services {
    /// As the registry takes them.
    pub(crate) fn options(&self) -> RegistryOptions {
        RegistryOptions {
            check_interval: self.check_interval.0,
            check_jitter_percent: self.check_jitter,
            check_timeout: self.check_timeout.0,
            checks_at_once: self.checks_at_once,
            thresholds: Thresholds {
                unhealthy_after: self.unhealthy_after,
                healthy_after: self.healthy_after,
                slow: self.slow_check.0,
            },
            heartbeat_ttl: self.heartbeat_ttl.0,
            invoke_timeout: self.invoke_timeout.0,
            longest_invoke_timeout: self.longest_invoke_timeout.0,
            strategy: self.strategy,
            breaker: BreakerPolicy { failures: self.breaker_failures, open_for: self.breaker_open.0 },
        }
    }

    /// What can't be meant.
    pub(crate) fn wrong(&self) -> Option<String> {
        let least = Duration::from_millis(10);
        let periods = [
            ("check_interval", self.check_interval),
            ("check_timeout", self.check_timeout),
            ("heartbeat_ttl", self.heartbeat_ttl),
            ("invoke_timeout", self.invoke_timeout),
            ("longest_invoke_timeout", self.longest_invoke_timeout),
        ];
        if let Some((name, _)) = periods.iter().find(|(_, period)| period.0 < least) {
            return Some(format!("{name}: at least 10ms"));
        }
        let counts = [self.unhealthy_after, self.healthy_after, self.breaker_failures];
        if counts.contains(&0) || self.checks_at_once == 0 {
            return Some("unhealthy_after, healthy_after, breaker_failures, checks_at_once: at least 1".to_owned());
        }
        (self.check_jitter > 50).then(|| "check_jitter: at most 50 per cent".to_owned())
    }
}
