//! The writer's thread: takes a group, makes it durable, tells the hook, shows the new head, answers.

use std::{collections::HashMap, sync::Arc};

use nexus_core::store::{CommitError, SaveError};
use rusqlite::{Connection, config::DbConfig};

use super::{
    append::Log,
    group::{self, Outcome, Severity, Undone, severity},
    queue::{Batch, Job, Work},
    shared::Shared,
};

/// Size of the WAL at which readers are held for a moment so that it can start anew.
const WAL_HIGH_BYTES: u64 = 32 << 20;
/// When it could not be emptied (another program reads), the next try comes this much later.
const WAL_STEP_BYTES: u64 = 8 << 20;

/// What the writer knows beside its connection.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) log: Log,
    /// Present epoch of each shard.
    pub(super) fences: HashMap<u16, u64>,
    /// How far retention has come, by type (`None` = all types), so that stubs are not walked again.
    pub(super) erased_to: HashMap<Option<u32>, u64>,
    wal_high: u64,
    stopped: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, log: Log, fences: HashMap<u16, u64>) -> Self {
        Self { shared, log, fences, erased_to: HashMap::new(), wal_high: WAL_HIGH_BYTES, stopped: false }
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
pub(super) fn run(conn: Connection, mut w: Writer) {
    let guard = Abandoned(Arc::clone(&w.shared));
    while serve(&conn, &mut w, true) {}
    if w.stopped {
        // Closing would checkpoint, and so trust a disk that has just failed.
        let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    } else if let Err(error) = truncate_wal(&conn, &w.shared) {
        tracing::warn!(%error, "the last checkpoint did not complete; the next start will finish it");
    }
    conn.flush_prepared_statement_cache();
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
        Batch::Group(jobs) => {
            serve_group(conn, w, jobs);
            if !w.stopped {
                tend_wal(conn, w);
            }
        }
        Batch::Task(task) => task(conn, w),
        Batch::Idle => {}
        Batch::Closed => return false,
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

/// SQLite's own checkpoints keep the WAL at about 4 MiB until readers overlap without a pause; then it grows, and this
/// holds the readers back for one checkpoint, after which the next commit begins it anew (and cuts the file).
fn tend_wal(conn: &Connection, w: &mut Writer) {
    let bytes = w.shared.wal_bytes();
    if bytes <= WAL_HIGH_BYTES {
        w.wal_high = WAL_HIGH_BYTES;
    }
    if bytes <= w.wal_high {
        return;
    }
    if let Err(error) = gated_checkpoint(conn, &w.shared) {
        tracing::warn!(%error, "a checkpoint failed");
        w.judge(conn, &error);
    }
    w.wal_high = bytes + WAL_STEP_BYTES;
}

/// Moves the whole WAL into the file while no reader of this process is in a page.
pub(super) fn gated_checkpoint(conn: &Connection, shared: &Shared) -> rusqlite::Result<()> {
    let _gate = shared.gate.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

fn truncate_wal(conn: &Connection, shared: &Shared) -> rusqlite::Result<()> {
    let _gate = shared.gate.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
