//! Opening connections with the settings that `storage.md` measured.

use std::{
    ffi::c_int,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::{Connection, OpenFlags, hooks::Wal};

use super::{
    options::{OpenError, SqliteOptions},
    schema,
};

/// The writer's page cache. Whenever a page of an index splits, SQLite walks the whole cache at the commit, so that more
/// would cost more than it saves: with 64 MiB that walk was a tenth of a group.
const CACHE_KIB: u32 = 16 << 10;
/// The WAL is cut to this when it starts anew after having been longer.
const WAL_KEPT_BYTES: u64 = 64 << 20;

/// Opens the one connection that writes; makes or migrates the file. `wal_pages` is told how long the WAL
/// is after each commit.
pub(super) fn open_writer(
    file: &Path,
    options: &SqliteOptions,
    wal_pages: &Arc<AtomicU64>,
) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Database { path: file.to_owned(), source };
    if options.vfs.is_none() {
        make_private(file);
    }
    let mut conn =
        open(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE, options).map_err(failed)?;
    let found = inspect(&conn).map_err(failed)?;
    match found {
        Found::Fresh => {
            // Both only take hold before the first table.
            conn.execute_batch("PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL;").map_err(failed)?;
        }
        Found::Ours(version) if version > schema::FORMAT => {
            return Err(OpenError::Newer { found: version, known: schema::FORMAT });
        }
        Found::Ours(_) => {}
        Found::Foreign => return Err(OpenError::Foreign { path: file.to_owned() }),
    }
    conn.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
         PRAGMA journal_size_limit={WAL_KEPT_BYTES}; PRAGMA cache_size=-{CACHE_KIB}; PRAGMA mmap_size=0; \
         PRAGMA temp_store=MEMORY; PRAGMA busy_timeout=5000;"
    ))
    .map_err(failed)?;
    schema::migrate(&mut conn, if let Found::Ours(version) = found { version } else { 0 }).map_err(failed)?;
    if let Some(pages) = options.page_limit {
        conn.pragma_update(None, "max_page_count", pages).map_err(failed)?;
    }
    conn.set_prepared_statement_cache_capacity(512);
    // Takes the place of SQLite's own checkpoints, which would be made within COMMIT, before the answers.
    let told = Arc::clone(wal_pages);
    conn.wal_hook(Some(move |_: &mut Wal, pages: c_int| {
        told.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }))
    .map_err(failed)?;
    Ok(conn)
}

/// Makes the file of a new log, for nobody else to read; the WAL gets the same mode. What goes wrong here is said by whoever
/// opens it.
fn make_private(file: &Path) {
    let mut new = std::fs::OpenOptions::new();
    new.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut new, 0o600);
    drop(new.open(file));
}

/// Opens the connection that moves the WAL into the file.
pub(super) fn open_mover(file: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let conn = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE, options)?;
    conn.execute_batch("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA mmap_size=0;")?;
    Ok(conn)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(file: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let conn = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY, options)?;
    conn.execute_batch(
        "PRAGMA cache_size=-16384; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA busy_timeout=5000;",
    )?;
    conn.set_prepared_statement_cache_capacity(512);
    Ok(conn)
}

fn open(file: &Path, flags: OpenFlags, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(file, flags, vfs.as_str()),
        None => Connection::open_with_flags(file, flags),
    }
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No table yet.
    Fresh,
    /// Ours, of this format.
    Ours(u32),
    /// Another program's.
    Foreign,
}

/// Looks at the file's header.
pub(crate) fn inspect(conn: &Connection) -> rusqlite::Result<Found> {
    let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: u32 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (id, tables) {
        (schema::APPLICATION_ID, _) => Found::Ours(version),
        (0, 0) => Found::Fresh,
        _ => Found::Foreign,
    })
}
