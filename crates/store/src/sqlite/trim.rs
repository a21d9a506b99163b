//! Retention over the log: bodies are erased by type, and a prefix of stubs is dropped behind a signed anchor.

use nexus_core::{
    event::Seq,
    store::{Trim, Trimmed},
    time::Timestamp,
};
use rusqlite::Connection;

use super::{
    meta::{self, Anchor},
    upkeep::{STEP_ROWS, behead, erase, overwrite_freed, transact},
    writer::Writer,
};

/// Pages given back to the disk after one step.
const FREED_PAGES: u32 = 1_024;

/// One step: at most `limit` rows, and no more than [`STEP_ROWS`].
pub(super) fn step(conn: &Connection, w: &mut Writer, trim: &Trim, limit: usize) -> rusqlite::Result<Trimmed> {
    let limit = limit.clamp(1, STEP_ROWS);
    let lists = erasable_types(w, trim);
    overwrite_freed(conn, true)?;
    let done = transact(conn, w, |conn, w| {
        let mut trimmed = Trimmed::default();
        let mut left = limit;
        for list in lists {
            let (examined, erased) = erase_some(conn, w, list, trim.erase_before, left)?;
            trimmed.erased += erased;
            left -= examined;
            trimmed.more |= left == 0;
            if left == 0 {
                break;
            }
        }
        let dropped = if left > 0 { drop_some(conn, w, trim, left)? } else { 0 };
        trimmed.dropped = dropped as u64;
        trimmed.more |= left > 0 && dropped == left;
        Ok(trimmed)
    });
    overwrite_freed(conn, false)?;
    let trimmed = done?;
    w.log.durable = w.log.head;
    w.shared.set_head(w.log.head);
    if trimmed.dropped > 0 || trimmed.erased > 0 {
        let freed = conn.execute_batch(&format!("PRAGMA incremental_vacuum({FREED_PAGES})"));
        if let Err(error) = &freed {
            w.judge(conn, error);
        }
        freed?;
    }
    Ok(trimmed)
}

/// Which types to walk; `None` = the whole log.
fn erasable_types(w: &Writer, trim: &Trim) -> Vec<Option<u32>> {
    if trim.types.is_empty() {
        return vec![None];
    }
    trim.types.iter().filter_map(|name| w.log.dictionaries.types.find(name)).map(Some).collect()
}

/// Erases among the next rows of one type; gives how many were looked at and how many erased.
fn erase_some(
    conn: &Connection,
    w: &mut Writer,
    of_type: Option<u32>,
    before: Seq,
    limit: usize,
) -> rusqlite::Result<(usize, u64)> {
    let done_to = w.erased_to.get(&of_type).copied().unwrap_or(0);
    let before = before.min(i64::MAX.unsigned_abs());
    let seqs: Vec<Seq> = match of_type {
        None => conn
            .prepare_cached("SELECT seq FROM events NOT INDEXED WHERE seq > ?1 AND seq < ?2 ORDER BY seq LIMIT ?3")?
            .query_map((done_to, before, limit), |row| row.get(0))?
            .collect::<Result<_, _>>()?,
        Some(id) => conn
            .prepare_cached(
                "SELECT seq FROM events INDEXED BY events_type WHERE type = ?4 AND seq > ?1 AND seq < ?2 \
                 ORDER BY seq LIMIT ?3",
            )?
            .query_map((done_to, before, limit, id), |row| row.get(0))?
            .collect::<Result<_, _>>()?,
    };
    let mut erased = 0;
    for seq in &seqs {
        if erase(conn, *seq)? {
            behead(conn, *seq)?;
            erased += 1;
        }
    }
    // If this transaction is undone, these rows are erased by a later start: the mark lives in memory only.
    if let Some(last) = seqs.last() {
        w.erased_to.insert(of_type, *last);
    }
    Ok((seqs.len(), erased))
}

/// Drops erased rows from the log's beginning, up to the first that is not erased, and signs the cut.
fn drop_some(conn: &Connection, w: &mut Writer, trim: &Trim, limit: usize) -> rusqlite::Result<usize> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, hash, time, digest IS NOT NULL FROM events NOT INDEXED WHERE seq < ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query((trim.drop_before.min(i64::MAX.unsigned_abs()), limit))?;
    let mut last = None;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        if !row.get::<_, bool>(3)? {
            break;
        }
        count += 1;
        last = Some(Anchor { seq: row.get(0)?, hash: row.get(1)?, time: Timestamp::from_micros(row.get(2)?) });
    }
    drop(rows);
    let Some(anchor) = last else { return Ok(0) };
    conn.prepare_cached("DELETE FROM events WHERE seq <= ?1")?.execute([anchor.seq])?;
    meta::set_anchor(conn, &anchor)?;
    let cut = trim.signer.checkpoint(w.log.head.epoch, anchor.seq, &anchor.hash, w.shared.clock.now());
    meta::set_cut(conn, &cut)?;
    w.log.head.first = anchor.seq + 1;
    Ok(count)
}
