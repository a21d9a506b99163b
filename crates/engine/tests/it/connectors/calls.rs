//! Whose account, which scope, what is tried again, and what nobody sees.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use nexus_core::access::Principal;
use nexus_engine::connectors::{CallError, ConnectorCall};
use serde_json::{Value, json};

use super::{PLATFORM, call, config, connect, platform, post, rig};
use crate::{
    provider::{Provider, Says, Seen, says},
    rig::Rig,
};

/// S-161
#[tokio::test]
async fn of_two_accounts_the_one_that_is_named_posts() {
    let provider = Provider::start(|seen| says(201, &json!({"id": seen.header("authorization")}))).await;
    let rig = rig(PLATFORM).await;
    platform(&rig, "first", &provider, "token-one").await;
    platform(&rig, "second", &provider, "token-two").await;
    for (name, token) in [("second", "token-two"), ("first", "token-one"), ("second", "token-two")] {
        call(&rig, post("post", name)).await.expect("posted");
        let last = provider.seen().pop().expect("a request");
        assert_eq!(
            (last.header("authorization"), &last.json()),
            (&*format!("Bearer {token}"), &json!({"text": "hello"}))
        );
    }
    let unnamed = call(&rig, ConnectorCall { connection: None, ..post("post", "") }).await;
    let Err(CallError::Connection(message)) = unnamed else { panic!("{unnamed:?}") };
    assert!(message.contains("first, second"), "{message}");
}

/// S-162
#[tokio::test]
async fn a_missing_scope_is_refused_before_the_call_and_named() {
    let provider = Provider::start(|_| says(201, &json!({"id": 1}))).await;
    let rig = rig(PLATFORM).await;
    let new = json!({"connector": "platform", "settings": {"url": provider.url}, "secrets": {"token": "t-12345"},
        "scopes": ["posts:read"]});
    connect(&rig, "reader", new).await;
    let refused = call(&rig, post("post", "reader")).await.expect_err("refused");
    assert!(matches!(&refused, CallError::Scope { scope, .. } if scope == "posts:write"), "{refused:?}");
    assert!(refused.to_string().contains("posts:write"));
    assert_eq!(provider.seen().len(), 0);
    let patch = serde_json::from_value(json!({"scopes": ["posts:read", "posts:write"]})).expect("a patch");
    let connections = rig.hub.connectors().connections();
    connections.update("reader", patch, &Principal::admin("test")).await.expect("changed");
    assert_eq!(call(&rig, post("post", "reader")).await.expect("posted").output, json!({"id": 1}));
}

/// S-167
#[tokio::test]
async fn a_500_is_retried_with_the_same_key_and_a_403_for_a_duplicate_is_final() {
    let provider = Provider::start(|seen| match seen.number {
        0 => says(500, &json!({"detail": "oops"})),
        1 => says(201, &json!({"id": 9})),
        _ => says(403, &json!({"detail": "duplicate content"})),
    })
    .await;
    let rig = rig(PLATFORM).await;
    platform(&rig, "a", &provider, "some-token").await;
    let keyed = |operation| ConnectorCall { key: Some("run-1/task-2".into()), ..post(operation, "a") };
    assert_eq!(call(&rig, keyed("post-once")).await.expect("posted").output, json!({"id": 9}));
    let keys: Vec<String> = provider.seen().iter().map(|s| s.header("idempotency-key").to_owned()).collect();
    assert_eq!(keys, ["run-1/task-2", "run-1/task-2"]);
    let refused = call(&rig, keyed("post-unlike")).await.expect_err("refused");
    assert!(matches!(&refused, CallError::Refused { status: 403, message, .. } if message == "duplicate content"));
    assert_eq!(provider.seen().len(), 3, "what is final is not repeated");
}

/// S-167
#[tokio::test]
async fn a_timeout_after_success_makes_no_second_post() {
    // It posts and then never answers; a repeat it refuses as duplicate, or knows by its key.
    let posted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&posted);
    let known = Mutex::new(Vec::<String>::new());
    let provider = Provider::start(move |seen: &Seen| {
        let key = seen.header("idempotency-key").to_owned();
        let identity = if key.is_empty() { seen.body.clone() } else { key.clone() };
        let mut known = known.lock().expect("unpoisoned");
        if known.contains(&identity) {
            return if key.is_empty() {
                says(403, &json!({"detail": "duplicate content"}))
            } else {
                says(201, &json!({"id": 1}))
            };
        }
        known.push(identity);
        count.fetch_add(1, Ordering::SeqCst);
        Says::Nothing
    })
    .await;
    let rig = rig(PLATFORM).await;
    platform(&rig, "a", &provider, "some-token").await;
    let unlike = call(&rig, post("post-unlike", "a")).await.expect("posted");
    assert_eq!((unlike.output, unlike.requests), (json!({"duplicate": true}), 2));
    let mut once = post("post-once", "a");
    once.input = json!({"text": "other"});
    assert_eq!(call(&rig, once).await.expect("posted").output, json!({"id": 1}));
    assert_eq!(posted.load(Ordering::SeqCst), 2);
    // One that knows no repeats is not repeated, and its caller is told.
    let mut plain = post("post", "a");
    plain.input = json!({"text": "third"});
    let unsure = call(&rig, plain).await.expect_err("nobody knows");
    assert!(matches!(unsure, CallError::Unsure { .. }), "{unsure:?}");
    assert!(!unsure.is_transient() && unsure.to_string().contains("may have been done"));
    assert_eq!((posted.load(Ordering::SeqCst), provider.seen().len()), (3, 5));
}

#[tokio::test]
async fn a_nonce_is_the_same_at_each_attempt_and_another_for_another_call() {
    let provider = Provider::start(|seen| match seen.number % 2 {
        0 => says(502, &json!({})),
        _ => says(200, &json!({})),
    })
    .await;
    let rig = rig(PLATFORM).await;
    platform(&rig, "a", &provider, "some-token").await;
    for _ in 0..2 {
        call(&rig, post("post-nonce", "a")).await.expect("posted");
    }
    let nonces: Vec<Value> = provider.seen().iter().map(|seen| seen.json()["nonce"].clone()).collect();
    assert!(nonces[0] == nonces[1] && nonces[2] == nonces[3] && nonces[0] != nonces[2], "{nonces:?}");
    assert_eq!(nonces[0].as_str().map(str::len), Some(25));
}

#[tokio::test]
async fn pages_are_fetched_up_to_the_limit_and_can_be_gone_on_from() {
    let provider = Provider::start(|seen| {
        let from: u64 =
            seen.target.split("cursor=").nth(1).and_then(|n| n.split('&').next()?.parse().ok()).unwrap_or(0);
        let next = if from < 4 { json!((from + 1).to_string()) } else { Value::Null };
        says(200, &json!({"posts": [from * 2, from * 2 + 1], "next": next}))
    })
    .await;
    let rig = rig(PLATFORM).await;
    platform(&rig, "a", &provider, "some-token").await;
    let read = |input| ConnectorCall { input, ..post("read", "a") };
    let first = call(&rig, read(json!({"user": "a/b?", "limit": 2}))).await.expect("read").output;
    assert_eq!(first, json!({"items": [0, 1, 2, 3, 4, 5], "next": "3"}));
    let asked = &provider.seen()[0];
    assert_eq!((&*asked.method, &*asked.target), ("GET", "/users/a%2Fb%3F/posts?limit=2"));
    let rest = call(&rig, read(json!({"user": "u", "cursor": "3"}))).await.expect("read").output;
    assert_eq!(rest, json!({"items": [6, 7, 8, 9], "next": null}));
    let refused = call(&rig, ConnectorCall { input: json!({"text": 7, "x": 1}), ..post("post", "a") }).await;
    let Err(CallError::Input { errors, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["", "/text"]);
}

#[tokio::test]
async fn an_input_that_would_lead_to_another_path_is_refused_and_named() {
    let provider = Provider::start(|_| says(200, &json!({"posts": [], "next": null}))).await;
    let rig = rig(PLATFORM).await;
    platform(&rig, "a", &provider, "some-token").await;
    for user in ["..", ".", "%2e%2E", "%252e.", ""] {
        let refused = call(&rig, ConnectorCall { input: json!({"user": user}), ..post("read", "a") }).await;
        let Err(CallError::Input { errors, .. }) = refused else { panic!("{user:?}: {refused:?}") };
        assert_eq!(errors.keys().collect::<Vec<_>>(), ["/user"]);
    }
    assert_eq!(provider.seen().len(), 0);
    call(&rig, ConnectorCall { input: json!({"user": "..."}), ..post("read", "a") })
        .await
        .expect("a name like any other");
    assert_eq!(provider.seen()[0].target, "/users/.../posts");
}

#[tokio::test]
async fn a_wrong_secret_makes_it_reconnect_needed_once_and_a_right_one_makes_it_good() {
    let provider = Provider::start(|seen| match seen.header("authorization") {
        "Bearer right-token" => says(201, &json!({"id": 1})),
        other => says(401, &json!({"detail": format!("{other} is no token")})),
    })
    .await;
    let rig = rig(PLATFORM).await;
    platform(&rig, "a", &provider, "wrong-token").await;
    for _ in 0..3 {
        let error = call(&rig, post("post", "a")).await.expect_err("refused");
        assert!(matches!(&error, CallError::Reconnect { .. }), "{error:?}");
        let text = error.to_string();
        assert!(!text.contains("wrong-token") && text.contains("[secret token]"), "{text}");
        assert!(text.contains("nexus connections set-secret a"), "{text}");
    }
    assert_eq!(provider.seen().len(), 1, "a proof that is not taken is not shown again");
    assert_eq!(rig.stored("connection.reconnect_needed").await.len(), 1);
    let patch = serde_json::from_value(json!({"secrets": {"token": "right-token"}})).expect("a patch");
    let connections = rig.hub.connectors().connections();
    connections.update("a", patch, &Principal::admin("test")).await.expect("changed");
    call(&rig, post("post", "a")).await.expect("posted");
    assert_eq!(rig.stored("connection.connected").await.len(), 2, "when it was made, and now");
}

#[tokio::test]
async fn private_addresses_are_for_those_who_may_and_link_local_ones_for_nobody() {
    let provider = Provider::start(|_| says(201, &json!({"id": 1}))).await;
    let rig = rig(PLATFORM).await;
    let connections = rig.hub.connectors().connections();
    let nobody = Principal::new("token:x", ["connectors:admin".parse().expect("a scope")]);
    let new = |url: &str| {
        let new =
            json!({"name": "x", "connector": "platform", "settings": {"url": url}, "secrets": {"token": "t-12345"}});
        serde_json::from_value(new).expect("a connection")
    };
    let refused = connections.create(new(&provider.url), &nobody).await.expect_err("refused");
    assert!(refused.details.contains_key("settings.url") && refused.message.contains("endpoints:private"));
    let admin = Principal::admin("test");
    let refused = connections.create(new("http://169.254.169.254/latest"), &admin).await.expect_err("refused");
    assert!(refused.message.contains("link-local"), "{}", refused.message);
    connections.create(new("http://hub.example"), &nobody).await.expect("public");
    let patch = serde_json::from_value(json!({"settings": {"url": provider.url}})).expect("a patch");
    connections.update("x", patch, &nobody).await.expect_err("as when it is made");
    let patch = serde_json::from_value(json!({"settings": {"url": provider.url}})).expect("a patch");
    connections.update("x", patch, &admin).await.expect("may");
    call(&rig, post("post", "x")).await.expect("posted");
}

/// S-142
#[tokio::test]
async fn no_file_of_the_data_folder_holds_a_token() {
    let provider = Provider::start(|seen| says(201, &json!({"id": seen.header("authorization")}))).await;
    let rig = rig(PLATFORM).await;
    platform(&rig, "a", &provider, "very-secret-platform-token").await;
    let echoed = call(&rig, ConnectorCall { key: None, ..post("post", "a") }).await.expect("posted");
    assert_eq!(echoed.output, json!({"id": "Bearer [secret token]"}), "an answer that repeats it is cleaned");
    let shown = serde_json::to_string(&rig.hub.connectors().connections().list(None)).expect("JSON");
    assert!(shown.contains("\"token\"") && !shown.contains("very-secret"), "{shown}");
    let folder = rig.end().await;
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).unwrap_or_default();
        files += usize::from(!bytes.is_empty());
        assert!(!bytes.windows(26).any(|w| w == b"very-secret-platform-token"));
    }
    assert!(files > 0);
    let rig = Rig::open(folder, config(PLATFORM)).await;
    call(&rig, post("post", "a")).await.expect("it opens with the key");
    assert_eq!(provider.seen()[1].header("authorization"), "Bearer very-secret-platform-token");
}
