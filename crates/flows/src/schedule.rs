//! When a schedule fires next: cron with time zones, and intervals. Pure functions of the last fire and the present.
//!
//! Daylight saving: a local time that does not exist (the clock jumps over it) fires at the first moment after the jump;
//! one that exists twice fires once, the first time. Missed fires (the hub was down) are one fire, not many.

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
                    .filter_map(|(hour, minute)| instant(day.at(hour, minute, 0, 0), zone))
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

    fn day_matches(&self, month: i8, day: i8, weekday: i8) -> bool {
        let by_date = self.days & (1 << day) != 0;
        let by_week = self.weekdays & (1 << weekday) != 0;
        self.months & (1 << month) != 0 && if self.either_day { by_date || by_week } else { by_date && by_week }
    }
}

/// The moment of a local time.
fn instant(local: DateTime, zone: &TimeZone) -> Option<jiff::Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(local).ok()
        }
        // The local time read with the offset from before the jump lies after it; the jump itself is the first moment.
        AmbiguousOffset::Gap { before, .. } => {
            let behind = before.to_timestamp(local).ok()?;
            let earlier = behind.checked_sub(1.day().hours(0)).or_else(|_| behind.checked_sub(24.hours())).ok()?;
            zone.following(earlier)
                .next()
                .map(|transition| transition.timestamp())
                .filter(|at| *at <= behind)
                .or(Some(behind))
        }
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
