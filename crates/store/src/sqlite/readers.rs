//! The readers: a few connections on threads of their own. Each page of a read holds the gate and nothing longer.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use nexus_core::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::shared::Shared;

/// Reads that may wait for a reader; more wait to wait.
const WAITING_READS: usize = 1_024;

type Page = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Default)]
struct Waiting {
    pages: VecDeque<Page>,
    closed: bool,
}

/// A pool of reading threads.
pub(super) struct Readers {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    places: Semaphore,
}

impl Readers {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::new(Waiting::default()), arrived: Condvar::new(), places: Semaphore::new(WAITING_READS) }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one thread per connection.
    pub(super) fn start(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        connections: Vec<Connection>,
    ) -> std::io::Result<Vec<JoinHandle<()>>> {
        let mut threads = Vec::with_capacity(connections.len());
        for (n, conn) in connections.into_iter().enumerate() {
            let (readers, shared) = (Arc::clone(self), Arc::clone(shared));
            threads.push(std::thread::Builder::new().name(format!("store-read-{n}")).spawn(move || {
                while let Some(page) = readers.next() {
                    let _gate = shared.gate.read().unwrap_or_else(PoisonError::into_inner);
                    // A page that panics answers its own caller with an error and must not cost the pool a thread.
                    if catch_unwind(AssertUnwindSafe(|| page(&conn))).is_err() {
                        tracing::error!("a read panicked");
                    }
                }
            })?);
        }
        Ok(threads)
    }

    fn next(&self) -> Option<Page> {
        let mut waiting = self.lock();
        loop {
            if let Some(page) = waiting.pages.pop_front() {
                return Some(page);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Reads one page: everything `read` sees is one state of the store.
    pub(super) async fn page<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _place = self.places.acquire().await.map_err(|_| StoreError::Closed)?;
        let (to, answer) = oneshot::channel();
        let page: Page = Box::new(move |conn| {
            let result = conn.unchecked_transaction().and_then(|tx| {
                let found = read(&tx)?;
                tx.finish()?;
                Ok(found)
            });
            drop(to.send(result));
        });
        {
            let mut waiting = self.lock();
            if waiting.closed {
                return Err(StoreError::Closed);
            }
            waiting.pages.push_back(page);
        }
        self.arrived.notify_one();
        answer.await.map_err(|_| StoreError::Closed)?.map_err(|error| StoreError::Broken(error.to_string()))
    }

    /// Takes no more pages; those that wait are read.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }
}
