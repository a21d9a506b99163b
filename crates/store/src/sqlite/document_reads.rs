//! Reading documents: one by key, pages of an index.

use nexus_core::{
    record::{ColumnType, Document, Value},
    store::{IndexQuery, Page, StoreError},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter, types::ValueRef};

use super::{
    collections::Shape,
    segments::{Bound, segments},
};
use crate::{
    cursor,
    shape::{self, Order, broken, compare},
};

/// Rows looked at per page when filters are not served by the index.
const EXAMINED: usize = 2_000;
/// Bytes of bodies per page.
const PAGE_BYTES: usize = 8 << 20;
/// Columns before the declared ones in [`Shape::columns`].
const FIXED: usize = 3;

/// One document.
pub(super) fn get(conn: &Connection, shape: &Shape, key: &str) -> rusqlite::Result<Option<Document>> {
    conn.prepare_cached(&shape.get)?
        .query_row([key], |row| {
            Ok(Document {
                key: key.to_owned(),
                version: row.get(0)?,
                updated_at: Timestamp::from_micros(row.get(1)?),
                body: row.get(2)?,
            })
        })
        .optional()
}

/// A query whose index, filters and cursor were found to be good.
pub(super) struct Prepared {
    order: Order,
    filters: Vec<(usize, Value)>,
    after: Option<Vec<Value>>,
    query: IndexQuery,
}

/// Checks a query before it goes to a reader.
pub(super) fn prepare(query: IndexQuery) -> Result<Prepared, StoreError> {
    let collection = query.range.collection;
    let order = shape::range(&query.range).map_err(broken)?;
    let mut filters = Vec::with_capacity(query.filters.len());
    for (name, value) in &query.filters {
        let column = shape::column(collection, name)
            .ok_or_else(|| broken(format!("collection {} has no column {name}", collection.name)))?;
        filters.push((column, value.clone()));
    }
    let after = match &query.after {
        Some(text) => Some(
            cursor::decode(text)
                .filter(|values| values.len() == order.parts.len() && values.starts_with(&query.range.prefix))
                .ok_or(StoreError::Cursor)?,
        ),
        None => None,
    };
    Ok(Prepared { order, filters, after, query })
}

/// A page with bodies.
pub(super) fn list(conn: &Connection, shape: &Shape, prepared: &Prepared) -> rusqlite::Result<Page<Document>> {
    let body = FIXED + shape.collection.columns.len();
    page(conn, shape, prepared, ", body", |row| {
        let document = Document {
            key: row.get(2)?,
            version: row.get(0)?,
            updated_at: Timestamp::from_micros(row.get(1)?),
            body: row.get(body)?,
        };
        let weight = document.body.len();
        Ok((document, weight))
    })
}

/// A page of columns.
pub(super) fn scan(
    conn: &Connection,
    shape: &Shape,
    prepared: &Prepared,
) -> rusqlite::Result<Page<(String, Vec<Value>)>> {
    page(conn, shape, prepared, "", |row| {
        let columns =
            (0..shape.collection.columns.len()).map(|n| value(shape, row, n)).collect::<Result<Vec<_>, _>>()?;
        Ok(((row.get(2)?, columns), 100))
    })
}

fn page<T>(
    conn: &Connection,
    shape: &Shape,
    prepared: &Prepared,
    further: &str,
    mut make: impl FnMut(&Row<'_>) -> rusqlite::Result<(T, usize)>,
) -> rusqlite::Result<Page<T>> {
    let query = &prepared.query;
    let limit = query.limit.max(1);
    let mut items = Vec::new();
    let (mut bytes, mut examined) = (0, 0);
    let mut last: Option<String> = None;
    for segment in
        segments(shape.collection, &prepared.order, &query.range, query.descending, prepared.after.as_deref())
    {
        let sql = format!("SELECT {}{further}{}", shape.columns, segment.tail);
        let mut statement = conn.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(segment.values.iter().map(Bound)))?;
        while let Some(row) = rows.next()? {
            // One row beyond the page's end shows that there is a next page.
            if last.is_some() {
                return Ok(Page { items, next: last });
            }
            examined += 1;
            let mut kept = true;
            for (column, wanted) in &prepared.filters {
                kept = kept && compare(&value(shape, row, *column)?, wanted).is_eq();
            }
            if kept {
                let (item, weight) = make(row)?;
                bytes += weight;
                items.push(item);
            }
            let filtered_out = !prepared.filters.is_empty() && examined >= EXAMINED;
            if items.len() >= limit || bytes > PAGE_BYTES || filtered_out {
                last = Some(place(shape, &prepared.order, row)?);
            }
        }
    }
    Ok(Page { items, next: None })
}

/// Where a row stands in the order.
fn place(shape: &Shape, order: &Order, row: &Row<'_>) -> rusqlite::Result<String> {
    let mut values = Vec::with_capacity(order.parts.len());
    for part in &order.parts {
        values.push(match part {
            shape::Part::Column(n) => value(shape, row, *n)?,
            shape::Part::Key => Value::Text(row.get(2)?),
        });
    }
    Ok(cursor::encode(&values))
}

/// A declared column's value.
fn value(shape: &Shape, row: &Row<'_>, column: usize) -> rusqlite::Result<Value> {
    let kind = shape.collection.columns[column].kind;
    Ok(match (row.get_ref(FIXED + column)?, kind) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(n), ColumnType::Bool) => Value::Bool(n != 0),
        (ValueRef::Integer(n), _) => Value::Int(n),
        (ValueRef::Real(x), _) => Value::Float(x),
        (text, _) => Value::Text(text.as_str()?.to_owned()),
    })
}
