//! The log as files: verified, tampered with, backed up, restored, exported, imported.

use std::path::Path;

use serde_json::Value;

use crate::hub::{Hub, run, text};

async fn with_events(data: &Path, count: u32) -> Hub {
    let hub = Hub::start(data, &[]).await;
    let client = hub.client();
    for number in 0..count {
        let payload = serde_json::json!({ "number": number, "mark": "tamper-here" });
        client.publish("file.test", &payload, None).await.expect("published");
    }
    hub
}

async fn verify(data: &Path, further: &[&str]) -> (bool, Value) {
    let folder = data.to_str().expect("text");
    let output = run(data, &[&["log", "verify", "--data", folder, "--json"], further].concat()).await;
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)));
    (output.status.success(), report)
}

/// N-028
#[tokio::test]
async fn a_record_that_was_edited_by_hand_is_found_and_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = with_events(dir.path(), 5).await;
    hub.stop().await;
    assert!(verify(dir.path(), &[]).await.0);
    let file = dir.path().join("nexus.db");
    let mut bytes = std::fs::read(&file).expect("read");
    let mark = b"tamper-here";
    let at = bytes.windows(mark.len()).position(|w| w == mark).expect("an event's data is in the file");
    bytes[at] = b'T';
    std::fs::write(&file, bytes).expect("written");
    let (good, report) = verify(dir.path(), &[]).await;
    assert!(!good && report["ok"] == false, "{report}");
    assert!(report["bad_seq"].is_u64(), "{report}");
}

#[tokio::test]
async fn a_checkpoint_kept_elsewhere_shows_that_the_tail_was_cut() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let hub = with_events(&data, 3).await;
    let early = dir.path().join("early.db");
    let backup = hub.cli(&["backup", early.to_str().expect("text")]).await;
    assert!(backup.status.success(), "{}", text(&backup.stderr));
    hub.client().publish("file.test", &Value::Null, None).await.expect("published");
    let checkpoint = dir.path().join("checkpoint.json");
    std::fs::write(&checkpoint, hub.json(&["log", "checkpoint"]).await.to_string()).expect("written");
    let against = ["--against", checkpoint.to_str().expect("text")];
    hub.stop().await;
    assert!(verify(&data, &against).await.0);
    // The log of before that event, put in its place: it verifies by itself, but not against the checkpoint.
    for suffix in ["nexus.db-wal", "nexus.db-shm"] {
        drop(std::fs::remove_file(data.join(suffix)));
    }
    std::fs::copy(&early, data.join("nexus.db")).expect("copied");
    assert!(verify(&data, &[]).await.0);
    let (good, report) = verify(&data, &against).await;
    assert!(!good, "{report}");
}

#[tokio::test]
async fn a_backup_of_a_running_hub_becomes_a_folder_in_a_new_epoch() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, copy) = (dir.path().join("data"), dir.path().join("copy"));
    let hub = with_events(&data, 4).await;
    let file = dir.path().join("hub.backup");
    let path = file.to_str().expect("text");
    let done = hub.json(&["backup", path]).await;
    assert!(done["bytes"].as_u64() > Some(0), "{done}");
    assert_eq!(hub.cli(&["backup", path]).await.status.code(), Some(2), "a file that exists is not written over");
    let token = hub.token();
    let head = hub.client().log_head().await.expect("a head")["seq"].clone();
    hub.stop().await;
    let folder = copy.to_str().expect("text");
    let restored = run(dir.path(), &["restore", path, "--data", folder, "--json"]).await;
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    let restored: Value = serde_json::from_slice(&restored.stdout).expect("JSON");
    assert_eq!(restored["epoch"], 2, "{restored}");
    let again = run(dir.path(), &["restore", path, "--data", folder]).await;
    assert_eq!(again.status.code(), Some(1), "only into an empty folder");
    std::fs::copy(data.join("vault.key"), copy.join("vault.key")).expect("copied");
    std::fs::write(copy.join("admin.token"), token).expect("written");
    let hub = Hub::start(&copy, &[]).await;
    let there = hub.client().log_head().await.expect("a head");
    assert!(there["seq"].as_u64() >= restored["seq"].as_u64() && head.as_u64() >= restored["seq"].as_u64(), "{there}");
    assert_eq!(there["epoch"], 2, "{there}");
    hub.stop().await;
}

#[tokio::test]
async fn a_log_goes_through_a_file_into_another_hub_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = with_events(&dir.path().join("a"), 1_200).await;
    let file = dir.path().join("log.jsonl");
    let path = file.to_str().expect("text");
    let first = hub.json(&["export", path]).await;
    hub.client().publish("file.test", &serde_json::json!({}), None).await.expect("published");
    let second = hub.json(&["export", path]).await;
    assert!(second["last_seq"].as_u64() > first["last_seq"].as_u64(), "{first} {second}");
    let lines = std::fs::read_to_string(&file).expect("read").lines().count() as u64;
    assert_eq!(Some(lines), second["last_seq"].as_u64(), "every event once, the second run went on");
    hub.stop().await;
    let other = Hub::start(&dir.path().join("b"), &[]).await;
    let imported = other.json(&["import", path]).await;
    assert_eq!(imported["stored"].as_u64(), Some(lines), "{imported}");
    assert_eq!(imported["epoch"], 2, "to whoever knows the exported log this is another one: {imported}");
    assert_eq!(other.client().log_head().await.expect("a head")["epoch"], 2);
    let repeated = other.json(&["import", path]).await;
    assert_eq!((repeated["stored"].as_u64(), repeated["repeated"].as_u64()), (Some(0), Some(lines)), "{repeated}");
    assert!(repeated["epoch"].is_null(), "{repeated}");
    other.stop().await;
}
