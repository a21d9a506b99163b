//! When a failed delivery is tried again: full-jitter exponential backoff, or an explicit list of waits.

use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// The longest wait that a `Retry-After` may ask for; longer ones are cut to it.
pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(3600);

/// A retry schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RetrySchedule {
    /// Before attempt n+1: a random wait in `[0, min(cap, base * 2^n)]`, but at least a tenth of that bound.
    Exponential {
        /// Bound of the first wait.
        base_ms: u64,
        /// Bound of every wait.
        cap_ms: u64,
    },
    /// Exactly these waits, in order; the last one repeats.
    Explicit {
        /// Waits in milliseconds; never empty.
        waits_ms: Vec<u64>,
    },
}

impl Default for RetrySchedule {
    /// 1 s doubling to an hour: ten attempts span about half an hour on average.
    fn default() -> Self {
        Self::Exponential { base_ms: 1_000, cap_ms: 3_600_000 }
    }
}

impl RetrySchedule {
    /// The wait after `attempts` attempts have failed (1 = the first has). `random` is uniform over all u64.
    pub fn wait(&self, attempts: u16, random: u64) -> Duration {
        let millis = match self {
            Self::Exponential { base_ms, cap_ms } => {
                let doubled = base_ms.saturating_mul(1u64 << u32::from(attempts.saturating_sub(1)).min(40));
                let bound = doubled.min(*cap_ms);
                let floor = bound / 10;
                floor + random % (bound - floor + 1)
            }
            Self::Explicit { waits_ms } => {
                let index = usize::from(attempts.saturating_sub(1)).min(waits_ms.len().saturating_sub(1));
                waits_ms.get(index).copied().unwrap_or(1_000)
            }
        };
        Duration::from_millis(millis)
    }
}

/// Reads `1s,5s,30s` as an explicit schedule; units ms, s, m, h.
impl FromStr for RetrySchedule {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let waits_ms = text
            .split(',')
            .map(|part| parse_duration(part.trim()).map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Explicit { waits_ms })
    }
}

/// Reads `250ms`, `5s`, `10m`, `24h` or `7d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write a number and ms, s, m, h or d, for example 30s");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis_per = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis_per).map(Duration::from_millis).ok_or_else(wrong)
}

/// What a delivery's answer means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx.
    Success,
    /// Try again; the endpoint itself looks unwell, which counts for its breaker.
    RetryUnwell,
    /// Try again; the endpoint is well but refuses this or asks to slow down.
    Retry,
    /// It would be refused whenever it is tried: no further attempt. The endpoint is well.
    Refused,
    /// 410: the endpoint is gone for good.
    Gone,
}

/// Classes of HTTP answers. `None` = no answer at all (refused, timed out, cut).
pub fn classify(status: Option<u16>) -> Verdict {
    match status {
        Some(200..=299) => Verdict::Success,
        Some(410) => Verdict::Gone,
        None | Some(500..=599) => Verdict::RetryUnwell,
        Some(_) => Verdict::Retry,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_explicit_schedule_is_followed_to_the_letter() {
        let schedule: RetrySchedule = "1s,5s,30s".parse().expect("valid");
        let waits: Vec<u64> = (1..=5).map(|n| schedule.wait(n, 7).as_secs()).collect();
        assert_eq!(waits, [1, 5, 30, 30, 30]);
        assert!("1s,,5".parse::<RetrySchedule>().is_err());
    }

    proptest! {
        #[test]
        fn a_jittered_wait_stays_between_a_tenth_of_its_bound_and_the_bound(attempts in 1u16..200, random: u64) {
            let schedule = RetrySchedule::Exponential { base_ms: 1_000, cap_ms: 60_000 };
            let bound = 60_000.min(1_000u64.saturating_mul(1 << (attempts - 1).min(30)));
            let wait = u64::try_from(schedule.wait(attempts, random).as_millis()).expect("small");
            prop_assert!(wait >= bound / 10 && wait <= bound);
        }
    }
}
