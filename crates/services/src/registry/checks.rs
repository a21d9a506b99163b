//! When each instance is looked at: one schedule in memory, derived from the documents; so many looks at once and no more.
//!
//! Looks happen in real time, as what they look at lives there: moving a test clock makes each due once, not a thousand
//! times.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_engine::supervisor::TaskKind;
use tokio::sync::{Notify, Semaphore};

use super::{Registry, book::Instance, choice::mix, probe::probe, vitals::Seen};

/// Longest sleep, so that a clock that was moved is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// A look that is asked for out of turn comes at least so long after the one before.
const GAP: Duration = Duration::from_millis(500);

/// Who is looked at when. An entry that its instance does not confirm is out of date.
#[derive(Default)]
pub(super) struct Agenda {
    due: Mutex<BTreeSet<(Duration, String)>>,
    changed: Notify,
}

impl Agenda {
    fn add(&self, at: Duration, id: &str) {
        let first = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            due.insert((at, id.to_owned()));
            due.first().is_some_and(|(first, of)| *first == at && of == id)
        };
        if first {
            self.changed.notify_one();
        }
    }

    /// The next that is due, or how long until then.
    fn next(&self, now: Duration) -> Result<(Duration, String), Duration> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        match due.first() {
            Some((at, _)) if *at <= now => due.pop_first().ok_or(Duration::ZERO),
            Some((at, _)) => Err(*at - now),
            None => Err(LONGEST_SLEEP),
        }
    }
}

impl Registry {
    /// Asks for a look at an instance out of turn.
    pub(super) fn check_soon(&self, instance: &Instance) {
        let now = self.0.hub.clock().mono();
        let at = {
            let mut state = instance.live.state();
            let earliest = state.checked_at.map_or(now, |at| (at + GAP.min(self.0.options.check_interval)).max(now));
            // One that is under way plans the next.
            if state.checking || (state.next_check > Duration::ZERO && state.next_check <= earliest) {
                return;
            }
            state.next_check = earliest;
            earliest
        };
        self.0.agenda.add(at, &instance.service.id);
    }

    /// Looks at everything in its turn, until the hub ends.
    pub(super) async fn run_checks(&self) {
        let at_once = Arc::new(Semaphore::new(self.0.options.checks_at_once.max(1)));
        loop {
            let (at, id) = match self.0.agenda.next(self.0.hub.clock().mono()) {
                Ok(due) => due,
                Err(wait) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait.min(LONGEST_SLEEP)) => {}
                        () = self.0.agenda.changed.notified() => {}
                    }
                    continue;
                }
            };
            let Some(instance) = self.0.book.get(&id) else { continue };
            {
                let mut state = instance.live.state();
                if state.next_check != at || state.checking {
                    continue;
                }
                state.checking = true;
                state.checked_at = Some(self.0.hub.clock().mono());
            }
            let Ok(permit) = Arc::clone(&at_once).acquire_owned().await else { return };
            let registry = self.clone();
            self.0.hub.spawn().start(TaskKind::Background, async move {
                registry.check(instance).await;
                drop(permit);
            });
        }
    }

    /// One look, what follows from it, and when the next is.
    async fn check(&self, instance: Arc<Instance>) {
        let options = &self.0.options;
        let clock = self.0.hub.clock();
        let began = clock.mono();
        let seen = probe(self.0.hub.client(), &instance.service, options.check_timeout).await;
        self.0.metrics.checked(match &seen {
            Seen::Well { .. } => "passed",
            Seen::Degraded { .. } => "degraded",
            Seen::Failed { .. } => "failed",
        });
        let (to_write, next) = {
            let now = clock.mono();
            let mut state = instance.live.state();
            state.last_check = Some(clock.now());
            state.checking = false;
            let change = state.vitals.checked(&seen, now);
            self.note(&mut state, change);
            state.next_check = (began + state.vitals.next_look(self.jittered())).max(now);
            (!state.pending.is_empty(), state.next_check)
        };
        self.0.agenda.add(next, &instance.service.id);
        if to_write && let Err(error) = self.settle(&instance).await {
            let id = &instance.service.id;
            tracing::warn!(service = id, error = error.message, "a change of status waits to be written");
        }
    }

    /// The interval, more or less.
    fn jittered(&self) -> Duration {
        let options = &self.0.options;
        let widest = options.check_interval * options.check_jitter_percent.min(100) / 100;
        let micros = u64::try_from(widest.as_micros()).unwrap_or(u64::MAX / 2);
        let roll = mix(self.0.hub.desk().jitter()) % (micros.saturating_mul(2).saturating_add(1));
        options.check_interval.saturating_sub(widest) + Duration::from_micros(roll)
    }
}
