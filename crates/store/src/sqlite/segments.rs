//! A range of an index as runs that SQLite can each walk with one seek, also when it goes on after a cursor.
//!
//! "After (a, b, key)" is not one range of a composite index once values may be absent. It is a few: same `a` and `b`,
//! later key; same `a`, later `b`; later `a`. In this order they give the rows in the index's order.

use std::fmt::Write as _;

use nexus_core::{
    record::{Collection, Value},
    store::Range,
};
use rusqlite::{
    ToSql,
    types::{ToSqlOutput, ValueRef},
};

use super::collections::{index_name, part_sql, table};
use crate::shape::Order;

/// A value as a statement's parameter.
pub(super) struct Bound<'a>(pub(super) &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Int(n) => ValueRef::Integer(*n),
            Value::Float(x) => ValueRef::Real(*x),
            Value::Bool(b) => ValueRef::Integer(i64::from(*b)),
        }))
    }
}

/// One run: what follows `SELECT …`, and its parameters.
#[derive(Debug)]
pub(super) struct Segment {
    /// `FROM … WHERE … ORDER BY …`.
    pub(super) tail: String,
    /// In order.
    pub(super) values: Vec<Value>,
}

struct Builder<'a> {
    collection: &'a Collection,
    order: &'a Order,
    range: &'a Range,
    descending: bool,
}

/// What a run asks of the column after those that are fixed.
enum Next<'a> {
    Any,
    NotNull,
    IsNull,
    Beyond(&'a Value),
}

impl Builder<'_> {
    /// The run with the first `fixed.len()` columns equal to `fixed`.
    fn segment(&self, fixed: &[Value], next: Next<'_>) -> Segment {
        let mut tail = format!(" FROM {}", table(self.collection));
        if let Some(index) = self.order.index {
            let _ = write!(tail, " INDEXED BY {}", index_name(self.collection, index.name));
        }
        let mut values = Vec::new();
        let mut conditions: Vec<String> = Vec::new();
        if let Some(only) = self.order.only {
            conditions.push(format!("{} = 1", part_sql(self.collection, crate::shape::Part::Column(only))));
        }
        for (part, value) in self.order.parts.iter().zip(fixed) {
            let column = part_sql(self.collection, *part);
            if *value == Value::Null {
                conditions.push(format!("{column} IS NULL"));
            } else {
                values.push(value.clone());
                conditions.push(format!("{column} = ?{}", values.len()));
            }
        }
        if let Some(part) = self.order.parts.get(fixed.len()) {
            let column = part_sql(self.collection, *part);
            match next {
                Next::Any => {}
                Next::NotNull => conditions.push(format!("{column} IS NOT NULL")),
                Next::IsNull => conditions.push(format!("{column} IS NULL")),
                Next::Beyond(value) => {
                    values.push(value.clone());
                    conditions.push(format!("{column} {} ?{}", if self.descending { "<" } else { ">" }, values.len()));
                }
            }
            if fixed.len() == self.range.prefix.len() {
                self.bounds(&column, &mut conditions, &mut values);
            }
        }
        if !conditions.is_empty() {
            let _ = write!(tail, " WHERE {}", conditions.join(" AND "));
        }
        let direction = if self.descending { " DESC" } else { "" };
        let columns: Vec<String> = self.order.parts[fixed.len().min(self.order.parts.len())..]
            .iter()
            .map(|part| format!("{}{direction}", part_sql(self.collection, *part)))
            .collect();
        if !columns.is_empty() {
            let _ = write!(tail, " ORDER BY {}", columns.join(", "));
        }
        Segment { tail, values }
    }

    /// The query's own interval; a comparison leaves absent values out by itself.
    fn bounds(&self, column: &str, conditions: &mut Vec<String>, values: &mut Vec<Value>) {
        match &self.range.from {
            Some(Value::Null) => conditions.push(format!("{column} IS NOT NULL")),
            Some(from) => {
                values.push(from.clone());
                conditions.push(format!("{column} >= ?{}", values.len()));
            }
            None => {}
        }
        if let Some(until) = &self.range.until {
            values.push(until.clone());
            conditions.push(format!("{column} < ?{}", values.len()));
        }
    }
}

/// The runs of a range, in order; `after` is a cursor's values, one per column of the order.
pub(super) fn segments(
    collection: &Collection,
    order: &Order,
    range: &Range,
    descending: bool,
    after: Option<&[Value]>,
) -> Vec<Segment> {
    let builder = Builder { collection, order, range, descending };
    let prefix = range.prefix.len();
    let Some(after) = after else { return vec![builder.segment(&range.prefix, Next::Any)] };
    let bounded = range.from.is_some() || range.until.is_some();
    let mut found = Vec::new();
    for at in (prefix..after.len()).rev() {
        let fixed = &after[..at];
        match (&after[at], descending) {
            (Value::Null, false) => found.push(builder.segment(fixed, Next::NotNull)),
            // Absent sorts first: going down, nothing comes after it.
            (Value::Null, true) => {}
            (value, false) => found.push(builder.segment(fixed, Next::Beyond(value))),
            (value, true) => {
                found.push(builder.segment(fixed, Next::Beyond(value)));
                let nullable = order.parts.get(at).is_some_and(|p| *p != crate::shape::Part::Key);
                if nullable && !(bounded && at == prefix) {
                    found.push(builder.segment(fixed, Next::IsNull));
                }
            }
        }
    }
    found
}
