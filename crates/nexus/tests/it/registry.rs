//! Services that register with the real hub, are watched, and are called through it.

use std::{collections::BTreeMap, time::Duration};

use nexus_client::{
    Client,
    service::{InvokeOptions, NewService, Service, ServiceFilter},
};
use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    http::{self, Answer},
    hub::{Hub, PATIENCE, text},
    service::Local,
};

/// No machine is so busy that a service which is well looks as if it were not.
const PATIENT: [(&str, &str); 5] = [
    ("NEXUS_SERVICES_CHECK_TIMEOUT", "1m"),
    ("NEXUS_SERVICES_SLOW_CHECK", "1m"),
    ("NEXUS_SERVICES_HEARTBEAT_TTL", "10m"),
    ("NEXUS_SERVICES_INVOKE_TIMEOUT", "5m"),
    ("NEXUS_SERVICES_BREAKER_OPEN", "10m"),
];
/// Looks often, so that tests are quick.
const OFTEN: [(&str, &str); 3] = [
    ("NEXUS_SERVICES_CHECK_INTERVAL", "150ms"),
    ("NEXUS_SERVICES_UNHEALTHY_AFTER", "2"),
    ("NEXUS_SERVICES_HEALTHY_AFTER", "2"),
];

async fn quick(data: &std::path::Path) -> Hub {
    quick_with(data, &[], &[]).await
}

/// As [`quick`], with more arguments, and variables that take the place of the usual ones.
async fn quick_with(data: &std::path::Path, args: &[&str], env: &[(&str, &str)]) -> Hub {
    patient(data, args, &[&OFTEN, env].concat()).await
}

/// A hub that gives services time.
async fn patient(data: &std::path::Path, args: &[&str], env: &[(&str, &str)]) -> Hub {
    Hub::start_with(data, args, &[&PATIENT, env].concat()).await
}

/// A description of `local` as an instance of `name`.
fn described(local: &Local, id: &str, name: &str) -> NewService {
    NewService {
        id: id.into(),
        name: Some(name.into()),
        host: "127.0.0.1".into(),
        port: local.port,
        health_check_url: Some("/health".into()),
        ..NewService::default()
    }
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let clock = SystemClock::new();
    let search = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            clock.sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

async fn becomes(client: &Client, id: &str, status: &str) -> Service {
    until(&format!("{id} {status}"), async || {
        let found = client.service(id).await.expect("it is registered").remove(0);
        (found.status == status).then_some(found)
    })
    .await
}

/// Waits until the log tells of a change; the rest of the hub knows of it a moment before.
async fn told(hub: &Hub, id: &str, from: &str, to: &str) {
    let change = (from.to_owned(), to.to_owned());
    until(&format!("{id} from {from} to {to}"), async || changes(hub, id).await.contains(&change).then_some(())).await;
}

/// The changes of status that the log has for an instance.
async fn changes(hub: &Hub, id: &str) -> Vec<(String, String)> {
    let lines = hub.client().export(0, 10_000).await.expect("an export");
    let events = lines.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice::<Value>(l).ok());
    let of = events.filter(|e| e["type"] == "service.status_changed" && e["data"]["id"] == id);
    of.map(|e| (word(&e["data"]["from"]), word(&e["data"]["to"]))).collect()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A request with the admin's token, as bytes.
async fn ask(hub: &Hub, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
    let bearer = format!("Bearer {}", hub.token());
    let mut headers = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    headers.extend_from_slice(more);
    http::send("127.0.0.1", hub.address(), method, path, &headers, body).await
}

/// C-001, C-061
#[tokio::test]
async fn a_registered_service_is_listed_with_all_that_it_said() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick(dir.path()).await;
    let local = Local::start("a").await;
    let new = json!({"id": "my-service", "name": "my-service", "version": "1.0.0", "host": "localhost",
        "port": local.port, "capabilities": ["feature1", "feature2"], "health_check_url": "/health"});
    assert_eq!(ask(&hub, "GET", "/services", &[], "").await.json(), json!({"services": []}));
    let made = ask(&hub, "POST", "/services", &[], &new.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(ask(&hub, "POST", "/services", &[], &new.to_string()).await.status, 200);
    let listed = ask(&hub, "GET", "/services", &[], "").await.json();
    let service = &listed["services"][0];
    for (field, value) in new.as_object().expect("an object") {
        assert_eq!(&service[field], value, "{field}");
    }
    assert_eq!((&service["protocol"], &service["status"]), (&json!("http"), &json!("healthy")));
    assert_eq!((&service["metadata"], &service["load"]), (&json!({}), &json!(0.0)));
    assert!(service["last_heartbeat"].as_f64().is_some_and(|t| t > 1.7e9), "{service}");
    assert_eq!(listed["services"].as_array().map(Vec::len), Some(1));
    hub.stop().await;
}

/// C-002, C-006
#[tokio::test]
async fn services_are_found_by_name_id_capability_status_and_metadata_until_they_leave() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick(dir.path()).await;
    let client = hub.client();
    let local = Local::start("a").await;
    for (id, name, can, zone) in [("a1", "a", "feature1", "eu"), ("a2", "a", "feature2", "us"), ("b1", "b", "x", "eu")]
    {
        let metadata = BTreeMap::from([("zone".to_owned(), json!(zone))]).into_iter().collect();
        let new = NewService { capabilities: vec![can.into(), "all".into()], metadata, ..described(&local, id, name) };
        client.register_service(&new).await.expect("registered");
    }
    let ids = async |filter: ServiceFilter| {
        let found = client.services(&filter).await.expect("a list");
        found.into_iter().map(|s| s.id).collect::<Vec<_>>()
    };
    let texts = |all: &[&str]| all.iter().map(|t| (*t).to_owned()).collect::<Vec<String>>();
    assert_eq!(ids(ServiceFilter { name: Some("a".into()), ..ServiceFilter::default() }).await, ["a1", "a2"]);
    let able = ServiceFilter { capabilities: texts(&["feature1"]), ..ServiceFilter::default() };
    assert_eq!(ids(able).await, ["a1"]);
    let able = ServiceFilter { capabilities: texts(&["all", "feature2"]), ..ServiceFilter::default() };
    assert_eq!(ids(able).await, ["a2"]);
    let in_eu = ServiceFilter { metadata: vec![("zone".into(), "eu".into())], ..ServiceFilter::default() };
    assert_eq!(ids(in_eu).await, ["a1", "b1"]);
    assert_eq!(ids(ServiceFilter { status: texts(&["expired"]), ..ServiceFilter::default() }).await.len(), 0);
    assert_eq!(client.service("a").await.expect("by name").len(), 2);
    assert_eq!(client.service("a2").await.expect("by id")[0].id, "a2");
    let one = ask(&hub, "GET", "/services/a2", &[], "").await.json();
    assert_eq!((&one["id"], &one["services"][0]["id"]), (&json!("a2"), &json!("a2")));
    client.deregister_service("a2").await.expect("gone");
    assert_eq!(client.service("a").await.expect("by name").len(), 1);
    assert_eq!(ask(&hub, "GET", "/services/a2", &[], "").await.status, 404);
    assert_eq!(ask(&hub, "DELETE", "/services/a2", &[], "").await.status, 404);
    assert_eq!(ask(&hub, "POST", "/services/a2/heartbeat", &[], "{}").await.status, 404);
    let log = client.export(0, 1_000).await.expect("an export");
    let log = String::from_utf8_lossy(&log).into_owned();
    for topic in
        ["service.registered", "service.deregistered", "audit.service.registered", "audit.service.deregistered"]
    {
        assert!(log.contains(&format!("\"type\":\"{topic}\"")), "{topic} is not in the log");
    }
    hub.stop().await;
}

/// C-003, C-007, C-160
#[tokio::test]
async fn a_service_whose_check_fails_is_unhealthy_with_its_reason_and_not_called_until_it_recovers() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick(dir.path()).await;
    let client = hub.client();
    let (bad, good) = (Local::start("bad").await, Local::start("good").await);
    for (local, id) in [(&bad, "bad"), (&good, "good")] {
        client.register_service(&described(local, id, "s")).await.expect("registered");
    }
    bad.health(500, "");
    let seen = becomes(&client, "bad", "unhealthy").await;
    assert!(seen.status_reason.as_deref().is_some_and(|r| r.contains("/health answered 500")), "{seen:?}");
    told(&hub, "bad", "healthy", "unhealthy").await;
    let before = bad.calls();
    for _ in 0..30 {
        let answer = client.invoke("s", &json!({}), &InvokeOptions::default()).await.expect("an answer");
        assert_eq!(answer["who"], "good");
    }
    assert_eq!(bad.calls(), before, "a call went to an unhealthy instance");
    bad.health(200, "{\"status\":\"ok\"}");
    becomes(&client, "bad", "healthy").await;
    told(&hub, "bad", "unhealthy", "healthy").await;
    bad.health(200, "{\"status\":\"degraded\"}");
    becomes(&client, "bad", "degraded").await;
    let wrong = NewService { health_check_url: Some("/wrong".into()), ..described(&good, "wrong", "w") };
    client.register_service(&wrong).await.expect("registered");
    let seen = becomes(&client, "wrong", "unhealthy").await;
    assert_eq!(seen.status_reason.as_deref(), Some("health check /wrong answered 404"));
    hub.stop().await;
}

/// C-004
#[tokio::test]
async fn a_service_that_stops_its_heartbeats_expires_and_comes_back_with_the_next_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick_with(dir.path(), &[], &[("NEXUS_SERVICES_HEARTBEAT_TTL", "1s")]).await;
    let client = hub.client();
    let local = Local::start("a").await;
    for id in ["beats", "silent"] {
        client.register_service(&described(&local, id, id)).await.expect("registered");
    }
    client.service_heartbeat("beats", Some(3.5)).await.expect("taken");
    let seen = becomes(&client, "beats", "expired").await;
    assert_eq!((seen.status_reason.as_deref(), seen.load), (Some("no heartbeat for 1 s"), 3.5));
    assert_eq!(client.service("silent").await.expect("there")[0].status, "healthy", "it never promised any");
    let refused = ask(&hub, "POST", "/services/beats/invoke", &[], "{}").await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|s| s >= 1));
    assert_eq!(client.service_heartbeat("beats", None).await.expect("taken").status, "healthy");
    becomes(&client, "beats", "expired").await;
    let seen = until("three changes", async || Some(changes(&hub, "beats").await).filter(|seen| seen.len() >= 3)).await;
    let (healthy, expired) = (|| "healthy".to_owned(), || "expired".to_owned());
    assert_eq!(seen, [(healthy(), expired()), (expired(), healthy()), (healthy(), expired())]);
    hub.stop().await;
}

/// C-005
#[tokio::test]
async fn calls_go_to_the_least_loaded_and_slow_ones_spread() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick(dir.path()).await;
    let client = hub.client();
    let locals = [Local::start("0").await, Local::start("1").await, Local::start("2").await];
    for (n, (local, load)) in locals.iter().zip([5.0, 1.0, 3.0]).enumerate() {
        let id = format!("i{n}");
        client.register_service(&described(local, &id, "s")).await.expect("registered");
        client.service_heartbeat(&id, Some(load)).await.expect("taken");
    }
    for _ in 0..20 {
        let answer = client.invoke("s", &json!({"n": 1}), &InvokeOptions::default()).await.expect("an answer");
        assert_eq!(answer["who"], "1");
    }
    for (n, local) in locals.iter().enumerate() {
        client.service_heartbeat(&format!("i{n}"), Some(0.0)).await.expect("taken");
        local.hold();
    }
    let before: Vec<usize> = locals.iter().map(Local::calls).collect();
    let mut calls = JoinSet::new();
    for _ in 0..300 {
        let client = client.clone();
        calls.spawn(async move { client.invoke("s", &json!({}), &InvokeOptions::default()).await.map(drop) });
    }
    let count = || -> Vec<usize> { locals.iter().zip(&before).map(|(l, b)| l.calls() - b).collect() };
    until("300 calls", async || (count().iter().sum::<usize>() == 300).then_some(())).await;
    let spread = count();
    assert!(spread.iter().all(|n| (90..=110).contains(n)), "{spread:?}");
    locals.iter().for_each(Local::release);
    while let Some(done) = calls.join_next().await {
        done.expect("no panic").expect("an answer");
    }
    until("calls counted out", async || {
        let all = client.services(&ServiceFilter::default()).await.expect("a list");
        all.iter().all(|s| s.more["in_flight"] == 0).then_some(())
    })
    .await;
    hub.stop().await;
}

/// C-008
#[tokio::test]
async fn a_killed_hub_finds_its_services_again_and_looks_before_it_trusts() {
    let dir = tempfile::tempdir().expect("a folder");
    let clocked = ["--dev", "--test-clock"];
    let hub = quick_with(dir.path(), &clocked, &[]).await;
    let (stays, dies) = (Local::start("stays").await, Local::start("dies").await);
    let client = hub.client();
    for (local, id) in [(&stays, "stays"), (&dies, "dies")] {
        client.register_service(&described(local, id, "s")).await.expect("registered");
        becomes(&client, id, "healthy").await;
    }
    client.service_heartbeat("stays", Some(2.0)).await.expect("taken");
    hub.kill().await;
    let hold = dies.stop();
    let hub = quick_with(dir.path(), &clocked, &[]).await;
    let client = hub.client();
    let listed = client.services(&ServiceFilter::default()).await.expect("a list");
    assert_eq!(listed.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["dies", "stays"]);
    assert_ne!(listed[0].status, "healthy", "{listed:?}");
    let seen = becomes(&client, "dies", "unhealthy").await;
    assert!(seen.status_reason.is_some());
    becomes(&client, "stays", "healthy").await;
    let answer = client.invoke("s", &json!({}), &InvokeOptions::default()).await.expect("an answer");
    assert_eq!(answer["who"], "stays");
    // It owes the heartbeats that it promised the hub before.
    assert_eq!(ask(&hub, "POST", "/__clock", &[], r#"{"advance": "11m"}"#).await.status, 200);
    becomes(&client, "stays", "expired").await;
    drop(hold);
    hub.stop().await;
}

/// C-062
#[tokio::test]
async fn a_call_passes_the_services_answer_on_and_says_why_there_is_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick(dir.path()).await;
    let client = hub.client();
    let local = Local::start("echo").await;
    client.register_service(&described(&local, "echo-1", "echo")).await.expect("registered");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let more = [("traceparent", trace), ("X-Correlation-ID", "c-7"), ("X-Nexus-Depth", "3")];
    let answer = ask(&hub, "POST", "/services/echo/invoke", &more, "{\"n\": 1.10, \"deep\": [null]}").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["got"], "{\"n\": 1.10, \"deep\": [null]}", "byte for byte");
    assert_eq!(answer.header("x-nexus-instance"), "echo-1");
    let headers = answer.json()["headers"].clone();
    assert_eq!((&headers["x-correlation-id"], &headers["x-nexus-depth"]), (&json!("c-7"), &json!("4")));
    assert!(headers["traceparent"].as_str().is_some_and(|t| t.contains("4bf92f3577b34da6a3ce929d0e0e4736")));
    let teapot = ask(&hub, "POST", "/services/echo/invoke", &[], "{\"answer\": 418}").await;
    assert_eq!((teapot.status, teapot.header("content-type")), (418, "text/plain; charset=utf-8"));
    assert_eq!(teapot.body, "short and stout");
    assert_eq!(ask(&hub, "POST", "/services/nobody/invoke", &[], "{}").await.status, 404);
    assert_eq!(ask(&hub, "POST", "/services/echo/invoke", &[], "{nope").await.status, 400);
    assert_eq!(ask(&hub, "POST", "/services/echo/invoke?strategy=best", &[], "{}").await.status, 422);
    let deep = ask(&hub, "POST", "/services/echo/invoke", &[("X-Nexus-Depth", "16")], "{}").await;
    assert_eq!(deep.status, 409, "{}", deep.body);
    let large = ask(&hub, "POST", "/services/echo/invoke", &[], "{\"answer\": 200, \"bytes\": 9000000}").await;
    assert_eq!(large.status, 502, "{}", large.body);
    local.hold();
    let late = ask(&hub, "POST", "/services/echo/invoke?timeout=300ms", &[], "{}").await;
    assert_eq!((late.status, late.json()["code"].clone()), (504, json!("TIMEOUT")), "{}", late.body);
    local.release();
    let gone = local.stop();
    let down = ask(&hub, "POST", "/services/echo/invoke", &[], "{}").await;
    assert_eq!((down.status, down.json()["retryable"].clone()), (503, json!(true)), "{}", down.body);
    assert!(!down.header("retry-after").is_empty());
    becomes(&client, "echo-1", "unhealthy").await;
    drop(gone);
    hub.stop().await;
}

#[tokio::test]
async fn a_call_is_repeated_elsewhere_only_where_that_does_no_harm() {
    let dir = tempfile::tempdir().expect("a folder");
    // Checks are rare here: the calls themselves find out.
    let rare = [("NEXUS_SERVICES_CHECK_INTERVAL", "1h"), ("NEXUS_SERVICES_UNHEALTHY_AFTER", "1000")];
    let hub = patient(dir.path(), &[], &rare).await;
    let client = hub.client();
    let (down, fails, good) = (Local::start("down").await, Local::start("fails").await, Local::start("good").await);
    for (local, id) in [(&down, "down"), (&fails, "fails"), (&good, "good")] {
        let name = if id == "fails" { "f" } else { "d" };
        client.register_service(&described(local, id, name)).await.expect("registered");
    }
    client.register_service(&described(&good, "good-too", "f")).await.expect("registered");
    for id in ["down", "fails", "good", "good-too"] {
        until("the first check", async || {
            let seen = client.service(id).await.expect("there").remove(0);
            seen.more.get("last_check").is_some().then_some(())
        })
        .await;
    }
    let gone = down.stop();
    fails.answer(503);
    for n in 0..8 {
        let answer = ask(&hub, "POST", "/services/d/invoke?strategy=round_robin", &[], "{}").await;
        assert_eq!((answer.status, answer.header("x-nexus-instance")), (200, "good"), "{n}: {}", answer.body);
    }
    let mut passed = 0;
    for n in 0..8 {
        let path = "/services/f/invoke?strategy=round_robin";
        passed += u32::from(ask(&hub, "POST", path, &[], "{}").await.status == 503);
        let key = format!("k{n}");
        let safe = ask(&hub, "POST", path, &[("Idempotency-Key", &key)], "{}").await;
        assert_eq!(safe.status, 200, "{}", safe.body);
    }
    assert!(passed >= 1, "without a key the service's own answer is passed on");
    drop(gone);
    hub.stop().await;
}

#[tokio::test]
async fn five_failures_open_the_breaker_and_a_call_is_refused_without_being_sent() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick(dir.path()).await;
    let local = Local::start("a").await;
    hub.client().register_service(&described(&local, "a", "a")).await.expect("registered");
    local.answer(500);
    for _ in 0..5 {
        assert_eq!(ask(&hub, "POST", "/services/a/invoke", &[], "{}").await.status, 500);
    }
    let before = local.calls();
    let refused = ask(&hub, "POST", "/services/a/invoke", &[], "{}").await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    let wait: u32 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=600).contains(&wait), "{wait}");
    assert_eq!(local.calls(), before);
    let seen = hub.client().service("a").await.expect("there").remove(0);
    assert_eq!(seen.more["breaker"], "open");
    hub.stop().await;
}

/// C-151
#[tokio::test]
async fn strategies_share_calls_out_as_they_promise() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick(dir.path()).await;
    let client = hub.client();
    let locals = [Local::start("0").await, Local::start("1").await, Local::start("2").await];
    for (n, (local, weight)) in locals.iter().zip([1, 2, 3]).enumerate() {
        let metadata = BTreeMap::from([("weight".to_owned(), json!(weight))]).into_iter().collect();
        let new = NewService { metadata, ..described(local, &format!("i{n}"), "s") };
        client.register_service(&new).await.expect("registered");
    }
    let calls = async |count: usize, strategy: &str, key: Option<String>| {
        let mut who = BTreeMap::<String, usize>::new();
        for _ in 0..count {
            let options =
                InvokeOptions { strategy: Some(strategy.into()), key: key.clone(), ..InvokeOptions::default() };
            let answer = client.invoke("s", &json!({}), &options).await.expect("an answer");
            *who.entry(word(&answer["who"])).or_default() += 1;
        }
        who
    };
    let even = calls(60, "round_robin", None).await;
    assert_eq!(even.into_values().collect::<Vec<_>>(), [20, 20, 20]);
    let shares = calls(120, "weighted", None).await;
    for (who, share) in [("0", 20), ("1", 40), ("2", 60)] {
        assert!(shares[who].abs_diff(share) <= 3, "{shares:?}");
    }
    let mut homes = BTreeMap::new();
    for n in 0..30 {
        let who = calls(3, "consistent_hash", Some(format!("key-{n}"))).await;
        assert_eq!(who.len(), 1, "a key stays where it is");
        homes.insert(n, who.into_keys().next().expect("one"));
    }
    assert_eq!(homes.values().collect::<std::collections::BTreeSet<_>>().len(), 3);
    client.deregister_service("i1").await.expect("gone");
    for (n, home) in homes {
        let now = calls(1, "consistent_hash", Some(format!("key-{n}"))).await.into_keys().next().expect("one");
        assert!(home == "1" || now == home, "key-{n} moved from {home} to {now} without need");
    }
    let refused = ask(&hub, "POST", "/services/s/invoke?strategy=consistent_hash", &[], "{}").await;
    assert_eq!(refused.status, 422);
    hub.stop().await;
}

/// C-142
#[tokio::test]
async fn the_interval_of_checks_is_what_is_set() {
    let dir = tempfile::tempdir().expect("a folder");
    let often = [("NEXUS_SERVICES_CHECK_INTERVAL", "50ms")];
    let local = Local::start("a").await;
    let hub = patient(&dir.path().join("often"), &[], &often).await;
    hub.client().register_service(&described(&local, "a", "a")).await.expect("registered");
    until("ten checks", async || (local.checks() >= 10).then_some(())).await;
    hub.stop().await;
    let rare = Local::start("b").await;
    let hub = patient(&dir.path().join("rare"), &[], &[("NEXUS_SERVICES_CHECK_INTERVAL", "1h")]).await;
    hub.client().register_service(&described(&rare, "b", "b")).await.expect("registered");
    until("the first check", async || (rare.checks() >= 1).then_some(())).await;
    let other = Local::start("c").await;
    hub.client().register_service(&described(&other, "c", "c")).await.expect("registered");
    until("the other's first check", async || (other.checks() >= 1).then_some(())).await;
    assert_eq!(rare.checks(), 1);
    hub.stop().await;
}

#[tokio::test]
async fn checks_that_hang_drip_or_flood_are_contained_and_others_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick_with(dir.path(), &[], &[("NEXUS_SERVICES_CHECK_TIMEOUT", "1s")]).await;
    let client = hub.client();
    let good = Local::start("good").await;
    let [hangs, drips, floods] = [Local::start("h").await, Local::start("d").await, Local::start("f").await];
    let paths = [(&hangs, "hangs", "/hang"), (&drips, "drips", "/drip"), (&floods, "floods", "/flood")];
    for (local, id, path) in paths {
        let new = NewService { health_check_url: Some(path.into()), ..described(local, id, id) };
        client.register_service(&new).await.expect("registered");
    }
    client.register_service(&described(&good, "good", "good")).await.expect("registered");
    becomes(&client, "hangs", "unhealthy").await;
    becomes(&client, "drips", "unhealthy").await;
    let before = good.checks();
    until("checks of others", async || (good.checks() > before + 3).then_some(())).await;
    // A machine that stands still makes it late too, for a while.
    becomes(&client, "good", "healthy").await;
    // What the kernel's buffers take has left the service, but nobody reads it.
    let each = floods.sent() / floods.checks().max(1);
    assert!(floods.checks() > 0 && each < 16 << 20, "{each} of 64 MiB were sent");
    hub.stop().await;
}

#[tokio::test]
async fn who_may_register_read_and_call_is_a_matter_of_scopes_and_places() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick(dir.path()).await;
    let local = Local::start("a").await;
    let client = hub.client();
    client.register_service(&described(&local, "a", "billing")).await.expect("registered");
    let narrow = client.create_token("narrow", &["services:invoke:bill*".into()], None).await.expect("a token");
    let narrow = Client::new(&hub.url, narrow.value()).expect("a client");
    narrow.invoke("billing", &json!({}), &InvokeOptions::default()).await.expect("allowed");
    let refused = narrow.invoke("other", &json!({}), &InvokeOptions::default()).await.expect_err("refused");
    assert_eq!(refused.problem().map(|p| p.status), Some(403), "{refused}");
    let other = described(&local, "billing-looks-alike", "other");
    client.register_service(&other).await.expect("registered");
    let refused = narrow.invoke("billing-looks-alike", &json!({}), &InvokeOptions::default()).await;
    let refused = refused.expect_err("the scope is about the service, not about the id of an instance");
    assert!(refused.to_string().contains("services:invoke:other"), "{refused}");
    let refused = narrow.services(&ServiceFilter::default()).await.expect_err("refused");
    assert!(refused.to_string().contains("services:read"), "{refused}");
    for host in ["169.254.169.254", "[fe80::1]", "100.100.100.200"] {
        let body = json!({"id": "m", "host": host, "port": 80}).to_string();
        let refused = ask(&hub, "POST", "/services", &[], &body).await;
        assert_eq!(refused.status, 422, "{host}: {}", refused.body);
    }
    hub.stop().await;
}

/// X-020
#[tokio::test]
async fn health_names_services_as_a_map_without_envelope_and_as_a_list_within() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick(dir.path()).await;
    let local = Local::start("a").await;
    hub.client().register_service(&described(&local, "a-1", "a")).await.expect("registered");
    until("the first check", async || (local.checks() >= 1).then_some(())).await;
    let open = http::get(hub.address(), "/health", &[]).await.json();
    assert_eq!(open["services"], json!({}), "nothing is told without a token");
    let bare = ask(&hub, "GET", "/health", &[], "").await.json();
    assert_eq!(bare["services"]["a"], "healthy");
    let listed = ask(&hub, "GET", "/api/v1/health", &[], "").await.json();
    assert_eq!(
        (&listed["status"], &bare["status"], &open["status"]),
        (&json!("healthy"), &json!("healthy"), &json!("healthy"))
    );
    let services = listed["data"]["services"].as_array().expect("a list");
    assert!(services.iter().any(|s| s["name"] == "a" && s["status"] == "up"), "{services:?}");
    hub.stop().await;
}

#[tokio::test]
async fn the_command_line_registers_lists_calls_and_takes_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = quick(dir.path()).await;
    let local = Local::start("a").await;
    let port = local.port.to_string();
    let new = ["services", "register", "a-1", "--host", "127.0.0.1", "--port", &port, "--name", "a"];
    let more = ["--capability", "x", "--metadata", "weight=2", "--health", "/health"];
    assert_eq!(hub.json(&[&new[..], &more].concat()).await["metadata"]["weight"], 2);
    assert_eq!(hub.json(&["services", "list", "--capability", "x"]).await[0]["id"], "a-1");
    assert_eq!(hub.json(&["services", "show", "a"]).await[0]["name"], "a");
    let called = hub.json(&["services", "invoke", "a", "{\"n\": 1}", "--timeout", "1m"]).await;
    assert_eq!((called["who"].as_str(), called["got"].as_str()), (Some("a"), Some("{\"n\":1}")));
    let table = hub.cli(&["services", "list"]).await;
    assert!(text(&table.stdout).contains("a-1"), "{}", text(&table.stdout));
    assert_eq!(hub.json(&["services", "deregister", "a-1"]).await["id"], "a-1");
    assert_eq!(hub.cli(&["services", "invoke", "a"]).await.status.code(), Some(1));
    hub.stop().await;
}
