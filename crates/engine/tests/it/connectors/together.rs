//! Calls that go out as one request.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_core::event::Priority;
use nexus_engine::connectors::{CallError, Called, ConnectorCall};
use serde_json::{Value, json};

use super::{config, connect, rig};
use crate::{
    provider::{Provider, Says, Seen, says},
    rig::{PATIENCE, Rig},
};

const BULK: &str = r#"
connector: 1
name: bulk
title: Bulk
checked: reading
base_url: "{settings.url}"
settings:
  url: {title: URL}
limits:
  app: [{requests: 1000, per: 10s}]
retry: {attempts: 3, base: 10ms, cap: 20ms}
response: {error: .error}
operations:
  get:
    title: Get
    method: GET
    path: /items/{id}
    input: {type: object, required: [id], properties: {id: {type: string}}, additionalProperties: false}
    response: {ok: .found, output: .name}
    batch:
      calls: 5
      wait: 60s
      path: /items
      query: {ids: '${ map(.input.id) | unique | join(",") }'}
      split: 'first(.items[] | select(.id == $input.id)) // {found: false, error: "there is no \($input.id)"}'
  put:
    title: Put
    method: POST
    path: /put
    json: {items: [{n: "${ .n }", key: "${ $key.raw }"}]}
    idempotency: key
    timeout: 1s
    response: {output: .done}
    batch:
      calls: 2
      when: .alone != true
      same: .shelf
      headers: {X-Batch: "${ $key.raw }"}
      json: {items: "${ map({n: .input.n, key: .key.raw}) }"}
      split: .results[$index]
  note:
    title: Note
    method: POST
    path: /put
    json: {items: ["${ .n }"]}
    timeout: 300ms
    batch: {calls: 9, wait: 60s, json: {items: "${ map(.input.n) }"}, split: "{}"}
"#;

async fn bulk(manifest: &str, provider: &Provider) -> Rig {
    let rig = rig(manifest).await;
    connect(&rig, "b", json!({"connector": "bulk", "settings": {"url": provider.url}})).await;
    rig
}

/// One request for so many seconds, and the first is sent already.
async fn held_back(seconds: u32, provider: &Provider) -> Rig {
    let quota = format!("app: [{{requests: 1, per: {seconds}s}}]");
    let rig = bulk(&BULK.replace("app: [{requests: 1000, per: 10s}]", &quota), provider).await;
    spawn(&rig, put(0, "first")).await.expect("no panic").expect("the first goes at once");
    rig
}

fn asks(operation: &str, input: Value) -> ConnectorCall {
    ConnectorCall { patience: Duration::from_secs(1_000), ..ConnectorCall::new("bulk", operation, input) }
}

fn put(n: u64, key: &str) -> ConnectorCall {
    ConnectorCall { key: Some(key.into()), ..asks("put", json!({"n": n})) }
}

fn spawn(rig: &Rig, call: ConnectorCall) -> tokio::task::JoinHandle<Result<Called, CallError>> {
    let hub = rig.hub.clone();
    tokio::spawn(async move { tokio::time::timeout(PATIENCE, hub.connectors().call(call)).await.expect("it ends") })
}

/// Begins them all, in this order, before any of them is sent.
async fn begin(rig: &Rig, calls: Vec<ConnectorCall>) -> Vec<tokio::task::JoinHandle<Result<Called, CallError>>> {
    let begun: Vec<_> = calls.into_iter().map(|call| spawn(rig, call)).collect();
    tokio::task::yield_now().await;
    begun
}

async fn ended(begun: Vec<tokio::task::JoinHandle<Result<Called, CallError>>>) -> Vec<Result<Called, CallError>> {
    let mut all = Vec::new();
    for one in begun {
        all.push(one.await.expect("no panic"));
    }
    all
}

fn items(seen: &Seen) -> Vec<Value> {
    seen.json()["items"].as_array().cloned().unwrap_or_default()
}

/// Puts each item once per key, and refuses a request in which one is 13.
fn shelf() -> (Arc<Mutex<Vec<Value>>>, impl Fn(&Seen) -> Says + Send + Sync + 'static) {
    let put: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = Arc::clone(&put);
    let answer = move |seen: &Seen| {
        let items = items(seen);
        if items.iter().any(|item| item["n"] == 13) {
            return says(422, &json!({"error": "13 is not taken"}));
        }
        let mut kept = kept.lock().expect("unpoisoned");
        let results: Vec<Value> = items.iter().map(|item| json!({"done": item["n"]})).collect();
        for item in items {
            if !kept.contains(&item) {
                kept.push(item);
            }
        }
        let single = results.first().map_or(Value::Null, |first| first["done"].clone());
        says(200, &json!({"results": results, "done": single}))
    };
    (put, answer)
}

/// S-242
#[tokio::test]
async fn ten_calls_are_two_requests_and_each_gets_its_own_answer() {
    let provider = Provider::start(|seen| {
        let ids = seen.target.split("ids=").nth(1).unwrap_or_default().replace("%2C", ",");
        let found = ids.split(',').filter(|id| *id != "gone");
        let items: Vec<Value> =
            found.map(|id| json!({"id": id, "found": true, "name": format!("item {id}")})).collect();
        says(200, &json!({ "items": items }))
    })
    .await;
    let rig = bulk(BULK, &provider).await;
    let ids = ["a", "b", "c", "d", "gone", "f", "g", "h", "i", "a"];
    let calls = ids.iter().map(|id| asks("get", json!({"id": id}))).collect();
    let results = ended(begin(&rig, calls).await).await;
    for (id, result) in ids.iter().zip(results) {
        match result {
            Ok(called) => assert_eq!((called.output, called.requests), (json!(format!("item {id}")), 1)),
            Err(CallError::Refused { message, .. }) => {
                assert_eq!((*id, message.as_str()), ("gone", "there is no gone"));
            }
            other => panic!("{id}: {other:?}"),
        }
    }
    let seen = provider.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().all(|seen| seen.target.starts_with("/items?ids=")), "{seen:?}");
}

/// S-242
#[tokio::test]
async fn when_the_limit_holds_calls_back_they_go_together_and_high_goes_first() {
    let (_, answer) = shelf();
    let provider = Provider::start(answer).await;
    let rig = held_back(10, &provider).await;
    let with = |n: u64, priority| ConnectorCall { priority, ..put(n, &format!("key-{n}")) };
    let calls = vec![
        with(1, Priority::Low),
        with(2, Priority::Low),
        with(3, Priority::Normal),
        with(4, Priority::High),
        with(5, Priority::High),
    ];
    let begun = begin(&rig, calls).await;
    for round in 0..3 {
        rig.hub.advance(Duration::from_secs(10)).await.expect("a test clock");
        provider.wait(2 + round).await;
    }
    let outputs: Vec<Value> = ended(begun).await.into_iter().map(|r| r.expect("put").output).collect();
    assert_eq!(outputs, [json!(1), json!(2), json!(3), json!(4), json!(5)], "each its own");
    let sent: Vec<Vec<Value>> =
        provider.seen().iter().map(|seen| items(seen).iter().map(|item| item["n"].clone()).collect()).collect();
    assert_eq!(sent, [vec![json!(0)], vec![json!(4), json!(5)], vec![json!(1), json!(3)], vec![json!(2)]]);
}

/// S-242
#[tokio::test]
async fn waits_between_attempts_are_bounded_and_differ() {
    let slow = BULK.replace("base: 10ms, cap: 20ms", "base: 1h, cap: 1h");
    let provider = Provider::start(|_| says(429, &json!({"error": "slow down"}))).await;
    let rig = bulk(&slow, &provider).await;
    let mut waits = BTreeSet::new();
    for n in 0..20 {
        let now = rig.hub.clock().now();
        let call = ConnectorCall { patience: Duration::ZERO, ..put(n, &format!("key-{n}")) };
        let refused = spawn(&rig, call).await.expect("no panic").expect_err("too long to wait");
        let CallError::Failed { until: Some(until), attempts: 1, .. } = refused else { panic!("{refused:?}") };
        let wait = until.since(now);
        assert!(wait <= Duration::from_secs(3_600) + PATIENCE, "{wait:?}");
        waits.insert(wait.as_secs() / 10);
    }
    assert!(waits.len() >= 5, "twenty waits fall on {} of 360 places", waits.len());
}

#[tokio::test]
async fn the_same_calls_after_a_restart_are_the_same_request_and_others_among_them_harm_nobody() {
    let (kept, answer) = shelf();
    let provider = Provider::start(answer).await;
    let rig = held_back(10, &provider).await;
    let begun = begin(&rig, vec![put(1, "run-1"), put(2, "run-2")]).await;
    rig.hub.advance(Duration::from_secs(10)).await.expect("a test clock");
    assert!(ended(begun).await.iter().all(Result::is_ok));
    let rig = rig.restart_with(config(&BULK.replace("{requests: 1000, per: 10s}", "{requests: 1, per: 10s}"))).await;
    spawn(&rig, put(0, "first")).await.expect("no panic").expect("the first goes at once");
    // As a flow asks again: the same keys, in another order; one of them beside a third.
    let begun = begin(&rig, vec![put(2, "run-2"), put(1, "run-1"), put(3, "run-3"), put(1, "run-1")]).await;
    for round in 0..2 {
        rig.hub.advance(Duration::from_secs(10)).await.expect("a test clock");
        provider.wait(4 + round).await;
    }
    assert!(ended(begun).await.iter().all(Result::is_ok));
    let seen = provider.seen();
    assert_eq!((&seen[1].body, seen[1].header("x-batch")), (&seen[3].body, seen[3].header("x-batch")));
    assert!(seen[1].header("x-batch").starts_with("nxb-"), "{:?}", seen[1]);
    assert_ne!(seen[3].header("x-batch"), seen[4].header("x-batch"), "other calls, another key");
    let mut put: Vec<u64> = kept.lock().expect("unpoisoned").iter().filter_map(|item| item["n"].as_u64()).collect();
    put.sort_unstable();
    assert_eq!(put, [0, 1, 2, 3], "each once, by its own key");
}

#[tokio::test]
async fn one_bad_call_is_refused_and_takes_nobody_with_it() {
    let (kept, answer) = shelf();
    let provider = Provider::start(answer).await;
    let wide = BULK.replace("calls: 2\n", "calls: 8\n      wait: 60s\n");
    let rig = bulk(&wide, &provider).await;
    let calls = (10..18).map(|n| put(n, &format!("key-{n}"))).collect();
    let results = ended(begin(&rig, calls).await).await;
    for (n, result) in (10..18).zip(results) {
        match result {
            Err(CallError::Refused { status: 422, message, .. }) => assert_eq!((n, &*message), (13, "13 is not taken")),
            other => assert_eq!(other.expect("put").output, json!(n)),
        }
    }
    assert_eq!(kept.lock().expect("unpoisoned").len(), 7);
    assert!(provider.seen().len() <= 7, "halves, not one by one: {}", provider.seen().len());
}

#[tokio::test]
async fn what_may_have_been_done_is_said_to_all_and_not_repeated() {
    let provider = Provider::start(|_| Says::Nothing).await;
    let rig = bulk(BULK, &provider).await;
    let calls = (0..9).map(|n| asks("note", json!({"n": n}))).collect();
    let results = ended(begin(&rig, calls).await).await;
    assert!(results.iter().all(|r| matches!(r, Err(CallError::Unsure { .. }))), "{results:?}");
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn only_calls_that_are_alike_go_together() {
    let (_, answer) = shelf();
    let provider = Provider::start(answer).await;
    let rig = held_back(10, &provider).await;
    let on = |n: u64, more: Value| {
        let mut call = put(n, &format!("key-{n}"));
        call.input = json!({"n": n});
        call.input.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        call
    };
    let calls = vec![
        on(1, json!({"shelf": "x"})),
        on(2, json!({"shelf": "y"})),
        on(3, json!({"shelf": "x"})),
        on(4, json!({"alone": true})),
    ];
    let begun = begin(&rig, calls).await;
    for round in 0..3 {
        rig.hub.advance(Duration::from_secs(10)).await.expect("a test clock");
        provider.wait(2 + round).await;
    }
    assert!(ended(begun).await.iter().all(Result::is_ok));
    let mut sent: Vec<usize> = provider.seen().iter().map(|seen| items(seen).len()).collect();
    sent.sort_unstable();
    assert_eq!(sent, [1, 1, 1, 2]);
}

#[tokio::test]
async fn who_goes_away_or_has_no_patience_is_not_sent_and_the_others_are() {
    let (kept, answer) = shelf();
    let provider = Provider::start(answer).await;
    let rig = held_back(100, &provider).await;
    let soon = ConnectorCall { patience: Duration::from_secs(10), ..put(1, "key-1") };
    let refused = spawn(&rig, soon).await.expect("no panic").expect_err("longer than it waits");
    assert!(matches!(&refused, CallError::RateLimited { .. }), "{refused:?}");
    let begun = begin(&rig, vec![put(2, "key-2"), put(3, "key-3")]).await;
    begun[0].abort();
    tokio::task::yield_now().await;
    rig.hub.advance(Duration::from_secs(100)).await.expect("a test clock");
    let results: Vec<_> = futures_util::future::join_all(begun).await;
    assert!(results[0].is_err() && results[1].as_ref().expect("no panic").is_ok(), "{results:?}");
    let put: Vec<Value> = kept.lock().expect("unpoisoned").iter().map(|item| item["n"].clone()).collect();
    assert_eq!(put, [json!(0), json!(3)]);
}
