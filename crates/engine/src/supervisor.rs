//! Every task of the process is started here: named, counted, and ended in order.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use nexus_core::time::Clock;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The closed set of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// Accepts connections; ends first.
    Listener,
    /// Serves one connection; drained.
    Connection,
    /// Serves one socket or stream; told to stop.
    Socket,
    /// The dispatcher and its helpers; stop after the doors are drained.
    Engine,
    /// One delivery attempt; awaited up to the grace period.
    Delivery,
    /// Retention, alerts, file watching; ended at once.
    Background,
}

#[derive(Debug)]
struct Inner {
    doors: TaskTracker,
    engine: TaskTracker,
    stop_doors: CancellationToken,
    stop_engine: CancellationToken,
    counts: [AtomicUsize; 6],
}

/// Starts tasks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spawn(Arc<Inner>);

impl Default for Spawn {
    fn default() -> Self {
        Self(Arc::new(Inner {
            doors: TaskTracker::new(),
            engine: TaskTracker::new(),
            stop_doors: CancellationToken::new(),
            stop_engine: CancellationToken::new(),
            counts: Default::default(),
        }))
    }
}

impl Spawn {
    /// Starts a task. It must end soon after its stop signal ([`Self::stopping`] or [`Self::engine_stopping`]).
    #[expect(clippy::disallowed_methods, reason = "the one place where tasks start")]
    pub fn start<F>(&self, kind: TaskKind, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        inner.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
        let counted = Counted(inner, kind);
        let future = async move {
            let _counted = counted;
            task.await;
        };
        match kind {
            TaskKind::Listener | TaskKind::Connection | TaskKind::Socket => {
                tokio::spawn(self.0.doors.track_future(future));
            }
            TaskKind::Engine | TaskKind::Delivery => {
                tokio::spawn(self.0.engine.track_future(future));
            }
            TaskKind::Background => {
                let stop = self.0.stop_engine.clone();
                tokio::spawn(async move { stop.run_until_cancelled(future).await });
            }
        }
    }

    /// Ends when the doors are to stop taking requests.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stop_doors.clone()
    }

    /// Ends when the engine is to stop sending.
    pub fn engine_stopping(&self) -> CancellationToken {
        self.0.stop_engine.clone()
    }

    /// How many tasks of a kind there are.
    pub fn count(&self, kind: TaskKind) -> usize {
        self.0.counts[kind as usize].load(Ordering::Relaxed)
    }

    /// Stops the doors and waits until they are drained, at most `grace`. True when they were.
    pub async fn drain_doors(&self, clock: &dyn Clock, grace: Duration) -> bool {
        self.0.stop_doors.cancel();
        self.0.doors.close();
        let late = clock.sleep(grace);
        tokio::select! {
            () = self.0.doors.wait() => true,
            () = late => false,
        }
    }

    /// Stops the engine and waits for it, at most `grace`. True when it ended.
    pub async fn drain_engine(&self, clock: &dyn Clock, grace: Duration) -> bool {
        self.0.stop_engine.cancel();
        self.0.engine.close();
        let late = clock.sleep(grace);
        tokio::select! {
            () = self.0.engine.wait() => true,
            () = late => false,
        }
    }
}

struct Counted(Arc<Inner>, TaskKind);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counts[self.1 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
