//! One lane of one subscription: what is read, what waits, what is out.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use nexus_core::event::{Priority, Seq, StoredEvent};

/// Lane of an ordered subscription: order beats priority.
pub const ORDERED: u8 = 4;
/// Lane of a replay.
pub const REPLAY: u8 = 5;
/// Number of lanes.
pub const LANES: usize = 6;

/// An event that waits to be sent.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its seq.
    pub seq: Seq,
    /// Itself.
    pub event: Arc<StoredEvent>,
}

/// The state of one lane.
#[derive(Debug, Default)]
pub struct Lane {
    /// While behind: the next seq to read.
    pub next: Seq,
    /// Read and waiting, in order. An ordered subscription keeps them by key instead.
    pub ready: VecDeque<Waiting>,
    /// Read and not settled: waiting or in flight. The position is the smallest of these.
    pub open: BTreeSet<Seq>,
    /// A page is being read.
    pub reading: bool,
    /// The page being read is not taken: it was asked for by a replay that has ended since, or data was erased since.
    pub stale: bool,
    /// While behind: everything dispatched so far was read, so that what follows is taken as it is dispatched.
    pub caught: bool,
}

impl Lane {
    /// Every matching event before this seq is settled.
    pub fn position(&self) -> Seq {
        self.open.first().copied().unwrap_or(self.next)
    }
}

/// The lane an event takes.
pub fn lane_of(ordered: bool, priority: Priority) -> u8 {
    if ordered { ORDERED } else { priority as u8 }
}

/// The priority a lane reads from the log; `None` = all.
pub fn priority_of(lane: u8) -> Option<Priority> {
    Priority::ALL.get(usize::from(lane)).copied()
}
