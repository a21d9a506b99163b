//! Tables of documents: made and extended from the declarations of their collections.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use nexus_core::record::{Collection, ColumnType, Index};
use rusqlite::Connection;

use super::{options::OpenError, schema};
use crate::shape::{self, Order, Part};

/// A collection with its orders looked up and its statements written.
#[derive(Debug)]
pub(super) struct Shape {
    /// The declaration.
    pub(super) collection: &'static Collection,
    /// Orders of the indexes that keep more than order.
    pub(super) constraints: Vec<Order>,
    /// Inserts with version 1 unless there is a document of that key.
    pub(super) insert: String,
    /// Replaces by rowid, with the version to have: `rowid, version, updated_at, body, <columns>`.
    pub(super) replace: String,
    /// Deletes by key.
    pub(super) delete: String,
    /// `version, updated_at, body` by key.
    pub(super) get: String,
    /// `version, rowid` by key.
    pub(super) place: String,
    /// `version, updated_at, <columns>, key`, to be followed by `body` or not.
    pub(super) columns: String,
}

/// All collections of a store by name.
pub(super) type Shapes = HashMap<&'static str, Arc<Shape>>;

/// Table of a collection; prefixed so that a collection can have any name.
pub(super) fn table(collection: &Collection) -> String {
    format!("doc_{}", collection.name)
}

/// Name of an index in the file.
pub(super) fn index_name(collection: &Collection, index: &str) -> String {
    format!("doc_{}__{index}", collection.name)
}

/// Makes the tables fit the declarations: adds what is missing, drops indexes that are declared no more. Columns stay.
pub(super) fn prepare(conn: &Connection, collections: &[&'static Collection]) -> Result<Shapes, Failure> {
    let mut shapes = Shapes::new();
    for collection in collections {
        shape::check(collection).map_err(Failure::Declaration)?;
        make_table(conn, collection)?;
        make_indexes(conn, collection)?;
        schema::set_view(conn, &format!("{}_v", collection.name), &view(collection))?;
        if shapes.insert(collection.name, Arc::new(shape_of(collection).map_err(Failure::Declaration)?)).is_some() {
            return Err(Failure::Declaration(format!("two collections are named {}", collection.name)));
        }
    }
    for (name, select) in schema::VIEWS {
        schema::set_view(conn, name, select)?;
    }
    Ok(shapes)
}

/// A declaration is wrong, or SQLite failed.
pub(super) enum Failure {
    Declaration(String),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Failure {
    pub(super) fn at(self, path: &std::path::Path) -> OpenError {
        match self {
            Self::Declaration(text) => OpenError::Declaration(text),
            Self::Sql(source) => OpenError::Database { path: path.to_owned(), source },
        }
    }
}

fn sql_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Text => "TEXT",
        ColumnType::Int | ColumnType::Bool => "INTEGER",
        ColumnType::Float => "REAL",
    }
}

/// A rowid table: bodies are large, and an index entry then leads to its row by one integer.
fn make_table(conn: &Connection, collection: &Collection) -> rusqlite::Result<()> {
    let table = table(collection);
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS {table}(key TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, updated_at INTEGER NOT NULL"
    );
    for column in collection.columns {
        let _ = write!(sql, ", \"{}\" {}", column.name, sql_type(column.kind));
    }
    sql.push_str(", body TEXT NOT NULL)");
    conn.execute_batch(&sql)?;
    let mut statement = conn.prepare(&format!("PRAGMA table_info({table})"))?;
    let present: Vec<String> = statement.query_map([], |row| row.get(1))?.collect::<Result<_, _>>()?;
    for column in collection.columns.iter().filter(|c| !present.iter().any(|p| p == c.name)) {
        conn.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN \"{}\" {}", column.name, sql_type(column.kind)))?;
    }
    Ok(())
}

fn index_sql(collection: &Collection, index: &Index) -> String {
    let mut sql = format!("CREATE INDEX {} ON {}(", index_name(collection, index.name), table(collection));
    for column in index.columns {
        let _ = write!(sql, "\"{column}\", ");
    }
    // The key ends every order. Unique indexes are not UNIQUE to SQLite: uniqueness holds at the commit's end, not at each statement.
    sql.push_str("key)");
    if let Some(only) = index.only {
        let _ = write!(sql, " WHERE \"{only}\" = 1");
    }
    sql
}

fn make_indexes(conn: &Connection, collection: &Collection) -> rusqlite::Result<()> {
    let mut statement =
        conn.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL")?;
    let present: HashMap<String, String> =
        statement.query_map([table(collection)], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let wanted: HashMap<String, String> =
        collection.indexes.iter().map(|i| (index_name(collection, i.name), index_sql(collection, i))).collect();
    for name in present.iter().filter(|(name, sql)| wanted.get(*name) != Some(*sql)).map(|(name, _)| name) {
        conn.execute_batch(&format!("DROP INDEX \"{name}\""))?;
    }
    for (_, sql) in wanted.iter().filter(|(name, sql)| present.get(*name) != Some(*sql)) {
        conn.execute_batch(sql)?;
    }
    Ok(())
}

fn view(collection: &Collection) -> String {
    let mut sql = String::from(
        "SELECT key, version, strftime('%Y-%m-%dT%H:%M:%fZ', updated_at / 1000000.0, 'unixepoch') AS updated_at",
    );
    for column in collection.columns {
        let _ = write!(sql, ", \"{}\"", column.name);
    }
    let _ = write!(sql, ", body FROM {}", table(collection));
    sql
}

fn shape_of(collection: &'static Collection) -> Result<Shape, String> {
    let table = table(collection);
    let mut constraints = Vec::new();
    for index in collection.indexes.iter().filter(|i| i.kind != nexus_core::record::IndexKind::Plain) {
        constraints.push(shape::order_of(collection, index)?);
    }
    let mut names = String::from("key, version, updated_at, body");
    let mut places = String::from("?1, 1, ?2, ?3");
    let mut sets = String::from("version = ?2, updated_at = ?3, body = ?4");
    let mut columns = String::from("version, updated_at, key");
    for (n, column) in collection.columns.iter().enumerate() {
        let _ = write!(names, ", \"{}\"", column.name);
        let _ = write!(places, ", ?{}", n + 4);
        let _ = write!(sets, ", \"{}\" = ?{}", column.name, n + 5);
        let _ = write!(columns, ", \"{}\"", column.name);
    }
    Ok(Shape {
        collection,
        constraints,
        // Two plain statements: RETURNING makes SQLite keep a journal of its own for each statement, and so a copy of
        // each page.
        insert: format!("INSERT OR IGNORE INTO {table}({names}) VALUES({places})"),
        replace: format!("UPDATE {table} SET {sets} WHERE rowid = ?1"),
        delete: format!("DELETE FROM {table} WHERE key = ?1"),
        get: format!("SELECT version, updated_at, body FROM {table} WHERE key = ?1"),
        place: format!("SELECT version, rowid FROM {table} WHERE key = ?1"),
        columns,
    })
}

/// The column's name in SQL.
pub(super) fn part_sql(collection: &Collection, part: Part) -> String {
    match part {
        Part::Column(n) => collection.columns.get(n).map_or_else(String::new, |c| format!("\"{}\"", c.name)),
        Part::Key => "key".to_owned(),
    }
}
