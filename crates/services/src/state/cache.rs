//! The latest versions that this process wrote, so that the next write to a key needs no read; and turns for keys that
//! many write at once.
//!
//! Only what was committed comes here: a guard compares the number of a version, not what is in it, so nobody may build
//! on a version that might be refused. An entry may be older than the store (its writer was gone before it was told);
//! then the guard fails, and a refusal is only ever given after a look at the store. Readers never come here.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

use super::version::Held;

/// Turns there are. Two keys of one turn wait for each other, which is rare and harmless.
const TURNS: usize = 4_096;
/// Bytes kept; at it everything is forgotten and learnt anew.
const CACHE_BYTES: usize = 32 << 20;

#[derive(Default)]
struct Inner {
    held: HashMap<String, Arc<Held>>,
    bytes: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct Cache(Mutex<Inner>);

impl Cache {
    pub(super) fn get(&self, key: &str) -> Option<Arc<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).held.get(key).map(Arc::clone)
    }

    pub(super) fn put(&self, key: &str, held: &Arc<Held>) {
        let weight = key.len() + held.weight();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.held.get(key).is_some_and(|known| known.document > held.document) {
            return;
        }
        if inner.bytes + weight > CACHE_BYTES {
            *inner = Inner::default();
        }
        match inner.held.get_mut(key) {
            Some(slot) => {
                let old = std::mem::replace(slot, Arc::clone(held));
                inner.bytes = (inner.bytes + weight).saturating_sub(key.len() + old.weight());
            }
            None => {
                inner.held.insert(key.to_owned(), Arc::clone(held));
                inner.bytes += weight;
            }
        }
    }

    /// Forgets a key.
    pub(super) fn drop_key(&self, key: &str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = inner.held.remove(key) {
            inner.bytes = inner.bytes.saturating_sub(key.len() + old.weight());
        }
    }
}

/// Who found a key written by others meanwhile waits here, instead of trying against all of them again and again.
pub(super) struct Turns(Vec<tokio::sync::Mutex<()>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| tokio::sync::Mutex::default()).collect())
    }
}

impl Turns {
    /// One's turn for a key, until it is dropped.
    pub(super) async fn take(&self, key: &str) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let mut hasher = std::hash::DefaultHasher::new();
        key.hash(&mut hasher);
        let number = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or(0);
        Some(self.0.get(number)?.lock().await)
    }
}
