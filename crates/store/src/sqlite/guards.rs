//! Checking what a decision relied on, inside the writer's transaction.

use nexus_core::store::{CommitError, Guard, Head, Range};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::{
    collections::Shapes,
    group::{Fault, find_shape},
    segments::{Bound, segments},
};
use crate::shape;

/// Fails with the number of the first guard that does not hold.
pub(super) fn check(conn: &Connection, shapes: &Shapes, head: &Head, guards: &[Guard]) -> Result<(), Fault> {
    for (n, guard) in guards.iter().enumerate() {
        if !holds(conn, shapes, head, guard)? {
            return Err(Fault::Refused(CommitError::Conflict { guard: n }));
        }
    }
    Ok(())
}

fn holds(conn: &Connection, shapes: &Shapes, head: &Head, guard: &Guard) -> Result<bool, Fault> {
    match guard {
        Guard::Version(key, version) => {
            let shape = find_shape(shapes, key.collection)?;
            let found: Option<u64> =
                conn.prepare_cached(&shape.version)?.query_row([&key.key], |row| row.get(0)).optional()?;
            Ok(found == Some(*version))
        }
        Guard::Absent(key) => {
            let shape = find_shape(shapes, key.collection)?;
            Ok(!conn.prepare_cached(&shape.version)?.exists([&key.key])?)
        }
        Guard::Empty(range) => Ok(count(conn, shapes, range, 1)? == 0),
        Guard::AtMost(range, most) => Ok(count(conn, shapes, range, u64::from(*most) + 1)? <= u64::from(*most)),
        Guard::Head(seq) => Ok(head.seq <= *seq),
    }
}

/// How many documents the range holds, counting no further than `most`.
fn count(conn: &Connection, shapes: &Shapes, range: &Range, most: u64) -> Result<u64, Fault> {
    let shape = find_shape(shapes, range.collection)?;
    let order = shape::range(range).map_err(|text| Fault::Refused(CommitError::Broken(text)))?;
    let mut total = 0;
    for segment in segments(shape.collection, &order, range, false, None) {
        let sql = format!("SELECT count(*) FROM (SELECT 1{} LIMIT {most})", segment.tail);
        let found: u64 = conn
            .prepare_cached(&sql)?
            .query_row(params_from_iter(segment.values.iter().map(Bound)), |row| row.get(0))?;
        total += found;
    }
    Ok(total)
}
