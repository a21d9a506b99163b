//! The log: queried, verified, redacted, exported, imported.

use serde_json::{Value, json};

use crate::rig::Rig;

fn types(reply: &crate::rig::Reply) -> Vec<&str> {
    reply.body["data"].as_array().expect("a list").iter().filter_map(|e| e["type"].as_str()).collect()
}

/// N-027
#[tokio::test]
async fn events_are_found_by_type_source_correlation_and_page_by_page() {
    let rig = Rig::new().await;
    for topic in ["order.created", "order.paid", "user.created"] {
        rig.publish(topic, "{\"n\":1}").await;
    }
    let get = |query: &'static str| rig.api("GET", query, Value::Null);
    let exact = get("/api/v1/events?type=ORDER_PAID,user.created").await;
    assert_eq!(types(&exact), ["order.paid", "user.created"], "{}", exact.text);
    let event = &exact.body["data"][0];
    for field in ["id", "seq", "source", "time", "received", "priority", "correlation_id", "payload"] {
        assert!(!event[field].is_null(), "{field}: {event}");
    }
    assert_eq!(types(&get("/api/v1/events?type=order.*").await), ["order.created", "order.paid"]);
    assert_eq!(types(&get("/api/v1/events?source=test&order=desc&limit=1").await), ["user.created"]);
    let first = get("/api/v1/events?source=test&limit=2").await;
    let cursor = first.body["next_cursor"].as_str().expect("more");
    let second = rig.api("GET", &format!("/api/v1/events?source=test&limit=2&cursor={cursor}"), Value::Null).await;
    assert_eq!(types(&second), ["user.created"]);
    let id = event["id"].as_str().expect("an id");
    let by_correlation = rig.api("GET", &format!("/api/v1/events?correlation={id}"), Value::Null).await;
    assert_eq!(types(&by_correlation), ["order.paid"]);
    assert_eq!(rig.api("GET", "/api/v1/events/nope", Value::Null).await.refusal(), (404, "NOT_FOUND"));
    rig.stop().await;
}

#[tokio::test]
async fn the_log_verifies_also_after_a_redaction() {
    let rig = Rig::new().await;
    let event = rig.publish("user.created", "{\"name\":\"someone\"}").await;
    let checkpoint = rig.api("GET", "/api/v1/log/checkpoint", Value::Null).await.body["data"].clone();
    let redact = json!({"event_id": event.id.to_string(), "reason": "asked"});
    let redacted = rig.api("POST", "/api/v1/log/redact", redact).await;
    assert_eq!((redacted.status.as_u16(), &redacted.body["data"]), (200, &json!({"redacted": 1})), "{}", redacted.text);
    let shown = rig.api("GET", &format!("/api/v1/events/{}", event.id), Value::Null).await;
    assert_eq!((&shown.body["data"]["erased"], &shown.body["data"]["payload"]), (&json!(true), &Value::Null));
    let report = rig.api("POST", "/api/v1/log/verify", json!({"against": checkpoint})).await;
    assert_eq!((report.status.as_u16(), &report.body["data"]["ok"]), (200, &json!(true)), "{}", report.text);
    let head = rig.api("GET", "/api/v1/log", Value::Null).await;
    assert_eq!(head.body["data"]["seq"], rig.seq());
    rig.stop().await;
}

#[tokio::test]
async fn an_export_can_be_imported_elsewhere_and_twice() {
    let rig = Rig::new().await;
    for n in 0..5 {
        rig.publish("order.created", &n.to_string()).await;
    }
    let export = rig.api("GET", "/api/v1/log/export", Value::Null).await;
    assert_eq!((export.status.as_u16(), export.header("content-type")), (200, "application/x-ndjson"));
    let lines = export.text.lines().count() as u64;
    assert_eq!(lines, rig.seq());
    let limited = rig.api("GET", "/api/v1/log/export?after=1&limit=2", Value::Null).await;
    assert_eq!(limited.text.lines().count(), 2);
    let other = Rig::new().await;
    let bearer = format!("Bearer {}", other.admin);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-ndjson")];
    let first = other.send("POST", "/api/v1/log/import", &headers, export.text.as_bytes()).await;
    assert_eq!((first.status.as_u16(), &first.body["data"]["stored"]), (200, &json!(lines)), "{}", first.text);
    let again = other.send("POST", "/api/v1/log/import", &headers, export.text.as_bytes()).await;
    assert_eq!(again.body["data"]["repeated"], json!(lines), "{}", again.text);
    let wrong = other.send("POST", "/api/v1/log/import", &headers, b"{}\n").await;
    assert_eq!(wrong.refusal(), (400, "MALFORMED"));
    assert!(wrong.body["message"].as_str().is_some_and(|m| m.starts_with("line 1")));
    other.stop().await;
    rig.stop().await;
}
