//! Dictionaries of types and sources: a row of the log holds a small number instead of the name.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use nexus_core::topic::Topic;
use rusqlite::Connection;

/// Names by number, for readers. Numbers start at 1.
#[derive(Debug, Default)]
pub(super) struct Names {
    types: RwLock<Vec<Topic>>,
    sources: RwLock<Vec<Arc<str>>>,
}

impl Names {
    /// Calls `with` with both lists, held for one page.
    pub(super) fn with<T>(&self, with: impl FnOnce(&[Topic], &[Arc<str>]) -> T) -> T {
        let types = self.types.read().unwrap_or_else(PoisonError::into_inner);
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        with(&types, &sources)
    }
}

/// One dictionary as the writer has it.
#[derive(Debug)]
pub(super) struct Dictionary {
    table: &'static str,
    ids: HashMap<Arc<str>, u32>,
    /// Added in the present group, in order; not yet durable.
    fresh: Vec<Arc<str>>,
}

impl Dictionary {
    /// Reads a dictionary, `types` or `sources`. Numbers are gap-free, as names are never removed.
    pub(super) fn load(conn: &Connection, table: &'static str) -> rusqlite::Result<Self> {
        let mut statement = conn.prepare(&format!("SELECT id, name FROM {table} ORDER BY id"))?;
        let mut ids = HashMap::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            ids.insert(Arc::from(row.get_ref(1)?.as_str()?), row.get(0)?);
        }
        Ok(Self { table, ids, fresh: Vec::new() })
    }

    /// Known names.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The name's number, if it has one.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// The name's number, and the one copy of it that is shared; a new name gets the next number.
    pub(super) fn intern(&mut self, conn: &Connection, name: &Arc<str>) -> rusqlite::Result<(u32, Arc<str>)> {
        if let Some((name, id)) = self.ids.get_key_value(name) {
            return Ok((*id, Arc::clone(name)));
        }
        let id = u32::try_from(self.ids.len() + 1).unwrap_or(u32::MAX);
        conn.prepare_cached(&format!("INSERT INTO {}(id, name) VALUES(?1, ?2)", self.table))?.execute((id, name))?;
        self.ids.insert(Arc::clone(name), id);
        self.fresh.push(Arc::clone(name));
        Ok((id, Arc::clone(name)))
    }

    /// The group was undone: so are its names.
    pub(super) fn undo(&mut self) {
        for name in self.fresh.drain(..) {
            self.ids.remove(&name);
        }
    }

    /// The group is durable.
    pub(super) fn keep(&mut self) {
        self.fresh.clear();
    }
}

/// Both dictionaries of the writer, and the lists that readers use.
#[derive(Debug)]
pub(super) struct Dictionaries {
    /// Event types.
    pub(super) types: Dictionary,
    /// Sources.
    pub(super) sources: Dictionary,
    names: Arc<Names>,
}

impl Dictionaries {
    /// Reads both.
    pub(super) fn load(conn: &Connection, names: Arc<Names>) -> rusqlite::Result<Self> {
        let loaded =
            Self { types: Dictionary::load(conn, "types")?, sources: Dictionary::load(conn, "sources")?, names };
        let mut types: Vec<(u32, Topic)> =
            loaded.types.ids.iter().map(|(n, id)| (*id, Topic::from_canonical(Arc::clone(n)))).collect();
        types.sort_by_key(|(id, _)| *id);
        let mut sources: Vec<(u32, Arc<str>)> = loaded.sources.ids.iter().map(|(n, id)| (*id, Arc::clone(n))).collect();
        sources.sort_by_key(|(id, _)| *id);
        *loaded.names.types.write().unwrap_or_else(PoisonError::into_inner) =
            types.into_iter().map(|(_, n)| n).collect();
        *loaded.names.sources.write().unwrap_or_else(PoisonError::into_inner) =
            sources.into_iter().map(|(_, n)| n).collect();
        Ok(loaded)
    }

    /// Shows the group's names to readers. Called before COMMIT, so that no reader meets a row whose name it lacks; if
    /// the commit fails, the numbers are given again and overwritten here before anyone can read them.
    pub(super) fn publish(&self) {
        if !self.types.fresh.is_empty() {
            let mut list = self.names.types.write().unwrap_or_else(PoisonError::into_inner);
            list.truncate(self.types.ids.len() - self.types.fresh.len());
            list.extend(self.types.fresh.iter().map(|n| Topic::from_canonical(Arc::clone(n))));
        }
        if !self.sources.fresh.is_empty() {
            let mut list = self.names.sources.write().unwrap_or_else(PoisonError::into_inner);
            list.truncate(self.sources.ids.len() - self.sources.fresh.len());
            list.extend(self.sources.fresh.iter().cloned());
        }
    }

    /// See [`Dictionary::undo`].
    pub(super) fn undo(&mut self) {
        self.types.undo();
        self.sources.undo();
    }

    /// See [`Dictionary::keep`].
    pub(super) fn keep(&mut self) {
        self.types.keep();
        self.sources.keep();
    }
}
