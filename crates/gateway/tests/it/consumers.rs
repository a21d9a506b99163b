//! Remote consumers at the doors: pull and settle over HTTP, deliveries over a socket.

use futures_util::SinkExt;
use serde_json::{Value, json};

use crate::rig::{Reply, Rig, Socket, within};

async fn subscription(rig: &Rig, more: Value) {
    let mut body = json!({"filter": "PAYMENT_RECEIVED", "target": {"kind": "consumer"}, "retry": "10ms",
        "timeout_ms": 60_000});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let reply = rig.api("PUT", "/api/v1/subscriptions/pay", body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

async fn act(rig: &Rig, what: &str, body: Value) -> Reply {
    rig.api("POST", &format!("/api/v1/consumers/pay/{what}"), body).await
}

async fn pull(rig: &Rig) -> Vec<Value> {
    let reply = act(rig, "pull", json!({"max": 10, "wait_ms": 50_000})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.body["data"].as_array().expect("a list").clone()
}

async fn consuming(rig: &Rig, max: u64) -> Socket {
    let mut socket = rig.socket("/ws").await;
    let answer = socket.ask(&json!({"type": "consume", "subscription": "pay", "max": max})).await;
    assert_eq!(answer, json!({"type": "consuming", "subscription": "pay", "max": max}));
    socket
}

#[tokio::test]
async fn a_delivery_is_pulled_acknowledged_and_told_in_its_fate() {
    let rig = Rig::new().await;
    subscription(&rig, json!({})).await;
    let event = rig.publish("payment.received", r#"{"amount":5}"#).await;
    let pulled = pull(&rig).await;
    assert_eq!(pulled.len(), 1);
    let shown = rig.api("GET", &format!("/api/v1/events/{}", event.id), Value::Null).await;
    let wanted = json!({
        "subscription": "pay", "lease": pulled[0]["lease"], "lease_ms": 60_000, "delivery_id": pulled[0]["delivery_id"],
        "attempt": 1, "event": "PAYMENT_RECEIVED", "topic": "payment.received", "payload": {"amount": 5},
        "id": event.id.to_string(), "seq": event.seq, "timestamp": shown.body["data"]["time"], "source": "test",
        "correlation_id": event.id.to_string(),
    });
    assert_eq!(pulled[0], wanted);
    let again = act(&rig, "pull", json!({})).await;
    assert_eq!(again.body["data"], json!([]), "a lease is exclusive");
    let acked = act(&rig, "ack", json!({"leases": [pulled[0]["lease"], "nonsense"]})).await;
    assert_eq!(acked.body["data"], json!({"acked": 1, "unheld": ["nonsense"]}));
    let fate = within(async {
        loop {
            let fate = rig.api("GET", &format!("/api/v1/events/{}/fate", event.id), Value::Null).await;
            if fate.body["data"]["verdict"] == "delivered" {
                break fate.body["data"].clone();
            }
        }
    });
    assert_eq!(fate.await["deliveries"][0]["subscription"], "pay");
    rig.stop().await;
}

#[tokio::test]
async fn a_refused_delivery_comes_again_and_a_lease_can_be_extended() {
    let rig = Rig::new().await;
    subscription(&rig, json!({})).await;
    rig.publish("payment.received", "{}").await;
    let first = pull(&rig).await.remove(0);
    let extended = act(&rig, "extend", json!({"lease": first["lease"], "ms": 30_000})).await;
    assert_eq!(extended.body["data"], json!({"lease": first["lease"], "extended_ms": 30_000}));
    let nacked = act(&rig, "nack", json!({"lease": first["lease"], "delay_ms": 0, "reason": "busy"})).await;
    assert_eq!(nacked.body["data"], json!({"nacked": 1}));
    let second = pull(&rig).await.remove(0);
    assert_eq!((&second["attempt"], &second["delivery_id"]), (&json!(2), &first["delivery_id"]));
    for what in ["nack", "extend"] {
        let late = act(&rig, what, json!({"lease": first["lease"]})).await;
        assert_eq!(late.refusal(), (404, "NOT_FOUND"), "{}", late.text);
    }
    rig.stop().await;
}

#[tokio::test]
async fn wrong_requests_of_consumers_are_refused_as_documented() {
    let rig = Rig::new().await;
    subscription(&rig, json!({})).await;
    let hook = json!({"name": "hook", "filter": "a", "url": "http://127.0.0.1:9/"});
    assert_eq!(rig.api("POST", "/api/v1/subscriptions", hook).await.status, 201);
    for (what, body, refusal) in [
        ("pull", json!({"max": 0}), (422, "INVALID")),
        ("pull", json!({"max": 1_001}), (422, "INVALID")),
        ("pull", json!({"wait_ms": 60_001}), (422, "INVALID")),
        ("pull", json!({"wait": 1}), (422, "INVALID")),
        ("ack", json!({}), (422, "INVALID")),
        ("ack", json!({"leases": []}), (422, "INVALID")),
        ("ack", json!({"leases": "x"}), (422, "INVALID")),
        ("nack", json!({}), (422, "INVALID")),
        ("nack", json!({"lease": "x", "delay_ms": -1}), (422, "INVALID")),
        ("extend", json!({"lease": "x"}), (404, "NOT_FOUND")),
    ] {
        let reply = act(&rig, what, body.clone()).await;
        assert_eq!(reply.refusal(), refusal, "{what} {body}: {}", reply.text);
    }
    let hooked = rig.api("POST", "/api/v1/consumers/hook/pull", json!({})).await;
    assert_eq!(hooked.refusal(), (409, "CONFLICT"));
    let nowhere = rig.api("POST", "/api/v1/consumers/nowhere/pull", json!({})).await;
    assert_eq!(nowhere.refusal(), (404, "NOT_FOUND"));
    let other = rig.api("PUT", "/api/v1/subscriptions/pay", json!({"name": "pax", "filter": "a"})).await;
    assert_eq!(other.refusal(), (422, "INVALID"));
    let differs = json!({"filter": "a", "target": {"kind": "consumer"}});
    let differs = rig.api("PUT", "/api/v1/subscriptions/pay", differs).await;
    assert_eq!(differs.refusal(), (409, "CONFLICT"));
    assert!(differs.body["details"]["filters"].is_string(), "{}", differs.text);
    rig.stop().await;
}

#[tokio::test]
async fn a_narrow_token_consumes_its_subscription_only() {
    let rig = Rig::new().await;
    subscription(&rig, json!({})).await;
    let other = json!({"filter": "a", "target": {"kind": "consumer"}});
    assert_eq!(rig.api("PUT", "/api/v1/subscriptions/other", other).await.status, 200);
    let token = rig.token("narrow", &["subscriptions:consume:pay"]).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (name, status) in [("pay", 200), ("other", 403)] {
        let reply = rig.send("POST", &format!("/api/v1/consumers/{name}/pull"), &headers, b"{}").await;
        assert_eq!(reply.status, status, "{}", reply.text);
    }
    let mut socket = rig.socket_of("/ws", &token).await;
    let answer = socket.ask(&json!({"type": "consume", "subscription": "pay"})).await;
    assert_eq!(answer, json!({"type": "consuming", "subscription": "pay", "max": 16}));
    let answer = socket.ask(&json!({"type": "consume", "subscription": "other"})).await;
    assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("FORBIDDEN")));
    assert_eq!(socket.ask(&json!({"type": "subscribe", "topic": "a"})).await["code"], "FORBIDDEN");
    rig.stop().await;
}

#[tokio::test]
async fn a_socket_gets_deliveries_and_what_it_leaves_goes_to_another() {
    let rig = Rig::new().await;
    subscription(&rig, json!({"retry": "1h"})).await;
    let mut first = consuming(&rig, 1).await;
    let events =
        [rig.publish("payment.received", r#"{"n":1}"#).await, rig.publish("payment.received", r#"{"n":2}"#).await];
    let one = first.hear().await;
    let timestamp = one["timestamp"].as_f64().expect("epoch seconds");
    let wanted = json!({
        "type": "delivery", "subscription": "pay", "lease": one["lease"], "lease_ms": 60_000,
        "delivery_id": one["delivery_id"], "attempt": 1, "event": "PAYMENT_RECEIVED", "topic": "payment.received",
        "payload": {"n": 1}, "id": events[0].id.to_string(), "seq": events[0].seq, "timestamp": timestamp,
        "source": "test", "correlation_id": events[0].id.to_string(),
    });
    assert_eq!(one, wanted);
    // It may hold one: nothing more comes until that is settled.
    assert_eq!(first.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}));
    first.say(&json!({"type": "ack", "lease": one["lease"]})).await;
    let two = first.hear().await;
    assert_eq!(two["payload"], json!({"n": 2}));
    let mut second = consuming(&rig, 10).await;
    first.0.close(None).await.expect("closed");
    let again = second.hear().await;
    assert_eq!((&again["delivery_id"], &again["attempt"]), (&two["delivery_id"], &json!(2)));
    assert_ne!(again["lease"], two["lease"]);
    second.say(&json!({"type": "ack", "leases": [again["lease"]]})).await;
    assert_eq!(second.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}));
    rig.stop().await;
}

#[tokio::test]
async fn a_socket_refuses_extends_and_hears_of_its_mistakes() {
    let rig = Rig::new().await;
    subscription(&rig, json!({})).await;
    let mut socket = consuming(&rig, 5).await;
    rig.publish("payment.received", "{}").await;
    let one = socket.hear().await;
    let extended = socket.ask(&json!({"type": "extend", "lease": one["lease"], "ms": 20_000})).await;
    assert_eq!(extended, json!({"type": "extended", "lease": one["lease"], "extended_ms": 20_000}));
    socket.say(&json!({"type": "nack", "lease": one["lease"], "delay_ms": 0, "reason": "not yet"})).await;
    let two = socket.hear().await;
    assert_eq!(two["attempt"], 2);
    let late = socket.ask(&json!({"type": "ack", "lease": one["lease"]})).await;
    assert_eq!((&late["type"], &late["code"], &late["lease"]), (&json!("error"), &json!("NOT_FOUND"), &one["lease"]));
    for (frame, code) in [
        (json!({"type": "consume", "subscription": "nowhere"}), "NOT_FOUND"),
        (json!({"type": "consume", "subscription": "pay", "max": 1_001}), "INVALID"),
        (json!({"type": "consume"}), "MALFORMED"),
        (json!({"type": "ack", "lease": "nonsense"}), "NOT_FOUND"),
        (json!({"type": "nack", "lease": two["lease"], "delay_ms": "x"}), "MALFORMED"),
    ] {
        let answer = socket.ask(&frame).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame}: {answer}");
    }
    assert_eq!(rig.api("DELETE", "/api/v1/subscriptions/pay", Value::Null).await.status, 200);
    let gone = socket.hear().await;
    assert_eq!((&gone["code"], &gone["subscription"]), (&json!("NOT_FOUND"), &json!("pay")));
    rig.stop().await;
}

#[tokio::test]
async fn acknowledging_fast_is_no_flood() {
    let rig = Rig::new().await;
    subscription(&rig, json!({"concurrency": 64})).await;
    let mut socket = consuming(&rig, 64).await;
    for _ in 0..1_000 {
        rig.publish("payment.received", "{}").await;
    }
    for _ in 0..1_000 {
        let frame = socket.hear().await;
        assert_eq!(frame["type"], "delivery", "{frame}");
        socket.say(&json!({"type": "ack", "lease": frame["lease"]})).await;
    }
    assert_eq!(socket.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}));
    for _ in 0..400 {
        socket.0.feed(r#"{"type":"ack","lease":"nonsense"}"#.into()).await.expect("sent");
    }
    let _ = within(socket.0.flush()).await;
    assert_eq!(socket.closed().await, 1008, "a flood of nonsense is one");
    rig.stop().await;
}
