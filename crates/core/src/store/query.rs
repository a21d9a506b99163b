//! What is read: runs of the log, events by header, documents by index, and how much of each.

use std::sync::Arc;

use super::Range;
use crate::{
    chain::Hash,
    event::{Priority, Seq, StoredEvent},
    record::Value,
    time::Timestamp,
};

/// A read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is shut.
    #[error("the store is closed")]
    Closed,
    /// A cursor that no page of this query gave.
    #[error("the cursor is not one that a list gave")]
    Cursor,
    /// A defect of the caller or of the file; the text is for the log, not for outside.
    #[error("{0}")]
    Broken(String),
}

/// How much one read may return.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// At most this many.
    pub items: usize,
    /// Stop after the item that passes this many bytes.
    pub bytes: usize,
}

impl Limit {
    /// So many, and at most 4 MiB.
    pub const fn items(items: usize) -> Self {
        Self { items, bytes: 4 << 20 }
    }
}

/// Which part of the log to read, ascending.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeqRange {
    /// First seq is `after + 1`.
    pub after: Seq,
    /// Last seq, included; `None` = the head.
    pub until: Option<Seq>,
    /// Only this priority. Any other than NORMAL is found by an index.
    pub priority: Option<Priority>,
}

/// A query over the log's headers. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Types: any of these exact ones; empty = all.
    pub types: Vec<String>,
    /// Exact source.
    pub source: Option<String>,
    /// Exact subject.
    pub subject: Option<String>,
    /// Events that carry this correlation id, and the event whose own id it is.
    pub correlation: Option<String>,
    /// Committed at or after.
    pub from: Option<Timestamp>,
    /// Committed before.
    pub until: Option<Timestamp>,
    /// Seqs greater than this.
    pub after: Option<Seq>,
    /// Seqs less than this.
    pub before: Option<Seq>,
    /// Newest first.
    pub newest_first: bool,
}

/// A page of the events found. `next` is where to go on (`after`, or `before` when newest first); `None` at the end.
/// A page may be short, even empty, with a `next`: a query examines a bounded number of rows.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    /// Found.
    pub events: Vec<Arc<StoredEvent>>,
    /// Where to go on.
    pub next: Option<Seq>,
}

/// A query over one declared index (or the key, with index `""`), in its order.
#[derive(Clone, Debug)]
pub struct IndexQuery {
    /// What to read.
    pub range: Range,
    /// Backwards.
    pub descending: bool,
    /// Further equality conditions on declared columns, not served by the index: a bounded number of rows is examined.
    pub filters: Vec<(&'static str, Value)>,
    /// Continue after this cursor of an earlier page.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A page of documents; keyset pagination, so concurrent writes neither repeat nor skip an unchanged document.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// Found.
    pub items: Vec<T>,
    /// Opaque cursor of the next page; `None` at the end. A short page can have one.
    pub next: Option<String>,
}

/// State of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Starts again at a restore or an import into an empty folder; positions are `epoch:seq`.
    pub epoch: u32,
    /// Last seq; 0 when empty.
    pub seq: Seq,
    /// Smallest seq still there (as an event or a stub); `seq + 1` when none is.
    pub first: Seq,
    /// Chain hash at `seq`.
    pub hash: Hash,
    /// Commit time of the last event.
    pub time: Timestamp,
}
