//! Applying a commit's changes to documents.

use std::collections::HashMap;

use nexus_core::{record::Collection, store::Write, time::Timestamp};
use rusqlite::Connection;

use super::{
    collections::Shapes,
    constraints,
    group::{Fault, find_shape},
    segments::Bound,
};

/// Whether these writes can be refused once some of them were made, so that they need a savepoint.
pub(super) fn can_be_refused(shapes: &Shapes, writes: &[Write]) -> bool {
    writes.iter().any(|write| match write {
        Write::Put { key, .. } => shapes.get(key.collection.name).is_none_or(|s| !s.constraints.is_empty()),
        Write::Delete(key) => !shapes.contains_key(key.collection.name),
    })
}

/// Applies the writes in order, then checks unique and exclusive indexes; gives the new versions.
pub(super) fn apply(conn: &Connection, shapes: &Shapes, writes: &[Write], now: Timestamp) -> Result<Vec<u64>, Fault> {
    let mut versions = Vec::with_capacity(writes.len());
    for write in writes {
        match write {
            Write::Put { key, columns, body } => {
                let shape = find_shape(shapes, key.collection)?;
                let mut statement = conn.prepare_cached(&shape.put)?;
                statement.raw_bind_parameter(1, &key.key)?;
                statement.raw_bind_parameter(2, now.micros())?;
                statement.raw_bind_parameter(3, body)?;
                for (n, value) in columns.iter().enumerate() {
                    statement.raw_bind_parameter(n + 4, Bound(value))?;
                }
                let mut rows = statement.raw_query();
                versions.push(match rows.next()? {
                    Some(row) => row.get(0)?,
                    None => return Err(Fault::broken("a document was not written")),
                });
                // A statement with RETURNING has to be stepped to its end.
                while rows.next()?.is_some() {}
            }
            Write::Delete(key) => {
                let shape = find_shape(shapes, key.collection)?;
                conn.prepare_cached(&shape.delete)?.execute([&key.key])?;
                versions.push(0);
            }
        }
    }
    check_constraints(conn, shapes, writes)?;
    Ok(versions)
}

/// Only the last write to each key counts.
fn check_constraints(conn: &Connection, shapes: &Shapes, writes: &[Write]) -> Result<(), Fault> {
    if !can_be_refused(shapes, writes) {
        return Ok(());
    }
    let mut last: HashMap<(&'static str, &str), usize> = HashMap::with_capacity(writes.len());
    for (n, write) in writes.iter().enumerate() {
        let (Write::Put { key, .. } | Write::Delete(key)) = write;
        last.insert((key.collection.name, key.key.as_str()), n);
    }
    for (n, write) in writes.iter().enumerate() {
        let Write::Put { key, columns, .. } = write else { continue };
        if last.get(&(key.collection.name, key.key.as_str())) == Some(&n) {
            let shape = find_shape(shapes, key.collection)?;
            constraints::check(conn, shape, &key.key, columns)?;
        }
    }
    Ok(())
}

/// For messages about a collection the store was not opened with.
pub(super) fn unknown(collection: &Collection) -> String {
    format!("the store was opened without the collection {}", collection.name)
}
