//! The machine: events, answers and time go in; effects come out.
//!
//! Its parts: this file takes in the log; `reading` goes from keeping up to reading by itself and back; `sending` decides
//! what goes out and when; `outcome` hears the answers; `replaying` runs replays; `change` makes the changes that people
//! and limits ask for; `save` and `recover` are its memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use nexus_core::{
    breaker::{BreakerPolicy, BreakerState},
    event::{Data, Priority, Seq, StoredEvent},
    store::{Exception, SubNo},
    time::Timestamp,
};

use super::{
    key::DeliveryKey,
    lane::lane_of,
    notice::Notice,
    spec::Spec,
    state::{Mode, State},
};
use crate::{matcher::Matcher, receipts::Receipt};

/// The present, as the machine is told it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Wall time.
    pub wall: Timestamp,
    /// Monotonic time.
    pub mono: Duration,
}

/// What the driver is to do.
#[derive(Debug)]
pub enum Effect {
    /// Make one attempt and report it with [`Machine::outcome`].
    Attempt {
        /// Subscription.
        sub: SubNo,
        /// Event.
        seq: Seq,
        /// 0, or the replay's number.
        generation: u32,
        /// Which attempt, from 1.
        attempt: u16,
        /// The event where it is at hand; else it is to be read.
        event: Option<Arc<StoredEvent>>,
        /// How to send it.
        spec: Arc<Spec>,
    },
    /// Read a page for a subscription that is behind and report it with [`Machine::page`].
    Read {
        /// Subscription.
        sub: SubNo,
        /// For this lane.
        lane: u8,
        /// After this seq.
        after: Seq,
        /// Only this priority.
        priority: Option<Priority>,
        /// At most so many.
        limit: usize,
    },
    /// Let others know.
    Tell(Notice),
}

/// Settings of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Breaker of every endpoint.
    pub breaker: BreakerPolicy,
    /// Failure without a success in between after which an endpoint is disabled.
    pub disable_after: Duration,
    /// Open exceptions at which a subscription is paused.
    pub open_exceptions: usize,
    /// Events waiting behind one blocked key at which an ordered subscription is paused.
    pub key_waiters: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            breaker: BreakerPolicy::default(),
            disable_after: Duration::from_secs(5 * 24 * 3600),
            open_exceptions: nexus_core::limits::OPEN_EXCEPTIONS,
            key_waiters: nexus_core::limits::KEY_WAITERS,
        }
    }
}

/// All deliveries of one shard.
#[derive(Debug)]
pub struct Machine {
    pub(super) policy: Policy,
    pub(super) subs: BTreeMap<SubNo, State>,
    pub(super) matcher: Matcher,
    /// Last seq dispatched to those that keep up.
    pub(super) head: Seq,
    /// Unsettled seqs of those that keep up, counted.
    pub(super) live_open: BTreeMap<Seq, u32>,
    /// Those that keep up and have something unsettled: looked at for slowness.
    pub(super) busy: BTreeSet<SubNo>,
    /// Those that have positions of their own.
    pub(super) behind: BTreeSet<SubNo>,
    /// Those that a replay runs for.
    pub(super) replaying: BTreeSet<SubNo>,
    /// When each subscription's next retry is due; nothing that could be sent already.
    pub(super) due: BTreeSet<(Timestamp, SubNo)>,
    /// When each open breaker lets a probe through.
    pub(super) probes: BTreeSet<(Duration, SubNo)>,
    pub(super) effects: Vec<Effect>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) dirty: BTreeSet<(SubNo, Seq, u32)>,
    /// Rows that are over, until they are written.
    pub(super) finished: BTreeMap<(SubNo, Seq, u32), Exception>,
    pub(super) moved: BTreeSet<SubNo>,
    pub(super) gone: Vec<(SubNo, u8)>,
    pub(super) saved_watermark: Seq,
    pub(super) random: u64,
    pub(super) attempts_out: usize,
    pub(super) reads_out: usize,
    /// When time was last told, to see the wall clock being set back.
    pub(super) told: Option<Now>,
    /// When slowness and positions were last looked after, monotonic.
    pub(super) looked: [Duration; 2],
}

impl Machine {
    /// An empty machine that begins after `head`.
    pub fn new(policy: Policy, head: Seq, seed: u64) -> Self {
        Self {
            policy,
            subs: BTreeMap::new(),
            matcher: Matcher::default(),
            head,
            live_open: BTreeMap::new(),
            busy: BTreeSet::new(),
            behind: BTreeSet::new(),
            replaying: BTreeSet::new(),
            due: BTreeSet::new(),
            probes: BTreeSet::new(),
            effects: Vec::new(),
            receipts: Vec::new(),
            dirty: BTreeSet::new(),
            finished: BTreeMap::new(),
            moved: BTreeSet::new(),
            gone: Vec::new(),
            saved_watermark: 0,
            random: seed | 1,
            attempts_out: 0,
            reads_out: 0,
            told: None,
            looked: [Duration::ZERO; 2],
        }
    }

    /// Last seq dispatched.
    pub fn head(&self) -> Seq {
        self.head
    }

    /// The subscriptions.
    pub fn states(&self) -> impl Iterator<Item = (SubNo, &State)> {
        self.subs.iter().map(|(no, state)| (*no, state))
    }

    /// One subscription.
    pub fn state(&self, sub: SubNo) -> Option<&State> {
        self.subs.get(&sub)
    }

    /// What is to be done now.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// xorshift64*: jitter only.
    pub(super) fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// The next run of the log. It begins at `head + 1`, or later where retention has cut the log meanwhile.
    pub fn events(&mut self, events: &[Arc<StoredEvent>], now: Now) {
        for event in events {
            debug_assert!(event.seq > self.head, "the tail hands events over in order, once");
            self.head = event.seq;
            let matching = self.matching(event);
            for sub in matching {
                self.feed(sub, event, now);
            }
        }
        // A replay may reach up to events that were not dispatched when it began.
        for sub in self.replaying.clone() {
            self.refill(sub);
        }
    }

    fn matching(&mut self, event: &StoredEvent) -> Vec<SubNo> {
        let mut found = self.matcher.matching(&event.topic.shared()).to_vec();
        if event.attributes.is_some()
            && let Some(alias) = event.attributes().alias
        {
            found.extend_from_slice(&self.matcher.matching(&alias.into()));
            found.sort_unstable();
            found.dedup();
        }
        found
    }

    /// Gives a new event to a subscription that has all before it.
    fn feed(&mut self, sub: SubNo, event: &Arc<StoredEvent>, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        let fits = state.active
            && !state.is_full()
            && state.crowded.is_empty()
            && state.breaker.state(now.mono) == BreakerState::Closed;
        if state.mode == Mode::Behind {
            let lane = lane_of(state.spec.subscription.ordered, event.priority);
            let lane = state.lane(lane);
            if !lane.caught || !fits {
                lane.caught = false;
                self.refill(sub);
                return;
            }
            lane.next = event.seq + 1;
            self.moved.insert(sub);
        }
        // What was erased before it was dispatched (after a restart) has nothing left to deliver.
        let there = matches!(event.data, Data::Present { .. });
        if !there || !state.spec.takes(event) || state.settled.remove(&event.seq) {
            return;
        }
        if !fits {
            // It can't take this one now: from here on it reads by itself.
            self.demote(sub, event.seq);
            self.refill(sub);
            return;
        }
        let live = state.mode == Mode::Live;
        match state.accept(event, None) {
            Some(blocker) => self.waits_behind(sub, blocker),
            None if live => {
                *self.live_open.entry(event.seq).or_default() += 1;
                self.busy.insert(sub);
            }
            None => {}
        }
        self.pump(sub, now);
    }

    /// An event joined those waiting in an exception: it must be saved before the position passes it.
    pub(super) fn waits_behind(&mut self, sub: SubNo, blocker: DeliveryKey) {
        self.dirty.insert((sub, blocker.0, blocker.1));
        let limit = self.policy.key_waiters;
        let Some(state) = self.subs.get_mut(&sub) else { return };
        let Some(exception) = state.exceptions.get(&blocker).filter(|e| e.waiting.len() >= limit) else { return };
        if let Some(key) = exception.key.clone()
            && state.crowded.insert(key)
        {
            self.stop(sub, false, format!("{limit} events wait behind one key, blocked by event {}", blocker.0));
        }
    }

    /// Everything before this seq is settled for all that keep up.
    pub fn watermark(&self) -> Seq {
        self.live_open.keys().next().copied().unwrap_or(self.head + 1)
    }

    /// Nothing is out (but what waits for consumers), nothing is waiting to be read or saved: only time or an event can change anything.
    pub fn is_quiet(&self, log_head: Seq) -> bool {
        self.attempts_out <= self.offered()
            && self.reads_out == 0
            && self.head >= log_head
            && self.effects.is_empty()
            && !self.has_unsaved()
    }

    /// The first seq whose event someone still needs: to be delivered, or to be tried again.
    pub fn oldest_position(&self) -> Seq {
        let needed = self.subs.values().filter_map(State::oldest_needed);
        needed.chain([self.watermark()]).min().unwrap_or(1)
    }

    /// Who still needs an event of one of these types before `until`, and from where on.
    pub fn behind(&self, until: Seq, types: &[String]) -> Vec<(String, Seq)> {
        let needing = self.subs.values().filter_map(|s| Some((s, s.oldest_needed().filter(|p| *p < until)?)));
        needing
            .filter(|(s, _)| types.iter().any(|name| s.spec.names(name)))
            .map(|(s, position)| (s.spec.subscription.name.clone(), position))
            .collect()
    }

    /// Someone who keeps up has something out: slowness must be looked for.
    pub fn has_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// Attempts that are out.
    pub fn attempts_out(&self) -> usize {
        self.attempts_out
    }
}

/// Blocks `key` and settles whoever was in line: they wait in the exception from now on.
pub(super) fn self_block(
    state: &mut State,
    key: &str,
    delivery: DeliveryKey,
    live_open: &mut BTreeMap<Seq, u32>,
) -> Vec<Seq> {
    let waiting = state.keys.block(key, delivery);
    for one in &waiting {
        state.ready_bytes = state.ready_bytes.saturating_sub(one.event.weight());
        if state.lane(super::lane::ORDERED).open.remove(&one.seq) && state.mode == Mode::Live {
            release(live_open, one.seq);
        }
    }
    waiting.into_iter().map(|one| one.seq).collect()
}

/// One holder fewer of a seq.
pub(super) fn release(live_open: &mut BTreeMap<Seq, u32>, seq: Seq) {
    if let Some(count) = live_open.get_mut(&seq) {
        *count -= 1;
        if *count == 0 {
            live_open.remove(&seq);
        }
    }
}
