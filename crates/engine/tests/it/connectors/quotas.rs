//! Long quotas over a restart.

use std::{sync::Arc, time::Duration};

use nexus_engine::connectors::{CallError, ConnectorCall};
use serde_json::json;

use super::{PLATFORM, call, config, platform, post, rig};
use crate::{
    provider::{Provider, says},
    rig::Rig,
};

fn daily(requests: u32) -> String {
    PLATFORM.replace("limits:\n", &format!("limits:\n  account: [{{requests: {requests}, per: 24h}}]\n"))
}

fn at_once(account: &str) -> ConnectorCall {
    ConnectorCall { patience: Duration::ZERO, ..post("post", account) }
}

/// How many calls get through until the quota says no.
async fn left(rig: &Rig, account: &str) -> usize {
    for n in 0..1_000 {
        match call(rig, at_once(account)).await {
            Ok(_) => {}
            Err(CallError::RateLimited { until, .. }) => {
                assert!(until.since(rig.hub.clock().now()) > Duration::from_secs(3_600), "{until}");
                return n;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("nothing limits it");
}

/// S-163
#[tokio::test]
async fn a_restart_gives_no_second_quota() {
    let provider = Provider::start(|_| says(201, &json!({"id": 1}))).await;
    let rig = rig(&daily(40)).await;
    platform(&rig, "a", &provider, "some-token").await;
    platform(&rig, "b", &provider, "other-token").await;
    for _ in 0..30 {
        call(&rig, at_once("a")).await.expect("within the quota");
    }
    let rig = rig.restart_with(config(&daily(40))).await;
    assert_eq!(left(&rig, "a").await, 10, "exactly what was left");
    let rig = rig.restart_with(config(&daily(40))).await;
    assert_eq!((left(&rig, "a").await, left(&rig, "b").await), (0, 40), "another account has its own");
    rig.hub.advance(Duration::from_secs(25 * 3_600)).await.expect("a test clock");
    assert_eq!(left(&rig, "a").await, 40, "a day later");
    assert_eq!(provider.seen().len(), 120);
}

/// S-163
#[tokio::test]
async fn a_crash_gives_no_second_quota_and_no_call_is_a_commit() {
    let provider = Provider::start(|_| says(201, &json!({"id": 1}))).await;
    let rig = rig(&daily(200)).await;
    platform(&rig, "a", &provider, "some-token").await;
    let before = rig.store.stats().commits;
    for _ in 0..150 {
        call(&rig, at_once("a")).await.expect("within the quota");
    }
    let commits = rig.store.stats().commits - before;
    assert!(commits <= 40, "{commits} commits for 150 calls");
    // The folder as a kill would leave it.
    let copy = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    for entry in std::fs::read_dir(rig.folder.path()).expect("a folder") {
        let file = entry.expect("an entry").path();
        std::fs::copy(&file, copy.path().join(file.file_name().expect("a name"))).expect("copied");
    }
    rig.end().await;
    let rig = Rig::open(copy, config(&daily(200))).await;
    let left = left(&rig, "a").await;
    assert!((40..=50).contains(&left), "at most what is left, and little less: {left}");
}
