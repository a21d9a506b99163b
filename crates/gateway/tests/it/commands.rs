//! `POST /api/v1/commands`: the envelope, one effect per correlation id, refusals.

use serde_json::{Value, json};

use crate::rig::{Reply, Rig};

async fn send(rig: &Rig, kind: &str, correlation: &str, payload: Value) -> Reply {
    let body =
        json!({"type": kind, "payload": payload, "correlationId": correlation, "timestamp": "2026-01-02T03:04:05Z"});
    rig.api("POST", "/api/v1/commands", body).await
}

/// K-007, K-005, K-006, K-011
#[tokio::test]
async fn a_command_is_taken_and_what_is_no_command_is_refused() {
    let rig = Rig::new().await;
    let done = send(&rig, "token.create", "c1", json!({"name": "ci", "scopes": ["events:read"]})).await;
    assert_eq!((done.status.as_u16(), &done.body["success"], &done.body["error"]), (200, &json!(true), &Value::Null));
    assert!(done.body["data"]["token"].as_str().is_some_and(|t| t.starts_with("nxs_")), "{}", done.text);
    let at = done.body["timestamp"].as_str().expect("a time");
    assert!(nexus_core::time::Timestamp::parse(at).is_some());
    let missing = rig.api("POST", "/api/v1/commands", json!({"payload": {}})).await;
    assert_eq!(missing.refusal(), (422, "INVALID"));
    assert_eq!(missing.body["retryable"], false);
    assert!(missing.body["details"]["type"].is_string() && missing.body["details"]["correlationId"].is_string());
    for one in
        [json!({"type": "token.create"}), json!({"correlationId": "c"}), json!({"type": 7, "correlationId": "c"})]
    {
        assert_eq!(rig.api("POST", "/api/v1/commands", one).await.refusal(), (422, "INVALID"));
    }
    let unknown = send(&rig, "lead.fly", "c2", json!({})).await;
    assert_eq!(unknown.refusal(), (400, "UNKNOWN_COMMAND"));
    assert_eq!(unknown.body["retryable"], false);
    let types = unknown.body["details"]["types"].as_array().expect("the list");
    for known in ["token.create", "token.rotate", "token.revoke"] {
        assert!(types.contains(&json!(known)), "{types:?}");
    }
    let wrong = send(&rig, "token.create", "c3", json!({"name": "ci", "scopes": ["nonsense"]})).await;
    assert_eq!(wrong.refusal(), (422, "INVALID"), "{}", wrong.text);
    for payload in [json!([]), json!({"name": 7}), json!({"tokenId": {}}), json!({"name": "A b", "scopes": ["admin"]})]
    {
        for kind in ["token.create", "token.rotate", "token.revoke"] {
            assert_eq!(send(&rig, kind, "c4", payload.clone()).await.status, 422, "{kind} {payload}");
        }
    }
    assert_eq!(send(&rig, "token.revoke", "c5", json!({"tokenId": "tok_none"})).await.refusal(), (404, "NOT_FOUND"));
    let long = "c".repeat(257);
    assert_eq!(send(&rig, "token.revoke", &long, json!({"tokenId": "x"})).await.refusal(), (422, "INVALID"));
    rig.stop().await;
}

/// K-002, K-003, K-001
#[tokio::test]
async fn the_envelope_is_json_and_proved() {
    let rig = Rig::new().await;
    let bearer = format!("Bearer {}", rig.admin);
    let body = br#"{"type":"token.revoke","payload":{"tokenId":"x"},"correlationId":"c"}"#;
    for kind in [Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/xml"), None] {
        let mut headers = vec![("authorization", bearer.as_str()), ("x-request-id", "req-7")];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        let refused = rig.send("POST", "/api/v1/commands", &headers, body).await;
        assert_eq!(refused.refusal(), (415, "UNSUPPORTED_MEDIA_TYPE"), "{kind:?}");
        assert_eq!((refused.body["requestId"].as_str(), refused.header("x-request-id")), (Some("req-7"), "req-7"));
    }
    let made = rig.send("POST", "/api/v1/commands", &[("content-type", "application/json")], body).await;
    assert_eq!(made.refusal(), (401, "UNAUTHENTICATED"));
    assert!(made.body["requestId"].as_str().is_some_and(|id| !id.is_empty()), "one is made");
    let blind = rig.token("blind", &["events:read"]).await;
    let bearer = format!("Bearer {blind}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let refused = rig.send("POST", "/api/v1/commands", &headers, body).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"));
    assert!(refused.text.contains("commands"));
    rig.stop().await;
}

#[tokio::test]
async fn a_token_rotates_and_revokes_itself_without_a_scope_and_nothing_else() {
    let rig = Rig::new().await;
    let by = async |token: &str, kind: &str, payload: Value| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = json!({"type": kind, "payload": payload, "correlationId": format!("{kind} {payload}")});
        rig.send("POST", "/api/v1/commands", &headers, body.to_string().as_bytes()).await
    };
    let token = rig.token("ci", &["events:read"]).await;
    let other = rig.token("other", &["events:read"]).await;
    let id = |name: &str| rig.hub.tokens().list().iter().find(|t| t.name == name).expect("there").id.clone();
    let (own, others) = (id("ci"), id("other"));
    for (kind, payload) in [
        ("token.rotate", json!({"tokenId": others})),
        ("token.revoke", json!({"tokenId": others})),
        ("token.rotate", json!({"tokenId": [own]})),
        ("token.rotate", json!({"id": own})),
        ("token.create", json!({"tokenId": own, "name": "x", "scopes": ["events:read"]})),
        ("lead.fly", json!({"tokenId": own})),
    ] {
        let refused = by(&token, kind, payload.clone()).await;
        assert_eq!(refused.refusal(), (403, "FORBIDDEN"), "{kind} {payload}: {}", refused.text);
        assert!(refused.text.contains("lacks the scope commands"), "{}", refused.text);
    }
    let wrong = by(&token, "token.rotate", json!({"tokenId": own, "graceSeconds": 2_592_001})).await;
    assert_eq!(wrong.refusal(), (422, "INVALID"), "{}", wrong.text);
    let range = "must be a whole number of seconds from 0 to 2592000 (30 days), not 2592001";
    assert_eq!(wrong.body["details"]["payload.graceSeconds"], range, "{}", wrong.text);
    let rotated = by(&token, "token.rotate", json!({"tokenId": own, "graceSeconds": 600})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let again = by(&token, "token.rotate", json!({"tokenId": own, "graceSeconds": 600})).await;
    assert_eq!((again.status.as_u16(), &again.body["data"]), (200, &rotated.body["data"]), "once, however often");
    let next = rotated.body["data"]["token"].as_str().expect("shown once").to_owned();
    let next_id = rotated.body["data"]["id"].as_str().expect("an id").to_owned();
    let revoked = by(&next, "token.revoke", json!({"tokenId": next_id})).await;
    assert_eq!(
        (revoked.status.as_u16(), &revoked.body["data"]["status"]),
        (200, &json!("revoked")),
        "{}",
        revoked.text
    );
    assert_eq!(by(&next, "token.revoke", json!({"tokenId": next_id})).await.status, 401);
    assert_eq!(by(&other, "token.revoke", json!({"tokenId": others})).await.status, 200);
    rig.stop().await;
}

/// K-010
#[tokio::test]
async fn the_same_id_and_body_have_one_effect_and_another_body_is_refused() {
    let rig = Rig::new().await;
    let payload = json!({"name": "ci", "scopes": ["events:read"]});
    let first = send(&rig, "token.create", "c1", payload.clone()).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let seq = rig.seq();
    let again = send(&rig, "token.create", "c1", payload.clone()).await;
    assert_eq!((again.status.as_u16(), &again.body["data"]), (200, &first.body["data"]), "the secret too");
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(rig.seq(), seq, "nothing was done");
    let other = send(&rig, "token.create", "c1", json!({"name": "ci2", "scopes": ["events:read"]})).await;
    assert_eq!(other.refusal(), (409, "IDEMPOTENCY_KEY_REUSED"));
    let other = send(&rig, "token.revoke", "c1", payload.clone()).await;
    assert_eq!(other.refusal(), (409, "IDEMPOTENCY_KEY_REUSED"), "another type: {}", other.text);
    // Another caller's ids are its own: it neither sees the answer nor is refused.
    let writer = rig.token("ci", &["commands", "tokens:write", "events:read"]).await;
    let bearer = format!("Bearer {writer}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = json!({"type": "token.create", "payload": payload, "correlationId": "c1"}).to_string();
    let own = rig.send("POST", "/api/v1/commands", &headers, body.as_bytes()).await;
    assert_eq!(own.status, 200, "{}", own.text);
    assert_ne!(own.body["data"]["token"], first.body["data"]["token"]);
    rig.stop().await;
}

/// On several threads: a repeat may come at any moment of the first one's work.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn asked_many_times_at_once_it_is_done_once() {
    let rig = Rig::new().await;
    let before = rig.hub.tokens().list().len();
    let payload = json!({"name": "ci", "scopes": ["events:read"]});
    for round in 1..=20 {
        let id = format!("c{round}");
        let asked = (0..20).map(|_| send(&rig, "token.create", &id, payload.clone()));
        let all = futures_util::future::join_all(asked).await;
        for reply in &all {
            assert_eq!((reply.status.as_u16(), &reply.body["data"]), (200, &all[0].body["data"]), "{}", reply.text);
        }
        assert_eq!(rig.hub.tokens().list().len(), before + round);
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_token_refreshes_itself_by_command_and_events_carry_the_correlation() {
    let rig = Rig::new().await;
    let made = rig.api("POST", "/api/v1/tokens", json!({"name": "ci", "scopes": ["commands", "events:read"]})).await;
    let field = |name: &str| made.body["data"][name].as_str().expect("a text").to_owned();
    let (id, token) = (field("id"), field("token"));
    let mut socket = rig.socket("/api/v1/events/ws").await;
    rig.publish("mark.here", "1").await;
    while socket.hear().await["type"] != "mark.here" {}
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let ask = |kind: &'static str, id: String| {
        let body = json!({"type": kind, "payload": {"tokenId": id}, "correlationId": format!("refresh-{kind}")});
        let (rig, headers) = (&rig, headers);
        async move { rig.send("POST", "/api/v1/commands", &headers, body.to_string().as_bytes()).await }
    };
    assert_eq!(ask("token.revoke", "tok_other".into()).await.refusal(), (403, "FORBIDDEN"));
    let first = ask("token.rotate", id.clone()).await;
    assert_eq!(first.status, 200, "{}", first.text);
    // The answer was lost; the old token asks again within its grace period and gets the same one.
    let again = ask("token.rotate", id).await;
    assert_eq!(again.body["data"], first.body["data"]);
    let mut types = Vec::new();
    while types.len() < 2 {
        let frame = socket.hear().await;
        assert_eq!(frame["correlationId"], "refresh-token.rotate", "{frame}");
        types.push(frame["type"].as_str().expect("a type").to_owned());
    }
    types.sort();
    assert_eq!(types, ["audit.token.rotated", "token.rotated"]);
    rig.stop().await;
}

#[tokio::test]
async fn a_command_is_forgotten_after_a_day_with_its_secret() {
    let rig = Rig::new().await;
    let payload = json!({"name": "ci", "scopes": ["events:read"]});
    let first = send(&rig, "token.create", "c1", payload.clone()).await;
    rig.clock.advance(std::time::Duration::from_secs(24 * 3_600 + 1));
    let later = send(&rig, "token.create", "c1", payload).await;
    assert_eq!(later.status, 200, "{}", later.text);
    assert_ne!(later.body["data"]["id"], first.body["data"]["id"], "a new day, a new token");
    rig.clock.advance(std::time::Duration::from_secs(24 * 3_600 + 1));
    rig.hub.commands().sweep().await.expect("swept");
    let left = rig
        .store
        .get(nexus_engine::Hub::collections().into_iter().find(|c| c.name == "secrets").expect("there"), "answer/");
    assert!(left.await.expect("read").is_none());
    rig.stop().await;
}
