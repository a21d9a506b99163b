//! Behaviour as triggers: small machines, one state per key, that tell once per match.
//!
//! A detector is settings; what it remembers of one key is a [`Memory`], plain JSON. Times are those of the log, so the
//! same machine runs live and over the past. A match is told once: what led to it does not count again.

pub(crate) mod plan;
mod watch;

use std::{collections::VecDeque, time::Duration};

use nexus_core::time::Timestamp;
pub use plan::{DETECTORS, DetectPlan, Hit, MATCHED, Match};
use serde::{Deserialize, Serialize};
pub use watch::{KEYS, TooManyKeys, Watch};

/// The largest count a detector may wait for: each is remembered.
pub const COUNT: usize = 1_000;

/// What is detected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "detect", rename_all = "snake_case", deny_unknown_fields)]
pub enum Detector {
    /// `count` events within any `window_ms`.
    Count {
        /// How many.
        count: usize,
        /// Within how long; the window slides.
        window_ms: u64,
    },
    /// After an event that begins it, none that ends it for `after_ms`.
    Absence {
        /// For how long.
        after_ms: u64,
    },
    /// A, then B, within `within_ms`, and no C between them.
    Sequence {
        /// Within how long.
        within_ms: u64,
    },
    /// A number comes to or over `limit`, having been under it.
    Threshold {
        /// The limit.
        limit: f64,
        /// True: to or under it, having been over.
        #[serde(default)]
        falling: bool,
    },
}

/// What an event is to a detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signal {
    /// What is counted; what begins an absence; A.
    First,
    /// What ends an absence; B.
    Second,
    /// C.
    Breaking,
    /// The number to compare.
    Number(f64),
    /// The timer that was asked for.
    Due,
}

/// What is remembered of one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// When the events came that still count.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    times: VecDeque<Timestamp>,
    /// When the absence is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    /// On which side of the limit the number was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beyond: Option<bool>,
}

impl Memory {
    /// When the absence is complete that it waits for.
    pub fn due(&self) -> Option<Timestamp> {
        self.due
    }
}

/// What a signal led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// There is a match: publish the pattern event, once.
    pub matched: bool,
    /// When that which matched began: the first of the events that led to it.
    pub since: Option<Timestamp>,
    /// A timer is wanted then (in place of an earlier one for this key).
    pub timer: Option<Timestamp>,
}

impl Detector {
    /// Refuses settings that could not be kept.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Count { count, .. } if *count == 0 || *count > COUNT => {
                Err(format!("a count of {count} can't be detected; 1 to {COUNT} can"))
            }
            Self::Count { window_ms: ms, .. } | Self::Absence { after_ms: ms } | Self::Sequence { within_ms: ms }
                if *ms == 0 =>
            {
                Err("a length of time above zero is needed".to_owned())
            }
            Self::Threshold { limit, .. } if !limit.is_finite() => Err("the limit must be a number".to_owned()),
            _ => Ok(()),
        }
    }

    /// Takes one signal of a key.
    pub fn observe(&self, memory: &mut Memory, signal: Signal, at: Timestamp) -> Verdict {
        match self {
            Self::Count { count, window_ms } => match signal {
                Signal::First => counted(memory, *count, *window_ms, at),
                _ => Verdict::default(),
            },
            Self::Absence { after_ms } => absence(memory, *after_ms, signal, at),
            Self::Sequence { within_ms } => sequence(memory, *within_ms, signal, at),
            Self::Threshold { limit, falling } => match signal {
                Signal::Number(number) => crossed(memory, *limit, *falling, number),
                _ => Verdict::default(),
            },
        }
    }

    /// From when on the memory of a key may be forgotten, as nothing more comes: it can no longer lead to a match that a new
    /// key would not. `None`: never.
    pub fn idle_at(&self, memory: &Memory, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Count { window_ms: ms, .. } | Self::Sequence { within_ms: ms } => {
                Some(memory.times.back().map_or(now, |last| last.plus(Duration::from_millis(*ms))))
            }
            Self::Absence { .. } => memory.due.is_none().then_some(now),
            Self::Threshold { .. } => None,
        }
    }

    /// True when the memory of a key may be forgotten now.
    pub fn is_idle(&self, memory: &Memory, now: Timestamp) -> bool {
        self.idle_at(memory, now).is_some_and(|at| at <= now)
    }
}

fn counted(memory: &mut Memory, count: usize, window_ms: u64, at: Timestamp) -> Verdict {
    let window = Duration::from_millis(window_ms);
    memory.times.push_back(at);
    while memory.times.front().is_some_and(|first| at.since(*first) >= window) {
        memory.times.pop_front();
    }
    let matched = memory.times.len() >= count;
    let since = memory.times.front().copied().filter(|_| matched);
    if matched {
        memory.times.clear();
    }
    Verdict { matched, since, timer: None }
}

fn absence(memory: &mut Memory, after_ms: u64, signal: Signal, at: Timestamp) -> Verdict {
    match signal {
        // Only the first counts: repeating what begins the wait must not put its end off.
        Signal::First if memory.due.is_none() => {
            let due = at.plus(Duration::from_millis(after_ms));
            memory.due = Some(due);
            Verdict { timer: Some(due), ..Verdict::default() }
        }
        Signal::Second | Signal::Breaking => {
            // The event that should not have been missing came after the time was over, before the timer told.
            overdue(memory.due.take(), after_ms, at)
        }
        Signal::Due if memory.due.is_some_and(|due| at >= due) => overdue(memory.due.take(), after_ms, at),
        _ => Verdict::default(),
    }
}

fn overdue(due: Option<Timestamp>, after_ms: u64, at: Timestamp) -> Verdict {
    let due = due.filter(|due| at >= *due);
    let since = due.map(|due| due.minus(Duration::from_millis(after_ms)));
    Verdict { matched: due.is_some(), since, timer: None }
}

fn sequence(memory: &mut Memory, within_ms: u64, signal: Signal, at: Timestamp) -> Verdict {
    let within = Duration::from_millis(within_ms);
    match signal {
        Signal::First => {
            memory.times.clear();
            memory.times.push_back(at);
            Verdict::default()
        }
        Signal::Breaking => {
            memory.times.clear();
            Verdict::default()
        }
        Signal::Second => {
            let since = memory.times.pop_back().filter(|first| at.since(*first) <= within);
            Verdict { matched: since.is_some(), since, timer: None }
        }
        _ => Verdict::default(),
    }
}

fn crossed(memory: &mut Memory, limit: f64, falling: bool, number: f64) -> Verdict {
    if number.is_nan() {
        return Verdict::default();
    }
    let beyond = if falling { number <= limit } else { number >= limit };
    let before = memory.beyond.replace(beyond);
    // A first number beyond the limit is a crossing, too: it was nowhere before.
    Verdict { matched: beyond && before != Some(true), ..Verdict::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds signals with their seconds; gives the seconds at which there was a match.
    fn matches(detector: &Detector, signals: &[(i64, Signal)]) -> Vec<i64> {
        let mut memory = Memory::default();
        let mut found = Vec::new();
        for (second, signal) in signals {
            // Stored and read back after each signal.
            memory = serde_json::from_str(&serde_json::to_string(&memory).unwrap()).unwrap();
            if detector.observe(&mut memory, *signal, Timestamp::from_secs(*second)).matched {
                found.push(*second);
            }
        }
        found
    }

    #[test]
    fn a_count_in_a_sliding_window_is_told_once() {
        let detector = Detector::Count { count: 3, window_ms: 60_000 };
        let at = |seconds: &[i64]| seconds.iter().map(|s| (*s, Signal::First)).collect::<Vec<_>>();
        assert_eq!(matches(&detector, &at(&[0, 50, 70, 100])), [100]);
        assert_eq!(matches(&detector, &at(&[0, 10, 20, 30, 40, 50])), [20, 50]);
        assert_eq!(matches(&detector, &at(&[0, 10, 60])), Vec::<i64>::new());
    }

    #[test]
    fn an_absence_is_told_when_its_time_is_over() {
        use Signal::{Due, First, Second};
        let detector = Detector::Absence { after_ms: 100_000 };
        let mut memory = Memory::default();
        assert_eq!(
            detector.observe(&mut memory, First, Timestamp::from_secs(0)).timer,
            Some(Timestamp::from_secs(100))
        );
        assert_eq!(matches(&detector, &[(0, First), (50, First), (100, Due)]), [100]);
        assert_eq!(matches(&detector, &[(0, First), (50, Second), (100, Due)]), Vec::<i64>::new());
        assert_eq!(matches(&detector, &[(0, First), (120, Second), (120, Due)]), [120]);
        assert_eq!(matches(&detector, &[(0, First), (100, Due), (101, Due), (110, First), (210, Due)]), [100, 210]);
    }

    #[test]
    fn a_sequence_is_broken_by_what_may_not_stand_between() {
        use Signal::{Breaking, First, Second};
        let detector = Detector::Sequence { within_ms: 60_000 };
        assert_eq!(matches(&detector, &[(0, First), (10, Second), (20, Second)]), [10]);
        assert_eq!(matches(&detector, &[(0, First), (5, Breaking), (10, Second)]), Vec::<i64>::new());
        assert_eq!(matches(&detector, &[(0, First), (61, Second)]), Vec::<i64>::new());
        assert_eq!(matches(&detector, &[(0, First), (50, First), (100, Second)]), [100]);
        assert_eq!(matches(&detector, &[(0, Second), (1, First)]), Vec::<i64>::new());
    }

    #[test]
    fn a_threshold_is_told_when_it_is_crossed_and_not_again() {
        let up = Detector::Threshold { limit: 100.0, falling: false };
        let numbers =
            |numbers: &[f64]| numbers.iter().zip(0..).map(|(n, s)| (s, Signal::Number(*n))).collect::<Vec<_>>();
        assert_eq!(matches(&up, &numbers(&[98.0, 99.0, 100.0, 101.0, 102.0])), [2]);
        assert_eq!(matches(&up, &numbers(&[99.0, 100.0, 99.0, 100.0])), [1, 3]);
        let down = Detector::Threshold { limit: 5.0, falling: true };
        assert_eq!(matches(&down, &numbers(&[6.0, 5.0, 4.0, 6.0, 3.0])), [1, 4]);
    }

    #[test]
    fn settings_that_could_not_be_kept_are_refused() {
        for bad in [
            Detector::Count { count: 0, window_ms: 1 },
            Detector::Count { count: COUNT + 1, window_ms: 1 },
            Detector::Absence { after_ms: 0 },
            Detector::Threshold { limit: f64::NAN, falling: false },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
