//! Attempts that were offered and never made: they go back to where they were, and count for nothing.

use std::sync::Arc;

use nexus_core::{
    event::StoredEvent,
    store::{ExceptionState, SubNo},
};

use super::{
    key::DeliveryKey,
    lane::REPLAY,
    machine::{Machine, Now},
};

impl Machine {
    /// Instead of an outcome: nobody took what was offered, and the offer was withdrawn. Nothing was learned, and nothing is
    /// written: the event waits on in its line, a retry is as due as it was.
    pub fn withdrawn(&mut self, sub: SubNo, delivery: DeliveryKey, event: &Arc<StoredEvent>, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        let Some(flight) = state.in_flight.remove(&delivery) else { return };
        self.attempts_out = self.attempts_out.saturating_sub(1);
        if flight.probe {
            state.breaker.probe_lost();
        }
        let replay = state.replay.as_ref().map(|r| r.generation);
        match state.exceptions.get(&delivery) {
            Some(exception) if exception.state == ExceptionState::Retrying => {
                state.retries.insert((exception.next_at, delivery.0, delivery.1));
            }
            Some(_) => {}
            // What a replay that was cancelled had offered is not wanted any more.
            None if flight.lane == REPLAY && replay != Some(delivery.1) => {}
            None => state.put_back(flight.lane, flight.key, Arc::clone(event)),
        }
        self.pump(sub, now);
        self.catch_up(sub, now);
    }

    /// Attempts that are out and wait for no more than consumers who may or may not come.
    pub(super) fn offered(&self) -> usize {
        let consumed = self.subs.values().filter(|s| s.spec.subscription.target.is_consumer());
        consumed.map(|s| s.in_flight.len()).sum()
    }
}
