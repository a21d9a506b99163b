//! How long what was rotated goes on: one range for every kind of credential and every door.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// A time for which the old one goes on after a rotation; a minute where nobody says. As JSON whole seconds from 0 to
/// [`Grace::MOST_SECONDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace(Duration);

impl Grace {
    /// The longest: 30 days.
    pub const MOST_SECONDS: u32 = 30 * 24 * 3_600;

    /// How long it is.
    pub fn lasts(self) -> Duration {
        self.0
    }
}

impl Default for Grace {
    fn default() -> Self {
        Self(Duration::from_secs(60))
    }
}

impl<'de> Deserialize<'de> for Grace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(Seconds)
    }
}

struct Seconds;

impl Visitor<'_> for Seconds {
    type Value = Grace;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number of seconds from 0 to {} (30 days)", Grace::MOST_SECONDS)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Grace, E> {
        if seconds > u64::from(Grace::MOST_SECONDS) {
            return Err(E::invalid_value(Unexpected::Unsigned(seconds), &self));
        }
        Ok(Grace(Duration::from_secs(seconds)))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Grace, E> {
        u64::try_from(seconds)
            .map_err(|_| E::invalid_value(Unexpected::Signed(seconds), &self))
            .and_then(|seconds| self.visit_u64(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_out_of_the_range_is_refused_with_the_range() {
        for good in ["0", "60", "2592000"] {
            assert!(serde_json::from_str::<Grace>(good).is_ok(), "{good}");
        }
        for bad in ["2592001", "-1", "99999999999", "18446744073709551616", "1.5", "\"60\"", "true"] {
            let error = serde_json::from_str::<Grace>(bad).expect_err(bad).to_string();
            assert!(error.contains("a whole number of seconds from 0 to 2592000 (30 days)"), "{bad}: {error}");
        }
    }
}
