//! How many calls are made at once: of one flow, and of all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls of all flows.
const CALLS: usize = 256;
/// Calls of one flow that names no number.
const OF_ONE: usize = 64;
/// Flows whose places are remembered while nobody is in them.
const REMEMBERED: usize = 1_000;

/// The places.
pub(super) struct Slots {
    all: Arc<Semaphore>,
    of_flow: Mutex<HashMap<(String, usize), Arc<Semaphore>>>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(CALLS)), of_flow: Mutex::default() }
    }
}

impl Slots {
    fn of(&self, flow: &str, calls: usize) -> Arc<Semaphore> {
        let mut flows = self.of_flow.lock().unwrap_or_else(PoisonError::into_inner);
        if flows.len() > REMEMBERED {
            flows.retain(|_, places| Arc::strong_count(places) > 1);
        }
        Arc::clone(flows.entry((flow.to_owned(), calls)).or_insert_with(|| Arc::new(Semaphore::new(calls))))
    }

    /// Waits for a place of the flow, then for one of all: a flow that is at its limit takes nobody else's.
    pub(super) async fn enter(&self, flow: &str, calls: Option<usize>) -> [Option<OwnedSemaphorePermit>; 2] {
        let own = self.of(flow, calls.unwrap_or(OF_ONE));
        // Neither is ever closed.
        let own = own.acquire_owned().await.ok();
        let all = Arc::clone(&self.all).acquire_owned().await.ok();
        [own, all]
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_flow_at_its_limit_leaves_room_for_others() {
        let slots = Slots::default();
        let first = slots.enter("a/one", Some(1)).now_or_never();
        assert!(first.is_some());
        assert!(slots.enter("a/one", Some(1)).now_or_never().is_none());
        assert!(slots.enter("a/two", Some(1)).now_or_never().is_some());
        drop(first);
        assert!(slots.enter("a/one", Some(1)).now_or_never().is_some());
    }
}
