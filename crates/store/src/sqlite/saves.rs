//! Writing bookkeeping: positions, receipts, exceptions.

use nexus_core::store::{Entry, Exception, ExceptionState, ReceiptBlock};
use rusqlite::Connection;

/// The number a state is stored as; 0 and 2 are named in the schema's partial indexes.
pub(super) const fn state_number(state: ExceptionState) -> u8 {
    match state {
        ExceptionState::Retrying => 0,
        ExceptionState::Dead => 1,
        ExceptionState::Delivered => 2,
    }
}

/// Blocks that span at most `2^class` seqs. Looking for the blocks around one seq, each class is one short range.
pub(super) const fn span_class(first: u64, last: u64) -> u8 {
    let span = last.saturating_sub(first);
    #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
    let class = (u64::BITS - span.leading_zeros()) as u8;
    class
}

/// Writes the entries in order.
pub(super) fn apply(conn: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    for entry in entries {
        match entry {
            Entry::Position(p) => {
                conn.prepare_cached(
                    "INSERT INTO positions(sub, lane, next) VALUES(?1, ?2, ?3) \
                     ON CONFLICT(sub, lane) DO UPDATE SET next = excluded.next",
                )?
                .execute((p.sub, p.lane, p.next))?;
            }
            Entry::PositionGone(sub, lane) => {
                conn.prepare_cached("DELETE FROM positions WHERE sub = ?1 AND lane = ?2")?.execute((sub, lane))?;
            }
            Entry::Receipts(block) => receipts(conn, block)?,
            Entry::Exception(exception) => put_exception(conn, exception)?,
            Entry::ExceptionGone(sub, seq, generation) => {
                conn.prepare_cached("DELETE FROM exceptions WHERE sub = ?1 AND seq = ?2 AND generation = ?3")?
                    .execute((sub, seq, generation))?;
            }
        }
    }
    Ok(())
}

fn receipts(conn: &Connection, block: &ReceiptBlock) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO receipts(scope, class, first, last, at, block) VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute((
        block.scope,
        span_class(block.first, block.last),
        block.first,
        block.last,
        block.at.micros(),
        block.block.as_ref(),
    ))?;
    Ok(())
}

fn put_exception(conn: &Connection, e: &Exception) -> rusqlite::Result<()> {
    let waiting = (!e.waiting.is_empty()).then(|| waiting_text(&e.waiting));
    conn.prepare_cached(
        "INSERT INTO exceptions(sub, seq, generation, lane, state, attempts, next_at, key, waiting, updated_at, log) \
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT(sub, seq, generation) DO UPDATE SET \
         lane = excluded.lane, state = excluded.state, attempts = excluded.attempts, next_at = excluded.next_at, \
         key = excluded.key, waiting = excluded.waiting, updated_at = excluded.updated_at, log = excluded.log",
    )?
    .execute((
        e.sub,
        e.seq,
        e.generation,
        e.lane,
        state_number(e.state),
        e.attempts,
        e.next_at.micros(),
        e.key.as_deref(),
        waiting,
        e.updated_at.micros(),
        &e.log,
    ))?;
    Ok(())
}

/// A JSON array, as a person may read it in the table.
fn waiting_text(waiting: &[u64]) -> String {
    let numbers: Vec<String> = waiting.iter().map(u64::to_string).collect();
    format!("[{}]", numbers.join(","))
}
