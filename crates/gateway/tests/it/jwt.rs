//! JSON Web Tokens at the doors.

use data_encoding::BASE64URL_NOPAD;
use nexus_core::sign::hmac_sha256;
use serde_json::{Value, json};

use crate::rig::{Reply, Rig};

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

fn signed(secret: &str, header: &Value, claims: &Value) -> String {
    let text = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let tag = hmac_sha256(secret.as_bytes(), &[text.as_bytes()]);
    format!("{text}.{}", b64(tag))
}

async fn get(rig: &Rig, token: &str, path: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    rig.send("GET", path, &[("authorization", bearer.as_str())], b"").await
}

/// A key of the hub's own: its id and itself.
async fn key(rig: &Rig) -> (String, String) {
    let made = rig.api("POST", "/api/v1/tokens", json!({"name": "idp", "kind": "jwt_key", "algorithm": "HS256"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let field = |name: &str| made.body["data"][name].as_str().expect("a text").to_owned();
    (field("id"), field("token"))
}

/// C-075
#[tokio::test]
async fn a_right_token_opens_what_its_scopes_say_and_a_wrong_one_nothing() {
    let rig = Rig::new().await;
    let (_, secret) = key(&rig).await;
    let now = rig.hub.clock().now().secs();
    let claims = |scope: &str| json!({"sub": "alice", "aud": "nexus", "exp": now + 600, "scope": scope});
    let good = signed(&secret, &json!({"alg": "HS256"}), &claims("sources:read"));
    assert_eq!(get(&rig, &good, "/api/v1/sources").await.status, 200);
    let lacking = get(&rig, &good, "/api/v1/subscriptions").await;
    assert_eq!(lacking.refusal(), (403, "FORBIDDEN"));
    assert!(lacking.text.contains("jwt:alice") && lacking.text.contains("subscriptions:read"), "{}", lacking.text);
    let with = |name: &str, value: Value| {
        let mut claims = claims("sources:read");
        claims[name] = value;
        signed(&secret, &json!({"alg": "HS256"}), &claims)
    };
    let none = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(claims("sources:read").to_string()));
    let wrong = [
        ("none", none),
        ("wrong alg", signed(&secret, &json!({"alg": "HS512"}), &claims("sources:read"))),
        ("another alg", signed(&secret, &json!({"alg": "RS256"}), &claims("sources:read"))),
        ("wrong key", signed("another secret of thirty-two bytes!", &json!({"alg": "HS256"}), &claims("sources:read"))),
        ("expired", with("exp", json!(now - 600))),
        ("never ends", with("exp", Value::Null)),
        ("audience", with("aud", json!("other"))),
        ("not yet", with("nbf", json!(now + 600))),
        ("rubbish", "a.b.c".to_owned()),
    ];
    for (what, token) in &wrong {
        let refused = get(&rig, token, "/api/v1/sources").await;
        assert_eq!(refused.refusal(), (401, "UNAUTHENTICATED"), "{what}: {}", refused.text);
        assert_eq!(rig.refused_socket(&format!("/ws?token={token}"), &[]).await, 401, "{what}");
    }
    assert_eq!(rig.send("GET", "/api/v1/sources", &[], b"").await.refusal(), (401, "UNAUTHENTICATED"));
    let reader = signed(&secret, &json!({"alg": "HS256"}), &claims("events:read"));
    assert_eq!(rig.refused_socket(&format!("/ws?token={reader}"), &[]).await, 101);
    // What was taken once is taken until it ends, not longer.
    rig.clock.advance(std::time::Duration::from_secs(700));
    assert_eq!(get(&rig, &good, "/api/v1/sources").await.refusal(), (401, "UNAUTHENTICATED"));
    rig.stop().await;
}

#[tokio::test]
async fn a_revoked_key_ends_every_token_and_socket_made_with_it_and_a_rotated_one_after_its_grace() {
    let rig = Rig::new().await;
    let (id, secret) = key(&rig).await;
    let now = rig.hub.clock().now().secs();
    let claims = json!({"sub": "bob", "aud": ["nexus"], "exp": now + 3_600, "scp": ["events:read", "events:publish"]});
    let old = signed(&secret, &json!({"alg": "HS256"}), &claims);
    assert_eq!(get(&rig, &old, "/api/v1/events").await.status, 200);
    let rotated = rig.api("POST", &format!("/api/v1/tokens/{id}/rotate"), json!({"graceSeconds": 60})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let field = |name: &str| rotated.body["data"][name].as_str().expect("a text").to_owned();
    let (new_id, new_secret) = (field("id"), field("token"));
    let new = signed(&new_secret, &json!({"alg": "HS256", "kid": new_id}), &claims);
    assert_eq!(get(&rig, &old, "/api/v1/events").await.status, 200, "in its grace period");
    assert_eq!(get(&rig, &new, "/api/v1/events").await.status, 200);
    rig.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(get(&rig, &old, "/api/v1/events").await.status, 401);
    let mut socket = rig.socket_of("/ws", &new).await;
    socket.ask(&json!({"type": "ping"})).await;
    rig.api("POST", &format!("/api/v1/tokens/{new_id}/revoke"), json!({})).await;
    assert_eq!(socket.closed().await, 1008);
    assert_eq!(get(&rig, &new, "/api/v1/events").await.status, 401);
    rig.stop().await;
}

#[tokio::test]
async fn a_key_that_can_not_be_used_is_refused_when_it_is_given() {
    let rig = Rig::new().await;
    let ask = |body: Value| {
        let rig = &rig;
        async move { rig.api("POST", "/api/v1/tokens", body).await.refusal().0 }
    };
    let key = |more: Value| {
        let mut body = json!({"name": "k", "kind": "jwt_key"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    assert_eq!(ask(key(json!({}))).await, 422, "no algorithm");
    assert_eq!(ask(key(json!({"algorithm": "none"}))).await, 422);
    assert_eq!(ask(key(json!({"algorithm": "HS256", "scopes": ["state:read"]}))).await, 422, "a key has no scopes");
    assert_eq!(ask(key(json!({"algorithm": "RS256"}))).await, 422, "the public part is needed");
    assert_eq!(ask(key(json!({"algorithm": "HS256", "key": "short"}))).await, 422);
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": b64([7u8; 32])});
    assert_eq!(ask(key(json!({"algorithm": "ES256", "key": ed}))).await, 422, "a key of another kind");
    let reply = rig.api("POST", "/api/v1/tokens", key(json!({"algorithm": "EdDSA", "key": ed}))).await;
    assert_eq!((reply.status.as_u16(), reply.body["data"]["token"].is_null()), (201, true), "{}", reply.text);
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEASr6mJfVDZWzoZQO9Xn+4A0600DnsECmeB7544O0E6yk=\n-----END PUBLIC KEY-----\n";
    let reply = rig.api("POST", "/api/v1/tokens", key(json!({"algorithm": "EdDSA", "key": pem}))).await;
    assert_eq!((reply.status.as_u16(), reply.text.contains("MCowBQ")), (201, false), "{}", reply.text);
    assert_eq!(ask(key(json!({"algorithm": "RS256", "key": pem}))).await, 422, "a key of another kind");
    assert_eq!(ask(key(json!({"algorithm": "HS256", "key": pem}))).await, 422, "a public key is no secret");
    rig.stop().await;
}
