//! `POST /events`: signatures, sources, permissions, vocabularies, schemas, repeats.

use nexus_core::{store::EventQuery, topic::TopicFilter};
use serde_json::{Value, json};

use crate::rig::{Rig, sign};

const PAID: &str = r#"{"event":"PAYMENT_RECEIVED","payload":{"transactionId":"t1","amount":100}}"#;

async fn stored(rig: &Rig, topic: &str) -> Vec<std::sync::Arc<nexus_core::event::StoredEvent>> {
    let query = EventQuery { types: vec![topic.into()], ..EventQuery::default() };
    rig.hub.query(query, 100).await.expect("read").events
}

/// N-001
#[tokio::test]
async fn a_signed_event_is_stored_and_answered_with_its_place() {
    let rig = Rig::new().await;
    rig.source("pay", "s3cret", &[]).await;
    let reply = rig.signed("/events", "s3cret", PAID).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let event = &stored(&rig, "payment.received").await[0];
    assert_eq!(
        reply.body,
        json!({"status": "accepted", "event": "PAYMENT_RECEIVED", "id": event.id.to_string(), "seq": event.seq})
    );
    assert_eq!(&*event.source, "pay");
    assert_eq!(event.json(), br#"{"transactionId":"t1","amount":100}"#);
    assert_eq!(reply.header("content-type"), "application/json");
    assert!(!reply.header("x-request-id").is_empty());
    rig.stop().await;
}

/// N-002
#[tokio::test]
async fn a_wrong_or_missing_signature_is_refused_counted_and_nothing_is_stored() {
    let rig = Rig::new().await;
    rig.source("pay", "s3cret", &[]).await;
    let before = rig.seq();
    let good = sign("s3cret", PAID.as_bytes());
    let changed = PAID.replace("100", "900");
    for (signature, body) in [
        (None, PAID),
        (Some(sign("wrong", PAID.as_bytes())), PAID),
        (Some(good.clone()), changed.as_str()),
        (Some("not hex".to_owned()), PAID),
        (Some(good[..62].to_owned()), PAID),
    ] {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(signature.as_deref().map(|s| ("x-nexus-signature", s)));
        let reply = rig.send("POST", "/events", &headers, body.as_bytes()).await;
        assert_eq!(reply.refusal(), (401, "UNAUTHENTICATED"), "{}", reply.text);
        assert_eq!(reply.header("content-type"), "application/problem+json");
    }
    assert_eq!(rig.seq(), before);
    let metrics = rig.metrics().await;
    assert_eq!(metrics[r#"nexus_refused_requests_total{reason="UNAUTHENTICATED"}"#], 5.0);
    rig.stop().await;
}

/// N-003
#[tokio::test]
async fn the_signature_of_openssl_is_accepted_with_and_without_its_prefix() {
    let rig = Rig::new().await;
    rig.source_of(json!({"id": "x", "secrets": ["s"], "mapping": "{event: \"a.b\", payload: .}"})).await;
    // printf '%s' '{"a":1}' | openssl dgst -sha256 -hmac s -r
    let made = "37beaf650f70b40ec9706929c2e9d835cbd63729988f48781e6383a147215f07";
    for signature in [made.to_owned(), format!("sha256={made}")] {
        let headers = [("x-nexus-signature", signature.as_str())];
        let reply = rig.send("POST", "/events", &headers, br#"{"a":1}"#).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let spaced = rig.send("POST", "/events", &[("x-nexus-signature", made)], br#"{"a": 1}"#).await;
    assert_eq!(spaced.refusal(), (401, "UNAUTHENTICATED"));
    rig.stop().await;
}

#[tokio::test]
async fn a_timestamp_is_signed_with_the_body_and_must_be_near() {
    let rig = Rig::new().await;
    rig.source("pay", "s3cret", &[]).await;
    let now = rig.hub.clock().now().secs();
    for (at, status) in [(now, 200), (now - 299, 200), (now - 310, 401), (now + 310, 401)] {
        let (at, signature) = (at.to_string(), sign("s3cret", format!("{at}.{PAID}").as_bytes()));
        let headers = [("x-nexus-signature", signature.as_str()), ("x-nexus-timestamp", at.as_str())];
        let reply = rig.send("POST", "/events", &headers, PAID.as_bytes()).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text);
    }
    let plain = sign("s3cret", PAID.as_bytes());
    let at = now.to_string();
    let headers = [("x-nexus-signature", plain.as_str()), ("x-nexus-timestamp", at.as_str())];
    assert_eq!(rig.send("POST", "/events", &headers, PAID.as_bytes()).await.status, 401);
    rig.stop().await;
}

#[tokio::test]
async fn the_source_is_named_or_the_first_that_verifies_and_may() {
    let rig = Rig::new().await;
    rig.source("alpha", "same", &["MINT_CONFIRMED"]).await;
    rig.source("beta", "same", &["PAYMENT_RECEIVED"]).await;
    assert_eq!(rig.signed("/events", "same", PAID).await.status, 200);
    assert_eq!(&*stored(&rig, "payment.received").await[0].source, "beta");
    let signature = sign("same", PAID.as_bytes());
    let named = |id: &'static str| vec![("x-nexus-signature", signature.clone()), ("x-nexus-source", id.to_owned())];
    for (id, status) in [("alpha", 403), ("beta", 200), ("gamma", 401)] {
        let headers = named(id);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let reply = rig.send("POST", "/events", &headers, PAID.as_bytes()).await;
        assert_eq!(reply.status.as_u16(), status, "{id}: {}", reply.text);
    }
    let other = r#"{"event":"other.thing","payload":1}"#;
    let refused = rig.signed("/events", "same", other).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"));
    assert!(refused.body["message"].as_str().is_some_and(|m| m.contains("alpha") && m.contains("MINT_CONFIRMED")));
    rig.stop().await;
}

/// N-026
#[tokio::test]
async fn permissions_take_effect_when_they_change() {
    let rig = Rig::new().await;
    rig.source_of(json!({"id": "works", "preset": "factory", "secrets": ["f"]})).await;
    assert_eq!(rig.signed("/events", "f", PAID).await.status, 200);
    let only = |name: &str| {
        let filters = vec![TopicFilter::parse(name).expect("a filter")];
        Some([("works".to_owned(), filters)].into_iter().collect())
    };
    rig.hub.sources().set_permissions(only("MINT_CONFIRMED"));
    let refused = rig.signed("/events", "f", PAID).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"));
    rig.hub.sources().set_permissions(only("PAYMENT_RECEIVED"));
    assert_eq!(rig.signed("/events", "f", PAID).await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn a_closed_vocabulary_lists_what_it_knows() {
    let rig = Rig::new().await;
    rig.source_of(json!({"id": "shop", "secrets": ["c"], "closed": true, "allow": ["order.created", "payment.*"]}))
        .await;
    let refused = rig.signed("/events", "c", r#"{"event":"ORDER_SHIPPED","payload":{}}"#).await;
    assert_eq!(refused.refusal(), (400, "UNKNOWN_EVENT"));
    let message = refused.body["message"].as_str().expect("a message");
    assert!(message.contains("order.created") && message.contains("PAYMENT_RECEIVED"), "{message}");
    assert_eq!(rig.signed("/events", "c", r#"{"event":"ORDER_CREATED","payload":{}}"#).await.status, 200);
    assert_eq!(rig.signed("/events", "c", PAID).await.status, 200);
    rig.stop().await;
}

/// S-131
#[tokio::test]
async fn a_payload_that_breaks_its_schema_is_refused_with_the_path_or_kept_and_flagged() {
    let rig = Rig::new().await;
    let schema =
        json!({"type": "object", "properties": {"amount": {"type": "number", "minimum": 0}}, "required": ["amount"]});
    let source = |id: &str, on: &str| json!({"id": id, "secrets": [id], "schemas": {"PAYMENT_RECEIVED": schema}, "on_violation": on});
    rig.source_of(source("strict", "refuse")).await;
    rig.source_of(source("lenient", "flag")).await;
    let wrong = r#"{"event":"PAYMENT_RECEIVED","payload":{"amount":"secret words"}}"#;
    let refused = rig.signed("/events", "strict", wrong).await;
    assert_eq!(refused.refusal(), (422, "INVALID"));
    assert!(refused.body["details"]["/amount"].is_string(), "{}", refused.text);
    assert!(!refused.text.contains("secret words"), "the value may be a person's");
    assert!(stored(&rig, "payment.received").await.is_empty());
    assert_eq!(
        rig.signed("/events", "strict", r#"{"event":"PAYMENT_RECEIVED","payload":{"amount":5}}"#).await.status,
        200
    );
    assert_eq!(rig.signed("/events", "lenient", wrong).await.status, 200);
    let kept = stored(&rig, "payment.received").await;
    let flags: Vec<Option<String>> = kept.iter().map(|e| e.attributes().schema_violation).collect();
    assert!(matches!(flags.as_slice(), [None, Some(why)] if why.starts_with("/amount")), "{flags:?}");
    rig.stop().await;
}

#[tokio::test]
async fn a_repeat_is_answered_the_same_and_stored_once() {
    let rig = Rig::new().await;
    rig.source("pay", "s", &[]).await;
    let with_id = r#"{"event":"PAYMENT_RECEIVED","payload":{"n":1},"id":"evt-1"}"#;
    let first = rig.signed("/events", "s", with_id).await;
    let again = rig.signed("/events", "s", with_id).await;
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!(first.body, again.body);
    // A producer's own id keeps the first body.
    let other = with_id.replace("\"n\":1", "\"n\":2");
    assert_eq!(rig.signed("/events", "s", &other).await.body, first.body);
    let signature = sign("s", PAID.as_bytes());
    let headers = [("x-nexus-signature", signature.as_str()), ("idempotency-key", "k-1")];
    let one = rig.send("POST", "/events", &headers, PAID.as_bytes()).await;
    let two = rig.send("POST", "/events", &headers, PAID.as_bytes()).await;
    assert_eq!((one.status.as_u16(), &one.body, two.header("idempotency-replayed")), (200, &two.body, "true"));
    let reused = r#"{"event":"PAYMENT_RECEIVED","payload":{"n":3}}"#;
    let signature = sign("s", reused.as_bytes());
    let headers = [("x-nexus-signature", signature.as_str()), ("idempotency-key", "k-1")];
    let refused = rig.send("POST", "/events", &headers, reused.as_bytes()).await;
    assert_eq!(refused.refusal(), (409, "IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(stored(&rig, "payment.received").await.len(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn correlation_cause_depth_and_trace_come_with_the_headers() {
    let rig = Rig::new().await;
    rig.source("pay", "s", &[]).await;
    let cause = rig.publish("a.cause", "{}").await;
    let signature = sign("s", PAID.as_bytes());
    let (cause_id, trace) = (cause.id.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let headers = [
        ("x-nexus-signature", signature.as_str()),
        ("x-correlation-id", "order-7"),
        ("x-causation-id", cause_id.as_str()),
        ("x-nexus-depth", "3"),
        ("traceparent", trace),
    ];
    assert_eq!(rig.send("POST", "/events", &headers, PAID.as_bytes()).await.status, 200);
    let event = &stored(&rig, "payment.received").await[0];
    assert_eq!((event.correlation.as_deref(), event.causation, event.depth), (Some("order-7"), Some(cause.id), 3));
    assert_eq!(event.attributes().traceparent.as_deref(), Some(trace));
    for (name, value) in [("x-causation-id", "nope"), ("x-nexus-depth", "-1"), ("x-correlation-id", "")] {
        let headers = [("x-nexus-signature", signature.as_str()), (name, value)];
        let reply = rig.send("POST", "/events", &headers, PAID.as_bytes()).await;
        assert_eq!(reply.refusal(), (400, "MALFORMED"), "{name}: {}", reply.text);
    }
    let headers = [("x-nexus-signature", signature.as_str()), ("x-causation-id", cause_id.as_str())];
    let reply = rig.send("POST", "/events", &headers, PAID.as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let event = &stored(&rig, "payment.received").await[1];
    assert_eq!((event.correlation.as_deref(), event.depth), (Some(cause_id.as_str()), 1));
    let headers = [("x-nexus-signature", signature.as_str()), ("x-nexus-depth", "200")];
    let looped = rig.send("POST", "/events", &headers, PAID.as_bytes()).await;
    assert_eq!(looped.refusal(), (409, "CONFLICT"), "{}", looped.text);
    rig.stop().await;
}

/// X-011
#[tokio::test]
async fn each_door_takes_its_own_proof_only_and_both_write_one_log() {
    let rig = Rig::new().await;
    rig.source("pay", "s", &[]).await;
    let bearer = format!("Bearer {}", rig.admin);
    let crossed = rig.send("POST", "/events", &[("authorization", bearer.as_str())], PAID.as_bytes()).await;
    assert_eq!(crossed.refusal(), (401, "UNAUTHENTICATED"));
    let body = r#"{"payload":{"n":1}}"#;
    assert_eq!(rig.signed("/events/payment.received", "s", body).await.refusal(), (401, "UNAUTHENTICATED"));
    let signed = rig.signed("/events", "s", PAID).await;
    let published = rig.api("POST", "/events/payment.received", json!({"payload": {"n": 1}})).await;
    assert_eq!((signed.status.as_u16(), published.status.as_u16()), (200, 200));
    let (first, second) = (signed.body["seq"].as_u64(), published.body["seq"].as_u64());
    assert_eq!(first.map(|n| n + 1), second);
    rig.stop().await;
}

/// C-023
#[tokio::test]
async fn publishing_answers_with_the_message_id_and_normal_is_the_default() {
    let rig = Rig::new().await;
    let reply = rig.api("POST", "/events/USER_CREATED", json!({"payload": {"n": 1}})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let event = &stored(&rig, "user.created").await[0];
    assert_eq!(reply.body, json!({"message_id": event.id.to_string(), "topic": "USER_CREATED", "seq": event.seq}));
    assert_eq!(event.priority.as_str(), "NORMAL");
    for (priority, name) in [(json!(3), "CRITICAL"), (json!("LOW"), "LOW"), (json!("high"), "HIGH")] {
        let body = json!({"payload": 1, "priority": priority});
        let reply = rig.api("POST", "/events/other.topic", body).await;
        let seq = reply.body["seq"].as_u64().expect("a seq");
        let found = stored(&rig, "other.topic").await;
        assert_eq!(found.iter().find(|e| e.seq == seq).map(|e| e.priority.as_str()), Some(name));
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_narrow_token_publishes_its_topics_only() {
    let rig = Rig::new().await;
    let token = rig.token("narrow", &["events:publish:order.*"]).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let body = br#"{"payload":{}}"#;
    assert_eq!(rig.send("POST", "/events/order.created", &headers, body).await.status, 200);
    let refused = rig.send("POST", "/events/user.created", &headers, body).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"));
    assert!(refused.body["message"].as_str().is_some_and(|m| m.contains("events:publish")));
    assert_eq!(rig.send("GET", "/api/v1/events", &headers, b"").await.refusal(), (403, "FORBIDDEN"));
    assert_eq!(refused.body["error"]["code"], Value::from("FORBIDDEN"));
    rig.stop().await;
}
