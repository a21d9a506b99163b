//! Applying a commit's changes to documents.

use std::collections::HashMap;

use nexus_core::{
    record::{Collection, Value},
    store::{Key, Write},
    time::Timestamp,
};
use rusqlite::{Connection, Statement};

use super::{
    collections::{Shape, Shapes},
    constraints,
    group::{Fault, find_shape},
    guards::{self, Place},
    segments::Bound,
};

/// Whether these writes can be refused once some of them were made, so that they need a savepoint.
pub(super) fn can_be_refused(shapes: &Shapes, writes: &[Write]) -> bool {
    writes.iter().any(|write| match write {
        Write::Put { key, .. } => shapes.get(key.collection.name).is_none_or(|s| !s.constraints.is_empty()),
        Write::Delete(key) => !shapes.contains_key(key.collection.name),
    })
}

/// Applies the writes in order, then checks unique and exclusive indexes; gives the new versions. `places` are documents
/// that were looked up just before.
pub(super) fn apply(
    conn: &Connection,
    shapes: &Shapes,
    writes: &[Write],
    places: &[Place<'_>],
    now: Timestamp,
) -> Result<Vec<u64>, Fault> {
    let mut versions = Vec::with_capacity(writes.len());
    for (n, write) in writes.iter().enumerate() {
        versions.push(match write {
            Write::Put { key, columns, body } => {
                let shape = find_shape(shapes, key.collection)?;
                let put = Put { key: &key.key, columns, body, now };
                // An earlier write of the same commit may have moved it.
                let known = places.iter().find(|p| same(p.key, key)).filter(|_| !touched(&writes[..n], key));
                match known {
                    Some(place) => put.replace(conn, shape, place.row, place.version)?,
                    None => put.anywhere(conn, shape)?,
                }
            }
            Write::Delete(key) => {
                let shape = find_shape(shapes, key.collection)?;
                conn.prepare_cached(&shape.delete)?.execute([&key.key])?;
                0
            }
        });
    }
    check_constraints(conn, shapes, writes)?;
    Ok(versions)
}

fn same(a: &Key, b: &Key) -> bool {
    a.collection.name == b.collection.name && a.key == b.key
}

fn touched(writes: &[Write], wanted: &Key) -> bool {
    writes.iter().any(|(Write::Put { key, .. } | Write::Delete(key))| same(key, wanted))
}

/// One document to be written.
struct Put<'a> {
    key: &'a str,
    columns: &'a [Value],
    body: &'a str,
    now: Timestamp,
}

impl Put<'_> {
    /// Inserts it; where there is one, replaces that.
    fn anywhere(&self, conn: &Connection, shape: &Shape) -> Result<u64, Fault> {
        let mut statement = conn.prepare_cached(&shape.insert)?;
        statement.raw_bind_parameter(1, self.key)?;
        self.bind(&mut statement, 2)?;
        if statement.raw_execute()? == 1 {
            return Ok(1);
        }
        match guards::find(conn, shape, self.key)? {
            Some((version, row)) => self.replace(conn, shape, row, version),
            None => Err(rusqlite::Error::StatementChangedRows(0).into()),
        }
    }

    /// Replaces the document in `row`, which has `version`.
    fn replace(&self, conn: &Connection, shape: &Shape, row: i64, version: u64) -> Result<u64, Fault> {
        let mut statement = conn.prepare_cached(&shape.replace)?;
        statement.raw_bind_parameter(1, row)?;
        statement.raw_bind_parameter(2, version + 1)?;
        self.bind(&mut statement, 3)?;
        match statement.raw_execute()? {
            1 => Ok(version + 1),
            rows => Err(rusqlite::Error::StatementChangedRows(rows).into()),
        }
    }

    /// What it holds, from the parameter `first` on.
    fn bind(&self, statement: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
        statement.raw_bind_parameter(first, self.now.micros())?;
        statement.raw_bind_parameter(first + 1, self.body)?;
        for (n, value) in self.columns.iter().enumerate() {
            statement.raw_bind_parameter(first + 2 + n, Bound(value))?;
        }
        Ok(())
    }
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
