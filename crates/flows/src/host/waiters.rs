//! Those who wait for the end of a run.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nexus_core::problem::Problem;
use tokio::sync::oneshot;

use super::Flows;
use crate::effect::Outcome;

/// The waiters, by run.
#[derive(Default)]
pub(super) struct Waiters(Mutex<HashMap<String, Vec<oneshot::Sender<Outcome>>>>);

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<oneshot::Sender<Outcome>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, run: &str) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let mut waiters = self.lock();
        let of_run = waiters.entry(run.to_owned()).or_default();
        of_run.retain(|sender| !sender.is_closed());
        of_run.push(sender);
        receiver
    }

    pub(super) fn ended(&self, run: &str, outcome: &Outcome) {
        for sender in self.lock().remove(run).into_iter().flatten() {
            let _ = sender.send(outcome.clone());
        }
    }

    fn leave(&self, run: &str) {
        let mut waiters = self.lock();
        if let Some(of_run) = waiters.get_mut(run) {
            of_run.retain(|sender| !sender.is_closed());
            if of_run.is_empty() {
                waiters.remove(run);
            }
        }
    }
}

impl Flows {
    /// How a run ended, if it ends in time.
    pub async fn outcome(&self, run: &str, within: Duration) -> Result<Option<Outcome>, Problem> {
        let receiver = self.inner.waiters.wait(run);
        // It may have ended before anybody waited.
        let outcome = self.find(run).await?.state.outcome;
        if outcome.is_some() {
            drop(receiver);
            self.inner.waiters.leave(run);
            return Ok(outcome);
        }
        let found = tokio::select! {
            outcome = receiver => outcome.ok(),
            () = self.clock().sleep(within) => None,
        };
        self.inner.waiters.leave(run);
        Ok(found)
    }
}
