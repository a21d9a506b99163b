//! The tasks that the driver starts: attempts, and pages of the log.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use nexus_core::{
    event::{Data, Seq, StoredEvent},
    retry::Verdict,
    store::{Limit, SeqRange, Store, StoreError, SubNo},
    time::Clock,
};

use super::{
    super::{
        attempt::Delivery,
        key::DeliveryKey,
        outcome::{Answer, Made},
        spec::Spec,
    },
    Running,
};
use crate::{consumers::Offered, supervisor::TaskKind};

/// Bytes of one page.
const PAGE_BYTES: usize = 2 << 20;
/// Until a read that failed is tried again.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// A page as read.
#[derive(Debug)]
pub(super) struct Page {
    /// What was asked for.
    pub(super) events: Vec<Arc<StoredEvent>>,
    /// Complete up to this seq.
    pub(super) through: Seq,
    /// It ends where the dispatched log ended, not where the page was full.
    pub(super) whole: bool,
}

impl Running {
    pub(super) fn attempt(
        &self,
        sub: SubNo,
        key: DeliveryKey,
        attempt: u16,
        event: Option<Arc<StoredEvent>>,
        spec: Arc<Spec>,
    ) {
        let sender = Arc::clone(&self.driver.sender);
        let store = Arc::clone(&self.driver.store);
        let clock = Arc::clone(&self.driver.clock);
        let outcomes = self.outcomes.0.clone();
        let consumers = Arc::clone(&self.driver.consumers);
        let announced = sender.announce(&spec, key.0);
        // Boxed at once: it is large, and is handed on several times until it runs.
        let made = Box::pin(async move {
            let event = match event {
                Some(event) => Ok(Some(event)),
                None => load(&*store, &*clock, key.0).await,
            };
            let started = clock.now();
            let made = match event {
                Ok(Some(event)) if spec.subscription.target.is_consumer() => {
                    let (told, by) = (Arc::clone(&event), Arc::clone(&spec));
                    let delivery = Delivery { spec: &by, generation: key.1, attempt, announced: None };
                    let made = consumers.offer(Offered { event, spec, generation: key.1, attempt }).await;
                    if let Made::Answered(answer) = &made {
                        sender.consumed(&told, delivery, answer);
                    }
                    made
                }
                Ok(Some(event)) => {
                    let announced = announced.as_ref();
                    let delivery = Delivery { spec: &spec, generation: key.1, attempt, announced };
                    // A handler is code of whoever embeds the hub. One that panics has failed; the delivery must not hang.
                    let made = AssertUnwindSafe(sender.attempt(&event, delivery)).catch_unwind().await;
                    Made::Answered(made.unwrap_or_else(|_| unsent("the handler panicked", started)))
                }
                Ok(None) => Made::Expired,
                Err(_closed) => Made::Answered(unsent("the hub is stopping", started)),
            };
            // The receiver is only gone when the hub is gone.
            let _ = outcomes.send((sub, key, made)).await;
        });
        self.driver.spawn.start(TaskKind::Delivery, made);
    }

    pub(super) fn read(&self, sub: SubNo, lane: u8, range: SeqRange, limit: usize) {
        let pages = self.pages.0.clone();
        let reads = Arc::clone(&self.reads);
        let store = Arc::clone(&self.driver.store);
        let clock = Arc::clone(&self.driver.clock);
        let dispatched = self.driver.machine.head();
        self.driver.spawn.start(TaskKind::Delivery, async move {
            let _permit = reads.acquire_owned().await;
            loop {
                // Only up to what is dispatched: by which rule later events go is not settled yet.
                let range = SeqRange { until: Some(dispatched.max(range.after)), ..range };
                let limits = Limit { items: limit, bytes: PAGE_BYTES };
                match store.read(range, limits).await {
                    Ok(events) => {
                        // The store stops after the event that passes the limit, counting as here.
                        let bytes: usize = events.iter().map(|e| e.weight()).sum();
                        let whole = events.len() < limit && bytes <= PAGE_BYTES;
                        let last = events.last().map_or(range.after, |e| e.seq);
                        let through = if whole { dispatched.max(last) } else { last };
                        let _ = pages.send((sub, lane, range, Page { events, through, whole })).await;
                        return;
                    }
                    Err(StoreError::Closed) => return,
                    Err(error) => {
                        tracing::error!(%error, subscription = sub, "reading the log for a subscription failed");
                        clock.sleep(READ_AGAIN).await;
                    }
                }
            }
        });
    }
}

fn unsent(error: &str, started: nexus_core::time::Timestamp) -> Answer {
    Answer {
        verdict: Verdict::Retry,
        status: None,
        error: Some(error.into()),
        retry_after: None,
        retry_in: None,
        started,
        latency: Duration::ZERO,
        request_head: None,
        response_head: None,
    }
}

/// The event to be tried again; `None` when its data is gone. A store that can't be read is no failed attempt: it is
/// asked until it answers or is closed.
async fn load(store: &dyn Store, clock: &dyn Clock, seq: Seq) -> Result<Option<Arc<StoredEvent>>, StoreError> {
    let range = SeqRange { after: seq - 1, until: Some(seq), priority: None };
    loop {
        match store.read(range, Limit::items(1)).await {
            Ok(found) => {
                return Ok(found.into_iter().next().filter(|e| matches!(e.data, Data::Present { .. })));
            }
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => {
                tracing::error!(%error, event.seq = seq, "reading an event to be tried again failed");
                clock.sleep(READ_AGAIN).await;
            }
        }
    }
}
