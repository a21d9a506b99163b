//! Event ids: UUIDv7, so that the id index grows at its end.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// A UUIDv7. Ids made by one generator ascend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// From its sixteen bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its sixteen bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a UUID.
#[derive(Debug, thiserror::Error)]
#[error("not an event id: a UUID such as 0190a6f0-5c1e-7cc0-8000-3f6b3f2a9c11 is expected")]
pub struct InvalidId;

impl FromStr for EventId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        uuid::Uuid::try_parse(text).map(|u| Self(u.into_bytes())).map_err(|_| InvalidId)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Makes ascending UUIDv7s from times and randomness that are handed in.
#[derive(Debug, Default)]
pub struct IdGenerator {
    last: u128,
}

/// Longest that ids may run ahead of the time they are made at; what lies further ahead was not made by a generator.
const AHEAD: u64 = 60_000;

impl IdGenerator {
    /// One whose ids come after the millisecond of `time` and of `newest`, the largest id below [`Self::bound`]. While the clock
    /// is behind, ids are counted on, so that only the ids themselves tell where to go on.
    pub fn after(time: Timestamp, newest: Option<EventId>) -> Self {
        let millis = newest.map_or(0, |id| u128::from_be_bytes(id.0) >> 80);
        let last = (millis.max(u128::from(millis_of(time))) << 80) | (VERSION << 76) | MIDDLE | (VARIANT << 62) | LOW;
        Self { last }
    }

    /// Above every id that was made until `time`; ids brought from elsewhere may lie higher.
    pub fn bound(time: Timestamp) -> EventId {
        EventId((u128::from(millis_of(time) + AHEAD) << 80).to_be_bytes())
    }

    /// The next id: `now` in its first 48 bits, `random` in the rest; when that would not ascend, the previous id plus one.
    pub fn next(&mut self, now: Timestamp, random: [u8; 10]) -> EventId {
        let mut bytes = [0u8; 16];
        bytes[..6].copy_from_slice(&millis_of(now).to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let mut value = u128::from_be_bytes(bytes);
        if value <= self.last {
            value = successor(self.last);
        }
        self.last = value;
        EventId(value.to_be_bytes())
    }
}

/// Bits of a UUIDv7: those that count, those that are fixed.
const LOW: u128 = (1 << 62) - 1;
const MIDDLE: u128 = 0xfff << 64;
const VERSION: u128 = 7;
const VARIANT: u128 = 2;

fn millis_of(time: Timestamp) -> u64 {
    u64::try_from(time.millis()).unwrap_or(0)
}

/// The smallest larger UUIDv7: carries skip the two variant bits, and the four version bits.
fn successor(id: u128) -> u128 {
    if id & LOW != LOW {
        id + 1
    } else if id & MIDDLE != MIDDLE {
        (id & !LOW) + (1 << 64)
    } else {
        (id & !LOW & !MIDDLE) + (1 << 80)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_even_when_the_clock_goes_back() {
        let mut ids = IdGenerator::default();
        let a = ids.next(Timestamp::from_millis(2_000), [0xff; 10]);
        let b = ids.next(Timestamp::from_millis(1_000), [0; 10]);
        assert!(b > a);
        assert_eq!(b.as_bytes()[6] >> 4, 7);
        assert_eq!(b.as_bytes()[8] >> 6, 2);
        assert_eq!(a.to_string().parse::<EventId>().ok(), Some(a));
    }

    #[test]
    fn each_generator_goes_on_after_the_one_before_though_the_clock_stays_behind() {
        let (behind, head) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
        let mut newest = None;
        for _ in 0..3 {
            let mut ids = IdGenerator::after(head, newest);
            for _ in 0..3 {
                let id = ids.next(behind.max(head), [0; 10]);
                assert!(newest.is_none_or(|newest| id > newest), "{id} after {newest:?}");
                assert_eq!((id.as_bytes()[6] >> 4, id.as_bytes()[8] >> 6), (7, 2));
                assert!(id < IdGenerator::bound(head));
                newest = Some(id);
            }
        }
    }
}
