//! Wall time as one integer, and the clock as a port.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use serde::{Deserialize, Serialize};

/// The last moment that can be written down: 9999-12-30T22:00:00Z.
const LAST_MICROS: i64 = 253_402_207_200_000_000;

/// Microseconds since the Unix epoch, UTC. The only form in which Nexus stores a time; dialects render it as they need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch, saturating.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// From whole seconds since the epoch, saturating.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, as `Date.now()` gives them.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the epoch.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Seconds since the epoch with their fraction, as Python's `time.time()` gives them.
    #[expect(clippy::cast_precision_loss, reason = "52 bits of microseconds reach the year 2112")]
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// This time moved forward, saturating.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This time moved back, saturating.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339, for example `2026-01-02T03:04:05.678Z`.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_microsecond()))
    }

    /// As [`Self::parse`], or what would be right.
    pub fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            let last = Self(LAST_MICROS);
            format!("{text:?} is no time up to {last}; write for example 2026-12-31T00:00:00Z (RFC 3339)")
        })
    }
}

/// ISO 8601 UTC with milliseconds (`2026-01-02T03:04:05.678Z`), or with microseconds where they are not zero.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clamped = self.0.clamp(-377_705_023_201_000_000, LAST_MICROS);
        match jiff::Timestamp::from_microsecond(clamped) {
            Ok(t) if clamped % 1_000 == 0 => write!(f, "{t:.3}"),
            Ok(t) => write!(f, "{t:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// A future without a runtime's name on it.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// The only source of time. Timers are due by wall time; leases, timeouts and backoff count monotonic time.
pub trait Clock: Send + Sync + 'static {
    /// Wall time. May jump, also backwards.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment in this process. Never goes back.
    fn mono(&self) -> Duration;
    /// Resolves once `mono()` has advanced by `by`.
    fn sleep(&self, by: Duration) -> Pending<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_the_last_is_refused_with_the_range() {
        let wrong = Timestamp::read("9999-12-31T23:59:59Z").expect_err("beyond");
        assert!(wrong.contains("up to 9999-12-30T22:00:00.000Z"), "{wrong}");
        assert!(Timestamp::read("9999-12-30T22:00:00Z").is_ok());
    }

    #[test]
    fn times_render_as_iso_8601_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_767_323_045_678).to_string(), "2026-01-02T03:04:05.678Z");
        assert_eq!(Timestamp::from_micros(1_767_323_045_000_001).to_string(), "2026-01-02T03:04:05.000001Z");
        assert_eq!(Timestamp::parse("2026-01-02T03:04:05.678Z"), Some(Timestamp::from_millis(1_767_323_045_678)));
    }
}
