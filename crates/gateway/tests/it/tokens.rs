//! Tokens and other credentials: made, shown, changed, rotated, revoked; and who is held to it when.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::{Reply, Rig, within};

async fn as_token(rig: &Rig, token: &str, method: &str, path: &str, body: Value) -> Reply {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let text = if body.is_null() { String::new() } else { body.to_string() };
    rig.send(method, path, &headers, text.as_bytes()).await
}

/// Makes a token; its id and itself.
async fn made(rig: &Rig, name: &str, scopes: &[&str]) -> (String, String) {
    let reply = rig.api("POST", "/api/v1/tokens", json!({"name": name, "scopes": scopes})).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let field = |name: &str| reply.body["data"][name].as_str().expect("a text").to_owned();
    (field("id"), field("token"))
}

/// K-032, K-033
#[tokio::test]
async fn every_kind_of_credential_is_listed_and_no_secret_is() {
    let rig = Rig::new().await;
    let (id, token) = made(&rig, "ci", &["events:read"]).await;
    rig.source("pay", "node-secret-node-secret", &[]).await;
    rig.api("PUT", "/api/v1/secrets/STRIPE", json!({"value": "provider-secret"})).await;
    let key = rig.api("POST", "/api/v1/tokens", json!({"name": "idp", "kind": "jwt_key", "algorithm": "HS256"})).await;
    assert_eq!(key.status, 201, "{}", key.text);
    let shared = key.body["data"]["token"].as_str().expect("shown once").to_owned();
    let list = rig.api("GET", "/api/v1/tokens", Value::Null).await;
    let kinds: Vec<&str> =
        list.body["data"].as_array().expect("a list").iter().filter_map(|t| t["kind"].as_str()).collect();
    for kind in ["api_token", "jwt_key", "node_secret", "provider_key"] {
        assert!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
    }
    for item in list.body["data"].as_array().expect("a list") {
        let id = item["id"].as_str().expect("an id");
        let one = rig.api("GET", &format!("/api/v1/tokens/{id}"), Value::Null).await;
        assert_eq!((one.status.as_u16(), &one.body["data"]["id"]), (200, &json!(id)), "{}", one.text);
        for secret in [token.as_str(), "node-secret-node-secret", "provider-secret", &shared] {
            assert!(!one.text.contains(secret) && !list.text.contains(secret));
        }
    }
    assert_eq!(rig.api("GET", "/api/v1/tokens/tok_none", Value::Null).await.refusal(), (404, "NOT_FOUND"));
    assert_eq!(rig.api("GET", "/api/v1/tokens/node_none", Value::Null).await.refusal(), (404, "NOT_FOUND"));
    // A token may look at itself, at no other.
    assert_eq!(as_token(&rig, &token, "GET", &format!("/api/v1/tokens/{id}"), Value::Null).await.status, 200);
    let other = as_token(&rig, &token, "GET", "/api/v1/tokens/tok_other", Value::Null).await;
    assert_eq!(other.refusal(), (403, "FORBIDDEN"));
    rig.stop().await;
}

/// K-034
#[tokio::test]
async fn a_rotated_token_works_beside_its_successor_until_its_grace_ends() {
    let rig = Rig::new().await;
    let (id, old) = made(&rig, "ci", &["events:read"]).await;
    let path = format!("/api/v1/tokens/{id}/rotate");
    // By itself, without any scope for it.
    let rotated = as_token(&rig, &old, "POST", &path, json!({"graceSeconds": 60})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let new = rotated.body["data"]["token"].as_str().expect("shown once").to_owned();
    let new_id = rotated.body["data"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(rotated.body["data"]["rotatedFrom"], id.as_str());
    let works = |token: String| {
        let rig = &rig;
        async move { as_token(rig, &token, "GET", "/api/v1/events", Value::Null).await.status.as_u16() }
    };
    assert_eq!((works(old.clone()).await, works(new.clone()).await), (200, 200));
    let shown = rig.api("GET", &format!("/api/v1/tokens/{id}"), Value::Null).await;
    assert_eq!((&shown.body["data"]["status"], &shown.body["data"]["rotatedTo"]), (&json!("rotated"), &json!(new_id)));
    assert!(shown.body["data"]["lastUsedAt"].is_string());
    let again = as_token(&rig, &new, "POST", &path, json!({})).await;
    assert_eq!(again.status, 403, "the new one is not the old one: {}", again.text);
    let twice = rig.api("POST", &path, json!({})).await;
    assert_eq!(twice.refusal(), (409, "CONFLICT"));
    assert_eq!(twice.body["details"]["status"], "rotated");
    rig.clock.advance(Duration::from_secs(61));
    assert_eq!((works(old).await, works(new.clone()).await), (401, 200));
    let at_once = rig.api("POST", &format!("/api/v1/tokens/{new_id}/rotate"), json!({"graceSeconds": 0})).await;
    assert_eq!(at_once.status, 200, "{}", at_once.text);
    assert_eq!(works(new).await, 401, "no grace is none");
    let too_long =
        rig.api("POST", &format!("/api/v1/tokens/{new_id}/rotate"), json!({"graceSeconds": 99_999_999})).await;
    assert_eq!(too_long.refusal(), (422, "INVALID"));
    let range = "must be a whole number of seconds from 0 to 2592000 (30 days), not 99999999";
    assert_eq!(too_long.body["details"]["graceSeconds"], range, "{}", too_long.text);
    rig.stop().await;
}

#[tokio::test]
async fn rotating_anothers_token_gives_nobody_more_than_it_has() {
    let rig = Rig::new().await;
    let (admin_id, _) = made(&rig, "boss", &["admin"]).await;
    let (_, clerk) = made(&rig, "clerk", &["tokens:write", "events:read"]).await;
    let path = format!("/api/v1/tokens/{admin_id}/rotate");
    let refused = as_token(&rig, &clerk, "POST", &path, json!({})).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"));
    let (reader_id, _) = made(&rig, "reader", &["events:read"]).await;
    let path = format!("/api/v1/tokens/{reader_id}");
    assert_eq!(as_token(&rig, &clerk, "POST", &format!("{path}/rotate"), json!({})).await.status, 200);
    let widened = as_token(&rig, &clerk, "PATCH", &path, json!({"scopes": ["events:read", "admin"]})).await;
    assert_eq!(widened.refusal(), (403, "FORBIDDEN"));
    let key =
        as_token(&rig, &clerk, "POST", "/api/v1/tokens", json!({"name": "k", "kind": "jwt_key", "algorithm": "HS256"}));
    assert_eq!(key.await.refusal(), (403, "FORBIDDEN"), "a key makes tokens of any scope");
    rig.stop().await;
}

/// K-035, C-164
#[tokio::test]
async fn revoking_ends_the_next_request_and_every_open_socket_and_stream_at_once() {
    // The heartbeat is longer than a test's patience: only the revocation itself can have closed them.
    let config = nexus_gateway::GatewayConfig { heartbeat: Duration::from_secs(600), ..crate::rig::unlimited() };
    let rig = Rig::with(config).await;
    let (id, token) = made(&rig, "ci", &["events:read", "tokens:read"]).await;
    let mut socket = rig.socket_of("/api/v1/events/ws", &token).await;
    let mut core = rig.socket_of("/ws", &token).await;
    core.ask(&json!({"type": "ping"})).await;
    let request = format!("GET /api/v1/events/stream?token={token} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let stream = rig.raw(request.as_bytes());
    let revoke = async {
        // The socket's first frame says that it listens.
        rig.publish("a.b", "1").await;
        assert_eq!(socket.hear().await["type"], "a.b");
        within(async {
            while !rig.metrics_text().await.contains("websocket_connections{kind=\"sse\"} 1") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let reply = rig.api("POST", &format!("/api/v1/tokens/{id}/revoke"), json!({"reason": "lost"})).await;
        assert_eq!(reply.body["data"]["status"], "revoked", "{}", reply.text);
        assert_eq!(as_token(&rig, &token, "GET", "/api/v1/tokens", Value::Null).await.status, 401);
    };
    let (ended, ()) = tokio::join!(stream, revoke);
    assert!(ended.starts_with("HTTP/1.1 200"), "{ended}");
    assert_eq!((socket.closed().await, core.closed().await), (1008, 1008));
    let metrics = rig.metrics().await;
    for (kind, count) in [("websocket", 2.0), ("sse", 1.0)] {
        let name = format!("nexus_websocket_closes_total{{kind=\"{kind}\",reason=\"token_ended\"}}");
        assert_eq!(metrics.get(&name), Some(&count), "{metrics:?}");
    }
    rig.stop().await;
}

/// S-148
#[tokio::test]
async fn a_scope_that_is_taken_away_is_gone_with_the_next_request_and_on_open_sockets() {
    let config = nexus_gateway::GatewayConfig { heartbeat: Duration::from_secs(600), ..crate::rig::unlimited() };
    let rig = Rig::with(config).await;
    let (id, token) = made(&rig, "ci", &["events:read", "events:publish", "sources:read"]).await;
    let path = format!("/api/v1/tokens/{id}");
    let mut socket = rig.socket_of("/ws", &token).await;
    socket.ask(&json!({"type": "subscribe", "topic": ">"})).await;
    let narrowed = rig.api("PATCH", &path, json!({"scopes": ["events:read:order.*", "events:publish"]})).await;
    assert_eq!(narrowed.status, 200, "{}", narrowed.text);
    let refused = as_token(&rig, &token, "GET", "/api/v1/sources", Value::Null).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"));
    rig.publish("user.created", "1").await;
    rig.publish("order.created", "2").await;
    let mut heard = socket.hear().await;
    while heard["topic"] != "order.created" {
        // What was on its way before the change may still come; what came after it may not.
        assert_ne!(heard["topic"], "user.created", "{heard}");
        heard = socket.hear().await;
    }
    rig.api("PATCH", &path, json!({"scopes": ["events:publish"]})).await;
    assert_eq!(socket.closed().await, 1008);
    let refused = as_token(&rig, &token, "GET", "/api/v1/events", Value::Null).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"));
    assert!(refused.body["message"].as_str().is_some_and(|m| m.contains("events:read")), "{}", refused.text);
    assert_eq!(rig.api("PATCH", &path, json!({"scopes": []})).await.refusal(), (422, "INVALID"));
    rig.stop().await;
}

#[tokio::test]
async fn rotating_and_revoking_mean_the_right_thing_for_each_kind() {
    let rig = Rig::new().await;
    rig.source("pay", "first-secret", &[]).await;
    rig.api("PUT", "/api/v1/secrets/STRIPE", json!({"value": "old-value"})).await;
    let list = rig.api("GET", "/api/v1/tokens", Value::Null).await.body["data"].clone();
    let id = |kind: &str| {
        let found = list.as_array().expect("a list").iter().find(|t| t["kind"] == kind).expect("there");
        found["id"].as_str().expect("an id").to_owned()
    };
    let (node, named) = (id("node_secret"), id("provider_key"));
    let event = r#"{"event":"a.b","payload":{}}"#;
    let rotated = rig.api("POST", &format!("/api/v1/tokens/{node}/rotate"), json!({"graceSeconds": 60})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let second = rotated.body["data"]["token"].as_str().expect("shown once").to_owned();
    for secret in ["first-secret", &second] {
        assert_eq!(rig.signed("/events", secret, event).await.status, 200, "{secret}");
    }
    let revoked = rig.api("POST", &format!("/api/v1/tokens/{node}/revoke"), json!({})).await;
    assert_eq!((revoked.status.as_u16(), &revoked.body["data"]["status"]), (200, &json!("revoked")));
    assert_eq!(rig.signed("/events", "first-secret", event).await.status, 401);
    assert_eq!(rig.signed("/events", &second, event).await.status, 200);
    let path = format!("/api/v1/tokens/{named}");
    assert_eq!(rig.api("POST", &format!("{path}/rotate"), json!({})).await.refusal(), (422, "INVALID"));
    let set = rig.api("POST", &format!("{path}/rotate"), json!({"key": "new-value"})).await;
    assert_eq!((set.status.as_u16(), set.text.contains("new-value")), (200, false), "{}", set.text);
    assert_eq!(rig.hub.secrets().expand("${secret:STRIPE}"), Ok("new-value".into()));
    assert_eq!(rig.api("POST", &format!("{path}/revoke"), json!({})).await.status, 200);
    assert!(rig.hub.secrets().expand("${secret:STRIPE}").is_err());
    rig.stop().await;
}

/// A key set of two keys, of which one has no name.
#[derive(Debug)]
struct Set;

#[async_trait::async_trait]
impl nexus_engine::jwt::KeySource for Set {
    async fn fetch(&self) -> Result<String, String> {
        let key = |x: &str| json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        let mut named = key("Sr6mJfVDZWzoZQO9Xn-4A0600DnsECmeB7544O0E6yk");
        named["kid"] = json!("2026-01");
        Ok(json!({"keys": [named, key("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")]}).to_string())
    }
}

#[tokio::test]
async fn secrets_of_the_environment_and_keys_of_a_key_set_are_listed_by_name_and_changed_where_they_are() {
    let environment = nexus_engine::sources::EnvironmentSecrets {
        shared: Some("the-shared-secret".into()),
        shared_variable: None,
        by_source: [("wod-pro", "secret-of-wod-pro"), ("wod_pro", "secret-of-wod-pro")]
            .map(|(id, secret)| (id.to_owned(), secret.into()))
            .into(),
    };
    let jwt = nexus_engine::jwt::JwtConfig { source: Some(std::sync::Arc::new(Set)), ..Default::default() };
    let config = nexus_engine::HubConfig { environment, jwt, ..Default::default() };
    let rig = Rig::with_hub(crate::rig::unlimited(), config).await;
    let shown = || async {
        let list = rig.api("GET", "/api/v1/tokens", Value::Null).await;
        assert!(!list.text.contains("the-shared-secret") && !list.text.contains("secret-of-wod-pro"));
        let all = list.body["data"].as_array().expect("a list").clone();
        all.into_iter().filter(|t| t["origin"].is_string()).collect::<Vec<_>>()
    };
    let found = within(async {
        loop {
            let found = shown().await;
            if found.len() >= 4 {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let told: Vec<[&str; 4]> = found
        .iter()
        .map(|t| ["name", "kind", "owner", "origin"].map(|field| t[field].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(
        told,
        [
            ["NEXUS_SECRET_KEY", "node_secret", "nexus", "environment"],
            ["NEXUS_SECRET_KEY_WOD_PRO", "node_secret", "wod-pro", "environment"],
            ["2026-01", "jwt_key", "", "key set"],
            ["key 2 of the set", "jwt_key", "", "key set"],
        ]
    );
    for credential in &found {
        let path = format!("/api/v1/tokens/{}", credential["id"].as_str().expect("an id"));
        assert_eq!(rig.api("GET", &path, Value::Null).await.body["data"], *credential);
        for change in ["rotate", "revoke"] {
            let refused = rig.api("POST", &format!("{path}/{change}"), json!({})).await;
            assert_eq!(refused.refusal(), (409, "CONFLICT"), "{}", refused.text);
            assert!(refused.text.contains("change it there"), "{}", refused.text);
        }
    }
    assert_eq!(rig.api("GET", "/api/v1/tokens/env_none", Value::Null).await.refusal(), (404, "NOT_FOUND"));
    rig.stop().await;
}

/// C-140
#[tokio::test]
async fn each_change_of_a_token_is_told_by_its_event_and_by_the_audit() {
    let rig = Rig::new().await;
    let mut socket = rig.socket("/api/v1/events/ws").await;
    rig.publish("mark.here", "1").await;
    while socket.hear().await["type"] != "mark.here" {}
    let (id, token) = made(&rig, "ci", &["events:read"]).await;
    rig.api("POST", &format!("/api/v1/tokens/{id}/rotate"), json!({})).await;
    rig.api("POST", &format!("/api/v1/tokens/{id}/revoke"), json!({"reason": "done"})).await;
    let mut heard = Vec::new();
    while heard.len() < 6 {
        heard.push(socket.hear().await);
    }
    let types: Vec<&str> = heard.iter().filter_map(|f| f["type"].as_str()).collect();
    for name in ["token.created", "token.rotated", "token.revoked"] {
        assert!(types.contains(&name) && types.contains(&format!("audit.{name}").as_str()), "{types:?}");
    }
    for frame in &heard {
        assert!(!frame.to_string().contains(&token));
        let kind = frame["type"].as_str().expect("a type");
        if kind.starts_with("audit.") {
            assert_eq!(frame["payload"]["by"], "token:admin", "{frame}");
        } else {
            assert_eq!(frame["payload"]["token"]["name"], "ci", "{frame}");
            assert_eq!(frame["source"], "backend");
        }
    }
    rig.stop().await;
}
