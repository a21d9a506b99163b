//! Who begins first: what would begin runs of one key does so one after the other, in the order of the log.
//!
//! Events are handed over side by side. A later one whose beginning is quicker would be before an earlier one, so each is
//! announced when it goes out, and whoever has a key waits until everyone announced before it has said what its own is.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use nexus_core::{event::Seq, time::Timestamp};
use tokio::sync::Notify;

/// The place of what begins a run among all that do: of events that in the log; of others the end of the log when they
/// were accepted, and their own order.
pub(super) type Place = (Seq, i64);

/// Those who come and those who wait, by flow.
#[derive(Default)]
pub(super) struct Turns {
    flows: Mutex<HashMap<String, Arc<Line>>>,
    accepted: AtomicI64,
}

/// Those of one flow.
#[derive(Default)]
struct Line {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Events whose key is not known yet.
    coming: BTreeSet<(Seq, u64)>,
    /// Those who begin or wait to, by key.
    waiting: HashMap<String, BTreeSet<(Place, u64)>>,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.notify_waiters();
        changed
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Nobody is before it: neither in the line of its key, nor among those whose key may turn out to be the same.
    fn is_first(&self, key: &str, me: (Place, u64)) -> bool {
        let first = self.waiting.get(key).and_then(|line| line.first());
        first == Some(&me) && self.coming.first().is_none_or(|(seq, _)| *seq >= me.0.0)
    }
}

/// An event that is coming; until its key is known, or it turns out to begin nothing.
pub(super) struct Coming {
    line: Arc<Line>,
    me: (Seq, u64),
    here: AtomicBool,
}

impl Coming {
    /// Nobody waits for it any more.
    pub(super) fn is_here(&self) {
        if !self.here.swap(true, Ordering::Relaxed) {
            self.line.change(|state| state.coming.remove(&self.me));
        }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.is_here();
    }
}

/// The turn of one of a key; the next one's comes when this is dropped.
pub(super) struct Turn {
    line: Arc<Line>,
    key: String,
    me: (Place, u64),
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.line.change(|state| {
            if let Some(line) = state.waiting.get_mut(&self.key) {
                line.remove(&self.me);
                if line.is_empty() {
                    state.waiting.remove(&self.key);
                }
            }
        });
    }
}

impl Turns {
    fn line(&self, flow: &str) -> Arc<Line> {
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = flows.get(flow) {
            return Arc::clone(line);
        }
        // Everyone in a line holds it.
        flows.retain(|_, line| Arc::strong_count(line) > 1);
        Arc::clone(flows.entry(flow.to_owned()).or_default())
    }

    /// A number for what is accepted now, larger than any before it, also over a restart unless the clock was set back.
    pub(super) fn accept(&self, now: Timestamp) -> i64 {
        let before = self.accepted.fetch_max(now.micros(), Ordering::Relaxed);
        match before < now.micros() {
            true => now.micros(),
            false => self.accepted.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    /// An event goes out to a flow.
    pub(super) fn coming(&self, flow: &str, seq: Seq) -> Coming {
        let line = self.line(flow);
        let me = line.change(|state| {
            let me = (seq, state.number());
            state.coming.insert(me);
            me
        });
        Coming { line, me, here: AtomicBool::new(false) }
    }

    /// Waits for the turn of what has this key and this place.
    pub(super) async fn enter(&self, flow: &str, key: &str, place: Place, coming: Option<&Coming>) -> Turn {
        let line = self.line(flow);
        let me = line.change(|state| {
            let me = (place, state.number());
            state.waiting.entry(key.to_owned()).or_default().insert(me);
            me
        });
        let turn = Turn { line, key: key.to_owned(), me };
        // In its line before it is here: nobody behind it finds neither.
        if let Some(coming) = coming {
            coming.is_here();
        }
        loop {
            let changed = turn.line.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if turn.line.state().is_first(key, me) {
                break;
            }
            changed.await;
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn an_event_waits_for_those_before_it_until_their_keys_are_known() {
        let turns = Turns::default();
        let (first, second, third) = (turns.coming("f", 1), turns.coming("f", 2), turns.coming("f", 3));
        let mut late = Box::pin(turns.enter("f", "a", (3, 0), Some(&third)));
        assert!(late.as_mut().now_or_never().is_none(), "the first two may have the same key");
        let other = turns.enter("f", "b", (1, 0), Some(&first)).now_or_never().expect("nobody is before it");
        assert!(late.as_mut().now_or_never().is_none());
        let mut earlier = Box::pin(turns.enter("f", "a", (2, 0), Some(&second)));
        let turn = earlier.as_mut().now_or_never().expect("it is the first of its key");
        assert!(late.as_mut().now_or_never().is_none(), "one at a time");
        drop(turn);
        assert!(late.as_mut().now_or_never().is_some());
        drop(other);
        assert!(turns.enter("g", "a", (1, 0), None).now_or_never().is_some(), "other flows are their own");
    }

    #[test]
    fn one_that_comes_to_nothing_holds_nobody_up() {
        let turns = Turns::default();
        let (first, second) = (turns.coming("f", 1), turns.coming("f", 2));
        let mut late = Box::pin(turns.enter("f", "a", (2, 0), Some(&second)));
        assert!(late.as_mut().now_or_never().is_none());
        drop(first);
        assert!(late.as_mut().now_or_never().is_some());
        // Whoever gives up waiting is in nobody's way either.
        let held = turns.enter("f", "a", (4, 0), None).now_or_never().expect("the line is empty");
        let mut given_up = Box::pin(turns.enter("f", "a", (5, 0), None));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop((given_up, held));
        assert!(turns.enter("f", "a", (6, 0), None).now_or_never().is_some());
    }

    #[test]
    fn what_is_accepted_later_has_the_larger_number_also_where_the_clock_stands_still() {
        let turns = Turns::default();
        let at = Timestamp::from_secs(5);
        let numbers = [
            turns.accept(at),
            turns.accept(at),
            turns.accept(Timestamp::from_secs(4)),
            turns.accept(Timestamp::from_secs(6)),
        ];
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }
}
