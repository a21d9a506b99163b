//! Checking what a decision relied on, inside the writer's transaction.

use nexus_core::store::{CommitError, Guard, Head, Key, Range};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::{
    collections::{Shape, Shapes},
    group::{Fault, find_shape},
    segments::{Bound, segments},
};
use crate::shape;

/// Where a document lies, as a guard found it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Which document.
    pub(super) key: &'a Key,
    /// Its row.
    pub(super) row: i64,
    /// Its version.
    pub(super) version: u64,
}

/// Fails with the number of the first guard that does not hold; gives the documents that were looked up on the way.
pub(super) fn check<'a>(
    conn: &Connection,
    shapes: &Shapes,
    head: &Head,
    guards: &'a [Guard],
) -> Result<Vec<Place<'a>>, Fault> {
    let mut places = Vec::with_capacity(guards.len());
    for (n, guard) in guards.iter().enumerate() {
        if !holds(conn, shapes, head, guard, &mut places)? {
            return Err(Fault::Refused(CommitError::Conflict { guard: n }));
        }
    }
    Ok(places)
}

/// The document's version and row.
pub(super) fn find(conn: &Connection, shape: &Shape, key: &str) -> rusqlite::Result<Option<(u64, i64)>> {
    conn.prepare_cached(&shape.place)?.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

fn holds<'a>(
    conn: &Connection,
    shapes: &Shapes,
    head: &Head,
    guard: &'a Guard,
    places: &mut Vec<Place<'a>>,
) -> Result<bool, Fault> {
    match guard {
        Guard::Version(key, wanted) => {
            let Some((version, row)) = find(conn, find_shape(shapes, key.collection)?, &key.key)? else {
                return Ok(false);
            };
            places.push(Place { key, row, version });
            Ok(version == *wanted)
        }
        Guard::Absent(key) => Ok(find(conn, find_shape(shapes, key.collection)?, &key.key)?.is_none()),
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
