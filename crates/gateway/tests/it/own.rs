//! What only the hub may say, at every door by which others publish.

use serde_json::{Value, json};

use crate::rig::{Rig, sign};

/// Names that a publisher would like to borrow, in the forms in which it may try.
const OWN: [&str; 9] = [
    "audit.token.revoked",
    "token.created",
    "TOKEN_REVOKED",
    "service.status_changed",
    "subscription.gap",
    "system.health",
    "log.redacted",
    "error.escalation",
    "state.changed",
];

#[tokio::test]
async fn no_token_states_a_fact_about_the_hub() {
    let rig = Rig::new().await;
    let seq = {
        let clerk = rig.token("clerk", &["events:publish", "events:read"]).await;
        let bearer = format!("Bearer {clerk}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let seq = rig.seq();
        for name in OWN {
            let refused = rig.send("POST", &format!("/events/{name}"), &headers, br#"{"payload":{}}"#).await;
            assert_eq!(refused.refusal(), (403, "FORBIDDEN"), "{name}: {}", refused.text);
            assert!(refused.text.contains("is said by the hub alone"), "{}", refused.text);
        }
        let mut socket = rig.socket_of("/ws", &clerk).await;
        for name in OWN {
            let refused = socket.ask(&json!({"type": "publish", "topic": name, "payload": 1})).await;
            assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("FORBIDDEN")), "{refused}");
        }
        seq
    };
    // Nor does an admin.
    for name in OWN {
        let query = format!(r#"mutation{{publishEvent(topic:"{name}",payload:"1"){{success}}}}"#);
        let refused = rig.graphql(&query).await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{refused}");
    }
    assert_eq!(rig.seq(), seq, "nothing was stored");
    for free in ["system.alert", "system.started", "error.seen", "lead.captured", "token.minted"] {
        let stored = rig.api("POST", &format!("/events/{free}"), json!({"payload": 1})).await;
        assert_eq!(stored.status, 200, "{free}: {}", stored.text);
        let shown = rig.api("GET", &format!("/api/v1/events?type={free}"), Value::Null).await;
        assert_eq!(shown.body["data"][0]["source"], "token:admin", "{}", shown.text);
    }
    rig.stop().await;
}

#[tokio::test]
async fn no_source_states_a_fact_about_the_hub_neither_signed_nor_mapped_nor_in_a_batch() {
    let rig = Rig::new().await;
    rig.source("pay", "s3cret-s3cret-s3cret", &[]).await;
    let mapping = r"{event: .kind, payload: .}";
    let own = json!({"id": "shop", "preset": "nexus", "secrets": ["other-other-other"], "mapping": mapping});
    rig.source_of(own).await;
    let seq = rig.seq();
    for name in OWN {
        let body = json!({"event": name, "payload": {}}).to_string();
        let refused = rig.signed("/events", "s3cret-s3cret-s3cret", &body).await;
        assert_eq!(refused.refusal(), (403, "FORBIDDEN"), "{name}: {}", refused.text);
        let body = json!({"kind": name}).to_string();
        let refused = rig.signed("/webhook/shop", "other-other-other", &body).await;
        assert_eq!(refused.refusal(), (403, "FORBIDDEN"), "{name}: {}", refused.text);
    }
    let event = |kind: &str| json!({"specversion": "1.0", "id": kind, "source": "/x", "type": kind, "data": 1});
    let batch = json!([event("order.created"), event("audit.token.revoked")]).to_string();
    let signature = sign("s3cret-s3cret-s3cret", batch.as_bytes());
    let headers = [
        ("content-type", "application/cloudevents-batch+json"),
        ("x-nexus-signature", signature.as_str()),
        ("x-nexus-source", "pay"),
    ];
    let refused = rig.send("POST", "/events", &headers, batch.as_bytes()).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"), "{}", refused.text);
    assert_eq!(rig.seq(), seq, "nothing was stored");
    rig.stop().await;
}

#[tokio::test]
async fn no_flow_states_a_fact_about_the_hub_however_late_it_is_known() {
    let rig = Rig::new().await;
    let flow = |name: &str, task: Value| {
        let document = json!({"dsl": "1.0.3", "namespace": "main", "name": name, "version": "1.0.0"});
        json!({"document": document, "do": [{"say": task}]})
    };
    let emit =
        |kind: &str| json!({"emit": {"event": {"with": {"source": "https://shop.example", "type": kind, "data": {}}}}});
    let publish = |kind: &str| json!({"call": "publish:1.0.0@default", "with": {"type": kind, "data": {}}});
    for task in [emit("audit.token.revoked"), publish("token.revoked")] {
        let refused = rig.api("POST", "/api/v1/flows", flow("plain", task)).await;
        assert_eq!(refused.refusal(), (403, "FORBIDDEN"), "{}", refused.text);
        assert!(refused.text.contains("is said by the hub alone"), "{}", refused.text);
    }
    for (name, task) in [("emits", emit("${ .kind }")), ("publishes", publish("${ .kind }"))] {
        let made = rig.api("POST", "/api/v1/flows", flow(name, task)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let path = format!("/api/v1/flows/main/{name}/runs?wait=60s");
        let run = rig.api("POST", &path, json!({"input": {"kind": "service.registered"}})).await;
        let id = run.body["data"]["id"].as_str().expect("an id").to_owned();
        let run = crate::rig::within(async {
            loop {
                let shown = rig.api("GET", &format!("/api/v1/runs/{id}"), Value::Null).await;
                if shown.body["data"]["status"] == "faulted" {
                    return shown;
                }
                assert_ne!(shown.body["data"]["status"], "completed", "{}", shown.text);
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(run.text.contains("is said by the hub alone"), "{}", run.text);
    }
    let said = rig.api("GET", "/api/v1/events?type=service.registered", Value::Null).await;
    assert_eq!(said.body["data"], json!([]), "{}", said.text);
    rig.stop().await;
}
