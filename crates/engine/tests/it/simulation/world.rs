//! The machine with its surroundings: store, time, endpoints, and all that is on its way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use nexus_core::{
    breaker::BreakerPolicy,
    event::{Priority, Seq, StoredEvent},
    store::{Entry, Exception, Fence, Limit, SeqRange, Store, SubNo},
    time::{Clock, Pending, Timestamp},
};
use nexus_engine::delivery::{
    found::{Found, FoundReplay},
    machine::{Effect, Machine, Now, Policy},
    notice::{Death, Notice as Told},
    spec::Spec,
};
use nexus_store::MemoryStore;

use super::model::{Chance, Model, Mood};

/// The store never waits, so its futures are ready at once.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a store in memory answers at once")
}

/// Wall and monotonic time as the simulation says.
#[derive(Clone, Default)]
pub(super) struct FakeClock(pub(super) Arc<[AtomicI64; 2]>);

impl FakeClock {
    pub(super) fn forward(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).expect("small");
        self.0[0].fetch_add(micros, Ordering::Relaxed);
        self.0[1].fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn set_back(&self, by: Duration) {
        self.0[0].fetch_sub(i64::try_from(by.as_micros()).expect("small"), Ordering::Relaxed);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000).plus(Duration::from_micros(0)).plus(micros(&self.0[0]))
    }
    fn mono(&self) -> Duration {
        micros(&self.0[1])
    }
    fn sleep(&self, _by: Duration) -> Pending<()> {
        Box::pin(std::future::pending())
    }
}

fn micros(value: &AtomicI64) -> Duration {
    Duration::from_micros(u64::try_from(value.load(Ordering::Relaxed)).unwrap_or(0))
}

/// An attempt on its way.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) sub: SubNo,
    pub(super) seq: Seq,
    pub(super) generation: u32,
    pub(super) started: Now,
}

/// A page on its way.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) sub: SubNo,
    pub(super) lane: u8,
    pub(super) after: Seq,
    pub(super) priority: Option<Priority>,
    pub(super) limit: usize,
    pub(super) dispatched: Seq,
}

/// What a keeper still has to record.
#[derive(Clone, Debug)]
pub(super) enum Notice {
    Stop(SubNo),
    Replayed(u32, bool),
}

pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) crashes: bool,
    pub(super) clock: FakeClock,
    pub(super) store: MemoryStore,
    pub(super) fence: Fence,
    pub(super) machine: Machine,
    pub(super) model: Model,
    pub(super) out: Vec<Out>,
    pub(super) asked: Vec<Asked>,
    pub(super) notices: Vec<Notice>,
    /// Being saved: the same batch until it holds.
    pub(super) batch: Option<Vec<Entry>>,
    /// A person has seen this row and is about to redrive (true) or delete it.
    pub(super) act: Option<(Exception, bool)>,
    pub(super) next_sub: SubNo,
    pub(super) next_replay: u32,
    pub(super) resting: bool,
    /// End of the log when the present process began.
    pub(super) known: Seq,
}

pub(super) fn policy() -> Policy {
    Policy {
        breaker: BreakerPolicy { failures: 3, open_for: Duration::from_secs(30) },
        disable_after: Duration::from_secs(5 * 24 * 3600),
        open_exceptions: 12,
        key_waiters: 6,
    }
}

impl World {
    pub(super) fn new(seed: u64, crashes: bool) -> Self {
        let clock = FakeClock::default();
        // Room to set the wall clock back.
        clock.0[0].store(1_000_000_000_000, Ordering::Relaxed);
        let store = MemoryStore::new(&[], Arc::new(clock.clone()), seed).expect("a store");
        let fence = ready(store.acquire(0)).expect("a fence");
        Self {
            chance: Chance(seed ^ 0x5eed),
            crashes,
            clock,
            store,
            fence,
            machine: Machine::new(policy(), 0, seed),
            model: Model::default(),
            out: Vec::new(),
            asked: Vec::new(),
            notices: Vec::new(),
            batch: None,
            act: None,
            next_sub: 1,
            next_replay: 1,
            resting: false,
            known: 0,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { wall: self.clock.now(), mono: self.clock.mono() }
    }

    pub(super) fn spec(&self, sub: SubNo) -> Arc<Spec> {
        let kept = &self.model.subs[&sub];
        Arc::new(Spec::compile(kept.subscription.clone(), &kept.revisions).expect("a spec"))
    }

    /// Everything the machine wants done is put on its way.
    pub(super) fn perform(&mut self) {
        for effect in self.machine.take_effects() {
            match effect {
                Effect::Attempt { sub, seq, generation, .. } => {
                    self.check_attempt((sub, seq, generation));
                    let started = self.now();
                    self.out.push(Out { sub, seq, generation, started });
                }
                Effect::Read { sub, lane, after, priority, limit } => {
                    let dispatched = self.machine.head();
                    self.asked.push(Asked { sub, lane, after, priority, limit, dispatched });
                }
                Effect::Tell(notice) => match notice {
                    Told::Stop { sub, .. } => self.notices.push(Notice::Stop(sub)),
                    Told::Dead(Death { sub, seq, attempts, .. }) => self.check_dead(sub, seq, attempts),
                    Told::Breaker { .. } | Told::Failing { .. } | Told::ManyDead => {}
                    Told::Replayed { generation, completed } => {
                        self.notices.push(Notice::Replayed(generation, completed));
                    }
                },
            }
        }
    }

    /// Hands the next run of the log over.
    pub(super) fn dispatch(&mut self, limit: usize) {
        let events = self.read(SeqRange { after: self.machine.head(), until: None, priority: None }, limit);
        let now = self.now();
        self.machine.events(&events, now);
        self.perform();
    }

    /// As the driver does before a change that is to hold from a seq on.
    pub(super) fn hold(&mut self) {
        while self.machine.head() < self.known {
            self.dispatch(256);
        }
    }

    pub(super) fn read(&self, range: SeqRange, limit: usize) -> Vec<Arc<StoredEvent>> {
        ready(self.store.read(range, Limit::items(limit))).expect("readable")
    }

    /// A page arrives; sometimes with what was dispatched meanwhile, as the driver adds from memory.
    pub(super) fn answer_page(&mut self, asked: &Asked, extended: bool) {
        let range =
            SeqRange { after: asked.after, until: Some(asked.dispatched.max(asked.after)), priority: asked.priority };
        let mut events = self.read(range, asked.limit);
        let whole = events.len() < asked.limit;
        let mut through = events.last().map_or(asked.after, |e| e.seq);
        if whole {
            through = through.max(asked.dispatched);
        }
        if whole && extended {
            let head = self.machine.head();
            let more = self.read(SeqRange { after: through, until: Some(head), priority: None }, 256);
            for event in more.into_iter().filter(|e| e.seq <= head) {
                through = event.seq;
                if asked.priority.is_none_or(|p| p == event.priority) {
                    events.push(event);
                }
            }
        }
        let now = self.now();
        self.machine.page(asked.sub, asked.lane, &events, through, now);
        self.perform();
    }

    /// Begins a batch, or tries the one under way again.
    pub(super) fn save(&mut self) -> bool {
        let now = self.now();
        if self.batch.is_none() {
            self.batch = Some(self.machine.unsaved(now));
        }
        let Some(batch) = self.batch.clone() else { return true };
        let saved = ready(self.store.save(self.fence, batch)).is_ok();
        if saved {
            self.batch = None;
            self.check_store();
        }
        saved
    }

    /// Everything is in the store.
    pub(super) fn flush(&mut self) {
        while self.batch.is_some() || self.machine.has_unsaved() {
            self.save();
        }
    }

    /// The process dies; another takes over from what is in the store.
    pub(super) fn crash(&mut self) {
        for out in std::mem::take(&mut self.out) {
            // The endpoint may have taken it; nobody heard.
            if self.chance.one_in(2) && self.model.subs.get(&out.sub).is_some_and(|k| k.mood == Mood::Well) {
                *self.model.taken.entry((out.sub, out.seq, out.generation)).or_default() += 1;
            }
        }
        self.start_again();
    }

    pub(super) fn start_again(&mut self) {
        self.out.clear();
        self.asked.clear();
        self.notices.clear();
        self.batch = None;
        self.act = None;
        self.store = self.store.crash();
        self.fence = ready(self.store.acquire(0)).expect("a fence");
        let specs = self.model.subs.iter().map(|(no, kept)| (self.spec(*no), kept.active)).collect();
        let replays = self.model.replays.iter();
        let replays = replays
            .map(|(no, r)| FoundReplay {
                sub: r.sub,
                generation: *no,
                from: r.from,
                until: r.until,
                settled: std::collections::HashSet::new(),
            })
            .collect();
        let found = ready(Found::read(&self.store, specs, Vec::new(), replays)).expect("readable");
        let now = self.now();
        self.known = self.store.head().seq;
        self.machine = Machine::recover(policy(), found, self.chance.next(), now);
        self.perform();
    }

    /// An orderly stop: what is out is awaited, everything is saved.
    pub(super) fn restart(&mut self) {
        self.machine.halt();
        self.machine.settle_positions();
        self.perform();
        while !self.out.is_empty() {
            self.answer_one();
            self.perform();
        }
        self.flush();
        for notice in std::mem::take(&mut self.notices) {
            self.record(notice);
        }
        self.start_again();
    }
}
