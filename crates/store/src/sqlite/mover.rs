//! Moves the WAL into the file on a thread and a connection of its own, so that commits go on meanwhile.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use rusqlite::{Connection, config::DbConfig};

/// Passes over the WAL: each moves what came during the one before, so they get shorter.
const PASSES: usize = 4;
/// Pages that may be left for the writer, which moves them between two groups.
const LEFT_PAGES: u64 = 500;

enum Stage {
    Idle,
    Asked,
    Moved(rusqlite::Result<()>),
    Closed,
}

struct Desk {
    stage: Mutex<Stage>,
    changed: Condvar,
}

impl Desk {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False once there is nothing more to do.
    fn is_asked(&self) -> bool {
        let waits = |stage: &mut Stage| matches!(stage, Stage::Idle | Stage::Moved(_));
        let stage = self.changed.wait_while(self.stage(), waits).unwrap_or_else(PoisonError::into_inner);
        matches!(*stage, Stage::Asked)
    }

    fn tell(&self, result: rusqlite::Result<()>) {
        let mut stage = self.stage();
        if matches!(*stage, Stage::Asked) {
            *stage = Stage::Moved(result);
        }
        self.changed.notify_all();
    }
}

/// See the module. Dropped, it ends with the pass it is in.
pub(super) struct Mover {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Mover {
    /// `wal_pages` says how long the WAL is.
    pub(super) fn start(conn: Connection, wal_pages: Arc<AtomicU64>) -> std::io::Result<Self> {
        let desk = Arc::new(Desk { stage: Mutex::new(Stage::Idle), changed: Condvar::new() });
        let its = Arc::clone(&desk);
        let thread = std::thread::Builder::new().name("store-move".to_owned()).spawn(move || {
            // The writer's connection closes last and decides whether the file can be trusted.
            let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            while its.is_asked() {
                its.tell(move_most(&conn, &wal_pages));
            }
        })?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Begins to move, unless it does already.
    pub(super) fn ask(&self) {
        let mut stage = self.desk.stage();
        if matches!(*stage, Stage::Idle) {
            *stage = Stage::Asked;
            self.desk.changed.notify_all();
        }
    }

    /// How the last move went, once.
    pub(super) fn outcome(&self) -> Option<rusqlite::Result<()>> {
        Self::take(&mut self.desk.stage())
    }

    /// The same, after waiting for a move that is going on.
    pub(super) fn finished(&self) -> Option<rusqlite::Result<()>> {
        let moves = |stage: &mut Stage| matches!(stage, Stage::Asked);
        let stage = self.desk.changed.wait_while(self.desk.stage(), moves);
        Self::take(&mut stage.unwrap_or_else(PoisonError::into_inner))
    }

    fn take(stage: &mut Stage) -> Option<rusqlite::Result<()>> {
        match std::mem::replace(stage, Stage::Idle) {
            Stage::Moved(result) => Some(result),
            other => {
                *stage = other;
                None
            }
        }
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        *self.desk.stage() = Stage::Closed;
        self.desk.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn move_most(conn: &Connection, wal_pages: &AtomicU64) -> rusqlite::Result<()> {
    let mut before = None;
    for _ in 0..PASSES {
        let moved = checkpoint(conn)?;
        // A reader that still needs the file as it was keeps a pass from getting further.
        if before == Some(moved) || wal_pages.load(Ordering::Relaxed).saturating_sub(moved) <= LEFT_PAGES {
            break;
        }
        before = Some(moved);
    }
    Ok(())
}

/// Moves what no reader needs to be where it is; pages of the WAL that are in the file now. Errors are ours to judge: a
/// failed sync has to stop the store.
pub(super) fn checkpoint(conn: &Connection) -> rusqlite::Result<u64> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2))
        .map(|pages| u64::try_from(pages).unwrap_or(0))
}
