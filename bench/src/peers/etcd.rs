//! etcd: puts over gRPC, each synced before it is answered. The two messages are small enough to be written by hand.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::{net::TcpStream, process::Command, task::JoinSet};

use crate::{
    error::{Doing, Error, Fallible},
    load::Tally,
    process::{Server, free_address, installed},
};

/// HTTP/2 connections that the clients share.
const CONNECTIONS: usize = 8;
/// Different keys.
pub(crate) const KEYS: u64 = 10_000;

/// Starts one of its own, empty; `None` where it is not installed.
pub(crate) async fn start(folder: &Path) -> Fallible<Option<Server>> {
    let Some(program) = installed("etcd") else { return Ok(None) };
    let folder = folder.join("etcd");
    std::fs::create_dir_all(&folder).doing(format_args!("creating {}", folder.display()))?;
    let (addr, peer) = (free_address()?, format!("http://{}", free_address()?));
    let client = format!("http://{addr}");
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(folder.join("data"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}"), "--log-level", "error"]);
    let server = Server::start_at(command, addr, &folder.join("log")).await?;
    // The port is open before it has elected itself; a put waits for that, so one put is the proof.
    put_loop(server.addr, "first", 1, Duration::from_millis(10)).await?;
    Ok(Some(server))
}

/// `clients` clients, each with its next put as soon as the last one is answered, for `time`.
pub(crate) async fn put_loop(addr: SocketAddr, value: &str, clients: usize, time: Duration) -> Fallible<Tally> {
    let mut drivers = JoinSet::new();
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS.min(clients) {
        let stream = TcpStream::connect(addr).await.doing("connecting to etcd")?;
        stream.set_nodelay(true).doing("setting nodelay")?;
        let (sender, connection) = h2::client::handshake(stream).await.doing("greeting etcd")?;
        drivers.spawn(connection);
        senders.push(sender);
    }
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let sender = senders[client % senders.len()].clone();
        let uri = format!("http://{addr}/etcdserverpb.KV/Put");
        tasks.spawn(put_client(sender, uri, value.to_owned(), client as u64, end));
    }
    let mut sum = Tally { seconds: time.as_secs_f64(), ..Tally::default() };
    while let Some(done) = tasks.join_next().await {
        sum.merge(&done.doing("joining a client")??);
    }
    Ok(sum)
}

/// The number after `number`, without a pattern that a store could make use of.
pub(crate) const fn next_key(number: u64) -> u64 {
    number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 1
}

async fn put_client(
    sender: SendRequest<Bytes>,
    uri: String,
    body: String,
    client: u64,
    end: Instant,
) -> Fallible<Tally> {
    let mut tally = Tally::default();
    let mut number = client;
    let mut started = Instant::now();
    loop {
        put(&sender, &uri, &put_request(&format!("k-{:05}", number % KEYS), &body)).await?;
        let ended = Instant::now();
        if ended > end {
            return Ok(tally);
        }
        tally.events += 1;
        tally.latency.record(ended - started);
        started = ended;
        number = next_key(number);
    }
}

async fn put(sender: &SendRequest<Bytes>, uri: &str, message: &[u8]) -> Fallible<()> {
    let request = http::Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .doing("writing a request")?;
    let mut sender = sender.clone().ready().await.doing("waiting for a stream")?;
    let (answer, mut stream) = sender.send_request(request, false).doing("sending a put")?;
    stream.send_data(Bytes::copy_from_slice(message), true).doing("sending a put")?;
    let (head, mut body) = answer.await.doing("reading an answer")?.into_parts();
    while let Some(part) = body.data().await {
        let read = part.doing("reading an answer")?.len();
        body.flow_control().release_capacity(read).doing("reading an answer")?;
    }
    let trailers = body.trailers().await.doing("reading an answer")?.unwrap_or_default();
    let status = trailers.get("grpc-status").or_else(|| head.headers.get("grpc-status"));
    match status.map(|s| s.as_bytes()) {
        Some(b"0") => Ok(()),
        other => Err(Error::new(format!("etcd answered {} / {other:?}: {trailers:?}", head.status))),
    }
}

/// A gRPC frame with `PutRequest { key = 1, value = 2 }`.
fn put_request(key: &str, value: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(value.len() + 32);
    for (field, text) in [(0x0a, key), (0x12, value)] {
        message.push(field);
        varint(&mut message, text.len());
        message.extend_from_slice(text.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(&message);
    frame
}

fn varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_is_framed_as_grpc_wants_it() {
        let frame = put_request("k", &"v".repeat(300));
        assert_eq!(&frame[..9], &[0, 0, 0, 1, 50, 0x0a, 1, b'k', 0x12]);
        assert_eq!(&frame[9..12], &[0xac, 0x02, b'v']);
        assert_eq!(frame.len(), 5 + 306);
    }
}
