//! The writer's thread: takes a group, makes it durable, tells the hook, shows the new head, answers.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nexus_core::store::{CommitError, SaveError};
use rusqlite::{Connection, config::DbConfig};

use super::{
    append::Log,
    group::{self, Outcome, Severity, Undone, severity},
    mover::{Mover, checkpoint},
    queue::{Batch, Job, Work},
    shared::Shared,
};

/// What the writer knows beside its connection.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) log: Log,
    /// Present epoch of each shard.
    pub(super) fences: HashMap<u16, u64>,
    /// How far retention has come, by type (`None` = all types), so that stubs are not walked again.
    pub(super) erased_to: HashMap<Option<u32>, u64>,
    /// Pages in the WAL after the last commit, told by SQLite.
    wal_pages: Arc<AtomicU64>,
    /// Pages at which to move them next.
    wal_next: u64,
    mover: Mover,
    stopped: bool,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        log: Log,
        fences: HashMap<u16, u64>,
        wal_pages: Arc<AtomicU64>,
        mover: Mover,
    ) -> Self {
        let wal_next = shared.options.wal_pages;
        Self { shared, log, fences, erased_to: HashMap::new(), wal_pages, wal_next, mover, stopped: false }
    }

    /// Stops for good: the file or the disk can't be trusted any more.
    pub(super) fn stop(&mut self, reason: &str) {
        self.stopped = true;
        self.shared.fail(reason);
        for job in self.shared.queue.abort() {
            answer_closed(job);
        }
    }

    /// A task's failure outside a group.
    pub(super) fn judge(&mut self, conn: &Connection, error: &rusqlite::Error) {
        if !conn.is_autocommit()
            && let Err(error) = conn.execute_batch("ROLLBACK")
        {
            self.stop(&format!("a transaction could not be rolled back: {error}"));
        }
        if severity(error) == Severity::Fatal {
            self.stop(&format!("the database failed: {error}"));
        }
    }
}

/// Runs until the queue is closed and empty, or the store has to stop.
pub(super) fn run(conn: &Connection, mut w: Writer) {
    let guard = Abandoned(Arc::clone(&w.shared));
    while serve(conn, &mut w, true) {}
    if let Some(Err(error)) = w.mover.finished() {
        w.judge(conn, &error);
    }
    if w.stopped {
        // Closing would checkpoint, and so trust a disk that has just failed.
        let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    } else if let Err(error) = truncate_wal(conn, &w.shared) {
        tracing::warn!(%error, "the last checkpoint did not complete; the next start will finish it");
    }
    drop(guard);
}

/// Whatever ends the writer's thread, no one waits for it in vain.
struct Abandoned(Arc<Shared>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the writer's thread panicked");
        }
        for job in self.0.queue.abort() {
            answer_closed(job);
        }
    }
}

/// Does the next thing; false at the end. With `wait` = false it comes back at once when there is nothing.
pub(super) fn serve(conn: &Connection, w: &mut Writer, wait: bool) -> bool {
    match w.shared.queue.take(wait) {
        Batch::Group(jobs) => serve_group(conn, w, jobs),
        Batch::Task(task) => task(conn, w),
        Batch::Idle => {}
        Batch::Closed => return false,
    }
    if !w.stopped {
        tend_wal(conn, w);
    }
    !w.stopped
}

fn serve_group(conn: &Connection, w: &mut Writer, jobs: Vec<Job>) {
    match group::run(conn, w, &jobs) {
        Ok(outcomes) => {
            let events = w.log.keep();
            if !events.is_empty() {
                if let Some(hook) = w.shared.hook.get() {
                    hook(&events);
                }
                w.shared.set_head(w.log.head);
            }
            for (job, outcome) in jobs.into_iter().zip(outcomes) {
                answer(job, outcome);
            }
        }
        Err(Undone::AtCommit(error)) => {
            for job in jobs {
                answer_unknown(job);
            }
            w.stop(&format!("a group could not be made durable: {error}"));
        }
        Err(Undone::Before(error)) if severity(&error) == Severity::Fatal => {
            for job in jobs {
                answer_closed(job);
            }
            w.stop(&format!("the database failed: {error}"));
        }
        // One commit must not spoil the others': each gets a transaction of its own.
        Err(Undone::Before(_)) if jobs.len() > 1 => {
            for job in jobs {
                if w.stopped {
                    answer_closed(job);
                } else {
                    serve_group(conn, w, vec![job]);
                }
            }
        }
        Err(Undone::Before(error)) => {
            for job in jobs {
                answer_failed(job, &error);
            }
        }
    }
}

fn answer(job: Job, outcome: Outcome) {
    // A receiver that went away does not undo its commit.
    match (job.work, outcome) {
        (Work::Commit(_, to), Outcome::Commit(result)) => drop(to.send(result)),
        (Work::Save(_, _, to), Outcome::Save(result)) => drop(to.send(result)),
        _ => {}
    }
}

fn answer_unknown(job: Job) {
    match job.work {
        Work::Commit(_, to) => drop(to.send(Err(CommitError::Unknown))),
        Work::Save(_, _, to) => drop(to.send(Err(SaveError::Closed))),
        Work::Task(_) => {}
    }
}

fn answer_closed(job: Job) {
    match job.work {
        Work::Commit(_, to) => drop(to.send(Err(CommitError::Closed))),
        Work::Save(_, _, to) => drop(to.send(Err(SaveError::Closed))),
        Work::Task(_) => {}
    }
}

fn answer_failed(job: Job, error: &rusqlite::Error) {
    let severity = severity(error);
    match job.work {
        Work::Commit(_, to) => drop(to.send(Err(match severity {
            Severity::Full => CommitError::Full,
            Severity::Busy => CommitError::Busy { retry_after: std::time::Duration::from_secs(1) },
            Severity::Fatal | Severity::Other => CommitError::Broken(error.to_string()),
        }))),
        Work::Save(_, _, to) => drop(to.send(Err(match severity {
            Severity::Full => SaveError::Full,
            _ => SaveError::Broken(error.to_string()),
        }))),
        Work::Task(_) => {}
    }
}

/// Keeps the WAL short. Most of it is moved beside the commits, what came meanwhile by the writer itself between two of them,
/// and then the next commit begins the WAL again. Readers that overlap without a pause keep it from that, and it grows:
/// from half as long again on, they are held back for a moment.
fn tend_wal(conn: &Connection, w: &mut Writer) {
    let (pages, wanted) = (w.wal_pages.load(Ordering::Relaxed), w.shared.options.wal_pages);
    if pages < wanted {
        w.wal_next = wanted;
    }
    let is_long = pages >= w.wal_next && pages >= wanted + wanted / 2;
    let moved = if is_long { w.mover.finished() } else { w.mover.outcome() };
    let done = match moved {
        Some(Err(error)) => Err(error),
        _ if is_long => gated_checkpoint(conn, &w.shared),
        Some(Ok(())) => checkpoint(conn).map(drop),
        None if pages >= w.wal_next => return w.mover.ask(),
        None => return,
    };
    // Tried again a little later where readers kept the WAL from starting anew.
    w.wal_next = pages + wanted / 4;
    if let Err(error) = done {
        tracing::warn!(%error, "a checkpoint failed");
        w.judge(conn, &error);
    }
}

/// Moves all of the WAL into the file, so that nothing is left of pages that were overwritten.
pub(super) fn move_all(conn: &Connection, w: &mut Writer) -> rusqlite::Result<()> {
    if let Some(moved) = w.mover.finished() {
        moved?;
    }
    gated_checkpoint(conn, &w.shared)
}

/// Moves the whole WAL into the file while no reader of this process is in a page.
fn gated_checkpoint(conn: &Connection, shared: &Shared) -> rusqlite::Result<()> {
    let _gate = shared.gate.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    checkpoint(conn).map(drop)
}

fn truncate_wal(conn: &Connection, shared: &Shared) -> rusqlite::Result<()> {
    let _gate = shared.gate.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
