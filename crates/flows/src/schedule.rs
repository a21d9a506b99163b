//! When a schedule fires next: cron with time zones, and intervals. Pure functions of the last fire and the present.
//!
//! Daylight saving: a local time that does not exist (the clock jumps over it) fires at the first moment after the jump;
//! one that exists twice fires once, the first time. A schedule for every hour keeps to real hours instead. Missed fires (the hub was down) are one fire, not many.

use std::time::Duration;

use jiff::{
    ToSpan,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use nexus_core::time::Timestamp;

/// How far ahead a cron expression is searched: the 29th of February may be eight years away.
const SEARCH_DAYS: i32 = 366 * 9;

/// A cron expression: minute, hour, day of month, month, day of week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both days are restricted: either suffices, as cron has always had it.
    either_day: bool,
}

const ALL_HOURS: u64 = (1 << 24) - 1;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Cron {
    /// Reads five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expanded = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = expanded.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!(
                "{text:?} has {} fields; a schedule has five: minute hour day-of-month month day-of-week",
                fields.len()
            ));
        };
        let weekdays = set(weekday, "the day of week", 0, 7, &WEEKDAYS, 0)?;
        let cron = Self {
            minutes: set(minute, "the minute", 0, 59, &[], 0)?,
            hours: set(hour, "the hour", 0, 23, &[], 0)?,
            days: set(day, "the day of month", 1, 31, &[], 0)?,
            months: set(month, "the month", 1, 12, &MONTHS, 1)?,
            // Sunday is 0 and 7.
            weekdays: (weekdays | (weekdays >> 7)) & 0x7f,
            either_day: !day.starts_with(['*', '?']) && !weekday.starts_with(['*', '?']),
        };
        if cron.next(Timestamp::from_secs(0), &TimeZone::UTC).is_none() {
            return Err(format!("{text:?} never fires: no such day in such a month"));
        }
        Ok(cron)
    }

    /// The first fire after `after`, or `None` when there is none.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let from = jiff::Timestamp::from_microsecond(after.micros()).ok()?;
        let local = zone.to_datetime(from);
        let mut day = local.date();
        for _ in 0..SEARCH_DAYS {
            if self.day_matches(day.month(), day.day(), day.weekday().to_sunday_zero_offset()) {
                // All fires of this day, as the clock jumps may reorder local times.
                let found = self
                    .times()
                    .flat_map(|(hour, minute)| self.instants(day.at(hour, minute, 0, 0), zone))
                    .flatten()
                    .filter(|at| *at > from)
                    .min();
                if let Some(at) = found {
                    return Some(Timestamp::from_micros(at.as_microsecond()));
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn times(&self) -> impl Iterator<Item = (i8, i8)> + '_ {
        (0..24i8).filter(|hour| self.hours & (1 << hour) != 0).flat_map(|hour| {
            (0..60i8).filter(|minute| self.minutes & (1 << minute) != 0).map(move |minute| (hour, minute))
        })
    }

    /// The moments of a local time: one, or where the clock jumps none or two.
    fn instants(&self, local: DateTime, zone: &TimeZone) -> [Option<jiff::Timestamp>; 2] {
        let hourly = self.hours == ALL_HOURS;
        match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => [offset.to_timestamp(local).ok(), None],
            AmbiguousOffset::Fold { before, after } => {
                [before.to_timestamp(local).ok(), hourly.then(|| after.to_timestamp(local).ok()).flatten()]
            }
            AmbiguousOffset::Gap { .. } if hourly => [None, None],
            // Read with the offset from before the jump it lies after the jump, which is the first moment there is.
            AmbiguousOffset::Gap { before, .. } => {
                let behind = before.to_timestamp(local).ok();
                let jump =
                    behind.and_then(|at| at.checked_sub(6.hours()).ok()).and_then(|at| zone.following(at).next());
                [jump.map(|jump| jump.timestamp()).filter(|at| behind.is_some_and(|b| *at <= b)).or(behind), None]
            }
        }
    }

    fn day_matches(&self, month: i8, day: i8, weekday: i8) -> bool {
        let by_date = self.days & (1 << day) != 0;
        let by_week = self.weekdays & (1 << weekday) != 0;
        self.months & (1 << month) != 0 && if self.either_day { by_date || by_week } else { by_date && by_week }
    }
}

/// Reads one field into the bits of what it allows.
fn set(text: &str, what: &str, low: u32, high: u32, names: &[&str], named_from: usize) -> Result<u64, String> {
    let wrong = |part: &str| format!("{part:?} is no value for {what}; it goes from {low} to {high}");
    let one = |part: &str| -> Result<u32, String> {
        let lower = part.to_ascii_lowercase();
        let named = names.iter().position(|name| *name == lower).map(|n| n + named_from);
        let value =
            named.and_then(|n| u32::try_from(n).ok()).or_else(|| part.parse().ok()).ok_or_else(|| wrong(part))?;
        if value < low || value > high { Err(wrong(part)) } else { Ok(value) }
    };
    let mut bits = 0u64;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|s| *s > 0).ok_or_else(|| wrong(part))?),
            None => (part, 1),
        };
        let (from, until) = match range {
            "*" | "?" => (low, high),
            _ => match range.split_once('-') {
                Some((from, until)) => (one(from)?, one(until)?),
                None if part.contains('/') => (one(range)?, high),
                None => (one(range)?, one(range)?),
            },
        };
        if from > until {
            return Err(format!("{part:?} goes backwards; write {until}-{from}, or two ranges with a comma"));
        }
        for value in (from..=until).step_by(step as usize) {
            bits |= 1 << value;
        }
    }
    Ok(bits)
}

/// The time zone of this name (`Europe/Brussels`), or UTC for none.
pub fn zone(name: Option<&str>) -> Result<TimeZone, String> {
    match name {
        None => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name)
            .map_err(|_| format!("{name:?} is no time zone; write a name such as Europe/Brussels or UTC")),
    }
}

/// When an interval fires next: on its own grid (`anchor`, `anchor + every`, …), after `now`. Fires that were missed while
/// nothing ran are not made up for.
pub fn next_interval(anchor: Timestamp, every: Duration, now: Timestamp) -> Timestamp {
    let step = i64::try_from(every.as_micros()).unwrap_or(i64::MAX).max(1);
    let passed = now.micros().saturating_sub(anchor.micros());
    let fires = if passed < 0 { 0 } else { passed / step + 1 };
    Timestamp::from_micros(anchor.micros().saturating_add(fires.saturating_mul(step)))
}

/// What to do at start-up about fires that fell into a time when nothing ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// Fire once for all of them, at once.
    #[default]
    Once,
    /// Wait for the next.
    Skip,
}

/// Whether to fire now, and when next, given when it was due last and what time it is.
pub fn resume(
    due: Timestamp,
    now: Timestamp,
    missed: Missed,
    next: impl Fn(Timestamp) -> Option<Timestamp>,
) -> (bool, Option<Timestamp>) {
    if due > now {
        return (false, Some(due));
    }
    (missed == Missed::Once, next(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next fires after a time, in UTC.
    fn fires(cron: &str, zone_name: &str, after: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(cron).unwrap();
        let zone = zone(Some(zone_name)).unwrap();
        let mut at = Timestamp::parse(after).unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            at = cron.next(at, &zone).unwrap();
            found.push(at.to_string().replace(":00.000Z", "Z"));
        }
        found
    }

    #[test]
    fn cron_fires_at_its_times() {
        for (cron, expected) in [
            ("*/15 9-10 * * *", ["2026-11-20T09:00Z", "2026-11-20T09:15Z"]),
            ("0 0 1 * *", ["2026-12-01T00:00Z", "2027-01-01T00:00Z"]),
            ("30 8 * * mon-fri", ["2026-11-20T08:30Z", "2026-11-23T08:30Z"]),
            ("0 12 13 * 5", ["2026-11-20T12:00Z", "2026-11-27T12:00Z"]),
            ("0 0 29 2 *", ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]),
            ("0 6 * * 7", ["2026-11-22T06:00Z", "2026-11-29T06:00Z"]),
            ("@daily", ["2026-11-21T00:00Z", "2026-11-22T00:00Z"]),
            ("5,10 0/12 * jan *", ["2027-01-01T00:05Z", "2027-01-01T00:10Z"]),
        ] {
            assert_eq!(fires(cron, "UTC", "2026-11-20T00:00:00Z", 2), expected, "{cron}");
        }
    }

    #[test]
    fn a_local_time_that_the_clock_jumps_over_fires_after_the_jump() {
        let days = fires("30 2 * * *", "Europe/Brussels", "2027-03-27T00:00:00Z", 3);
        assert_eq!(days, ["2027-03-27T01:30Z", "2027-03-28T01:00Z", "2027-03-29T00:30Z"]);
    }

    #[test]
    fn a_local_time_that_exists_twice_fires_once() {
        let days = fires("30 2 * * *", "Europe/Brussels", "2026-10-24T12:00:00Z", 2);
        assert_eq!(days, ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]);
    }

    #[test]
    fn every_hour_is_every_real_hour() {
        let hours = fires("30 * * * *", "Europe/Brussels", "2026-10-24T23:40:00Z", 3);
        assert_eq!(hours, ["2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T02:30Z"]);
        let hours = fires("30 * * * *", "Europe/Brussels", "2027-03-28T00:00:00Z", 3);
        assert_eq!(hours, ["2027-03-28T00:30Z", "2027-03-28T01:30Z", "2027-03-28T02:30Z"]);
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_its_reason() {
        for (cron, words) in [
            ("* * * *", "has 4 fields"),
            ("60 * * * *", "\"60\" is no value for the minute"),
            ("0 5-1 * * *", "goes backwards"),
            ("0 0 31 2 *", "never fires"),
            ("*/0 * * * *", "no value for the minute"),
            ("0 0 * foo *", "the month"),
        ] {
            assert!(Cron::parse(cron).unwrap_err().contains(words), "{cron}: {}", Cron::parse(cron).unwrap_err());
        }
        assert!(zone(Some("Mars/Base")).is_err());
    }

    #[test]
    fn intervals_keep_to_their_grid_and_missed_fires_are_one() {
        let at = Timestamp::from_secs;
        let every = Duration::from_secs(60);
        assert_eq!(next_interval(at(0), every, at(0)), at(60));
        assert_eq!(next_interval(at(0), every, at(59)), at(60));
        assert_eq!(next_interval(at(10), every, at(500)), at(550));
        assert_eq!(next_interval(at(10), every, at(5)), at(10));
        let next = |now| Some(next_interval(at(0), every, now));
        assert_eq!(resume(at(60), at(30), Missed::Once, next), (false, Some(at(60))));
        assert_eq!(resume(at(60), at(600), Missed::Once, next), (true, Some(at(660))));
        assert_eq!(resume(at(60), at(600), Missed::Skip, next), (false, Some(at(660))));
    }
}
