//! The other side of HTTP calls: it does a thing once per Idempotency-Key and gives the same answer again, as a service that
//! minds such keys does. A thread of its own, which no crash of a hub concerns.

#![expect(clippy::disallowed_methods, reason = "a test's own server is not one of the hub's tasks")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) key: String,
    /// It was done: the first of its key that was not refused.
    pub(crate) done: bool,
}

#[derive(Default)]
struct Desk {
    hits: Vec<Hit>,
    answered: BTreeMap<(String, String), String>,
    /// Paths, and how often they still answer 503.
    down: BTreeMap<String, usize>,
    /// Paths that do not answer.
    silent: Vec<String>,
}

/// It runs as long as this is held.
#[derive(Clone)]
pub(crate) struct StandIn {
    pub(crate) url: String,
    desk: Arc<Mutex<Desk>>,
    _running: Arc<Running>,
}

struct Running(Option<tokio::runtime::Runtime>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl StandIn {
    pub(crate) fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let desk: Arc<Mutex<Desk>> = Arc::default();
        let serving = Arc::clone(&desk);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&serving), stream));
            }
        });
        Self { url, desk, _running: Arc::new(Running(Some(runtime))) }
    }

    /// This path answers 503 so many times.
    pub(crate) fn down(&self, path: &str, times: usize) {
        self.desk.lock().expect("unpoisoned").down.insert(path.to_owned(), times);
    }

    /// This path does not answer any more.
    pub(crate) fn silence(&self, path: &str) {
        self.desk.lock().expect("unpoisoned").silent.push(path.to_owned());
    }

    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.desk.lock().expect("unpoisoned").hits.clone()
    }

    /// What was done, in order: path and body.
    pub(crate) fn done(&self) -> Vec<(String, Value)> {
        self.hits().into_iter().filter(|hit| hit.done).map(|hit| (hit.path, hit.body)).collect()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.done().into_iter().map(|(path, _)| path).collect()
    }
}

async fn serve(desk: Arc<Mutex<Desk>>, mut stream: tokio::net::TcpStream) {
    let mut buffer = Vec::new();
    loop {
        let (end, length) = loop {
            if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
                let length = head.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok());
                break (end + 4, length.unwrap_or(0usize));
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        while buffer.len() < end + length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let body = serde_json::from_slice(&buffer[end..end + length]).unwrap_or_default();
        buffer.drain(..end + length);
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let headers: BTreeMap<String, String> = head
            .lines()
            .skip(1)
            .filter_map(|l| l.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let Some((status, text)) = answer(&desk, path, headers, body) else { std::future::pending().await };
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", text.len());
        if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// `None`: never.
fn answer(desk: &Mutex<Desk>, path: String, headers: BTreeMap<String, String>, body: Value) -> Option<(u16, String)> {
    let mut desk = desk.lock().expect("unpoisoned");
    let key = headers.get("idempotency-key").cloned().unwrap_or_default();
    let mut hit = Hit { path: path.clone(), headers, body: body.clone(), key: key.clone(), done: false };
    let silent = desk.silent.contains(&path);
    let down = desk.down.get_mut(&path).is_some_and(|left| {
        let is = *left > 0;
        *left = left.saturating_sub(1);
        is
    });
    if silent || down {
        desk.hits.push(hit);
        return (!silent).then(|| (503, json!({"error": "down"}).to_string()));
    }
    let text = match desk.answered.get(&(key.clone(), path.clone())) {
        Some(text) => text.clone(),
        None => {
            hit.done = true;
            let text = match path.strip_prefix("/bytes/").and_then(|n| n.parse::<usize>().ok()) {
                Some(bytes) => json!("x".repeat(bytes)).to_string(),
                None => json!({"path": path, "got": body}).to_string(),
            };
            desk.answered.insert((key, path), text.clone());
            text
        }
    };
    desk.hits.push(hit);
    Some((200, text))
}
