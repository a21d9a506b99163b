//! Tokens: refreshed once, rotated durably, lost visibly.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use nexus_core::access::Principal;
use nexus_engine::connectors::{CallError, Called, ConnectorCall, connection::State};
use serde_json::json;

use super::{call, config, connect, rig};
use crate::{
    provider::{Provider, says},
    rig::{PATIENCE, Rig},
};

const OAUTH: &str = r#"
connector: 1
name: agreed
title: Agreed
checked: reading
base_url: "{settings.url}"
settings:
  url: {title: URL}
  client_id: {title: Client}
secrets:
  client_secret: {title: Secret}
auth:
  oauth2:
    grant: authorization_code
    authorize_url: https://agreed.example/agree
    token_url: "{settings.url}/token"
    scopes: [read, write]
retry: {attempts: 3, base: 10ms, cap: 20ms}
operations:
  me: {title: Me, method: GET, path: /me}
  publish: {title: Publish, method: POST, path: /publish, scopes: [admin]}
"#;

/// Where a data folder lies, and where it is copied to.
type Copied = Arc<Mutex<Option<(PathBuf, PathBuf)>>>;

/// A provider that gives tokens: `access-N` for `refresh-N`, each of which is good once. It copies a folder when
/// `access-2` is first used.
async fn giver(expires_in: u64, fails: Arc<AtomicU16>, copied: Copied) -> Provider {
    let given = AtomicUsize::new(0);
    Provider::start(move |seen| {
        if seen.target != "/token" {
            let second = seen.header("authorization") == "Bearer access-2";
            let copy = copied.lock().expect("unpoisoned").take_if(|_| second);
            if let Some((from, to)) = copy {
                for entry in std::fs::read_dir(from).expect("a folder") {
                    let file = entry.expect("an entry").path();
                    std::fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("copied");
                }
            }
            return says(200, &json!({"as": seen.header("authorization")}));
        }
        let fields: Vec<&str> = seen.body.split('&').collect();
        let last = given.load(Ordering::SeqCst);
        let right = fields.contains(&"grant_type=authorization_code")
            || fields.contains(&&*format!("refresh_token=refresh-{last}"));
        match fails.load(Ordering::SeqCst) {
            0 if right => {}
            0 => return says(400, &json!({"error": "invalid_grant", "error_description": "used"})),
            status => return says(status, &json!({"error": "temporarily_unavailable"})),
        }
        let next = given.fetch_add(1, Ordering::SeqCst) + 1;
        let (access, refresh) = (format!("access-{next}"), format!("refresh-{next}"));
        says(
            200,
            &json!({"access_token": access, "refresh_token": refresh, "expires_in": expires_in, "scope": "read write"}),
        )
    })
    .await
}

async fn agree(rig: &Rig, provider: &Provider) {
    let new = json!({"connector": "agreed", "settings": {"url": provider.url, "client_id": "me"},
        "secrets": {"client_secret": "client-secret"}});
    connect(rig, "acc", new).await;
    let connectors = rig.hub.connectors();
    let callback = "https://hub.example/oauth/callback";
    let begun = connectors.authorize("acc", callback, &Principal::admin("alice")).expect("an address");
    let state = begun.url.split("state=").nth(1).and_then(|s| s.split('&').next()).expect("a state").to_owned();
    assert!(begun.url.contains("code_challenge=") && begun.url.contains("scope=read%20write"), "{}", begun.url);
    assert_eq!(connectors.agreed(&state, Ok("code-1")).await.expect("agreed"), "acc");
    assert!(connectors.agreed(&state, Ok("code-1")).await.is_err(), "a state is good once");
}

fn me() -> ConnectorCall {
    ConnectorCall { patience: Duration::from_secs(5), ..ConnectorCall::new("agreed", "me", json!({})) }
}

async fn twenty(rig: &Rig) -> Vec<Result<Called, CallError>> {
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let hub = rig.hub.clone();
            tokio::spawn(async move { hub.connectors().call(me()).await })
        })
        .collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(tokio::time::timeout(PATIENCE, call).await.expect("in time").expect("no panic"));
    }
    results
}

/// S-160
#[tokio::test]
async fn twenty_calls_refresh_an_expiring_token_once_and_the_rotated_one_outlasts_a_crash() {
    let (copied, copy) = (Copied::default(), Arc::new(tempfile::tempdir().expect("a temporary folder")));
    let provider = giver(100, Arc::default(), Arc::clone(&copied)).await;
    let rig = rig(OAUTH).await;
    *copied.lock().expect("unpoisoned") = Some((rig.folder.path().to_owned(), copy.path().to_owned()));
    agree(&rig, &provider).await;
    assert_eq!(call(&rig, me()).await.expect("called").output, json!({"as": "Bearer [secret token]"}));
    assert_eq!(provider.seen_at("/me")[0].header("authorization"), "Bearer access-1");
    assert_eq!(provider.seen_at("/token").len(), 1, "100 s are enough");
    // 50 s are left: less than a minute.
    rig.hub.advance(Duration::from_secs(50)).await.expect("a test clock");
    assert!(twenty(&rig).await.iter().all(Result::is_ok));
    assert_eq!(provider.seen_at("/token").len(), 2, "twenty calls, one refresh");
    assert!(provider.seen_at("/me").iter().skip(1).all(|seen| seen.header("authorization") == "Bearer access-2"));
    // The store as it stood when the new token was first used has the new refresh token: the old one is dead.
    rig.end().await;
    let rig = Rig::open(copy, config(OAUTH)).await;
    rig.hub.advance(Duration::from_secs(200)).await.expect("a test clock");
    call(&rig, me()).await.expect("refreshed with what was kept");
    assert_eq!(provider.seen_at("/token").len(), 3);
    assert!(provider.seen_at("/token")[2].body.contains("refresh_token=refresh-2"));
}

/// S-160
#[tokio::test]
async fn a_dead_grant_makes_it_reconnect_needed_with_one_event_and_no_storm() {
    let fails = Arc::new(AtomicU16::new(0));
    let provider = giver(100, Arc::clone(&fails), Copied::default()).await;
    let rig = rig(OAUTH).await;
    agree(&rig, &provider).await;
    rig.hub.advance(Duration::from_secs(200)).await.expect("a test clock");
    // An endpoint that is down is not asked by each of twenty calls.
    fails.store(503, Ordering::SeqCst);
    assert!(twenty(&rig).await.iter().all(|r| matches!(r, Err(CallError::Failed { .. }))));
    assert_eq!(provider.seen_at("/token").len(), 2);
    let view = rig.hub.connectors().connections().get("acc").expect("there");
    assert_eq!(view.state, State::Connected, "that may pass");
    rig.hub.advance(Duration::from_secs(120)).await.expect("a test clock");
    fails.store(400, Ordering::SeqCst);
    let gone = Provider::start(|_| says(400, &json!({"error": "invalid_grant"}))).await;
    let patch = serde_json::from_value(json!({"settings": {"url": gone.url}})).expect("a patch");
    let connections = rig.hub.connectors().connections();
    connections.update("acc", patch, &Principal::admin("test")).await.expect("changed");
    assert!(twenty(&rig).await.iter().all(|r| matches!(r, Err(CallError::Reconnect { .. }))));
    assert_eq!(gone.seen().len(), 1, "a grant that is gone is not asked for again");
    let view = connections.get("acc").expect("there");
    assert_eq!(view.state, State::ReconnectNeeded);
    let reason = view.reason.expect("a reason");
    assert!(reason.contains("invalid_grant") && reason.contains("nexus connections authorize acc"), "{reason}");
    let events = rig.stored("connection.reconnect_needed").await;
    assert_eq!(events.len(), 2, "when it was made, and now: once for twenty calls");
}

#[tokio::test]
async fn a_token_that_is_refused_early_is_replaced_once_and_granted_scopes_are_held_to() {
    let refused = Arc::new(AtomicUsize::new(0));
    let (given, count) = (AtomicUsize::new(0), Arc::clone(&refused));
    let provider = Provider::start(move |seen| match seen.target.as_str() {
        "/token" => {
            let n = given.fetch_add(1, Ordering::SeqCst) + 1;
            says(200, &json!({"access_token": format!("access-{n}"), "refresh_token": "refresh-x"}))
        }
        _ if seen.header("authorization") == "Bearer access-1" => {
            count.fetch_add(1, Ordering::SeqCst);
            says(401, &json!({"detail": "revoked"}))
        }
        _ => says(200, &json!({"ok": true})),
    })
    .await;
    let rig = rig(OAUTH).await;
    agree(&rig, &provider).await;
    assert_eq!(call(&rig, me()).await.expect("called").output, json!({"ok": true}));
    assert_eq!((refused.load(Ordering::SeqCst), provider.seen_at("/token").len()), (1, 2));
    let publish = ConnectorCall { operation: "publish".into(), ..me() };
    let refused = call(&rig, publish).await.expect_err("not granted");
    assert!(matches!(&refused, CallError::Scope { scope, .. } if scope == "admin"), "{refused:?}");
}
