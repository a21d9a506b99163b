//! Administration: sources, subscriptions, deliveries, replays, secrets.

use serde_json::{Value, json};

use crate::rig::{Rig, within};

/// The fate of an event, once its verdict is this.
pub(crate) async fn fate(rig: &Rig, id: &str, verdict: &str) -> Value {
    within(async {
        loop {
            let reply = rig.api("GET", &format!("/api/v1/events/{id}/fate"), Value::Null).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            if reply.body["data"]["verdict"] == verdict {
                return reply.body["data"].clone();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_source_is_made_changed_rotated_and_removed() {
    let rig = Rig::new().await;
    let made = rig.api("POST", "/api/v1/sources", json!({"id": "shop", "allow": ["order.*"]})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let secret = made.body["data"]["secret"].as_str().expect("shown once").to_owned();
    assert!(made.body["data"]["created_at"].as_str().is_some_and(|t| t.ends_with('Z')));
    let event = r#"{"event":"order.created","payload":{}}"#;
    assert_eq!(rig.signed("/events", &secret, event).await.status, 200);
    assert_eq!(rig.api("POST", "/api/v1/sources", json!({"id": "shop"})).await.refusal(), (409, "CONFLICT"));
    let shown = rig.api("GET", "/api/v1/sources/shop", Value::Null).await;
    assert!(!shown.text.contains(&secret));
    let added = rig.api("POST", "/api/v1/sources/shop/secrets", json!({"overlap_seconds": 60})).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let newer = added.body["data"]["secret"].as_str().expect("shown once").to_owned();
    for secret in [&secret, &newer] {
        assert_eq!(rig.signed("/events", secret, event).await.status, 200);
    }
    let name = added.body["data"]["secrets"][1]["name"].as_str().expect("a name").replace('/', "%2F");
    let gone = rig.api("DELETE", &format!("/api/v1/sources/shop/secrets/{name}"), Value::Null).await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    assert_eq!(rig.signed("/events", &secret, event).await.status, 401);
    let off = rig.api("PATCH", "/api/v1/sources/shop", json!({"enabled": false})).await;
    assert_eq!((off.status.as_u16(), &off.body["data"]["enabled"]), (200, &json!(false)));
    assert_eq!(rig.signed("/events", &newer, event).await.status, 401);
    assert_eq!(rig.api("GET", "/api/v1/sources", Value::Null).await.body["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(rig.api("DELETE", "/api/v1/sources/shop", Value::Null).await.status, 200);
    assert_eq!(rig.api("GET", "/api/v1/sources/shop", Value::Null).await.status, 404);
    rig.stop().await;
}

#[tokio::test]
async fn what_a_dead_endpoint_leaves_is_seen_redriven_and_given_up() {
    let rig = Rig::new().await;
    let body =
        json!({"name": "broken", "filter": "order.*", "url": "http://127.0.0.1:1/", "max_attempts": 1, "retry": "1s"});
    let made = rig.api("POST", "/api/v1/subscriptions", body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(made.body["data"]["secret"].is_string());
    let shown = rig.api("GET", "/api/v1/subscriptions/broken", Value::Null).await;
    assert_eq!((&shown.body["data"]["secret"], &shown.body["data"]["signed"]), (&Value::Null, &json!(true)));
    let sent = rig.api("POST", "/events/order.created", json!({"payload": {}})).await;
    let id = sent.body["message_id"].as_str().expect("an id").to_owned();
    let told = fate(&rig, &id, "dead").await;
    assert_eq!(told["event_id"], id.as_str());
    let dead = rig.api("GET", "/api/v1/dead-letters?subscription=broken", Value::Null).await;
    let letter = dead.body["data"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(dead.body["data"][0]["event_id"], id.as_str());
    assert_eq!(dead.body["next_cursor"], Value::Null);
    let one = rig.api("GET", &format!("/api/v1/dead-letters/{letter}"), Value::Null).await;
    assert_eq!(one.body["data"]["attempts"].as_array().map(Vec::len), Some(1), "{}", one.text);
    let status = rig.api("GET", "/api/v1/subscriptions/broken/status", Value::Null).await;
    assert_eq!(status.body["data"]["dead"], 1, "{}", status.text);
    let redriven = rig.api("POST", "/api/v1/dead-letters/redrive", json!({"subscription": "broken"})).await;
    assert_eq!(redriven.body["data"], json!({"redriven": 1}), "{}", redriven.text);
    fate(&rig, &id, "dead").await;
    let test = rig.api("POST", "/api/v1/subscriptions/broken/test", json!({"payload": {"n": 1}})).await;
    assert_eq!((test.status.as_u16(), test.body["data"]["error"].is_string()), (200, true), "{}", test.text);
    let deleted = rig.api("DELETE", "/api/v1/dead-letters?all=true", Value::Null).await;
    assert_eq!(deleted.body["data"], json!({"deleted": 1}), "{}", deleted.text);
    let paused = rig.api("POST", "/api/v1/subscriptions/broken/pause", json!({"reason": "tired"})).await;
    assert_eq!(paused.body["data"]["activity"]["state"], "paused");
    assert_eq!(rig.api("POST", "/api/v1/subscriptions/broken/resume", Value::Null).await.status, 200);
    assert_eq!(rig.api("GET", "/api/v1/endpoints", Value::Null).await.body["data"].as_array().map(Vec::len), Some(1));
    let patched = rig.api("PATCH", "/api/v1/subscriptions/broken", json!({"max_attempts": 3})).await;
    assert_eq!(patched.body["data"]["max_attempts"], 3, "{}", patched.text);
    assert_eq!(rig.api("DELETE", "/api/v1/subscriptions/broken", Value::Null).await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn a_replay_is_counted_first_and_then_run() {
    let rig = Rig::new().await;
    let body = json!({"name": "s", "filter": "order.*", "url": "http://127.0.0.1:1/", "max_attempts": 1});
    assert_eq!(rig.api("POST", "/api/v1/subscriptions", body).await.status, 201);
    for _ in 0..3 {
        rig.publish("order.created", "{}").await;
    }
    let dry = rig.api("POST", "/api/v1/replays", json!({"subscription": "s", "from": 1, "dry_run": true})).await;
    assert_eq!((dry.status.as_u16(), &dry.body["data"]["events"]), (200, &json!(3)), "{}", dry.text);
    let run = rig.api("POST", "/api/v1/replays", json!({"subscription": "s", "from": 1})).await;
    assert_eq!(run.status, 201, "{}", run.text);
    let id = run.body["data"]["id"].as_u64().expect("an id");
    assert_eq!(rig.api("GET", &format!("/api/v1/replays/{id}"), Value::Null).await.status, 200);
    assert_eq!(rig.api("GET", "/api/v1/replays", Value::Null).await.body["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(rig.api("GET", "/api/v1/replays/999", Value::Null).await.refusal(), (404, "NOT_FOUND"));
    assert_eq!(rig.api("GET", "/api/v1/replays/x", Value::Null).await.refusal(), (404, "NOT_FOUND"));
    rig.stop().await;
}

#[tokio::test]
async fn a_token_without_the_scope_names_no_private_endpoint() {
    let rig = Rig::new().await;
    let token = rig.token("limited", &["subscriptions:write"]).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = br#"{"name":"x","filter":"a.b","url":"http://127.0.0.1:9/"}"#;
    let refused = rig.send("POST", "/api/v1/subscriptions", &headers, body).await;
    assert!(matches!(refused.status.as_u16(), 403 | 422), "{}", refused.text);
    assert!(refused.text.contains("endpoints:private"), "{}", refused.text);
    rig.stop().await;
}

#[tokio::test]
async fn secrets_are_set_listed_by_name_and_removed() {
    let rig = Rig::new().await;
    let set = rig.api("PUT", "/api/v1/secrets/FACTORY_API_KEY", json!({"value": "very-secret"})).await;
    assert_eq!(set.status, 200, "{}", set.text);
    let names = rig.api("GET", "/api/v1/secrets", Value::Null).await;
    assert_eq!(names.body["data"], json!(["FACTORY_API_KEY"]), "{}", names.text);
    assert_eq!(rig.api("DELETE", "/api/v1/secrets/FACTORY_API_KEY", Value::Null).await.status, 200);
    assert_eq!(rig.api("DELETE", "/api/v1/secrets/FACTORY_API_KEY", Value::Null).await.status, 404);
    rig.stop().await;
}
