//! The latest versions that this process wrote, so that the next write to a key needs no read.
//!
//! An entry stands here as soon as its commit is on the way: a second writer builds on the first without waiting for
//! its sync, and both go into one group. That is safe because nothing is believed: every commit carries a guard, a
//! refusal is only ever given after a look at the store, and readers never come here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::version::Held;

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

    /// Forgets this very entry: its commit was refused. A later one stays.
    pub(super) fn forget(&self, key: &str, held: &Arc<Held>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.held.get(key).is_some_and(|found| Arc::ptr_eq(found, held)) {
            inner.held.remove(key);
            inner.bytes = inner.bytes.saturating_sub(key.len() + held.weight());
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
