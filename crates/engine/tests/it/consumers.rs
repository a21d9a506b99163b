//! Remote consumers: what is offered is taken once at a time, and comes again until somebody acknowledges it.

#![expect(clippy::disallowed_methods, reason = "a test's own tasks are not the hub's")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_core::{access::Principal, problem::Code, store::SubNo};
use nexus_engine::{
    consumers::{Consumer, Taken},
    deliveries::{DeliveryQuery, Select},
    log::RedactRequest,
    replays::ReplayRequest,
};
use serde_json::json;

use crate::rig::{PATIENCE, Rig};

const WAIT: Duration = Duration::from_secs(10);

fn admin() -> Principal {
    Principal::admin("test")
}

async fn consumed(rig: &Rig, more: serde_json::Value) -> SubNo {
    let mut new = json!({"name": "sub", "filter": "a.*", "target": {"kind": "consumer"}});
    new.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let name = rig.subscribe(new).await;
    rig.hub.subscriptions().get(&name).expect("there").no
}

fn attach(rig: &Rig, most: usize) -> Consumer {
    rig.hub.consume("sub", most).expect("a consumer")
}

async fn take(consumer: &Consumer) -> Vec<Taken> {
    tokio::time::timeout(PATIENCE, consumer.take()).await.expect("in time").expect("still there")
}

async fn pull(rig: &Rig, sub: SubNo, most: usize) -> Vec<Taken> {
    assert_eq!(rig.hub.subscriptions().get("sub").expect("there").no, sub);
    let pulled = rig.hub.pull("sub", most, WAIT);
    tokio::time::timeout(PATIENCE, pulled).await.expect("in time").expect("a consumer")
}

async fn one(rig: &Rig, sub: SubNo) -> Taken {
    let mut taken = pull(rig, sub, 1).await;
    assert_eq!(taken.len(), 1, "nothing came");
    taken.remove(0)
}

fn offered(rig: &Rig, sub: SubNo) -> usize {
    rig.hub.consumers().standing(sub).map_or(0, |s| s.offered)
}

#[tokio::test]
async fn while_nobody_comes_nothing_is_tried_and_nothing_is_written() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({"concurrency": 4, "max_attempts": 2, "retry": "10ms"})).await;
    for n in 0..40 {
        rig.publish("a.b", &n.to_string()).await;
    }
    rig.until("the window is offered", async || offered(&rig, sub) == 4).await;
    rig.hub.advance(Duration::from_secs(3 * 24 * 3600)).await.expect("time passes");
    let status = rig.hub.subscriptions().status("sub").await.expect("a status");
    assert_eq!((status.mode, status.retrying, status.dead, status.in_flight), ("behind", 0, 0, 4));
    assert!(status.lag >= 40 && status.waiting_for.is_some_and(|w| w.contains("a consumer")));
    let query = DeliveryQuery { limit: 10, ..DeliveryQuery::default() };
    assert!(rig.hub.deliveries().list(query).await.expect("a list").0.is_empty());
    let mut seen = Vec::new();
    while seen.len() < 40 {
        for taken in pull(&rig, sub, 100).await {
            assert_eq!(taken.attempt, 1);
            seen.push(taken.event.json().to_vec());
            rig.hub.consumers().ack(sub, &taken.lease).expect("held");
        }
    }
    let wanted: Vec<Vec<u8>> = (0..40).map(|n| n.to_string().into_bytes()).collect();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn an_acknowledged_delivery_is_delivered_and_can_not_be_settled_twice() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({})).await;
    let event = rig.publish("a.b", "1").await;
    let taken = one(&rig, sub).await;
    assert_eq!((taken.attempt, taken.name.as_str(), taken.event.id), (1, "a.b", event.id));
    rig.hub.consumers().ack(sub, &taken.lease).expect("held");
    for settled in [
        rig.hub.consumers().ack(sub, &taken.lease),
        rig.hub.consumers().nack(sub, &taken.lease, None, None),
        rig.hub.consumers().extend(sub, &taken.lease, None).map(drop),
        rig.hub.consumers().ack(sub + 1, &taken.lease),
        rig.hub.consumers().ack(sub, "nonsense"),
    ] {
        assert_eq!(settled.map_err(|p| p.code), Err(Code::NotFound));
    }
    let fate = rig.fate(event, "delivered").await;
    assert_eq!(fate.deliveries[0].attempt, Some(1));
}

#[tokio::test]
async fn a_consumer_that_dies_gives_its_deliveries_back_at_once_under_the_same_ids() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({"retry": "1h"})).await;
    let events = [rig.publish("a.b", "1").await, rig.publish("a.c", "2").await];
    let first = attach(&rig, 10);
    let mut held = take(&first).await;
    while held.len() < 2 {
        held.extend(take(&first).await);
    }
    drop(first);
    let second = attach(&rig, 10);
    let mut again = BTreeMap::new();
    while again.len() < 2 {
        again.extend(take(&second).await.into_iter().map(|t| (t.delivery_id.clone(), t)));
    }
    for taken in &held {
        let repeat = &again[&taken.delivery_id];
        assert_eq!((repeat.attempt, repeat.event.id), (2, taken.event.id));
        assert_ne!(repeat.lease, taken.lease);
        assert!(rig.hub.consumers().ack(sub, &taken.lease).is_err());
        rig.hub.consumers().ack(sub, &repeat.lease).expect("held");
    }
    for event in events {
        let fate = rig.fate(event, "delivered").await;
        assert!(fate.deliveries[0].attempts[0].error.as_ref().is_some_and(|e| e.contains("connection ended")));
    }
}

#[tokio::test]
async fn several_consumers_share_the_work_and_no_delivery_is_held_twice() {
    const EVENTS: usize = 400;
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({"concurrency": 32, "timeout_ms": 60_000})).await;
    let held: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let done: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let mut tasks = Vec::new();
    for who in 0..4 {
        let (held, done, desk) = (Arc::clone(&held), Arc::clone(&done), Arc::clone(rig.hub.consumers()));
        let consumer = attach(&rig, 3);
        tasks.push(tokio::spawn(async move {
            while let Some(batch) = consumer.take().await {
                assert!(batch.len() <= 3, "more than it may hold");
                for taken in batch {
                    assert!(held.lock().expect("fine").insert(taken.delivery_id.clone()), "held twice");
                    tokio::task::yield_now().await;
                    assert!(held.lock().expect("fine").remove(&taken.delivery_id));
                    let twice = done.lock().expect("fine").insert(taken.delivery_id.clone(), who);
                    assert!(twice.is_none(), "handed out again after it was done");
                    desk.ack(sub, &taken.lease).expect("held");
                }
            }
        }));
    }
    for n in 0..EVENTS {
        rig.publish("a.b", &n.to_string()).await;
    }
    rig.until("all are done", async || done.lock().expect("fine").len() == EVENTS).await;
    let workers: BTreeSet<usize> = done.lock().expect("fine").values().copied().collect();
    assert_eq!(workers.len(), 4, "some had nothing to do");
    rig.hub.subscriptions().delete("sub", &admin()).await.expect("removed");
    for task in tasks {
        tokio::time::timeout(PATIENCE, task).await.expect("ends with its subscription").expect("no panic");
    }
}

#[tokio::test]
async fn a_lease_that_ends_is_tried_again_and_an_extended_one_is_not() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({"timeout_ms": 5_000, "retry": "1s"})).await;
    let event = rig.publish("a.b", "1").await;
    let first = one(&rig, sub).await;
    assert_eq!(first.lasts, Duration::from_secs(5));
    rig.hub.advance(Duration::from_secs(4)).await.expect("time passes");
    let minute = Some(Duration::from_secs(60));
    assert_eq!(rig.hub.consumers().extend(sub, &first.lease, minute), Ok(Duration::from_secs(60)));
    rig.hub.advance(Duration::from_secs(50)).await.expect("time passes");
    assert_eq!(rig.hub.consumers().standing(sub).expect("there").leased, 1);
    rig.hub.advance(Duration::from_secs(15)).await.expect("time passes");
    assert_eq!(rig.hub.consumers().ack(sub, &first.lease).map_err(|p| p.code), Err(Code::NotFound));
    let second = one(&rig, sub).await;
    assert_eq!((second.attempt, &second.delivery_id), (2, &first.delivery_id));
    rig.hub.consumers().ack(sub, &second.lease).expect("held");
    rig.fate(event, "delivered").await;
    let long = Some(Duration::from_secs(13 * 3600));
    rig.publish("a.b", "2").await;
    let third = one(&rig, sub).await;
    assert_eq!(rig.hub.consumers().extend(sub, &third.lease, long).map_err(|p| p.code), Err(Code::Invalid));
}

#[tokio::test]
async fn a_refused_delivery_waits_as_long_as_the_consumer_asks() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({"retry": "1s"})).await;
    let event = rig.publish("a.b", "1").await;
    let first = one(&rig, sub).await;
    let wait = Some(Duration::from_secs(600));
    rig.hub.consumers().nack(sub, &first.lease, wait, Some("not yet")).expect("held");
    let fate = rig.fate(event, "pending").await;
    assert_eq!(fate.deliveries[0].attempts[0].error.as_deref(), Some("the consumer refused it: not yet"));
    rig.hub.advance(Duration::from_secs(590)).await.expect("time passes");
    assert_eq!(offered(&rig, sub), 0);
    rig.hub.advance(Duration::from_secs(11)).await.expect("time passes");
    let second = one(&rig, sub).await;
    assert_eq!(second.attempt, 2);
    // Without a wait of its own, the schedule's holds; a wait of nothing means now.
    rig.hub.consumers().nack(sub, &second.lease, Some(Duration::ZERO), None).expect("held");
    assert_eq!(one(&rig, sub).await.attempt, 3);
}

#[tokio::test]
async fn what_is_refused_too_often_is_a_dead_letter_that_can_be_redriven() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({"max_attempts": 2, "retry": "10ms"})).await;
    let event = rig.publish("a.b", "1").await;
    for attempt in 1..=2 {
        let taken = one(&rig, sub).await;
        assert_eq!(taken.attempt, attempt);
        rig.hub.consumers().nack(sub, &taken.lease, Some(Duration::ZERO), None).expect("held");
    }
    rig.fate(event, "dead").await;
    assert_eq!(rig.hub.deliveries().redrive(Select::All, &admin()).await, Ok(1));
    let taken = one(&rig, sub).await;
    assert_eq!(taken.attempt, 1);
    rig.hub.consumers().ack(sub, &taken.lease).expect("held");
    rig.fate(event, "delivered").await;
}

#[tokio::test]
async fn the_next_of_a_key_is_offered_when_the_one_before_is_done() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({"ordered": true, "key": ".payload.k", "retry": "10ms"})).await;
    for text in [r#"{"k":"x","n":1}"#, r#"{"k":"x","n":2}"#, r#"{"k":"y","n":3}"#] {
        rig.publish("a.b", text).await;
    }
    rig.until("one of each key is offered", async || offered(&rig, sub) == 2).await;
    let first = pull(&rig, sub, 10).await;
    let seen: Vec<&[u8]> = first.iter().map(|t| t.event.json()).collect();
    assert_eq!(seen, [br#"{"k":"x","n":1}"#.as_slice(), br#"{"k":"y","n":3}"#.as_slice()]);
    rig.hub.consumers().nack(sub, &first[0].lease, Some(Duration::ZERO), None).expect("held");
    let again = one(&rig, sub).await;
    assert_eq!((again.event.json(), again.attempt), (br#"{"k":"x","n":1}"#.as_slice(), 2));
    rig.hub.consumers().ack(sub, &again.lease).expect("held");
    assert_eq!(one(&rig, sub).await.event.json(), br#"{"k":"x","n":2}"#.as_slice());
}

#[tokio::test]
async fn pausing_withdraws_what_is_offered_and_resuming_offers_it_again() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({})).await;
    let events = [rig.publish("a.b", "1").await, rig.publish("a.b", "2").await, rig.publish("a.b", "3").await];
    let held = one(&rig, sub).await;
    rig.until("the others are offered", async || offered(&rig, sub) == 2).await;
    rig.hub.subscriptions().pause("sub", None, &admin()).await.expect("paused");
    rig.until("they are withdrawn", async || offered(&rig, sub) == 0).await;
    rig.hub.consumers().ack(sub, &held.lease).expect("what was taken may be acknowledged");
    rig.fate(events[0], "delivered").await;
    assert!(rig.hub.pull("sub", 10, Duration::from_millis(50)).await.expect("waits").is_empty());
    rig.hub.subscriptions().resume("sub", &admin()).await.expect("resumed");
    for (n, event) in (2..).zip(&events[1..]) {
        let taken = one(&rig, sub).await;
        assert_eq!((taken.attempt, taken.event.json()), (1, n.to_string().as_bytes()));
        rig.hub.consumers().ack(sub, &taken.lease).expect("held");
        rig.fate(*event, "delivered").await;
    }
}

#[tokio::test]
async fn a_restart_of_the_hub_costs_no_attempt() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({"retry": "1h"})).await;
    let events = [rig.publish("a.b", "1").await, rig.publish("a.b", "2").await];
    let consumer = attach(&rig, 1);
    let held = take(&consumer).await.remove(0);
    let rig = rig.restart().await;
    drop(consumer);
    assert!(rig.hub.consumers().ack(sub, &held.lease).is_err(), "a lease of an earlier process");
    let mut seen = BTreeMap::new();
    while seen.len() < 2 {
        for taken in pull(&rig, sub, 10).await {
            rig.hub.consumers().ack(sub, &taken.lease).expect("held");
            seen.insert(taken.delivery_id.clone(), taken.attempt);
        }
    }
    assert_eq!(seen.get(&held.delivery_id), Some(&1));
    for event in events {
        rig.fate(event, "delivered").await;
    }
}

#[tokio::test]
async fn erased_data_is_not_handed_out_any_more() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({})).await;
    let secret = rig.publish("a.b", r#"{"name":"x"}"#).await;
    rig.publish("a.c", "2").await;
    rig.until("both are offered", async || offered(&rig, sub) == 2).await;
    let request = RedactRequest { event_id: Some(secret.id), subject: None, reason: "asked to".into() };
    rig.hub.log().redact(request, &admin()).await.expect("erased");
    rig.until("one is withdrawn", async || offered(&rig, sub) == 1).await;
    assert_eq!(one(&rig, sub).await.event.json(), b"2");
}

#[tokio::test]
async fn a_changed_or_deleted_subscription_ends_what_was_on_offer() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({"timeout_ms": 1_000})).await;
    let event = rig.publish("a.b", "1").await;
    rig.until("it is offered", async || offered(&rig, sub) == 1).await;
    let patch = serde_json::from_value(json!({"timeout_ms": 9_000})).expect("a patch");
    rig.hub.subscriptions().update("sub", patch, &admin()).await.expect("changed");
    rig.hub.subscriptions().status("sub").await.expect("the dispatcher has heard of it");
    let taken = one(&rig, sub).await;
    assert_eq!((taken.attempt, taken.lasts), (1, Duration::from_secs(9)));
    let waiting = rig.hub.pull("sub", 1, WAIT);
    let (waited, deleted) = tokio::join!(waiting, async {
        tokio::task::yield_now().await;
        rig.hub.subscriptions().delete("sub", &admin()).await
    });
    deleted.expect("removed");
    assert_eq!(waited.map(|t| t.len()).map_err(|p| p.code), Err(Code::Conflict));
    assert!(rig.hub.consumers().ack(sub, &taken.lease).is_err());
    assert_eq!(rig.fate(event, "unmatched").await.deliveries[0].state, "removed");
}

#[tokio::test]
async fn a_replay_reaches_consumers_marked_as_one() {
    let rig = Rig::new().await;
    let sub = consumed(&rig, json!({})).await;
    let event = rig.publish("a.b", "1").await;
    let first = one(&rig, sub).await;
    rig.hub.consumers().ack(sub, &first.lease).expect("held");
    rig.fate(event, "delivered").await;
    let request: ReplayRequest = serde_json::from_value(json!({"subscription": "sub", "from": 1})).expect("a request");
    rig.hub.replays().start(&request, &admin()).await.expect("started");
    let again = one(&rig, sub).await;
    assert!(again.generation > 0 && again.delivery_id != first.delivery_id);
    assert_eq!(again.event.id, event.id);
    rig.hub.consumers().ack(sub, &again.lease).expect("held");
}

#[tokio::test]
async fn to_ensure_a_subscription_twice_makes_it_once() {
    let rig = Rig::new().await;
    let asked = |more: serde_json::Value| {
        let mut new = json!({"name": "sub", "filter": "a.*", "target": {"kind": "consumer"}});
        new.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(new).expect("a subscription")
    };
    let subscriptions = rig.hub.subscriptions();
    let by = admin();
    let both = [asked(json!({})), asked(json!({}))].map(|new| subscriptions.ensure(new, &by));
    let [first, second] = both;
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.expect("made").value.no, second.expect("found").value.no);
    let patch = serde_json::from_value(json!({"concurrency": 3})).expect("a patch");
    subscriptions.update("sub", patch, &admin()).await.expect("changed");
    assert!(subscriptions.ensure(asked(json!({})), &admin()).await.is_ok(), "what is left open may differ");
    for other in [json!({"concurrency": 4}), json!({"ordered": true}), json!({"filter": "b.*"})] {
        let refused = subscriptions.ensure(asked(other.clone()), &admin()).await;
        let refused = refused.map(|_| ()).expect_err("it differs");
        assert_eq!(refused.code, Code::Conflict, "{other}");
        assert!(!refused.details.is_empty());
    }
}

#[tokio::test]
async fn what_a_consumer_made_of_an_event_is_a_span_of_its_trace() {
    let collector = crate::rig::Endpoint::new([]).await;
    let config =
        nexus_engine::HubConfig { otlp_endpoint: Some(collector.url.clone()), ..nexus_engine::HubConfig::default() };
    let rig = Rig::with(config).await;
    let sub = consumed(&rig, json!({})).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut event = rig.event("a.b", "1");
    event.attributes.traceparent = Some(format!("00-{trace}-00f067aa0ba902b7-01"));
    let published = rig.hub.publish(event).await.expect("accepted");
    let taken = one(&rig, sub).await;
    rig.hub.consumers().nack(sub, &taken.lease, Some(Duration::ZERO), Some("not now")).expect("held");
    let again = one(&rig, sub).await;
    rig.hub.consumers().ack(sub, &again.lease).expect("held");
    let spans = || {
        let received = collector.received.lock().expect("unpoisoned").clone();
        let all = received.iter().flat_map(|r| {
            let spans = r.json()["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
            spans.as_array().expect("spans").clone()
        });
        all.filter(|span| span["name"] == "deliver").collect::<Vec<_>>()
    };
    rig.until("both attempts are told", async || spans().len() == 2).await;
    for (span, (attempt, code)) in spans().iter().zip([("1", 2), ("2", 1)]) {
        let told = |key: &str| {
            let all = span["attributes"].as_array().expect("attributes");
            all.iter().find(|a| a["key"] == key).map(|a| a["value"]["stringValue"].clone()).unwrap_or_default()
        };
        assert_eq!((span["traceId"].as_str(), span["status"]["code"].as_i64()), (Some(trace), Some(code)), "{span}");
        assert_eq!((told("nexus.subscription"), told("nexus.attempt")), (json!("sub"), json!(attempt)));
        assert_eq!(told("nexus.event.id"), json!(published.id.to_string()));
    }
}
