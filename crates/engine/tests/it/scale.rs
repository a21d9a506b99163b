//! The hub at its named sizes: a flood, fifty thousand subscriptions, all the event types a log may know.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use nexus_core::{
    limits::DICTIONARY_ENTRIES,
    problem::Code,
    store::{Commit, Lane, Store, Write},
    time::Clock,
};
use nexus_engine::{
    Hub, HubConfig,
    clock::SystemClock,
    subscription::{Revision, Subscription},
};
use nexus_store::{SqliteOptions, SqliteStore};
use serde_json::json;

use crate::rig::{Endpoint, Reply, Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_keep_their_pace_while_the_doors_are_flooded() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([Reply::Status(429), Reply::Status(429), Reply::Status(429)]).await;
    rig.subscribe(json!({"name": "calm", "filter": "calm.*", "url": endpoint.url, "retry": "100ms"})).await;
    let (over, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (hub, over, accepted) = (rig.hub.clone(), Arc::clone(&over), Arc::clone(&accepted));
        let event = rig.event("flood.made", "1");
        flood.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                match hub.publish(event.clone()).await {
                    Ok(_) => accepted.fetch_add(1, Ordering::Relaxed),
                    // Busy is a defined answer.
                    Err(problem) => {
                        assert_eq!(problem.code, Code::Unavailable, "{problem:?}");
                        0
                    }
                };
            }
        });
    }
    rig.until("the flood", async || accepted.load(Ordering::Relaxed) > 1_000).await;
    let clock = rig.hub.clock();
    let begun = clock.mono();
    let event = rig.publish("calm.sent", "1").await;
    rig.fate(event, "delivered").await;
    let took = clock.mono().saturating_sub(begun);
    over.store(true, Ordering::Relaxed);
    while let Some(done) = flood.join_next().await {
        done.expect("no publisher panics");
    }
    assert_eq!(endpoint.count(), 4);
    let events = accepted.load(Ordering::Relaxed);
    // Far beyond what a busy machine needs, and far below what waiting behind the flood would take.
    assert!(took < Duration::from_secs(30), "three waits of 100 ms took {took:?} beside {events} events");
}

/// Subscriptions `first..last` with their revisions, as the desk stores them; every thousandth takes `all.*` too.
fn stored(first: u32, last: u32, url: &str, at: i64) -> Vec<Write> {
    let mut writes = Vec::new();
    for no in first..last {
        let mut filters = vec![format!("one{no}.*")];
        filters.extend(no.is_multiple_of(1_000).then(|| "all.*".to_owned()));
        let subscription: Subscription = serde_json::from_value(json!({
            "name": format!("s{no}"), "no": no, "revision": 1, "filters": filters, "concurrency": 16,
            "target": {"kind": "webhook", "url": url}, "private": true,
            "retry": {"kind": "explicit", "waits_ms": [1000]}, "max_attempts": 10, "timeout_ms": 10000,
            "activity": {"state": "active"}, "since_seq": 0, "created_at": at, "updated_at": at,
        }))
        .expect("a subscription");
        let revision = Revision {
            no,
            name: subscription.name.clone(),
            revision: 1,
            from_seq: 1,
            filters: subscription.filters.clone(),
            predicate: None,
        };
        writes.push(Write::put(&subscription).expect("written"));
        writes.push(Write::put(&revision).expect("written"));
    }
    writes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_with_fifty_thousand_subscriptions_starts_delivers_and_writes_nothing_for_the_idle_ones() {
    let endpoint = Endpoint::new([]).await;
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let clock = SystemClock::new();
    let options = SqliteOptions::default();
    let store =
        SqliteStore::open(folder.path(), &Hub::collections(), Arc::new(clock.clone()), options).expect("a store");
    for first in (1..=50_000).step_by(1_000) {
        let documents = stored(first, first + 1_000, &endpoint.url, clock.now().micros());
        let commit = Commit { documents, lane: Lane::Own, ..Commit::default() };
        store.commit(commit).await.expect("committed");
    }
    store.close().await;
    drop(store);
    let begun = clock.mono();
    let rig = Rig::open(folder, HubConfig::default()).await;
    let started = clock.mono().saturating_sub(begun);
    assert_eq!(rig.hub.subscriptions().list().len(), 50_000);
    let begun = clock.mono();
    let one = rig.publish("one777.x", "1").await;
    rig.fate(one, "delivered").await;
    let all = rig.publish("all.x", "2").await;
    endpoint.wait(51).await;
    assert_eq!(rig.fate(all, "delivered").await.deliveries.len(), 50);
    let took = clock.mono().saturating_sub(begun);
    assert!(started < Duration::from_secs(60) && took < Duration::from_secs(20), "{started:?}, {took:?}");
    rig.hub.advance(Duration::from_secs(5)).await.expect("a test clock");
    let before = rig.store.stats();
    rig.hub.advance(Duration::from_secs(600)).await.expect("a test clock");
    let after = rig.store.stats();
    assert_eq!((after.commits, after.groups), (before.commits, before.groups), "idle ones cost no writes");
    let positions = rig.store.positions().await.expect("readable");
    assert!(positions.iter().all(|p| p.sub == 0), "no position of its own: {positions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_takes_a_hundred_thousand_event_types_and_refuses_one_beyond_its_limit() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    rig.subscribe(json!({"name": "sub", "filter": "type100000.*", "url": endpoint.url})).await;
    // The audit event of the subscription is of a type, too.
    let known = rig.store.topics().await.expect("readable").len();
    let room = DICTIONARY_ENTRIES - known;
    for first in (0..room).step_by(1_000) {
        let events = (first..room.min(first + 1_000)).map(|i| rig.event(&format!("type{i}.made"), "1")).collect();
        rig.hub.publish_all(events).await.expect("accepted");
    }
    assert_eq!(endpoint.wait(1).await[0].json()["event"], "type100000.made");
    assert_eq!(rig.store.topics().await.expect("readable").len(), DICTIONARY_ENTRIES);
    let beyond = rig.hub.publish(rig.event("type.beyond", "1")).await.expect_err("refused");
    assert_eq!(beyond.code, Code::Conflict, "{beyond:?}");
    assert!(beyond.message.contains(&DICTIONARY_ENTRIES.to_string()), "{beyond:?}");
    rig.hub.publish(rig.event("type5.made", "2")).await.expect("a known type goes on");
    assert_eq!(endpoint.count(), 1);
}
