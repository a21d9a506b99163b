//! The command line against a running hub, as scripts use it.

use futures_util::StreamExt;
use nexus_client::{consume::Consumed, subscription::NewSubscription, tail::Tailed};
use serde_json::{Value, json};

use crate::{
    hub::{Hub, PATIENCE, run, text},
    sink::Sink,
};

#[tokio::test]
async fn a_script_can_add_publish_follow_and_ask() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let sink = Sink::start().await;
    let made = hub.json(&["source", "add", "shop", "--allow", "order.*", "--rate-limit", "5/s"]).await;
    assert!(made["secret"].as_str().is_some_and(|s| s.len() > 16), "the hub made a secret: {made}");
    assert_eq!(hub.json(&["source", "list"]).await[0]["id"], "shop");
    let shown = hub.json(&["source", "show", "shop"]).await;
    assert!(shown["secret"].is_null(), "never again: {shown}");
    hub.json(&["source", "rotate", "shop", "--secret", "other", "--overlap", "1h"]).await;
    let subscribed = hub.json(&["subscribe", "crm", "--filter", "order.*", "--to", &sink.url]).await;
    assert_eq!(subscribed["name"], "crm");
    let published = hub.json(&["publish", "order.created", r#"{"n":1}"#, "--priority", "HIGH"]).await;
    let id = published["message_id"].as_str().expect("an id");
    sink.until("the delivery", |got| got.iter().any(|g| g.body["id"] == id)).await;
    let tailed = hub.json(&["tail", "--filter", "order.*", "--since", "0", "--count", "1"]).await;
    assert_eq!((tailed["id"].as_str(), tailed["payload"]["n"].as_u64()), (Some(id), Some(1)));
    let found = hub.json(&["events", "--type", "order.created"]).await;
    assert_eq!(found[0]["id"], id, "{found}");
    assert_eq!(hub.json(&["fate", id]).await["event_id"], id);
    let test = hub.json(&["subscription", "test", "crm"]).await;
    assert_eq!(test["response"]["status"], 200, "{test}");
    hub.json(&["subscription", "pause", "crm", "--reason", "tidying up"]).await;
    assert_eq!(hub.json(&["subscription", "show", "crm"]).await["subscription"]["activity"]["state"], "paused");
    hub.json(&["subscription", "resume", "crm"]).await;
    hub.json(&["subscription", "remove", "crm"]).await;
    hub.json(&["source", "remove", "shop"]).await;
    hub.stop().await;
}

#[tokio::test]
async fn a_script_can_consume_and_what_it_did_not_acknowledge_comes_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    // Until the subscription is there nothing is kept for it.
    let missing = hub.cli(&["consume", "jobs", "--count", "1"]).await;
    assert!(!missing.status.success() && text(&missing.stderr).contains("jobs"), "{}", text(&missing.stderr));
    let client = hub.client();
    let target = Some(serde_json::json!({"kind": "consumer"}));
    let new =
        NewSubscription { name: "jobs".into(), filters: vec!["job.*".into()], target, ..NewSubscription::default() };
    client.ensure_subscription(&new).await.expect("made");
    let published = hub.json(&["publish", "job.one", r#"{"n":1}"#]).await;
    let first = hub.json(&["consume", "jobs", "--filter", "job.*", "--count", "1"]).await;
    assert_eq!((&first["id"], &first["attempt"]), (&published["message_id"], &Value::from(1)));
    let again = hub.json(&["consume", "jobs", "--ack", "--count", "1"]).await;
    assert_eq!((&again["delivery_id"], &again["attempt"]), (&first["delivery_id"], &Value::from(2)));
    let two = hub.json(&["publish", "job.two", "2"]).await;
    let pulled = client.pull("jobs", 5, PATIENCE / 2).await.expect("pulled");
    assert_eq!((pulled.len(), &pulled[0].id), (1, &text(two["message_id"].as_str().expect("an id").as_bytes())));
    client.extend("jobs", &pulled[0].lease, PATIENCE).await.expect("held");
    client.nack("jobs", &pulled[0].lease, Some(std::time::Duration::ZERO), "not yet").await.expect("held");
    let pulled = client.pull("jobs", 5, PATIENCE / 2).await.expect("pulled");
    let acked = client.ack("jobs", &[pulled[0].lease.clone()]).await.expect("answered");
    assert_eq!((pulled[0].attempt, acked.acked, acked.unheld.len()), (2, 1, 0));
    hub.stop().await;
}

#[tokio::test]
async fn a_consumer_survives_the_death_of_its_hub_and_gets_the_same_delivery() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let port = hub.address().rsplit_once(':').expect("a port").1.to_owned();
    let target = Some(serde_json::json!({"kind": "consumer"}));
    let new =
        NewSubscription { name: "jobs".into(), filters: vec!["job".into()], target, ..NewSubscription::default() };
    let client = hub.client();
    client.ensure_subscription(&new).await.expect("made");
    client.publish("job", &serde_json::json!(1), None).await.expect("published");
    let mut consumer = client.consume("jobs", 4);
    let Ok(Consumed::Delivery(first)) = consumer.next().await else { panic!("a delivery") };
    hub.kill().await;
    assert!(matches!(consumer.next().await, Ok(Consumed::Lost(_))));
    let listen = format!("127.0.0.1:{port}");
    let hub = Hub::start(dir.path(), &["--listen", &listen]).await;
    let again = tokio::time::timeout(PATIENCE, consumer.next()).await.expect("in time");
    let Ok(Consumed::Delivery(again)) = again else { panic!("{again:?}") };
    // The attempt that was under way when the hub died left no trace.
    assert_eq!((&again.delivery_id, again.attempt), (&first.delivery_id, 1));
    consumer.ack(&again.lease).await;
    consumer.close().await;
    hub.stop().await;
}

/// C-027
#[tokio::test]
async fn a_dead_letter_can_be_seen_and_sent_again_when_its_endpoint_is_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let sink = Sink::with(&[500, 500], None).await;
    let args = ["subscribe", "dlq", "--filter", "d.*", "--to", &sink.url, "--max-attempts", "2", "--retry", "50ms"];
    hub.json(&args).await;
    let published = hub.json(&["publish", "d.one", "{}"]).await;
    sink.until("both attempts", |got| got.len() == 2).await;
    let dead = until_dead(&hub).await;
    assert_eq!(dead["event_id"], published["message_id"]);
    assert_eq!(dead["attempts"].as_array().map(Vec::len), Some(2), "{dead}");
    let id = dead["id"].as_str().expect("an id");
    hub.json(&["dead", "show", id]).await;
    let event = published["message_id"].as_str().expect("an id");
    let listed = hub.json(&["deliveries", "list", "--subscription", "dlq", "--state", "dead", "--event", event]).await;
    assert_eq!(listed[0]["id"], *id, "{listed}");
    assert_eq!(hub.json(&["deliveries", "list", "--state", "retrying"]).await, serde_json::json!([]));
    assert_eq!(hub.json(&["deliveries", "show", id]).await["attempts"], dead["attempts"]);
    hub.json(&["dead", "redrive", id]).await;
    sink.until("the redrive", |got| got.len() == 3).await;
    hub.stop().await;
}

async fn until_dead(hub: &Hub) -> Value {
    let client = hub.client();
    let asking = async {
        loop {
            let page = client.dead_letters(Some("dlq"), None, None).await.expect("a list");
            if let Some(dead) = page.items.into_iter().next() {
                return serde_json::to_value(dead).expect("JSON");
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it is dead in time")
}

/// C-154, N-015
#[tokio::test]
async fn a_replay_counts_first_and_then_sends_marked_events() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let sink = Sink::start().await;
    hub.json(&["subscribe", "again", "--filter", "r.*", "--to", &sink.url]).await;
    for number in 0..3 {
        hub.json(&["publish", "r.one", &number.to_string()]).await;
    }
    sink.until("the deliveries", |got| got.len() == 3).await;
    let count = hub.json(&["replay", "--subscription", "again", "--from", "0", "--dry-run"]).await;
    assert_eq!(count["events"], 3, "{count}");
    let replay = hub.json(&["replay", "--subscription", "again", "--from", "0"]).await;
    assert_eq!(replay["state"], "done", "{replay}");
    let got = sink.until("the replay", |got| got.len() == 6).await;
    let marked = got.iter().filter(|g| !g.header("x-nexus-replay").is_empty()).count();
    assert_eq!(marked, 3);
    hub.stop().await;
}

#[tokio::test]
async fn a_token_allows_what_its_scopes_say_until_it_is_revoked() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let output = hub.cli(&["token", "create", "reader", "--scope", "events:read"]).await;
    let token = text(&output.stdout).trim().to_owned();
    assert!(token.starts_with("nxs_"), "only the token is printed: {token}");
    let with = async |args: &[&str]| run(dir.path(), &[&["--url", &hub.url, "--token", &token], args].concat()).await;
    assert!(with(&["events"]).await.status.success());
    let refused = with(&["publish", "a.b", "{}"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("events:publish"), "the scope is named: {}", text(&refused.stderr));
    let listed = hub.json(&["token", "list"]).await;
    let id = listed.as_array().expect("a list").iter().find(|t| t["name"] == "reader").expect("it")["id"].clone();
    hub.json(&["token", "revoke", id.as_str().expect("an id")]).await;
    assert_eq!(with(&["events"]).await.status.code(), Some(1));
    hub.stop().await;
}

#[tokio::test]
async fn a_lost_admin_token_is_made_anew_where_no_hub_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let (data, file) = (dir.path().to_str().expect("text"), dir.path().join("admin.token"));
    let running = run(dir.path(), &["token", "recover", "--data", data]).await;
    assert_eq!(running.status.code(), Some(1), "{}", text(&running.stderr));
    hub.stop().await;
    std::fs::write(&file, "nxs_lost\n").expect("lost");
    let empty = tempfile::tempdir().expect("a folder");
    let nothing = run(dir.path(), &["token", "recover", "--data", empty.path().to_str().expect("text")]).await;
    assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing.stderr));
    let made = run(dir.path(), &["token", "recover", "found", "--data", data]).await;
    assert!(made.status.success(), "{}", text(&made.stderr));
    let token = text(&made.stdout).trim().to_owned();
    assert_eq!(std::fs::read_to_string(&file).expect("kept").trim(), token);
    let hub = Hub::start(dir.path(), &[]).await;
    let listed = hub.json(&["token", "list"]).await;
    let found = listed.as_array().expect("a list").iter().find(|t| t["name"] == "found").expect("it").clone();
    assert_eq!(found["scopes"], json!(["admin"]));
    hub.stop().await;
}

#[tokio::test]
async fn a_wrong_token_a_wrong_address_and_a_grace_in_minutes() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let refused = run(dir.path(), &["--url", &hub.url, "--token", "bad", "health"]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stdout));
    assert!(text(&refused.stderr).contains("did not accept the token"), "{}", text(&refused.stderr));
    hub.cli(&["token", "create", "ci", "--scope", "events:read"]).await;
    let listed = hub.json(&["token", "list"]).await;
    let id = listed.as_array().expect("a list").iter().find(|t| t["name"] == "ci").expect("it")["id"].clone();
    let mut id = id.as_str().expect("an id").to_owned();
    for grace in ["5m", "90"] {
        let rotated = hub.json(&["token", "rotate", &id, "--grace", grace]).await;
        id = rotated["id"].as_str().expect("an id").to_owned();
    }
    let wrong = hub.cli(&["token", "rotate", &id, "--grace", "soon"]).await;
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("for example 30s"), "{}", text(&wrong.stderr));
    hub.stop().await;
    let nonsense = run(dir.path(), &["serve", "--listen", "nope"]).await;
    assert_eq!(nonsense.status.code(), Some(2), "{}", text(&nonsense.stderr));
}

#[tokio::test]
async fn the_token_file_of_the_data_folder_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let folder = dir.path().to_str().expect("text");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let named = run(elsewhere.path(), &["source", "list", "--url", &hub.url, "--data", folder]).await;
    assert!(named.status.success(), "{}", text(&named.stderr));
    let unnamed = run(elsewhere.path(), &["source", "list", "--url", &hub.url]).await;
    assert_eq!(unnamed.status.code(), Some(1));
    assert!(text(&unnamed.stderr).contains("NEXUS_TOKEN"), "{}", text(&unnamed.stderr));
    let here = run(dir.path(), &["source", "list", "--url", &hub.url]).await;
    assert!(here.status.success(), "the working directory is looked at: {}", text(&here.stderr));
    hub.stop().await;
}

#[tokio::test]
async fn a_tail_goes_on_without_a_gap_when_the_hub_comes_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let address = hub.address().to_owned();
    let client = hub.client();
    let mut tail = Box::pin(client.tail("t.*", Some("0")));
    let mut expected = Vec::new();
    expected.push(client.publish("t.one", &Value::Null, None).await.expect("published").message_id);
    let next = async |tail: &mut std::pin::Pin<Box<_>>| next_event(tail).await;
    assert_eq!(next(&mut tail).await, expected[0]);
    hub.kill().await;
    let hub = Hub::start(dir.path(), &["--listen", &address]).await;
    for topic in ["t.two", "t.three"] {
        expected.push(hub.client().publish(topic, &Value::Null, None).await.expect("published").message_id);
    }
    assert_eq!(next(&mut tail).await, expected[1]);
    assert_eq!(next(&mut tail).await, expected[2]);
    hub.stop().await;
}

async fn next_event(
    tail: &mut (impl futures_util::Stream<Item = Result<Tailed, nexus_client::Error>> + Unpin),
) -> String {
    let search = async {
        loop {
            match tail.next().await.expect("it does not end").expect("no refusal") {
                Tailed::Event(event) => return event.id,
                Tailed::Gap(gap) => panic!("{gap}"),
                Tailed::Lost(_) => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("an event in time")
}

#[tokio::test]
async fn a_command_without_a_hub_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = run(dir.path(), &["source", "list", "--url", "http://127.0.0.1:9"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nexus serve"), "{}", text(&output.stderr));
    let wrong = run(dir.path(), &["source", "list", "--url", "127.0.0.1:9"]).await;
    assert_eq!(wrong.status.code(), Some(2));
    let bad = run(dir.path(), &["publish", "a.b", "{"]).await;
    assert_eq!(bad.status.code(), Some(2));
}

#[tokio::test]
async fn doctor_names_what_is_risky_and_fails_only_for_what_is_broken() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    hub.json(&["source", "add", "anything"]).await;
    let report = hub.json(&["doctor", "--data", dir.path().to_str().expect("text")]).await;
    let findings = report["findings"].as_array().expect("findings");
    let of = |check: &str| findings.iter().find(|f| f["check"] == check).cloned().unwrap_or_default();
    for check in ["config", "folder", "space", "fsync", "clock", "key", "chain", "hub"] {
        assert!(of(check)["level"].is_string(), "{check} is not looked at: {report}");
    }
    assert_eq!(of("sources")["level"], "warn", "{report}");
    hub.stop().await;
    let file = dir.path().join("vault.key");
    std::fs::remove_file(file).expect("removed");
    let data = dir.path().to_str().expect("text");
    let broken = run(dir.path(), &["doctor", "--data", data, "--url", "http://127.0.0.1:9", "--json"]).await;
    assert_eq!(broken.status.code(), Some(1), "{}", text(&broken.stdout));
}

#[tokio::test]
async fn completions_and_manual_pages_are_made() {
    let dir = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish"] {
        let output = run(dir.path(), &["completions", shell]).await;
        assert!(output.status.success() && text(&output.stdout).contains("nexus"));
    }
    assert!(text(&run(dir.path(), &["man"]).await.stdout).starts_with(".ie"));
    assert!(run(dir.path(), &["man", "pages"]).await.status.success());
    assert!(dir.path().join("pages/nexus-log-verify.1").exists() || dir.path().join("pages/nexus-log.1").exists());
}
