//! What whoever runs a hub relies on: nothing accepted is lost, what goes wrong is seen and told, load is borne.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use axum::http::Method;
use nexus_client::{Client, event::EventQuery, source::NewSource, subscription::NewSubscription};
use nexus_core::{event::Priority, time::Clock};
use nexus_engine::clock::SystemClock;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    http as raw,
    hub::{Hub, PATIENCE},
    sink::Sink,
};

fn to(name: &str, filter: &str, url: &str) -> NewSubscription {
    NewSubscription {
        name: name.into(),
        filters: vec![filter.into()],
        url: Some(url.into()),
        ..NewSubscription::default()
    }
}

/// An address that nobody listens at.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}/in", listener.local_addr().expect("an address"))
}

fn configure(dir: &Path, text: &str) {
    std::fs::write(dir.join("nexus.toml"), text).expect("written");
}

/// Asks until the answer is there, or patience ends.
async fn until<T, F: AsyncFn() -> Option<T>>(what: &str, ask: F) -> T {
    let clock = SystemClock::new();
    let asking = async {
        loop {
            match ask().await {
                Some(found) => return found,
                None => clock.sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

/// C-141
#[tokio::test]
async fn every_accepted_event_survives_a_kill_and_retention_forgets_only_what_its_filter_names() {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path(), "[[retention.events]]\nfilter = \"noise.*\"\nage = \"1d\"\n");
    let flags = ["--dev", "--test-clock"];
    let hub = Hub::start(dir.path(), &flags).await;
    let client = hub.client();
    let mut accepted = Vec::new();
    for (number, priority) in Priority::ALL.iter().cycle().take(40).enumerate() {
        let topic = if number % 2 == 0 { "noise.made" } else { "order.placed" };
        let payload = json!({ "number": number });
        let id = client.publish(topic, &payload, Some(priority.as_str())).await.expect("accepted").message_id;
        accepted.push((topic, payload, id));
    }
    hub.kill().await;
    let hub = Hub::start(dir.path(), &flags).await;
    let client = hub.client();
    for (topic, payload, id) in &accepted {
        let event = client.event(id).await.expect("it survived");
        assert_eq!((event["type"].as_str(), &event["payload"]), (Some(*topic), payload), "{event}");
    }
    let clock = r#"{"advance":"2d"}"#;
    let headers = [("Content-Type", "application/json")];
    let moved = raw::send("127.0.0.1", hub.address(), "POST", "/__clock", &headers, clock).await;
    assert_eq!(moved.status, 200, "{moved:?}");
    until("the end of what is too old", async || {
        let event = client.event(&accepted[0].2).await.expect("its place stays");
        event["erased"].as_bool()?.then_some(())
    })
    .await;
    for (topic, payload, id) in &accepted {
        let event = client.event(id).await.expect("its place stays");
        let kept = if *topic == "order.placed" { payload } else { &Value::Null };
        assert_eq!(&event["payload"], kept, "{event}");
    }
    assert_eq!(client.verify_log(None).await.expect("a report")["ok"], true);
    hub.stop().await;
}

/// C-161
#[tokio::test]
async fn a_subscription_that_does_not_deliver_says_how_far_it_lags_and_why() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let client = hub.client();
    client.subscribe(&to("stuck", "a.*", &nowhere())).await.expect("a subscription");
    for number in 0..30 {
        client.publish("a.b", &json!(number), None).await.expect("accepted");
    }
    let status = until("its lag and its error", async || {
        let status = client.subscription_status("stuck").await.expect("a status");
        (status["lag"].as_u64() > Some(0) && status["last_error"].is_string()).then_some(status)
    })
    .await;
    assert!(status["last_error"].as_str().is_some_and(|e| e.contains("no connection")), "{status}");
    assert!(status["waiting_for"].is_string(), "{status}");
    let token = format!("Bearer {}", hub.token());
    until("its lag among the metrics", async || {
        let metrics = raw::get(hub.address(), "/metrics", &[("Authorization", &token)]).await;
        let line =
            metrics.body.lines().find(|l| l.starts_with(r#"nexus_subscription_lag_events{subscription="stuck"}"#));
        line.and_then(|l| l.rsplit(' ').next()?.parse::<u64>().ok()).filter(|lag| *lag > 0)
    })
    .await;
    hub.stop().await;
}

/// N-017
#[tokio::test]
async fn a_payment_makes_the_reactor_call_the_factory_with_its_key_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let factory = Sink::start().await;
    let hub = Hub::start(dir.path(), &[]).await;
    let client = hub.client();
    let source = NewSource {
        id: "flowpay".into(),
        preset: Some("flowpay".into()),
        secrets: vec!["flow-secret".into()],
        ..NewSource::default()
    };
    client.add_source(&source).await.expect("a source");
    client.put_secret("FACTORY_API_KEY", "factory-key-1").await.expect("a secret");
    let target = json!({
        "kind": "http", "url": format!("{}/api/mint", factory.base()),
        "headers": {"authorization": "Bearer ${secret:FACTORY_API_KEY}"},
        "body": "{address: .payload.payerId, amount: .payload.amount}",
    });
    let reactor = NewSubscription {
        name: "mint".into(),
        filters: vec!["PAYMENT_RECEIVED".into()],
        target: Some(target),
        ..NewSubscription::default()
    };
    client.subscribe(&reactor).await.expect("a reactor");
    let paid = r#"{"transactionId":"t-1","amount":250,"payerId":"0xabc"}"#;
    let answer = raw::post_signed(hub.address(), "/webhook/flowpay", "flow-secret", paid).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let journal = factory.until("the call", |got| !got.is_empty()).await;
    assert_eq!(journal.len(), 1);
    let call = &journal[0];
    assert_eq!(call.line, "POST /api/mint");
    assert_eq!(call.header("authorization"), "Bearer factory-key-1");
    assert_eq!(call.header("content-type"), "application/json");
    assert_eq!(call.body, json!({"address": "0xabc", "amount": 250}));
    hub.stop().await;
}

/// S-137, S-255
#[tokio::test]
async fn an_endpoint_that_is_down_and_what_dies_of_it_is_told_to_discord_and_to_any_endpoint() {
    let dir = tempfile::tempdir().expect("a folder");
    let (discord, any) = (Sink::start().await, Sink::start().await);
    configure(dir.path(), &format!("[alerts]\ndiscord = \"{}\"\nurl = \"{}\"\n", discord.url, any.url));
    let hub = Hub::start(dir.path(), &[]).await;
    let client = hub.client();
    let refusing = Sink::with(&[400], None).await;
    let once = NewSubscription { max_attempts: Some(1), ..to("factory", "mint.*", &refusing.url) };
    client.subscribe(&once).await.expect("a subscription");
    client.publish("mint.requested", &json!({}), None).await.expect("accepted");
    let down = NewSubscription { retry: Some("10ms".into()), ..to("down", "call.*", &nowhere()) };
    client.subscribe(&down).await.expect("a subscription");
    client.publish("call.made", &json!({}), None).await.expect("accepted");
    let told = |kind: &'static str, subject: &'static str| {
        move |got: &[crate::sink::Got]| got.iter().any(|g| g.body["alert"] == kind && g.body["subject"] == subject)
    };
    any.until("the dead letter", told("dead_letter", "factory")).await;
    let got = any.until("the component that is down", told("breaker_opened", "down")).await;
    for alert in &got {
        for field in ["severity", "message", "at"] {
            assert!(alert.body[field].as_str().is_some_and(|text| !text.is_empty()), "{alert:?}");
        }
    }
    let said = |what: &'static str| {
        move |got: &[crate::sink::Got]| {
            got.iter().any(|g| g.body["content"].as_str().is_some_and(|text| text.contains(what)))
        }
    };
    discord.until("the dead letter", said("factory")).await;
    let got = discord.until("the component that is down", said("down")).await;
    for message in &got {
        assert_eq!(message.body["allowed_mentions"], json!({"parse": []}), "nobody can be pinged from outside");
        assert!(message.body["embeds"][0]["description"].is_string(), "{message:?}");
    }
    hub.stop().await;
}

/// S-203
#[tokio::test]
async fn an_event_type_of_ones_own_is_tracked_found_and_held_to_its_schema() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let client = hub.client();
    let schema = json!({"type": "object", "required": ["plan"], "properties": {"plan": {"enum": ["free", "pro"]}}});
    let source = json!({"id": "shop", "secrets": ["shop-secret"], "schemas": {"plan.chosen": schema}});
    client.call::<Value>(Method::POST, "/api/v1/sources", Some(&source)).await.expect("a source");
    let good = r#"{"event":"plan.chosen","payload":{"plan":"pro","seats":3}}"#;
    let answer = raw::post_signed(hub.address(), "/events", "shop-secret", good).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let bad = r#"{"event":"plan.chosen","payload":{"plan":"gold"}}"#;
    let refused = raw::post_signed(hub.address(), "/events", "shop-secret", bad).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.body.contains("plan"), "it says where: {refused:?}");
    let query = EventQuery { topic: Some("plan.chosen".into()), ..EventQuery::default() };
    let found = client.events(&query).await.expect("a page").items;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["payload"], json!({"plan": "pro", "seats": 3}));
    let kept = client.source("shop").await.expect("the source");
    assert_eq!(kept.more.get("schemas").and_then(|s| s.get("plan.chosen")), Some(&schema), "{kept:?}");
    hub.stop().await;
}

#[tokio::test]
async fn one_trace_goes_from_the_request_through_the_commit_to_the_delivery() {
    let dir = tempfile::tempdir().expect("a folder");
    let (collector, endpoint) = (Sink::start().await, Sink::start().await);
    let hub = Hub::start_with(dir.path(), &[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.base())]).await;
    hub.client().subscribe(&to("sink", "a.*", &endpoint.url)).await.expect("a subscription");
    let (trace, caller) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let parent = format!("00-{trace}-{caller}-01");
    let token = format!("Bearer {}", hub.token());
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json"), ("traceparent", &parent)];
    let sent = raw::send("127.0.0.1", hub.address(), "POST", "/events/a.b", &headers, r#"{"payload":1}"#).await;
    assert_eq!(sent.status, 200, "{sent:?}");
    let spans_of = |got: &[crate::sink::Got]| -> Vec<Value> {
        let requests = got.iter().filter(|g| g.line == "POST /v1/traces");
        let scopes = requests.map(|g| &g.body["resourceSpans"][0]["scopeSpans"][0]["spans"]);
        scopes.filter_map(Value::as_array).flatten().filter(|s| s["traceId"] == trace).cloned().collect()
    };
    let got = collector.until("three spans of one trace", |got| spans_of(got).len() >= 3).await;
    let spans = spans_of(&got);
    let span = |name: &str| spans.iter().find(|s| s["name"] == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"));
    let (receive, commit, deliver) = (span("receive"), span("commit"), span("deliver"));
    assert_eq!(receive["parentSpanId"], caller);
    assert_eq!((&commit["parentSpanId"], &deliver["parentSpanId"]), (&receive["spanId"], &receive["spanId"]));
    let delivered = endpoint.until("the delivery", |got| !got.is_empty()).await;
    let passed = format!("00-{trace}-{}-01", deliver["spanId"].as_str().expect("an id"));
    assert_eq!(delivered[0].header("traceparent"), passed);
    hub.stop().await;
}

/// Publishes until told to stop; how many were accepted.
async fn flood(client: Client, stop: tokio::sync::watch::Receiver<bool>) -> u64 {
    let mut accepted = 0;
    while !*stop.borrow() {
        // Refused for being busy is a defined answer; so is accepted.
        match client.dispatch("flood.made", &json!({"n": accepted}), "flood-secret", &Default::default()).await {
            Ok(_) => accepted += 1,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flooded_doors_do_not_hold_up_retries_and_their_acknowledgements() {
    let dir = tempfile::tempdir().expect("a folder");
    let endpoint = Sink::with(&[503, 503, 503], None).await;
    let hub = Hub::start(dir.path(), &[]).await;
    let client = hub.client();
    let source = NewSource {
        id: "flood".into(),
        secrets: vec!["flood-secret".into()],
        rate_limit: Some("off".into()),
        ..NewSource::default()
    };
    client.add_source(&source).await.expect("a source");
    let retried = NewSubscription { retry: Some("200ms".into()), ..to("retried", "calm.*", &endpoint.url) };
    client.subscribe(&retried).await.expect("a subscription");
    let (end, stop) = tokio::sync::watch::channel(false);
    let mut publishers = JoinSet::new();
    for _ in 0..64 {
        publishers.spawn(flood(hub.client(), stop.clone()));
    }
    let id = client.publish("calm.sent", &json!({}), None).await.expect("accepted").message_id;
    until("the acknowledgement of the fourth attempt", async || {
        let fate = client.fate(&id).await.expect("a fate");
        (fate["deliveries"][0]["state"] == "delivered").then_some(())
    })
    .await;
    // It came while the flood went on: what waits behind a flood that never pauses does not come at all.
    end.send_replace(true);
    let mut accepted = 0;
    while let Some(done) = publishers.join_next().await {
        accepted += done.expect("no publisher panics");
    }
    assert!(accepted >= 64, "{accepted} events are no flood");
    let arrived = endpoint.until("all four attempts", |got| got.len() >= 4).await;
    assert_eq!(arrived.iter().map(|g| g.header("x-nexus-attempt")).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    hub.stop().await;
}

#[tokio::test]
async fn a_crash_between_the_first_tokens_file_and_its_commit_locks_nobody_out() {
    let dir = tempfile::tempdir().expect("a folder");
    // What it leaves behind: the file is there, and no token is in force.
    std::fs::write(dir.path().join("admin.token"), "nxs_thatwasneverkept\n").expect("written");
    let hub = Hub::start(dir.path(), &[]).await;
    assert_ne!(hub.token(), "nxs_thatwasneverkept");
    let mode = std::fs::metadata(dir.path().join("admin.token")).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "whatever it was before");
    hub.client().sources().await.expect("the token in the file is in force");
    hub.stop().await;
}

#[tokio::test]
async fn a_repeat_is_known_for_as_long_as_its_source_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &["--dev", "--test-clock"]).await;
    let added = ["source", "add", "short", "--secret", "short-secret", "--idempotency-window", "2h"];
    assert_eq!(hub.json(&added).await["idempotency_window"], "2h");
    hub.json(&["source", "add", "long", "--secret", "long-secret"]).await;
    let refused = hub.cli(&["source", "add", "wrong", "--idempotency-window", "soon"]).await;
    assert!(!refused.status.success() && crate::hub::text(&refused.stderr).contains("idempotency_window"));
    let send = async |secret: &str| {
        let body = r#"{"event":"a.b","payload":{},"id":"one"}"#;
        let answer = raw::post_signed(hub.address(), "/events", secret, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("idempotency-replayed") == "true"
    };
    let advance = async |by: &str| {
        let headers = [("Content-Type", "application/json")];
        let body = json!({ "advance": by }).to_string();
        assert_eq!(raw::send("127.0.0.1", hub.address(), "POST", "/__clock", &headers, &body).await.status, 200);
    };
    assert_eq!((send("short-secret").await, send("long-secret").await), (false, false));
    advance("1h").await;
    assert_eq!((send("short-secret").await, send("long-secret").await), (true, true));
    advance("2h").await;
    assert_eq!((send("short-secret").await, send("long-secret").await), (false, true));
    hub.stop().await;
}
