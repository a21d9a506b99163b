//! How an instance is, decided from what is seen of it: a pure state machine over checks, heartbeats and calls.
//!
//! ```text
//!              checks fail often enough            no heartbeat for the TTL
//!   healthy ─────────────────────────► unhealthy ─────────────────────────► expired
//!      ▲ ▼ slow, says so, calls fail       ▲ ▼ checks pass often enough        │ a heartbeat
//!   degraded ◄─────────────────────────────┘                                  ▼
//!      └───────────────────────────────────────────────────────────── what the checks say
//! ```
//!
//! - **expired**: it sent heartbeats (or promised to, with a TTL), and none came for its TTL. Only a heartbeat ends this.
//! - **unhealthy**: enough checks in a row failed, or the first one after it registered, or the hub has not looked yet
//!   since its own start.
//! - **degraded**: it passes its checks, but says of itself that it is degraded, or answers them slowly, or at least
//!   half of its recent calls failed. It is called only where no healthy instance is left.
//! - **healthy**: none of these. One that just registered is taken at its word until its first check.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::choice::Rank;

/// Calls of the recent past below which their failures say nothing.
const CALLS: u32 = 10;
/// Calls are counted over the present and the last span of this length.
const CALLS_SPAN: Duration = Duration::from_secs(30);
/// Bytes of a reason.
const REASON_BYTES: usize = 300;
/// The first wait for another look at one that was never seen well; it doubles with each look that fails.
const SOON: Duration = Duration::from_millis(500);
/// Doublings beyond which any interval is reached.
const DOUBLINGS: u32 = 20;

/// How an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is well.
    Healthy,
    /// It works, but not as it should.
    Degraded,
    /// It does not answer its checks.
    Unhealthy,
    /// It stopped sending heartbeats.
    Expired,
}

impl Status {
    /// All of them, best first.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Expired];

    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Expired => "expired",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("{text:?} is no status; healthy, degraded, unhealthy and expired are"))
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// From when on it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failed checks in a row that make it unhealthy.
    pub unhealthy_after: u32,
    /// Passed checks in a row that make it healthy again.
    pub healthy_after: u32,
    /// A check that takes longer makes it degraded.
    pub slow: Duration,
}

/// What one check saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It answered well.
    Well {
        /// How long it took.
        took: Duration,
    },
    /// It answered, and says that it is degraded.
    Degraded {
        /// Its words.
        reason: String,
    },
    /// It did not answer, or says that it is down.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A change of its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub from: Status,
    /// What it is.
    pub to: Status,
    /// Why.
    pub reason: String,
}

/// What the last checks say, whatever else is known.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Not looked at yet; taken at its word.
    Trusted,
    /// Not looked at since the hub started.
    Unknown,
    Well,
    Slow(String),
    Down(String),
}

/// Calls of a span of time.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    made: u32,
    failed: u32,
}

/// Everything that its status is decided from. Times are monotonic.
#[derive(Clone, Debug)]
pub struct Vitals {
    thresholds: Thresholds,
    verdict: Verdict,
    passed: u32,
    failed: u32,
    /// Failed checks before it was first seen well; none once it was.
    unproven: Option<u32>,
    ttl: Duration,
    /// When it last gave a sign of life; none = none is asked for.
    beat: Option<Duration>,
    expired: bool,
    span: Duration,
    calls: [Calls; 2],
    status: Status,
    reason: Option<String>,
}

impl Vitals {
    /// Of one that just registered: healthy by its own word. With `beats`, it owes a heartbeat each `ttl` from now on.
    pub fn registered(thresholds: Thresholds, ttl: Duration, beats: bool, now: Duration) -> Self {
        Self {
            thresholds,
            verdict: Verdict::Trusted,
            passed: 0,
            failed: 0,
            unproven: Some(0),
            ttl,
            beat: beats.then_some(now),
            expired: false,
            span: now,
            calls: [Calls::default(); 2],
            status: Status::Healthy,
            reason: None,
        }
    }

    /// Of one that an earlier process left: nothing is believed before it is seen. Heartbeats could not arrive while no
    /// hub was there, so the time for the next one counts from now.
    pub fn recovered(
        thresholds: Thresholds,
        ttl: Duration,
        beats: bool,
        left: (Status, Option<String>),
        now: Duration,
    ) -> Self {
        let mut vitals = Self::registered(thresholds, ttl, beats, now);
        vitals.verdict = Verdict::Unknown;
        (vitals.status, vitals.reason) = left;
        vitals.expired = vitals.status == Status::Expired;
        vitals
    }

    /// Its status as decided last; the log has it. See [`Self::shown`].
    pub fn status(&self) -> Status {
        self.status
    }

    /// Why it has that status.
    pub fn reason(&self) -> Option<String> {
        self.reason.clone()
    }

    /// Its status and why. Before the first look after a start of the hub it is shown as unhealthy, which no event says,
    /// as it is a statement about the hub.
    pub fn shown(&self) -> (Status, Option<String>) {
        if self.verdict == Verdict::Unknown && !self.expired {
            return (Status::Unhealthy, Some("not checked yet since the hub started".to_owned()));
        }
        (self.status, self.reason.clone())
    }

    /// Whether it may be called, and how gladly.
    pub fn rank(&self) -> Rank {
        match self.shown().0 {
            Status::Healthy if self.failed > 0 => Rank::Doubtful,
            Status::Healthy => Rank::First,
            Status::Degraded => Rank::Degraded,
            Status::Unhealthy | Status::Expired => Rank::Never,
        }
    }

    /// Whether heartbeats are expected of it.
    pub fn beats(&self) -> bool {
        self.beat.is_some()
    }

    /// When it expires unless it gives a sign of life; `None` when none is asked for, or it has expired.
    pub fn expires_at(&self) -> Option<Duration> {
        self.beat.filter(|_| !self.expired).map(|beat| beat + self.ttl)
    }

    /// A check came back.
    pub fn checked(&mut self, seen: &Seen, now: Duration) -> Option<Change> {
        match seen {
            Seen::Well { .. } | Seen::Degraded { .. } => {
                self.passed = self.passed.saturating_add(1);
                self.failed = 0;
                let down = matches!(self.verdict, Verdict::Down(_));
                if !down || self.passed >= self.thresholds.healthy_after {
                    self.unproven = None;
                    self.verdict = match seen {
                        Seen::Well { took } if *took <= self.thresholds.slow => Verdict::Well,
                        Seen::Well { took } => Verdict::Slow(format!("its health check took {} ms", took.as_millis())),
                        Seen::Degraded { reason } | Seen::Failed { reason } => Verdict::Slow(shortened(reason)),
                    };
                }
            }
            Seen::Failed { reason } => {
                self.failed = self.failed.saturating_add(1);
                self.passed = 0;
                self.unproven = self.unproven.map(|failed| failed.saturating_add(1));
                // One of which nothing good is known yet gets no second chance.
                let unproven = matches!(self.verdict, Verdict::Trusted | Verdict::Unknown);
                if unproven || self.failed >= self.thresholds.unhealthy_after {
                    self.verdict = Verdict::Down(shortened(reason));
                }
            }
        }
        self.decide(now)
    }

    /// How long to wait for the next look, where one comes every `interval`. One that was never seen well is looked at
    /// again soon: often it registered a moment before it listened.
    pub fn next_look(&self, interval: Duration) -> Duration {
        match self.unproven {
            None => interval,
            Some(_) if self.failed == 0 => SOON.min(interval),
            Some(failed) => SOON.saturating_mul(1 << failed.saturating_sub(1).min(DOUBLINGS)).min(interval),
        }
    }

    /// A heartbeat came. From the first one on they are expected.
    pub fn beat(&mut self, now: Duration) -> Option<Change> {
        self.beat = Some(now);
        // One that expired and was never looked at since the hub started is not believed before a check has passed.
        if self.expired && self.verdict == Verdict::Unknown {
            self.verdict = Verdict::Down("its heartbeat came; no check has passed yet".to_owned());
        }
        self.expired = false;
        self.decide(now)
    }

    /// It registered again with this time between heartbeats; `named`: it promises them.
    pub fn promise(&mut self, ttl: Duration, named: bool, now: Duration) {
        self.ttl = ttl;
        if named {
            self.beat.get_or_insert(now);
        }
    }

    /// Time passed: whether it has expired.
    pub fn tick(&mut self, now: Duration) -> Option<Change> {
        self.expired |= self.beat.is_some_and(|beat| now.saturating_sub(beat) >= self.ttl);
        self.decide(now)
    }

    /// A call ended. Failures are those that say something about the instance.
    pub fn called(&mut self, failed: bool, now: Duration) -> Option<Change> {
        self.turn(now);
        if let Some(calls) = self.calls.first_mut() {
            calls.made = calls.made.saturating_add(1);
            calls.failed = calls.failed.saturating_add(u32::from(failed));
        }
        self.decide(now)
    }

    /// Forgets calls that are older than two spans.
    fn turn(&mut self, now: Duration) {
        let spans = now.saturating_sub(self.span).as_millis() / CALLS_SPAN.as_millis();
        if spans == 0 {
            return;
        }
        let last = self.calls.first().copied().unwrap_or_default();
        self.calls = [Calls::default(), if spans == 1 { last } else { Calls::default() }];
        self.span = now;
    }

    fn failing_calls(&self) -> Option<String> {
        let made = self.calls.iter().map(|c| c.made).sum::<u32>();
        let failed = self.calls.iter().map(|c| c.failed).sum::<u32>();
        (made >= CALLS && failed.saturating_mul(2) >= made).then(|| format!("{failed} of its last {made} calls failed"))
    }

    fn decide(&mut self, now: Duration) -> Option<Change> {
        self.turn(now);
        let (status, reason) = match (&self.verdict, self.failing_calls()) {
            _ if self.expired => {
                let reason = format!("no heartbeat for {} s", seconds(self.ttl));
                (Status::Expired, Some(reason))
            }
            (Verdict::Down(reason), _) => (Status::Unhealthy, Some(reason.clone())),
            (Verdict::Slow(reason), _) => (Status::Degraded, Some(reason.clone())),
            // As the last process left it, until somebody has looked.
            (Verdict::Unknown, _) => (self.status, self.reason.clone()),
            (Verdict::Well | Verdict::Trusted, Some(reason)) => (Status::Degraded, Some(reason)),
            (Verdict::Well | Verdict::Trusted, None) => (Status::Healthy, None),
        };
        let from = std::mem::replace(&mut self.status, status);
        self.reason = reason;
        (from != status).then(|| Change {
            from,
            to: status,
            reason: self.reason.clone().unwrap_or_else(|| recovered(from).to_owned()),
        })
    }
}

/// Why it is well again.
fn recovered(from: Status) -> &'static str {
    match from {
        Status::Expired => "its heartbeat came",
        Status::Unhealthy => "its health checks pass again",
        Status::Healthy | Status::Degraded => "it is well again",
    }
}

fn seconds(span: Duration) -> String {
    if span.subsec_millis() == 0 { span.as_secs().to_string() } else { format!("{:.1}", span.as_secs_f64()) }
}

/// A reason from outside, cut to a length that fits a list.
fn shortened(reason: &str) -> String {
    let mut end = reason.len().min(REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default().to_owned()
}
