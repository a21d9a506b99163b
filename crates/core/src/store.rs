//! The store as a contract: one commit, one log, documents with indexes, timers, and the bookkeeping of deliveries.
//!
//! Backends (memory, SQLite, later Postgres) pass one conformance suite. Durability, order and errors are stated per
//! method; where a backend can't keep one, it does not implement the trait.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    chain::Hash,
    event::{NewEvent, Priority, Seq, StoredEvent},
    id::EventId,
    record::{Collection, Document, Record, Value},
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

/// A read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is shut.
    #[error("the store is closed")]
    Closed,
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

/// The right to save one shard's bookkeeping; a newer epoch makes an older one stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Shard; 0 on a single machine.
    pub shard: u16,
    /// Ascends with each [`Store::acquire`].
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
    /// JSON array of the attempts (time, status, latency, error, heads).
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
    /// See [`CommitError::Closed`].
    #[error("the store is closed")]
    Closed,
    /// See [`CommitError::Full`].
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
}

/// What a [`Store::trim`] did.
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
    /// All events of a subject.
    Subject(String),
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
    /// Items waiting from doors.
    pub door_queue_items: u64,
    /// Bytes waiting from doors.
    pub door_queue_bytes: u64,
    /// Items waiting of the hub's own.
    pub own_queue_items: u64,
    /// Database file bytes.
    pub file_bytes: u64,
    /// WAL bytes.
    pub wal_bytes: u64,
    /// Free bytes on the disk.
    pub disk_free_bytes: u64,
}

/// Called by the writer after each durable group, in seq order, never concurrently. Must not block.
pub type CommitHook = Arc<dyn Fn(&[Arc<StoredEvent>]) + Send + Sync>;

/// The log, the documents, the timers and the bookkeeping.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// `Ok`: every part is durable and visible, in `seq` order, as if commits ran one by one. `Err`: nothing happened
    /// (except [`CommitError::Unknown`]). Dropping the future does not undo a commit that was handed over.
    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError>;

    /// Bookkeeping of one shard's owner, all or nothing; in order with other saves. `Ok` when durable. Not an event, not guarded.
    async fn save(&self, fence: Fence, entries: Vec<Entry>) -> Result<(), SaveError>;

    /// Takes a shard: earlier fences of it are stale from now on.
    async fn acquire(&self, shard: u16) -> Result<Fence, StoreError>;

    /// Sets the hook; at most one, before the first commit.
    fn on_commit(&self, hook: CommitHook);

    /// The end of the log as last committed.
    fn head(&self) -> Head;

    /// A run of the log, ascending, gap-free unless a priority is asked for. Sees at least every commit acknowledged before the call.
    async fn read(&self, range: SeqRange, limit: Limit) -> Result<Vec<Arc<StoredEvent>>, StoreError>;

    /// One event.
    async fn event(&self, id: EventId) -> Result<Option<Arc<StoredEvent>>, StoreError>;

    /// Events by header.
    async fn query(&self, query: EventQuery, limit: usize) -> Result<EventPage, StoreError>;

    /// Every event type the log has ever known, in no order. Bounded by [`crate::limits::DICTIONARY_ENTRIES`].
    async fn topics(&self) -> Result<Vec<String>, StoreError>;

    /// First seq committed at or after `time`; head + 1 when there is none. Times ascend with seq.
    async fn seq_at(&self, time: Timestamp) -> Result<Seq, StoreError>;

    /// One document.
    async fn get(&self, collection: &'static Collection, key: &str) -> Result<Option<Document>, StoreError>;

    /// Documents of one index, in its order.
    async fn list(&self, query: IndexQuery) -> Result<Page<Document>, StoreError>;

    /// Declared columns of an index's range, bodies untouched: for reports. Rows are `(key, columns)`.
    async fn scan(&self, query: IndexQuery) -> Result<Page<(String, Vec<Value>)>, StoreError>;

    /// Timers due at or before `now`, earliest first.
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, StoreError>;

    /// When the earliest timer is due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// All positions.
    async fn positions(&self) -> Result<Vec<Position>, StoreError>;

    /// Receipt blocks of `scope` that may hold `seq` (`first <= seq <= last`), or with `seq` = `None` the newest ones.
    async fn receipts(&self, scope: SubNo, seq: Option<Seq>, limit: usize) -> Result<Vec<ReceiptBlock>, StoreError>;

    /// Exceptions.
    async fn exceptions(&self, query: ExceptionQuery) -> Result<Vec<Exception>, StoreError>;

    /// How many exceptions there are per (subscription, state).
    async fn exception_counts(&self) -> Result<Vec<(SubNo, ExceptionState, u64)>, StoreError>;

    /// Erases data in the log and in exceptions; receipts hold none. The chain still verifies. Returns the seqs whose data was erased now.
    async fn redact(&self, what: Redact) -> Result<Vec<Seq>, StoreError>;

    /// Retention over the log, in bounded steps.
    async fn trim(&self, trim: Trim) -> Result<Trimmed, StoreError>;

    /// Removes receipts saved before, delivered exceptions updated before, and expired idempotency keys, in bounded steps; true = more to do.
    async fn sweep(&self, receipts_before: Timestamp, now: Timestamp) -> Result<bool, StoreError>;

    /// A consistent copy into an empty file, while the store is in use.
    async fn backup(&self, path: &std::path::Path) -> Result<(), StoreError>;

    /// Figures.
    fn stats(&self) -> StoreStats;

    /// Finishes what was handed over, then checkpoints and closes. Later calls answer `Closed`.
    async fn close(&self);
}
