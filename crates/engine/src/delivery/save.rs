//! What the machine wants kept, gathered into one all-or-nothing batch.

use std::collections::BTreeMap;

use nexus_core::store::{Entry, Position, SubNo};

use super::{
    lane::REPLAY,
    machine::{Machine, Now},
    state::Mode,
};
use crate::receipts::{self, Receipt};

impl Machine {
    /// Something waits to be saved.
    pub fn has_unsaved(&self) -> bool {
        !self.receipts.is_empty()
            || !self.dirty.is_empty()
            || !self.moved.is_empty()
            || !self.gone.is_empty()
            || self.saved_watermark != self.watermark()
    }

    /// Receipts that wait to be saved.
    pub fn unsaved_receipts(&self) -> usize {
        self.receipts.len()
    }

    /// Everything that changed since the last call. The caller saves it, in order, and repeats until it is saved:
    /// positions are only right together with the exceptions and receipts of the same batch.
    pub fn unsaved(&mut self, now: Now) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.save_receipts(&mut entries, now);
        for (sub, seq, generation) in std::mem::take(&mut self.dirty) {
            let open = self.subs.get(&sub).and_then(|s| s.exceptions.get(&(seq, generation)));
            let row = open.cloned().or_else(|| self.finished.remove(&(sub, seq, generation)));
            entries.push(row.map_or(Entry::ExceptionGone(sub, seq, generation), Entry::Exception));
        }
        for (sub, lane) in std::mem::take(&mut self.gone) {
            entries.push(Entry::PositionGone(sub, lane));
        }
        for sub in std::mem::take(&mut self.moved) {
            let Some(state) = self.subs.get_mut(&sub) else { continue };
            if state.mode == Mode::Behind {
                for lane in state.log_lanes() {
                    let lane_state = state.lane(*lane);
                    if lane_state.caught {
                        lane_state.next = self.head + 1;
                    }
                    let next = lane_state.position();
                    entries.push(Entry::Position(Position { sub, lane: *lane, next }));
                }
            }
            let over = state.replay.is_none();
            let lane = state.lane(REPLAY);
            if lane.next > 0 {
                entries.push(Entry::Position(Position { sub, lane: REPLAY, next: lane.position() }));
            }
            if over {
                lane.next = 0;
            }
        }
        let watermark = self.watermark();
        if watermark != self.saved_watermark {
            entries.push(Entry::Position(Position { sub: 0, lane: 0, next: watermark }));
            self.saved_watermark = watermark;
        }
        entries
    }

    fn save_receipts(&mut self, entries: &mut Vec<Entry>, now: Now) {
        let mut scopes: BTreeMap<SubNo, Vec<Receipt>> = BTreeMap::new();
        for receipt in self.receipts.drain(..) {
            let live = self.subs.get(&receipt.sub).is_some_and(|s| s.mode == Mode::Live);
            // A late or repeated delivery would stretch the range of the shared block over the whole log.
            let scope = if live && receipt.attempt == 1 && receipt.generation == 0 { 0 } else { receipt.sub };
            scopes.entry(scope).or_default().push(receipt);
        }
        for (scope, mut list) in scopes {
            entries.extend(receipts::encode(scope, &mut list, now.wall).map(Entry::Receipts));
        }
    }
}
