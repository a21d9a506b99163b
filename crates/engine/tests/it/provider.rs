//! A provider that answers as a test decides, request by request.

#![expect(clippy::disallowed_methods, reason = "a test's own servers are not the hub's tasks")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::rig::PATIENCE;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// With the query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// From 0, over all requests.
    pub(crate) number: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

/// What it says.
pub(crate) enum Says {
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Nothing, ever.
    Nothing,
}

/// JSON with this status.
pub(crate) fn says(status: u16, body: &Value) -> Says {
    Says::Answer(status, Vec::new(), body.to_string())
}

type Handler = dyn Fn(&Seen) -> Says + Send + Sync;

#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    arrived: Arc<tokio::sync::Notify>,
}

impl Provider {
    pub(crate) async fn start(handler: impl Fn(&Seen) -> Says + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let provider = Self { url, seen: Arc::default(), arrived: Arc::default() };
        let (serving, handler): (_, Arc<Handler>) = (provider.clone(), Arc::new(handler));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream, Arc::clone(&handler)));
            }
        });
        provider
    }

    async fn serve(self, mut stream: TcpStream, handler: Arc<Handler>) {
        let mut buffer = Vec::new();
        while let Some((head, body)) = next(&mut stream, &mut buffer).await {
            let mut lines = head.lines();
            let mut first = lines.next().unwrap_or_default().split(' ');
            let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
            let headers = lines.filter_map(|l| l.split_once(':')).map(|(n, v)| (n.to_lowercase(), v.trim().to_owned()));
            let mut seen = Seen {
                method: method.to_owned(),
                target: target.to_owned(),
                headers: headers.collect(),
                body,
                number: 0,
            };
            {
                let mut all = self.seen.lock().expect("unpoisoned");
                seen.number = all.len();
                all.push(seen.clone());
            }
            self.arrived.notify_waiters();
            let (status, headers, body) = match handler(&seen) {
                Says::Answer(status, headers, body) => (status, headers, body),
                Says::Nothing => std::future::pending().await,
            };
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let answer = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("unpoisoned").clone()
    }

    /// Those to this path.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.target.split('?').next() == Some(path)).collect()
    }

    /// Waits for `count` requests.
    pub(crate) async fn wait(&self, count: usize) {
        let waiting = async {
            loop {
                let arrived = self.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                if self.seen().len() >= count {
                    return;
                }
                arrived.await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(done.is_ok(), "only {} of {count} requests came", self.seen().len());
    }
}

async fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(buffer.get(..end)?).into_owned();
            let length = head.to_lowercase();
            let length = length.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok());
            let whole = end + 4 + length.unwrap_or(0usize);
            while buffer.len() < whole {
                if stream.read_buf(buffer).await.ok()? == 0 {
                    return None;
                }
            }
            let body = String::from_utf8_lossy(buffer.get(end + 4..whole)?).into_owned();
            buffer.drain(..whole);
            return Some((head, body));
        }
        if tokio::time::timeout(Duration::from_secs(60), stream.read_buf(buffer)).await.ok()?.ok()? == 0 {
            return None;
        }
    }
}
