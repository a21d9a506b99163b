//! Where deliveries stand: positions, receipts, exceptions, and the fence that keeps an earlier owner from writing them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{event::Seq, time::Timestamp};

/// The right to save one shard's bookkeeping; a newer epoch makes an older one stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Shard; 0 on a single machine.
    pub shard: u16,
    /// Ascends with each [`super::Store::acquire`].
    pub epoch: u64,
}

/// A subscription's number: small, never reused.
pub type SubNo = u32;

/// Where a subscription (or, as number 0, the shard) stands: every matching event with `seq < next` has a fate already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Subscription number; 0 = the watermark of all that keep up.
    pub sub: SubNo,
    /// Lane: a priority 0..=3, 4 for an ordered subscription's one lane, 5 for its replay.
    pub lane: u8,
    /// First seq not yet settled.
    pub next: Seq,
}

/// Proofs of successful deliveries, encoded together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptBlock {
    /// 0 for a mixed block of those that keep up, else the subscription it is all about.
    pub scope: SubNo,
    /// Smallest seq within.
    pub first: Seq,
    /// Largest seq within.
    pub last: Seq,
    /// When it was saved.
    pub at: Timestamp,
    /// Encoded receipts; the engine knows the form.
    pub block: Bytes,
}

/// Why a delivery is out of the ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionState {
    /// Will be tried again at `next_at`.
    Retrying,
    /// Attempts are used up, or the answer was final; waits for a person.
    Dead,
    /// Delivered in the end, or delivered with its exchange kept.
    Delivered,
}

/// The fields of an attempt that hold what was sent and answered. They go when the event's data goes.
pub const HEADS: [&str; 2] = ["request_head", "response_head"];

/// A delivery that did not simply succeed: its attempts, its next try, and what waits behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// Subscription.
    pub sub: SubNo,
    /// Event.
    pub seq: Seq,
    /// 0, or the number of the replay that sent it again.
    pub generation: u32,
    /// Lane it came from.
    pub lane: u8,
    /// State.
    pub state: ExceptionState,
    /// Attempts made.
    pub attempts: u16,
    /// Due at, for `Retrying`.
    pub next_at: Timestamp,
    /// Ordering key, for ordered subscriptions.
    pub key: Option<String>,
    /// Seqs of the same key that wait behind it, in order.
    pub waiting: Vec<Seq>,
    /// JSON array of the attempts: objects with time, status, latency, error and, under the names of [`HEADS`], what was
    /// kept of request and answer.
    pub log: String,
    /// When the row was last written.
    pub updated_at: Timestamp,
}

/// One change to the bookkeeping.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Insert or move.
    Position(Position),
    /// The subscription keeps up again (or is gone): it has no position of its own in this lane.
    PositionGone(SubNo, u8),
    /// Insert.
    Receipts(ReceiptBlock),
    /// Insert or replace, by (sub, seq, generation).
    Exception(Exception),
    /// Remove, by (sub, seq, generation).
    ExceptionGone(SubNo, Seq, u32),
}

/// Saving bookkeeping failed; nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    /// Another owner has taken the shard.
    #[error("another owner has taken shard {0}")]
    Stale(u16),
    /// See [`super::CommitError::Closed`].
    #[error("the store is closed")]
    Closed,
    /// See [`super::CommitError::Full`].
    #[error("the disk is full")]
    Full,
    /// For the log.
    #[error("{0}")]
    Broken(String),
}

/// Which exceptions to read; ordered by (sub, seq, generation), or by `next_at` when `due_before` is given.
#[derive(Clone, Debug, Default)]
pub struct ExceptionQuery {
    /// Of this subscription.
    pub sub: Option<SubNo>,
    /// Of this event.
    pub seq: Option<Seq>,
    /// In this state.
    pub state: Option<ExceptionState>,
    /// Due before; implies `Retrying`.
    pub due_before: Option<Timestamp>,
    /// Greater than this (sub, seq, generation); not with `due_before`.
    pub after: Option<(SubNo, Seq, u32)>,
    /// At most so many.
    pub limit: usize,
}
