//! The handle: checks what comes in, hands it to the writer or to a reader, and gives back what they answer.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    thread::JoinHandle,
};

use async_trait::async_trait;
use nexus_core::{
    chain::Checkpoint,
    event::{Seq, StoredEvent},
    id::EventId,
    limits::{WRITER_QUEUE_BYTES, WRITER_QUEUE_ITEMS},
    record::{Collection, Document, Value},
    store::{
        Commit, CommitError, CommitHook, Committed, Entry, EventPage, EventQuery, Exception, ExceptionQuery,
        ExceptionState, Fence, Head, IndexQuery, Lane, Limit, Page, Position, ReceiptBlock, Redact, Redacted,
        SaveError, SeqRange, Store, StoreError, StoreStats, SubNo, Timer, Trim, Trimmed, Weight,
    },
    time::{Clock, Timestamp},
};
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    append::Log,
    backup::{Copy, CopyError},
    collections::{self, Shape},
    dictionary::{Dictionaries, Names},
    document_reads, documents, entry_reads,
    lock::FolderLock,
    log_reads, meta,
    mover::Mover,
    options::{OpenError, SqliteOptions},
    query,
    queue::{Job, Work},
    readers::Readers,
    settings::{open_mover, open_reader, open_writer},
    shared::Shared,
    timers, trim, upkeep, weigh, writer,
    writer::Writer,
};

/// The store in one SQLite file.
pub struct SqliteStore {
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    own_places: Arc<Semaphore>,
    own_bytes: Arc<Semaphore>,
    ended: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("file", &self.shared.file).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens (or makes) `nexus.db` in a folder, or a file whose name ends in `.db`, for these collections. Takes the
    /// folder's lock, brings the file to the present format, adds tables and indexes that are new. Does not walk the log.
    pub fn open(
        dir_or_file: &Path,
        collections: &[&'static Collection],
        clock: Arc<dyn Clock>,
        options: SqliteOptions,
    ) -> Result<Self, OpenError> {
        let (folder, file) = place(dir_or_file);
        std::fs::create_dir_all(&folder).map_err(|source| OpenError::Io { path: folder.clone(), source })?;
        let lock = FolderLock::take(&folder)?;
        let wal_pages = Arc::new(AtomicU64::new(0));
        let conn = open_writer(&file, &options, &wal_pages)?;
        let failed = |source| OpenError::Database { path: file.clone(), source };
        let shapes = prepare(&conn, collections).map_err(|failure| failure.at(&file))?;
        let names = Arc::new(Names::default());
        let dictionaries = Dictionaries::load(&conn, Arc::clone(&names)).map_err(failed)?;
        let head = meta::head(&conn).map_err(failed)?;
        let fences = meta::fences(&conn).map_err(failed)?;
        let reading = (0..options.reader_count.max(1))
            .map(|_| open_reader(&file, &options))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        let io = |source| OpenError::Io { path: file.clone(), source };
        let mover = open_mover(&file, &options).map_err(failed)?;
        let mover = Mover::start(mover, Arc::clone(&wal_pages)).map_err(io)?;
        let shared = Arc::new(Shared::new(file.clone(), clock, options, shapes, names, head));
        let log = Log::load(&conn, head, dictionaries).map_err(failed)?;
        let writer = Writer::new(Arc::clone(&shared), log, fences, wal_pages, mover);
        Self::start(shared, writer, conn, reading, lock).map_err(io)
    }

    fn start(
        shared: Arc<Shared>,
        writer: Writer,
        conn: Connection,
        reading: Vec<Connection>,
        lock: FolderLock,
    ) -> std::io::Result<Self> {
        let readers = Arc::new(Readers::new());
        let threads = readers.start(&shared, reading)?;
        let (end, ended) = watch::channel(false);
        let to_close = Arc::clone(&readers);
        let thread = std::thread::Builder::new().name("store-write".to_owned()).spawn(move || {
            writer::run(&conn, writer);
            to_close.close();
            for thread in threads {
                drop(thread.join());
            }
            // Closed last, the writer's connection leaves one file.
            drop(conn);
            drop(lock);
            end.send_replace(true);
        })?;
        Ok(Self {
            shared,
            readers,
            own_places: Arc::new(Semaphore::new(WRITER_QUEUE_ITEMS)),
            own_bytes: Arc::new(Semaphore::new(WRITER_QUEUE_BYTES)),
            ended,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Resolves with the reason once the store had to stop because the disk or the file can't be trusted. The process
    /// should then end: a new one recovers by opening the file.
    pub fn fatal(&self) -> impl Future<Output = String> + Send + 'static {
        let mut fatal = self.shared.fatal();
        async move {
            loop {
                let reason = fatal.borrow_and_update().clone();
                match reason {
                    Some(reason) => return reason,
                    None if fatal.changed().await.is_err() => std::future::pending().await,
                    None => {}
                }
            }
        }
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.shared.file
    }

    async fn push(&self, lane: Lane, work: Work, units: usize, bytes: usize) -> Result<(), CommitError> {
        if lane == Lane::Door {
            if self.shared.disk_free() < self.shared.options.disk_reserve_bytes {
                return Err(CommitError::Full);
            }
            return self.shared.queue.push_door(Job { work, units, bytes, _place: None });
        }
        let place = Arc::clone(&self.own_places).acquire_owned().await.map_err(|_| CommitError::Closed)?;
        // One that is larger than the whole queue takes all of it.
        let room = u32::try_from(bytes.min(WRITER_QUEUE_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.own_bytes).acquire_many_owned(room).await.map_err(|_| CommitError::Closed)?;
        let taken = self.shared.queue.push_own(Job { work, units, bytes, _place: Some((place, room)) });
        if taken { Ok(()) } else { Err(CommitError::Closed) }
    }

    /// Runs a task on the writer's thread, between groups.
    async fn task<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Connection, &mut Writer) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (to, answer) = oneshot::channel();
        let work = Work::Task(Box::new(move |conn, w| drop(to.send(task(conn, w)))));
        self.push(Lane::Own, work, 1, 0).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)
    }

    async fn upkeep<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Connection, &mut Writer) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.task(task).await?.map_err(|error| StoreError::Broken(error.to_string()))
    }

    fn shape(&self, collection: &'static Collection) -> Result<Arc<Shape>, StoreError> {
        let found = self.shared.shapes.get(collection.name).map(Arc::clone);
        found.ok_or_else(|| StoreError::Broken(documents::unknown(collection)))
    }
}

/// Ends the threads; what was handed over is still done.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.shared.queue.close();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            drop(thread.join());
        }
    }
}

fn place(dir_or_file: &Path) -> (PathBuf, PathBuf) {
    if dir_or_file.extension().is_some_and(|e| e == "db") && !dir_or_file.is_dir() {
        let folder = dir_or_file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return (folder.to_owned(), dir_or_file.to_owned());
    }
    (dir_or_file.to_owned(), dir_or_file.join("nexus.db"))
}

/// One transaction, so that a kill leaves the tables of the old declarations or of the new ones.
fn prepare(conn: &Connection, declared: &[&'static Collection]) -> Result<collections::Shapes, collections::Failure> {
    let tx = conn.unchecked_transaction()?;
    let shapes = collections::prepare(&tx, declared)?;
    tx.commit()?;
    Ok(shapes)
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let (units, bytes) = weigh::commit(&commit)?;
        let (to, answer) = oneshot::channel();
        self.push(commit.lane, Work::Commit(Box::new(commit), to), units, bytes).await?;
        answer.await.unwrap_or(Err(CommitError::Unknown))
    }

    async fn save(&self, fence: Fence, entries: Vec<Entry>) -> Result<(), SaveError> {
        let (units, bytes) = (entries.len().max(1), weigh::entries(&entries));
        let (to, answer) = oneshot::channel();
        self.push(Lane::Own, Work::Save(fence, entries, to), units, bytes).await.map_err(|_| SaveError::Closed)?;
        answer.await.unwrap_or(Err(SaveError::Closed))
    }

    async fn acquire(&self, shard: u16) -> Result<Fence, StoreError> {
        self.upkeep(move |conn, w| upkeep::acquire(conn, w, shard)).await
    }

    fn on_commit(&self, hook: CommitHook) {
        if self.shared.hook.set(hook).is_err() {
            tracing::warn!("a second commit hook was not set");
        }
    }

    fn head(&self) -> Head {
        self.shared.head()
    }

    async fn read(&self, range: SeqRange, limit: Limit) -> Result<Vec<Arc<StoredEvent>>, StoreError> {
        let names = Arc::clone(&self.shared.names);
        self.readers.page(move |conn| log_reads::run(conn, &names, range, limit)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        let names = Arc::clone(&self.shared.names);
        self.readers.page(move |conn| log_reads::by_id(conn, &names, id)).await
    }

    async fn query(&self, query: EventQuery, limit: usize) -> Result<EventPage, StoreError> {
        let names = Arc::clone(&self.shared.names);
        self.readers.page(move |conn| query::events(conn, &names, &query, limit)).await
    }

    async fn topics(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.shared.names.with(|types, _| types.iter().map(ToString::to_string).collect()))
    }

    async fn seq_at(&self, time: Timestamp) -> Result<Seq, StoreError> {
        let found = self.readers.page(move |conn| log_reads::seq_at(conn, time)).await?;
        Ok(found.unwrap_or_else(|| self.head().seq + 1))
    }

    async fn get(&self, collection: &'static Collection, key: &str) -> Result<Option<Document>, StoreError> {
        let (shape, key) = (self.shape(collection)?, key.to_owned());
        self.readers.page(move |conn| document_reads::get(conn, &shape, &key)).await
    }

    async fn list(&self, query: IndexQuery) -> Result<Page<Document>, StoreError> {
        let shape = self.shape(query.range.collection)?;
        let prepared = document_reads::prepare(query)?;
        self.readers.page(move |conn| document_reads::list(conn, &shape, &prepared)).await
    }

    async fn scan(&self, query: IndexQuery) -> Result<Page<(String, Vec<Value>)>, StoreError> {
        let shape = self.shape(query.range.collection)?;
        let prepared = document_reads::prepare(query)?;
        self.readers.page(move |conn| document_reads::scan(conn, &shape, &prepared)).await
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, StoreError> {
        self.readers.page(move |conn| timers::due(conn, now, limit)).await
    }

    async fn timer(&self, id: &str) -> Result<Option<Timer>, StoreError> {
        let id = id.to_owned();
        self.readers.page(move |conn| timers::one(conn, &id)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.page(timers::next_due).await
    }

    async fn positions(&self) -> Result<Vec<Position>, StoreError> {
        self.readers.page(entry_reads::positions).await
    }

    async fn receipts(&self, scope: SubNo, seq: Option<Seq>, limit: usize) -> Result<Vec<ReceiptBlock>, StoreError> {
        self.readers.page(move |conn| entry_reads::receipts(conn, scope, seq, limit)).await
    }

    async fn exceptions(&self, query: ExceptionQuery) -> Result<Vec<Exception>, StoreError> {
        self.readers.page(move |conn| entry_reads::exceptions(conn, &query)).await
    }

    async fn exception_counts(&self) -> Result<Vec<(SubNo, ExceptionState, u64)>, StoreError> {
        self.readers.page(entry_reads::exception_counts).await
    }

    async fn redact(&self, what: Redact) -> Result<Redacted, StoreError> {
        let mut all = Redacted::default();
        let parts = match what {
            Redact::Events(ids) => ids.chunks(upkeep::STEP_ROWS).map(|ids| Redact::Events(ids.to_vec())).collect(),
            other => vec![other],
        };
        for part in parts {
            loop {
                let step = part.clone();
                let (mut done, more) = self.upkeep(move |conn, w| upkeep::redact(conn, w, &step)).await?;
                all.erased.append(&mut done.erased);
                all.cleared.append(&mut done.cleared);
                if !more {
                    break;
                }
            }
        }
        Ok(all)
    }

    async fn trim(&self, trim: Trim) -> Result<Trimmed, StoreError> {
        let mut total = Trimmed::default();
        let mut left = trim.limit;
        loop {
            let (step, limit) = (trim.clone(), left);
            let done = self.upkeep(move |conn, w| trim::step(conn, w, &step, limit)).await?;
            total.erased += done.erased;
            total.dropped += done.dropped;
            total.more = done.more;
            left = left.saturating_sub(upkeep::STEP_ROWS);
            if !done.more || left == 0 {
                return Ok(total);
            }
        }
    }

    async fn weights(&self, first: Seq, last: Seq) -> Result<Vec<Weight>, StoreError> {
        let names = Arc::clone(&self.shared.names);
        self.readers.page(move |conn| log_reads::weights(conn, &names, first, last)).await
    }

    async fn cut(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.readers.page(meta::cut).await
    }

    async fn resign_cut(&self, cut: Checkpoint) -> Result<(), StoreError> {
        let done = self.upkeep(move |conn, w| upkeep::resign_cut(conn, w, &cut)).await?;
        if done { Ok(()) } else { Err(StoreError::Broken("the log was not cut there".to_owned())) }
    }

    async fn begin_epoch(&self, after: u32) -> Result<Head, StoreError> {
        self.upkeep(move |conn, w| upkeep::begin_epoch(conn, w, after)).await
    }

    async fn sweep(&self, receipts_before: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        self.upkeep(move |conn, w| upkeep::sweep(conn, w, receipts_before, now)).await
    }

    async fn backup(&self, path: &Path) -> Result<(), StoreError> {
        let told = |error: CopyError| StoreError::Broken(error.to_string());
        let mut copy = Copy::begin(path).map_err(told)?;
        let copy = self
            .task(move |conn, w| copy.run(conn, w).map(|()| copy))
            .await?
            .map_err(|error| if matches!(error, CopyError::Closed) { StoreError::Closed } else { told(error) })?;
        match tokio::task::spawn_blocking(move || copy.finish()).await {
            Ok(done) => done.map_err(told),
            Err(error) => Err(StoreError::Broken(error.to_string())),
        }
    }

    fn stats(&self) -> StoreStats {
        self.shared.stats()
    }

    async fn close(&self) {
        self.shared.queue.close();
        let mut ended = self.ended.clone();
        // An error means that the thread is gone, which is what is waited for.
        drop(ended.wait_for(|ended| *ended).await);
    }
}
