//! Long outages, limits, and an orderly end in the middle of it.

use std::time::Duration;

use nexus_core::{access::Principal, store::ExceptionState};
use nexus_engine::{
    HubConfig,
    deliveries::{DeliveryQuery, Select},
    delivery::machine::Policy,
};
use serde_json::json;

use crate::rig::{Endpoint, Reply, Rig};

fn admin() -> Principal {
    Principal::admin("test")
}

async fn rows(rig: &Rig) -> u64 {
    // A list has everything saved first.
    rig.hub.deliveries().list(DeliveryQuery { limit: 1, ..DeliveryQuery::default() }).await.expect("a list");
    rig.store.exception_counts().await.expect("readable").iter().map(|(.., n)| n).sum()
}

#[tokio::test]
async fn a_day_of_outage_makes_no_day_of_rows_and_everything_arrives_afterwards() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    endpoint.answers(Reply::Status(503));
    rig.subscribe(json!({"name": "sub", "filter": "a.b", "url": endpoint.url})).await;
    let mut events = Vec::new();
    for i in 0..24 {
        for j in 0..10 {
            events.push(rig.publish("a.b", &(i * 10 + j).to_string()).await);
        }
        rig.hub.advance(Duration::from_secs(3_600)).await.expect("a test clock");
    }
    let rows = rows(&rig).await;
    assert!(rows <= 20, "{rows} rows after a day");
    assert_eq!(rig.stored("delivery.breaker_opened").await.len(), 1, "one outage is one event");
    endpoint.answers(Reply::Status(200));
    rig.hub.advance(Duration::from_secs(3_700)).await.expect("a test clock");
    for event in events {
        rig.fate(event, "delivered").await;
    }
    assert!(rig.stored("delivery.dead").await.is_empty());
    let status = rig.hub.subscriptions().status("sub").await.expect("a status");
    assert_eq!((status.dead, status.lag), (0, 0));
}

#[tokio::test]
async fn at_its_limit_of_open_deliveries_a_subscription_pauses_and_says_so() {
    let policy = Policy { open_exceptions: 50, ..Policy::default() };
    let rig = Rig::with(HubConfig { policy, ..HubConfig::default() }).await;
    let endpoint = Endpoint::new([]).await;
    endpoint.answers(Reply::Status(429));
    rig.subscribe(json!({"name": "sub", "filter": "a.b", "url": endpoint.url, "retry": "1h"})).await;
    let mut last = None;
    for i in 0..200 {
        last = Some(rig.publish("a.b", &i.to_string()).await);
    }
    let paused = async || rig.hub.subscriptions().status("sub").await.expect("a status").state == "paused";
    rig.until("it is paused", paused).await;
    assert_eq!(rig.stored("audit.subscription.paused").await.len(), 1);
    let open = rows(&rig).await;
    assert!((50..=66).contains(&open), "{open} rows: the limit, and what was out");
    endpoint.answers(Reply::Status(200));
    rig.hub.subscriptions().resume("sub", &admin()).await.expect("resumed");
    rig.hub.advance(Duration::from_secs(3_601)).await.expect("a test clock");
    rig.fate(last.expect("published"), "delivered").await;
    let status = rig.hub.subscriptions().status("sub").await.expect("a status");
    assert_eq!((status.state, status.dead, status.retrying), ("active", 0, 0));
}

#[tokio::test]
async fn a_held_key_goes_on_after_a_change_of_mind_even_across_a_restart() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([Reply::Status(400)]).await;
    let new = json!({
        "name": "sub", "filter": "k.*", "url": endpoint.url, "ordered": true, "max_attempts": 1, "on_dead": "hold",
    });
    rig.subscribe(new).await;
    let first = rig.publish("k.k", "1").await;
    rig.fate(first, "dead").await;
    let second = rig.publish("k.k", "2").await;
    rig.hub.advance(Duration::ZERO).await.expect("a test clock");
    let fate = rig.fate(second, "pending").await;
    assert_eq!(fate.deliveries[0].state, "waiting_behind_key");
    let rig = rig.restart().await;
    assert_eq!(rig.hub.fate(second.id).await.expect("a fate").deliveries[0].state, "waiting_behind_key");
    let patch = serde_json::from_value(json!({"on_dead": "continue"})).expect("a patch");
    rig.hub.subscriptions().update("sub", patch, &admin()).await.expect("updated");
    rig.fate(second, "delivered").await;
    rig.fate(first, "dead").await;
}

#[tokio::test]
async fn events_that_join_a_held_key_while_it_is_redriven_are_not_lost() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([Reply::Status(400)]).await;
    let new = json!({
        "name": "sub", "filter": "k.*", "url": endpoint.url, "ordered": true, "max_attempts": 1, "on_dead": "hold",
    });
    rig.subscribe(new).await;
    let first = rig.publish("k.k", "0").await;
    rig.fate(first, "dead").await;
    let mut events = vec![first];
    let deliveries = rig.hub.deliveries();
    let by = admin();
    let (redriven, ()) = tokio::join!(deliveries.redrive(Select::All, &by), async {
        for i in 1..=50 {
            events.push(rig.publish("k.k", &i.to_string()).await);
        }
    });
    assert_eq!(redriven, Ok(1));
    for event in events {
        rig.fate(event, "delivered").await;
    }
    let order: Vec<_> = endpoint.wait(52).await.iter().filter_map(|r| r.json()["payload"].as_i64()).collect();
    assert_eq!(order[1..], (0..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stop_with_a_hanging_request_keeps_what_was_delivered_meanwhile() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([Reply::Hang]).await;
    rig.subscribe(json!({"name": "sub", "filter": "a.b", "url": endpoint.url, "timeout_ms": 60000})).await;
    rig.publish("a.b", "0").await;
    endpoint.wait(1).await;
    for i in 1..=20 {
        rig.publish("a.b", &i.to_string()).await;
    }
    endpoint.wait(21).await;
    rig.hub.shutdown(Duration::from_millis(500)).await;
    let folder = std::sync::Arc::clone(&rig.folder);
    drop(rig);
    let rig = Rig::open(folder, HubConfig::default()).await;
    let received = endpoint.wait(22).await;
    rig.hub.advance(Duration::from_secs(1)).await.expect("a test clock");
    assert_eq!(received[21].json()["payload"], 0, "only the one that hung");
    assert_eq!(endpoint.count(), 22, "nothing else goes out twice");
}

#[tokio::test]
async fn removing_a_subscription_ends_its_replay_and_its_retries() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    endpoint.answers(Reply::Status(400));
    for i in 0..300 {
        rig.publish("a.b", &i.to_string()).await;
    }
    rig.subscribe(json!({"name": "sub", "filter": "a.b", "url": endpoint.url, "retry": "1h"})).await;
    let request = serde_json::from_value(json!({"subscription": "sub", "from": 1})).expect("a request");
    let replay = rig.hub.replays().start(&request, &admin()).await.expect("started");
    endpoint.wait(20).await;
    rig.hub.subscriptions().delete("sub", &admin()).await.expect("removed");
    let ended = async || {
        let replay = rig.hub.replays().get(replay.id).await.expect("a replay");
        replay.state != nexus_engine::replays::ReplayState::Running
    };
    rig.until("the replay has ended", ended).await;
    let query = DeliveryQuery { state: Some(ExceptionState::Retrying), limit: 10, ..DeliveryQuery::default() };
    let (left, _) = rig.hub.deliveries().list(query).await.expect("a list");
    assert!(left.is_empty(), "{left:?}");
}
