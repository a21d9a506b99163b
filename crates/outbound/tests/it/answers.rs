//! What comes back, also from servers that misbehave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Method, header};
use nexus_outbound::{Client, ClientOptions, Kind, Reach, Request};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use crate::server::{Server, client, options, request, until_closed};

fn post(server: &Server) -> Request {
    Request::post(server.url("/hook"), r#"{"a":1}"#, Reach::Private)
}

fn briefly(server: &Server) -> Request {
    Request { timeout: Some(Duration::from_millis(150)), ..post(server) }
}

#[tokio::test]
async fn a_request_arrives_whole_and_its_answer_comes_back() {
    let (seen, mut requests) = mpsc::channel(1);
    let server = Server::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            let request = request(&mut stream).await.unwrap_or_default();
            let _ = seen.send(request).await;
            let _ = stream.write_all(b"HTTP/1.1 201 Created\r\nx-one: 1\r\ncontent-length: 4\r\n\r\ndone").await;
        }
    })
    .await;
    let mut sent = post(&server);
    sent.url.push_str("?q=1#part");
    sent.headers.insert("x-nexus-signature", HeaderValue::from_static("abc"));
    sent.headers.insert(header::HOST, HeaderValue::from_static("internal.example"));
    sent.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("3"));
    sent.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    let answer = client().send(sent).await.expect("an answer");
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["x-one"], "1");
    assert_eq!(&answer.body_head[..], b"done");
    assert!(!answer.truncated);
    let request = requests.recv().await.expect("a request").to_lowercase();
    assert!(request.starts_with("post /hook?q=1 http/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
    for header in [
        format!("host: {}", server.address),
        "content-length: 7".into(),
        "user-agent: nexus/".into(),
        "x-nexus-signature: abc".into(),
    ] {
        assert!(request.contains(&header), "{header} in {request}");
    }
    assert!(!request.contains("internal.example") && !request.contains("transfer-encoding"), "{request}");
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let client = client();
    for _ in 0..50 {
        assert_eq!(client.send(post(&server)).await.expect("an answer").status, 200);
    }
    assert!(server.accepted() <= 2, "{} connections for 50 requests", server.accepted());
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_it_lay_idle_costs_no_request() {
    let (closed, mut gone) = mpsc::channel(1);
    let server = Server::start(move |mut stream| {
        let closed = closed.clone();
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            drop(stream);
            let _ = closed.send(()).await;
        }
    })
    .await;
    let client = client();
    for n in 1..=10 {
        assert_eq!(client.send(post(&server)).await.expect("an answer").status, 200);
        gone.recv().await.expect("it closes");
        assert_eq!(server.accepted(), n);
        if n % 2 == 0 {
            client.tidy();
        }
    }
}

#[tokio::test]
async fn idle_connections_are_closed_when_they_are_old() {
    let (closed, mut gone) = mpsc::channel(1);
    let server = Server::start(move |mut stream| {
        let closed = closed.clone();
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            until_closed(stream).await;
            let _ = closed.send(()).await;
        }
    })
    .await;
    let client = Client::new(ClientOptions { pool_idle: Duration::ZERO, ..options() }).expect("a client");
    client.send(post(&server)).await.expect("an answer");
    client.tidy();
    tokio::time::timeout(Duration::from_secs(10), gone.recv()).await.expect("in time").expect("closed");
}

#[tokio::test]
async fn answers_without_a_body_are_whole() {
    for answer in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
    ] {
        let server = Server::answering(answer).await;
        let answer = client().send(post(&server)).await.expect("an answer");
        assert!(answer.body_head.is_empty() && !answer.truncated);
    }
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n").await;
    let head = Request { method: Method::HEAD, ..post(&server) };
    assert_eq!(client().send(head).await.expect("an answer").body_head.len(), 0);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.url("/");
        let server =
            Server::answering(format!("HTTP/1.1 {status} Go\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"))
                .await;
        let answer = client().send(post(&server)).await.expect("an answer");
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.headers[header::LOCATION], location);
    }
    assert_eq!(elsewhere.accepted(), 0);
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_timeout() {
    let server = Server::start(until_closed).await;
    let error = client().send(briefly(&server)).await.expect_err("no answer");
    assert_eq!((error.kind, error.status), (Kind::Timeout, None));
    assert!(error.latency >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_body_that_drips_ends_at_the_total_timeout() {
    let server = Server::start(|mut stream| async move {
        request(&mut stream).await;
        let mut drip = tokio::time::interval(Duration::from_millis(5));
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
        while sent.is_ok() {
            drip.tick().await;
            sent = stream.write_all(b".").await;
        }
    })
    .await;
    let error = client().send(briefly(&server)).await.expect_err("too slow");
    assert_eq!((error.kind, error.status), (Kind::TooSlow, Some(200)));
    assert!(error.latency < Duration::from_secs(5));
}

#[tokio::test]
async fn ten_megabytes_are_neither_read_nor_kept() {
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let (done, mut closed) = mpsc::channel(1);
    let server = Server::start(move |mut stream| {
        let (counter, done) = (Arc::clone(&counter), done.clone());
        async move {
            request(&mut stream).await;
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n").await;
            while sent.is_ok() && counter.load(Ordering::SeqCst) < 10_485_760 {
                sent = stream.write_all(&[b'x'; 65_536]).await;
                counter.fetch_add(65_536, Ordering::SeqCst);
            }
            let _ = done.send(sent.is_err()).await;
        }
    })
    .await;
    let answer = client().send(post(&server)).await.expect("an answer");
    assert_eq!(answer.body_head.len(), 4096);
    assert!(answer.truncated);
    assert_eq!(closed.recv().await, Some(true), "the connection is closed, not drained");
    assert!(written.load(Ordering::SeqCst) < 10_485_760);
}

#[tokio::test]
async fn a_body_of_just_the_kept_size_is_whole() {
    let body = "x".repeat(4096);
    let server = Server::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\n{body}")).await;
    let answer = client().send(post(&server)).await.expect("an answer");
    assert_eq!((answer.body_head.len(), answer.truncated), (4096, false));
    let server = Server::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 4097\r\n\r\n{body}y")).await;
    let answer = client().send(post(&server)).await.expect("an answer");
    assert_eq!((answer.body_head.len(), answer.truncated), (4096, true));
}

#[tokio::test]
async fn a_connection_that_closes_early_says_so() {
    for (answer, status) in [
        ("", None),
        ("HTTP/1.1 200 OK\r\ncontent-le", None),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", Some(200)),
        ("HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", Some(500)),
    ] {
        let server = Server::start(move |mut stream| async move {
            request(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let error = client().send(post(&server)).await.expect_err("closed");
        assert_eq!((error.kind, error.status), (Kind::Closed, status), "{answer:?} {error}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_a_protocol_error() {
    let flood =
        format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{}\r\n", format!("x: {}\r\n", "a".repeat(10_000)).repeat(99));
    for answer in ["SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", flood.as_str()] {
        let server = Server::answering(answer).await;
        let error = client().send(post(&server)).await.expect_err("no HTTP");
        assert_eq!(error.kind, Kind::Protocol, "{error}");
    }
}
