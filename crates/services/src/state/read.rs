//! Reading: one key, one of its versions, its history, and keys by prefix. Always from the store, so that whoever
//! was told of a write reads it.

use nexus_core::{
    problem::{Code, Problem},
    record::{Collection, Document, Value},
    store::{IndexQuery, Range},
};

use super::{
    StateStore,
    change::StateError,
    key::{after_prefix, check_key, history_key, just_after},
    version::{HISTORY, Version, read},
};

/// Documents read at a time, so that large values do not pile up.
const STEP: usize = 32;
/// Bytes of values in one page; a page that has so many ends there.
const PAGE_BYTES: usize = 4 << 20;
/// Deleted keys, or keys that the reader may not see, that one page passes over.
const PASSED_OVER: usize = 10_000;

/// A page of a list, and where it goes on.
#[derive(Debug)]
pub struct Listed<T> {
    /// Found.
    pub items: Vec<T>,
    /// Begin after this; `None` at the end.
    pub next: Option<String>,
}

/// Versions that [`StateStore::version_by`] looks through.
pub(super) const LOOKED_THROUGH: u64 = 50;

impl StateStore {
    /// The present version of a key; 404 when there is none or it was deleted.
    pub async fn get(&self, key: &str) -> Result<Version, StateError> {
        check_key(key)?;
        let base = self.fresh(key).await?;
        match base.version() {
            Some(version) if !version.deleted => Ok(version.clone()),
            _ => Err(StateError::missing(key)),
        }
    }

    /// One version of a key, as far as the history goes back.
    pub async fn get_version(&self, key: &str, number: u64) -> Result<Version, StateError> {
        check_key(key)?;
        match self.find_version(key, number).await? {
            Some(version) => Ok(version),
            None => {
                let message = format!("there is no version {number} of {key:?}, or the history does not go back to it");
                Err(Problem::new(Code::NotFound, message).into())
            }
        }
    }

    pub(super) async fn find_version(&self, key: &str, number: u64) -> Result<Option<Version>, StateError> {
        let base = self.fresh(key).await?;
        if let Some(current) = base.version().filter(|v| v.version == number) {
            return Ok(Some(current.clone()));
        }
        let found = self.desk().store.get(&HISTORY, &history_key(key, number)).await?;
        Ok(found.map(|document| read(&document)).transpose()?)
    }

    /// The versions of a key after number `after`, oldest first, at most `limit`; 404 when there never was one.
    pub async fn history(&self, key: &str, after: u64, limit: usize) -> Result<Listed<Version>, StateError> {
        check_key(key)?;
        // Read first: what replaces it meanwhile is then missing at the end, not in the middle.
        let Some(current) = self.fresh(key).await?.held else { return Err(StateError::missing(key)) };
        let current = &current.version;
        let mut found = Page::new(limit);
        let mut after = after;
        while !found.is_full() {
            let from = history_key(key, after.saturating_add(1));
            let until = history_key(key, current.version);
            let step = self.step(&HISTORY, Some(from), Some(until)).await?;
            let count = step.len();
            for document in step {
                let version = read(&document)?;
                after = version.version;
                if found.add(document.body.len(), version) {
                    break;
                }
            }
            if count < STEP && !found.is_full() {
                if after < current.version {
                    found.items.push(current.clone());
                }
                return Ok(Listed { items: found.items, next: None });
            }
        }
        Ok(Listed { items: found.items, next: Some(after.to_string()) })
    }

    /// The number of the version of a key that was written by just this author, among the last `LOOKED_THROUGH`: for
    /// those who must not write twice and can't tell whether they did.
    pub async fn version_by(&self, key: &str, by: &str) -> Result<Option<u64>, StateError> {
        check_key(key)?;
        let Some(current) = self.fresh(key).await?.held else { return Ok(None) };
        let last = current.version.version;
        if current.version.updated_by == by {
            return Ok(Some(last));
        }
        let recent = self.history(key, last.saturating_sub(LOOKED_THROUGH), 50).await?;
        Ok(recent.items.iter().rev().find(|version| version.updated_by == by).map(|version| version.version))
    }

    /// Keys that begin with `prefix` and that `may` be seen, after key `after`, at most `limit`. A page may be short,
    /// even empty, and go on.
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        may: impl Fn(&str) -> bool,
    ) -> Result<Listed<(String, Version)>, StateError> {
        let until = after_prefix(prefix);
        let mut from = match after {
            Some(after) if after >= prefix => just_after(after),
            _ => prefix.to_owned(),
        };
        let mut found = Page::new(limit);
        let mut passed = 0;
        loop {
            let step = self.step(&super::version::STATE, Some(from.clone()), until.clone()).await?;
            let count = step.len();
            for document in step {
                from = just_after(&document.key);
                let version = read(&document)?;
                if version.deleted || !may(&document.key) {
                    passed += 1;
                } else if found.add(document.body.len(), (document.key.clone(), version)) {
                    return Ok(Listed { items: found.items, next: Some(document.key) });
                }
                if passed >= PASSED_OVER {
                    return Ok(Listed { items: found.items, next: Some(document.key) });
                }
            }
            if count < STEP {
                return Ok(Listed { items: found.items, next: None });
            }
        }
    }

    /// Some documents of a collection in the order of their keys.
    pub(super) async fn step(
        &self,
        collection: &'static Collection,
        from: Option<String>,
        until: Option<String>,
    ) -> Result<Vec<Document>, StateError> {
        let (from, until) = (from.map(Value::Text), until.map(Value::Text));
        let range = Range { collection, index: "", prefix: Vec::new(), from, until };
        let query = IndexQuery { range, descending: false, filters: Vec::new(), after: None, limit: STEP };
        Ok(self.desk().store.list(query).await?.items)
    }
}

/// A page that ends at so many items or bytes.
struct Page<T> {
    items: Vec<T>,
    limit: usize,
    bytes: usize,
}

impl<T> Page<T> {
    fn new(limit: usize) -> Self {
        Self { items: Vec::new(), limit, bytes: 0 }
    }

    /// Adds an item; true when the page is full now.
    fn add(&mut self, bytes: usize, item: T) -> bool {
        self.items.push(item);
        self.bytes += bytes;
        self.is_full()
    }

    fn is_full(&self) -> bool {
        self.items.len() >= self.limit || self.bytes >= PAGE_BYTES
    }
}
