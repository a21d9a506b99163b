//! What stays when something fails: the process killed before anyone was delivered to, a disk that is nearly full, one that
//! can't be written, one whose syncs fail; and what stays to be asked.

use std::{path::Path, process::Stdio};

use nexus_client::event::EventQuery;
use nexus_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    http,
    hub::{Hub, PATIENCE, nexus, run, text},
    sink::Sink,
};

/// More than any disk has: every start is below this reserve.
const NO_ROOM: [(&str, &str); 1] = [("NEXUS_DATA_DISK_RESERVE", "1000000GiB")];

/// Asks for a fate until all its deliveries are in this state.
async fn fate(hub: &Hub, id: &str, state: &str) -> Value {
    let client = hub.client();
    let asking = async {
        loop {
            let fate = client.fate(id).await.expect("a fate");
            let deliveries = fate["deliveries"].as_array().expect("a list");
            if !deliveries.is_empty() && deliveries.iter().all(|d| d["state"] == state) {
                return fate;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{id} did not become {state}"))
}

async fn publish(hub: &Hub, topic: &str, payload: &Value) -> String {
    hub.client().publish(topic, payload, None).await.expect("accepted").message_id
}

/// C-026
#[tokio::test]
async fn what_was_published_before_a_kill_is_delivered_after_it_without_any_other_server() {
    let dir = tempfile::tempdir().expect("a folder");
    let none = [("REDIS_URL", "")];
    let consumer = Sink::with(&[], Some(0)).await;
    let hub = Hub::start_with(dir.path(), &[], &none).await;
    hub.json(&["subscribe", "consumer", "--filter", "order.*", "--to", &consumer.url]).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(publish(&hub, "order.placed", &json!({ "number": number })).await);
    }
    // The consumer was reached, but has taken in nothing: it answered no one.
    consumer.until("the first attempt", |got| !got.is_empty()).await;
    hub.kill().await;
    consumer.release(10_000);
    let before = consumer.got().len();
    let hub = Hub::start_with(dir.path(), &[], &none).await;
    for id in &ids {
        let fate = fate(&hub, id, "delivered").await;
        assert_eq!(
            (fate["verdict"].as_str(), fate["deliveries"][0]["status"].as_u64()),
            (Some("delivered"), Some(200))
        );
    }
    let after = consumer.got().split_off(before);
    for (number, id) in ids.iter().enumerate() {
        let got = after.iter().find(|g| g.body["id"] == *id).unwrap_or_else(|| panic!("{number} was not sent again"));
        assert_eq!(got.body["payload"]["number"], number);
    }
    hub.stop().await;
}

/// S-134
#[tokio::test]
async fn each_stage_of_an_event_is_told_with_its_time_also_after_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let sink = Sink::with(&[500], None).await;
    let hub = Hub::start(dir.path(), &[]).await;
    let secret = "audit-secret";
    hub.json(&["source", "add", "shop", "--secret", secret, "--allow", "ORDER_PLACED"]).await;
    let args = ["subscribe", "ledger", "--filter", "order.placed", "--to", &sink.url, "--retry", "50ms"];
    hub.json(&args).await;
    let body = r#"{"event":"ORDER_PLACED","payload":{"n":1}}"#;
    let accepted = http::post_signed(hub.address(), "/webhook/shop", secret, body).await;
    assert!(accepted.status < 300, "{accepted:?}");
    let page = hub.client().events(&EventQuery { source: Some("shop".into()), ..EventQuery::default() }).await;
    let events = page.expect("a page").items;
    assert_eq!(events.len(), 1, "{events:?}");
    let id = events[0]["id"].as_str().expect("an id").to_owned();
    fate(&hub, &id, "delivered").await;
    hub.kill().await;
    let hub = Hub::start(dir.path(), &[]).await;
    let told = hub.json(&["fate", &id]).await;
    let stages = told["stages"].as_array().expect("stages");
    let mut times = Vec::new();
    for wanted in ["received", "committed", "delivered"] {
        let stage = stages.iter().find(|s| s["stage"] == wanted).unwrap_or_else(|| panic!("no {wanted}: {told}"));
        let at = stage["at"].as_str().unwrap_or_else(|| panic!("{wanted} has no time: {told}"));
        times.push(Timestamp::parse(at).unwrap_or_else(|| panic!("{at} is no time")));
    }
    assert!(times.is_sorted(), "{told}");
    // The attempt that failed is a stage of its own: with its time, and why.
    let attempts = told["deliveries"][0]["attempts"].as_array().expect("attempts");
    assert!(attempts[0]["at"].is_string() && attempts[0]["status"] == 500, "{told}");
    assert_eq!((told["deliveries"][0]["attempt"].as_u64(), told["source"].as_str()), (Some(2), Some("shop")), "{told}");
    let shown = text(&hub.cli(&["fate", &id]).await.stdout);
    for wanted in ["received", "committed", "delivered", "ledger"] {
        assert!(shown.contains(wanted), "{shown}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn below_the_disk_reserve_doors_refuse_while_deliveries_go_on_and_are_recorded() {
    let dir = tempfile::tempdir().expect("a folder");
    let sink = Sink::with(&[500], None).await;
    let hub = Hub::start(dir.path(), &[]).await;
    hub.json(&["source", "add", "door", "--secret", "s3cret"]).await;
    hub.json(&["subscribe", "sub", "--filter", "d.*", "--to", &sink.url, "--retry", "50ms"]).await;
    hub.json(&["subscription", "pause", "sub"]).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(publish(&hub, "d.one", &json!(number)).await);
    }
    hub.stop().await;

    let hub = Hub::start_with(dir.path(), &[], &NO_ROOM).await;
    let refused = hub.client().publish("d.one", &json!(10), None).await.expect_err("below the reserve");
    assert_eq!(refused.problem().map(|p| p.status), Some(503), "{refused}");
    let body = r#"{"event":"d.one","payload":11}"#;
    let refused = http::post_signed(hub.address(), "/webhook/door", "s3cret", body).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{refused:?}");
    let health = hub.json(&["health"]).await;
    assert_eq!((&health["status"], &health["checks"]["disk"]["status"]), (&json!("degraded"), &json!("degraded")));
    hub.json(&["subscription", "resume", "sub"]).await;
    for id in &ids {
        fate(&hub, id, "delivered").await;
    }
    hub.kill().await;

    let hub = Hub::start_with(dir.path(), &[], &[("NEXUS_DATA_DISK_RESERVE", "0")]).await;
    for id in &ids {
        let fate = fate(&hub, id, "delivered").await;
        assert_eq!(fate["deliveries"][0]["status"], 200, "its receipt was written: {fate}");
    }
    let id = publish(&hub, "d.one", &json!(12)).await;
    fate(&hub, &id, "delivered").await;
    assert_eq!(sink.got().len(), 12, "ten, one of them twice, and the last: nothing refused was kept");
    let page = hub.client().events(&EventQuery { topic: Some("d.one".into()), ..EventQuery::default() }).await;
    assert_eq!(page.expect("a page").items.len(), 11);
    hub.stop().await;
}

#[tokio::test]
async fn a_folder_that_can_not_be_written_ends_the_start_and_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    // Whoever runs this, root included, makes no folder here.
    for folder in ["/proc/nexus-data", "/sys/nexus-data"] {
        let refused = run(dir.path(), &["serve", "--listen", "127.0.0.1:0", "--data", folder]).await;
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(folder), "{}", text(&refused.stderr));
        assert!(!text(&refused.stderr).contains("listening on"));
    }
    // A data folder that became read-only, where this user can be kept out or the file system knows immutable files.
    let data = dir.path().join("data");
    Hub::start(&data, &[]).await.stop().await;
    let folder = data.to_str().expect("text");
    let set =
        |flag: &str| std::process::Command::new("chattr").args(["-R", flag, folder]).stderr(Stdio::null()).status();
    if set("+i").is_ok_and(|status| status.success()) {
        let refused = run(dir.path(), &["serve", "--listen", "127.0.0.1:0", "--data", folder]).await;
        let doctor = run(dir.path(), &["doctor", "--data", folder, "--json"]).await;
        let verified = run(dir.path(), &["log", "verify", "--data", folder]).await;
        assert!(set("-i").is_ok_and(|status| status.success()));
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(folder), "{}", text(&refused.stderr));
        let told: Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
        let findings = told["findings"].as_array().expect("a list");
        assert!(findings.iter().any(|f| f["check"] == "folder" && f["level"] == "fail"), "{told}");
        assert!(verified.status.success(), "reading needs no right to write: {}", text(&verified.stderr));
    }
    Hub::start(&data, &[]).await.stop().await;
}

/// Compiles the library that lets syncs fail.
async fn failing_sync(dir: &Path) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fault/failing_sync.rs");
    let library = dir.join("failing_sync.so");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut compile = tokio::process::Command::new(rustc);
    compile.args(["--edition", "2024", "--crate-type", "cdylib", "-o"]).arg(&library).arg(source);
    let done = tokio::time::timeout(PATIENCE, compile.output()).await.expect("in time").expect("rustc runs");
    assert!(done.status.success(), "{}", text(&done.stderr));
    library.to_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_sync_that_fails_ends_the_process_and_what_was_acknowledged_stays() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, fails) = (dir.path().join("data"), dir.path().join("fails"));
    let library = failing_sync(dir.path()).await;
    let env = [("LD_PRELOAD", library.as_str()), ("NEXUS_TEST_SYNC_FAILS", fails.to_str().expect("text"))];
    let mut hub = Hub::start_with(&data, &[], &env).await;
    let mut acknowledged = Vec::new();
    for number in 0..10 {
        acknowledged.push(publish(&hub, "s.one", &json!(number)).await);
    }
    std::fs::write(&fails, "").expect("written");
    let mut publishers = JoinSet::new();
    for number in 10..18 {
        let client = hub.client();
        publishers.spawn(async move { client.publish("s.one", &json!(number), None).await });
    }
    while let Some(done) = publishers.join_next().await {
        assert!(done.expect("no panic").is_err(), "what is not on the disk is not acknowledged");
    }
    assert_eq!(hub.ended().await.code(), Some(1));
    let said = hub.logged("can't be trusted").await;
    assert!(said.contains("durable"), "{said}");
    let hub = Hub::start(&data, &[]).await;
    for id in &acknowledged {
        hub.client().event(id).await.expect("it was acknowledged");
    }
    let report = hub.client().verify_log(None).await.expect("a report");
    assert_eq!(report["ok"], true, "{report}");
    hub.stop().await;
}

#[tokio::test]
async fn a_log_cut_by_its_size_verifies_by_its_signed_cut_and_a_strangers_key_does_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    std::fs::create_dir_all(&data).expect("a folder");
    let rules = "[[retention.events]]\nfilter = \">\"\nsize = \"4KiB\"\ngrace = \"1ms\"\n";
    std::fs::write(data.join("nexus.toml"), rules).expect("written");
    let config = data.join("nexus.toml");
    let args = ["--config", config.to_str().expect("text")];
    let hub = Hub::start(&data, &args).await;
    for number in 0..60 {
        publish(&hub, "big.one", &json!({"number": number, "fill": "x".repeat(200)})).await;
    }
    hub.stop().await;
    // Retention runs at the start, then once a minute.
    let hub = Hub::start(&data, &args).await;
    let client = hub.client();
    let cut = async {
        while client.log_head().await.expect("a head")["first"].as_u64() < Some(30) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, cut).await.expect("the log is cut in time");
    let online = hub.json(&["log", "verify"]).await;
    assert_eq!(online["ok"], true, "{online}");
    let seq = online["cut"]["seq"].as_u64().expect("it says so");
    hub.stop().await;
    let folder = data.to_str().expect("text");
    let verify = async |key: Option<&str>, more: &[&str]| {
        let mut command = nexus(dir.path());
        command.args(["log", "verify", "--data", folder, "--json"]).args(more);
        if let Some(key) = key {
            command.env("NEXUS_ENCRYPTION_KEY", key);
        }
        let done = tokio::time::timeout(PATIENCE, command.output()).await.expect("in time").expect("it runs");
        serde_json::from_slice::<Value>(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&done.stderr)))
    };
    let known = verify(None, &[]).await;
    assert_eq!((known["ok"].as_bool(), known["cut"]["known"].as_bool()), (Some(true), Some(true)), "{known}");
    assert!(known["cut"]["seq"].as_u64() >= Some(seq), "{known}");
    let doctor = run(dir.path(), &["doctor", "--data", folder, "--json"]).await;
    let doctor: Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    let chain =
        doctor["findings"].as_array().expect("a list").iter().find(|f| f["check"] == "chain").expect("looked at");
    assert!(chain["detail"].as_str().is_some_and(|d| d.contains("this hub cut it after seq")), "{chain}");
    let foreign = verify(Some(&"ab".repeat(32)), &[]).await;
    assert_eq!(foreign["ok"], false, "{foreign}");
    assert!(foreign["problem"].as_str().is_some_and(|p| p.contains("no key of this hub")), "{foreign}");
    std::fs::rename(data.join("vault.key"), dir.path().join("elsewhere")).expect("moved");
    let unknown = verify(None, &[]).await;
    assert_eq!((unknown["ok"].as_bool(), unknown["cut"]["known"].as_bool()), (Some(true), None), "{unknown}");
    let named = verify(None, &["--signer", known["cut"]["public_key"].as_str().expect("a key")]).await;
    assert_eq!(named["cut"]["known"], true, "{named}");
}

#[tokio::test]
async fn a_backup_taken_while_events_come_in_is_restored_with_all_that_was_there_before_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(&dir.path().join("data"), &[]).await;
    let mut before = Vec::new();
    for number in 0..50 {
        before.push(publish(&hub, "b.one", &json!(number)).await);
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut publishers = JoinSet::new();
    for _ in 0..4 {
        let (client, stopped) = (hub.client(), stopped.clone());
        publishers.spawn(async move {
            let mut count = 0u32;
            while !*stopped.borrow() {
                client.publish("b.load", &json!(count), None).await.expect("accepted");
                count += 1;
            }
            count
        });
    }
    let file = dir.path().join("copy.db");
    let path = file.to_str().expect("text");
    hub.json(&["backup", path]).await;
    stop.send_replace(true);
    let mut during = 0;
    while let Some(count) = publishers.join_next().await {
        during += count.expect("no publisher panics");
    }
    assert!(during > 0, "the load was no load");
    let key = hub.data.join("vault.key");
    let token = hub.token();
    hub.stop().await;
    let copy = dir.path().join("restored");
    let restored = run(dir.path(), &["restore", path, "--data", copy.to_str().expect("text"), "--json"]).await;
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    std::fs::copy(key, copy.join("vault.key")).expect("copied");
    std::fs::write(copy.join("admin.token"), token).expect("written");
    let hub = Hub::start(&copy, &[]).await;
    for id in &before {
        hub.client().event(id).await.expect("it was there before the backup");
    }
    hub.stop().await;
}
