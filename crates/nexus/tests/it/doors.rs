//! Black-box checks of the doors, each as the mission's checklist words it.

use std::time::Duration;

use futures_util::StreamExt;
use nexus_client::{Client, source::NewSource, subscription::NewSubscription};
use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;
use serde_json::Value;

use crate::{
    http,
    hub::{Hub, PATIENCE},
    sink::Sink,
};

async fn source(client: &Client, id: &str, preset: &str, secret: &str, rate: Option<&str>) {
    let source = NewSource {
        id: id.into(),
        preset: Some(preset.into()),
        secrets: vec![secret.into()],
        rate_limit: rate.map(str::to_owned),
        ..NewSource::default()
    };
    client.add_source(&source).await.expect("a source");
}

/// Asks until the answer is as wanted, or patience ends.
async fn until<F: AsyncFn() -> bool>(what: &str, holds: F) {
    let clock = SystemClock::new();
    let asking = async {
        while !holds().await {
            clock.sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, asking).await.is_ok(), "{what} did not come");
}

/// N-001, N-002
#[tokio::test]
async fn a_signed_event_is_accepted_and_a_forged_or_changed_one_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    source(&hub.client(), "node", "nexus", "node-secret", None).await;
    let body = r#"{"event":"PAYMENT_RECEIVED","payload":{"amount":1}}"#;
    let answer = http::post_signed(hub.address(), "/events", "node-secret", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let accepted = answer.json();
    assert_eq!((accepted["status"].as_str(), accepted["event"].as_str()), (Some("accepted"), Some("PAYMENT_RECEIVED")));
    let seq = accepted["seq"].as_u64().expect("a seq");
    let stored = hub.client().event(accepted["id"].as_str().expect("an id")).await.expect("it is in the log");
    assert_eq!(stored["seq"].as_u64(), Some(seq), "{stored}");
    let wrong = http::post_signed(hub.address(), "/events", "other-secret", body).await;
    let unsigned =
        http::send("127.0.0.1", hub.address(), "POST", "/events", &[("Content-Type", "application/json")], body);
    let signature = nexus_client::event::signature("node-secret", body.as_bytes());
    let headers = [("Content-Type", "application/json"), ("X-Nexus-Signature", signature.as_str())];
    let changed = body.replace(":1", ":2");
    let changed = http::send("127.0.0.1", hub.address(), "POST", "/events", &headers, &changed);
    for refused in [wrong, unsigned.await, changed.await] {
        assert_eq!(refused.status, 401, "{refused:?}");
        assert_eq!(refused.json()["success"], false);
        assert!(!refused.header("x-request-id").is_empty());
    }
    let head = hub.client().log_head().await.expect("a head");
    assert_eq!(head["seq"].as_u64(), Some(seq), "nothing was dispatched for the refused ones");
    hub.stop().await;
}

/// N-004, N-005, N-007, N-025
#[tokio::test]
async fn the_seeds_webhooks_take_their_own_key_and_answer_a_repeat_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    source(&hub.client(), "flowpay", "flowpay", "flow-secret", None).await;
    source(&hub.client(), "factory", "factory", "fact-secret", None).await;
    let paid = r#"{"transactionId":"t-1","amount":5,"payerId":"p-1"}"#;
    let minted = r#"{"contractAddress":"0xc","txHash":"0xt"}"#;
    let first = http::post_signed(hub.address(), "/webhook/flowpay", "flow-secret", paid).await;
    assert_eq!((first.status, first.json()["event"].as_str()), (200, Some("PAYMENT_RECEIVED")), "{first:?}");
    assert_eq!(first.json()["status"], "processed");
    let event = hub.client().event(first.json()["id"].as_str().expect("an id")).await.expect("it is in the log");
    assert!(event.to_string().contains("t-1") && event.to_string().contains("p-1"), "{event}");
    let factory = http::post_signed(hub.address(), "/webhook/factory", "fact-secret", minted).await;
    assert_eq!((factory.status, factory.json()["event"].as_str()), (200, Some("MINT_CONFIRMED")), "{factory:?}");
    let foreign = http::post_signed(hub.address(), "/webhook/factory", "flow-secret", minted).await;
    assert_eq!(foreign.status, 401, "FlowPay's key opens no other door");
    let again = http::post_signed(hub.address(), "/webhook/flowpay", "flow-secret", paid).await;
    assert_eq!((again.status, again.json()), (200, first.json()));
    assert_eq!(again.header("idempotency-replayed"), "true");
    hub.stop().await;
}

#[tokio::test]
async fn the_secret_of_the_environment_is_that_of_nexus_and_of_the_seeds_nodes() {
    let dir = tempfile::tempdir().expect("a folder");
    let env = [("NEXUS_SECRET_KEY", "shared-secret"), ("NEXUS_SECRET_KEY_FACTORY", "own-secret")];
    let hub = Hub::start_with(dir.path(), &[], &env).await;
    let event = r#"{"event":"a.b","payload":{}}"#;
    let accepted = http::post_signed(hub.address(), "/events", "shared-secret", event).await;
    assert_eq!(accepted.status, 200, "{accepted:?}");
    let paid = r#"{"transactionId":"t","amount":1,"payerId":"p"}"#;
    let flowpay = http::post_signed(hub.address(), "/webhook/flowpay", "shared-secret", paid).await;
    assert_eq!(flowpay.status, 200, "{flowpay:?}");
    let minted = r#"{"contractAddress":"0xc","txHash":"0xt"}"#;
    let shared = http::post_signed(hub.address(), "/webhook/factory", "shared-secret", minted).await;
    assert_eq!(shared.status, 401, "a node with a secret of its own has only that");
    let own = http::post_signed(hub.address(), "/webhook/factory", "own-secret", minted).await;
    assert_eq!(own.status, 200, "{own:?}");
    hub.stop().await;
}

/// N-006
#[tokio::test]
async fn health_needs_no_token() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let answer = http::get(hub.address(), "/health", &[]).await;
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("healthy")), "{answer:?}");
    assert_eq!(http::get(hub.address(), "/api/v1/sources", &[]).await.status, 401);
    hub.stop().await;
}

/// N-008
#[tokio::test]
async fn one_address_gets_about_ten_signed_requests_a_second_and_another_is_not_affected() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    source(&hub.client(), "node", "nexus", "node-secret", None).await;
    let clock = SystemClock::new();
    let begin = clock.mono();
    let mut accepted = 0_u128;
    for number in 0..30 {
        let body = format!(r#"{{"event":"a.b","payload":{number}}}"#);
        let answer = http::post_signed(hub.address(), "/events", "node-secret", &body).await;
        match answer.status {
            200 => accepted += 1,
            429 => assert!(!answer.header("retry-after").is_empty(), "{answer:?}"),
            other => panic!("{other}: {answer:?}"),
        }
    }
    // Ten at once, and ten more for each second that a busy machine took.
    let took = clock.mono() - begin;
    let most = 11 + took.as_millis() / 100;
    assert!((10..=most).contains(&accepted), "{accepted} of 30, at most {most} expected");
    let other =
        http::post_signed_from("127.0.0.2", hub.address(), "/events", "node-secret", r#"{"event":"a.b","payload":0}"#);
    assert_eq!(other.await.status, 200);
    hub.stop().await;
}

/// N-009
#[tokio::test]
async fn only_a_configured_origin_may_read_answers() {
    let dir = tempfile::tempdir().expect("a folder");
    let env = [("NEXUS_SERVER_CORS_ORIGINS", "https://app.example.com")];
    let hub = Hub::start_with(dir.path(), &[], &env).await;
    let known = http::get(hub.address(), "/health", &[("Origin", "https://app.example.com")]).await;
    assert_eq!(known.header("access-control-allow-origin"), "https://app.example.com", "{known:?}");
    let other = http::get(hub.address(), "/health", &[("Origin", "https://other.example.com")]).await;
    assert_eq!(other.header("access-control-allow-origin"), "", "{other:?}");
    hub.stop().await;
}

/// N-014, N-021
#[tokio::test]
async fn a_failing_endpoint_gets_the_same_event_under_the_same_id_until_it_takes_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let sink = Sink::with(&[500, 500], None).await;
    let subscription = NewSubscription {
        name: "mint".into(),
        filters: vec!["PAYMENT_RECEIVED".into()],
        url: Some(sink.url.clone()),
        secret: Some("hook-secret".into()),
        retry: Some("50ms,100ms".into()),
        ..NewSubscription::default()
    };
    hub.client().subscribe(&subscription).await.expect("a subscription");
    let id = hub
        .client()
        .publish("payment.received", &serde_json::json!({"amount": 1}), None)
        .await
        .expect("published")
        .message_id;
    let got = sink.until("three attempts", |got| got.len() >= 3).await;
    assert!(got.iter().all(|g| g.body["id"] == id.as_str() && g.header("webhook-id") == got[0].header("webhook-id")));
    assert_eq!(got[0].body["event"], "PAYMENT_RECEIVED", "under the name that was asked for");
    assert!(got[0].body["timestamp"].is_u64());
    assert!(got.iter().all(|g| g.header("x-nexus-signature").len() == 64 && !g.header("webhook-signature").is_empty()));
    until("the fate", async || hub.client().fate(&id).await.expect("a fate")["deliveries"][0]["state"] == "delivered")
        .await;
    assert_eq!(sink.got().len(), 3);
    hub.stop().await;
}

/// N-026
#[tokio::test]
async fn the_permissions_file_holds_and_an_edit_takes_effect() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("config")).expect("a folder");
    let file = dir.path().join("config/permissions.json");
    std::fs::write(&file, r#"{"factory":["MINT_CONFIRMED"]}"#).expect("written");
    let hub = Hub::start(dir.path(), &[]).await;
    source(&hub.client(), "factory", "nexus", "fact-secret", Some("off")).await;
    let pay = async || {
        let body = r#"{"event":"PAYMENT_RECEIVED","payload":{}}"#;
        http::post_signed(hub.address(), "/events", "fact-secret", body).await.status
    };
    assert_eq!(pay().await, 403);
    let mint = r#"{"event":"MINT_CONFIRMED","payload":{}}"#;
    assert_eq!(http::post_signed(hub.address(), "/events", "fact-secret", mint).await.status, 200);
    std::fs::write(&file, r#"{"factory":["MINT_CONFIRMED","PAYMENT_RECEIVED"]}"#).expect("written");
    until("the edit", async || pay().await == 200).await;
    std::fs::write(&file, "{").expect("written");
    hub.logged("the permissions file is wrong").await;
    assert_eq!(pay().await, 200, "the last good file stays in force");
    hub.stop().await;
}

/// N-029, N-030, N-031, N-032
#[tokio::test]
async fn the_seeds_four_metrics_are_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let sink = Sink::with(&[200, 500], None).await;
    let subscription = NewSubscription {
        name: "reactor".into(),
        filters: vec!["a.*".into()],
        url: Some(sink.url.clone()),
        retry: Some("1h".into()),
        ..NewSubscription::default()
    };
    hub.client().subscribe(&subscription).await.expect("a subscription");
    hub.client().publish("a.b", &Value::Null, None).await.expect("published");
    sink.until("the delivery", |got| got.len() == 1).await;
    hub.client().publish("a.b", &Value::Null, None).await.expect("published");
    sink.until("the delivery that fails", |got| got.len() == 2).await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let mut socket = Box::pin(hub.client().tail("a.*", Some("0")));
        socket.next().await.expect("an event").expect("the socket is open");
        sockets.push(socket);
    }
    assert_eq!(http::get(hub.address(), "/metrics", &[]).await.status, 401);
    let proof = format!("Bearer {}", hub.token());
    let read = async || http::get(hub.address(), "/metrics", &[("Authorization", &proof)]).await.body;
    until("the metrics", async || {
        let body = read().await;
        sum(&body, "nexus_websocket_connections") == Some(5.0)
            && sum(&body, "nexus_retry_queue_size") == Some(1.0)
            && ["nexus_events_per_minute", "nexus_events_last_minute"].iter().any(|name| sum(&body, name).is_some())
            && sum(&body, "nexus_reaction_duration_seconds_count") >= Some(1.0)
    })
    .await;
    drop(sockets);
    until("the end of the sockets", async || sum(&read().await, "nexus_websocket_connections").unwrap_or(0.0) == 0.0)
        .await;
    hub.stop().await;
}

/// The sum of a metric over its labels; nothing when it is not there.
fn sum(body: &str, name: &str) -> Option<f64> {
    let of_it = body.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    let values: Vec<f64> = of_it.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}
