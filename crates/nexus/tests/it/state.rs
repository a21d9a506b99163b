//! Shared state, from outside: versions, compare-and-set, history, deletion, lists, and who may see what.

use serde_json::{Value, json};

use crate::{
    http::{self, Answer},
    hub::Hub,
};

/// A hub and a token to ask it with.
pub struct Door {
    address: String,
    token: String,
}

impl Door {
    pub fn of(hub: &Hub) -> Self {
        Self { address: hub.address().to_owned(), token: hub.token() }
    }

    pub fn with(&self, token: &str) -> Self {
        Self { address: self.address.clone(), token: token.to_owned() }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        http::send("127.0.0.1", &self.address, method, path, &all, body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[], &body.to_string()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], &body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "").await
    }

    /// The data of every `state.changed` about a key.
    pub async fn changes(&self, key: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/events?type=state.changed&subject={key}&limit=1000")).await;
        let events = answer.json()["data"].as_array().expect("events").clone();
        events.into_iter().map(|e| e["payload"].clone()).collect()
    }
}

async fn started(args: &[&str]) -> (tempfile::TempDir, Hub, Door) {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), args).await;
    let door = Door::of(&hub);
    (dir, hub, door)
}

/// C-040 C-063 C-064 C-041
#[tokio::test]
async fn what_is_put_is_got_and_every_put_counts_one_version() {
    let (_dir, hub, door) = started(&[]).await;
    let put = door.put("/state/app_config", &json!({"value": {"theme": "dark"}})).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(put.json(), json!({"success": true, "key": "app_config", "version": 1}));
    for version in 2..=5 {
        let put = door.put("/state/app_config", &json!({"value": {"theme": version}})).await;
        assert_eq!(put.json()["version"], version);
    }
    let got = door.get("/state/app_config").await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(got.header("etag"), "\"5\"");
    let got = got.json();
    assert_eq!((&got["key"], &got["value"], &got["version"]), (&json!("app_config"), &json!({"theme": 5}), &json!(5)));
    assert!(got["updated_at"].is_string(), "{got}");
    let missing = door.put("/state/app_config", &json!({"valeu": 1})).await;
    assert_eq!(missing.status, 422, "{missing:?}");
    let missing = door.put("/state/app_config", &json!({})).await;
    assert_eq!(missing.status, 422, "{missing:?}");
    assert!(missing.json()["details"]["value"].is_string(), "{missing:?}");
    hub.stop().await;
}

/// C-049
#[tokio::test]
async fn a_key_that_is_not_there_is_404() {
    let (_dir, hub, door) = started(&[]).await;
    for (method, path) in [("GET", "/state/none"), ("DELETE", "/state/none"), ("GET", "/state/none/history")] {
        let answer = door.send(method, path, &[], "").await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("NOT_FOUND")), "{method} {path}");
    }
    hub.stop().await;
}

/// C-042
#[tokio::test]
async fn of_two_writes_that_expect_the_same_version_one_is_told_the_present_one() {
    let (_dir, hub, door) = started(&[]).await;
    for n in 1..=3 {
        door.put("/state/k", &json!({"value": n})).await;
    }
    let expecting = json!({"value": "x", "expected_version": 3});
    let both = tokio::join!(door.put("/state/k", &expecting), door.put("/state/k", &expecting));
    let mut status = [both.0.status, both.1.status];
    status.sort_unstable();
    assert_eq!(status, [200, 409], "{both:?}");
    let refused = if both.0.status == 409 { both.0 } else { both.1 }.json();
    assert_eq!((&refused["success"], &refused["version"]), (&json!(false), &json!(4)), "{refused}");
    assert_eq!((&refused["code"], &refused["status"]), (&json!("CONFLICT"), &json!(409)), "{refused}");
    for tag in ["3", "\"3\""] {
        let stale = door.send("PUT", "/state/k", &[("If-Match", tag)], r#"{"value":1}"#).await;
        assert_eq!((stale.status, &stale.json()["version"]), (409, &json!(4)), "{stale:?}");
    }
    for (tag, version) in [("4", 5), ("\"5\"", 6), ("*", 7)] {
        let fits = door.send("PUT", "/state/k", &[("If-Match", tag)], r#"{"value":1}"#).await;
        assert_eq!((fits.status, &fits.json()["version"]), (200, &json!(version)), "{fits:?}");
    }
    let none = door.put("/state/k", &json!({"value": 1, "expected_version": 0})).await;
    assert_eq!((none.status, &none.json()["version"]), (409, &json!(7)), "{none:?}");
    let new = door.put("/state/new", &json!({"value": 1, "expected_version": 0})).await;
    assert_eq!((new.status, &new.json()["version"]), (200, &json!(1)), "{new:?}");
    let absent = door.send("PUT", "/state/absent", &[("If-Match", "*")], r#"{"value":1}"#).await;
    assert_eq!((absent.status, &absent.json()["version"]), (409, &json!(0)), "{absent:?}");
    let both = door.send("PUT", "/state/k", &[("If-Match", "7")], r#"{"value":1,"expected_version":6}"#).await;
    assert_eq!(both.status, 422, "{both:?}");
    let odd = door.send("PUT", "/state/k", &[("If-Match", "W/\"7\"")], r#"{"value":1}"#).await;
    assert_eq!(odd.status, 400, "{odd:?}");
    hub.stop().await;
}

/// C-044
#[tokio::test]
async fn every_change_is_an_event_with_old_and_new() {
    let (_dir, hub, door) = started(&[]).await;
    door.put("/state/k", &json!({"value": {"n": 1}})).await;
    door.put("/state/k", &json!({"value": [2]})).await;
    door.delete("/state/k").await;
    door.put("/state/k", &json!({"value": null, "expected_version": 99})).await;
    assert_eq!(
        door.changes("k").await,
        [
            json!({"key": "k", "old": null, "new": {"n": 1}, "version": 1, "created": true}),
            json!({"key": "k", "old": {"n": 1}, "new": [2], "version": 2}),
            json!({"key": "k", "old": [2], "new": null, "version": 3, "deleted": true}),
        ]
    );
    let forged = door.post("/events/state.changed", &json!({"payload": {"key": "k"}})).await;
    assert_eq!(forged.status, 403, "{forged:?}");
    hub.stop().await;
}

/// C-046
#[tokio::test]
async fn the_history_has_every_version_with_author_and_time_and_goes_on_after_a_delete() {
    let (_dir, hub, door) = started(&[]).await;
    let narrow = hub.client().create_token("writer", &["state:write".into()], None).await.expect("a token");
    let writer = door.with(narrow.value().expect("shown once"));
    door.put("/state/k", &json!({"value": "one"})).await;
    let correlated = [("X-Correlation-ID", "order-7")];
    writer.send("PUT", "/state/k", &correlated, r#"{"value":"two"}"#).await;
    let gone = door.delete("/state/k").await;
    assert_eq!(gone.json(), json!({"success": true, "key": "k", "version": 3, "deleted": true}));
    assert_eq!(door.get("/state/k").await.status, 404);
    assert_eq!(door.delete("/state/k").await.status, 404);
    let again = door.put("/state/k", &json!({"value": "four", "expected_version": 0})).await;
    assert_eq!(again.json()["version"], 4, "{again:?}");
    let history = door.get("/state/k/history").await.json();
    let versions = history["history"].as_array().expect("a list");
    let seen: Vec<_> = versions.iter().map(|v| (v["version"].clone(), v["value"].clone())).collect();
    let expected = [(1, json!("one")), (2, json!("two")), (3, json!(null)), (4, json!("four"))];
    assert_eq!(seen, expected.map(|(n, v)| (json!(n), v)), "{history}");
    assert_eq!(versions[0]["updated_by"], "token:admin");
    assert_eq!(
        (&versions[1]["updated_by"], &versions[1]["correlation_id"]),
        (&json!("token:writer"), &json!("order-7"))
    );
    assert_eq!(versions[2]["deleted"], true);
    assert!(versions.iter().all(|v| v["updated_at"].is_string()), "{history}");
    let first = door.get("/state/k/history?limit=2").await.json();
    let rest = door.get(&format!("/state/k/history?cursor={}", first["next_cursor"].as_str().expect("more"))).await;
    assert_eq!(rest.json()["history"].as_array().expect("a list").len(), 2, "{rest:?}");
    assert_eq!(door.get("/state/k?version=2").await.json()["value"], "two");
    assert_eq!(door.get("/state/k?version=9").await.status, 404);
    hub.stop().await;
}

/// C-050
#[tokio::test]
async fn any_value_and_any_key_come_back_byte_for_byte() {
    let (_dir, hub, door) = started(&[]).await;
    let values = [
        "null",
        "true",
        "-0",
        "0.1000",
        "1e5",
        "123456789012345678901234567890.000000000000000001",
        "\"\"",
        r#""\u00e9 é \ud83d\uddd1 🗑 \/""#,
        r#"{"z":1,"a":{"y":[1, 2,  3],"b":null},"":0}"#,
        "[[[[]]],{}]",
        "{ \"spaced\" :\n [ 1 ] }",
    ];
    let keys =
        ["plain", "a/b/c", "a//b", "%2F", "ключ 🗝", "history", "a history", "..", "a?b#c", "x/", "+", "\"quoted\""];
    for (n, key) in keys.iter().enumerate() {
        let value = values[n % values.len()];
        let path = format!("/state/{}", escaped(key));
        let put = door.send("PUT", &path, &[], &format!("{{\"value\":{value}}}")).await;
        assert_eq!((put.status, &put.json()["key"]), (200, &json!(key)), "{put:?}");
    }
    for (n, key) in keys.iter().enumerate() {
        let got = door.get(&format!("/state/{}", escaped(key))).await;
        assert_eq!(got.json()["key"], **key);
        let value = format!("\"value\":{},\"version\":1", values[n % values.len()]);
        assert!(got.body.contains(&value), "{}", got.body);
        assert_eq!(door.get(&format!("/state/{}/history", escaped(key))).await.status, 200);
    }
    assert_eq!(door.get("/state/a/b/c").await.json()["key"], "a/b/c");
    assert_eq!(door.get("/state/a/b/c/history").await.json()["key"], "a/b/c");
    hub.stop().await;
}

/// Everything escaped.
fn escaped(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

#[tokio::test]
async fn what_can_not_be_stored_is_refused_and_leaves_nothing() {
    let (_dir, hub, door) = started(&[]).await;
    let put = |path: &'static str, body: String| {
        let door = &door;
        async move { door.send("PUT", path, &[], &body).await }
    };
    let largest = "x".repeat((250 << 10) - 2);
    assert_eq!(put("/state/large", json!({"value": largest}).to_string()).await.status, 200);
    assert_eq!(put("/state/larger", json!({"value": format!("{largest}x")}).to_string()).await.status, 413);
    assert_eq!(put("/state/huge", json!({"value": largest.repeat(3)}).to_string()).await.status, 413);
    assert_eq!(put("/state/a%00b", r#"{"value":1}"#.into()).await.status, 422);
    assert_eq!(put("/state/a%0Ab", r#"{"value":1}"#.into()).await.status, 422);
    assert_eq!(put("/state/%FF", r#"{"value":1}"#.into()).await.status, 400);
    assert_eq!(door.put(&format!("/state/{}", "k".repeat(257)), &json!({"value": 1})).await.status, 422);
    assert_eq!(put("/state/a", "[1]".into()).await.status, 400);
    assert_eq!(put("/state/a", "{\"value\":".into()).await.status, 400);
    assert_eq!(put("/state/a", r#"{"value":1,"value":2}"#.into()).await.status, 400);
    assert_eq!(put("/state/a", r#"{"value":1,"expected_version":-1}"#.into()).await.status, 422);
    assert_eq!(put("/state/a", r#"{"value":1,"ttl_seconds":0}"#.into()).await.status, 422);
    let typed = [("Content-Type", "application/xml")];
    let wrong = http::send("127.0.0.1", &door.address, "PUT", "/state/a", &typed, "<a/>").await;
    assert_eq!(wrong.status, 401);
    let listed = door.get("/state").await.json();
    let keys: Vec<_> = listed["items"].as_array().expect("a list").iter().map(|i| i["key"].clone()).collect();
    assert_eq!(keys, [json!("large")]);
    hub.stop().await;
}

#[tokio::test]
async fn keys_are_listed_by_prefix_page_by_page_and_only_as_the_token_may_see_them() {
    let (_dir, hub, door) = started(&[]).await;
    for n in 0..70 {
        door.put(&format!("/state/app/{n:02}"), &json!({"value": n})).await;
    }
    for key in ["ap", "app", "app/", "app0", "b", "zebra"] {
        door.put(&format!("/state/{}", escaped(key)), &json!({"value": 1})).await;
    }
    door.delete("/state/app/03").await;
    let mut keys = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = door.get(&format!("/state?prefix=app/&limit=20{cursor}")).await.json();
        keys.extend(
            page["items"].as_array().expect("a list").iter().map(|i| i["key"].as_str().expect("text").to_owned()),
        );
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={}", escaped(next));
    }
    let expected = (0..70).filter(|n| *n != 3).map(|n| format!("app/{n:02}"));
    assert_eq!(keys, std::iter::once("app/".to_owned()).chain(expected).collect::<Vec<_>>());
    let scopes = ["state:read:app/1*".into(), "state:write:own.*".into(), "events:read".into()];
    let token = hub.client().create_token("narrow", &scopes, None).await.expect("a token");
    let narrow = door.with(token.value().expect("shown once"));
    let seen = narrow.get("/state").await.json();
    assert_eq!(seen["items"].as_array().expect("a list").len(), 10, "{seen}");
    assert_eq!(narrow.get("/state/app/10").await.status, 200);
    for path in ["/state/zebra", "/state/app/20", "/state/zebra/history"] {
        let refused = narrow.get(path).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(refused.json()["message"].as_str().expect("text").contains("state:read"), "{refused:?}");
    }
    assert_eq!(narrow.put("/state/own.x", &json!({"value": 1})).await.status, 200);
    assert_eq!(narrow.put("/state/app/10", &json!({"value": 1})).await.status, 403);
    assert_eq!(narrow.delete("/state/app/10").await.status, 403);
    // The right to read events is no way around: they carry values.
    assert_eq!(narrow.changes("zebra").await, Vec::<Value>::new());
    assert_eq!(narrow.changes("app/10").await.len(), 1);
    hub.stop().await;
}
