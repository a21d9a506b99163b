//! One transaction: the commits and saves of a group, each whole or not at all, then one sync for all of them.

use std::sync::Arc;

use nexus_core::{
    record::Collection,
    store::{Appended, Commit, CommitError, Committed, Entry, Fence, SaveError, TimerWrite},
    time::Timestamp,
};
use rusqlite::{Connection, ErrorCode};

use super::{
    append::Planned,
    collections::{Shape, Shapes},
    documents, guards,
    queue::{Job, Work},
    saves, timers, upkeep,
    writer::Writer,
};

/// Why a commit's part did not work.
#[derive(Debug)]
pub(super) enum Fault {
    /// This commit is refused; the group goes on.
    Refused(CommitError),
    /// SQLite failed; the group is undone.
    Sql(rusqlite::Error),
}

impl Fault {
    pub(super) fn broken(text: &str) -> Self {
        Self::Refused(CommitError::Broken(text.to_owned()))
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// What SQLite's failure means for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// No room; nothing is lost and it may pass.
    Full,
    /// Another program holds the file for long.
    Busy,
    /// The disk or the file can't be trusted: stop.
    Fatal,
    /// This statement only.
    Other,
}

/// See [`Severity`].
pub(super) fn severity(error: &rusqlite::Error) -> Severity {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Severity::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Severity::Busy,
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen,
        ) => Severity::Fatal,
        _ => Severity::Other,
    }
}

/// The shape of a collection, by name.
pub(super) fn find_shape<'a>(shapes: &'a Shapes, collection: &Collection) -> Result<&'a Arc<Shape>, Fault> {
    shapes.get(collection.name).ok_or_else(|| Fault::broken(&documents::unknown(collection)))
}

/// What became of one job.
pub(super) enum Outcome {
    Commit(Result<Committed, CommitError>),
    Save(Result<(), SaveError>),
}

/// Why a whole group was undone.
pub(super) enum Undone {
    /// Before COMMIT: nothing happened.
    Before(rusqlite::Error),
    /// At COMMIT: it may be in the file.
    AtCommit(rusqlite::Error),
}

/// Runs the jobs in one transaction. On `Ok` they are durable; on `Err` the writer's state is as before.
pub(super) fn run(conn: &Connection, w: &mut Writer, jobs: &[Job]) -> Result<Vec<Outcome>, Undone> {
    let began = w.shared.clock.mono();
    let outcomes = match apply(conn, w, jobs) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            undo(conn, w);
            return Err(Undone::Before(error));
        }
    };
    w.log.dictionaries.publish();
    let applied = w.shared.clock.mono();
    if let Err(error) = conn.prepare_cached("COMMIT").and_then(|mut s| s.execute([])) {
        undo(conn, w);
        return Err(match severity(&error) {
            Severity::Full | Severity::Busy => Undone::Before(error),
            Severity::Fatal | Severity::Other => Undone::AtCommit(error),
        });
    }
    let done = w.shared.clock.mono();
    let units = jobs.iter().map(|job| job.units).sum();
    let synced = done.saturating_sub(applied);
    w.shared.queue.learn(units, applied.saturating_sub(began), synced);
    let taken = done.saturating_sub(began);
    let events = w.log.fresh.len() as u64;
    let commits = outcomes.iter().filter(|o| matches!(o, Outcome::Commit(Ok(_)))).count() as u64;
    w.shared.count(|f| {
        f.commits += commits;
        f.groups += 1;
        f.events += events;
        f.last_group = taken;
        f.all_groups += taken;
        f.last_sync = synced;
        f.all_syncs += synced;
    });
    Ok(outcomes)
}

fn undo(conn: &Connection, w: &mut Writer) {
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        // A transaction that can't be left would swallow the next one.
        w.shared.fail(&format!("a transaction could not be rolled back: {error}"));
    }
    w.log.undo();
}

fn apply(conn: &Connection, w: &mut Writer, jobs: &[Job]) -> rusqlite::Result<Vec<Outcome>> {
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let now = w.shared.clock.now().max(w.log.head.time);
    let events =
        jobs.iter().map(|job| if let Work::Commit(commit, _) = &job.work { commit.events.len() } else { 0 }).sum();
    let random = w.log.begin(events);
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        outcomes.push(match &job.work {
            Work::Commit(..) if random.is_err() => {
                Outcome::Commit(Err(CommitError::Broken("the system gave no randomness".to_owned())))
            }
            Work::Commit(commit, _) => match commit_one(conn, w, commit, now) {
                Ok(committed) => Outcome::Commit(Ok(committed)),
                Err(Fault::Refused(error)) => Outcome::Commit(Err(error)),
                Err(Fault::Sql(error)) => return Err(error),
            },
            Work::Save(fence, entries, _) => Outcome::Save(save_one(conn, w, *fence, entries)?),
            Work::Task(_) => Outcome::Save(Err(SaveError::Broken("a task came into a group".to_owned()))),
        });
    }
    Ok(outcomes)
}

fn save_one(conn: &Connection, w: &Writer, fence: Fence, entries: &[Entry]) -> rusqlite::Result<Result<(), SaveError>> {
    if w.fences.get(&fence.shard) != Some(&fence.epoch) {
        return Ok(Err(SaveError::Stale(fence.shard)));
    }
    // What was kept of an attempt may be a person's: no older copy of it is left in a freed part of the file.
    let kept = entries.iter().any(|e| matches!(e, Entry::Exception(_) | Entry::ExceptionGone(..)));
    if kept {
        upkeep::overwrite_freed(conn, true)?;
    }
    let applied = saves::apply(conn, entries);
    if kept {
        upkeep::overwrite_freed(conn, false)?;
    }
    applied?;
    Ok(Ok(()))
}

/// Everything that can refuse comes first and only reads, except what needs a savepoint.
fn commit_one(conn: &Connection, w: &mut Writer, commit: &Commit, now: Timestamp) -> Result<Committed, Fault> {
    let planned = w.log.plan(conn, &commit.events, now)?;
    if !planned.is_empty() && !planned.iter().any(|p| matches!(p, Planned::Append)) {
        let events = settle(&planned, |_| Err(Fault::broken("a repeat was appended")))?;
        return Ok(Committed { events, versions: Vec::new() });
    }
    let places = guards::check(conn, &w.shared.shapes, &w.log.head, &commit.guards)?;
    let versions = state_changes(conn, &w.shared.shapes, commit, &places, now)?;
    let log = &mut w.log;
    let events = settle(&planned, |n| log.append(conn, &commit.events[n], now))?;
    Ok(Committed { events, versions })
}

fn settle(
    planned: &[Planned],
    mut append: impl FnMut(usize) -> Result<Appended, Fault>,
) -> Result<Vec<Appended>, Fault> {
    let mut events: Vec<Appended> = Vec::with_capacity(planned.len());
    for (n, plan) in planned.iter().enumerate() {
        events.push(match plan {
            Planned::Append => append(n)?,
            Planned::Repeat(appended) => *appended,
            Planned::Same(earlier) => Appended { repeat: true, ..events[*earlier] },
        });
    }
    Ok(events)
}

fn state_changes(
    conn: &Connection,
    shapes: &Shapes,
    commit: &Commit,
    places: &[guards::Place<'_>],
    now: Timestamp,
) -> Result<Vec<u64>, Fault> {
    if commit.documents.is_empty() && commit.timers.is_empty() {
        return Ok(Vec::new());
    }
    let refusable = documents::can_be_refused(shapes, &commit.documents)
        || commit.timers.iter().any(|t| matches!(t, TimerWrite::Fire { .. }));
    if !refusable {
        timers::apply(conn, &commit.timers)?;
        return documents::apply(conn, shapes, &commit.documents, places, now);
    }
    conn.prepare_cached("SAVEPOINT one")?.execute([])?;
    let applied = timers::apply(conn, &commit.timers)
        .and_then(|()| documents::apply(conn, shapes, &commit.documents, places, now));
    if let Err(Fault::Refused(_)) = applied {
        conn.prepare_cached("ROLLBACK TO one")?.execute([])?;
    }
    conn.prepare_cached("RELEASE one")?.execute([])?;
    applied
}
