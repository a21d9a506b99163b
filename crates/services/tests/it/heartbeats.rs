//! Heartbeats cost nothing but memory, expire by durable timers, and calls are counted out however they end.

use std::time::Duration;

use nexus_engine::clock::SystemClock;
use nexus_services::registry::{Filter, Invocation, RegistryOptions, Status};
use serde_json::json;

use crate::rig::{Crowd, Rig, address};

const PATIENCE: Duration = Duration::from_secs(60);
/// Without a heartbeat for so long an instance expires: far more than any machine stands still.
const TTL: Duration = Duration::from_secs(3_000);

fn calm() -> RegistryOptions {
    RegistryOptions { check_interval: Duration::from_secs(1_000_000), heartbeat_ttl: TTL, ..RegistryOptions::default() }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

#[tokio::test]
async fn a_thousand_instances_that_beat_write_nothing_but_their_timers() {
    let rig = Rig::new(calm()).await;
    let crowd = Crowd::start(&rig.hub, 1_000).await;
    crowd.register_all(&rig).await;
    for n in 0..1_000 {
        rig.registry.heartbeat(&format!("i-{n:04}"), Some(1.0)).await.expect("taken");
    }
    let before = rig.store.stats().commits;
    for round in 0..20 {
        for n in 0..1_000 {
            rig.registry.heartbeat(&format!("i-{n:04}"), Some(f64::from(round))).await.expect("taken");
        }
    }
    let written = rig.store.stats().commits - before;
    assert!(written < 50, "{written} commits for 20000 heartbeats");
    rig.hub.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn time_alone_expires_those_that_are_silent_and_none_of_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = SystemClock::new();
    let rig = Rig::in_folder(folder.path(), clock.clone(), calm()).await;
    let crowd = Crowd::start(&rig.hub, 20).await;
    crowd.register_all(&rig).await;
    let id = |n: usize| format!("i-{n:04}");
    for n in 0..10 {
        rig.registry.heartbeat(&id(n), None).await.expect("taken");
    }
    for _ in 0..4 {
        rig.hub.advance(TTL * 2 / 3).await.expect("advanced");
        for n in 0..5 {
            rig.registry.heartbeat(&id(n), None).await.expect("taken");
        }
    }
    let expired = rig.registry.list(&Filter { status: vec![Status::Expired], ..Filter::default() });
    let expired: Vec<_> = expired.into_iter().map(|s| s.id).collect();
    assert_eq!(expired, (5..10).map(id).collect::<Vec<_>>());
    rig.registry.heartbeat(&id(7), None).await.expect("taken");
    assert!(rig.hub.shutdown(PATIENCE).await);
    drop(rig);
    // Another process over the same folder: the timers are there still, and count from its start.
    let next = Rig::in_folder(folder.path(), clock, calm()).await;
    let status = |n: usize| next.registry.find(&id(n)).expect("there")[0].status;
    assert_eq!(status(8), Status::Expired);
    next.hub.advance(TTL * 2 / 3).await.expect("advanced");
    assert_ne!(status(0), Status::Expired);
    next.hub.advance(TTL).await.expect("advanced");
    assert_eq!((status(0), status(7)), (Status::Expired, Status::Expired));
    next.hub.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_call_whose_caller_goes_away_is_counted_out() {
    let rig = Rig::new(calm()).await;
    // It takes connections and never answers.
    let listener = tokio::net::TcpListener::bind((address(0), 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    rig.register(json!({"id": "a", "host": address(0).to_string(), "port": port})).await;
    let call = || rig.registry.invoke("a", Invocation { body: b"{}".as_slice().into(), ..Invocation::default() });
    let in_flight = || rig.registry.find("a").expect("there")[0].in_flight;
    {
        let mut calls = [Box::pin(call()), Box::pin(call()), Box::pin(call())];
        // Polled until all of them wait for the answer.
        within(async {
            while in_flight() < 3 {
                for call in &mut calls {
                    let waits = tokio::time::timeout(Duration::from_millis(10), call).await;
                    assert!(waits.is_err(), "nobody answers");
                }
            }
        })
        .await;
    }
    assert_eq!(in_flight(), 0);
    drop(listener);
    within(rig.hub.shutdown(PATIENCE)).await;
}

/// Begins it, and goes away before it is done.
async fn begun<F: Future>(future: F) {
    let mut future = Box::pin(future);
    std::future::poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending(), "it was done at once");
        std::task::Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn registering_and_leaving_run_to_their_end_when_their_caller_goes_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = Rig::in_folder(folder.path(), SystemClock::new(), calm()).await;
    let mut log = rig.hub.tail().watch();
    let new = json!({"id": "a", "host": address(0).to_string(), "port": 9});
    let new: nexus_services::registry::NewService = serde_json::from_value(new).expect("a service");
    let by = nexus_core::access::Principal::admin("test");
    begun(rig.registry.register(new, &by)).await;
    within(async {
        while rig.registry.find("a").is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within(log.changed()).await.expect("it is in the log");
    begun(rig.registry.deregister("a", &by)).await;
    within(async {
        while rig.registry.find("a").is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The book and the store agree: it can come back.
    rig.register(json!({"id": "a", "host": address(0).to_string(), "port": 9})).await;
    within(rig.hub.shutdown(PATIENCE)).await;
}

#[tokio::test]
async fn one_that_registers_a_moment_before_it_listens_is_well_a_moment_after_it_does() {
    let rig = Rig::new(calm()).await;
    let crowd = Crowd::start(&rig.hub, 1).await;
    crowd.set_up(0, false, &rig.clock);
    let mut log = rig.hub.tail().watch();
    crowd.register_all(&rig).await;
    let status = || rig.registry.find("i-0000").expect("there")[0].status;
    within(async {
        while status() != Status::Unhealthy {
            log.changed().await.expect("the hub runs");
        }
    })
    .await;
    crowd.set_up(0, true, &rig.clock);
    // The next look of its turn would be in an hour.
    within(async {
        while status() != Status::Healthy {
            log.changed().await.expect("the hub runs");
        }
    })
    .await;
    within(rig.hub.shutdown(PATIENCE)).await;
}
