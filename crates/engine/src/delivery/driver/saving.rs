//! Saving what the machine wants kept, one batch at a time.

use std::sync::Arc;

use nexus_core::store::SaveError;

use super::{Running, SAVE_EVERY, SAVE_RECEIPTS, Saving};

impl Running {
    pub(super) fn start_saving(&mut self) {
        if self.saving.is_some() {
            return;
        }
        let now = self.now();
        let machine = &mut self.driver.machine;
        let due = now.mono >= self.saved_at + SAVE_EVERY || machine.unsaved_receipts() >= SAVE_RECEIPTS;
        if !machine.has_unsaved() {
            for reply in self.flushes.drain(..) {
                let _ = reply.send(());
            }
        } else if due || !self.flushes.is_empty() {
            self.save_now();
        }
    }

    /// Saves what there is, whether it is time or not, unless a batch is on its way.
    pub(super) fn save_soon(&mut self) {
        if self.saving.is_none() && !self.broken && self.driver.machine.has_unsaved() {
            self.save_now();
        }
    }

    fn save_now(&mut self) {
        let now = self.now();
        self.batch = self.driver.machine.unsaved(now);
        self.buried.append(&mut self.dying);
        self.flushing.append(&mut self.flushes);
        if self.batch.is_empty() {
            self.saved(Ok(()));
        } else {
            self.saving = Some(self.save());
        }
    }

    pub(super) fn save(&self) -> Saving {
        let store = Arc::clone(&self.driver.store);
        let fence = self.driver.fence;
        let batch = self.batch.clone();
        Box::pin(async move { store.save(fence, batch).await })
    }

    pub(super) fn saved(&mut self, result: Result<(), SaveError>) {
        self.saving = None;
        self.saved_at = self.driver.clock.mono();
        match result {
            Ok(()) => {
                self.batch.clear();
                self.pending.extend(self.buried.drain(..));
                for reply in self.flushing.drain(..) {
                    let _ = reply.send(());
                }
            }
            Err(SaveError::Stale(shard)) => {
                tracing::error!(shard, "another process has taken over the deliveries; this one stops sending");
                self.broken = true;
            }
            Err(SaveError::Closed) => self.broken = true,
            Err(error) => {
                // Positions are only right together with the rest of their batch: the same batch again, until it holds.
                tracing::error!(%error, "saving deliveries failed; it is tried again");
                let again = self.save();
                let clock = Arc::clone(&self.driver.clock);
                self.saving = Some(Box::pin(async move {
                    clock.sleep(SAVE_EVERY).await;
                    again.await
                }));
            }
        }
    }

    pub(super) async fn settle_saving(&mut self) {
        while let Some(saving) = self.saving.as_mut() {
            let result = saving.await;
            self.saved(result);
        }
    }
}
