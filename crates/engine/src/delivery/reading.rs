//! From keeping up to reading by oneself, and back.

use std::sync::Arc;

use nexus_core::{
    breaker::BreakerState,
    event::{Data, Seq, StoredEvent},
    store::SubNo,
};

use super::{
    lane::{REPLAY, priority_of},
    machine::{Effect, Machine, Now, release},
    sending::SLOW,
    state::Mode,
};

/// Events asked for in one page.
const PAGE: usize = 128;

impl Machine {
    /// From `next` on it has positions of its own.
    pub(super) fn demote(&mut self, sub: SubNo, next: Seq) {
        let head = self.head;
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if state.mode == Mode::Behind {
            return;
        }
        state.mode = Mode::Behind;
        self.receipts.append(&mut state.ahead);
        for lane in state.log_lanes() {
            let lane = state.lane(*lane);
            lane.next = next;
            lane.caught = next > head;
            for seq in &lane.open {
                release(&mut self.live_open, *seq);
            }
        }
        self.busy.remove(&sub);
        self.behind.insert(sub);
        self.moved.insert(sub);
    }

    /// Back among those that keep up, once it has read everything and nothing it holds lies before the watermark.
    pub(super) fn promote(&mut self, sub: SubNo, now: Now) {
        let watermark = self.watermark();
        let head = self.head;
        let Some(state) = self.subs.get_mut(&sub) else { return };
        // A position beyond the head (after a crash) waits for the head: what lies between was delivered already.
        let caught_up = state.log_lanes().iter().all(|l| {
            let lane = &state.lanes[usize::from(*l)];
            (lane.caught || lane.next == head + 1) && !lane.reading
        });
        if state.mode == Mode::Live
            || !caught_up
            || !state.active
            || state.is_full()
            || !state.crowded.is_empty()
            || state.breaker.state(now.mono) != BreakerState::Closed
            || state.first_open().is_some_and(|seq| seq < watermark)
            || state.in_flight.values().any(|f| f.lane != REPLAY && now.mono.saturating_sub(f.since) > SLOW)
        {
            return;
        }
        state.mode = Mode::Live;
        state.settled.retain(|seq| *seq > head);
        for lane in state.log_lanes() {
            for seq in &state.lanes[usize::from(*lane)].open {
                *self.live_open.entry(*seq).or_default() += 1;
                self.busy.insert(sub);
            }
            self.gone.push((sub, *lane));
        }
        self.behind.remove(&sub);
    }

    /// Asks for pages where a lane that is behind has room.
    pub(super) fn refill(&mut self, sub: SubNo) {
        let head = self.head;
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if !state.active {
            return;
        }
        let reads = state.mode == Mode::Behind && state.crowded.is_empty();
        let lanes = if reads { state.log_lanes() } else { &[] };
        let replay_until = state.replay.as_ref().map(|r| r.until.min(head));
        let wanted = lanes.iter().map(|lane| (*lane, head)).chain(replay_until.map(|until| (REPLAY, until)));
        for (lane, until) in wanted {
            let room = state.has_room(lane);
            let reader = state.lane(lane);
            if reader.reading || reader.caught || reader.next > until || !room {
                continue;
            }
            reader.reading = true;
            let after = reader.next - 1;
            let priority = if lane == REPLAY { None } else { priority_of(lane) };
            self.effects.push(Effect::Read { sub, lane, after, priority, limit: PAGE });
            self.reads_out += 1;
        }
    }

    /// A page for a subscription that is behind: `events` of what was asked for, complete up to seq `through`.
    pub fn page(&mut self, sub: SubNo, lane: u8, events: &[Arc<StoredEvent>], through: Seq, now: Now) {
        self.reads_out = self.reads_out.saturating_sub(1);
        let head = self.head;
        let Some(state) = self.subs.get_mut(&sub) else { return };
        state.lane(lane).reading = false;
        if std::mem::take(&mut state.lane(lane).stale) {
            self.refill(sub);
            return;
        }
        let mut blockers = Vec::new();
        let until = if lane == REPLAY { state.replay.as_ref().map_or(0, |r| r.until) } else { Seq::MAX };
        // What retention or redaction has emptied can't be delivered any more; its fate says so.
        let there = |e: &&Arc<StoredEvent>| e.seq <= until && matches!(e.data, Data::Present { .. });
        for event in events.iter().filter(there) {
            let takes = if lane == REPLAY { state.spec.takes_now(event) } else { state.spec.takes(event) };
            let settled = match lane {
                // After a crash it may be trying this one again already, or have sent it.
                REPLAY => state.replay.as_mut().is_none_or(|r| {
                    r.settled.remove(&event.seq) || state.exceptions.contains_key(&(event.seq, r.generation))
                }),
                _ => state.settled.remove(&event.seq),
            };
            if takes && !settled {
                blockers.extend(state.accept(event, Some(lane)));
            }
        }
        let reader = state.lane(lane);
        reader.next = reader.next.max(through + 1);
        if lane != REPLAY {
            reader.caught = reader.next == head + 1;
            self.moved.insert(sub);
        }
        for blocker in blockers {
            self.waits_behind(sub, blocker);
        }
        self.pump(sub, now);
        self.promote(sub, now);
        self.refill(sub);
        self.finish_replay(sub);
    }

    /// Now and then: positions follow the head where nothing of the log concerned them, and whoever may keeps up again.
    pub(super) fn look_after_positions(&mut self, now: Now) {
        let head = self.head;
        for sub in self.behind.clone() {
            if let Some(state) = self.subs.get_mut(&sub) {
                for lane in state.log_lanes() {
                    let lane = state.lane(*lane);
                    if lane.caught {
                        lane.next = head + 1;
                    }
                }
            }
            self.refill(sub);
            self.promote(sub, now);
        }
    }
}
