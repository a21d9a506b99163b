//! What a crash, or an end, must not make the hub forget.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    store::{Entry, Exception, ExceptionState, Store, SubNo},
    time::Clock,
};
use nexus_engine::{Hub, HubConfig, alerts::AlertTarget, clock::SystemClock, delivery::machine::Policy};
use nexus_store::{SqliteOptions, SqliteStore};
use serde_json::json;

use crate::rig::{Endpoint, Reply, Rig};

/// The row of a dead letter, as it is saved before anybody hears of it.
fn dead(sub: SubNo, seq: u64, clock: &SystemClock) -> Exception {
    let log = json!([{"at": clock.now().to_string(), "status": 400, "latency_ms": 1.0, "error": "it answered 400"}]);
    Exception {
        sub,
        seq,
        generation: 0,
        lane: 1,
        state: ExceptionState::Dead,
        attempts: 1,
        next_at: clock.now(),
        key: None,
        waiting: Vec::new(),
        log: log.to_string(),
        updated_at: clock.now(),
    }
}

#[tokio::test]
async fn a_dead_letter_whose_crash_came_before_its_event_is_told_at_the_next_start_and_only_once() {
    let people = Endpoint::new([]).await;
    let config = || HubConfig { alerts: vec![AlertTarget::Http { url: people.url.clone() }], ..HubConfig::default() };
    let rig = Rig::with(config()).await;
    let endpoint = Endpoint::new([Reply::Status(400)]).await;
    rig.subscribe(json!({"name": "sub", "filter": "a.*", "url": endpoint.url, "max_attempts": 1})).await;
    let no = rig.hub.subscriptions().get("sub").expect("there").no;
    let first = rig.publish("a.first", "1").await;
    rig.fate(first, "dead").await;
    rig.until("the first is told", async || rig.stored("delivery.dead").await.len() == 1).await;
    people.wait(1).await;
    let second = rig.publish("a.second", "2").await;
    rig.fate(second, "delivered").await;
    let folder = rig.end().await;
    // What a crash between the row and the event leaves behind.
    let clock = SystemClock::new();
    let options = SqliteOptions::default();
    let store =
        SqliteStore::open(folder.path(), &Hub::collections(), Arc::new(clock.clone()), options).expect("a store");
    let fence = store.acquire(0).await.expect("a fence");
    store.save(fence, vec![Entry::Exception(dead(no, second.seq, &clock))]).await.expect("saved");
    store.close().await;
    drop(store);
    let rig = Rig::open(folder, config()).await;
    rig.until("the second is told", async || rig.stored("delivery.dead").await.len() == 2).await;
    let told = rig.stored("delivery.dead").await;
    let detail: serde_json::Value = serde_json::from_slice(told[1].json()).expect("JSON");
    assert_eq!((detail["seq"].as_u64(), detail["subscription"].as_str()), (Some(second.seq), Some("sub")));
    assert_eq!((detail["error"].as_str(), told[1].causation), (Some("it answered 400"), Some(second.id)));
    let alerts = people.wait(2).await;
    assert!(alerts[1].body.contains("dead_letter"), "{alerts:?}");
    let rig = rig.restart_with(config()).await;
    let third = rig.publish("a.third", "3").await;
    rig.fate(third, "delivered").await;
    rig.hub.advance(Duration::from_secs(60)).await.expect("a test clock");
    assert_eq!(rig.stored("delivery.dead").await.len(), 2, "nothing is told twice");
    assert_eq!(people.count(), 2, "nor are people");
}

#[tokio::test]
async fn a_delivery_that_dies_again_after_a_redrive_is_told_again() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    endpoint.answers(Reply::Status(400));
    rig.subscribe(json!({"name": "sub", "filter": "a.*", "url": endpoint.url, "max_attempts": 1})).await;
    let event = rig.publish("a.b", "1").await;
    rig.fate(event, "dead").await;
    rig.until("it is told", async || rig.stored("delivery.dead").await.len() == 1).await;
    let by = nexus_core::access::Principal::admin("test");
    rig.hub.deliveries().redrive(nexus_engine::deliveries::Select::All, &by).await.expect("redriven");
    rig.until("it is told again", async || rig.stored("delivery.dead").await.len() == 2).await;
}

#[tokio::test]
async fn how_long_an_endpoint_has_failed_outlives_a_restart() {
    let policy = Policy { disable_after: Duration::from_secs(3_600), ..Policy::default() };
    let config = || HubConfig { policy, ..HubConfig::default() };
    let rig = Rig::with(config()).await;
    let endpoint = Endpoint::new([]).await;
    endpoint.answers(Reply::Status(500));
    let new = json!({"name": "sub", "filter": "a.*", "url": endpoint.url, "retry": "2m", "max_attempts": 100});
    rig.subscribe(new).await;
    rig.publish("a.b", "1").await;
    rig.hub.advance(Duration::from_secs(40 * 60)).await.expect("a test clock");
    let state = async |rig: &Rig| rig.hub.subscriptions().status("sub").await.expect("a status").state;
    assert_eq!(state(&rig).await, "active", "forty minutes are no hour");
    // The test clock begins anew, so that the next attempt, kept as a wall time, lies forty minutes ahead.
    let rig = rig.restart_with(config()).await;
    rig.hub.advance(Duration::from_secs(50 * 60)).await.expect("a test clock");
    rig.until("it is disabled", async || state(&rig).await == "disabled").await;
    let rig = rig.restart_with(config()).await;
    endpoint.answers(Reply::Status(200));
    rig.hub.subscriptions().resume("sub", &nexus_core::access::Principal::admin("test")).await.expect("resumed");
    let event = rig.publish("a.b", "2").await;
    rig.fate(event, "delivered").await;
    endpoint.answers(Reply::Status(500));
    rig.publish("a.b", "3").await;
    let rig = rig.restart_with(config()).await;
    rig.hub.advance(Duration::from_secs(50 * 60)).await.expect("a test clock");
    assert_eq!(state(&rig).await, "active", "a success in between begins it anew");
}
