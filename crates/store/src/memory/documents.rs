//! Documents in memory: rows by key; an index is a sort of the rows it holds.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use nexus_core::{
    record::{Collection, Document, IndexKind, Value},
    store::{CommitError, IndexQuery, Key, Page, Range, StoreError, Write},
    time::Timestamp,
};

use crate::{
    cursor,
    shape::{self, Order, broken, compare},
};

/// Rows looked at per page when filters are not served by the index.
const EXAMINED: usize = 2_000;

/// One document.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) version: u64,
    pub(super) updated_at: Timestamp,
    pub(super) columns: Vec<Value>,
    pub(super) body: String,
}

type Table = BTreeMap<String, Arc<Row>>;

/// All collections the store was made with.
#[derive(Clone, Debug, Default)]
pub(super) struct Documents {
    tables: HashMap<&'static str, Table>,
}

fn unknown(collection: &Collection) -> String {
    format!("the store was opened without the collection {}", collection.name)
}

impl Documents {
    pub(super) fn add(&mut self, collection: &'static Collection) -> Result<(), String> {
        shape::check(collection)?;
        self.tables.entry(collection.name).or_default();
        Ok(())
    }

    fn table(&self, collection: &Collection) -> Result<&Table, String> {
        self.tables.get(collection.name).ok_or_else(|| unknown(collection))
    }

    pub(super) fn version(&self, key: &Key) -> Result<Option<u64>, CommitError> {
        let table = self.table(key.collection).map_err(CommitError::Broken)?;
        Ok(table.get(&key.key).map(|row| row.version))
    }

    pub(super) fn get(&self, collection: &Collection, key: &str) -> Result<Option<Document>, StoreError> {
        Ok(self.table(collection).map_err(broken)?.get(key).map(|row| document(key, row)))
    }

    pub(super) fn count(&self, range: &Range) -> Result<usize, CommitError> {
        let table = self.table(range.collection).map_err(CommitError::Broken)?;
        let order = shape::range(range).map_err(CommitError::Broken)?;
        Ok(table
            .iter()
            .filter(|(key, row)| order.holds(&row.columns) && inside(range, &order.values(key, &row.columns)))
            .count())
    }

    /// Applies the writes in order and checks what the indexes keep; on an error everything is as before.
    pub(super) fn apply(&mut self, writes: &[Write], now: Timestamp) -> Result<Vec<u64>, CommitError> {
        let mut before: Vec<(&'static str, &str, Option<Arc<Row>>)> = Vec::with_capacity(writes.len());
        let mut versions = Vec::with_capacity(writes.len());
        let mut result = Ok(());
        for write in writes {
            let (Write::Put { key, .. } | Write::Delete(key)) = write;
            let Some(table) = self.tables.get_mut(key.collection.name) else {
                result = Err(CommitError::Broken(unknown(key.collection)));
                break;
            };
            let old = table.get(&key.key).cloned();
            let version = match write {
                Write::Put { columns, body, .. } => {
                    let version = old.as_ref().map_or(1, |row| row.version + 1);
                    let row = Row { version, updated_at: now, columns: columns.clone(), body: body.clone() };
                    table.insert(key.key.clone(), Arc::new(row));
                    version
                }
                Write::Delete(_) => {
                    table.remove(&key.key);
                    0
                }
            };
            before.push((key.collection.name, &key.key, old));
            versions.push(version);
        }
        if let Err(error) = result.and_then(|()| self.check(writes)) {
            for (collection, key, old) in before.into_iter().rev() {
                let Some(table) = self.tables.get_mut(collection) else { continue };
                match old {
                    Some(row) => table.insert(key.to_owned(), row),
                    None => table.remove(key),
                };
            }
            return Err(error);
        }
        Ok(versions)
    }

    fn check(&self, writes: &[Write]) -> Result<(), CommitError> {
        for (n, write) in writes.iter().enumerate() {
            let (Write::Put { key, .. } | Write::Delete(key)) = write;
            // Only the last write of a key counts; where two indexes refuse, the order of those writes says which is named.
            let written_again = writes[n + 1..].iter().any(|later| {
                let (Write::Put { key: other, .. } | Write::Delete(other)) = later;
                other.key == key.key && other.collection.name == key.collection.name
            });
            if written_again {
                continue;
            }
            let table = self.table(key.collection).map_err(CommitError::Broken)?;
            let Some(row) = table.get(&key.key) else { continue };
            for index in key.collection.indexes.iter().filter(|i| i.kind != IndexKind::Plain) {
                let order = shape::order_of(key.collection, index).map_err(CommitError::Broken)?;
                if !order.constrains(&row.columns) {
                    continue;
                }
                let clash = table.iter().any(|(other, theirs)| {
                    *other != key.key
                        && order.constrains(&theirs.columns)
                        && clashes(&order, index.kind, &row.columns, &theirs.columns)
                });
                let (collection, index_name) = (key.collection.name, index.name);
                match index.kind {
                    IndexKind::Unique if clash => return Err(CommitError::Unique { collection, index: index_name }),
                    IndexKind::Exclusive if clash => {
                        return Err(CommitError::Overlap { collection, index: index_name });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// One page with bodies.
    pub(super) fn list(&self, query: &IndexQuery) -> Result<Page<Document>, StoreError> {
        self.page(query, document)
    }

    /// One page of columns.
    pub(super) fn scan(&self, query: &IndexQuery) -> Result<Page<(String, Vec<Value>)>, StoreError> {
        self.page(query, |key, row| (key.to_owned(), row.columns.clone()))
    }

    fn page<T>(&self, query: &IndexQuery, make: impl Fn(&str, &Row) -> T) -> Result<Page<T>, StoreError> {
        let collection = query.range.collection;
        let table = self.table(collection).map_err(broken)?;
        let order = shape::range(&query.range).map_err(broken)?;
        let mut filters = Vec::new();
        for (name, value) in &query.filters {
            let column = shape::column(collection, name);
            filters.push((
                column.ok_or_else(|| broken(format!("collection {} has no column {name}", collection.name)))?,
                value,
            ));
        }
        let after = match &query.after {
            Some(text) => Some(
                cursor::decode(text)
                    .filter(|values| values.len() == order.parts.len() && values.starts_with(&query.range.prefix))
                    .ok_or(StoreError::Cursor)?,
            ),
            None => None,
        };
        let direction = |o: Ordering| if query.descending { o.reverse() } else { o };
        let mut rows: Vec<(Vec<Value>, &String, &Arc<Row>)> = table
            .iter()
            .filter(|(_, row)| order.holds(&row.columns))
            .map(|(key, row)| (order.values(key, &row.columns), key, row))
            .filter(|(values, ..)| inside(&query.range, values))
            .filter(|(values, ..)| after.as_ref().is_none_or(|a| direction(by_values(values, a)).is_gt()))
            .collect();
        rows.sort_by(|a, b| direction(by_values(&a.0, &b.0)));
        let mut page = Page { items: Vec::new(), next: None };
        for (n, (values, key, row)) in rows.iter().enumerate() {
            if filters.iter().all(|(column, wanted)| compare(&row.columns[*column], wanted).is_eq()) {
                page.items.push(make(key, row));
            }
            let examined = !filters.is_empty() && n + 1 >= EXAMINED;
            if (page.items.len() >= query.limit.max(1) || examined) && n + 1 < rows.len() {
                page.next = Some(cursor::encode(values));
                break;
            }
        }
        Ok(page)
    }
}

fn document(key: &str, row: &Row) -> Document {
    Document { key: key.to_owned(), version: row.version, updated_at: row.updated_at, body: row.body.clone() }
}

fn by_values(a: &[Value], b: &[Value]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

/// Whether a row's values lie in a range; a bound leaves absent values out.
fn inside(range: &Range, values: &[Value]) -> bool {
    if !range.prefix.iter().zip(values).all(|(wanted, value)| compare(wanted, value).is_eq()) {
        return false;
    }
    if range.from.is_none() && range.until.is_none() {
        return true;
    }
    values.get(range.prefix.len()).is_some_and(|value| {
        *value != Value::Null
            && range.from.as_ref().is_none_or(|from| compare(value, from).is_ge())
            && range.until.as_ref().is_none_or(|until| compare(value, until).is_lt())
    })
}

/// Whether two documents that both take part in an index can't both be there.
fn clashes(order: &Order, kind: IndexKind, a: &[Value], b: &[Value]) -> bool {
    let same = |columns: &[usize]| columns.iter().all(|n| compare(&a[*n], &b[*n]).is_eq());
    match (kind, order.interval()) {
        (IndexKind::Exclusive, Some((leading, from, until))) => {
            let filled = |row: &[Value]| compare(&row[from], &row[until]).is_lt();
            same(&leading)
                && filled(a)
                && filled(b)
                && compare(&a[from], &b[until]).is_lt()
                && compare(&b[from], &a[until]).is_lt()
        }
        _ => order.parts.iter().all(|part| match part {
            shape::Part::Column(n) => same(&[*n]),
            shape::Part::Key => true,
        }),
    }
}
