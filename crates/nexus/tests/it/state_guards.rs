//! Shared state, from outside: preconditions, what merges rely on, and choices against what the chooser saw.

use serde_json::{Value, json};

use crate::{
    hub::{Hub, text},
    state::Door,
};

async fn started() -> (tempfile::TempDir, Hub, Door) {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let door = Door::of(&hub);
    (dir, hub, door)
}

async fn merging(door: &Door, kind: &str) {
    let rule = json!({"prefix": format!("{kind}/"), "on_conflict": "merge", "merge": kind});
    let answer = door.put(&format!("/api/v1/state/policies/{kind}"), &rule).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Writes the values one after the other.
async fn written(door: &Door, key: &str, values: &[Value]) {
    for value in values {
        let put = door.put(&format!("/state/{key}"), &json!({"value": value})).await;
        assert_eq!(put.status, 200, "{put:?}");
    }
}

async fn value(door: &Door, key: &str) -> Value {
    door.get(&format!("/state/{key}")).await.json()["value"].clone()
}

#[tokio::test]
async fn if_none_match_lets_only_the_first_write_and_spares_a_reader_what_it_has() {
    let (_dir, hub, door) = started().await;
    let none = [("If-None-Match", "*")];
    let first = door.send("PUT", "/state/k", &none, r#"{"value":1}"#).await;
    assert_eq!((first.status, &first.json()["version"]), (200, &json!(1)), "{first:?}");
    let second = door.send("PUT", "/state/k", &none, r#"{"value":2}"#).await;
    assert_eq!((second.status, &second.json()["version"]), (409, &json!(1)), "{second:?}");
    let deletion = door.send("DELETE", "/state/k", &none, "").await;
    assert_eq!((deletion.status, &deletion.json()["version"]), (409, &json!(1)), "{deletion:?}");
    let tag = door.send("PUT", "/state/k", &[("If-None-Match", "\"1\"")], r#"{"value":2}"#).await;
    assert_eq!(tag.status, 400, "{tag:?}");
    assert_eq!(value(&door, "k").await, 1);
    let etag = door.get("/state/k").await.header("etag").to_owned();
    let known = door.send("GET", "/state/k", &[("If-None-Match", &etag)], "").await;
    assert_eq!((known.status, known.body.as_str(), known.header("etag")), (304, "", "\"1\""), "{known:?}");
    door.put("/state/k", &json!({"value": 2})).await;
    let newer = door.send("GET", "/state/k", &[("If-None-Match", &etag)], "").await;
    assert_eq!((newer.status, &newer.json()["value"]), (200, &json!(2)), "{newer:?}");
    let earlier = door.send("GET", "/state/k?version=1", &[("If-None-Match", &etag)], "").await;
    assert_eq!(earlier.status, 304, "{earlier:?}");
    door.delete("/state/k").await;
    let again = door.send("PUT", "/state/k", &none, r#"{"value":3}"#).await;
    assert_eq!((again.status, &again.json()["version"]), (200, &json!(4)), "a deleted key does not exist: {again:?}");
    hub.stop().await;
}

#[tokio::test]
async fn a_set_keeps_what_was_taken_away_away() {
    let (_dir, hub, door) = started().await;
    merging(&door, "set").await;
    written(&door, "set/1", &[json!(["a", "b", "c"]), json!(["a", "c"])]).await;
    let merged = door.put("/state/set/1", &json!({"value": ["a", "b", "c", "d"], "expected_version": 1})).await;
    assert_eq!((merged.status, &merged.json()["merged"]), (200, &json!(true)), "{merged:?}");
    assert_eq!(value(&door, "set/1").await, json!(["a", "c", "d"]));
    written(&door, "set/2", &[json!(["a", "b"]), json!(["a", "b", "z"])]).await;
    let merged = door.put("/state/set/2", &json!({"value": ["a"], "expected_version": 1})).await;
    assert_eq!(merged.status, 200, "{merged:?}");
    assert_eq!(value(&door, "set/2").await, json!(["a", "z"]));
    hub.stop().await;
}

#[tokio::test]
async fn a_merge_needs_the_version_that_the_writer_says_it_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start_with(dir.path(), &[], &[("NEXUS_STATE_HISTORY_VERSIONS", "2")]).await;
    let door = Door::of(&hub);
    let values = [
        ("json", [json!({"a": 1}), json!({"a": 2}), json!({"a": 3})]),
        ("set", [json!([1]), json!([2]), json!([3])]),
        ("counter", [json!(1), json!(2), json!(3)]),
        ("list", [json!([1]), json!([1, 2]), json!([1, 2, 3])]),
    ];
    for (kind, values) in &values {
        merging(&door, kind).await;
        let key = format!("{kind}/k");
        written(&door, &key, values).await;
        for (expected, reason) in [
            (777, "nobody can have read version 777, as 3 is the last that the key has had"),
            (1, "version 1, which the writer had read, is no longer kept"),
        ] {
            let put =
                door.put(&format!("/state/{key}"), &json!({"value": values[0], "expected_version": expected})).await;
            assert_eq!((put.status, &put.json()["version"]), (409, &json!(3)), "{kind}: {put:?}");
            assert!(put.json()["message"].as_str().expect("text").contains(reason), "{kind}: {put:?}");
        }
        assert_eq!(value(&door, &key).await, values[2], "{kind}: nothing was changed");
    }
    let jq = json!({"prefix": "jq/", "on_conflict": "custom", "jq": ".wanted"});
    assert_eq!(door.put("/api/v1/state/policies/jq", &jq).await.status, 200);
    written(&door, "jq/k", &[json!(1)]).await;
    let ahead = door.put("/state/jq/k", &json!({"value": 9, "expected_version": 777})).await;
    assert_eq!(ahead.status, 409, "{ahead:?}");
    let huge = door.send("PUT", "/state/counter/k", &[], r#"{"value":18446744073709551615}"#).await;
    assert_eq!(huge.status, 200, "{huge:?}");
    let lossy = door.put("/state/counter/k", &json!({"value": 4, "expected_version": 3})).await;
    assert_eq!(lossy.status, 409, "{lossy:?}");
    assert!(lossy.json()["message"].as_str().expect("text").contains("can't be kept exactly"), "{lossy:?}");
    assert!(door.get("/state/counter/k").await.body.contains("18446744073709551615,"), "not a digit is lost");
    hub.stop().await;
}

/// A write that is parked as a conflict against version 2.
async fn parked(door: &Door, key: &str) -> String {
    written(door, key, &[json!("base"), json!("theirs")]).await;
    let parked = door.put(&format!("/state/{key}"), &json!({"value": "mine", "expected_version": 1})).await;
    assert_eq!(parked.status, 409, "{parked:?}");
    format!("/api/v1/state/conflicts/{}", parked.json()["conflict_id"].as_str().expect("an id"))
}

#[tokio::test]
async fn a_choice_is_one_against_what_the_chooser_saw() {
    let (_dir, hub, door) = started().await;
    let rule = json!({"prefix": "doc/", "on_conflict": "user_confirmation"});
    assert_eq!(door.put("/api/v1/state/policies/docs", &rule).await.status, 200);
    let conflict = parked(&door, "doc/a").await;
    let shown = door.get(&conflict).await.json()["data"].clone();
    assert_eq!((&shown["current_version"], &shown["parked_version"]), (&json!(2), &json!(2)), "{shown}");
    let later = r#"{"value":{"n": 12345678901234567890123}}"#;
    assert_eq!(door.send("PUT", "/state/doc/a", &[], later).await.status, 200);
    let shown = door.get(&conflict).await.json()["data"].clone();
    assert_eq!((&shown["current_version"], &shown["parked_version"]), (&json!(3), &json!(2)), "{shown}");
    assert_eq!(door.get("/api/v1/state/conflicts").await.json()["data"][0]["current_version"], 3);
    let resolve = format!("{conflict}/resolve");
    for choice in [
        json!({"choice": "wanted"}),
        json!({"choice": "value", "value": 7}),
        json!({"choice": "wanted", "expected_version": 2}),
        json!({"choice": "current", "expected_version": 2}),
    ] {
        // Also when it is said again: only who names what stands has seen it.
        for _ in 0..2 {
            let refused = door.post(&resolve, &choice).await;
            assert_eq!((refused.status, &refused.json()["version"]), (409, &json!(3)), "{choice}: {refused:?}");
            assert_eq!(refused.header("content-type"), "application/json", "{refused:?}");
            assert!(refused.body.contains(r#""value":{"n": 12345678901234567890123}"#), "{refused:?}");
            let message = refused.json()["message"].as_str().expect("text").to_owned();
            assert!(message.contains("choose again with expected_version 3"), "{message}");
        }
    }
    // Who may only write is not told what stands.
    let scopes = ["state:write:doc/*".into()];
    let token = hub.client().create_token("writer", &scopes, None).await.expect("a token");
    let blind = door.with(token.value().expect("shown once")).post(&resolve, &json!({"choice": "wanted"})).await;
    assert_eq!((blind.status, blind.json().get("value")), (409, None), "{blind:?}");
    let done = door.post(&resolve, &json!({"choice": "wanted", "expected_version": 3})).await;
    assert_eq!((done.status, &done.json()["data"]["resolved"]["version"]), (200, &json!(4)), "{done:?}");
    assert_eq!(value(&door, "doc/a").await, "mine");
    let shown = door.get(&conflict).await.json()["data"].clone();
    assert_eq!((&shown["current_version"], &shown["parked_version"]), (&json!(3), &json!(2)), "{shown}");
    hub.stop().await;
}

#[tokio::test]
async fn what_stands_may_stay_whatever_it_is_and_a_deletion_since_is_told() {
    let (_dir, hub, door) = started().await;
    let rule = json!({"prefix": "doc/", "on_conflict": "user_confirmation"});
    assert_eq!(door.put("/api/v1/state/policies/docs", &rule).await.status, 200);
    let conflict = parked(&door, "doc/a").await;
    written(&door, "doc/a", &[json!("later")]).await;
    let kept = door.post(&format!("{conflict}/resolve"), &json!({"choice": "current"})).await;
    assert_eq!((kept.status, &kept.json()["data"]["resolved"]["version"]), (200, &json!(3)), "{kept:?}");
    assert_eq!(value(&door, "doc/a").await, "later");
    let conflict = parked(&door, "doc/b").await;
    door.delete("/state/doc/b").await;
    let id = conflict.rsplit('/').next().expect("an id").to_owned();
    let refused = hub.cli(&["state", "resolve", &id, "wanted"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("was deleted by version 3, not 2"), "{}", text(&refused.stderr));
    let done = hub.json(&["state", "resolve", &id, "wanted", "--expect", "3"]).await;
    assert_eq!(done["resolved"]["version"], 4, "{done}");
    assert_eq!(value(&door, "doc/b").await, "mine");
    hub.stop().await;
}

#[tokio::test]
async fn an_empty_key_and_a_number_out_of_bounds_are_said_as_what_they_are() {
    let (_dir, hub, door) = started().await;
    let keyless = "a key has 1 to 256 bytes, this one is empty";
    for (method, path, body) in [
        ("GET", "/state/", ""),
        ("PUT", "/state/", r#"{"value":1}"#),
        ("DELETE", "/state/", ""),
        ("GET", "/state//history", ""),
    ] {
        let answer = door.send(method, path, &[], body).await;
        assert_eq!(
            (answer.status, &answer.json()["details"]["key"]),
            (422, &json!(keyless)),
            "{method} {path}: {answer:?}"
        );
    }
    for args in
        [&["state", "set", "", "1"][..], &["state", "get", ""], &["state", "delete", ""], &["state", "history", ""]]
    {
        let refused = hub.cli(args).await;
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        assert!(text(&refused.stderr).contains(keyless), "{args:?}: {}", text(&refused.stderr));
    }
    for ttl in ["-1", "0", "316224001", "1.5"] {
        let put = door.send("PUT", "/state/k", &[], &format!(r#"{{"value":1,"ttl_seconds":{ttl}}}"#)).await;
        let reason = put.json()["details"]["ttl_seconds"].as_str().unwrap_or_default().to_owned();
        let right = format!("must be a whole number from 1 to 316224000, not {ttl}");
        assert_eq!((put.status, reason), (422, right), "{put:?}");
    }
    for (field, number, bounds) in
        [("port", "0", "1 to 65535"), ("port", "-1", "1 to 65535"), ("ttl_seconds", "-1", "1 to 86400")]
    {
        let mut service = json!({"id": "s", "host": "127.0.0.1", "port": 1});
        service[field] = serde_json::from_str(number).expect("a number");
        let answer = door.post("/services", &service).await;
        let reason = answer.json()["details"][field].as_str().unwrap_or_default().to_owned();
        let right = format!("must be a whole number from {bounds}, not {number}");
        assert_eq!((answer.status, reason), (422, right), "{answer:?}");
    }
    hub.stop().await;
}
