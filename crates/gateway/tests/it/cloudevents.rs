//! CloudEvents at `POST /events`.

use serde_json::{Value, json};

use crate::rig::{Rig, sign};

async fn post(rig: &Rig, headers: &[(&str, &str)], body: &str) -> crate::rig::Reply {
    let signature = sign("s", body.as_bytes());
    let mut all = vec![("x-nexus-signature", signature.as_str())];
    all.extend_from_slice(headers);
    rig.send("POST", "/events", &all, body.as_bytes()).await
}

fn cloud(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order.created", "data": {"n": 1}})
}

#[tokio::test]
async fn structured_batch_and_binary_mode_are_stored_alike() {
    let rig = Rig::new().await;
    rig.source("shop", "s", &[]).await;
    let kind = |kind: &'static str| [("content-type", kind)];
    let one = post(&rig, &kind("application/cloudevents+json"), &cloud("a").to_string()).await;
    assert_eq!((one.status.as_u16(), &one.body["event"]), (200, &json!("order.created")), "{}", one.text);
    let binary = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "b"),
        ("ce-source", "/shop"),
        ("ce-type", "order.created"),
    ];
    let two = post(&rig, &binary, r#"{"n":1}"#).await;
    assert_eq!(two.status, 200, "{}", two.text);
    let again = post(&rig, &binary, r#"{"n":1}"#).await;
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &two.body));
    let batch = Value::from(vec![cloud("c"), cloud("d"), cloud("e")]).to_string();
    let three = post(&rig, &kind("application/cloudevents-batch+json"), &batch).await;
    assert_eq!((three.status.as_u16(), &three.body["count"]), (200, &json!(3)), "{}", three.text);
    assert_eq!(three.body["status"], "accepted");
    let seqs: Vec<u64> =
        three.body["events"].as_array().expect("a list").iter().filter_map(|e| e["seq"].as_u64()).collect();
    assert!(seqs.windows(2).all(|w| w[0] + 1 == w[1]) && seqs.len() == 3, "{seqs:?}");
    let id = one.body["id"].as_str().expect("an id");
    let event = rig.api("GET", &format!("/api/v1/events/{id}"), Value::Null).await;
    assert_eq!(event.body["data"]["attributes"]["source_id"], "a");
    assert_eq!(event.body["data"]["payload"], json!({"n": 1}));
    rig.stop().await;
}

#[tokio::test]
async fn a_batch_is_stored_whole_or_not_at_all() {
    let rig = Rig::new().await;
    rig.source("shop", "s", &["order.*"]).await;
    let mut other = cloud("b");
    other["type"] = "user.created".into();
    let batch = Value::from(vec![cloud("a"), other]).to_string();
    let before = rig.seq();
    let refused = post(&rig, &[("content-type", "application/cloudevents-batch+json")], &batch).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"));
    assert_eq!(rig.seq(), before);
    let empty = post(&rig, &[("content-type", "application/cloudevents-batch+json")], "[]").await;
    assert_eq!(empty.body, json!({"status": "accepted", "events": [], "count": 0}));
    rig.stop().await;
}

#[tokio::test]
async fn the_webhook_handshake_is_granted() {
    let rig = Rig::new().await;
    let reply = rig.send("OPTIONS", "/events", &[("webhook-request-origin", "events.example.com")], b"").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("webhook-allowed-origin"), "events.example.com");
    assert_eq!(reply.header("webhook-allowed-rate"), "*");
    rig.stop().await;
}
