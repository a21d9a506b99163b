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
    spec::Spec,
};

/// Bytes of events that wait in memory for one subscription.
const WINDOW_BYTES: usize = 4 << 20;

/// How a subscription reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It keeps up: it is fed with each new event and has no position of its own.
    Live,
    /// It reads by itself from its own positions.
    Behind,
}

/// A delivery that is out.
#[derive(Debug)]
pub struct Flight {
    /// Lane it came from.
    pub lane: u8,
    /// When it left, monotonic.
    pub since: Duration,
    /// A probe ahead of its time does not use up an attempt.
    pub counts: bool,
    /// Ordering key.
    pub key: Option<String>,
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
    /// A replay, if one runs.
    pub replay: Option<ReplayState>,
    /// Picks so far, for aging.
    pub picks: u32,
    /// First failure since the last success, wall time.
    pub failing_since: Option<Timestamp>,
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
        /// It was due, so it uses up an attempt.
        counts: bool,
    },
}

impl State {
    /// A subscription that reads from `next` on.
    pub fn new(spec: Arc<Spec>, policy: BreakerPolicy, active: bool, mode: Mode, next: Seq) -> Self {
        let mut lanes: [Lane; LANES] = Default::default();
        for lane in &mut lanes {
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
            replay: None,
            picks: 0,
            failing_since: None,
            last_error: None,
            last_success: None,
            active,
        }
    }

    /// Lanes that follow the log.
    pub fn log_lanes(&self) -> &'static [u8] {
        if self.spec.subscription.ordered { &[ORDERED] } else { &[0, 1, 2, 3] }
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
                exception.waiting.push(event.seq);
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

    /// What to send next, if anything. With `probing`, the endpoint is given one chance: an exception before its time
    /// rather than an event that never failed yet.
    pub fn pick(&mut self, now: Timestamp, probing: bool) -> Option<Pick> {
        self.picks = self.picks.wrapping_add(1);
        let first = self.retries.first().copied();
        if let Some((at, seq, generation)) = first
            && (at <= now || probing)
            && (probing || self.lanes[3].ready.is_empty())
        {
            self.retries.remove(&(at, seq, generation));
            return Some(Pick::Retry { delivery: (seq, generation), counts: at <= now });
        }
        if let Some((key, waiting)) = self.keys.take() {
            self.ready_bytes = self.ready_bytes.saturating_sub(waiting.event.weight());
            return Some(Pick::Fresh { lane: ORDERED, key: Some(key), waiting });
        }
        // Every sixteenth pick begins at the low end, so that nothing starves.
        let upward: [u8; 5] = [REPLAY, 0, 1, 2, 3];
        let downward: [u8; 5] = [3, 2, 1, 0, REPLAY];
        let order = if self.picks.is_multiple_of(16) { upward } else { downward };
        for lane in order {
            if let Some(waiting) = self.lane(lane).ready.pop_front() {
                self.ready_bytes = self.ready_bytes.saturating_sub(waiting.event.weight());
                return Some(Pick::Fresh { lane, key: None, waiting });
            }
        }
        None
    }
}
