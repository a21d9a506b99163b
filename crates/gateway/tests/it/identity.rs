//! Tokens, tickets, proofs of sockets, and the local developer.

use nexus_gateway::GatewayConfig;
use serde_json::{Value, json};

use crate::rig::{Rig, unlimited};

#[tokio::test]
async fn a_token_is_shown_once_and_ends_when_revoked() {
    let rig = Rig::new().await;
    let made = rig.api("POST", "/api/v1/tokens", json!({"name": "ci", "scopes": ["events:read"]})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let token = made.body["data"]["token"].as_str().expect("shown once").to_owned();
    assert!(token.starts_with("nxs_"));
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(rig.send("GET", "/api/v1/events", &headers, b"").await.status, 200);
    let id = made.body["data"]["id"].as_str().expect("an id");
    let shown = rig.api("GET", &format!("/api/v1/tokens/{id}"), Value::Null).await;
    assert_eq!((&shown.body["data"]["kind"], shown.text.contains(&token)), (&json!("api_token"), false));
    let revoked = rig.api("POST", &format!("/api/v1/tokens/{id}/revoke"), json!({"reason": "lost"})).await;
    assert_eq!((revoked.status.as_u16(), &revoked.body["data"]["status"]), (200, &json!("revoked")));
    assert_eq!(rig.send("GET", "/api/v1/events", &headers, b"").await.refusal(), (401, "UNAUTHENTICATED"));
    rig.stop().await;
}

#[tokio::test]
async fn a_token_gives_no_scope_that_its_maker_lacks() {
    let rig = Rig::new().await;
    let token = rig.token("maker", &["tokens:write", "events:read"]).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let ask = |scope: &'static str| json!({"name": "made", "scopes": [scope]}).to_string();
    let refused = rig.send("POST", "/api/v1/tokens", &headers, ask("admin").as_bytes()).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"));
    assert_eq!(rig.send("POST", "/api/v1/tokens", &headers, ask("events:read").as_bytes()).await.status, 201);
    rig.stop().await;
}

/// K-163
#[tokio::test]
async fn a_socket_without_proof_is_refused_and_each_proof_opens_it() {
    let rig = Rig::new().await;
    let reader = rig.token("reader", &["events:read"]).await;
    let blind = rig.token("blind", &["metrics:read"]).await;
    for path in ["/ws", "/api/v1/events/ws"] {
        assert_eq!(rig.refused_socket(path, &[]).await, 401);
        assert_eq!(rig.refused_socket(path, &[("authorization", "Bearer nxs_wrong")]).await, 401);
        assert_eq!(rig.refused_socket(&format!("{path}?token=nxs_wrong"), &[]).await, 401);
        assert_eq!(rig.refused_socket(&format!("{path}?ticket=nxt_wrong"), &[]).await, 401);
        assert_eq!(rig.refused_socket(&format!("{path}?token={blind}"), &[]).await, 403);
        assert_eq!(rig.refused_socket(&format!("{path}?token={reader}"), &[]).await, 101);
        let protocols = format!("bearer, {reader}");
        assert_eq!(rig.refused_socket(path, &[("sec-websocket-protocol", &protocols)]).await, 101);
        let ticket = rig.api("POST", "/api/v1/tickets", Value::Null).await;
        assert_eq!(ticket.status, 201, "{}", ticket.text);
        assert!(ticket.body["data"]["expiresAt"].is_string());
        let ticket = ticket.body["data"]["ticket"].as_str().expect("a ticket");
        assert_eq!(rig.refused_socket(&format!("{path}?ticket={ticket}"), &[]).await, 101);
        assert_eq!(rig.refused_socket(&format!("{path}?ticket={ticket}"), &[]).await, 401, "used twice");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_ticket_ends_after_a_minute() {
    let rig = Rig::new().await;
    let ticket = rig.api("POST", "/api/v1/tickets", Value::Null).await;
    let path = format!("/ws?ticket={}", ticket.body["data"]["ticket"].as_str().expect("a ticket"));
    rig.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(rig.refused_socket(&path, &[]).await, 401);
    rig.stop().await;
}

#[tokio::test]
async fn the_local_developer_is_admin_unless_anything_looks_foreign() {
    let rig = Rig::with(GatewayConfig { dev: true, ..unlimited() }).await;
    rig.source("pay", "s", &[]).await;
    let get = |headers: Vec<(&'static str, &'static str)>| {
        let rig = &rig;
        async move { rig.send("GET", "/api/v1/sources", &headers, b"").await.status.as_u16() }
    };
    assert_eq!(get(vec![]).await, 200);
    assert_eq!(get(vec![("origin", "http://localhost:5173")]).await, 200);
    assert_eq!(get(vec![("origin", "https://evil.example")]).await, 401);
    assert_eq!(get(vec![("x-forwarded-for", "127.0.0.1")]).await, 401);
    assert_eq!(get(vec![("x-forwarded-proto", "https")]).await, 401);
    assert_eq!(get(vec![("forwarded", "for=127.0.0.1")]).await, 401);
    assert_eq!(get(vec![("host", "evil.example")]).await, 401);
    assert_eq!(get(vec![("authorization", "Bearer nxs_wrong")]).await, 401);
    assert_eq!(get(vec![("authorization", "Basic eDp5")]).await, 401);
    for (name, value, why) in [
        ("origin", "https://evil.example", "its origin \"https://evil.example\" does not name this machine"),
        ("x-forwarded-for", "127.0.0.1", "it has the header x-forwarded-for, which proxies add"),
        ("host", "evil.example", "its host \"evil.example\" does not name this machine"),
    ] {
        let refused = rig.send("GET", "/api/v1/sources", &[(name, value)], b"").await;
        let message = refused.body["message"].as_str().expect("text");
        assert!(message.starts_with("a bearer token is needed") && message.contains("--dev"), "{message}");
        assert!(message.contains(why), "{message}");
    }
    // Signatures are still demanded.
    assert_eq!(rig.send("POST", "/events", &[], br#"{"event":"a.b","payload":1}"#).await.status, 401);
    assert_eq!(rig.refused_socket("/ws", &[]).await, 101);
    assert_eq!(rig.refused_socket("/ws", &[("origin", "https://evil.example")]).await, 401);
    rig.stop().await;
}

#[tokio::test]
async fn the_test_clock_is_there_only_when_it_runs() {
    let rig = Rig::new().await;
    assert_eq!(rig.api("POST", "/__clock", json!({"advance": "1h"})).await.refusal(), (404, "NOT_FOUND"));
    rig.stop().await;
    let rig = Rig::with(GatewayConfig { dev: true, test_clock: true, ..unlimited() }).await;
    let before = rig.hub.clock().now();
    let moved = rig.send("POST", "/__clock", &[], br#"{"advance":"2h"}"#).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    let now = nexus_core::time::Timestamp::parse(moved.body["now"].as_str().expect("a time")).expect("a time");
    assert!(now.since(before) >= std::time::Duration::from_secs(7_200));
    assert_eq!(rig.send("POST", "/__clock", &[], br#"{"advance":"long"}"#).await.refusal(), (422, "INVALID"));
    rig.stop().await;
}
