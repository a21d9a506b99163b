//! A token bucket: so many requests a second, with a burst of one second's worth.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// A rate. Written `10/s`, `600/m` or `1000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub per: Duration,
}

impl FromStr for Rate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no rate; write for example 10/s, 600/m or 1000/h");
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let count = count.trim().parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
        let secs = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(wrong()),
        };
        Ok(Self { count, per: Duration::from_secs(secs) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl TryFrom<String> for Rate {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

/// Generic cell rate algorithm: one time per bucket instead of a count and a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// Theoretical arrival time of the next request that finds the bucket full.
    full_at: Duration,
}

impl Bucket {
    /// Takes one token at monotonic time `now`, or says how long until there is one.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Result<(), Duration> {
        let step = rate.per / rate.count;
        let base = self.full_at.max(now);
        let room = now + rate.per;
        if base + step > room {
            return Err(base + step - room);
        }
        self.full_at = base + step;
        Ok(())
    }

    /// How many tokens are left.
    pub fn left(&self, rate: Rate, now: Duration) -> u32 {
        let step = rate.per / rate.count;
        let room = (now + rate.per).saturating_sub(self.full_at.max(now));
        let left = room.as_nanos().checked_div(step.as_nanos()).unwrap_or(u128::from(rate.count));
        u32::try_from(left).unwrap_or(u32::MAX).min(rate.count)
    }

    /// How long until it is full again.
    pub fn full_in(&self, now: Duration) -> Duration {
        self.full_at.saturating_sub(now)
    }

    /// One that is full again after `wait`.
    pub fn full_after(wait: Duration, now: Duration) -> Self {
        Self { full_at: now + wait }
    }

    /// Nothing is taken: the bucket can be forgotten.
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_lets_ten_through_at_once_and_then_one_every_tenth() {
        let rate: Rate = "10/s".parse().expect("valid");
        let mut bucket = Bucket::default();
        let start = Duration::from_secs(100);
        assert_eq!((0..30).filter(|_| bucket.take(rate, start).is_ok()).count(), 10);
        assert_eq!(bucket.take(rate, start), Err(Duration::from_millis(100)));
        assert_eq!((bucket.left(rate, start), bucket.full_in(start)), (0, Duration::from_secs(1)));
        assert_eq!(bucket.left(rate, start + Duration::from_millis(350)), 3);
        assert_eq!(Bucket::default().left(rate, start), 10);
        assert!(bucket.take(rate, start + Duration::from_millis(100)).is_ok());
        assert!(bucket.is_full(start + Duration::from_secs(3)));
        assert!("0/s".parse::<Rate>().is_err());
    }
}
