//! `nexus serve` as an operator meets it: starts, refusals, log lines, secrets, ends.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use nexus_client::{source::NewSource, subscription::NewSubscription};
use nexus_core::time::{Clock, Timestamp};
use nexus_engine::clock::SystemClock;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    http,
    hub::{Hub, PATIENCE, run, text},
    sink::Sink,
};

#[tokio::test]
async fn a_second_hub_on_the_folder_is_refused_and_told_who_has_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let folder = dir.path().to_str().expect("text");
    let second = run(dir.path(), &["serve", "--listen", "127.0.0.1:0", "--data", folder]).await;
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains(&hub.pid().to_string()), "{}", text(&second.stderr));
    hub.stop().await;
}

#[tokio::test]
async fn the_test_clock_without_dev_is_a_wrong_usage() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = run(dir.path(), &["serve", "--test-clock"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(!dir.path().join("nexus-data").exists());
}

#[tokio::test]
async fn the_test_clock_moves_only_where_it_was_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let plain = Hub::start(&dir.path().join("a"), &["--dev"]).await;
    let body = r#"{"advance":"7d"}"#;
    let json = [("Content-Type", "application/json")];
    let answer = http::send("127.0.0.1", plain.address(), "POST", "/__clock", &json, body).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    plain.stop().await;
    let moved = Hub::start(&dir.path().join("b"), &["--dev", "--test-clock"]).await;
    let answer = http::send("127.0.0.1", moved.address(), "POST", "/__clock", &json, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let now = answer.json()["now"].as_str().and_then(Timestamp::parse).expect("a time");
    let moved_by = now.since(SystemClock::new().now());
    assert!(moved_by > Duration::from_secs(6 * 24 * 3_600), "it went the whole way, not only {moved_by:?}");
    moved.stop().await;
}

#[tokio::test]
async fn a_taken_second_address_is_only_a_warning_and_a_taken_first_one_ends_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holder.local_addr().expect("an address").to_string();
    let hub = Hub::start(dir.path(), &["--listen", &taken]).await;
    let line: Value = serde_json::from_str(&hub.logged(&taken).await).expect("JSON");
    assert_eq!(line["level"], "warn");
    hub.stop().await;
    let folder = dir.path().to_str().expect("text");
    let refused = run(dir.path(), &["serve", "--listen", &taken, "--data", folder]).await;
    assert_eq!(refused.status.code(), Some(1));
}

#[tokio::test]
async fn every_address_serves_every_route() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &["--listen", "127.0.0.1:0"]).await;
    let said = hub.stderr();
    let urls: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix("listening on http://")).collect();
    assert_eq!(urls.len(), 2, "{said:#?}");
    for url in urls {
        assert_eq!(http::get(url, "/health", &[]).await.status, 200);
    }
    hub.stop().await;
}

/// N-033
#[tokio::test]
async fn every_line_of_standard_output_is_json_with_level_time_and_msg() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &["--dev"]).await;
    let refused = http::post_signed(hub.address(), "/events", "nobody's", r#"{"event":"a.b","payload":{}}"#).await;
    assert_eq!(refused.status, 401);
    hub.terminate();
    hub.logged("\"stopped\"").await;
    let lines = hub.stdout();
    assert!(lines.len() >= 3, "{lines:#?}");
    for line in lines {
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for field in ["level", "time", "msg"] {
            assert!(line[field].is_string(), "no {field}: {line}");
        }
    }
}

#[tokio::test]
async fn the_first_start_leaves_one_token_for_its_owner_and_shows_it_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let token = hub.token();
    assert!(token.starts_with("nxs_"), "{token}");
    let mode = |file: &str| std::fs::metadata(dir.path().join(file)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode("admin.token"), mode("vault.key")), (0o600, 0o600));
    assert_eq!(hub.stderr().iter().filter(|line| line.contains(&token)).count(), 1);
    assert!(!hub.stdout().iter().any(|line| line.contains(&token)));
    hub.client().sources().await.expect("the token is good");
    hub.stop().await;
    let again = Hub::start(dir.path(), &[]).await;
    assert_eq!(again.token(), token);
    assert!(!again.stderr().iter().any(|line| line.contains(&token)));
    again.stop().await;
}

#[tokio::test]
async fn a_delivery_in_flight_is_finished_before_a_told_hub_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let sink = Sink::with(&[], Some(0)).await;
    let mut hub = Hub::start(dir.path(), &[]).await;
    let client = hub.client();
    client.subscribe(&to("slow", "slow.*", &sink.url)).await.expect("a subscription");
    let id = client.publish("slow.one", &Value::Null, None).await.expect("published").message_id;
    sink.until("the delivery", |got| got.len() == 1).await;
    hub.terminate();
    hub.logged("stopping").await;
    sink.release(1);
    assert!(hub.ended().await.success());
    let hub = Hub::start(dir.path(), &[]).await;
    let fate = hub.client().fate(&id).await.expect("a fate");
    assert_eq!(fate["deliveries"][0]["state"], "delivered", "{fate}");
    assert_eq!(sink.got().len(), 1, "it is not sent again");
    hub.stop().await;
}

/// The time to drain is a bound, whatever a client does: this one never sends the rest of its request.
#[tokio::test]
async fn a_request_that_does_not_end_keeps_no_told_hub() {
    let dir = tempfile::tempdir().expect("a folder");
    let patient = [("NEXUS_SERVER_BODY_TIMEOUT", "1h"), ("NEXUS_SERVER_DRAIN", "2s")];
    let mut hub = Hub::start_with(dir.path(), &[], &patient).await;
    let mut stream = tokio::net::TcpStream::connect(hub.address()).await.expect("the hub listens");
    let head = format!(
        "POST /events/a.b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\n\
         Content-Length: 100\r\n\r\n",
        hub.token()
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    // The hub asks for the body when it begins to read it.
    let mut asked = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut asked)).await.expect("in time").expect("an answer");
    assert_eq!(&asked, b"HTTP/1.1 100");
    hub.terminate();
    assert!(hub.ended().await.success());
    hub.logged("still in flight").await;
}

#[tokio::test]
async fn no_secret_is_found_by_looking_through_the_data_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start_with(dir.path(), &[], &[("NEXUS_SECRET_KEY_FLOWPAY", "environment-secret-4711")]).await;
    let client = hub.client();
    let secrets = ["source-secret-4711", "endpoint-secret-4711", "named-secret-4711", "environment-secret-4711"];
    let source = NewSource { id: "s".into(), secrets: vec![secrets[0].into()], ..NewSource::default() };
    client.add_source(&source).await.expect("a source");
    let mut subscription = to("e", "e.*", "http://127.0.0.1:9/in");
    subscription.secret = Some(secrets[1].into());
    client.subscribe(&subscription).await.expect("a subscription");
    client.put_secret("NAMED", secrets[2]).await.expect("a secret");
    let token = client.create_token("t", &["events:read".into()], None).await.expect("a token");
    let token = token.value().expect("shown once").to_owned();
    let find = || {
        let wanted = secrets.iter().copied().chain([token.as_str()]);
        wanted.filter(|secret| holds(dir.path(), secret.as_bytes())).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(find().is_empty(), "while it runs: {:?}", find());
    hub.stop().await;
    assert!(find().is_empty(), "after it ended: {:?}", find());
}

/// Whether any file of a folder holds these bytes.
pub fn holds(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).expect("a folder").filter_map(Result::ok).any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        let content = std::fs::read(&path).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test]
async fn a_misspelt_setting_ends_the_start_with_the_nearest_name() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("nexus.toml"), "[server]\nlissten = [\"127.0.0.1:0\"]\n").expect("written");
    for command in [["serve"].as_slice(), &["config", "check"]] {
        let output = run(dir.path(), command).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("did you mean \"listen\"?"), "{}", text(&output.stderr));
    }
}

fn to(name: &str, filter: &str, url: &str) -> NewSubscription {
    NewSubscription {
        name: name.into(),
        filters: vec![filter.into()],
        url: Some(url.into()),
        ..NewSubscription::default()
    }
}
