//! The handle of a memory store: the mutex, the hook, and faults on demand.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use async_trait::async_trait;
use nexus_core::{
    chain::Checkpoint,
    event::{Seq, StoredEvent},
    id::{EventId, IdGenerator},
    limits::EVENT_DATA_BYTES,
    record::{Collection, Document, Value},
    store::{
        Commit, CommitError, CommitHook, Committed, Entry, EventPage, EventQuery, Exception, ExceptionQuery,
        ExceptionState, Fence, Head, IndexQuery, Limit, Page, Position, ReceiptBlock, Redact, Redacted, SaveError,
        SeqRange, Store, StoreError, StoreStats, SubNo, Timer, Trim, Trimmed, Weight,
    },
    time::{Clock, Timestamp},
};

use super::state::State;
use crate::shape;

/// What goes wrong with the next call that it fits; see [`MemoryStore::fail_next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A commit is refused with this error (`Full`, `Busy`, …) and nothing happens.
    CommitRefused(CommitError),
    /// A commit takes place, and its answer is lost: `Unknown`.
    CommitUnknownApplied,
    /// A commit is lost, and its answer too: `Unknown`.
    CommitUnknownLost,
    /// A save fails and writes nothing.
    SaveFails(SaveError),
    /// A trim fails and erases nothing.
    TrimFails(StoreError),
}

struct Inside {
    state: State,
    ids: IdGenerator,
    faults: VecDeque<FaultKind>,
    closed: bool,
}

/// The store without a disk.
pub struct MemoryStore {
    inside: Mutex<Inside>,
    /// Held from a commit's change to its hook's return, so that hooks come in order and may read the store.
    turn: Mutex<()>,
    hook: OnceLock<CommitHook>,
    head: Mutex<Head>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("head", &self.head()).finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// An empty store for these collections. Ids and salts come from `seed`.
    pub fn new(collections: &[&'static Collection], clock: Arc<dyn Clock>, seed: u64) -> Result<Self, String> {
        let mut state = State::new(seed);
        for collection in collections {
            state.documents.add(collection)?;
        }
        Ok(Self::over(state, clock))
    }

    fn over(state: State, clock: Arc<dyn Clock>) -> Self {
        let (head, ids) = (state.head, state.ids_after());
        Self {
            inside: Mutex::new(Inside { state, ids, faults: VecDeque::new(), closed: false }),
            turn: Mutex::new(()),
            hook: OnceLock::new(),
            head: Mutex::new(head),
            clock,
        }
    }

    /// Lets the next call that the fault fits fail in this way; faults of one kind of call queue up.
    pub fn fail_next(&self, fault: FaultKind) {
        self.lock().faults.push_back(fault);
    }

    /// The process dies here: this store answers `Closed` from now on, and the new one has what was durable.
    pub fn crash(&self) -> Self {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inside = self.lock();
        inside.closed = true;
        Self::over(inside.state.clone(), Arc::clone(&self.clock))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        let inside = self.lock();
        if inside.closed { Err(StoreError::Closed) } else { Ok(read(&inside.state)) }
    }

    fn changing<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inside = self.lock();
        if inside.closed {
            return Err(StoreError::Closed);
        }
        let done = change(&mut inside.state);
        let head = inside.state.head;
        drop(inside);
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
        Ok(done)
    }

    fn commit_now(&self, commit: &Commit) -> Result<Committed, CommitError> {
        for event in &commit.events {
            if event.data.len() > EVENT_DATA_BYTES {
                return Err(CommitError::TooLarge(format!("an event's data is larger than {EVENT_DATA_BYTES} bytes")));
            }
        }
        commit.documents.iter().try_for_each(shape::write)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inside = self.lock();
        if inside.closed {
            return Err(CommitError::Closed);
        }
        let fault =
            take(&mut inside.faults, |fault| !matches!(fault, FaultKind::SaveFails(_) | FaultKind::TrimFails(_)));
        match fault {
            Some(FaultKind::CommitRefused(error)) => return Err(error),
            Some(FaultKind::CommitUnknownLost) => return Err(CommitError::Unknown),
            _ => {}
        }
        let Inside { state, ids, .. } = &mut *inside;
        let (committed, fresh) = state.commit(ids, commit, self.clock.now())?;
        let head = state.head;
        drop(inside);
        if !fresh.is_empty() {
            if let Some(hook) = self.hook.get() {
                hook(&fresh);
            }
            *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
        }
        if fault == Some(FaultKind::CommitUnknownApplied) { Err(CommitError::Unknown) } else { Ok(committed) }
    }
}

fn take(faults: &mut VecDeque<FaultKind>, fits: impl Fn(&FaultKind) -> bool) -> Option<FaultKind> {
    let at = faults.iter().position(fits)?;
    faults.remove(at)
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        self.commit_now(&commit)
    }

    async fn save(&self, fence: Fence, entries: Vec<Entry>) -> Result<(), SaveError> {
        let mut inside = self.lock();
        if inside.closed {
            return Err(SaveError::Closed);
        }
        if let Some(FaultKind::SaveFails(error)) = take(&mut inside.faults, |f| matches!(f, FaultKind::SaveFails(_))) {
            return Err(error);
        }
        inside.state.save(fence, entries)
    }

    async fn acquire(&self, shard: u16) -> Result<Fence, StoreError> {
        self.changing(|state| {
            let epoch = state.shards.entry(shard).or_insert(0);
            *epoch += 1;
            Fence { shard, epoch: *epoch }
        })
    }

    fn on_commit(&self, hook: CommitHook) {
        if self.hook.set(hook).is_err() {
            tracing::warn!("a second commit hook was not set");
        }
    }

    fn head(&self) -> Head {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, range: SeqRange, limit: Limit) -> Result<Vec<Arc<StoredEvent>>, StoreError> {
        self.reading(|state| state.read(range, limit))
    }

    async fn event(&self, id: EventId) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        self.reading(|state| state.ids.get(&id).and_then(|seq| state.events.get(seq)).cloned())
    }

    async fn query(&self, query: EventQuery, limit: usize) -> Result<EventPage, StoreError> {
        self.reading(|state| state.query(&query, limit))
    }

    async fn topics(&self) -> Result<Vec<String>, StoreError> {
        self.reading(|state| state.types.iter().map(ToString::to_string).collect())
    }

    async fn seq_at(&self, time: Timestamp) -> Result<Seq, StoreError> {
        self.reading(|state| state.seq_at(time))
    }

    async fn get(&self, collection: &'static Collection, key: &str) -> Result<Option<Document>, StoreError> {
        self.reading(|state| state.documents.get(collection, key))?
    }

    async fn list(&self, query: IndexQuery) -> Result<Page<Document>, StoreError> {
        self.reading(|state| state.documents.list(&query))?
    }

    async fn scan(&self, query: IndexQuery) -> Result<Page<(String, Vec<Value>)>, StoreError> {
        self.reading(|state| state.documents.scan(&query))?
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, StoreError> {
        self.reading(|state| {
            let mut due: Vec<Timer> = state.timers.values().filter(|t| t.due <= now).cloned().collect();
            due.sort_by(|a, b| (a.due, &a.id).cmp(&(b.due, &b.id)));
            due.truncate(limit);
            due
        })
    }

    async fn timer(&self, id: &str) -> Result<Option<Timer>, StoreError> {
        self.reading(|state| state.timers.get(id).cloned())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.reading(|state| state.timers.values().map(|t| t.due).min())
    }

    async fn positions(&self) -> Result<Vec<Position>, StoreError> {
        self.reading(State::positions)
    }

    async fn receipts(&self, scope: SubNo, seq: Option<Seq>, limit: usize) -> Result<Vec<ReceiptBlock>, StoreError> {
        self.reading(|state| state.receipts(scope, seq, limit))
    }

    async fn exceptions(&self, query: ExceptionQuery) -> Result<Vec<Exception>, StoreError> {
        self.reading(|state| state.exceptions(&query))
    }

    async fn exception_counts(&self) -> Result<Vec<(SubNo, ExceptionState, u64)>, StoreError> {
        self.reading(State::exception_counts)
    }

    async fn redact(&self, what: Redact) -> Result<Redacted, StoreError> {
        self.changing(|state| state.redact(&what))
    }

    async fn trim(&self, trim: Trim) -> Result<Trimmed, StoreError> {
        let now = self.clock.now();
        if let Some(FaultKind::TrimFails(error)) =
            take(&mut self.lock().faults, |fault| matches!(fault, FaultKind::TrimFails(_)))
        {
            return Err(error);
        }
        self.changing(|state| state.trim(&trim, now))
    }

    async fn weights(&self, first: Seq, last: Seq) -> Result<Vec<Weight>, StoreError> {
        self.reading(|state| state.weights(first, last))
    }

    async fn cut(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.reading(|state| state.cut.clone())
    }

    async fn resign_cut(&self, cut: Checkpoint) -> Result<(), StoreError> {
        let done = self.changing(|state| state.resign_cut(cut))?;
        if done { Ok(()) } else { Err(StoreError::Broken("the log was not cut there".to_owned())) }
    }

    async fn begin_epoch(&self, after: u32) -> Result<Head, StoreError> {
        self.changing(|state| state.begin_epoch(after))
    }

    async fn sweep(&self, receipts_before: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        self.changing(|state| state.sweep(receipts_before, now))?;
        Ok(false)
    }

    /// There is no file to copy.
    async fn backup(&self, _path: &Path) -> Result<(), StoreError> {
        Err(StoreError::Broken("a store in memory has no file to copy".to_owned()))
    }

    fn stats(&self) -> StoreStats {
        let inside = self.lock();
        StoreStats {
            commits: inside.state.commits,
            groups: inside.state.commits,
            events: inside.state.head.seq,
            ..StoreStats::default()
        }
    }

    async fn close(&self) {
        self.lock().closed = true;
    }
}
