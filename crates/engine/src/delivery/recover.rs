//! After a start: the machine as the store describes it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use nexus_core::{
    event::Seq,
    retry::RETRY_AFTER_CAP,
    store::{Exception, ExceptionState, Position, SubNo},
};

use super::{
    found::{Found, FoundReplay},
    lane::REPLAY,
    machine::{Effect, Machine, Now, Policy},
    notice::Notice,
    outcome::HELD,
    spec::Spec,
    state::{Failing, Mode, State},
};
use crate::receipts::Receipt;

impl Machine {
    /// A machine that goes on where the store says the last one stood. Feed it the log after [`Machine::head`].
    pub fn recover(policy: Policy, found: Found, seed: u64, now: Now) -> Self {
        // Without a saved watermark nothing was ever dispatched to those that keep up.
        let watermark = found.positions.iter().find(|p| p.sub == 0).map_or(1, |p| p.next).min(found.log_head + 1);
        let mut machine = Self::new(policy, watermark - 1, seed);
        machine.saved_watermark = watermark;
        let mut positions: HashMap<SubNo, Vec<Position>> = HashMap::new();
        for position in found.positions.into_iter().filter(|p| p.sub != 0) {
            positions.entry(position.sub).or_default().push(position);
        }
        for (spec, active) in found.specs {
            let own = positions.remove(&spec.subscription.no).unwrap_or_default();
            machine.restore(spec, active, &own, watermark);
        }
        for orphan in positions.into_values().flatten() {
            machine.gone.push((orphan.sub, orphan.lane));
        }
        machine.settled(&found.receipts, &found.exceptions);
        for exception in found.exceptions {
            machine.reopen(exception, now);
        }
        for (sub, since, last) in found.failing {
            let Some(state) = machine.subs.get_mut(&sub).filter(|s| s.active) else {
                machine.effects.push(Effect::Tell(Notice::Failing { sub, since: None }));
                continue;
            };
            let noted = Some(now.mono);
            state.failing = Some(Failing { since, before: last.since(since), begun: now.mono, noted });
        }
        for FoundReplay { sub, generation, from, until, settled } in found.replays {
            let reached = machine.subs.get_mut(&sub).map_or(0, |s| s.lane(REPLAY).next);
            machine.replay(sub, generation, from.max(reached), until);
            if let Some(replay) = machine.subs.get_mut(&sub).and_then(|s| s.replay.as_mut()) {
                replay.settled = settled;
            }
        }
        let all: Vec<SubNo> = machine.subs.keys().copied().collect();
        for sub in all {
            if machine.state(sub).is_some_and(|s| s.replay.is_none() && s.lanes[usize::from(REPLAY)].next > 0) {
                // What a replay that is over has left.
                machine.cancel_replay(sub);
            }
            machine.let_go(sub, now);
            machine.pump(sub, now);
            machine.refill(sub);
        }
        machine
    }

    fn restore(&mut self, spec: Arc<Spec>, active: bool, own: &[Position], watermark: Seq) {
        let no = spec.subscription.no;
        // What is dispatched again may lie before the last rule began: the ones before it are still in force there.
        let from = spec.rules.iter().rposition(|r| r.from_seq <= watermark).unwrap_or(0);
        for filter in spec.rules[from..].iter().flat_map(|r| &r.filters) {
            self.matcher.add(no, filter);
        }
        let lanes = spec.subscription.lanes();
        let (own, foreign): (Vec<Position>, Vec<Position>) =
            own.iter().partition(|p| p.lane == REPLAY || lanes.clone().any(|l| l == p.lane));
        self.gone.extend(foreign.iter().map(|p| (p.sub, p.lane)));
        let behind = own.iter().any(|p| p.lane != REPLAY) || !active;
        let mode = if behind { Mode::Behind } else { Mode::Live };
        let mut state = State::new(spec, self.policy.breaker, active, mode, watermark);
        for position in own {
            state.lane(position.lane).next = position.next;
        }
        if behind {
            self.behind.insert(no);
            self.moved.insert(no);
        }
        self.subs.insert(no, state);
    }

    /// What is known to be settled beyond a position is not sent again when it is read.
    fn settled(&mut self, receipts: &[Receipt], exceptions: &[Exception]) {
        let mut found: HashMap<SubNo, HashSet<Seq>> = HashMap::new();
        for receipt in receipts.iter().filter(|r| r.generation == 0) {
            found.entry(receipt.sub).or_default().insert(receipt.seq);
        }
        for exception in exceptions.iter().filter(|e| e.generation == 0) {
            let set = found.entry(exception.sub).or_default();
            set.insert(exception.seq);
            set.extend(&exception.waiting);
        }
        for (sub, mut seqs) in found {
            let Some(state) = self.subs.get_mut(&sub) else { continue };
            let first = state.log_lanes().iter().map(|l| state.lanes[usize::from(*l)].next).min().unwrap_or(0);
            seqs.retain(|seq| *seq >= first);
            state.settled = seqs;
        }
    }

    fn reopen(&mut self, mut exception: Exception, now: Now) {
        let delivery = (exception.seq, exception.generation);
        let Some(state) = self.subs.get_mut(&exception.sub) else {
            if exception.state == ExceptionState::Retrying {
                // Its subscription was removed, and the crash came before the row was.
                self.dirty.insert((exception.sub, delivery.0, delivery.1));
            }
            return;
        };
        let holds = exception.next_at == HELD || !exception.waiting.is_empty();
        let held = exception.state == ExceptionState::Dead && exception.key.is_some() && holds;
        if exception.state != ExceptionState::Retrying && !held {
            return;
        }
        if let Some(key) = &exception.key {
            state.keys.block(key, delivery);
        }
        if let Some(key) = exception.key.as_ref().filter(|_| exception.waiting.len() >= self.policy.key_waiters) {
            state.crowded.insert(key.clone());
        }
        if exception.state == ExceptionState::Retrying {
            // Not further ahead than any wait can be: the wall clock may have been set back while nobody looked.
            let longest = state.spec.subscription.longest_wait().max(RETRY_AFTER_CAP);
            exception.next_at = exception.next_at.min(now.wall.plus(longest));
            state.retries.insert((exception.next_at, delivery.0, delivery.1));
        }
        state.exceptions.insert(delivery, exception);
    }
}
