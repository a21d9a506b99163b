//! What people, and limits, change about deliveries.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use nexus_core::{
    event::Seq,
    store::{Exception, ExceptionState, SubNo},
};

use super::{
    key::DeliveryKey,
    lane::{ORDERED, REPLAY, Waiting},
    machine::{Effect, Machine, Now, self_block},
    notice::Notice,
    spec::Spec,
    state::{Mode, State},
};
use crate::subscription::OnDead;

impl Machine {
    /// Adds a subscription that holds for events after the present head, or begins at `from` where that lies before.
    pub fn add(&mut self, spec: Arc<Spec>, active: bool, from: Seq, now: Now) {
        let no = spec.subscription.no;
        if let Some(rule) = spec.rules.last() {
            for filter in &rule.filters {
                self.matcher.add(no, filter);
            }
        }
        let live = from > self.head && active;
        let mode = if live { Mode::Live } else { Mode::Behind };
        self.subs.insert(no, State::new(spec, self.policy.breaker, active, mode, from));
        if !live {
            self.behind.insert(no);
            self.moved.insert(no);
            self.refill(no);
            self.promote(no, now);
        }
    }

    /// Replaces a subscription's spec; its rule for later events is the last of the new rules.
    pub fn update(&mut self, spec: Arc<Spec>, now: Now) {
        let no = spec.subscription.no;
        let Some(state) = self.subs.get_mut(&no) else { return };
        let old = state.spec.rules.last().map(|r| r.filters.clone()).unwrap_or_default();
        let new = spec.rules.last().map(|r| r.filters.clone()).unwrap_or_default();
        state.spec = spec;
        for filter in &old {
            self.matcher.remove(no, filter);
        }
        for filter in &new {
            self.matcher.add(no, filter);
        }
        self.let_go(no, now);
        self.pump(no, now);
        self.refill(no);
    }

    /// Where dead letters do not hold their keys (any more), the keys go on.
    pub(super) fn let_go(&mut self, sub: SubNo, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if state.spec.subscription.on_dead == OnDead::Hold {
            return;
        }
        let dead = state.exceptions.values().filter(|e| e.state == ExceptionState::Dead);
        let held: Vec<DeliveryKey> = dead.map(|e| (e.seq, e.generation)).collect();
        for delivery in held {
            let Some(exception) = self.subs.get_mut(&sub).and_then(|s| s.exceptions.remove(&delivery)) else {
                continue;
            };
            let row = Exception { waiting: Vec::new(), next_at: now.wall, ..exception.clone() };
            self.finish(row, true);
            self.go_on(sub, exception, now);
        }
    }

    /// Pauses or resumes.
    pub fn set_active(&mut self, sub: SubNo, active: bool, now: Now) {
        let head = self.head;
        if active {
            self.works(sub);
        }
        let Some(state) = self.subs.get_mut(&sub) else { return };
        state.active = active;
        if active {
            state.breaker.success();
            self.pump(sub, now);
            self.refill(sub);
            self.promote(sub, now);
            self.finish_replay(sub);
        } else {
            self.demote(sub, head + 1);
        }
    }

    /// Stops a subscription by the machine's own decision.
    pub(super) fn stop(&mut self, sub: SubNo, disabled: bool, reason: String) {
        let head = self.head;
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if !state.active {
            return;
        }
        state.active = false;
        self.demote(sub, head + 1);
        self.effects.push(Effect::Tell(Notice::Stop { sub, disabled, reason }));
    }

    /// Forgets a subscription; answers of what is out are ignored. Its dead letters stay, its retries go.
    pub fn remove(&mut self, sub: SubNo) {
        self.demote(sub, self.head + 1);
        self.works(sub);
        let Some(state) = self.subs.remove(&sub) else { return };
        for filter in state.spec.rules.iter().flat_map(|r| &r.filters) {
            self.matcher.remove(sub, filter);
        }
        for set in [&mut self.moved, &mut self.behind, &mut self.replaying] {
            set.remove(&sub);
        }
        self.due.retain(|(_, s)| *s != sub);
        self.probes.retain(|(_, s)| *s != sub);
        self.attempts_out = self.attempts_out.saturating_sub(state.in_flight.len());
        if let Some(replay) = state.replay {
            self.effects.push(Effect::Tell(Notice::Replayed { generation: replay.generation, completed: false }));
        }
        for (delivery, exception) in state.exceptions {
            self.dirty.insert((sub, delivery.0, delivery.1));
            if exception.state == ExceptionState::Dead {
                self.finish(Exception { waiting: Vec::new(), ..exception }, true);
            }
        }
        self.gone.extend(state.spec.subscription.lanes().chain([REPLAY]).map(|lane| (sub, lane)));
    }

    /// Tries a dead letter again now, with its attempts counted anew.
    pub fn redrive(&mut self, row: Exception, now: Now) {
        let (sub, delivery) = (row.sub, (row.seq, row.generation));
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if state.in_flight.contains_key(&delivery) {
            return;
        }
        // One that holds its key is here, with everyone who joined its line since the row was read.
        let mut exception = state.exceptions.remove(&delivery).unwrap_or(row);
        state.retries.remove(&(exception.next_at, delivery.0, delivery.1));
        exception.state = ExceptionState::Retrying;
        exception.attempts = 0;
        exception.next_at = now.wall;
        exception.updated_at = now.wall;
        if let Some(key) = exception.key.clone() {
            match state.keys.busy_with(&key) {
                None => exception.waiting.extend(self_block(state, &key, delivery, &mut self.live_open)),
                Some(holder) if holder == delivery => {}
                // Its key has gone on and is busy: it goes beside the line, and never holds it up.
                Some(_) => exception.key = None,
            }
        }
        state.retries.insert((now.wall, delivery.0, delivery.1));
        state.exceptions.insert(delivery, exception);
        self.dirty.insert((sub, delivery.0, delivery.1));
        self.pump(sub, now);
    }

    /// A dead letter was deleted: its key, if it held one, goes on.
    pub fn forget(&mut self, sub: SubNo, delivery: DeliveryKey, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if let Some(exception) = state.exceptions.remove(&delivery) {
            state.retries.remove(&(exception.next_at, delivery.0, delivery.1));
            self.go_on(sub, exception, now);
        }
        self.finished.remove(&(sub, delivery.0, delivery.1));
        self.dirty.insert((sub, delivery.0, delivery.1));
        self.pump(sub, now);
        self.refill(sub);
    }

    /// The data of these events was erased: what waits in memory is not sent any more, and what was kept of attempts
    /// is not saved again.
    pub fn erased(&mut self, seqs: &HashSet<Seq>, now: Now) {
        for row in self.finished.values_mut().filter(|row| seqs.contains(&row.seq)) {
            row.log = "[]".into();
        }
        let all: Vec<SubNo> = self.subs.keys().copied().collect();
        for sub in all {
            let Some(state) = self.subs.get_mut(&sub) else { continue };
            for exception in state.exceptions.values_mut().filter(|e| seqs.contains(&e.seq)) {
                exception.log = "[]".into();
            }
            for (_, flight) in state.in_flight.iter_mut().filter(|(delivery, _)| seqs.contains(&delivery.0)) {
                flight.erased = true;
            }
            let mut dropped = Vec::new();
            for (no, lane) in (0u8..).zip(&mut state.lanes) {
                // A page that was read before would bring the data back: it is read again.
                lane.stale |= lane.reading;
                let (out, stay): (VecDeque<Waiting>, _) =
                    std::mem::take(&mut lane.ready).into_iter().partition(|w| seqs.contains(&w.seq));
                lane.ready = stay;
                dropped.extend(out.into_iter().map(|w| (no, w)));
            }
            let in_line = state.keys.withdraw(|seq| seqs.contains(&seq));
            dropped.extend(in_line.into_iter().map(|w| (ORDERED, w)));
            let generation = state.replay.as_ref().map_or(0, |r| r.generation);
            for (lane, waiting) in dropped {
                if let Some(state) = self.subs.get_mut(&sub) {
                    state.ready_bytes = state.ready_bytes.saturating_sub(waiting.event.weight());
                }
                let generation = if lane == REPLAY { generation } else { 0 };
                self.settle(sub, lane, (waiting.seq, generation));
            }
            self.catch_up(sub, now);
        }
    }

    /// Nothing more is sent.
    pub fn halt(&mut self) {
        for state in self.subs.values_mut() {
            state.active = false;
        }
    }

    /// Before the end: whoever still has something unsettled gets a position of its own, so that the watermark need not wait.
    pub fn settle_positions(&mut self) {
        for sub in self.busy.clone() {
            self.demote(sub, self.head + 1);
        }
    }
}
