//! What must hold after each step, and when everything has come to rest.

use std::{collections::BTreeSet, time::Duration};

use nexus_core::{
    event::Seq,
    store::{Exception, ExceptionQuery, ExceptionState, Store, SubNo},
};
use nexus_engine::delivery::{lane::REPLAY, state::Mode};

use super::{
    model::{Delivery, KeptReplay, Model},
    world::{World, ready},
};

/// Rounds until everything has come to rest.
const ROUNDS: usize = 4_000;

impl World {
    /// An attempt leaves.
    pub(super) fn check_attempt(&mut self, delivery: Delivery) {
        let (sub, seq, generation) = delivery;
        let twice = self.out.iter().any(|o| (o.sub, o.seq, o.generation) == delivery);
        assert!(!twice, "{delivery:?} is out twice at once");
        let fact = &self.model.facts[&seq];
        assert!(generation > 0 || self.model.wants(sub, fact), "{delivery:?} did not match and is sent");
        if generation == 0 && self.model.subs[&sub].subscription.ordered {
            for earlier in self.model.before(sub, seq) {
                let one = (sub, earlier, 0);
                let tried = self.model.attempts.contains_key(&one) || self.model.settled(one);
                assert!(tried, "{delivery:?} is sent before {earlier} of its key ever was");
            }
        }
        let (since, ever) = self.model.attempts.entry(delivery).or_default();
        *since += 1;
        *ever += 1;
    }

    /// An endpoint takes an event.
    pub(super) fn check_taken(&mut self, delivery: Delivery) {
        let (sub, seq, generation) = delivery;
        if generation == 0 && self.model.subs.get(&sub).is_some_and(|k| k.subscription.ordered) {
            for earlier in self.model.before(sub, seq) {
                assert!(
                    self.model.settled((sub, earlier, 0)),
                    "{delivery:?} succeeds before {earlier} of its key is settled"
                );
            }
        }
        let times = self.model.taken.entry(delivery).or_default();
        *times += 1;
        // A replay's position stays at what was withdrawn, so that a restart may repeat what was taken beyond it.
        let repeated = generation > 0 && self.model.withdrawn.contains(&generation);
        assert!(self.crashes || *times == 1 || repeated, "{delivery:?} is delivered twice without a crash");
        self.model.held.remove(&delivery);
    }

    /// A delivery is given up.
    pub(super) fn check_dead(&mut self, sub: SubNo, seq: Seq, attempts: u16) {
        let mut found = self.model.attempts.iter().filter(|((s, q, _), _)| (*s, *q) == (sub, seq));
        assert!(
            attempts >= 4 && found.any(|(_, (since, _))| *since >= u32::from(attempts)),
            "{sub} {seq} is dead after {attempts} attempts"
        );
        // Replays are never held, and a generation is not told; the log's own delivery is what order is about.
        let delivery = (sub, seq, 0);
        let state = self.machine.state(sub).expect("there");
        let own = self.model.attempts.get(&delivery).is_some_and(|(since, _)| *since >= 4);
        if own && !self.model.took(delivery) {
            self.model.dead.insert(delivery);
            let dead = |e: &Exception| e.state == ExceptionState::Dead;
            if self.model.holds(sub) && state.exceptions.get(&(seq, 0)).is_some_and(dead) {
                self.model.held.insert(delivery);
            }
        }
    }

    /// A replay is recorded as done.
    pub(super) fn check_replayed(&self, generation: u32, replay: &KeptReplay) {
        let Some(kept) = self.model.subs.get(&replay.sub).filter(|_| replay.whole) else { return };
        let rule = kept.revisions.last().expect("a rule");
        for (seq, fact) in self.model.facts.range(replay.from..=replay.until) {
            let tried = self.model.attempts.contains_key(&(replay.sub, *seq, generation));
            assert!(tried || !Model::fits(rule, fact), "replay {generation} is done without event {seq}");
        }
    }

    fn rows(&self) -> Vec<Exception> {
        let query = ExceptionQuery { limit: 100_000, ..ExceptionQuery::default() };
        ready(self.store.exceptions(query)).expect("readable")
    }

    /// After a save: if the process died now, nothing would be lost.
    pub(super) fn check_store(&mut self) {
        let positions = ready(self.store.positions()).expect("readable");
        let watermark = positions.iter().find(|p| p.sub == 0).map_or(1, |p| p.next);
        assert!(watermark >= self.model.watermark, "the watermark went back to {watermark}");
        self.model.watermark = watermark;
        let mut recorded: BTreeSet<(SubNo, Seq)> = BTreeSet::new();
        for row in self.rows().into_iter().filter(|r| r.generation == 0) {
            recorded.insert((row.sub, row.seq));
            recorded.extend(row.waiting.iter().map(|seq| (row.sub, *seq)));
        }
        let mut safe = Vec::new();
        for (sub, kept) in &self.model.subs {
            let own: Vec<_> = positions.iter().filter(|p| p.sub == *sub && p.lane != REPLAY).collect();
            // A lane of its own tells only about its priority; the smallest is what all have passed.
            let passed = own.iter().map(|p| p.next).min().unwrap_or(watermark);
            if self.machine.state(*sub).is_none() {
                continue;
            }
            let mut sure = self.model.safe.get(sub).copied().unwrap_or(0);
            let mut unbroken = true;
            for (seq, fact) in self.model.facts.range(sure.min(passed)..passed) {
                let delivery = (*sub, *seq, 0);
                let over = self.model.took(delivery)
                    || self.model.forgotten.contains(&delivery)
                    || !self.model.wants(*sub, fact);
                assert!(
                    over || recorded.contains(&(*sub, *seq)),
                    "the position of {sub} ({passed}, first revision {}) has passed {seq}, which nobody has taken",
                    kept.revisions[0].from_seq
                );
                unbroken &= over;
                if unbroken {
                    sure = *seq;
                }
            }
            safe.push((*sub, sure));
        }
        self.model.safe.extend(safe);
    }

    /// After each step: the machine's own books agree with each other.
    pub(super) fn check_machine(&self) {
        let mut out = 0;
        for (sub, state) in self.machine.states() {
            out += state.in_flight.len();
            let concurrency = usize::from(state.spec.subscription.concurrency).max(16);
            assert!(state.in_flight.len() <= concurrency, "{sub} has {} out", state.in_flight.len());
            for (at, seq, generation) in &state.retries {
                let exception = state.exceptions.get(&(*seq, *generation));
                assert!(exception.is_some_and(|e| e.next_at == *at), "{sub} is to retry {seq}, which is not open");
            }
            for (key, exception) in &state.exceptions {
                let waits = exception.state == ExceptionState::Retrying;
                let armed = state.retries.contains(&(exception.next_at, key.0, key.1));
                let flying = state.in_flight.contains_key(key);
                assert!(!waits || armed != flying, "{sub}: {key:?} armed {armed}, out {flying}");
            }
            let open = state.first_open();
            if state.mode == Mode::Live
                && let Some(open) = open
            {
                assert!(self.machine.watermark() <= open, "the watermark has passed {open}, open at {sub}");
            }
        }
        assert_eq!(out, self.machine.attempts_out(), "attempts are counted wrong");
        assert_eq!(out, self.out.iter().filter(|o| self.machine.state(o.sub).is_some()).count(), "attempts got lost");
    }

    /// Everything is well again, everyone delivers: after a while nothing is left to do.
    pub(super) fn come_to_rest(&mut self) {
        self.resting = true;
        self.act = None;
        for _ in 0..ROUNDS {
            while !self.notices.is_empty() {
                let notice = self.notices.remove(0);
                self.record(notice);
            }
            for sub in self.model.subs.keys().copied().collect::<Vec<_>>() {
                if self.machine.state(sub).is_some_and(|s| !s.active) {
                    self.model.subs.get_mut(&sub).expect("there").active = true;
                    let now = self.now();
                    self.machine.set_active(sub, true, now);
                }
            }
            self.perform();
            self.redrive_the_held();
            self.dispatch(50);
            for asked in std::mem::take(&mut self.asked) {
                self.answer_page(&asked, true);
            }
            for _ in 0..self.out.len() {
                self.answer_one();
            }
            self.check_machine();
            self.flush();
            let head = self.store.head().seq;
            if self.machine.is_quiet(head) && self.notices.is_empty() {
                let (wall, mono) = self.machine.next_wake();
                let behind = self.machine.states().any(|(_, s)| s.mode == Mode::Behind);
                if wall.is_none() && mono.is_none() && !behind {
                    return;
                }
                let now = self.now();
                let until =
                    mono.map(|at| at.saturating_sub(now.mono)).into_iter().chain(wall.map(|at| at.since(now.wall)));
                self.clock.forward(until.min().unwrap_or(Duration::from_secs(2)));
            }
            let now = self.now();
            self.machine.tick(now);
            self.perform();
        }
    }

    fn redrive_the_held(&mut self) {
        let held = self.machine.states().flat_map(|(_, s)| s.exceptions.values());
        let held: Vec<Exception> = held.filter(|e| e.state == ExceptionState::Dead).cloned().collect();
        for row in held {
            let now = self.now();
            self.model.attempts.entry((row.sub, row.seq, row.generation)).or_default().0 = 0;
            self.machine.redrive(row, now);
            self.perform();
        }
    }

    /// Nothing is left to do, so nothing may be left undone.
    pub(super) fn check_rest(&self) {
        let head = self.store.head().seq;
        assert!(self.machine.is_quiet(head), "it never came to rest");
        assert_eq!(self.machine.watermark(), head + 1);
        let dead: BTreeSet<Delivery> = self
            .rows()
            .into_iter()
            .inspect(|r| {
                assert!(
                    r.state != ExceptionState::Retrying,
                    "{r:?} retries for ever: {:?} {:?} {:?}",
                    self.machine.state(r.sub),
                    self.now(),
                    self.machine.next_wake()
                );
            })
            .filter(|r| r.state == ExceptionState::Dead)
            .map(|r| (r.sub, r.seq, r.generation))
            .collect();
        for (sub, state) in self.machine.states() {
            assert_eq!(state.mode, Mode::Live, "{sub} never caught up: {state:#?}");
            assert_eq!((state.waiting(), state.in_flight.len(), state.exceptions.len()), (0, 0, 0), "of {sub}");
            assert!(state.replay.is_none(), "the replay of {sub} never ended");
            assert_eq!(state.ready_bytes, 0, "bytes of {sub} are counted wrong");
        }
        assert!(self.model.replays.is_empty(), "{:?} never ended", self.model.replays);
        for sub in self.model.subs.keys() {
            for (seq, fact) in &self.model.facts {
                let delivery = (*sub, *seq, 0);
                let settled =
                    self.model.took(delivery) || dead.contains(&delivery) || self.model.forgotten.contains(&delivery);
                assert!(settled || !self.model.wants(*sub, fact), "{delivery:?} was never delivered");
            }
        }
    }
}
