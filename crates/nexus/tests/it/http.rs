//! HTTP as bytes, for what a client library hides: headers, other addresses, wrong requests.

use std::{collections::BTreeMap, net::SocketAddr};

use nexus_client::event::signature;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

use crate::hub::PATIENCE;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// A header; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Sends one request from `from` (`127.0.0.1`, `127.0.0.2`, …) and reads the whole answer.
pub async fn send(from: &str, to: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let exchange = async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{from}:0").parse().expect("an address")).expect("a loopback address");
        let to: SocketAddr = to.parse().expect("an address");
        let mut stream = socket.connect(to).await.expect("the hub listens");
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        // A hub that refuses a body answers before it has read it, and closes: the answer is there all the same.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("UTF-8")
    };
    parse(&tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time"))
}

/// `GET`.
pub async fn get(to: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    send("127.0.0.1", to, "GET", path, headers, "").await
}

/// Reads a stream of events after `since` until it has said `wanted`.
pub async fn until(from: &str, to: &str, path: &str, token: &str, since: &str, wanted: &str) -> String {
    let read = async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{from}:0").parse().expect("an address")).expect("a loopback address");
        let address: SocketAddr = to.parse().expect("an address");
        let mut stream = socket.connect(address).await.expect("the hub listens");
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {token}\r\nLast-Event-ID: {since}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("the hub reads");
        let mut seen = Vec::new();
        loop {
            let read = stream.read_buf(&mut seen).await.expect("the hub answers");
            let text = String::from_utf8_lossy(&seen);
            if read == 0 || text.contains(wanted) {
                return text.into_owned();
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("the stream does not say {wanted:?}"))
}

/// A signed `POST`.
pub async fn post_signed(to: &str, path: &str, secret: &str, body: &str) -> Answer {
    post_signed_from("127.0.0.1", to, path, secret, body).await
}

/// A signed `POST` from another address of this machine.
pub async fn post_signed_from(from: &str, to: &str, path: &str, secret: &str, body: &str) -> Answer {
    let signature = signature(secret, body.as_bytes());
    let headers = [("Content-Type", "application/json"), ("X-Nexus-Signature", signature.as_str())];
    send(from, to, "POST", path, &headers, body).await
}

fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).expect("a status line");
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Answer { status, headers, body: body.to_owned() }
}
