//! Reading bookkeeping: positions, receipts, exceptions.

use bytes::Bytes;
use nexus_core::{
    event::Seq,
    store::{Exception, ExceptionQuery, ExceptionState, Position, ReceiptBlock, SubNo},
    time::Timestamp,
};
use rusqlite::{Connection, Row, ToSql, types::FromSqlError};

use super::saves::state_number;

/// Spans of receipt blocks are less than `2^40` seqs.
const CLASSES: u8 = 40;

/// A limit as SQLite takes it.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// All positions.
pub(super) fn positions(conn: &Connection) -> rusqlite::Result<Vec<Position>> {
    conn.prepare_cached("SELECT sub, lane, next FROM positions ORDER BY sub, lane")?
        .query_map([], |row| Ok(Position { sub: row.get(0)?, lane: row.get(1)?, next: row.get(2)? }))?
        .collect()
}

/// Blocks that may hold `seq`, or the newest ones.
pub(super) fn receipts(
    conn: &Connection,
    scope: SubNo,
    seq: Option<Seq>,
    limit: usize,
) -> rusqlite::Result<Vec<ReceiptBlock>> {
    let Some(seq) = seq else {
        return conn
            .prepare_cached(
                "SELECT scope, first, last, at, block FROM receipts INDEXED BY receipts_scope WHERE scope = ?1 \
                 ORDER BY id DESC LIMIT ?2",
            )?
            .query_map((scope, rows(limit)), block)?
            .collect();
    };
    let seq = seq.min(i64::MAX.unsigned_abs());
    let mut statement = conn.prepare_cached(
        "SELECT scope, first, last, at, block FROM receipts INDEXED BY receipts_span \
         WHERE scope = ?1 AND class = ?2 AND first BETWEEN ?3 AND ?4 AND last >= ?4 LIMIT ?5",
    )?;
    let mut found = Vec::new();
    for class in 0..=CLASSES {
        let earliest = seq.saturating_sub((1 << class) - 1);
        let left = limit.saturating_sub(found.len());
        if left == 0 {
            break;
        }
        for block in statement.query_map((scope, class, earliest, seq, rows(left)), block)? {
            found.push(block?);
        }
    }
    Ok(found)
}

fn block(row: &Row<'_>) -> rusqlite::Result<ReceiptBlock> {
    Ok(ReceiptBlock {
        scope: row.get(0)?,
        first: row.get(1)?,
        last: row.get(2)?,
        at: Timestamp::from_micros(row.get(3)?),
        block: Bytes::copy_from_slice(row.get_ref(4)?.as_blob()?),
    })
}

/// Exceptions by the index that fits.
pub(super) fn exceptions(conn: &Connection, query: &ExceptionQuery) -> rusqlite::Result<Vec<Exception>> {
    let (sql, values) = statement(query);
    conn.prepare_cached(&sql)?.query_map(rusqlite::params_from_iter(values), exception)?.collect()
}

/// Without statistics the planner takes the index by state for what is due, and sorts; so that one is named.
fn statement(query: &ExceptionQuery) -> (String, Vec<Box<dyn ToSql>>) {
    let due = query.due_before;
    let mut sql = format!(
        "SELECT sub, seq, generation, lane, state, attempts, next_at, key, waiting, log, updated_at FROM exceptions{} \
         WHERE true",
        if due.is_some() { " INDEXED BY exceptions_due" } else { "" }
    );
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut add = |text: &str, value: Box<dyn ToSql>| {
        values.push(value);
        sql.push_str(&text.replace('?', &format!("?{}", values.len())));
    };
    if let Some(due) = due {
        add(" AND state = 0 AND next_at < ?", Box::new(due.micros()));
    }
    if let Some(sub) = query.sub {
        // The plus keeps the column in the order, so that the index still gives it.
        add(if due.is_some() { " AND +sub = ?" } else { " AND sub = ?" }, Box::new(sub));
    }
    if let Some(seq) = query.seq {
        add(if due.is_some() { " AND +seq = ?" } else { " AND seq = ?" }, Box::new(seq));
    }
    if let Some(state) = query.state {
        add(" AND state = ?", Box::new(state_number(state)));
    }
    if let Some((sub, seq, generation)) = query.after.filter(|_| due.is_none()) {
        let n = values.len();
        sql.push_str(&format!(" AND (sub, seq, generation) > (?{}, ?{}, ?{})", n + 1, n + 2, n + 3));
        values.push(Box::new(sub));
        values.push(Box::new(seq));
        values.push(Box::new(generation));
    }
    let order = if due.is_some() { "next_at, sub, seq, generation" } else { "sub, seq, generation" };
    values.push(Box::new(rows(query.limit)));
    sql.push_str(&format!(" ORDER BY {order} LIMIT ?{}", values.len()));
    (sql, values)
}

fn exception(row: &Row<'_>) -> rusqlite::Result<Exception> {
    let waiting: Option<String> = row.get(8)?;
    let number: u8 = row.get(4)?;
    Ok(Exception {
        sub: row.get(0)?,
        seq: row.get(1)?,
        generation: row.get(2)?,
        lane: row.get(3)?,
        state: state(number)?,
        attempts: row.get(5)?,
        next_at: Timestamp::from_micros(row.get(6)?),
        key: row.get(7)?,
        waiting: match waiting {
            Some(text) => serde_json::from_str(&text).map_err(|e| FromSqlError::Other(Box::new(e)))?,
            None => Vec::new(),
        },
        log: row.get(9)?,
        updated_at: Timestamp::from_micros(row.get(10)?),
    })
}

fn state(number: u8) -> Result<ExceptionState, FromSqlError> {
    [ExceptionState::Retrying, ExceptionState::Dead, ExceptionState::Delivered]
        .into_iter()
        .find(|s| state_number(*s) == number)
        .ok_or(FromSqlError::OutOfRange(i64::from(number)))
}

/// How many there are per subscription and state.
pub(super) fn exception_counts(conn: &Connection) -> rusqlite::Result<Vec<(SubNo, ExceptionState, u64)>> {
    conn.prepare_cached("SELECT sub, state, count(*) FROM exceptions INDEXED BY exceptions_state GROUP BY state, sub")?
        .query_map([], |row| Ok((row.get(0)?, state(row.get(1)?)?, row.get(2)?)))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_ask_for_exceptions_is_one_walk_of_an_index() {
        let mut conn = Connection::open_in_memory().unwrap();
        super::super::schema::migrate(&mut conn, 0).unwrap();
        for mask in 0..32u8 {
            let asked = |bit: u8| mask & (1 << bit) != 0;
            let query = ExceptionQuery {
                sub: asked(0).then_some(1),
                seq: asked(1).then_some(1),
                state: asked(2).then_some(ExceptionState::Retrying),
                due_before: asked(3).then_some(Timestamp::from_secs(1)),
                after: asked(4).then_some((1, 1, 1)),
                limit: 10,
            };
            let (sql, values) = statement(&query);
            let plan: Vec<String> = conn
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap()
                .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            let whole = plan.join("; ");
            assert!(whole.contains("USING INDEX") && !whole.contains("TEMP B-TREE"), "{query:?}: {whole}");
        }
    }
}
