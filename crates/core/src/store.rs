//! The store as a contract: one commit, one log, documents with indexes, timers, and the bookkeeping of deliveries.
//!
//! Backends (memory, SQLite, later Postgres) pass one conformance suite. Durability, order and errors are stated per
//! method; where a backend can't keep one, it does not implement the trait. The words of the contract stand beside it:
//! what is committed, what is read, how deliveries stand, what is forgotten.

mod bookkeeping;
mod commit;
mod query;
mod upkeep;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::{
    bookkeeping::{
        Entry, Exception, ExceptionQuery, ExceptionState, Fence, HEADS, Position, ReceiptBlock, SaveError, SubNo,
    },
    commit::{Appended, Commit, CommitError, Committed, Guard, Key, Lane, Range, Timer, TimerWrite, Write},
    query::{EventPage, EventQuery, Head, IndexQuery, Limit, Page, SeqRange, StoreError},
    upkeep::{Redact, Redacted, StoreStats, Trim, Trimmed, Weight},
};
use crate::{
    chain::Checkpoint,
    event::{Seq, StoredEvent},
    id::EventId,
    record::{Collection, Document, Value},
    time::Timestamp,
};

/// Seqs that one call of [`Store::weights`] may span.
pub const WEIGHED_EVENTS: u64 = 4_096;

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

    /// The timer of this name.
    async fn timer(&self, id: &str) -> Result<Option<Timer>, StoreError>;

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

    /// Erases data in the log, and what was kept of attempts in exceptions, also where retention took the data before;
    /// receipts hold none. The chain still verifies.
    async fn redact(&self, what: Redact) -> Result<Redacted, StoreError>;

    /// Retention over the log, in bounded steps.
    async fn trim(&self, trim: Trim) -> Result<Trimmed, StoreError>;

    /// What the data of the events `first..=last` takes, ascending; erased ones take nothing and are left out. At most
    /// [`WEIGHED_EVENTS`] seqs at once.
    async fn weights(&self, first: Seq, last: Seq) -> Result<Vec<Weight>, StoreError>;

    /// The signed statement about the last event that was dropped; `None` while the log begins at 1.
    async fn cut(&self) -> Result<Option<Checkpoint>, StoreError>;

    /// Replaces that statement by one of the same seq and hash, signed with a newer key. Any other is refused.
    async fn resign_cut(&self, cut: Checkpoint) -> Result<(), StoreError>;

    /// Begins a new epoch, later than the present one and than `after`: positions of earlier ones get a gap notice.
    async fn begin_epoch(&self, after: u32) -> Result<Head, StoreError>;

    /// Removes receipts saved before, delivered exceptions updated before, and expired idempotency keys, in bounded steps; true = more to do.
    async fn sweep(&self, receipts_before: Timestamp, now: Timestamp) -> Result<bool, StoreError>;

    /// A consistent copy into an empty file, while the store is in use.
    async fn backup(&self, path: &std::path::Path) -> Result<(), StoreError>;

    /// Figures.
    fn stats(&self) -> StoreStats;

    /// Finishes what was handed over, then checkpoints and closes. Later calls answer `Closed`.
    async fn close(&self);
}
