//! Walking the log of a database file, read-only, also while its hub runs.

use std::{os::unix::ffi::OsStrExt, path::Path, sync::Arc};

use nexus_core::{chain::Checkpoint, event::Seq, topic::Topic};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::walk::{Checks, PAGE_EVENTS, Phase, VerifyError, VerifyReport, Walk};
use crate::sqlite::{
    meta,
    rows::{COLUMNS, decode},
    schema,
    settings::{Found, inspect},
};

/// As [`verify_with`], against a checkpoint or nothing.
pub fn verify(path: &Path, against: Option<&Checkpoint>) -> Result<VerifyReport, VerifyError> {
    verify_with(path, &Checks { against, ..Checks::default() })
}

/// Walks the chain of a database (a file, or the folder it lies in) and names the first thing that is wrong: a changed,
/// missing or moved event, a beginning that was cut by nobody who may, a tail that was cut after `against` was signed, a
/// damaged file.
pub fn verify_with(path: &Path, checks: &Checks<'_>) -> Result<VerifyReport, VerifyError> {
    let file = if path.is_dir() { path.join("nexus.db") } else { path.to_owned() };
    let (conn, found) = open(&file)?;
    match found {
        Found::Ours(version) if version <= schema::FORMAT => {}
        _ => return Err(VerifyError::Foreign(file)),
    }
    let report = loop {
        match walk(&conn, checks) {
            // A hub's retention dropped them while this walk was on its way there.
            Err(VerifyError::Missing { seq, .. }) if meta::anchor(&conn)?.seq >= seq => {}
            done => break done?,
        }
    };
    checks.tell(Phase::Structure, 0, 0);
    let mut statement = conn.prepare("PRAGMA quick_check(1)")?;
    let said: String = statement.query_row([], |row| row.get(0))?;
    if said == "ok" { Ok(report) } else { Err(VerifyError::Damaged(said)) }
}

/// Opens a database to read it. One in a folder that can't be written lets SQLite make no file for its readers to agree in;
/// where no WAL lies beside it, nothing writes to it either, and it is read as it stands.
fn open(file: &Path) -> rusqlite::Result<(Connection, Found)> {
    let look = |conn: Connection| inspect(&conn).map(|found| (conn, found));
    let opened = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(look);
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    match opened {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && !Path::new(&wal).exists() => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
            let uri = format!("file:{}?immutable=1", escaped(&absolute));
            // What went wrong first tells more than what went wrong with the way round it.
            Connection::open_with_flags(uri, flags).and_then(look).map_err(|_| error)
        }
        opened => opened,
    }
}

/// A path as it stands in a URI.
fn escaped(path: &Path) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-~".contains(&b);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.map(|b| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn walk(conn: &Connection, checks: &Checks<'_>) -> Result<VerifyReport, VerifyError> {
    // One moment's view: a running hub may move both.
    let moment = conn.unchecked_transaction()?;
    let (epoch, anchor, cut) = (meta::epoch(&moment)?, meta::anchor(&moment)?, meta::cut(&moment)?);
    let total = meta::head(&moment)?.seq.saturating_sub(anchor.seq);
    drop(moment);
    let mut walk = Walk::begin(epoch, anchor.seq, Some(anchor.hash), cut, checks)?;
    let (mut types, mut sources): (Vec<Topic>, Vec<Arc<str>>) = (Vec::new(), Vec::new());
    loop {
        checks.tell(Phase::Walk, walk.next() - anchor.seq - 1, total);
        // Names may be added while a running hub's log is walked, always before the events that use them.
        if count(conn, "types")? != types.len() {
            types = names(conn, "types", walk.next())?.into_iter().map(Topic::from_canonical).collect();
        }
        if count(conn, "sources")? != sources.len() {
            sources = names(conn, "sources", walk.next())?;
        }
        if !page(conn, &types, &sources, &mut walk)? {
            return walk.end();
        }
    }
}

/// Walks one page; false at the end of the log.
fn page(conn: &Connection, types: &[Topic], sources: &[Arc<str>], walk: &mut Walk<'_>) -> Result<bool, VerifyError> {
    let from = walk.next();
    let unreadable = |seq: Seq| move |error: rusqlite::Error| VerifyError::Unreadable { seq, why: error.to_string() };
    // The last name may belong to an event committed after the names were read: such a page is read again.
    let sql = format!("SELECT {COLUMNS} FROM events NOT INDEXED WHERE seq >= ?1 ORDER BY seq LIMIT ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query((from, PAGE_EVENTS))?;
    while let Some(row) = rows.next().map_err(unreadable(walk.next()))? {
        let (type_id, source_id): (usize, usize) = (row.get(2)?, row.get(3)?);
        if walk.next() > from && (type_id > types.len() || source_id > sources.len()) {
            return Ok(true);
        }
        let event = decode(row, types, sources).map_err(unreadable(walk.next()))?;
        walk.step(&event)?;
    }
    Ok(walk.next() > from)
}

/// How many names a dictionary has, if it has no gap.
fn count(conn: &Connection, table: &str) -> rusqlite::Result<usize> {
    conn.query_row(&format!("SELECT coalesce(max(id), 0) FROM {table}"), [], |row| row.get(0))
}

/// The names of a dictionary in order of their numbers, which begin at 1 and have no gap.
fn names(conn: &Connection, table: &str, next: Seq) -> Result<Vec<Arc<str>>, VerifyError> {
    let mut statement = conn.prepare_cached(&format!("SELECT name, id FROM {table} ORDER BY id"))?;
    let mut found = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: usize = row.get(1)?;
        if id != found.len() + 1 {
            return Err(VerifyError::Unreadable { seq: next, why: format!("{table} has no name {}", found.len() + 1) });
        }
        found.push(row.get(0)?);
    }
    Ok(found)
}
