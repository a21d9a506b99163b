//! Why calls wait, as long as they do: for whoever looks at what called.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nexus_core::time::Timestamp;

/// Why a call waits, and until when. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What it waits for, or after what.
    pub what: String,
    /// Not longer than this, as far as is known now.
    pub until: Timestamp,
}

/// The waits of now, by the idempotency keys of their calls; no more than calls are let in.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<HashMap<String, Wait>>);

/// A wait; over when dropped.
pub(super) struct Waiting<'w> {
    waits: &'w Waits,
    key: String,
}

impl Waits {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One begins.
    pub(super) fn begin(&self, key: &str, what: String, until: Timestamp) -> Waiting<'_> {
        self.lock().insert(key.to_owned(), Wait { what, until });
        Waiting { waits: self, key: key.to_owned() }
    }

    /// That of this call.
    pub(super) fn of(&self, key: &str) -> Option<Wait> {
        self.lock().get(key).cloned()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waits.lock().remove(&self.key);
    }
}
