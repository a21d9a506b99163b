//! The real clock, with an offset that only the test clock ever sets.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nexus_core::time::{Clock, Pending, Timestamp};
use tokio::sync::watch;

/// Wall and monotonic time of this machine. [`SystemClock::advance`] moves both forward and wakes whoever sleeps.
/// Clones are the same clock.
#[derive(Clone)]
pub struct SystemClock(Arc<Inner>);

struct Inner {
    started: Instant,
    offset_micros: AtomicI64,
    moved: watch::Sender<()>,
    deadlines: Mutex<BTreeMap<(Duration, u64), ()>>,
    next_sleeper: AtomicU64,
}

impl std::fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemClock")
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemClock {
    /// Starts with no offset.
    #[expect(clippy::disallowed_methods, reason = "the one place where real time enters")]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            offset_micros: AtomicI64::new(0),
            moved: watch::channel(()).0,
            deadlines: Mutex::default(),
            next_sleeper: AtomicU64::new(0),
        }))
    }

    /// Moves time forward and wakes every sleeper whose moment has come.
    pub fn advance(&self, by: Duration) {
        self.0.offset_micros.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.0.moved.send_replace(());
    }

    /// The earliest moment to come that someone sleeps until, in monotonic time.
    pub fn next_deadline(&self) -> Option<Duration> {
        let now = (self.mono(), u64::MAX);
        self.sleepers().range((Bound::Excluded(now), Bound::Unbounded)).next().map(|((at, _), ())| *at)
    }

    /// Whether the moment of a sleeper has come that did not wake up yet.
    pub fn is_someone_late(&self) -> bool {
        let now = self.mono();
        self.sleepers().keys().next().is_some_and(|(at, _)| *at <= now)
    }

    /// Sleeps like [`Clock::sleep`], but an advance does not stop here: for housekeeping, where one round is as good as many.
    pub async fn doze(&self, by: Duration) {
        self.wait_until(self.mono() + by).await;
    }

    async fn wait_until(&self, until: Duration) {
        let mut moved = self.0.moved.subscribe();
        loop {
            let left = until.saturating_sub(self.mono());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = moved.changed() => {}
            }
        }
    }

    fn sleepers(&self) -> MutexGuard<'_, BTreeMap<(Duration, u64), ()>> {
        self.0.deadlines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offset(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.offset_micros.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where real time enters")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).plus(self.offset())
    }

    fn mono(&self) -> Duration {
        self.0.started.elapsed() + self.offset()
    }

    fn sleep(&self, by: Duration) -> Pending<()> {
        let until = self.mono() + by;
        let sleeper = Sleeper::new(self.clone(), until);
        Box::pin(async move { sleeper.clock.wait_until(until).await })
    }
}

/// Registers a deadline for as long as someone waits for it.
struct Sleeper {
    clock: SystemClock,
    key: (Duration, u64),
}

impl Sleeper {
    fn new(clock: SystemClock, until: Duration) -> Self {
        let key = (until, clock.0.next_sleeper.fetch_add(1, Ordering::Relaxed));
        clock.sleepers().insert(key, ());
        Self { clock, key }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.clock.sleepers().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_whose_moment_has_come_hides_no_later_one() {
        let clock = SystemClock::new();
        let first = clock.sleep(Duration::from_secs(60));
        let second = clock.sleep(Duration::from_secs(3_600));
        assert!(!clock.is_someone_late());
        clock.advance(Duration::from_secs(61));
        assert!(clock.is_someone_late(), "it sleeps on until it is polled");
        let next = clock.next_deadline().expect("the second sleeps");
        assert!(next > clock.mono() && next - clock.mono() > Duration::from_secs(3_500), "{next:?}");
        drop(first);
        assert!(!clock.is_someone_late());
        drop(second);
        assert_eq!(clock.next_deadline(), None);
    }
}
