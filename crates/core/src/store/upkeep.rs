//! What the store forgets, and what it tells an operator about itself.

use std::sync::Arc;

use serde::Serialize;

use crate::{chain::Signer, event::Seq, id::EventId, topic::Topic};

/// What retention may remove.
#[derive(Clone, Debug)]
pub struct Trim {
    /// Erase the data of events of these exact types (empty = of all types) with `seq` below this one.
    pub erase_before: Seq,
    /// See above.
    pub types: Vec<String>,
    /// Drop stubs below this seq (a prefix of the log). Only rows whose data is erased are dropped, up to the first that is not.
    pub drop_before: Seq,
    /// At most so many rows per call, so that the writer is not held.
    pub limit: usize,
    /// Signs each cut: the place up to which rows are dropped, in the same transaction, so that a log that begins later
    /// than at 1 always says who cut it.
    pub signer: Arc<Signer>,
}

/// What one event's data takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Event.
    pub seq: Seq,
    /// Its type.
    pub topic: Topic,
    /// Bytes of its data.
    pub bytes: u64,
}

/// What a [`super::Store::trim`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Bodies erased.
    pub erased: u64,
    /// Stubs dropped.
    pub dropped: u64,
    /// There is more to do.
    pub more: bool,
}

/// Whose data to erase.
#[derive(Clone, Debug)]
pub enum Redact {
    /// One event.
    Event(EventId),
    /// These events.
    Events(Vec<EventId>),
    /// All events of a subject.
    Subject(String),
}

/// What a [`super::Store::redact`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    /// Events whose data was erased; not those whose data was gone already.
    pub erased: Vec<Seq>,
    /// Events of whose deliveries something was kept (heads of requests and answers) and is not any more.
    pub cleared: Vec<Seq>,
}

/// Figures an operator wants of the store.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StoreStats {
    /// Commits so far.
    pub commits: u64,
    /// Transactions (groups) so far.
    pub groups: u64,
    /// Events appended so far.
    pub events: u64,
    /// Seconds of the last group from begin to synced.
    pub last_group_seconds: f64,
    /// Seconds spent in all groups.
    pub group_seconds: f64,
    /// Seconds of the last group's COMMIT alone: writing it to the WAL, and the sync.
    pub last_sync_seconds: f64,
    /// Seconds spent in all COMMITs.
    pub sync_seconds: f64,
    /// Items waiting from doors.
    pub door_queue_items: u64,
    /// Bytes waiting from doors.
    pub door_queue_bytes: u64,
    /// Items waiting of the hub's own.
    pub own_queue_items: u64,
    /// Bytes waiting of the hub's own.
    pub own_queue_bytes: u64,
    /// Database file bytes.
    pub file_bytes: u64,
    /// WAL bytes.
    pub wal_bytes: u64,
    /// Free bytes on the disk.
    pub disk_free_bytes: u64,
    /// Free bytes below which doors are refused.
    pub disk_reserve_bytes: u64,
}
