//! What providers say of their limits, whose turn it is, and the breaker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use nexus_core::event::Priority;
use nexus_engine::connectors::{CallError, Called, ConnectorCall};
use serde_json::{Value, json};

use super::{PLATFORM, call, config, platform, post, rig};
use crate::{
    provider::{Provider, Says, says},
    rig::PATIENCE,
};

/// S-163
#[tokio::test]
async fn when_nothing_remains_nothing_is_sent_until_the_reset_also_after_a_restart() {
    let reset = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&reset);
    let provider = Provider::start(move |seen| {
        let remaining = if seen.header("authorization") == "Bearer used-up-token" { "0" } else { "7" };
        let reset = told.load(Ordering::SeqCst).to_string();
        let headers = vec![("x-rate-limit-remaining", remaining.to_owned()), ("x-rate-limit-reset", reset)];
        Says::Answer(201, headers, r#"{"id":1}"#.into())
    })
    .await;
    let rig = rig(PLATFORM).await;
    let at = usize::try_from(rig.hub.clock().now().secs() + 900).expect("after 1970");
    reset.store(at, Ordering::SeqCst);
    platform(&rig, "a", &provider, "used-up-token").await;
    platform(&rig, "b", &provider, "fresh-token").await;
    call(&rig, post("post", "a")).await.expect("the last one");
    let limited = |result: Result<Called, CallError>| match result {
        Err(CallError::RateLimited { until, .. }) => assert_eq!(until.secs(), i64::try_from(at).expect("small")),
        other => panic!("{other:?}"),
    };
    limited(call(&rig, post("post", "a")).await);
    call(&rig, post("post", "b")).await.expect("another account has its own");
    assert_eq!(provider.seen().len(), 2);
    let rig = rig.restart_with(config(PLATFORM)).await;
    limited(call(&rig, post("post", "a")).await);
    assert_eq!(provider.seen().len(), 2, "what the provider said outlasts a restart");
    // A caller with patience gets its turn once the reset has come.
    let hub = rig.hub.clone();
    let waiting = tokio::spawn(async move {
        hub.connectors().call(ConnectorCall { patience: Duration::from_secs(1_000), ..post("post", "a") }).await
    });
    rig.hub.advance(Duration::from_secs(901)).await.expect("a test clock");
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time").expect("no panic").expect("posted");
    assert_eq!(provider.seen().len(), 3);
}

/// S-163
#[tokio::test]
async fn retry_after_is_honoured() {
    let provider = Provider::start(|seen| match seen.number {
        0 => Says::Answer(429, vec![("retry-after", "1".into())], r#"{"detail":"slow down"}"#.into()),
        1 => says(201, &json!({"id": 2})),
        _ => Says::Answer(429, vec![("retry-after", "600".into())], r#"{"detail":"slow down"}"#.into()),
    })
    .await;
    let rig = rig(PLATFORM).await;
    platform(&rig, "a", &provider, "some-token").await;
    let began = rig.hub.clock().mono();
    assert_eq!(call(&rig, post("post", "a")).await.expect("posted").requests, 2);
    assert!(rig.hub.clock().mono() - began >= Duration::from_secs(1));
    let later = call(&rig, post("post", "a")).await.expect_err("too long to wait");
    let CallError::RateLimited { until, what, sent: true } = &later else { panic!("{later:?}") };
    assert!(what.contains("slow down") && until.since(rig.hub.clock().now()) > Duration::from_secs(590));
    assert!(later.is_transient());
    let held = call(&rig, post("read", "a")).await.expect_err("still limited").to_string();
    assert!(held.starts_with("Platform asked for a pause, so nothing is sent by \"a\""), "{held}");
    assert_eq!(provider.seen().len(), 3, "nothing was sent meanwhile");
    let health = rig.hub.connectors().connections().list(None).remove(0).health;
    assert!(health.last_error.expect("one").contains("slow down"), "what the provider said is what is remembered");
}

#[tokio::test]
async fn why_a_call_waits_can_be_seen_while_it_does() {
    let limited = PLATFORM.replace("limits:\n", "limits:\n  app: [{requests: 1, per: 10s}]\n");
    let provider = Provider::start(|_| says(201, &json!({"id": 1}))).await;
    let rig = rig(&limited).await;
    platform(&rig, "a", &provider, "some-token").await;
    call(&rig, post("post", "a")).await.expect("the first goes at once");
    assert_eq!(rig.hub.connectors().waiting("k"), None);
    let hub = rig.hub.clone();
    let second = ConnectorCall { key: Some("k".into()), patience: Duration::from_secs(100), ..post("post", "a") };
    let waiting = tokio::spawn(async move { hub.connectors().call(second).await });
    let seen = tokio::time::timeout(PATIENCE, async {
        loop {
            match rig.hub.connectors().waiting("k") {
                Some(wait) => return wait,
                None => tokio::task::yield_now().await,
            }
        }
    });
    let wait = seen.await.expect("it waits");
    assert!(wait.what.contains("a limit that the manifest of Platform sets is reached for post"), "{wait:?}");
    assert!(wait.until > rig.hub.clock().now());
    rig.hub.advance(Duration::from_secs(11)).await.expect("a test clock");
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time").expect("no panic").expect("posted");
    assert_eq!(rig.hub.connectors().waiting("k"), None);
}

#[tokio::test]
async fn calls_of_high_priority_go_first_when_calls_wait() {
    let limited = PLATFORM.replace("limits:\n", "limits:\n  app: [{requests: 1, per: 10s}]\n");
    let provider = Provider::start(|_| says(201, &json!({"id": 1}))).await;
    let rig = rig(&limited).await;
    platform(&rig, "a", &provider, "some-token").await;
    call(&rig, post("post", "a")).await.expect("the first goes at once");
    let mut waiting = Vec::new();
    for (text, priority) in [("low", Priority::Low), ("normal", Priority::Normal), ("high", Priority::High)] {
        let hub = rig.hub.clone();
        let patience = Duration::from_secs(100);
        let mut call = ConnectorCall { priority, patience, ..post("post", "a") };
        call.input = json!({"text": text});
        waiting.push(tokio::spawn(async move { hub.connectors().call(call).await }));
        tokio::task::yield_now().await;
    }
    for round in 0..3 {
        rig.hub.advance(Duration::from_secs(10)).await.expect("a test clock");
        provider.wait(2 + round).await;
    }
    for one in waiting {
        tokio::time::timeout(PATIENCE, one).await.expect("in time").expect("no panic").expect("posted");
    }
    let order: Vec<Value> = provider.seen().iter().map(|seen| seen.json()["text"].clone()).collect();
    assert_eq!(order, ["hello", "high", "normal", "low"]);
}

#[tokio::test]
async fn five_failures_open_the_breaker_of_that_account_alone() {
    let provider = Provider::start(|seen| match seen.header("authorization") {
        "Bearer sick-account" => says(500, &json!({"detail": "oops"})),
        _ => says(201, &json!({"id": 1})),
    })
    .await;
    let rig = rig(PLATFORM).await;
    platform(&rig, "sick", &provider, "sick-account").await;
    platform(&rig, "well", &provider, "well-account").await;
    let first = call(&rig, post("post-once", "sick")).await.expect_err("fails");
    assert!(matches!(&first, CallError::Failed { attempts: 3, status: Some(500), .. }), "{first:?}");
    call(&rig, post("post-once", "sick")).await.expect_err("fails");
    let open = call(&rig, post("post-once", "sick")).await.expect_err("is open");
    assert!(matches!(&open, CallError::Open { last, .. } if last.contains("oops")), "{open:?}");
    rig.hub.observe().await;
    let metrics = rig.hub.metrics().encode();
    for line in [
        "connector_calls_total{connector=\"platform\",outcome=\"failed\"} 1",
        "connector_calls_total{connector=\"platform\",outcome=\"breaker_open\"} 2",
        "connection_breaker_state{connection=\"sick\",connector=\"platform\"} 2",
        "connection_breaker_state{connection=\"well\",connector=\"platform\"} 0",
        "connection_unusable{connection=\"sick\",connector=\"platform\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert_eq!(provider.seen().len(), 5);
    call(&rig, post("post-once", "well")).await.expect("another account");
    rig.hub.advance(Duration::from_secs(31)).await.expect("a test clock");
    let probe = call(&rig, post("post-once", "sick")).await.expect_err("still sick");
    assert!(matches!(&probe, CallError::Open { .. }), "one probe went: {probe:?}");
    assert_eq!(provider.seen().len(), 7);
}
