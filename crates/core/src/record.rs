//! Documents: how a collection declares the columns and indexes that its records can be found by.
//!
//! A document is one versioned JSON record. Its collection declares typed columns (filled by the owner when it writes,
//! not by JSON paths) and the indexes over them; the store makes the table, the indexes and a read-only view from that.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::time::Timestamp;

/// Type of a declared column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 without U+0000; sorts by bytes.
    Text,
    /// i64; also times (microseconds) and money (minor units).
    Int,
    /// f64, never NaN.
    Float,
    /// Stored as 0 or 1.
    Bool,
}

/// A declared column. Absent values sort before all others.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// `[a-z][a-z0-9_]*`, not one of `key`, `version`, `updated_at`, `body`.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
}

/// What an index keeps besides order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// Order only.
    Plain,
    /// No two documents have the same values; rows with an absent value do not count.
    Unique,
    /// The last two columns are an interval `[from, until)`; no two documents with equal leading columns overlap. Rows
    /// with an absent value and empty intervals (`from >= until`) do not count.
    Exclusive,
}

/// A declared index.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    /// Unique within its collection.
    pub name: &'static str,
    /// Column names in order.
    pub columns: &'static [&'static str],
    /// What it keeps.
    pub kind: IndexKind,
    /// Only documents for which this Bool column is true are in it.
    pub only: Option<&'static str>,
}

/// A collection of documents.
#[derive(Clone, Copy, Debug)]
pub struct Collection {
    /// `[a-z][a-z0-9_]*`.
    pub name: &'static str,
    /// Declared columns.
    pub columns: &'static [Column],
    /// Declared indexes. The key is always unique and ordered.
    pub indexes: &'static [Index],
}

/// A value of a declared column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Absent; sorts first.
    Null,
    /// Text.
    Text(String),
    /// Integer or time.
    Int(i64),
    /// Float.
    Float(f64),
    /// Truth.
    Bool(bool),
}

impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Text(v.to_owned())
    }
}
impl From<String> for Value {
    fn from(v: String) -> Self {
        Self::Text(v)
    }
}
impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}
impl From<u32> for Value {
    fn from(v: u32) -> Self {
        Self::Int(i64::from(v))
    }
}
impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Bool(v)
    }
}
impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Float(v)
    }
}
impl From<Timestamp> for Value {
    fn from(v: Timestamp) -> Self {
        Self::Int(v.micros())
    }
}
impl From<Duration> for Value {
    fn from(v: Duration) -> Self {
        Self::Int(i64::try_from(v.as_micros()).unwrap_or(i64::MAX))
    }
}
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}

/// A stored document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its key within the collection.
    pub key: String,
    /// 1 at first, then ascending by one per write; a deleted key starts again at 1.
    pub version: u64,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// JSON text.
    pub body: String,
}

/// A Rust type that is kept as documents of one collection.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Where it is kept.
    const COLLECTION: &'static Collection;
    /// Its key.
    fn key(&self) -> String;
    /// Values of the declared columns, in declared order.
    fn columns(&self) -> Vec<Value>;
}
