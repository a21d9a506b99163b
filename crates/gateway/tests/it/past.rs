//! Flows over the past, over HTTP: what would have begun them, and what another version would have done. Nothing happens.

#![expect(clippy::disallowed_methods, reason = "a test's own servers are not the hub's tasks")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::rig::{Reply, Rig, within};

const BACKTEST: &str = "/api/v1/flows/backtest";
const REHEARSE: &str = "/api/v1/flows/rehearse";

/// A shop that counts what it is asked, and answers with a price.
async fn shop() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 8192];
            let _ = stream.read(&mut request).await;
            let body = r#"{"price":30}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

/// An order is priced; one above the limit is told to somebody.
fn order(shop: &str, version: &str, limit: u32) -> Value {
    json!({
        "document": {"dsl": "1.0.3", "namespace": "shop", "name": "order", "version": version},
        "schedule": {"on": {"one": {"with": {"type": "order.created"}}}},
        "do": [
            {"price": {"call": "http", "with": {"method": "get", "endpoint": format!("{shop}/price")}}},
            {"size": {"switch": [{"large": {"when": format!(".price > {limit}"), "then": "tell"}},
                {"small": {"then": "end"}}]}},
            {"tell": {"emit": {"event": {"with": {"source": "https://shop.example", "type": "order.large"}}}}},
        ],
    })
}

/// Publishes an order of so many, and waits for the end of its run.
async fn ordered(rig: &Rig, n: usize) {
    let accepted = rig.api("POST", "/events/order.created", json!({"payload": {"order": n}})).await;
    assert!(accepted.status.is_success(), "{}", accepted.text);
    let path = "/api/v1/runs?flow=shop/order&status=completed";
    within(async {
        loop {
            rig.hub.advance(Duration::from_millis(1)).await.expect("settled");
            let ended = rig.api("GET", path, Value::Null).await;
            if ended.body["data"].as_array().is_some_and(|runs| runs.len() >= n) {
                return;
            }
        }
    })
    .await;
}

async fn with_scopes(rig: &Rig, scopes: &[&str], path: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {}", rig.token("clerk", scopes).await);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    rig.send("POST", path, &headers, body.to_string().as_bytes()).await
}

#[tokio::test]
async fn a_backtest_says_what_would_have_begun_a_flow_and_begins_nothing() {
    let rig = Rig::new().await;
    let (url, asked) = shop().await;
    let first = order(&url, "1.0.0", 20);
    assert_eq!(rig.api("POST", "/api/v1/flows", first.clone()).await.status, 201);
    for n in 1..=3 {
        ordered(&rig, n).await;
    }
    let before = (rig.seq(), asked.load(Ordering::SeqCst));
    let published = rig.api("POST", BACKTEST, json!({"flow": "shop/order"})).await;
    assert_eq!(published.status, 200, "{}", published.text);
    let data = &published.body["data"];
    let found = data["found"].as_array().expect("findings");
    assert_eq!((&data["flow"], found.len()), (&json!("shop/order@1.0.0"), 3), "{data}");
    assert!(found.iter().all(|found| found["by"] == "event" && found["type"] == "order.created"), "{data}");
    // A document that nobody published, as an object or as YAML, and a stretch of the log.
    let seq = found[1]["seq"].clone();
    for document in [first.clone(), Value::String(first.to_string())] {
        let cut = rig.api("POST", BACKTEST, json!({"document": document, "from": seq})).await;
        assert_eq!(cut.body["data"]["found"].as_array().map(Vec::len), Some(2), "{}", cut.text);
    }
    let left = rig.api("POST", BACKTEST, json!({"flow": "shop/order", "to": seq})).await;
    assert_eq!(left.body["data"]["found"].as_array().map(Vec::len), Some(1), "{}", left.text);
    // A behaviour that was never watched for.
    let mut watched = first.clone();
    watched["document"]["name"] = json!("busy");
    watched["document"]["metadata"] = json!({"nexus.dev/detect": [
        {"name": "three", "detect": "count", "first": {"type": "order.created"}, "count": 3, "window": "P1D"}]});
    watched.as_object_mut().expect("a document").remove("schedule");
    let matched = rig.api("POST", BACKTEST, json!({"document": watched})).await;
    let found = &matched.body["data"]["found"];
    assert_eq!((found[0]["detector"].as_str(), found.as_array().map(Vec::len)), (Some("three"), Some(1)), "{found}");
    assert_eq!((rig.seq(), asked.load(Ordering::SeqCst)), before, "nothing was published, nobody was asked");

    for (body, status, part) in [
        (json!({"flow": "shop/ordre"}), 404, "shop/ordre"),
        (json!({"flow": "shop/order", "document": first}), 422, "one of `flow`"),
        (json!({}), 422, "one of `flow`"),
        (json!({"document": 7}), 422, "YAML text"),
        (json!({"document": "do: ["}), 422, "line"),
        (json!({"document": {"document": {"dsl": "1.0.3"}}}), 422, "/document"),
        (json!({"flow": "shop/order", "from": "yesterday"}), 422, "yesterday"),
        (json!({"flow": "shop/order", "form": 1}), 422, "form"),
    ] {
        let refused = rig.api("POST", BACKTEST, body.clone()).await;
        assert!(refused.status == status && refused.text.contains(part), "{body}: {}", refused.text);
    }
    let body = json!({"flow": "shop/order"});
    let blind = with_scopes(&rig, &["flows:read", "events:read:cart.*"], BACKTEST, &body).await;
    assert!(
        blind.refusal() == (403, "FORBIDDEN") && blind.text.contains("events:read:order.created"),
        "{}",
        blind.text
    );
    let stranger = with_scopes(&rig, &["events:read"], BACKTEST, &body).await;
    assert_eq!(stranger.refusal(), (403, "FORBIDDEN"), "{}", stranger.text);
    rig.stop().await;
}

#[tokio::test]
async fn a_rehearsal_says_what_another_version_would_have_done_and_calls_nobody() {
    let rig = Rig::new().await;
    let (url, asked) = shop().await;
    let first = order(&url, "1.0.0", 20);
    assert_eq!(rig.api("POST", "/api/v1/flows", first.clone()).await.status, 201);
    let early = rig.api("POST", REHEARSE, json!({"flow": "shop/order"})).await;
    assert!(early.status == 404 && early.text.contains("no run of shop/order has ended yet"), "{}", early.text);
    for n in 1..=2 {
        ordered(&rig, n).await;
    }
    let before = (rig.seq(), asked.load(Ordering::SeqCst));
    let same = rig.api("POST", REHEARSE, json!({"flow": "shop/order"})).await;
    assert_eq!((&same.body["data"]["same"], &same.body["data"]["different"]), (&json!(2), &json!(0)), "{}", same.text);
    // With the prices that the shop gave then, no order is large any more.
    let second = order(&url, "2.0.0", 40);
    let other = rig.api("POST", REHEARSE, json!({"document": second, "runs": 1})).await;
    let data = &other.body["data"];
    assert_eq!((&data["flow"], &data["different"]), (&json!("shop/order@2.0.0"), &json!(1)), "{}", other.text);
    let run = &data["runs"][0];
    assert_eq!(
        (&run["status"], &run["would"], &run["version"]),
        (&json!("completed"), &json!("completed"), &json!("1.0.0"))
    );
    let differences = run["differences"].to_string();
    assert!(differences.contains("order.large"), "{differences}");
    // A call that was not answered then is not made now.
    let mut third = order(&url, "3.0.0", 20);
    third["do"][2] = json!({"tell": {"call": "http", "with": {"method": "post", "endpoint": format!("{url}/tell")}}});
    let stopped = rig.api("POST", REHEARSE, json!({"document": third})).await;
    assert_eq!(stopped.body["data"]["runs"][0]["would"], "stopped", "{}", stopped.text);
    assert_eq!((rig.seq(), asked.load(Ordering::SeqCst)), before, "nothing was published, nobody was asked");

    for (body, status, part) in [
        (json!({"flow": "shop/order", "runs": 0}), 422, "1 to 100"),
        (json!({"flow": "shop/order", "runs": 101}), 422, "1 to 100"),
        (json!({"flow": "shop/nothing"}), 404, "shop/nothing"),
        (json!({"document": {"document": {"dsl": "1.0.3"}}}), 422, "/document"),
    ] {
        let refused = rig.api("POST", REHEARSE, body.clone()).await;
        assert!(refused.status == status && refused.text.contains(part), "{body}: {}", refused.text);
    }
    rig.stop().await;
}
