//! One connection, and what this process knows of it beside its record.

use std::sync::{
    Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicI64, Ordering},
};

use nexus_core::{breaker::Breaker, time::Timestamp};

use crate::connectors::{
    connection::{Connection, ConnectionView, Health},
    oauth::Tokens,
};

/// One connection and what this process knows of it.
#[derive(Debug)]
pub(in crate::connectors) struct Account {
    held: RwLock<(Connection, u64)>,
    live: Mutex<Live>,
    /// Held by whoever asks for a token.
    pub(in crate::connectors) grant: tokio::sync::Mutex<Granting>,
    used_at: AtomicI64,
}

/// How a connection does.
#[derive(Debug)]
pub(in crate::connectors) struct Live {
    pub(in crate::connectors) breaker: Breaker,
    last_success: Option<Timestamp>,
    last_failure: Option<(Timestamp, String)>,
}

/// What became of the last attempts to get a token.
#[derive(Debug, Default)]
pub(in crate::connectors) struct Granting {
    /// Failures in a row.
    pub(in crate::connectors) failures: u16,
    /// Nobody asks before this time (monotonic).
    pub(in crate::connectors) not_before: std::time::Duration,
    /// What the last failure said.
    pub(in crate::connectors) message: String,
    /// Tokens that were given and could not be stored: the old ones may be gone.
    pub(in crate::connectors) unsaved: Option<Tokens>,
}

impl Account {
    pub(super) fn new(connection: Connection, version: u64) -> Self {
        let live = Live { breaker: Breaker::new(Default::default()), last_success: None, last_failure: None };
        Self {
            held: RwLock::new((connection, version)),
            live: Mutex::new(live),
            grant: tokio::sync::Mutex::default(),
            used_at: AtomicI64::new(0),
        }
    }

    /// The record as it stands.
    pub(in crate::connectors) fn connection(&self) -> Connection {
        self.held().0
    }

    pub(super) fn held(&self) -> (Connection, u64) {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn settle(&self, connection: Connection, version: u64) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = (connection, version);
    }

    pub(in crate::connectors) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how a call ended.
    pub(in crate::connectors) fn note(&self, failure: Option<String>, now: Timestamp) {
        self.used_at.store(now.micros(), Ordering::Relaxed);
        let mut live = self.live();
        match failure {
            None => live.last_success = Some(now),
            Some(message) => live.last_failure = Some((now, message)),
        }
    }

    /// What went wrong last, unless something went well since.
    pub(in crate::connectors) fn last_error(&self) -> Option<String> {
        let live = self.live();
        let (at, message) = live.last_failure.as_ref()?;
        live.last_success.is_none_or(|well| well <= *at).then(|| message.clone())
    }

    pub(super) fn view(&self, mono: std::time::Duration) -> ConnectionView {
        let live = self.live();
        let health = Health {
            breaker: live.breaker.state(mono),
            last_success: live.last_success.map(|at| at.to_string()),
            last_failure: live.last_failure.as_ref().map(|(at, _)| at.to_string()),
            last_error: live.last_failure.as_ref().map(|(_, message)| message.clone()),
        };
        drop(live);
        let used = match self.used_at.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Timestamp::from_micros(micros).to_string()),
        };
        ConnectionView::of(&self.connection(), health, used)
    }
}
