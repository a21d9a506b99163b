//! Reading a collection's declaration: which columns an index has, whether values fit them, and how values sort.

use std::cmp::Ordering;

use nexus_core::{
    limits::DOCUMENT_BYTES,
    record::{Collection, ColumnType, Index, IndexKind, Value},
    store::{CommitError, Range, StoreError, Write},
};

/// Names of tables and views the store has for itself; a collection's view would collide.
const TAKEN: &[&str] = &["events", "deliveries", "positions", "receipts"];

/// Column every document has beside the declared ones.
pub(crate) const RESERVED_COLUMNS: &[&str] = &["key", "version", "updated_at", "body", "rowid"];

/// One column of an index's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The declared column with this number.
    Column(usize),
    /// The document's key, which ends every order.
    Key,
}

/// An index with its columns looked up; the key, as index `""`, too.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Columns, ending in the key.
    pub(crate) parts: Vec<Part>,
    /// The column that must be true for a document to be in it.
    pub(crate) only: Option<usize>,
    /// The declaration; `None` for the key.
    pub(crate) index: Option<&'static Index>,
}

/// A declared column's number.
pub(crate) fn column(collection: &Collection, name: &str) -> Option<usize> {
    collection.columns.iter().position(|c| c.name == name)
}

/// Looks an index up by name.
pub(crate) fn order(collection: &'static Collection, index: &str) -> Result<Order, String> {
    if index.is_empty() {
        return Ok(Order { parts: vec![Part::Key], only: None, index: None });
    }
    let found = collection
        .indexes
        .iter()
        .find(|i| i.name == index)
        .ok_or_else(|| format!("collection {} has no index {index}", collection.name))?;
    order_of(collection, found)
}

/// The order of a declared index.
pub(crate) fn order_of(collection: &Collection, index: &'static Index) -> Result<Order, String> {
    let missing = |name: &str| format!("index {} of {} names the unknown column {name}", index.name, collection.name);
    let mut parts = Vec::with_capacity(index.columns.len() + 1);
    for name in index.columns {
        parts.push(Part::Column(column(collection, name).ok_or_else(|| missing(name))?));
    }
    parts.push(Part::Key);
    let only = match index.only {
        Some(name) => Some(column(collection, name).ok_or_else(|| missing(name))?),
        None => None,
    };
    Ok(Order { parts, only, index: Some(index) })
}

impl Order {
    /// The values of this order's columns for one document, the key last.
    pub(crate) fn values(&self, key: &str, columns: &[Value]) -> Vec<Value> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Column(n) => columns.get(*n).cloned().unwrap_or(Value::Null),
                Part::Key => Value::Text(key.to_owned()),
            })
            .collect()
    }

    /// Whether a document with these columns is in the index.
    pub(crate) fn holds(&self, columns: &[Value]) -> bool {
        self.only.is_none_or(|n| columns.get(n) == Some(&Value::Bool(true)))
    }

    /// Whether a document with these columns takes part in the index's uniqueness or exclusion.
    pub(crate) fn constrains(&self, columns: &[Value]) -> bool {
        self.holds(columns)
            && self.parts.iter().all(|part| match part {
                Part::Column(n) => columns.get(*n).is_some_and(|v| *v != Value::Null),
                Part::Key => true,
            })
    }

    /// The leading columns and the interval of an exclusive index: `(leading, from, until)` as column numbers.
    pub(crate) fn interval(&self) -> Option<(Vec<usize>, usize, usize)> {
        let mut columns: Vec<usize> =
            self.parts.iter().filter_map(|p| if let Part::Column(n) = p { Some(*n) } else { None }).collect();
        let until = columns.pop()?;
        let from = columns.pop()?;
        Some((columns, from, until))
    }
}

/// Whether a range can be served: a known index and no more prefix values than it has columns.
pub(crate) fn range(range: &Range) -> Result<Order, String> {
    let order = order(range.collection, range.index)?;
    let bounded = range.from.is_some() || range.until.is_some();
    if range.prefix.len() + usize::from(bounded) > order.parts.len() {
        return Err(format!("index {} of {} has too few columns", range.index, range.collection.name));
    }
    Ok(order)
}

/// Whether a declaration can be made into a table.
pub(crate) fn check(collection: &'static Collection) -> Result<(), String> {
    let name = collection.name;
    if !is_name(name) || TAKEN.contains(&name) {
        return Err(format!("{name:?} can't be the name of a collection"));
    }
    for column in collection.columns {
        if !is_name(column.name) || RESERVED_COLUMNS.contains(&column.name) {
            return Err(format!("{:?} can't be the name of a column of {name}", column.name));
        }
    }
    for index in collection.indexes {
        let order = order_of(collection, index)?;
        if !is_name(index.name) || index.columns.is_empty() {
            return Err(format!("{:?} can't be an index of {name}", index.name));
        }
        if index.kind == IndexKind::Exclusive && order.interval().is_none() {
            return Err(format!("the exclusive index {} of {name} needs two columns", index.name));
        }
        if order.only.is_some_and(|n| collection.columns[n].kind != ColumnType::Bool) {
            return Err(format!("the condition of index {} of {name} is no truth value", index.name));
        }
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a write fits its collection and the limits.
pub(crate) fn write(write: &Write) -> Result<(), CommitError> {
    let Write::Put { key, columns, body } = write else { return Ok(()) };
    let collection = key.collection;
    if columns.len() != collection.columns.len() {
        return Err(CommitError::Broken(format!(
            "{} declares {} columns, {} were given",
            collection.name,
            collection.columns.len(),
            columns.len()
        )));
    }
    for (column, value) in collection.columns.iter().zip(columns) {
        let fits = match (column.kind, value) {
            (_, Value::Null)
            | (ColumnType::Text, Value::Text(_))
            | (ColumnType::Int, Value::Int(_))
            | (ColumnType::Bool, Value::Bool(_)) => true,
            (ColumnType::Float, Value::Float(x)) => !x.is_nan(),
            _ => false,
        };
        if !fits {
            return Err(CommitError::Broken(format!(
                "column {} of {} does not take {value:?}",
                column.name, collection.name
            )));
        }
    }
    if body.len() > DOCUMENT_BYTES {
        return Err(CommitError::TooLarge(format!(
            "a document of {} is larger than {DOCUMENT_BYTES} bytes",
            collection.name
        )));
    }
    Ok(())
}

/// How two values of one column sort: absent first, text by bytes.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        // -0.0 and 0.0 are one value, as in SQL; NaN is never stored.
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::Float(_) => 3,
        Value::Text(_) => 4,
    }
}

/// A caller's defect, as a read's error.
pub(crate) fn broken(text: String) -> StoreError {
    StoreError::Broken(text)
}
