//! What one decision changes, what it relied on, and why it may be refused.

use std::time::Duration;

use crate::{
    event::{NewEvent, Seq},
    id::EventId,
    record::{Collection, Record, Value},
    time::Timestamp,
};

/// A document's address.
#[derive(Clone, Debug)]
pub struct Key {
    /// Collection.
    pub collection: &'static Collection,
    /// Key within it.
    pub key: String,
}

impl Key {
    /// The address of the `R` with this key.
    pub fn of<R: Record>(key: impl Into<String>) -> Self {
        Self { collection: R::COLLECTION, key: key.into() }
    }
}

/// A range of one declared index: equality on the leading columns, then optionally one interval on the next column.
#[derive(Clone, Debug)]
pub struct Range {
    /// Collection.
    pub collection: &'static Collection,
    /// Name of a declared index.
    pub index: &'static str,
    /// Values of the leading columns.
    pub prefix: Vec<Value>,
    /// Lower bound of the next column, included. `Null` excluded unless no bound is given.
    pub from: Option<Value>,
    /// Upper bound of the next column, excluded.
    pub until: Option<Value>,
}

/// What a decision relied on. Checked inside the transaction, against the state that every earlier commit left.
#[derive(Clone, Debug)]
pub enum Guard {
    /// The document has this version.
    Version(Key, u64),
    /// There is no such document.
    Absent(Key),
    /// The range holds no document.
    Empty(Range),
    /// The range holds at most this many documents.
    AtMost(Range, u32),
    /// The log's last seq is at most this one: nothing was appended since.
    Head(Seq),
}

/// A change to one document.
#[derive(Clone, Debug)]
pub enum Write {
    /// Insert or replace. `columns` in declared order.
    Put {
        /// Where.
        key: Key,
        /// Declared columns.
        columns: Vec<Value>,
        /// JSON text.
        body: String,
    },
    /// Remove; absent is fine.
    Delete(Key),
}

impl Write {
    /// Writes `record` to its own key.
    pub fn put<R: Record>(record: &R) -> Result<Self, serde_json::Error> {
        Ok(Self::Put {
            key: Key::of::<R>(record.key()),
            columns: record.columns(),
            body: serde_json::to_string(record)?,
        })
    }
}

/// A durable timer.
#[derive(Clone, Debug, PartialEq)]
pub struct Timer {
    /// Unique name.
    pub id: String,
    /// Wall time at which it is due.
    pub due: Timestamp,
    /// Who handles it.
    pub kind: String,
    /// JSON text for the handler.
    pub body: String,
    /// Ascends with each set; names this very setting when it fires.
    pub version: u64,
}

/// A change to a timer.
#[derive(Clone, Debug)]
pub enum TimerWrite {
    /// Set or move.
    Set {
        /// Unique name.
        id: String,
        /// Due at.
        due: Timestamp,
        /// Who handles it.
        kind: String,
        /// JSON text.
        body: String,
    },
    /// Remove; absent is fine.
    Cancel(String),
    /// Remove the setting `version`; a conflict when it was moved, cancelled or fired meanwhile. This makes firing happen once.
    Fire {
        /// Unique name.
        id: String,
        /// As read.
        version: u64,
    },
}

/// Whose turn a commit waits for. The hub's own work has a reserved share, so that a flood at the doors can't starve it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lane {
    /// A request from outside; refused first.
    #[default]
    Door,
    /// The hub's own work: outcomes, timers, reactions; also goes on below the disk reserve.
    Own,
}

/// Everything one decision changes. All of it or none of it.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// What was relied on.
    pub guards: Vec<Guard>,
    /// Appended in order.
    pub events: Vec<NewEvent>,
    /// Applied in order; unique and exclusive indexes are checked at the end.
    pub documents: Vec<Write>,
    /// Applied in order.
    pub timers: Vec<TimerWrite>,
    /// Queue.
    pub lane: Lane,
}

/// One event's place after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Place in the log.
    pub seq: Seq,
    /// Its id.
    pub id: EventId,
    /// It was there already under its [`crate::event::Once`] key or its id; nothing was appended for it.
    pub repeat: bool,
}

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// One per event, in order. If the commit had events and **all** are repeats, its guards were not looked at, its
    /// documents and timers were not applied, and `versions` is empty.
    pub events: Vec<Appended>,
    /// New version per document write, in order; 0 for a delete.
    pub versions: Vec<u64>,
}

/// Why nothing of a commit took place, or (for `Unknown`) why that can't be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A guard did not hold: `guard` is its index. Read again and decide again.
    #[error("guard {guard} no longer holds")]
    Conflict {
        /// Index into `Commit::guards`.
        guard: usize,
    },
    /// A timer fired, moved or was cancelled meanwhile.
    #[error("timer {0} is not in the state it was read in")]
    Timer(String),
    /// A unique index has these values already.
    #[error("index {index} of {collection} already holds these values")]
    Unique {
        /// Collection.
        collection: &'static str,
        /// Index.
        index: &'static str,
    },
    /// An exclusive index has an overlapping interval.
    #[error("index {index} of {collection} already holds an overlapping interval")]
    Overlap {
        /// Collection.
        collection: &'static str,
        /// Index.
        index: &'static str,
    },
    /// An idempotency key was used with another body.
    #[error("the idempotency key was used with another body, by event {id}")]
    KeyReused {
        /// The event stored under the key.
        id: EventId,
        /// Its seq.
        seq: Seq,
    },
    /// The dictionary of types or sources is full.
    #[error("the log already knows {0} different names; no new one is accepted")]
    Names(usize),
    /// Larger than a named limit.
    #[error("{0}")]
    TooLarge(String),
    /// The disk is full, or below the reserve and this came from a door.
    #[error("the disk is full or below its reserve")]
    Full,
    /// The queue to the writer is full or too slow.
    #[error("the writer is busy")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The connection broke at the commit: it may or may not have happened.
    #[error("the outcome of the commit is unknown")]
    Unknown,
    /// The store is shut, or stopped after a failed sync.
    #[error("the store is closed")]
    Closed,
    /// A defect of the caller (unknown index, wrong column count) or of the file.
    #[error("{0}")]
    Broken(String),
}
