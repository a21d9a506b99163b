//! The machine: events, answers and time go in; effects come out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use nexus_core::{
    breaker::{BreakerPolicy, BreakerState},
    event::{Data, Priority, Seq, StoredEvent},
    store::{Exception, ExceptionState, SubNo},
    time::Timestamp,
};

use super::{
    key::DeliveryKey,
    lane::{REPLAY, priority_of},
    spec::Spec,
    state::{Flight, Mode, Pick, ReplayState, State},
};
use crate::{matcher::Matcher, receipts::Receipt};

/// A live subscription whose answer takes longer than this reads by itself, so that it does not hold the watermark.
const SLOW: Duration = Duration::from_secs(1);
/// Events asked for in one page.
const PAGE: usize = 128;

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
    /// It stopped by itself: record it, say so in the log, alert.
    Stop {
        /// Subscription.
        sub: SubNo,
        /// Disabled (endpoint) rather than paused (limit).
        disabled: bool,
        /// Why.
        reason: String,
    },
    /// A delivery has used up its attempts.
    Dead {
        /// Subscription.
        sub: SubNo,
        /// Event.
        seq: Seq,
        /// Its priority's lane.
        lane: u8,
        /// Attempts made.
        attempts: u16,
        /// The last error.
        error: String,
    },
    /// A breaker opened (or closed).
    Breaker {
        /// Subscription.
        sub: SubNo,
        /// It opened.
        opened: bool,
    },
    /// A replay has sent everything.
    Replayed {
        /// Its number.
        generation: u32,
    },
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
    /// When each subscription's next retry is due.
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

    /// The next run of the log, which begins at `head + 1`.
    pub fn events(&mut self, events: &[Arc<StoredEvent>], now: Now) {
        for event in events {
            debug_assert_eq!(event.seq, self.head + 1, "the tail hands events over without gaps");
            self.head = event.seq;
            let matching = self.matching(event);
            for sub in matching {
                self.feed(sub, event, now);
            }
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

    /// Gives a new event to a subscription that keeps up.
    fn feed(&mut self, sub: SubNo, event: &Arc<StoredEvent>, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if state.mode == Mode::Behind {
            self.refill(sub);
            return;
        }
        if !state.spec.takes(event) || state.settled.remove(&event.seq) {
            return;
        }
        if !state.active || state.is_full() || state.breaker.state(now.mono) != BreakerState::Closed {
            // It can't take this one now: from here on it reads by itself.
            self.demote(sub, event.seq);
            self.refill(sub);
            return;
        }
        match state.accept(event, None) {
            Some(blocker) => self.waits_behind(sub, blocker),
            None => {
                *self.live_open.entry(event.seq).or_default() += 1;
                self.busy.insert(sub);
            }
        }
        self.pump(sub, now);
    }

    /// An event joined those waiting in an exception: it must be saved before the position passes it.
    fn waits_behind(&mut self, sub: SubNo, blocker: DeliveryKey) {
        self.dirty.insert((sub, blocker.0, blocker.1));
        let limit = self.policy.key_waiters;
        let crowded = self
            .subs
            .get(&sub)
            .and_then(|s| s.exceptions.get(&blocker))
            .is_some_and(|e| e.waiting.len() >= limit);
        if crowded {
            self.stop(sub, false, format!("{limit} events wait behind one key, blocked by event {}", blocker.0));
        }
    }

    /// From `next` on it reads by itself and has positions of its own.
    pub(super) fn demote(&mut self, sub: SubNo, next: Seq) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if state.mode == Mode::Behind {
            return;
        }
        state.mode = Mode::Behind;
        for lane in state.log_lanes() {
            let lane = state.lane(*lane);
            lane.next = next;
            for seq in &lane.open {
                release(&mut self.live_open, *seq);
            }
        }
        self.busy.remove(&sub);
        self.moved.insert(sub);
    }

    /// Back among those that keep up, once it has read everything and nothing it holds lies before the watermark.
    pub(super) fn promote(&mut self, sub: SubNo, now: Now) {
        let watermark = self.watermark();
        let head = self.head;
        let Some(state) = self.subs.get_mut(&sub) else { return };
        let caught_up = state.log_lanes().iter().all(|l| {
            let lane = &state.lanes[usize::from(*l)];
            lane.next > head && !lane.reading
        });
        if state.mode == Mode::Live
            || !caught_up
            || !state.active
            || state.is_full()
            || state.breaker.state(now.mono) != BreakerState::Closed
            || state.first_open().is_some_and(|seq| seq < watermark)
            || state.in_flight.values().any(|f| f.lane != REPLAY && now.mono.saturating_sub(f.since) > SLOW)
        {
            return;
        }
        state.mode = Mode::Live;
        for lane in state.log_lanes() {
            for seq in &state.lanes[usize::from(*lane)].open {
                *self.live_open.entry(*seq).or_default() += 1;
                self.busy.insert(sub);
            }
            self.gone.push((sub, *lane));
        }
        self.moved.remove(&sub);
    }

    /// Everything before this seq is settled for all that keep up.
    pub fn watermark(&self) -> Seq {
        self.live_open.keys().next().copied().unwrap_or(self.head + 1)
    }

    /// Asks for pages where a lane that is behind has room.
    pub(super) fn refill(&mut self, sub: SubNo) {
        let head = self.head;
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if !state.active {
            return;
        }
        let behind = state.mode == Mode::Behind;
        let replay_until = state.replay.as_ref().map(|r| r.until.min(head));
        let lanes = state.log_lanes().iter().copied().filter(|_| behind).map(|l| (l, head));
        let wanted: Vec<(u8, Seq)> = lanes.chain(replay_until.map(|until| (REPLAY, until))).collect();
        for (lane, until) in wanted {
            let room = state.has_room(lane);
            let reader = state.lane(lane);
            if reader.reading || reader.next > until || !room {
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
        let Some(state) = self.subs.get_mut(&sub) else { return };
        state.lane(lane).reading = false;
        let mut blockers = Vec::new();
        let until = if lane == REPLAY { state.replay.as_ref().map_or(0, |r| r.until) } else { Seq::MAX };
        // What retention or redaction has emptied can't be delivered any more; its fate says so.
        let there = |e: &&Arc<StoredEvent>| e.seq <= until && matches!(e.data, Data::Present { .. });
        for event in events.iter().filter(there) {
            let takes = if lane == REPLAY { state.spec.takes_now(event) } else { state.spec.takes(event) };
            if takes && (lane == REPLAY || !state.settled.remove(&event.seq)) {
                blockers.extend(state.accept(event, Some(lane)));
            }
        }
        let reader = state.lane(lane);
        reader.next = reader.next.max(through + 1);
        if lane != REPLAY {
            // What lies beyond the head that is dispatched will come by itself once it has caught up.
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

    pub(super) fn finish_replay(&mut self, sub: SubNo) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        let lane = &state.lanes[usize::from(REPLAY)];
        let Some(replay) = &state.replay else { return };
        let generation = replay.generation;
        let retrying = state.exceptions.keys().any(|(_, g)| *g == generation);
        if lane.next > replay.until && lane.open.is_empty() && !lane.reading && !retrying {
            state.replay = None;
            self.gone.push((sub, REPLAY));
            self.effects.push(Effect::Replayed { generation });
        } else {
            self.moved.insert(sub);
        }
    }

    /// Begins (or after a restart goes on with) a replay of `from..=until`.
    pub fn replay(&mut self, sub: SubNo, generation: u32, from: Seq, until: Seq) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        state.replay = Some(ReplayState { generation, until, done: 0 });
        state.lane(REPLAY).next = from.max(1);
        self.moved.insert(sub);
        self.refill(sub);
        self.finish_replay(sub);
    }

    /// Ends a replay; what is out is still settled.
    pub fn cancel_replay(&mut self, sub: SubNo) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        state.replay = None;
        for waiting in std::mem::take(&mut state.lane(REPLAY).ready) {
            state.lane(REPLAY).open.remove(&waiting.seq);
            state.ready_bytes = state.ready_bytes.saturating_sub(waiting.event.weight());
        }
        self.gone.push((sub, REPLAY));
    }

    /// Sends whatever a subscription may send now.
    pub(super) fn pump(&mut self, sub: SubNo, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if !state.active {
            return;
        }
        let concurrency = usize::from(state.spec.subscription.concurrency);
        let mut sent = false;
        while state.in_flight.len() < concurrency && state.breaker.would_admit(now.mono) {
            let probing = state.breaker.state(now.mono) == BreakerState::HalfOpen;
            let Some(pick) = state.pick(now.wall, probing) else { break };
            let generation = state.replay.as_ref().map_or(0, |r| r.generation);
            let (delivery, flight, event) = match pick {
                Pick::Fresh { lane, key, waiting } => {
                    let generation = if lane == REPLAY { generation } else { 0 };
                    let flight = Flight { lane, since: now.mono, counts: true, key };
                    ((waiting.seq, generation), flight, Some(waiting.event))
                }
                Pick::Retry { delivery, counts } => {
                    let Some(exception) = state.exceptions.get(&delivery) else { continue };
                    let flight =
                        Flight { lane: exception.lane, since: now.mono, counts, key: exception.key.clone() };
                    (delivery, flight, None)
                }
            };
            state.breaker.admit(now.mono);
            let attempt = state.exceptions.get(&delivery).map_or(0, |e| e.attempts) + 1;
            state.in_flight.insert(delivery, flight);
            self.effects.push(Effect::Attempt {
                sub,
                seq: delivery.0,
                generation: delivery.1,
                attempt,
                event,
                spec: Arc::clone(&state.spec),
            });
            self.attempts_out += 1;
            sent = true;
        }
        self.remember_due(sub);
        if sent {
            self.refill(sub);
        }
    }

    /// Keeps the machine-wide index of due times in step with one subscription.
    pub(super) fn remember_due(&mut self, sub: SubNo) {
        let Some(state) = self.subs.get(&sub) else { return };
        if let Some((at, ..)) = state.retries.first() {
            self.due.insert((*at, sub));
        }
        if let Some(at) = state.breaker.open_until() {
            self.probes.insert((at, sub));
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        while let Some((at, sub)) = self.due.first().copied().filter(|(at, _)| *at <= now.wall) {
            self.due.remove(&(at, sub));
            self.pump_due(sub, now);
        }
        while let Some((at, sub)) = self.probes.first().copied().filter(|(at, _)| *at <= now.mono) {
            self.probes.remove(&(at, sub));
            self.pump_due(sub, now);
        }
        let slow: Vec<SubNo> = self
            .busy
            .iter()
            .copied()
            .filter(|sub| {
                self.subs.get(sub).is_some_and(|s| {
                    s.in_flight.values().any(|f| f.lane != REPLAY && now.mono.saturating_sub(f.since) > SLOW)
                })
            })
            .collect();
        for sub in slow {
            self.demote(sub, self.head + 1);
        }
        let behind: Vec<SubNo> = self.moved.iter().copied().collect();
        for sub in behind {
            self.promote(sub, now);
        }
    }

    /// Pumps without re-arming a wake-up that has just passed, unless something is still to come.
    fn pump_due(&mut self, sub: SubNo, now: Now) {
        let Some(state) = self.subs.get(&sub) else { return };
        let full = state.in_flight.len() >= usize::from(state.spec.subscription.concurrency);
        let probing = state.breaker.open_until().is_some() && !state.breaker.would_admit(now.mono);
        if full || probing || !state.active {
            // Its next answer (or its resumption) pumps it.
            return;
        }
        self.pump(sub, now);
        self.due.retain(|(at, s)| *s != sub || *at > now.wall);
        self.probes.retain(|(at, s)| *s != sub || *at > now.mono);
    }

    /// When [`Self::tick`] is needed next: a wall time and a monotonic time.
    pub fn next_wake(&self) -> (Option<Timestamp>, Option<Duration>) {
        (self.due.first().map(|(at, _)| *at), self.probes.first().map(|(at, _)| *at))
    }

    /// Nothing is out, nothing is waiting to be read or saved: only time or an event can change anything.
    pub fn is_quiet(&self, log_head: Seq) -> bool {
        self.attempts_out == 0 && self.reads_out == 0 && self.head >= log_head && self.effects.is_empty() && !self.has_unsaved()
    }

    /// The first seq that someone still has to be delivered.
    pub fn oldest_position(&self) -> Seq {
        let behind = self.subs.values().filter(|s| s.mode == Mode::Behind).filter_map(State::position);
        behind.chain([self.watermark()]).min().unwrap_or(1)
    }

    /// Who still has something to be delivered before `until`, and from where.
    pub fn behind(&self, until: Seq) -> Vec<(String, Seq)> {
        let behind = self.subs.values().filter(|s| s.mode == Mode::Behind);
        behind
            .filter_map(|s| Some((s.spec.subscription.name.clone(), s.position().filter(|p| *p < until)?)))
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

    /// Nothing more is sent.
    pub fn halt(&mut self) {
        for state in self.subs.values_mut() {
            state.active = false;
        }
    }

    /// Before the end: whoever still has something unsettled gets a position of its own, so that the watermark need not wait.
    pub fn settle_positions(&mut self) {
        let busy: Vec<SubNo> = self.busy.iter().copied().collect();
        for sub in busy {
            self.demote(sub, self.head + 1);
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
        self.effects.push(Effect::Stop { sub, disabled, reason });
    }

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
        self.pump(no, now);
    }

    /// Pauses or resumes.
    pub fn set_active(&mut self, sub: SubNo, active: bool, now: Now) {
        let head = self.head;
        let Some(state) = self.subs.get_mut(&sub) else { return };
        state.active = active;
        if active {
            state.failing_since = None;
            state.breaker.success();
            self.pump(sub, now);
            self.refill(sub);
            self.promote(sub, now);
            self.finish_replay(sub);
        } else {
            self.demote(sub, head + 1);
        }
    }

    /// Forgets a subscription; answers of what is out are ignored.
    pub fn remove(&mut self, sub: SubNo) {
        self.demote(sub, self.head + 1);
        let Some(state) = self.subs.remove(&sub) else { return };
        for filter in state.spec.rules.iter().flat_map(|r| &r.filters) {
            self.matcher.remove(sub, filter);
        }
        self.moved.remove(&sub);
        self.due.retain(|(_, s)| *s != sub);
        self.probes.retain(|(_, s)| *s != sub);
        self.dirty.retain(|(s, ..)| *s != sub);
        self.attempts_out = self.attempts_out.saturating_sub(state.in_flight.len());
        self.gone.extend((0..6).map(|lane| (sub, lane)));
    }

    /// Tries an exception again now, with its attempts counted anew.
    pub fn redrive(&mut self, mut exception: Exception, now: Now) {
        let (sub, delivery) = (exception.sub, (exception.seq, exception.generation));
        let Some(state) = self.subs.get_mut(&sub) else { return };
        exception.state = ExceptionState::Retrying;
        exception.attempts = 0;
        exception.next_at = now.wall;
        exception.updated_at = now.wall;
        if let Some(key) = &exception.key
            && state.keys.busy_with(key).is_none()
        {
            exception.waiting.extend(self_block(state, key, delivery, &mut self.live_open));
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
        self.dirty.insert((sub, delivery.0, delivery.1));
        self.pump(sub, now);
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
