//! Replays: a lane of its own that runs over a stretch of the log once more.

use std::collections::HashSet;

use nexus_core::{event::Seq, store::SubNo};

use super::{
    lane::REPLAY,
    machine::{Effect, Machine},
    notice::Notice,
    state::ReplayState,
};

impl Machine {
    /// Begins (or after a restart goes on with) a replay of `from..=until`.
    pub fn replay(&mut self, sub: SubNo, generation: u32, from: Seq, until: Seq) {
        let Some(state) = self.subs.get_mut(&sub) else {
            self.effects.push(Effect::Tell(Notice::Replayed { generation, completed: false }));
            return;
        };
        state.replay = Some(ReplayState { generation, until, done: 0, settled: HashSet::new() });
        state.lane(REPLAY).next = from.max(1);
        self.replaying.insert(sub);
        self.moved.insert(sub);
        self.refill(sub);
        self.finish_replay(sub);
    }

    /// Ends a replay; what is out is not called back.
    pub fn cancel_replay(&mut self, sub: SubNo) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        state.replay = None;
        let lane = state.lane(REPLAY);
        lane.next = 0;
        lane.open.clear();
        // A page on its way was asked for by this replay and must not be taken for the next one's.
        lane.stale = lane.reading;
        let dropped: usize = std::mem::take(&mut lane.ready).iter().map(|w| w.event.weight()).sum();
        state.ready_bytes = state.ready_bytes.saturating_sub(dropped);
        self.replaying.remove(&sub);
        self.gone.push((sub, REPLAY));
    }

    /// A replay is over when everything was sent; what failed goes on as any retry. Its position stays until its end is
    /// recorded, so that a crash in between does not send everything again.
    pub(super) fn finish_replay(&mut self, sub: SubNo) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        let lane = &state.lanes[usize::from(REPLAY)];
        let Some(replay) = &state.replay else { return };
        let generation = replay.generation;
        if lane.next > replay.until && lane.open.is_empty() && !lane.reading {
            state.replay = None;
            self.replaying.remove(&sub);
            self.effects.push(Effect::Tell(Notice::Replayed { generation, completed: true }));
        }
        self.moved.insert(sub);
    }
}
