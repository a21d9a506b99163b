//! Timers: set, cancelled and fired by commits. A row's number is its version, and numbers are never given twice.

use nexus_core::{
    store::{CommitError, Timer, TimerWrite},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{entry_reads::rows, group::Fault};

/// Applies the changes in order.
pub(super) fn apply(conn: &Connection, writes: &[TimerWrite]) -> Result<(), Fault> {
    for write in writes {
        match write {
            TimerWrite::Set { id, due, kind, body } => {
                conn.prepare_cached("INSERT OR REPLACE INTO timers(id, due, kind, body) VALUES(?1, ?2, ?3, ?4)")?
                    .execute((id, due.micros(), kind, body))?;
            }
            TimerWrite::Cancel(id) => {
                conn.prepare_cached("DELETE FROM timers WHERE id = ?1")?.execute([id])?;
            }
            TimerWrite::Fire { id, version } => {
                let removed =
                    conn.prepare_cached("DELETE FROM timers WHERE id = ?1 AND version = ?2")?.execute((id, version))?;
                if removed == 0 {
                    return Err(Fault::Refused(CommitError::Timer(id.clone())));
                }
            }
        }
    }
    Ok(())
}

/// Timers due at or before `now`, earliest first.
pub(super) fn due(conn: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<Vec<Timer>> {
    conn.prepare_cached("SELECT id, due, kind, body, version FROM timers WHERE due <= ?1 ORDER BY due, id LIMIT ?2")?
        .query_map((now.micros(), rows(limit)), read)?
        .collect()
}

/// The timer of this name.
pub(super) fn one(conn: &Connection, id: &str) -> rusqlite::Result<Option<Timer>> {
    conn.prepare_cached("SELECT id, due, kind, body, version FROM timers WHERE id = ?1")?
        .query_row([id], read)
        .optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Timer> {
    Ok(Timer {
        id: row.get(0)?,
        due: Timestamp::from_micros(row.get(1)?),
        kind: row.get(2)?,
        body: row.get(3)?,
        version: row.get(4)?,
    })
}

/// When the earliest one is due.
pub(super) fn next_due(conn: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    conn.prepare_cached("SELECT due FROM timers ORDER BY due LIMIT 1")?
        .query_row([], |row| row.get(0).map(Timestamp::from_micros))
        .optional()
}
