//! Durable timers for the hub's customers: set in a commit, fired once, also after a restart.
//!
//! A customer sets a timer with [`nexus_core::store::TimerWrite::Set`] in the commit that needs it, and handles it with
//! a commit that holds [`nexus_core::store::TimerWrite::Fire`] beside whatever it caused: so firing happens once, whoever
//! looks on. A handler that fails, or leaves its timer as it was, is asked again later.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use nexus_core::{
    problem::Problem,
    store::{Commit, Lane, Timer, TimerWrite},
    time::Timestamp,
};

use crate::{clock::SystemClock, desk::Desk};

/// Timers read at a time.
const BATCH: usize = 256;
/// Handlers at work at once.
const AT_ONCE: usize = 16;
/// A timer that could not be handled is due again after this.
const AGAIN: Duration = Duration::from_secs(30);
/// Longest sleep, so that a wall clock that was set forward is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Handles the timers of one kind.
#[async_trait]
pub trait OnTimer: Send + Sync {
    /// The timer is due. What it causes is committed together with its [`TimerWrite::Fire`] or a new
    /// [`TimerWrite::Set`]; a conflict there means that somebody else was faster and is no error.
    async fn fire(&self, timer: &Timer) -> Result<(), Problem>;
}

/// The timers.
pub struct Timers {
    desk: Desk,
    test_clock: Option<SystemClock>,
    handlers: RwLock<BTreeMap<&'static str, Arc<dyn OnTimer>>>,
    runs: AtomicBool,
    /// The due time that is slept for; `None` while something is handled.
    asleep: Mutex<Option<Option<Timestamp>>>,
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Timers")
    }
}

impl Timers {
    pub(crate) fn new(desk: Desk, test_clock: Option<SystemClock>) -> Self {
        Self { desk, test_clock, handlers: RwLock::default(), runs: AtomicBool::new(false), asleep: Mutex::default() }
    }

    /// Timers of this kind go to `handler`. Before [`crate::Hub::start_timers`].
    pub fn register(&self, kind: &'static str, handler: Arc<dyn OnTimer>) {
        self.handlers.write().unwrap_or_else(PoisonError::into_inner).insert(kind, handler);
    }

    /// Fires what is due, sleeps until the next.
    pub(crate) async fn run(&self) {
        self.runs.store(true, Ordering::Release);
        loop {
            if let Err(error) = self.fire_due().await {
                tracing::warn!(error = error.message, "timers can't be read; trying again");
                self.desk.clock.sleep(AGAIN).await;
                continue;
            }
            let next = self.desk.store.next_due().await.ok().flatten();
            tokio::select! {
                () = self.sleep(next) => {}
                () = self.desk.timers_set() => {}
            }
            self.note(None);
        }
    }

    /// An advance of the test clock stops at the next timer, not at each look in between.
    async fn sleep(&self, next: Option<Timestamp>) {
        let wait = next.map_or(Duration::MAX, |at| at.since(self.desk.now()));
        match &self.test_clock {
            Some(clock) if wait > LONGEST_SLEEP => {
                let doze = clock.doze(LONGEST_SLEEP);
                // Never polled to its end, but registered: where the advance stops next.
                let _stop = (wait < Duration::MAX).then(|| self.desk.clock.sleep(wait));
                self.note(Some(next));
                doze.await;
            }
            _ => {
                let sleep = self.desk.clock.sleep(wait.min(LONGEST_SLEEP));
                self.note(Some(next));
                sleep.await;
            }
        }
    }

    fn note(&self, asleep: Option<Option<Timestamp>>) {
        *self.asleep.lock().unwrap_or_else(PoisonError::into_inner) = asleep;
    }

    async fn fire_due(&self) -> Result<(), Problem> {
        let mut handled = HashSet::new();
        loop {
            let due = self.desk.store.due(self.desk.now(), BATCH).await.map_err(crate::desk::unreadable)?;
            if due.is_empty() {
                return Ok(());
            }
            let (left, new): (Vec<Timer>, Vec<Timer>) =
                due.into_iter().partition(|t| handled.contains(&(t.id.clone(), t.version)));
            for timer in left {
                self.postpone(timer).await;
            }
            handled.extend(new.iter().map(|t| (t.id.clone(), t.version)));
            stream::iter(new).for_each_concurrent(AT_ONCE, |timer| self.fire(timer)).await;
        }
    }

    async fn fire(&self, timer: Timer) {
        let handler =
            self.handlers.read().unwrap_or_else(PoisonError::into_inner).get(timer.kind.as_str()).map(Arc::clone);
        let failed = match handler {
            Some(handler) => handler.fire(&timer).await.err().map(|e| e.message),
            None => Some("nothing of this process handles this kind".to_owned()),
        };
        if let Some(error) = failed {
            tracing::warn!(
                timer = timer.id,
                kind = timer.kind,
                error,
                "a timer was not handled; it is due again later"
            );
            self.postpone(timer).await;
        }
    }

    /// Moves a timer that is still as it was read, so that it holds nobody up. One that was moved meanwhile stays.
    async fn postpone(&self, timer: Timer) {
        let Timer { id, kind, body, version, .. } = timer;
        let due = self.desk.now().plus(AGAIN);
        let timers = vec![TimerWrite::Fire { id: id.clone(), version }, TimerWrite::Set { id, due, kind, body }];
        let commit = Commit { timers, lane: Lane::Own, ..Commit::default() };
        let _ = self.desk.store.commit(commit).await;
    }

    /// Whether nothing is due, and the next that will be is slept for.
    pub(crate) async fn are_quiet(&self) -> bool {
        if !self.runs.load(Ordering::Acquire) {
            return true;
        }
        match self.desk.store.next_due().await {
            Ok(next) => {
                let asleep = *self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
                next.is_none_or(|at| at > self.desk.now()) && asleep == Some(next)
            }
            Err(_) => true,
        }
    }
}
