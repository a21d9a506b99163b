//! What outlives the request that opened it ends with its proof, to the moment; and which tokens can't be ended.

use std::time::Duration;

use futures_util::SinkExt;
use nexus_gateway::GatewayConfig;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::rig::{Reply, Rig, unlimited, within};

const MINUTE: Duration = Duration::from_secs(60);

/// The heartbeat is longer than a test's patience: no pulse can have closed what closes.
async fn without_a_pulse() -> Rig {
    Rig::with(GatewayConfig { heartbeat: Duration::from_secs(86_400), ..unlimited() }).await
}

/// A token: its id and itself.
async fn made(rig: &Rig, body: Value) -> (String, String) {
    let reply = rig.api("POST", "/api/v1/tokens", body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let field = |name: &str| reply.body["data"][name].as_str().expect("a text").to_owned();
    (field("id"), field("token"))
}

async fn as_token(rig: &Rig, token: &str, method: &str, path: &str, body: Value) -> Reply {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    rig.send(method, path, &headers, body.to_string().as_bytes()).await
}

/// Opens one of each kind with this token, lets it end by `end`, and sees all of them close with nothing said after it.
async fn all_end(rig: &Rig, token: &str, end: impl AsyncFnOnce()) {
    let mut kyros = rig.socket_of("/api/v1/events/ws", token).await;
    let mut core = rig.socket_of("/ws", token).await;
    core.ask(&json!({"type": "subscribe", "topic": ">"})).await;
    let mut graphql = rig.graphql_socket(token).await;
    let query = json!({"query": "subscription{events{type}}"});
    graphql.say(&json!({"type": "subscribe", "id": "1", "payload": query})).await;
    rig.publish("before.end", "1").await;
    assert_eq!(kyros.hear().await["type"], "before.end");
    let request = format!("GET /api/v1/events/stream?token={token} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let stream = rig.raw(request.as_bytes());
    let ending = async {
        within(async {
            while !rig.metrics_text().await.contains("websocket_connections{kind=\"sse\"} 1") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        end().await;
        rig.publish("after.end", "2").await;
        // It can't publish any more either.
        let publish = json!({"type": "publish", "topic": "after.end", "payload": 3});
        // Whether it is still there to be told so does not matter.
        let _ = within(core.0.send(Message::text(publish.to_string()))).await;
    };
    let (streamed, ()) = tokio::join!(stream, ending);
    assert!(streamed.starts_with("HTTP/1.1 200") && !streamed.contains("after.end"), "{streamed}");
    for socket in [&mut kyros, &mut core, &mut graphql] {
        assert_eq!(socket.closed_without("after.end").await, 1008);
    }
    let stored = rig.api("GET", "/api/v1/events?type=after.end", Value::Null).await;
    assert_eq!(stored.body["data"].as_array().map(Vec::len), Some(1), "{}", stored.text);
}

#[tokio::test]
async fn sockets_and_streams_end_when_their_token_expires() {
    let rig = without_a_pulse().await;
    let expires = rig.hub.clock().now().plus(MINUTE * 10).to_string();
    let new = json!({"name": "short", "scopes": ["events:read", "events:publish"], "expiresAt": expires});
    let (_, token) = made(&rig, new).await;
    all_end(&rig, &token, async || rig.clock.advance(MINUTE * 10)).await;
    rig.stop().await;
}

#[tokio::test]
async fn sockets_and_streams_end_with_the_grace_of_a_rotated_token() {
    let rig = without_a_pulse().await;
    let (id, token) = made(&rig, json!({"name": "ci", "scopes": ["events:read", "events:publish"]})).await;
    all_end(&rig, &token, async || {
        let path = format!("/api/v1/tokens/{id}/rotate");
        assert_eq!(rig.api("POST", &path, json!({"graceSeconds": 600})).await.status, 200);
        rig.clock.advance(MINUTE * 10);
    })
    .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revocation_holds_also_beside_a_rotation() {
    let rig = Rig::new().await;
    for round in 0..20 {
        let (id, token) = made(&rig, json!({"name": "ci", "scopes": ["events:read"]})).await;
        let rotate = async {
            let path = format!("/api/v1/tokens/{id}/rotate");
            rig.api("POST", &path, json!({"graceSeconds": 600})).await
        };
        let revoke = async {
            let path = format!("/api/v1/tokens/{id}/revoke");
            rig.api("POST", &path, json!({"reason": "stolen"})).await
        };
        let (rotated, revoked) = tokio::join!(rotate, revoke);
        assert_eq!(revoked.status, 200, "round {round}: {} / {}", revoked.text, rotated.text);
        let left = as_token(&rig, &token, "GET", "/api/v1/events", Value::Null).await;
        assert_eq!(left.status, 401, "round {round}: {}", left.text);
    }
    rig.stop().await;
}

#[tokio::test]
async fn who_may_write_tokens_ends_none_that_may_do_more() {
    let rig = Rig::new().await;
    let (boss, _) = made(&rig, json!({"name": "boss", "scopes": ["admin"]})).await;
    let (reader, _) = made(&rig, json!({"name": "reader", "scopes": ["events:read"]})).await;
    let clerk = rig.token("clerk", &["tokens:write", "commands", "events:read"]).await;
    for (method, change, body) in [
        ("POST", "/revoke", json!({})),
        ("POST", "/rotate", json!({})),
        ("PATCH", "", json!({"scopes": ["events:read"]})),
    ] {
        let path = format!("/api/v1/tokens/{boss}{change}");
        let refused = as_token(&rig, &clerk, method, &path, body).await;
        assert_eq!(refused.refusal(), (403, "FORBIDDEN"), "{method} {path}: {}", refused.text);
    }
    let command = json!({"type": "token.revoke", "payload": {"tokenId": boss}, "correlationId": "c1"});
    let refused = as_token(&rig, &clerk, "POST", "/api/v1/commands", command).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN"), "{}", refused.text);
    let path = format!("/api/v1/tokens/{reader}/revoke");
    assert_eq!(as_token(&rig, &clerk, "POST", &path, json!({})).await.status, 200);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_admin_stays_whoever_asks_and_however_many_at_once() {
    let rig = Rig::new().await;
    let first = rig.hub.tokens().list()[0].id.clone();
    let revoke = |id: String| {
        let rig = &rig;
        async move { rig.api("POST", &format!("/api/v1/tokens/{id}/revoke"), json!({})).await }
    };
    let refused = revoke(first.clone()).await;
    assert_eq!(refused.refusal(), (409, "CONFLICT"), "{}", refused.text);
    assert!(refused.text.contains("make another one first: nexus token create"), "{}", refused.text);
    let path = format!("/api/v1/tokens/{first}");
    let refused = rig.api("PATCH", &path, json!({"scopes": ["events:read"]})).await;
    assert_eq!(refused.refusal(), (409, "CONFLICT"), "{}", refused.text);
    // Two end each other: one stays.
    let (second, token) = made(&rig, json!({"name": "second", "scopes": ["admin"]})).await;
    let by_second = async {
        let path = format!("/api/v1/tokens/{first}/revoke");
        as_token(&rig, &token, "POST", &path, json!({})).await.status.as_u16()
    };
    let by_first = async { revoke(second.clone()).await.status.as_u16() };
    tokio::join!(by_second, by_first);
    let active = rig.hub.tokens().list().into_iter().filter(|t| t.name != "ci");
    let active = active.filter(|t| serde_json::to_value(t.status).is_ok_and(|status| status == "active")).count();
    assert_eq!(active, 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_key_of_json_web_tokens_is_another_way_in() {
    let rig = Rig::new().await;
    let first = rig.hub.tokens().list()[0].id.clone();
    made(&rig, json!({"name": "idp", "kind": "jwt_key", "algorithm": "HS256"})).await;
    let revoked = rig.api("POST", &format!("/api/v1/tokens/{first}/revoke"), json!({})).await;
    assert_eq!(revoked.status, 200, "{}", revoked.text);
    rig.stop().await;
}
