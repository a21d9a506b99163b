//! The real clock, with an offset that only the test clock ever sets.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nexus_core::time::{Clock, Pending, Timestamp};
use tokio::sync::watch;

/// Wall and monotonic time of this machine. [`SystemClock::advance`] moves both forward and wakes whoever sleeps.
pub struct SystemClock {
    started: Instant,
    offset_micros: AtomicI64,
    moved: watch::Sender<()>,
    deadlines: std::sync::Mutex<std::collections::BTreeMap<(Duration, u64), ()>>,
    next_sleeper: std::sync::atomic::AtomicU64,
}

impl std::fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemClock")
    }
}

impl SystemClock {
    /// Starts with no offset.
    #[expect(clippy::disallowed_methods, reason = "the one place where real time enters")]
    pub fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self {
            started: Instant::now(),
            offset_micros: AtomicI64::new(0),
            moved: watch::channel(()).0,
            deadlines: std::sync::Mutex::default(),
            next_sleeper: std::sync::atomic::AtomicU64::new(0),
        })
    }

    /// Moves time forward and wakes every sleeper whose moment has come.
    pub fn advance(&self, by: Duration) {
        self.offset_micros.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.moved.send_replace(());
    }

    /// The earliest moment someone sleeps until, in monotonic time.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.sleepers().keys().next().map(|(at, _)| *at)
    }

    fn sleepers(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeMap<(Duration, u64), ()>> {
        self.deadlines.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn offset(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.offset_micros.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

impl Clock for std::sync::Arc<SystemClock> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
    fn mono(&self) -> Duration {
        (**self).mono()
    }
    fn sleep(&self, by: Duration) -> Pending<()> {
        let clock = std::sync::Arc::clone(self);
        let until = clock.mono() + by;
        Box::pin(async move {
            let sleeper = Sleeper::new(clock, until);
            let mut moved = sleeper.clock.moved.subscribe();
            loop {
                let left = until.saturating_sub(sleeper.clock.mono());
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    _ = moved.changed() => {}
                }
            }
        })
    }
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where real time enters")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).plus(self.offset())
    }

    fn mono(&self) -> Duration {
        self.started.elapsed() + self.offset()
    }
}

/// Registers a deadline for as long as someone waits for it.
struct Sleeper {
    clock: std::sync::Arc<SystemClock>,
    key: (Duration, u64),
}

impl Sleeper {
    fn new(clock: std::sync::Arc<SystemClock>, until: Duration) -> Self {
        let key = (until, clock.next_sleeper.fetch_add(1, Ordering::Relaxed));
        clock.sleepers().insert(key, ());
        Self { clock, key }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.clock.sleepers().remove(&self.key);
    }
}
