//! Reading the log: runs, single events, the seq at a time.

use std::sync::Arc;

use nexus_core::{
    event::{Priority, Seq, StoredEvent},
    id::EventId,
    store::{Limit, SeqRange, WEIGHED_EVENTS, Weight},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    dictionary::Names,
    rows::{COLUMNS, decode},
};

/// A run of the log, ascending.
pub(super) fn run(
    conn: &Connection,
    names: &Names,
    range: SeqRange,
    limit: Limit,
) -> rusqlite::Result<Vec<Arc<StoredEvent>>> {
    let condition = match range.priority {
        None => "",
        Some(Priority::Normal) => " AND priority = 1",
        Some(Priority::Low) => " AND priority <> 1 AND priority = 0",
        Some(Priority::High) => " AND priority <> 1 AND priority = 2",
        Some(Priority::Critical) => " AND priority <> 1 AND priority = 3",
    };
    // The planner has no statistics: without the name it would walk the log for a rare priority.
    let index = match range.priority {
        None | Some(Priority::Normal) => "NOT INDEXED",
        Some(_) => "INDEXED BY events_priority",
    };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM events {index} WHERE seq > ?1 AND seq <= ?2{condition} ORDER BY seq LIMIT ?3"
    ))?;
    let until = range.until.unwrap_or(Seq::MAX).min(i64::MAX.unsigned_abs());
    let after = range.after.min(i64::MAX.unsigned_abs());
    let items = limit.items.min(1_000_000);
    names.with(|types, sources| {
        let mut rows = statement.query((after, until, items))?;
        let mut events = Vec::with_capacity(items.min(1_024));
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let event = decode(row, types, sources)?;
            bytes += event.weight();
            events.push(Arc::new(event));
            if bytes > limit.bytes {
                break;
            }
        }
        Ok(events)
    })
}

/// One event by id.
pub(super) fn by_id(conn: &Connection, names: &Names, id: EventId) -> rusqlite::Result<Option<Arc<StoredEvent>>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE id = ?1"))?;
    names
        .with(|types, sources| statement.query_row([id.as_bytes()], |row| decode(row, types, sources)).optional())
        .map(|found| found.map(Arc::new))
}

/// What the data of each event of a run takes. `length` of a blob is in the row's head: no data is read.
pub(super) fn weights(conn: &Connection, names: &Names, first: Seq, last: Seq) -> rusqlite::Result<Vec<Weight>> {
    let last = last.min(first.saturating_add(WEIGHED_EVENTS - 1)).min(i64::MAX.unsigned_abs());
    let mut statement = conn.prepare_cached(
        "SELECT seq, type, length(data) FROM events NOT INDEXED WHERE seq BETWEEN ?1 AND ?2 AND digest IS NULL ORDER BY seq",
    )?;
    names.with(|types, _| {
        let mut rows = statement.query((first.min(i64::MAX.unsigned_abs()), last))?;
        let mut weights = Vec::new();
        while let Some(row) = rows.next()? {
            let number: usize = row.get(1)?;
            let topic = number.checked_sub(1).and_then(|n| types.get(n));
            let topic =
                topic.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, i64::try_from(number).unwrap_or(-1)))?;
            weights.push(Weight { seq: row.get(0)?, topic: topic.clone(), bytes: row.get(2)? });
        }
        Ok(weights)
    })
}

/// First seq committed at or after `time`, by halving: times ascend with seq. `None` when there is none.
pub(super) fn seq_at(conn: &Connection, time: Timestamp) -> rusqlite::Result<Option<Seq>> {
    let bounds: (Option<Seq>, Option<Seq>) = conn
        .prepare_cached("SELECT (SELECT min(seq) FROM events), (SELECT max(seq) FROM events)")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(mut low), Some(last)) = bounds else { return Ok(None) };
    let mut high = last + 1;
    let mut statement = conn.prepare_cached("SELECT time FROM events WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: i64 = statement.query_row([middle], |row| row.get(0))?;
        if found < time.micros() {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok((low <= last).then_some(low))
}
