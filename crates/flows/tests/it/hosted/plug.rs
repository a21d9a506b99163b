//! A store whose plug can be pulled: before or after a chosen commit nothing more happens, for anybody. It can also lose an
//! answer, or refuse.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use nexus_core::{
    chain::Checkpoint,
    event::{Seq, StoredEvent},
    id::EventId,
    record::{Collection, Document, Value},
    store::{
        Commit, CommitError, CommitHook, Committed, Entry, EventPage, EventQuery, Exception, ExceptionQuery,
        ExceptionState, Fence, Guard, Head, IndexQuery, Limit, Page, Position, ReceiptBlock, Redact, Redacted,
        SaveError, SeqRange, Store, StoreError, StoreStats, SubNo, Timer, Trim, Trimmed, Weight, Write,
    },
    time::Timestamp,
};
use nexus_store::SqliteStore;
use tokio::sync::watch;

/// What goes wrong, counted from when it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Everything stops before the n-th commit is made.
    Before(u64),
    /// Everything stops when the n-th commit is on disk; nobody is told.
    After(u64),
    /// The n-th commit of a run is made, and its outcome not known.
    LostAnswer(u64),
    /// The n-th commit of a run is not made, and that is not known.
    LostQuestion(u64),
    /// The n-th commit of a run is refused: come again.
    Busy(u64),
    /// The n-th commit of a run is refused, unless it is a run's first: something changed.
    Conflict(u64),
}

/// The store.
pub(crate) struct Plug {
    inner: Mutex<Option<Arc<SqliteStore>>>,
    trouble: Mutex<Option<Trouble>>,
    /// Commits of any kind.
    commits: AtomicU64,
    /// Commits that write a run.
    of_runs: AtomicU64,
    pulled: watch::Sender<bool>,
}

fn writes_a_run(commit: &Commit) -> bool {
    commit.documents.iter().any(|write| match write {
        Write::Put { key, .. } | Write::Delete(key) => key.collection.name == "flow_runs",
    })
}

impl Plug {
    pub(crate) fn new(store: SqliteStore) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Some(Arc::new(store))),
            trouble: Mutex::default(),
            commits: AtomicU64::new(0),
            of_runs: AtomicU64::new(0),
            pulled: watch::channel(false).0,
        })
    }

    /// From now on commits are counted, and this goes wrong.
    pub(crate) fn set(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().expect("unpoisoned") = trouble;
        self.commits.store(0, Ordering::SeqCst);
        self.of_runs.store(0, Ordering::SeqCst);
    }

    /// Commits since [`Self::set`]: of any kind, and of runs.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.commits.load(Ordering::SeqCst), self.of_runs.load(Ordering::SeqCst))
    }

    /// Ends when the plug was pulled.
    pub(crate) async fn out(&self) {
        let mut pulled = self.pulled.subscribe();
        let _ = pulled.wait_for(|out| *out).await;
    }

    pub(crate) fn pull(&self) {
        self.pulled.send_replace(true);
    }

    /// Gives the file back. Whoever still holds this store finds nothing in it.
    pub(crate) fn take(&self) -> Option<Arc<SqliteStore>> {
        self.pull();
        self.inner.lock().expect("unpoisoned").take()
    }

    async fn store(&self) -> Arc<SqliteStore> {
        let found = self.inner.lock().expect("unpoisoned").clone().filter(|_| !*self.pulled.borrow());
        match found {
            Some(store) => store,
            None => std::future::pending().await,
        }
    }

    fn now(&self) -> Option<Arc<SqliteStore>> {
        self.inner.lock().expect("unpoisoned").clone()
    }

    /// Whether this commit is the one before which everything stops, or after which.
    fn stops(&self) -> (bool, bool) {
        let n = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        match *self.trouble.lock().expect("unpoisoned") {
            Some(Trouble::Before(at)) => (n >= at, false),
            Some(Trouble::After(at)) => (n > at, n == at),
            _ => (false, false),
        }
    }
}

#[async_trait]
impl Store for Plug {
    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let store = self.store().await;
        let trouble = *self.trouble.lock().expect("unpoisoned");
        if writes_a_run(&commit) {
            let n = self.of_runs.fetch_add(1, Ordering::SeqCst) + 1;
            match trouble {
                Some(Trouble::LostAnswer(at)) if n == at => {
                    return match store.commit(commit).await {
                        Ok(_) => Err(CommitError::Unknown),
                        refused => refused,
                    };
                }
                Some(Trouble::LostQuestion(at)) if n == at => return Err(CommitError::Unknown),
                Some(Trouble::Busy(at)) if n == at => {
                    return Err(CommitError::Busy { retry_after: Duration::from_millis(1) });
                }
                Some(Trouble::Conflict(at)) if n == at && matches!(commit.guards.first(), Some(Guard::Version(..))) => {
                    return Err(CommitError::Conflict { guard: 0 });
                }
                _ => {}
            }
        }
        let (before, after) = self.stops();
        if before {
            self.pull();
            std::future::pending::<()>().await;
        }
        let done = store.commit(commit).await;
        if after {
            self.pull();
            std::future::pending::<()>().await;
        }
        done
    }

    async fn save(&self, fence: Fence, entries: Vec<Entry>) -> Result<(), SaveError> {
        let store = self.store().await;
        let (before, after) = self.stops();
        if before {
            self.pull();
            std::future::pending::<()>().await;
        }
        let done = store.save(fence, entries).await;
        if after {
            self.pull();
            std::future::pending::<()>().await;
        }
        done
    }

    async fn acquire(&self, shard: u16) -> Result<Fence, StoreError> {
        self.store().await.acquire(shard).await
    }

    fn on_commit(&self, hook: CommitHook) {
        if let Some(store) = self.now() {
            store.on_commit(hook);
        }
    }

    fn head(&self) -> Head {
        self.now().map_or(Head { epoch: 0, seq: 0, first: 1, hash: [0; 32], time: Timestamp::from_secs(0) }, |store| {
            store.head()
        })
    }

    async fn read(&self, range: SeqRange, limit: Limit) -> Result<Vec<Arc<StoredEvent>>, StoreError> {
        self.store().await.read(range, limit).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        self.store().await.event(id).await
    }

    async fn query(&self, query: EventQuery, limit: usize) -> Result<EventPage, StoreError> {
        self.store().await.query(query, limit).await
    }

    async fn topics(&self) -> Result<Vec<String>, StoreError> {
        self.store().await.topics().await
    }

    async fn seq_at(&self, time: Timestamp) -> Result<Seq, StoreError> {
        self.store().await.seq_at(time).await
    }

    async fn get(&self, collection: &'static Collection, key: &str) -> Result<Option<Document>, StoreError> {
        self.store().await.get(collection, key).await
    }

    async fn list(&self, query: IndexQuery) -> Result<Page<Document>, StoreError> {
        self.store().await.list(query).await
    }

    async fn scan(&self, query: IndexQuery) -> Result<Page<(String, Vec<Value>)>, StoreError> {
        self.store().await.scan(query).await
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, StoreError> {
        self.store().await.due(now, limit).await
    }

    async fn timer(&self, id: &str) -> Result<Option<Timer>, StoreError> {
        self.store().await.timer(id).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.store().await.next_due().await
    }

    async fn positions(&self) -> Result<Vec<Position>, StoreError> {
        self.store().await.positions().await
    }

    async fn receipts(&self, scope: SubNo, seq: Option<Seq>, limit: usize) -> Result<Vec<ReceiptBlock>, StoreError> {
        self.store().await.receipts(scope, seq, limit).await
    }

    async fn exceptions(&self, query: ExceptionQuery) -> Result<Vec<Exception>, StoreError> {
        self.store().await.exceptions(query).await
    }

    async fn exception_counts(&self) -> Result<Vec<(SubNo, ExceptionState, u64)>, StoreError> {
        self.store().await.exception_counts().await
    }

    async fn redact(&self, what: Redact) -> Result<Redacted, StoreError> {
        self.store().await.redact(what).await
    }

    async fn trim(&self, trim: Trim) -> Result<Trimmed, StoreError> {
        self.store().await.trim(trim).await
    }

    async fn weights(&self, first: Seq, last: Seq) -> Result<Vec<Weight>, StoreError> {
        self.store().await.weights(first, last).await
    }

    async fn cut(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.store().await.cut().await
    }

    async fn resign_cut(&self, cut: Checkpoint) -> Result<(), StoreError> {
        self.store().await.resign_cut(cut).await
    }

    async fn begin_epoch(&self, after: u32) -> Result<Head, StoreError> {
        self.store().await.begin_epoch(after).await
    }

    async fn sweep(&self, receipts_before: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        self.store().await.sweep(receipts_before, now).await
    }

    async fn backup(&self, path: &Path) -> Result<(), StoreError> {
        self.store().await.backup(path).await
    }

    fn stats(&self) -> StoreStats {
        self.now().map(|store| store.stats()).unwrap_or_default()
    }

    async fn close(&self) {
        if let Some(store) = self.now() {
            store.close().await;
        }
    }
}
