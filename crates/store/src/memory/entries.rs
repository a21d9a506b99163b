//! Bookkeeping in memory.

use std::collections::BTreeMap;

use nexus_core::{
    event::Seq,
    store::{Entry, Exception, ExceptionQuery, ExceptionState, Fence, Position, ReceiptBlock, SaveError, SubNo},
};

use super::state::State;

impl State {
    /// Writes the entries, unless the shard has a newer owner.
    pub(super) fn save(&mut self, fence: Fence, entries: Vec<Entry>) -> Result<(), SaveError> {
        if self.shards.get(&fence.shard) != Some(&fence.epoch) {
            return Err(SaveError::Stale(fence.shard));
        }
        for entry in entries {
            match entry {
                Entry::Position(p) => {
                    self.positions.insert((p.sub, p.lane), p.next);
                }
                Entry::PositionGone(sub, lane) => {
                    self.positions.remove(&(sub, lane));
                }
                Entry::Receipts(block) => self.receipts.push(block),
                Entry::Exception(e) => {
                    self.exceptions.insert((e.sub, e.seq, e.generation), e);
                }
                Entry::ExceptionGone(sub, seq, generation) => {
                    self.exceptions.remove(&(sub, seq, generation));
                }
            }
        }
        Ok(())
    }

    pub(super) fn positions(&self) -> Vec<Position> {
        self.positions.iter().map(|((sub, lane), next)| Position { sub: *sub, lane: *lane, next: *next }).collect()
    }

    pub(super) fn receipts(&self, scope: SubNo, seq: Option<Seq>, limit: usize) -> Vec<ReceiptBlock> {
        let of_scope = self.receipts.iter().filter(|block| block.scope == scope);
        match seq {
            Some(seq) => of_scope.filter(|b| b.first <= seq && seq <= b.last).take(limit).cloned().collect(),
            None => of_scope.rev().take(limit).cloned().collect(),
        }
    }

    pub(super) fn exceptions(&self, query: &ExceptionQuery) -> Vec<Exception> {
        let wanted = |e: &&Exception| {
            let due = query.due_before.is_none_or(|t| e.state == ExceptionState::Retrying && e.next_at < t);
            let after = query.due_before.is_some() || query.after.is_none_or(|a| (e.sub, e.seq, e.generation) > a);
            due && after
                && query.sub.is_none_or(|sub| e.sub == sub)
                && query.seq.is_none_or(|seq| e.seq == seq)
                && query.state.is_none_or(|state| e.state == state)
        };
        let mut found: Vec<&Exception> = self.exceptions.values().filter(wanted).collect();
        if query.due_before.is_some() {
            found.sort_by_key(|e| e.next_at);
        }
        found.into_iter().take(query.limit).cloned().collect()
    }

    pub(super) fn exception_counts(&self) -> Vec<(SubNo, ExceptionState, u64)> {
        let mut counts: BTreeMap<(SubNo, u8), (ExceptionState, u64)> = BTreeMap::new();
        for e in self.exceptions.values() {
            counts.entry((e.sub, e.state as u8)).or_insert((e.state, 0)).1 += 1;
        }
        counts.into_iter().map(|((sub, _), (state, count))| (sub, state, count)).collect()
    }
}
