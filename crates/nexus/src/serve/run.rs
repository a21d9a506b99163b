//! Opens the doors, waits for the end, and ends in order.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use nexus_engine::Hub;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Plan, bind::Bound, build::Built};
use crate::output::{Failure, Screen, note};

/// What ends a hub.
enum End {
    Told(&'static str),
    DoorsClosed(Failure),
    StoreFailed(String),
}

/// Serves until a signal, then drains.
pub(super) async fn run(plan: &Plan, built: Built, bound: Vec<Bound>) -> Result<(), Failure> {
    let Built { rooms, store, gateway } = built;
    let hub = rooms.hub.clone();
    let mut signals = Signals::new()?;
    let (urls, listeners): (Vec<_>, Vec<_>) = bound.into_iter().map(|b| (b.url, b.listener)).unzip();
    let mut doors = pin!(nexus_gateway::serve(rooms, gateway, listeners));
    // The first look opens the doors; only then is anybody told that they are open.
    tokio::select! {
        biased;
        closed = &mut doors => return Err(doors_closed(closed)),
        () = std::future::ready(()) => {}
    }
    announce(plan, &urls)?;
    let end = tokio::select! {
        name = signals.next() => End::Told(name),
        closed = &mut doors => End::DoorsClosed(doors_closed(closed)),
        reason = store.fatal() => End::StoreFailed(reason),
    };
    match end {
        End::Told(name) => tracing::info!(signal = name, "stopping: no new requests, finishing those in flight"),
        End::DoorsClosed(failure) => return Err(failure),
        End::StoreFailed(reason) => {
            // Nothing that is still in memory may be answered: a new process recovers from what is on disk.
            tracing::error!(reason, "the disk can't be trusted any more; ending at once");
            std::process::exit(1);
        }
    }
    let drained = tokio::select! {
        drained = drain(&hub, plan.config.server.drain.0, doors) => drained,
        name = signals.next() => {
            tracing::warn!(signal = name, "told again: ending at once");
            return Err(Failure::failed("ended before everything in flight was finished"));
        }
    };
    if drained {
        tracing::info!("stopped");
    } else {
        tracing::warn!("stopped; what was still in flight after the time to drain is retried at the next start");
    }
    Ok(())
}

/// Ends in order. The doors are looked after meanwhile, and not awaited beyond it: a request that takes longer than the
/// time to drain must not keep the process.
async fn drain(
    hub: &Hub,
    grace: Duration,
    mut doors: Pin<&mut impl Future<Output = Result<(), nexus_gateway::ServeError>>>,
) -> bool {
    let mut shutdown = pin!(hub.shutdown(grace));
    tokio::select! {
        drained = &mut shutdown => return drained,
        _ended = &mut doors => {}
    }
    shutdown.await
}

fn doors_closed(closed: Result<(), nexus_gateway::ServeError>) -> Failure {
    match closed {
        Ok(()) => Failure::failed("the doors closed by themselves"),
        Err(error) => Failure::failed(format!("the doors can't open: {}", crate::command::backup::whole(&error))),
    }
}

/// Says where the hub listens: in the log, and as plain lines wherever the log is JSON.
fn announce(plan: &Plan, urls: &[String]) -> Result<(), Failure> {
    if plan.dev {
        tracing::warn!("development mode: requests from this machine need no token");
    }
    for url in urls {
        if plan.json {
            tracing::info!("listening on {url}");
            note(&format!("listening on {url}"));
        } else {
            Screen { json: false }.line(&format!("listening on {url}"))?;
        }
    }
    if plan.json {
        note("ready");
    }
    Ok(())
}

/// The signals that end a hub.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
