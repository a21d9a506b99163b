//! One subscription's delivery state.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use nexus_core::{
    breaker::{Breaker, BreakerPolicy},
    event::{Seq, StoredEvent},
    limits::WINDOW_EVENTS,
    store::{Exception, ExceptionState},
    time::Timestamp,
};

use super::{
    key::{DeliveryKey, Keys},
    lane::{LANES, Lane, ORDERED, REPLAY, Waiting, lane_of},
    machine::Now,
    spec::Spec,
};
use crate::receipts::Receipt;

/// Bytes of events that wait in memory for one subscription.
const WINDOW_BYTES: usize = 4 << 20;
/// Times a lane that has something waiting is passed over before it is its turn.
const PATIENCE: u8 = 16;

/// A stretch of failure is written down once it lasts so long.
const NOTED_AFTER: Duration = Duration::from_secs(60);
/// And then so often: what a restart forgets of it at the most.
const NOTED_EVERY: Duration = Duration::from_secs(600);

/// How a subscription reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It keeps up: it is fed with each new event and has no position of its own.
    Live,
    /// It has positions of its own, and reads by itself until it has caught up.
    Behind,
}

/// A delivery that is out.
#[derive(Debug)]
pub struct Flight {
    /// Lane it came from.
    pub lane: u8,
    /// When it left, monotonic.
    pub since: Duration,
    /// It uses up an attempt. One that only asks whether the endpoint is back does not.
    pub counts: bool,
    /// Ordering key.
    pub key: Option<String>,
    /// It asks whether the endpoint is back.
    pub probe: bool,
    /// The event's data was erased meanwhile: nothing of the answer is kept.
    pub erased: bool,
    /// The event of a probe that never failed yet: it goes back in line when the endpoint is not back.
    pub event: Option<Arc<StoredEvent>>,
}

/// A stretch of failure: from the first one after the last success.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    /// When it began.
    pub since: Timestamp,
    /// How long it had lasted when this process began to count. While no hub runs, nothing fails.
    pub before: Duration,
    /// When this process began to count, monotonic.
    pub begun: Duration,
    /// When it was last written down, monotonic.
    pub noted: Option<Duration>,
}

impl Failing {
    /// One that begins now.
    pub fn new(now: Now) -> Self {
        Self { since: now.wall, before: Duration::ZERO, begun: now.mono, noted: None }
    }

    /// How long it has lasted.
    pub fn lasted(&self, now: Now) -> Duration {
        self.before + now.mono.saturating_sub(self.begun)
    }

    /// Its beginning, where it is time to write it down: a short one is not worth it, a long one only now and then.
    pub fn note(&mut self, now: Now) -> Option<Timestamp> {
        let due = self.noted.map_or(self.begun + NOTED_AFTER, |at| at + NOTED_EVERY);
        if now.mono < due {
            return None;
        }
        self.noted = Some(now.mono);
        Some(self.since)
    }
}

/// A replay under way.
#[derive(Debug)]
pub struct ReplayState {
    /// Its number, which is the generation of its deliveries.
    pub generation: u32,
    /// Last seq to send.
    pub until: Seq,
    /// Sent and settled so far by this process.
    pub done: u64,
    /// Found settled at start beyond its position: not sent again when read.
    pub settled: HashSet<Seq>,
}

/// The state.
#[derive(Debug)]
pub struct State {
    /// What it takes, and how it sends.
    pub spec: Arc<Spec>,
    /// How it reads.
    pub mode: Mode,
    /// Its lanes: four priorities, ordered, replay.
    pub lanes: [Lane; LANES],
    /// Bytes waiting in `lanes`.
    pub ready_bytes: usize,
    /// Order within keys.
    pub keys: Keys,
    /// What is out.
    pub in_flight: HashMap<DeliveryKey, Flight>,
    /// Open exceptions: retrying ones, and dead ones that hold a key.
    pub exceptions: HashMap<DeliveryKey, Exception>,
    /// When retrying ones are due.
    pub retries: BTreeSet<(Timestamp, Seq, u32)>,
    /// The endpoint's breaker.
    pub breaker: Breaker,
    /// Found settled at start beyond the position: not sent again when read.
    pub settled: HashSet<Seq>,
    /// While it keeps up: successes beyond its first unsettled event. Their receipts lie among everyone's, where a
    /// restart does not look for those of a subscription with positions of its own.
    pub ahead: Vec<Receipt>,
    /// A replay, if one runs.
    pub replay: Option<ReplayState>,
    /// Keys with so many waiting that nothing more is read until they have shrunk.
    pub crowded: HashSet<String>,
    /// How often each lane was passed over although it had something, for aging.
    pub skipped: [u8; LANES],
    /// Probes sent so far.
    pub probes: u32,
    /// Its endpoint has only failed for some time.
    pub failing: Option<Failing>,
    /// For people.
    pub last_error: Option<String>,
    /// For people.
    pub last_success: Option<Timestamp>,
    /// `activity` as far as deliveries are concerned.
    pub active: bool,
}

/// What to send next.
#[derive(Debug)]
pub enum Pick {
    /// A first attempt.
    Fresh {
        /// Lane.
        lane: u8,
        /// Ordering key.
        key: Option<String>,
        /// The event.
        waiting: Waiting,
    },
    /// An exception's next attempt.
    Retry {
        /// Which.
        delivery: DeliveryKey,
        /// It uses up an attempt.
        counts: bool,
    },
}

impl State {
    /// A subscription that reads from `next` on.
    pub fn new(spec: Arc<Spec>, policy: BreakerPolicy, active: bool, mode: Mode, next: Seq) -> Self {
        let mut lanes: [Lane; LANES] = Default::default();
        for lane in &mut lanes[..usize::from(REPLAY)] {
            lane.next = next;
        }
        Self {
            spec,
            mode,
            lanes,
            ready_bytes: 0,
            keys: Keys::default(),
            in_flight: HashMap::new(),
            exceptions: HashMap::new(),
            retries: BTreeSet::new(),
            breaker: Breaker::new(policy),
            settled: HashSet::new(),
            ahead: Vec::new(),
            replay: None,
            crowded: HashSet::new(),
            skipped: [0; LANES],
            probes: 0,
            failing: None,
            last_error: None,
            last_success: None,
            active,
        }
    }

    /// Lanes that follow the log.
    pub fn log_lanes(&self) -> &'static [u8] {
        log_lanes(self.spec.subscription.ordered)
    }

    /// One lane.
    pub fn lane(&mut self, lane: u8) -> &mut Lane {
        &mut self.lanes[usize::from(lane).min(LANES - 1)]
    }

    /// Events waiting in memory.
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|l| l.ready.len()).sum::<usize>() + self.keys.queued()
    }

    /// Nothing more fits into memory for it.
    pub fn is_full(&self) -> bool {
        self.waiting() >= WINDOW_EVENTS || self.ready_bytes >= WINDOW_BYTES
    }

    /// There is room for a page of this lane. Each lane has its own, so that a backlog of one never hides another.
    pub fn has_room(&self, lane: u8) -> bool {
        let (waiting, room) = match lane {
            ORDERED => (self.keys.queued(), WINDOW_EVENTS / 2),
            other => (self.lanes[usize::from(other)].ready.len(), WINDOW_EVENTS / 4),
        };
        waiting == 0 || (waiting < room && self.ready_bytes < WINDOW_BYTES / 2)
    }

    /// The smallest unsettled seq of the log lanes.
    pub fn first_open(&self) -> Option<Seq> {
        self.log_lanes().iter().filter_map(|l| self.lanes[usize::from(*l)].open.first().copied()).min()
    }

    /// While behind: the first seq that is not settled.
    pub fn position(&self) -> Option<Seq> {
        self.log_lanes().iter().map(|l| self.lanes[usize::from(*l)].position()).min()
    }

    /// The smallest seq whose event is still needed: not settled, or to be tried again.
    pub fn oldest_needed(&self) -> Option<Seq> {
        let position = match self.mode {
            Mode::Live => self.first_open(),
            Mode::Behind => self.position(),
        };
        let retrying = self.exceptions.keys().map(|(seq, _)| *seq).min();
        position.into_iter().chain(retrying).min()
    }

    /// Exceptions that will be tried again.
    pub fn retrying(&self) -> usize {
        self.exceptions.values().filter(|e| e.state == ExceptionState::Retrying).count()
    }

    /// Takes a matching event into its lane. `Some(delivery)` when it went to wait behind a blocked key instead: that
    /// exception changed.
    pub fn accept(&mut self, event: &Arc<StoredEvent>, lane: Option<u8>) -> Option<DeliveryKey> {
        let ordered = self.spec.subscription.ordered;
        let replayed = lane == Some(REPLAY);
        let lane = lane.unwrap_or_else(|| lane_of(ordered, event.priority));
        let waiting = Waiting { seq: event.seq, event: Arc::clone(event) };
        if ordered && !replayed {
            let key = self.spec.key_of(event);
            if let Some(blocker) = self.keys.busy_with(&key)
                && let Some(exception) = self.exceptions.get_mut(&blocker)
            {
                let place = exception.waiting.partition_point(|seq| *seq < event.seq);
                exception.waiting.insert(place, event.seq);
                return Some(blocker);
            }
            self.keys.push(key, waiting);
        } else {
            self.lane(lane).ready.push_back(waiting);
        }
        self.ready_bytes += event.weight();
        self.lane(lane).open.insert(event.seq);
        None
    }

    /// What to send next, if anything. With `probing`, the endpoint is given one chance: in turn an exception (also
    /// before its time) and an event that never failed, so that one event that always fails can't keep the breaker open.
    pub fn pick(&mut self, now: Timestamp, probing: bool) -> Option<Pick> {
        if !probing {
            return self.pick_retry(now, false).or_else(|| self.pick_fresh());
        }
        self.probes = self.probes.wrapping_add(1);
        if self.probes.is_multiple_of(2) {
            self.pick_fresh().or_else(|| self.pick_retry(now, true))
        } else {
            self.pick_retry(now, true).or_else(|| self.pick_fresh())
        }
    }

    fn pick_retry(&mut self, now: Timestamp, probing: bool) -> Option<Pick> {
        let (at, seq, generation) = self.retries.first().copied()?;
        let due = at <= now;
        if !probing && (!due || !self.lanes[3].ready.is_empty()) {
            return None;
        }
        self.retries.remove(&(at, seq, generation));
        // While others wait for the endpoint, a probe is about the endpoint and not about this event.
        let counts = due && !(probing && self.waiting() > 0);
        Some(Pick::Retry { delivery: (seq, generation), counts })
    }

    fn has_ready(&self, lane: u8) -> bool {
        if lane == ORDERED { self.keys.has_ready() } else { !self.lanes[usize::from(lane)].ready.is_empty() }
    }

    /// The most urgent lane, unless another has been passed over too often.
    fn pick_fresh(&mut self) -> Option<Pick> {
        const URGENCY: [u8; LANES] = [3, ORDERED, 2, 1, 0, REPLAY];
        let ready = URGENCY.map(|lane| self.has_ready(lane));
        let waiting = || URGENCY.into_iter().zip(ready).filter_map(|(lane, ready)| ready.then_some(lane));
        let starved = waiting().find(|lane| self.skipped[usize::from(*lane)] >= PATIENCE);
        let lane = starved.or_else(|| waiting().next())?;
        for (one, ready) in URGENCY.into_iter().zip(ready) {
            let skipped = &mut self.skipped[usize::from(one)];
            *skipped = if one != lane && ready { skipped.saturating_add(1) } else { 0 };
        }
        let (key, waiting) = if lane == ORDERED {
            let (key, waiting) = self.keys.take()?;
            (Some(key), waiting)
        } else {
            (None, self.lane(lane).ready.pop_front()?)
        };
        self.ready_bytes = self.ready_bytes.saturating_sub(waiting.event.weight());
        Some(Pick::Fresh { lane, key, waiting })
    }

    /// An attempt that counts for nothing (a probe that did not come through, an offer nobody took): its event waits again,
    /// in its place in the line.
    pub fn put_back(&mut self, lane: u8, key: Option<String>, event: Arc<StoredEvent>) {
        self.ready_bytes += event.weight();
        let waiting = Waiting { seq: event.seq, event };
        match key {
            Some(key) => self.keys.put_back(key, waiting),
            None => {
                let ready = &mut self.lane(lane).ready;
                let place = ready.partition_point(|w| w.seq < waiting.seq);
                ready.insert(place, waiting);
            }
        }
    }
}

/// Lanes that follow the log.
pub fn log_lanes(ordered: bool) -> &'static [u8] {
    if ordered { &[ORDERED] } else { &[0, 1, 2, 3] }
}
