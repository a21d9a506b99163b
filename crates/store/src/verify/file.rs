//! Walking the log of a database file, read-only, also while its hub runs.

use std::{path::Path, sync::Arc};

use nexus_core::{chain::Checkpoint, event::Seq, topic::Topic};
use rusqlite::{Connection, OpenFlags};

use super::walk::{PAGE_EVENTS, VerifyError, VerifyReport, Walk};
use crate::sqlite::{
    meta,
    rows::{COLUMNS, decode},
    schema,
    settings::{Found, inspect},
};

/// Walks the chain of a database (a file, or the folder it lies in) and names the first thing that is wrong: a changed,
/// missing or moved event, a tail that was cut after `against` was signed, a damaged file.
pub fn verify(path: &Path, against: Option<&Checkpoint>) -> Result<VerifyReport, VerifyError> {
    let file = if path.is_dir() { path.join("nexus.db") } else { path.to_owned() };
    let conn = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match inspect(&conn)? {
        Found::Ours(version) if version <= schema::FORMAT => {}
        _ => return Err(VerifyError::Foreign(file)),
    }
    let report = walk(&conn, against)?;
    let mut statement = conn.prepare("PRAGMA quick_check(1)")?;
    let said: String = statement.query_row([], |row| row.get(0))?;
    if said == "ok" { Ok(report) } else { Err(VerifyError::Damaged(said)) }
}

fn walk(conn: &Connection, against: Option<&Checkpoint>) -> Result<VerifyReport, VerifyError> {
    let anchor = meta::anchor(conn)?;
    let mut walk = Walk::begin(meta::epoch(conn)?, anchor.seq, Some(anchor.hash), against)?;
    loop {
        // Names may be added while a running hub's log is walked, always before the events that use them.
        let types: Vec<Topic> = names(conn, "types", walk.next())?.into_iter().map(Topic::from_canonical).collect();
        let sources = names(conn, "sources", walk.next())?;
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
