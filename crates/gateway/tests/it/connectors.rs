//! Connectors and connections over HTTP, against a provider on this machine.

#![expect(clippy::disallowed_methods, reason = "a test's own servers are not the hub's tasks")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use nexus_engine::{HubConfig, connectors::Library};
use nexus_gateway::GatewayConfig;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::rig::{Reply, Rig, unlimited};

const AGREED: &str = r#"
connector: 1
name: agreed
title: Agreed
checked: reading
base_url: "{settings.url}"
settings: {url: {title: URL}, client_id: {title: Client}}
secrets: {client_secret: {title: Secret}}
auth:
  oauth2:
    grant: authorization_code
    authorize_url: https://agreed.example/agree
    token_url: "{settings.url}/token"
    scopes: [read]
operations:
  me: {title: Me, method: GET, path: /me}
  publish: {title: Publish, method: POST, path: /publish, scopes: [write]}
"#;

/// Answers each request with what `handler` makes of its first line.
async fn provider(handler: impl Fn(&str) -> (u16, &'static str, Value) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let handler = Arc::new(handler);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let handler = Arc::clone(&handler);
            tokio::spawn(async move {
                let mut request = vec![0; 16 << 10];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let (status, headers, body) = handler(request.lines().next().unwrap_or_default());
                let body = body.to_string();
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

async fn rig() -> Rig {
    let library = Library::shipped().with(AGREED).unwrap_or_else(|e| panic!("{e}"));
    let config = GatewayConfig { public_url: Some("https://hub.example/".into()), ..unlimited() };
    Rig::with_hub(config, HubConfig { connectors: Some(library), ..HubConfig::default() }).await
}

async fn as_token(rig: &Rig, token: &str, method: &str, path: &str, body: Value) -> Reply {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let text = if body.is_null() { String::new() } else { body.to_string() };
    rig.send(method, path, &headers, text.as_bytes()).await
}

async fn hook(rig: &Rig, name: &str, url: &str) {
    let new = json!({"name": name, "connector": "generic-webhook", "settings": {"url": url}});
    let made = rig.api("POST", "/api/v1/connections", new).await;
    assert_eq!((made.status.as_u16(), &made.body["data"]["state"]), (201, &json!("connected")), "{}", made.text);
}

#[tokio::test]
async fn a_connection_is_made_called_changed_and_taken_out() {
    let url = provider(|_| (200, "", json!({"got": true}))).await;
    let rig = rig().await;
    hook(&rig, "ops", &url).await;
    let list = rig.api("GET", "/api/v1/connectors", Value::Null).await;
    let found = list.body["data"].as_array().expect("a list").iter().find(|c| c["name"] == "generic-webhook");
    let found = found.expect("it is shipped");
    assert_eq!((&found["origin"], &found["connections"]), (&json!("shipped"), &json!(["ops"])));
    let one = rig.api("GET", "/api/v1/connectors/generic-webhook", Value::Null).await;
    assert_eq!(one.body["data"]["manifest"]["operations"]["send"]["method"], "POST");
    let path = "/api/v1/connectors/generic-webhook/call";
    let call = json!({"operation": "send", "input": {"body": {"n": 1}}});
    let called = rig.api("POST", path, call.clone()).await;
    let right = json!({"output": {"status": 200, "body": {"got": true}}, "connection": "ops", "requests": 1});
    assert_eq!(called.body["data"], right, "{}", called.text);
    // Who may call one connector only calls that one.
    let narrow = rig.token("narrow", &["connectors:call:generic-*"]).await;
    assert_eq!(as_token(&rig, &narrow, "POST", path, call.clone()).await.status, 200);
    let other = as_token(&rig, &narrow, "POST", "/api/v1/connectors/agreed/call", json!({"operation": "me"})).await;
    assert_eq!(other.refusal(), (403, "FORBIDDEN"));
    let wrong = rig.api("POST", path, json!({"operation": "send", "input": {"bod": 1}})).await;
    assert_eq!(wrong.refusal(), (422, "INVALID"), "{}", wrong.text);
    let unknown = rig.api("POST", path, json!({"operation": "sned"})).await;
    assert!(unknown.refusal() == (404, "NOT_FOUND") && unknown.text.contains("did you mean"), "{}", unknown.text);
    let off = rig.api("PATCH", "/api/v1/connections/ops", json!({"enabled": false})).await;
    assert_eq!(off.body["data"]["state"], "disabled", "{}", off.text);
    assert_eq!(rig.api("POST", path, call).await.refusal(), (409, "CONFLICT"));
    let typo = json!({"name": "x", "connector": "generic-webhook", "settings": {"ulr": url}});
    let typo = rig.api("POST", "/api/v1/connections", typo).await;
    assert!(typo.refusal() == (422, "INVALID") && typo.text.contains("did you mean"), "{}", typo.text);
    assert_eq!(rig.api("DELETE", "/api/v1/connections/ops", Value::Null).await.status, 200);
    assert_eq!(rig.api("GET", "/api/v1/connections/ops", Value::Null).await.refusal(), (404, "NOT_FOUND"));
    let events = rig.api("GET", "/api/v1/events", Value::Null).await;
    for topic in ["connection.created", "connection.removed", "audit.connection.updated"] {
        assert!(events.text.contains(topic), "{topic} is not among {}", events.text);
    }
    rig.stop().await;
}

#[tokio::test]
async fn who_may_not_name_private_addresses_may_not_connect_to_them() {
    let url = provider(|_| (200, "", json!({}))).await;
    let rig = rig().await;
    let clerk = rig.token("clerk", &["connectors:admin", "connectors:call"]).await;
    let new = json!({"name": "in", "connector": "generic-webhook", "settings": {"url": url}});
    let refused = as_token(&rig, &clerk, "POST", "/api/v1/connections", new).await;
    assert!(refused.refusal() == (422, "INVALID") && refused.text.contains("endpoints:private"), "{}", refused.text);
    let new = json!({"name": "meta", "connector": "generic-webhook", "settings": {"url": "http://169.254.169.254/"}});
    let refused = rig.api("POST", "/api/v1/connections", new).await;
    assert!(refused.refusal() == (422, "INVALID") && refused.text.contains("link-local"), "{}", refused.text);
    rig.stop().await;
}

#[tokio::test]
async fn a_limit_is_answered_with_the_time_to_come_back_and_a_refusal_with_what_was_said() {
    let url = provider(|line| {
        if line.starts_with("GET") {
            (429, "retry-after: 7700\r\n", json!("slow down"))
        } else {
            (422, "", json!({"why": "no"}))
        }
    })
    .await;
    let rig = rig().await;
    hook(&rig, "ops", &url).await;
    let path = "/api/v1/connectors/generic-webhook/call";
    let refused = rig.api("POST", path, json!({"operation": "send", "input": {"body": 1}})).await;
    assert_eq!(refused.refusal(), (502, "BAD_GATEWAY"), "{}", refused.text);
    assert_eq!(refused.body["details"]["provider_status"], 422, "{}", refused.text);
    assert!(refused.text.contains("no"), "{}", refused.text);
    let limited = rig.api("POST", path, json!({"operation": "fetch", "patience": "1s"})).await;
    assert_eq!(limited.refusal(), (429, "RATE_LIMITED"), "{}", limited.text);
    let after: u64 = limited.header("retry-after").parse().expect("seconds");
    assert!((7_000..=7_700).contains(&after), "{after}");
    rig.stop().await;
}

#[tokio::test]
async fn a_person_agrees_in_a_browser_and_comes_back_once() {
    let tokens = Arc::new(AtomicUsize::new(0));
    let given = Arc::clone(&tokens);
    let url = provider(move |line| {
        if line.starts_with("POST /token") {
            given.fetch_add(1, Ordering::SeqCst);
            return (200, "", json!({"access_token": "acc-12345", "refresh_token": "ref-12345", "expires_in": 3600}));
        }
        (200, "", json!({"me": "acc-12345"}))
    })
    .await;
    let rig = rig().await;
    let new = json!({"name": "acc", "connector": "agreed", "settings": {"url": url, "client_id": "me"},
        "secrets": {"client_secret": "hush-hush"}});
    let made = rig.api("POST", "/api/v1/connections", new).await;
    assert_eq!(made.body["data"]["state"], "reconnect_needed", "{}", made.text);
    assert!(made.body["data"]["reason"].as_str().is_some_and(|r| r.contains("nexus connections authorize acc")));
    let call = "/api/v1/connectors/agreed/call";
    assert_eq!(rig.api("POST", call, json!({"operation": "me"})).await.refusal(), (409, "CONFLICT"));
    let begun = rig.api("POST", "/api/v1/connections/acc/authorize", json!({})).await;
    let address = begun.body["data"]["url"].as_str().expect("an address").to_owned();
    assert!(address.starts_with("https://agreed.example/agree?") && address.contains("code_challenge_method=S256"));
    assert!(address.contains("redirect_uri=https%3A%2F%2Fhub.example%2Foauth%2Fcallback"), "{address}");
    let state = address.split("state=").nth(1).and_then(|s| s.split('&').next()).expect("a state");
    let back = format!("/oauth/callback?code=c-1&scope=read&state={state}");
    // A scanner that only looks uses nothing up, and neither does a wrong state.
    assert_eq!(rig.send("HEAD", &back, &[], b"").await.status, 200);
    let wrong = rig.send("GET", "/oauth/callback?code=c-1&state=%3Cscript%3E", &[], b"").await;
    assert!(wrong.status == 422 && !wrong.text.contains("<script>"), "{}", wrong.text);
    assert_eq!(tokens.load(Ordering::SeqCst), 0);
    let page = rig.send("GET", &back, &[], b"").await;
    assert!(page.status == 200 && page.text.contains("acc is connected"), "{}", page.text);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(rig.send("GET", &back, &[], b"").await.status, 422, "a state is good once");
    assert_eq!(tokens.load(Ordering::SeqCst), 1);
    let called = rig.api("POST", call, json!({"operation": "me"})).await;
    assert_eq!(called.body["data"]["output"], json!({"me": "[secret token]"}), "{}", called.text);
    // It was granted what was asked for; the rest is refused before the call.
    let missing = rig.api("POST", call, json!({"operation": "publish"})).await;
    assert_eq!(missing.refusal(), (409, "CONFLICT"));
    assert_eq!(missing.body["details"]["scope"], "write", "{}", missing.text);
    let shown = rig.api("GET", "/api/v1/connections", Value::Null).await;
    assert_eq!(shown.body["data"][0]["state"], "connected");
    for secret in ["hush-hush", "acc-12345", "ref-12345"] {
        assert!(!shown.text.contains(secret) && !called.text.contains(secret) && !made.text.contains(secret));
    }
    // An agreement that takes too long is none.
    let begun = rig.api("POST", "/api/v1/connections/acc/authorize", json!({})).await;
    let state =
        begun.body["data"]["url"].as_str().and_then(|u| u.split("state=").nth(1)).and_then(|s| s.split('&').next());
    rig.clock.advance(std::time::Duration::from_secs(601));
    let late = rig.send("GET", &format!("/oauth/callback?code=c&state={}", state.expect("a state")), &[], b"").await;
    assert_eq!(late.status, 422);
    rig.stop().await;
}

/// X-021
#[tokio::test]
async fn tokens_keys_node_secrets_and_connections_are_in_one_list_with_their_kind() {
    let rig = rig().await;
    rig.source("pay", "node-secret-node-secret", &[]).await;
    rig.api("PUT", "/api/v1/secrets/STRIPE", json!({"value": "provider-secret"})).await;
    let key = json!({"name": "idp", "kind": "jwt_key", "algorithm": "HS256"});
    assert_eq!(rig.api("POST", "/api/v1/tokens", key).await.status, 201);
    let new = json!({"name": "acc", "connector": "agreed", "settings": {"url": "https://agreed.example", "client_id": "me"},
        "secrets": {"client_secret": "hush-hush"}});
    assert_eq!(rig.api("POST", "/api/v1/connections", new).await.status, 201);
    let list = rig.api("GET", "/api/v1/tokens", Value::Null).await;
    let all = list.body["data"].as_array().expect("a list");
    for kind in ["api_token", "jwt_key", "node_secret", "oauth_connection", "provider_key"] {
        assert!(all.iter().any(|one| one["kind"] == kind), "{kind} is not in {}", list.text);
    }
    for secret in ["node-secret-node-secret", "provider-secret", "hush-hush"] {
        assert!(!list.text.contains(secret));
    }
    let own = all.iter().find(|one| one["kind"] == "oauth_connection").expect("listed");
    assert_eq!((&own["name"], &own["owner"], &own["status"]), (&json!("acc"), &json!("agreed"), &json!("expired")));
    let path = format!("/api/v1/tokens/{}", own["id"].as_str().expect("an id"));
    assert_eq!(rig.api("GET", &path, Value::Null).await.body["data"]["name"], "acc");
    let rotated = rig.api("POST", &format!("{path}/rotate"), json!({"key": "x"})).await;
    assert!(rotated.refusal() == (409, "CONFLICT") && rotated.text.contains("/authorize"), "{}", rotated.text);
    let clerk = rig.token("clerk", &["tokens:write"]).await;
    let refused = as_token(&rig, &clerk, "POST", &format!("{path}/revoke"), json!({})).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"));
    let revoked = rig.api("POST", &format!("{path}/revoke"), json!({"reason": "leaked"})).await;
    assert_eq!(revoked.body["data"]["status"], "revoked", "{}", revoked.text);
    let shown = rig.api("GET", "/api/v1/connections/acc", Value::Null).await;
    assert_eq!((&shown.body["data"]["state"], &shown.body["data"]["secrets"]), (&json!("disabled"), &json!({})));
    assert_eq!(shown.body["data"]["reason"], "leaked");
    rig.stop().await;
}
