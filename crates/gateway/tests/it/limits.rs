//! How often, from where, how many at once.

use std::time::Duration;

use nexus_core::time::Clock;
use nexus_gateway::GatewayConfig;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::rig::{Rig, sign, unlimited, within};

const EVENT: &str = r#"{"event":"a.b","payload":{}}"#;

async fn burst(rig: &Rig, secret: &str, from: &str, count: usize) -> Vec<crate::rig::Reply> {
    let signature = sign(secret, EVENT.as_bytes());
    let mut replies = Vec::new();
    for _ in 0..count {
        let headers = [("x-nexus-signature", signature.as_str()), ("x-forwarded-for", from)];
        replies.push(rig.send("POST", "/events", &headers, EVENT.as_bytes()).await);
    }
    replies
}

fn accepted(replies: &[crate::rig::Reply]) -> usize {
    replies.iter().filter(|r| r.status == 200).count()
}

/// N-008
#[tokio::test]
async fn ten_a_second_per_address_and_a_second_address_is_unaffected() {
    let trusted_proxies = vec!["127.0.0.1".parse().expect("a network")];
    let rig = Rig::with(GatewayConfig { trusted_proxies, ..GatewayConfig::default() }).await;
    rig.source("pay", "s", &[]).await;
    let begin = rig.clock.mono();
    let mut first = burst(&rig, "s", "203.0.113.1", 30).await;
    // Where the machine stands still for a while, all of them may be let through.
    within(async {
        while first.iter().all(|r| r.status == 200) {
            first.extend(burst(&rig, "s", "203.0.113.1", 30).await);
        }
    })
    .await;
    let (through, most) = (accepted(&first), 11 + (rig.clock.mono() - begin).as_millis() / 100);
    assert!((10..=most).contains(&(through as u128)), "{through}, at most {most} expected");
    let refused = first.iter().find(|r| r.status == 429).expect("one is refused");
    assert_eq!(refused.refusal(), (429, "RATE_LIMITED"));
    assert_eq!(refused.body["retryable"], true);
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit-limit")), ("1", "10"));
    assert_eq!((refused.header("ratelimit-remaining"), refused.header("ratelimit-policy")), ("0", "10;w=1"));
    assert!(first.iter().all(|r| matches!(r.status.as_u16(), 200 | 429)));
    assert_eq!(accepted(&burst(&rig, "s", "203.0.113.2", 5).await), 5);
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(accepted(&burst(&rig, "s", "203.0.113.1", 5).await), 5);
    rig.stop().await;
}

/// C-076, K-165
#[tokio::test]
async fn every_counted_answer_says_where_its_caller_stands_and_another_is_unaffected() {
    let api_rate = Some("3/h".parse().expect("a rate"));
    let rig = Rig::with(GatewayConfig { api_rate, ..unlimited() }).await;
    let (one, two) = (rig.token("one", &["sources:read"]).await, rig.token("two", &["sources:read"]).await);
    let get = |token: String| {
        let rig = &rig;
        async move {
            let bearer = format!("Bearer {token}");
            rig.send("GET", "/api/v1/sources", &[("authorization", bearer.as_str())], b"").await
        }
    };
    for left in ["2", "1", "0"] {
        let reply = get(one.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.header("ratelimit-remaining")), (200, left));
        assert_eq!((reply.header("ratelimit-limit"), reply.header("ratelimit-policy")), ("3", "3;w=3600"));
        let reset: u64 = reply.header("ratelimit-reset").parse().expect("seconds");
        assert!((1..=3_600).contains(&reset), "{reset}");
    }
    let refused = get(one.clone()).await;
    assert_eq!(refused.refusal(), (429, "RATE_LIMITED"));
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1_000..=1_200).contains(&after), "{after}");
    assert_eq!(get(two).await.status, 200);
    assert!(rig.send("GET", "/health", &[], b"").await.headers.get("ratelimit-limit").is_none(), "it is not counted");
    rig.clock.advance(Duration::from_secs(1_201));
    assert_eq!(get(one).await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn who_could_not_prove_who_they_are_is_counted_by_address() {
    let api_rate = Some("3/h".parse().expect("a rate"));
    let rig = Rig::with(GatewayConfig { api_rate, ..unlimited() }).await;
    let guess = async |n: u32| {
        let bearer = format!("Bearer nxs_guess{n}");
        rig.send("GET", "/api/v1/sources", &[("authorization", bearer.as_str())], b"").await.refusal().0
    };
    let answers = [guess(1).await, guess(2).await, guess(3).await, guess(4).await];
    assert_eq!(answers, [401, 401, 401, 429]);
    let bearer = format!("Bearer {}", rig.token("one", &["sources:read"]).await);
    let known = rig.send("GET", "/api/v1/sources", &[("authorization", bearer.as_str())], b"").await;
    assert_eq!(known.status, 200, "a token from the same address is not held up by them");
    rig.stop().await;
}

#[tokio::test]
async fn a_source_has_its_own_rate_or_none_and_guesses_are_limited() {
    let ingress_rate = Some("10/h".parse().expect("a rate"));
    let rig = Rig::with(GatewayConfig { ingress_rate, ..GatewayConfig::default() }).await;
    rig.source_of(json!({"id": "free", "secrets": ["free"], "rate_limit": "off"})).await;
    rig.source_of(json!({"id": "slow", "secrets": ["slow"], "rate_limit": "2/h"})).await;
    assert_eq!(accepted(&burst(&rig, "free", "1.1.1.1", 40).await), 40);
    assert_eq!(accepted(&burst(&rig, "slow", "1.1.1.1", 5).await), 2);
    let guesses = burst(&rig, "guess", "1.1.1.1", 30).await;
    assert_eq!(guesses.iter().filter(|r| r.status == 429).count(), 20);
    // Without a trusted proxy the header does not make another client of it.
    let again = burst(&rig, "guess", "9.9.9.9", 5).await;
    assert!(again.iter().all(|r| r.status == 429));
    rig.stop().await;
}

/// N-009
#[tokio::test]
async fn only_known_origins_may_read_answers() {
    let cors_origins = vec!["https://app.example.com".to_owned()];
    let rig = Rig::with(GatewayConfig { cors_origins, ..unlimited() }).await;
    let good = rig.send("GET", "/health", &[("origin", "https://app.example.com")], b"").await;
    assert_eq!(good.header("access-control-allow-origin"), "https://app.example.com");
    assert_eq!(good.header("vary"), "Origin");
    let other = rig.send("GET", "/health", &[("origin", "https://evil.example")], b"").await;
    assert!(!other.headers.contains_key("access-control-allow-origin"));
    let asked = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, content-type"),
    ];
    let preflight = rig.send("OPTIONS", "/api/v1/sources", &asked, b"").await;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://app.example.com");
    assert!(preflight.header("access-control-allow-methods").contains("POST"));
    assert_eq!(preflight.header("access-control-allow-headers"), "authorization, content-type");
    let foreign = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let refused = rig.send("OPTIONS", "/api/v1/sources", &foreign, b"").await;
    assert!(refused.headers.keys().all(|k| !k.as_str().starts_with("access-control-")));
    rig.stop().await;
}

#[tokio::test]
async fn connections_and_sockets_beyond_the_limit_are_told_so() {
    let rig = Rig::with(GatewayConfig { connections: 2, header_timeout: crate::rig::PATIENCE, ..unlimited() }).await;
    let held = [TcpStream::connect(rig.address).await, TcpStream::connect(rig.address).await];
    let mut held: Vec<TcpStream> = held.into_iter().map(|s| s.expect("connected")).collect();
    for stream in &mut held {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
        let mut answer = [0u8; 12];
        within(stream.read_exact(&mut answer)).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    let mut third = TcpStream::connect(rig.address).await.expect("connected");
    let mut text = String::new();
    let _ = within(third.read_to_string(&mut text)).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer: {text:?}"));
    assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 1"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&body["error"]["code"], &body["retryable"]), (&json!("UNAVAILABLE"), &json!(true)), "{body}");
    let id = body["requestId"].as_str().expect("an id");
    assert!(head.contains(&format!("x-request-id: {id}")), "{head}");
    drop(held);
    rig.stop().await;

    let rig = Rig::with(GatewayConfig { sockets: 1, ..unlimited() }).await;
    let mut first = rig.socket("/ws").await;
    first.ask(&json!({"type": "ping"})).await;
    let bearer = format!("Bearer {}", rig.admin);
    assert_eq!(rig.refused_socket("/ws", &[("authorization", &bearer)]).await, 503);
    drop(first);
    rig.stop().await;
}

#[tokio::test]
async fn a_head_or_body_that_drips_is_cut_off() {
    let quick = Duration::from_millis(300);
    let rig = Rig::with(GatewayConfig { header_timeout: quick, ..unlimited() }).await;
    let head = rig.raw(b"POST /events HTTP/1.1\r\nhost: x\r\n").await;
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408"), "{head:?}");
    rig.stop().await;
    let rig = Rig::with(GatewayConfig { body_timeout: quick, ..unlimited() }).await;
    rig.source("pay", "s", &[]).await;
    let body = b"POST /events HTTP/1.1\r\nhost: x\r\nx-nexus-signature: 00\r\ncontent-length: 100\r\n\r\n{\"ev";
    let answer = rig.raw(body).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer:?}");
    rig.stop().await;
}

#[tokio::test]
async fn stopping_lets_what_is_in_flight_answer_and_closes_sockets() {
    let rig = Rig::new().await;
    let mut socket = rig.socket("/ws").await;
    socket.ask(&json!({"type": "ping"})).await;
    let address = rig.address;
    let stopped = rig.stop();
    let (code, ()) = tokio::join!(socket.closed(), stopped);
    assert_eq!(code, 1001);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
