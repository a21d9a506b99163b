//! Unique and exclusive indexes, checked at a commit's end for each document it wrote. There is one writer, so a look at
//! the index is enough.

use nexus_core::{
    record::{IndexKind, Value},
    store::CommitError,
};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::{
    collections::{Shape, index_name, part_sql, table},
    group::Fault,
    segments::Bound,
};
use crate::shape::{Order, Part, compare};

/// Fails when another document has these values in a unique index, or an overlapping interval in an exclusive one.
pub(super) fn check(conn: &Connection, shape: &Shape, key: &str, columns: &[Value]) -> Result<(), Fault> {
    for order in &shape.constraints {
        let Some(index) = order.index else { continue };
        if !order.constrains(columns) {
            continue;
        }
        let collection = shape.collection.name;
        let refusal = match index.kind {
            IndexKind::Plain => continue,
            IndexKind::Unique => taken(conn, shape, order, key, columns)?
                .then_some(CommitError::Unique { collection, index: index.name }),
            IndexKind::Exclusive => overlaps(conn, shape, order, key, columns)?
                .then_some(CommitError::Overlap { collection, index: index.name }),
        };
        if let Some(refusal) = refusal {
            return Err(Fault::Refused(refusal));
        }
    }
    Ok(())
}

/// `FROM … WHERE` with equality on the given columns; the first parameter is the key of the document itself.
fn others(shape: &Shape, order: &Order, equal: &[usize]) -> String {
    let index = order.index.map_or("", |i| i.name);
    let mut sql =
        format!("FROM {} INDEXED BY {} WHERE key <> ?1", table(shape.collection), index_name(shape.collection, index));
    if let Some(only) = order.only {
        sql += &format!(" AND {} = 1", part_sql(shape.collection, Part::Column(only)));
    }
    for (n, column) in equal.iter().enumerate() {
        sql += &format!(" AND {} = ?{}", part_sql(shape.collection, Part::Column(*column)), n + 2);
    }
    sql
}

fn taken(conn: &Connection, shape: &Shape, order: &Order, key: &str, columns: &[Value]) -> Result<bool, Fault> {
    let equal: Vec<usize> =
        order.parts.iter().filter_map(|p| if let Part::Column(n) = p { Some(*n) } else { None }).collect();
    let key = Value::from(key);
    let values = std::iter::once(&key).chain(equal.iter().map(|n| &columns[*n])).map(Bound);
    let sql = format!("SELECT 1 {} LIMIT 1", others(shape, order, &equal));
    Ok(conn.prepare_cached(&sql)?.exists(params_from_iter(values))?)
}

/// Looks only at the last non-empty interval that begins before this one ends: were there any overlap between two
/// documents of which one is new, then the check of the new one would meet it there. Empty intervals hold nothing.
fn overlaps(conn: &Connection, shape: &Shape, order: &Order, key: &str, columns: &[Value]) -> Result<bool, Fault> {
    let Some((leading, from, until)) = order.interval() else { return Ok(false) };
    if compare(&columns[from], &columns[until]).is_ge() {
        return Ok(false);
    }
    let (from_sql, until_sql) =
        (part_sql(shape.collection, Part::Column(from)), part_sql(shape.collection, Part::Column(until)));
    let own = leading.len() + 2;
    let sql = format!(
        "SELECT {until_sql} > ?{0} {1} AND {from_sql} < ?{2} AND {until_sql} > {from_sql} ORDER BY {from_sql} DESC LIMIT 1",
        own,
        others(shape, order, &leading),
        own + 1
    );
    let key = Value::from(key);
    let values = std::iter::once(&key)
        .chain(leading.iter().map(|n| &columns[*n]))
        .chain([&columns[from], &columns[until]])
        .map(Bound);
    let found: Option<bool> =
        conn.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0)).optional()?;
    Ok(found == Some(true))
}
