//! Nothing is dialed that was not judged, and nothing judged closed is dialed.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Method;
use nexus_core::time::Pending;
use nexus_outbound::{Client, ClientOptions, Kind, Reach, Request, dial::Resolve};
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::server::{Server, client, options, until_closed};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Gives the addresses of the next entry at each lookup; the last entry stays.
struct Scripted {
    answers: Vec<Vec<IpAddr>>,
    lookups: AtomicUsize,
}

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|a| a.parse().expect("an address")).collect();
        Arc::new(Self { answers: answers.iter().map(parse).collect(), lookups: AtomicUsize::new(0) })
    }
}

impl Resolve for Scripted {
    fn resolve(&self, _: &str) -> Pending<io::Result<Vec<IpAddr>>> {
        let turn = self.lookups.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let answer = self.answers[turn].clone();
        Box::pin(async move { Ok(answer) })
    }
}

fn resolving(resolver: &Arc<Scripted>) -> Client {
    Client::with_resolver(options(), Arc::clone(resolver) as Arc<dyn Resolve>).expect("a client")
}

fn named(server: &Server, reach: Reach) -> Request {
    Request::post(format!("http://hooks.example:{}/", server.address.port()), "{}", reach)
}

#[tokio::test]
async fn a_loopback_address_needs_the_private_reach() {
    let server = Server::answering(OK).await;
    let client = client();
    let error = client.send(Request::post(server.url("/"), "{}", Reach::Public)).await.expect_err("refused");
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.kind.is_permanent());
    assert!(error.message.contains("loopback") && error.message.contains("endpoints:private"), "{error}");
    assert_eq!(server.accepted(), 0);
    client.send(Request::post(server.url("/"), "{}", Reach::Private)).await.expect("an answer");
    // The connection that is now idle belongs to the other reach.
    let error = client.send(Request::post(server.url("/"), "{}", Reach::Public)).await.expect_err("refused");
    assert_eq!(error.kind, Kind::Refused);
}

#[tokio::test]
async fn a_name_is_judged_by_every_address_that_it_has() {
    let server = Server::answering(OK).await;
    for addresses in [&["127.0.0.1"][..], &["::ffff:127.0.0.1"], &["1.1.1.1", "127.0.0.1"], &["127.0.0.1", "1.1.1.1"]] {
        let resolver = Scripted::new(&[addresses]);
        let error = resolving(&resolver).send(named(&server, Reach::Public)).await.expect_err("refused");
        assert_eq!(error.kind, Kind::Refused, "{addresses:?}");
    }
    for addresses in [&["169.254.169.254"][..], &["127.0.0.1", "169.254.169.254"], &["64:ff9b::a9fe:a9fe"]] {
        let resolver = Scripted::new(&[addresses]);
        let error = resolving(&resolver).send(named(&server, Reach::Private)).await.expect_err("refused");
        assert_eq!(error.kind, Kind::Refused, "{addresses:?}");
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn the_pool_of_one_reach_is_not_lent_to_the_other() {
    let server = Server::answering(OK).await;
    let resolver = Scripted::new(&[&["127.0.0.1"]]);
    let client = resolving(&resolver);
    client.send(named(&server, Reach::Private)).await.expect("an answer");
    let error = client.send(named(&server, Reach::Public)).await.expect_err("refused");
    assert_eq!(error.kind, Kind::Refused);
}

#[tokio::test]
async fn the_judged_address_is_the_dialed_one() {
    let server = Server::answering(OK).await;
    // A second lookup of the same dial would get the metadata address.
    let resolver = Scripted::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    resolving(&resolver).send(named(&server, Reach::Private)).await.expect("an answer");
    assert_eq!((server.accepted(), resolver.lookups.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let server = Server::answering(OK).await;
    let resolver = Scripted::new(&[&["127.0.0.2", "127.0.0.1"]]);
    resolving(&resolver).send(named(&server, Reach::Private)).await.expect("an answer");
}

#[tokio::test]
async fn a_name_without_address_is_a_dns_error() {
    let server = Server::answering(OK).await;
    let error = resolving(&Scripted::new(&[&[]])).send(named(&server, Reach::Public)).await.expect_err("no address");
    assert_eq!(error.kind, Kind::Dns);

    struct Never;
    impl Resolve for Never {
        fn resolve(&self, _: &str) -> Pending<io::Result<Vec<IpAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let hasty = ClientOptions { connect_timeout: Duration::from_millis(50), ..options() };
    let client = Client::with_resolver(hasty, Arc::new(Never)).expect("a client");
    let error = client.send(named(&server, Reach::Public)).await.expect_err("no answer");
    assert!(matches!(error.kind, Kind::Dns | Kind::Connect), "{error}");
}

#[tokio::test]
async fn a_closed_port_is_a_connect_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    drop(listener);
    let error = client().send(Request::post(url, "{}", Reach::Private)).await.expect_err("closed");
    assert_eq!(error.kind, Kind::Connect, "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_error() {
    let server = Server::start(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        until_closed(stream).await;
    })
    .await;
    let url = format!("https://{}/", server.address);
    let error = client().send(Request::post(url, "{}", Reach::Private)).await.expect_err("no TLS");
    assert_eq!(error.kind, Kind::Tls, "{error}");
}

#[tokio::test]
async fn a_tls_handshake_has_an_end() {
    let server = Server::start(until_closed).await;
    let hasty = ClientOptions { connect_timeout: Duration::from_millis(50), ..options() };
    let client = Client::new(hasty).expect("a client");
    let url = format!("https://{}/", server.address);
    let error = client.send(Request::post(url, "{}", Reach::Private)).await.expect_err("no TLS");
    assert_eq!(error.kind, Kind::Connect, "{error}");
}

#[tokio::test]
async fn odd_urls_and_tunnels_are_not_sent() {
    for url in [
        "http://user:pw@127.0.0.1/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://017700000001/",
        "file:///etc/passwd",
        "/x",
    ] {
        let error = client().send(Request::post(url, "{}", Reach::Private)).await.expect_err("refused");
        assert_eq!(error.kind, Kind::BadUrl, "{url}");
    }
    let tunnel = Request { method: Method::CONNECT, ..Request::post("http://127.0.0.1:1/", "", Reach::Private) };
    assert_eq!(client().send(tunnel).await.map_err(|e| e.kind).err(), Some(Kind::BadUrl));
}
