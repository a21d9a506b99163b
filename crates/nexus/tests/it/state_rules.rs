//! Shared state, from outside: conflicts and their rules, transactions, keys that end, watches, the file.

use std::time::Duration;

use futures_util::StreamExt;
use nexus_client::{
    state::{PutState, Watch},
    tail::Tailed,
};
use serde_json::{Value, json};

use crate::{
    http::Answer,
    hub::{Hub, PATIENCE, text},
    state::Door,
};

async fn started(args: &[&str]) -> (tempfile::TempDir, Hub, Door) {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), args).await;
    let door = Door::of(&hub);
    (dir, hub, door)
}

async fn policy(door: &Door, name: &str, rule: Value) -> Answer {
    let answer = door.put(&format!("/api/v1/state/policies/{name}"), &rule).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

async fn value(door: &Door, key: &str) -> Value {
    door.get(&format!("/state/{key}")).await.json()["value"].clone()
}

/// S-150a
#[tokio::test]
async fn without_an_expectation_the_later_write_wins_and_the_loser_stays_in_the_history() {
    let (_dir, hub, door) = started(&[]).await;
    let bodies: Vec<Value> = (0..40).map(|n| json!({"value": n})).collect();
    let writes = bodies.iter().map(|body| door.put("/state/k", body));
    let done = futures_util::future::join_all(writes).await;
    let mut versions: Vec<(u64, u64)> = done
        .iter()
        .enumerate()
        .map(|(n, answer)| (answer.json()["version"].as_u64().expect("a version"), n as u64))
        .collect();
    versions.sort_unstable();
    assert!(versions.iter().map(|v| v.0).eq(1..=40), "{versions:?}");
    assert_eq!(value(&door, "k").await, versions[39].1);
    let history = door.get("/state/k/history").await.json()["history"].clone();
    let kept: Vec<_> = history.as_array().expect("a list").iter().map(|v| v["value"].as_u64().expect("n")).collect();
    assert_eq!(kept, versions.iter().map(|v| v.1).collect::<Vec<_>>());
    let changes = door.changes("k").await;
    assert_eq!(changes.len(), 40);
    assert!(changes.windows(2).all(|pair| pair[0]["new"] == pair[1]["old"]), "{changes:#?}");
    hub.stop().await;
}

/// S-150b
#[tokio::test]
async fn by_a_merging_rule_edits_of_different_fields_are_both_kept() {
    let (_dir, hub, door) = started(&[]).await;
    policy(&door, "carts", json!({"prefix": "cart/", "on_conflict": "merge"})).await;
    door.put("/state/cart/1", &json!({"value": {"a": 1, "b": {"x": 1}}})).await;
    door.put("/state/cart/1", &json!({"value": {"a": 2, "b": {"x": 1}}, "expected_version": 1})).await;
    let merged =
        door.put("/state/cart/1", &json!({"value": {"a": 1, "b": {"x": 9}, "c": 3}, "expected_version": 1})).await;
    assert_eq!((merged.status, &merged.json()["version"], &merged.json()["merged"]), (200, &json!(3), &json!(true)));
    assert_eq!(value(&door, "cart/1").await, json!({"a": 2, "b": {"x": 9}, "c": 3}));
    let strict = door.send("PUT", "/state/cart/1", &[("If-Match", "1")], r#"{"value":{}}"#).await;
    assert_eq!((strict.status, &strict.json()["version"]), (409, &json!(3)), "a precondition is one: {strict:?}");
    for (kind, values, joined) in [
        ("counter", [json!(10), json!(15), json!(12)], json!(17)),
        ("set", [json!(["a"]), json!(["a", "b"]), json!(["a", "c"])], json!(["a", "b", "c"])),
        ("list", [json!([1]), json!([1, 2]), json!([1, 1])], json!([1, 2, 1])),
    ] {
        policy(&door, kind, json!({"prefix": format!("{kind}/"), "on_conflict": "merge", "merge": kind})).await;
        let path = format!("/state/{kind}/k");
        let [base, current, wanted] = values;
        door.put(&path, &json!({"value": base})).await;
        door.put(&path, &json!({"value": current})).await;
        let done = door.put(&path, &json!({"value": wanted, "expected_version": 1})).await;
        assert_eq!(done.status, 200, "{done:?}");
        assert_eq!(value(&door, &format!("{kind}/k")).await, joined);
    }
    let odd = door.put("/state/counter/k", &json!({"value": "text", "expected_version": 1})).await;
    assert_eq!(odd.status, 409, "{odd:?}");
    assert!(odd.json()["message"].as_str().expect("text").contains("a counter needs numbers"), "{odd:?}");
    let lists = door.get("/api/v1/state/policies").await.json();
    assert_eq!(lists["data"].as_array().expect("a list").len(), 4);
    assert_eq!(door.delete("/api/v1/state/policies/carts").await.status, 200);
    let plain = door.put("/state/cart/1", &json!({"value": 1, "expected_version": 1})).await;
    assert_eq!(plain.status, 409, "{plain:?}");
    hub.stop().await;
}

/// C-043
#[tokio::test]
async fn a_custom_resolver_joins_conflicting_writes_and_both_are_in_the_history() {
    let (dir, hub, door) = started(&[]).await;
    let jq = "{by: .key, best: ([.current.best, .wanted.best] | max), base: .base.best}";
    policy(&door, "best", json!({"prefix": "score/", "on_conflict": "custom", "jq": jq})).await;
    policy(&door, "plugin", json!({"prefix": "plugin/", "on_conflict": "custom", "resolver": "none-such"})).await;
    hub.stop().await;
    // Rules are kept.
    let hub = Hub::start(dir.path(), &[]).await;
    let door = Door::of(&hub).with(&hub.token());
    door.put("/state/score/1", &json!({"value": {"best": 1}})).await;
    door.put("/state/score/1", &json!({"value": {"best": 7}, "expected_version": 1})).await;
    let resolved = door.put("/state/score/1", &json!({"value": {"best": 5}, "expected_version": 1})).await;
    assert_eq!((resolved.status, &resolved.json()["version"]), (200, &json!(3)), "{resolved:?}");
    let history = door.get("/state/score/1/history").await.json();
    let values: Vec<_> = history["history"].as_array().expect("a list").iter().map(|v| v["value"].clone()).collect();
    assert_eq!(values, [json!({"best": 1}), json!({"best": 7}), json!({"by": "score/1", "best": 7, "base": 1})]);
    door.put("/state/plugin/1", &json!({"value": 1})).await;
    let nobody = door.put("/state/plugin/1", &json!({"value": 2, "expected_version": 0})).await;
    assert_eq!(nobody.status, 409, "{nobody:?}");
    assert!(nobody.json()["message"].as_str().expect("text").contains("none-such"), "{nobody:?}");
    let bad = door.put("/api/v1/state/policies/x", &json!({"prefix": "", "on_conflict": "custom", "jq": "env"})).await;
    assert_eq!(bad.status, 422, "{bad:?}");
    hub.stop().await;
}

/// S-150c C-162
#[tokio::test]
async fn a_conflict_waits_for_somebodys_choice_and_is_counted() {
    let (_dir, hub, door) = started(&[]).await;
    policy(&door, "docs", json!({"prefix": "doc/", "on_conflict": "user_confirmation"})).await;
    let mut ids = Vec::new();
    for key in ["doc/a", "doc/b", "doc/c"] {
        door.put(&format!("/state/{key}"), &json!({"value": "base"})).await;
        door.put(&format!("/state/{key}"), &json!({"value": "theirs"})).await;
        let parked = door.put(&format!("/state/{key}"), &json!({"value": "mine", "expected_version": 1})).await;
        assert_eq!((parked.status, &parked.json()["version"]), (409, &json!(2)), "{parked:?}");
        ids.push(parked.json()["conflict_id"].as_str().expect("an id").to_owned());
    }
    let waiting = door.get("/api/v1/state/conflicts").await.json();
    assert_eq!(waiting["data"].as_array().expect("a list").len(), 3, "{waiting}");
    assert_eq!(waiting["data"][0]["wanted"], "mine");
    let summary = door.get("/api/v1/state/summary").await.json()["data"].clone();
    assert_eq!((&summary["conflicts"], &summary["open"]), (&json!(3), &json!(3)), "{summary}");
    assert_eq!(
        (&summary["last_conflict"]["key"], &summary["last_conflict"]["outcome"]),
        (&json!("doc/c"), &json!("parked"))
    );
    assert!(summary["last_conflict"]["at"].is_string(), "{summary}");
    let metrics = door.get("/metrics").await.body;
    assert!(metrics.contains("nexus_state_conflicts_total{outcome=\"parked\"} 3"), "{metrics}");
    let choices = [json!({"choice": "current"}), json!({"choice": "wanted"}), json!({"choice": "value", "value": [1]})];
    for (id, choice) in ids.iter().zip(&choices) {
        let done = door.post(&format!("/api/v1/state/conflicts/{id}/resolve"), choice).await;
        assert_eq!(done.status, 200, "{done:?}");
        assert_eq!(done.json()["data"]["resolved"]["choice"], choice["choice"], "{done:?}");
        let again = door.post(&format!("/api/v1/state/conflicts/{id}/resolve"), choice).await;
        assert_eq!(again.status, 409, "{again:?}");
    }
    assert_eq!(value(&door, "doc/a").await, "theirs");
    assert_eq!(value(&door, "doc/b").await, "mine");
    assert_eq!(value(&door, "doc/c").await, json!([1]));
    assert_eq!(door.get("/api/v1/state/conflicts").await.json()["data"], json!([]));
    assert_eq!(door.get("/api/v1/state/conflicts?all=true&key=doc/b").await.json()["data"][0]["id"], *ids[1]);
    let odd = door.post(&format!("/api/v1/state/conflicts/{}/resolve", ids[0]), &json!({"choice": "none"})).await;
    assert_eq!(odd.status, 422, "{odd:?}");
    assert_eq!(door.get("/api/v1/state/conflicts/none").await.status, 404);
    hub.stop().await;
}

/// S-150d
#[tokio::test]
async fn a_transaction_whose_step_fails_leaves_nothing_and_an_unconfirmed_one_is_undone() {
    let (_dir, hub, door) = started(&["--dev", "--test-clock"]).await;
    let transact = |body: Value| {
        let door = &door;
        async move { door.post("/api/v1/state/transactions", &body).await }
    };
    door.put("/state/stock", &json!({"value": 5})).await;
    let three = |last: Value| json!({"changes": [{"key": "a", "value": 1}, {"key": "b", "value": 2}, last]});
    let failed = transact(three(json!({"key": "stock", "value": 4, "expected_version": 9}))).await;
    assert_eq!((failed.status, &failed.json()["version"]), (409, &json!(1)), "{failed:?}");
    let mut checked = three(json!({"key": "stock", "value": -1}));
    checked["checks"] = json!([".a < .b", ".stock >= 0"]);
    let failed = transact(checked).await;
    assert_eq!(failed.status, 409, "{failed:?}");
    assert!(failed.json()["message"].as_str().expect("text").contains(".stock >= 0"), "{failed:?}");
    for key in ["a", "b"] {
        assert_eq!(door.get(&format!("/state/{key}")).await.status, 404);
        assert_eq!(door.changes(key).await.len(), 0);
    }
    let mut whole = three(json!({"key": "stock", "value": 4, "expected_version": 1}));
    whole["checks"] = json!([".stock >= 0"]);
    whole["confirm_within_seconds"] = json!(600);
    let done = transact(whole.clone()).await;
    assert_eq!(done.status, 200, "{done:?}");
    let id = done.json()["data"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(value(&door, "stock").await, 4);
    door.put("/state/b", &json!({"value": "theirs"})).await;
    let moved = door.post("/__clock", &json!({"advance": "11m"})).await;
    assert_eq!(moved.status, 200, "{moved:?}");
    assert_eq!(value(&door, "stock").await, 5);
    assert_eq!(door.get("/state/a").await.status, 404);
    assert_eq!(value(&door, "b").await, "theirs");
    let history = door.get("/state/stock/history").await.json();
    assert_eq!(history["history"][2]["reason"], "rolled back: not confirmed in time", "{history}");
    let ended = door.get(&format!("/api/v1/state/transactions/{id}")).await.json()["data"].clone();
    assert_eq!(
        (&ended["state"], ended["conflicts"].as_array().map(Vec::len)),
        (&json!("rolled_back"), Some(1)),
        "{ended}"
    );
    let waiting = door.get("/api/v1/state/conflicts?key=b").await.json()["data"].clone();
    assert_eq!((&waiting[0]["cause"], &waiting[0]["deletes"]), (&json!("rollback"), &json!(true)), "{waiting}");
    let late = door.post(&format!("/api/v1/state/transactions/{id}/confirm"), &json!({})).await;
    assert_eq!(late.status, 409, "{late:?}");
    let kept = json!({"changes": [{"key": "stock", "value": 3}], "confirm_within_seconds": 600});
    let id = transact(kept.clone()).await.json()["data"]["id"].as_str().expect("an id").to_owned();
    for _ in 0..2 {
        let confirmed = door.post(&format!("/api/v1/state/transactions/{id}/confirm"), &json!({})).await;
        assert_eq!(
            (confirmed.status, &confirmed.json()["data"]["state"]),
            (200, &json!("confirmed")),
            "said again too"
        );
    }
    door.post("/__clock", &json!({"advance": "1h"})).await;
    assert_eq!(value(&door, "stock").await, 3);
    let id = transact(kept).await.json()["data"]["id"].as_str().expect("an id").to_owned();
    let undone = door.post(&format!("/api/v1/state/transactions/{id}/rollback"), &json!({"reason": "no"})).await;
    assert_eq!(undone.json()["data"]["state"], "rolled_back", "{undone:?}");
    assert_eq!(value(&door, "stock").await, 3);
    let twice = transact(json!({"changes": [{"key": "x", "value": 1}, {"key": "x", "value": 2}]})).await;
    assert_eq!(twice.status, 422, "{twice:?}");
    hub.stop().await;
}

#[tokio::test]
async fn a_key_with_a_time_to_live_ends_by_itself_unless_it_is_written_again() {
    let (_dir, hub, door) = started(&["--dev", "--test-clock"]).await;
    for key in ["ends", "stays", "later"] {
        let put = door.put(&format!("/state/{key}"), &json!({"value": 1, "ttl_seconds": 60})).await;
        assert_eq!(put.status, 200, "{put:?}");
    }
    assert!(door.get("/state/ends").await.json()["expires_at"].is_string());
    door.put("/state/stays", &json!({"value": 2})).await;
    door.put("/state/later", &json!({"value": 2, "ttl_seconds": 600})).await;
    door.post("/__clock", &json!({"advance": "2m"})).await;
    assert_eq!(door.get("/state/ends").await.status, 404);
    assert_eq!(value(&door, "stays").await, 2);
    assert_eq!(value(&door, "later").await, 2);
    let last = door.changes("ends").await.pop().expect("a change");
    assert_eq!(last, json!({"key": "ends", "old": 1, "new": null, "version": 2, "deleted": true, "reason": "expired"}));
    door.post("/__clock", &json!({"advance": "10m"})).await;
    assert_eq!(door.get("/state/later").await.status, 404);
    hub.stop().await;
}

#[tokio::test]
async fn a_watch_brings_each_change_of_its_keys_once_and_of_no_other() {
    let (_dir, hub, door) = started(&[]).await;
    let client = hub.client();
    let scopes = ["state:read:app/*".into()];
    let token = client.create_token("watcher", &scopes, None).await.expect("a token");
    let watcher = nexus_client::Client::new(&hub.url, token.value()).expect("a client");
    let mut one = Box::pin(watcher.watch_state(&Watch::Key("app/1".into()), Some("0")));
    let mut all = Box::pin(watcher.watch_state(&Watch::Prefix(String::new()), Some("0")));
    for (key, value) in [("app/1", json!(1)), ("other", json!(0)), ("app/2", json!(2)), ("app/1", json!({"n": 3}))] {
        client.put_state(key, &value, &PutState::default()).await.expect("written");
    }
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(next(&mut one).await);
    }
    assert_eq!(seen[1], json!({"key": "app/1", "old": 1, "new": {"n": 3}, "version": 2}));
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(next(&mut all).await["key"].clone());
    }
    assert_eq!(keys, ["app/1", "app/2", "app/1"], "what the token may not read is not shown");
    let refused = watcher.watch_state(&Watch::Key("other".into()), None);
    let refused = tokio::time::timeout(PATIENCE, Box::pin(refused).next()).await.expect("in time").expect("an answer");
    assert!(refused.expect_err("refused").to_string().contains("state:read"));
    // The same as server-sent events, from a position on.
    let path = "/api/v1/state/watch?prefix=app/";
    let narrow = door.with(token.value().expect("shown once"));
    let stream = crate::http::until("127.0.0.1", hub.address(), path, narrow.token(), "0", "\"n\":3").await;
    assert_eq!(stream.matches("\"type\":\"state.changed\"").count(), 3, "{stream}");
    assert_eq!(narrow.get("/api/v1/state/watch?key=other").await.status, 403);
    assert_eq!(narrow.get("/api/v1/state/watch").await.status, 422);
    hub.stop().await;
}

async fn next(stream: &mut (impl StreamExt<Item = Result<Tailed, nexus_client::Error>> + Unpin)) -> Value {
    loop {
        let item = tokio::time::timeout(PATIENCE, stream.next()).await.expect("in time").expect("it goes on");
        if let Tailed::Event(event) = item.expect("no refusal") {
            return event.payload;
        }
    }
}

/// C-133 C-047
#[tokio::test]
async fn the_state_file_appears_follows_and_is_read_by_a_hub_without_state() {
    let dir = tempfile::tempdir().expect("a folder");
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let interval = [("NEXUS_STATE_SNAPSHOT_INTERVAL", "50ms")];
    let hub = Hub::start_with(&old, &[], &interval).await;
    let door = Door::of(&hub);
    let big = r#"{"value":{"n": 12345678901234567890123}}"#;
    door.send("PUT", "/state/a%2Fb", &[], big).await;
    door.put("/state/gone", &json!({"value": 1})).await;
    door.delete("/state/gone").await;
    let file = old.join("nexus_state.json");
    let text = written(&file, |text| text.contains("a/b") && !text.contains("gone")).await;
    assert!(text.contains(r#""value":{"n": 12345678901234567890123},"version":1"#), "{text}");
    for n in 0..20 {
        assert_eq!(door.put("/state/count", &json!({"value": n})).await.status, 200);
    }
    hub.kill().await;
    let hub = Hub::start_with(&old, &[], &interval).await;
    let door = Door::of(&hub);
    let got = door.get("/state/count").await.json();
    assert_eq!((&got["value"], &got["version"]), (&json!(19), &json!(20)), "every write that was answered is there");
    let text = written(&file, |text| text.contains(r#""count":{"value":19,"#)).await;
    hub.stop().await;
    std::fs::create_dir_all(&new).expect("a folder");
    std::fs::write(new.join("nexus_state.json"), &text).expect("written");
    let hub = Hub::start(&new, &[]).await;
    let door = Door::of(&hub);
    assert!(door.get("/state/a%2Fb").await.body.contains("{\"n\": 12345678901234567890123}"));
    assert_eq!(value(&door, "count").await, 19);
    door.put("/state/count", &json!({"value": "newer"})).await;
    hub.stop().await;
    std::fs::write(new.join("nexus_state.json"), "{\"count\":0,\"b\":0}").expect("written");
    let hub = Hub::start(&new, &[]).await;
    let door = Door::of(&hub);
    assert_eq!(value(&door, "count").await, "newer", "the log is the truth");
    assert_eq!(door.get("/state/b").await.status, 404);
    hub.stop().await;
}

async fn written(file: &std::path::Path, fits: impl Fn(&str) -> bool) -> String {
    let look = async {
        loop {
            if let Ok(text) = std::fs::read_to_string(file)
                && serde_json::from_str::<Value>(&text).expect("whole at any time").is_object()
                && fits(&text)
            {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{:?}", std::fs::read_to_string(file)))
}

#[tokio::test]
async fn the_command_line_gets_sets_lists_watches_and_deletes() {
    let (_dir, hub, _door) = started(&[]).await;
    assert_eq!(hub.json(&["state", "set", "a/b", "{\"n\": 1}", "--expect", "0"]).await["version"], 1);
    assert_eq!(hub.json(&["state", "set", "a/b", "2"]).await["version"], 2);
    let stale = hub.cli(&["state", "set", "a/b", "3", "--expect", "1"]).await;
    assert_eq!(stale.status.code(), Some(1));
    assert!(text(&stale.stderr).contains("version 2"), "{}", text(&stale.stderr));
    assert_eq!(text(&hub.cli(&["state", "get", "a/b"]).await.stdout).trim(), "2");
    assert_eq!(hub.json(&["state", "list", "a/"]).await["items"][0]["key"], "a/b");
    assert_eq!(hub.json(&["state", "history", "a/b"]).await["history"].as_array().expect("a list").len(), 2);
    let change = hub.json(&["state", "watch", "a/", "--prefix", "--since", "0", "--count", "1"]).await;
    assert_eq!(change["payload"]["new"], json!({"n": 1}));
    assert_eq!(hub.json(&["state", "delete", "a/b", "--expect", "2"]).await["version"], 3);
    assert_eq!(hub.cli(&["state", "get", "a/b"]).await.status.code(), Some(1));
    assert_eq!(hub.json(&["state", "conflicts"]).await, json!([]));
    hub.stop().await;
}
