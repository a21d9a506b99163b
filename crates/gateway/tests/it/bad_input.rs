//! Everything wrong that can come in: the documented status, a body that says what would be right, nothing stored, and
//! the same connection goes on.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::rig::{Rig, sign, within};

fn explained(text: &str) -> Value {
    let body: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text:?}"));
    for field in ["type", "title", "status", "detail", "instance", "code", "message", "retryable", "requestId", "error"]
    {
        assert!(body.get(field).is_some(), "{field} is missing in {text}");
    }
    assert_eq!(body["success"], false);
    assert!(body["message"].as_str().is_some_and(|m| m.len() > 10), "{text}");
    body
}

#[tokio::test]
async fn wrong_bodies_are_refused_and_nothing_is_stored() {
    let rig = Rig::new().await;
    rig.source("pay", "s", &[]).await;
    let before = rig.seq();
    let deep = format!(r#"{{"event":"a.b","payload":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let long = format!(r#"{{"event":"a.b","payload":"{}"}}"#, "x".repeat((1 << 20) + 1));
    let huge = vec![b' '; 20 << 20];
    let cases: Vec<(&str, &[u8], u16)> = vec![
        ("empty", b"", 400),
        ("not JSON", b"hello", 400),
        ("not UTF-8", b"{\"event\":\"a\xff\"}", 400),
        ("duplicate keys", br#"{"event":"a.b","event":"a.c","payload":1}"#, 400),
        ("1e400", br#"{"event":"a.b","payload":1e400}"#, 400),
        ("too deep", deep.as_bytes(), 400),
        ("an array", b"[]", 400),
        ("no event", br#"{"payload":{}}"#, 400),
        ("empty event", br#"{"event":"","payload":{}}"#, 400),
        ("path tricks", br#"{"event":"../../etc/passwd","payload":{}}"#, 400),
        ("wildcard", br#"{"event":"a.*","payload":{}}"#, 400),
        ("NUL", b"{\"event\":\"a.b\",\"payload\":\"\\u0000\"}", 400),
        ("priority", br#"{"event":"a.b","payload":{},"priority":9}"#, 422),
        ("large payload", long.as_bytes(), 413),
        ("20 MB", &huge, 413),
    ];
    for (what, body, status) in cases {
        let signature = sign("s", body);
        let headers = [("x-nexus-signature", signature.as_str()), ("content-type", "application/json")];
        let reply = rig.send("POST", "/events", &headers, body).await;
        assert_eq!(reply.status.as_u16(), status, "{what}: {}", reply.text);
        explained(&reply.text);
    }
    assert_eq!(rig.seq(), before);
    rig.stop().await;
}

#[tokio::test]
async fn wrong_content_types_are_refused_where_json_is_expected() {
    let rig = Rig::new().await;
    rig.source("pay", "s", &[]).await;
    let body = r#"{"event":"a.b","payload":{}}"#;
    let signature = sign("s", body.as_bytes());
    for (kind, status) in [
        ("application/xml", 415),
        ("image/png", 415),
        ("text/plain;charset=UTF-8", 200),
        ("application/json; charset=utf-8", 200),
    ] {
        let headers = [("x-nexus-signature", signature.as_str()), ("content-type", kind)];
        assert_eq!(rig.send("POST", "/events", &headers, body.as_bytes()).await.status.as_u16(), status, "{kind}");
    }
    let bearer = format!("Bearer {}", rig.admin);
    let plain = [("authorization", bearer.as_str())];
    let typed = [("authorization", bearer.as_str()), ("content-type", "text/plain")];
    let source = br#"{"id":"x"}"#;
    assert_eq!(rig.send("POST", "/api/v1/sources", &plain, source).await.refusal(), (415, "UNSUPPORTED_MEDIA_TYPE"));
    assert_eq!(rig.send("POST", "/api/v1/sources", &typed, source).await.refusal(), (415, "UNSUPPORTED_MEDIA_TYPE"));
    assert_eq!(rig.send("POST", "/events/a.b", &plain, br#"{"payload":1}"#).await.status, 200);
    assert_eq!(rig.send("POST", "/events/a.b", &typed, br#"{"payload":1}"#).await.status, 200);
    let wrong = [("authorization", bearer.as_str()), ("content-type", "application/xml")];
    assert_eq!(rig.send("POST", "/events/a.b", &wrong, br#"{"payload":1}"#).await.status, 415);
    rig.stop().await;
}

#[tokio::test]
async fn topics_in_the_path_have_no_tricks() {
    let rig = Rig::new().await;
    let before = rig.seq();
    for (path, status) in [
        ("/events/..%2F..%2Fetc", 400),
        ("/events/a%2Fb", 400),
        ("/events/a.%2A", 400),
        ("/events/%00", 400),
        ("/events/a%ffb", 400),
        ("/events/a..b", 400),
        ("/events/a/b", 404),
        ("/events/", 404),
    ] {
        let reply = rig.api("POST", path, json!({"payload": 1})).await;
        assert_eq!(reply.status.as_u16(), status, "{path}: {}", reply.text);
        explained(&reply.text);
    }
    let long = format!("/events/{}", "a".repeat(300));
    assert_eq!(rig.api("POST", &long, json!({"payload": 1})).await.refusal(), (400, "MALFORMED"));
    assert_eq!(rig.seq(), before);
    rig.stop().await;
}

#[tokio::test]
async fn one_connection_survives_a_hundred_refusals() {
    let rig = Rig::new().await;
    rig.source("pay", "s", &[]).await;
    let stream = TcpStream::connect(rig.address).await.expect("connected");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    rig.hub.spawn().start(nexus_engine::supervisor::TaskKind::Background, async move {
        let _ = connection.await;
    });
    for n in 0..100 {
        let body = if n % 2 == 0 { "nonsense" } else { r#"{"event":"a.b","payload":{}}"# };
        let request = Request::post("/events")
            .header("host", "localhost")
            .header("x-nexus-signature", sign("s", body.as_bytes()))
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let response = within(sender.send_request(request)).await.expect("an answer");
        assert_eq!(response.status(), if n % 2 == 0 { 400 } else { 200 });
        within(response.into_body().collect()).await.expect("a body");
    }
    drop(sender);
    rig.stop().await;
}

/// A refusal of what is no request has the body of every other.
fn refusal(answer: &str, status: u16) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    assert!(head.contains("x-request-id: ") && head.contains("application/problem+json"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&body["success"], &body["status"]), (&false.into(), &status.into()), "{body}");
    assert!(body["code"].is_string() && body["error"]["message"].is_string() && body["requestId"].is_string());
}

#[tokio::test]
async fn raw_nonsense_and_oversized_heads_end_the_connection_and_nothing_else() {
    let rig = Rig::new().await;
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"] {
        let answer = rig.raw(bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer:?}");
        refusal(&answer, 400);
    }
    let big = format!("GET /health HTTP/1.1\r\nhost: x\r\nx-big: {}\r\n\r\n", "y".repeat(100_000));
    let answer = rig.raw(big.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{}", &answer[..answer.len().min(80)]);
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let answer = rig.raw(format!("GET /health HTTP/1.1\r\nhost: x\r\n{many}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    refusal(&answer, 431);
    let metrics = rig.metrics().await;
    assert!(metrics[r#"nexus_refused_requests_total{reason="MALFORMED"}"#] >= 3.0, "{metrics:?}");
    assert_eq!(rig.send("GET", "/health", &[], b"").await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn a_request_of_two_readings_is_refused_and_so_is_a_packed_body() {
    let rig = Rig::new().await;
    let bearer = format!("authorization: Bearer {}\r\n", rig.admin);
    let get = async |heads: &str| {
        let text = format!("GET /api/v1/sources HTTP/1.1\r\n{heads}connection: close\r\n\r\n");
        rig.raw(text.as_bytes()).await
    };
    let good = get(&format!("host: a\r\n{bearer}")).await;
    assert!(good.starts_with("HTTP/1.1 200"), "{good}");
    for (heads, word) in [
        (bearer.clone(), "the Host header is missing"),
        (format!("host: a\r\nhost: b\r\n{bearer}"), "2 Host headers"),
        (format!("host: a\r\n{bearer}{bearer}"), "2 Authorization headers"),
    ] {
        let refused = get(&heads).await;
        assert!(refused.starts_with("HTTP/1.1 400") && refused.contains(word), "{refused}");
        assert!(refused.contains("x-request-id"), "{refused}");
    }
    let bearer = format!("Bearer {}", rig.admin);
    let post = async |coding: &str| {
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/json"), ("content-encoding", coding)];
        rig.send("POST", "/events/a.b", &headers, br#"{"payload":1}"#).await
    };
    assert_eq!(post("identity").await.status, 200);
    for coding in ["gzip", "identity, br"] {
        let refused = post(coding).await;
        assert_eq!(refused.refusal(), (415, "UNSUPPORTED_MEDIA_TYPE"), "{}", refused.text);
        assert!(refused.text.contains("send the body as it is"), "{}", refused.text);
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_refused_where_its_fields_mean_nothing() {
    let rig = Rig::new().await;
    let service = json!({"id": "billing-1", "name": "billing", "host": "127.0.0.1", "port": 9});
    assert_eq!(rig.api("POST", "/services", service.clone()).await.status, 201);
    assert_eq!(rig.api("POST", "/services", service).await.status, 200, "updated");
    let beat = rig.api("POST", "/services/billing-1/heartbeat", json!({"foo": 1})).await;
    assert_eq!(beat.refusal(), (422, "INVALID"), "{}", beat.text);
    assert_eq!(rig.api("POST", "/services/billing-1/heartbeat", json!({})).await.status, 200);
    let ticket = rig.api("POST", "/api/v1/tickets", json!({"x": 1})).await;
    assert_eq!(ticket.refusal(), (422, "INVALID"), "{}", ticket.text);
    assert_eq!(rig.api("POST", "/api/v1/tickets", Value::Null).await.status, 201);
    for sent in ["?timeout=10h", "?timeout=301s"] {
        let refused = rig.api("POST", &format!("/services/billing/invoke{sent}"), json!({})).await;
        assert_eq!(refused.refusal(), (422, "INVALID"), "{}", refused.text);
        assert!(refused.text.contains("at most 300s"), "{}", refused.text);
    }
    let far = json!({"name": "x", "scopes": ["events:read"], "expiresAt": "9999-12-31T23:59:59Z"});
    let refused = rig.api("POST", "/api/v1/tokens", far).await;
    assert!(refused.text.contains("up to 9999-12-30T22:00:00"), "{}", refused.text);
    // A name comes before an id, for looking as for calling.
    let other = json!({"id": "billing", "name": "accounts", "host": "127.0.0.1", "port": 9});
    assert_eq!(rig.api("POST", "/services", other).await.status, 201);
    let found = rig.api("GET", "/services/billing", Value::Null).await;
    assert_eq!((&found.body["id"], &found.body["name"]), (&json!("billing-1"), &json!("billing")), "{}", found.text);
    rig.stop().await;
}

#[tokio::test]
async fn wrong_queries_and_fields_are_named() {
    let rig = Rig::new().await;
    for (path, field) in [
        ("/api/v1/events?limit=0", "limit"),
        ("/api/v1/events?limit=x", "limit"),
        ("/api/v1/events?typ=a", "typ"),
        ("/api/v1/events?from=yesterday", "from"),
        ("/api/v1/events?order=up", "order"),
        ("/api/v1/events?cursor=x", "cursor"),
        ("/api/v1/events?type=a..b", "type"),
        ("/api/v1/deliveries?state=lost", "state"),
        ("/api/v1/deliveries?event=x", "event"),
        ("/api/v1/events/stream?since=x", "since"),
    ] {
        let reply = rig.api("GET", path, Value::Null).await;
        assert_eq!(reply.refusal(), (422, "INVALID"), "{path}: {}", reply.text);
        assert!(reply.body["error"]["details"][field].is_string(), "{path}: {}", reply.text);
    }
    for (path, body, field) in [
        ("/api/v1/sources", json!({}), "id"),
        ("/api/v1/sources", json!({"id": "x", "alow": []}), "alow"),
        ("/api/v1/sources", json!({"id": "x", "preset": "nope"}), "preset"),
        ("/api/v1/sources", json!({"id": "x", "schemas": {"a.b": {"type": "nope"}}}), "schemas.a.b"),
        ("/api/v1/sources", json!({"id": "x", "mapping": "def f: f; f"}), "mapping"),
        ("/api/v1/sources", json!({"id": "x", "rate_limit": "fast"}), "rate_limit"),
        ("/api/v1/tokens", json!({"name": "x", "scopes": ["nope"]}), "scopes[0]"),
        ("/api/v1/tokens", json!({"name": "x", "scopes": ["admin"], "expiresAt": "soon"}), "expiresAt"),
        ("/api/v1/dead-letters/redrive", json!({}), "body"),
        ("/api/v1/dead-letters/redrive", json!({"id": "1", "all": true}), "body"),
    ] {
        let reply = rig.api("POST", path, body).await;
        assert_eq!(reply.refusal(), (422, "INVALID"), "{path}: {}", reply.text);
        assert!(reply.body["details"][field].is_string(), "{path} {field}: {}", reply.text);
    }
    assert_eq!(rig.api("POST", "/api/v1/sources", json!([1])).await.refusal(), (400, "MALFORMED"));
    assert_eq!(rig.api("DELETE", "/api/v1/dead-letters", Value::Null).await.refusal(), (422, "INVALID"));
    rig.stop().await;
}
