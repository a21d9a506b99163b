//! A hub in a temporary folder, and endpoints that behave as told.

#![expect(clippy::disallowed_methods, reason = "a test's own servers are not the hub's tasks")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_core::{
    access::Principal,
    event::{NewEvent, StoredEvent},
    store::{Appended, EventQuery, Store},
    topic::Topic,
};
use nexus_engine::{
    Hub, HubBuilder, HubConfig, clock::SystemClock, fate::Fate, subscription::NewSubscription, vault::VaultKey,
};
use nexus_store::{SqliteOptions, SqliteStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) hub: Hub,
    pub(crate) folder: Arc<tempfile::TempDir>,
    pub(crate) store: Arc<dyn Store>,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::open(Arc::new(tempfile::tempdir().expect("a temporary folder")), HubConfig::default()).await
    }

    pub(crate) async fn with(config: HubConfig) -> Self {
        Self::open(Arc::new(tempfile::tempdir().expect("a temporary folder")), config).await
    }

    pub(crate) async fn open(folder: Arc<tempfile::TempDir>, config: HubConfig) -> Self {
        Self::built(folder, |builder| builder.config(config)).await
    }

    pub(crate) async fn built(folder: Arc<tempfile::TempDir>, more: impl FnOnce(HubBuilder) -> HubBuilder) -> Self {
        let clock = SystemClock::new();
        let store: Arc<dyn Store> = Arc::new(
            SqliteStore::open(folder.path(), &Hub::collections(), Arc::new(clock.clone()), SqliteOptions::default())
                .expect("a fresh store"),
        );
        let key = VaultKey::new([7; 32], Vec::new());
        let builder = Hub::builder(Arc::clone(&store), Arc::new(clock.clone()), key).test_clock(clock);
        let hub = more(builder).start().await.expect("the hub starts");
        Self { hub, folder, store }
    }

    pub(crate) async fn restart(self) -> Self {
        self.restart_with(HubConfig::default()).await
    }

    pub(crate) async fn restart_with(self, config: HubConfig) -> Self {
        Self::open(self.end().await, config).await
    }

    /// Ends the hub and leaves its folder.
    pub(crate) async fn end(self) -> Arc<tempfile::TempDir> {
        self.hub.shutdown(Duration::from_secs(10)).await;
        Arc::clone(&self.folder)
    }

    pub(crate) async fn publish(&self, topic: &str, data: &str) -> Appended {
        self.hub.publish(self.event(topic, data)).await.expect("accepted")
    }

    pub(crate) fn event(&self, topic: &str, data: &str) -> NewEvent {
        NewEvent::new(Topic::parse(topic).expect("a topic"), "test", data.to_owned(), self.hub.clock().now())
    }

    pub(crate) async fn subscribe(&self, json: serde_json::Value) -> String {
        let new: NewSubscription = serde_json::from_value(json).expect("a subscription");
        let made = self.hub.subscriptions().create(new, &Principal::admin("test")).await.expect("created");
        made.value.name
    }

    /// Stored events of a type.
    pub(crate) async fn stored(&self, topic: &str) -> Vec<Arc<StoredEvent>> {
        let query = EventQuery { types: vec![topic.into()], ..EventQuery::default() };
        self.hub.query(query, 1_000).await.expect("a page").events
    }

    /// Waits until `there` holds.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: &str, there: impl Fn() -> F) {
        for _ in 0..12_000 {
            if there().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{what} never came true");
    }

    /// Waits until the fate's verdict is `verdict`.
    pub(crate) async fn fate(&self, event: Appended, verdict: &str) -> Fate {
        let mut last = None;
        for _ in 0..12_000 {
            let fate = self.hub.fate(event.id).await.expect("a fate");
            if fate.verdict == verdict {
                return fate;
            }
            last = Some(fate);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the verdict never became {verdict}: {last:#?}");
    }
}

/// One request that an endpoint received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

/// How an endpoint answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    Header(u16, &'static str),
    /// With the whole request as the body.
    Echo(u16),
    /// Never.
    Hang,
    /// 200 as soon as there is a permit.
    Gate(Arc<tokio::sync::Semaphore>),
    /// A body that does not end, a byte now and then.
    Drip,
    /// 200 with so many bytes.
    Huge(usize),
    /// The connection ends in the middle of the head.
    Cut,
}

/// An endpoint that answers from a script (then 200) and keeps what it received.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) received: Arc<Mutex<Vec<Received>>>,
    pub(crate) script: Arc<Mutex<VecDeque<Reply>>>,
    pub(crate) default: Arc<Mutex<Reply>>,
    arrived: Arc<tokio::sync::Notify>,
}

impl Endpoint {
    pub(crate) async fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = Self {
            url: format!("http://{}/hook", listener.local_addr().expect("bound")),
            received: Arc::default(),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            default: Arc::new(Mutex::new(Reply::Status(200))),
            arrived: Arc::default(),
        };
        let serving = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        endpoint
    }

    async fn serve(self, mut stream: tokio::net::TcpStream) {
        let mut buffer = Vec::new();
        loop {
            let (head_end, length) = loop {
                if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                    let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
                    let length = head.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok());
                    break (end + 4, length.unwrap_or(0usize));
                }
                if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                    return;
                }
            };
            while buffer.len() < head_end + length {
                if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
            let body = String::from_utf8_lossy(&buffer[head_end..head_end + length]).into_owned();
            buffer.drain(..head_end + length);
            let headers = head
                .lines()
                .skip(1)
                .filter_map(|l| l.split_once(':'))
                .map(|(n, v)| (n.to_lowercase(), v.trim().to_owned()))
                .collect();
            let mut said = "ok".to_owned();
            let echo = format!("{head}{body}");
            self.received.lock().expect("unpoisoned").push(Received { headers, body });
            self.arrived.notify_waiters();
            let scripted = self.script.lock().expect("unpoisoned").pop_front();
            let reply = scripted.unwrap_or_else(|| self.default.lock().expect("unpoisoned").clone());
            let (status, extra) = match reply {
                Reply::Status(status) => (status, ""),
                Reply::Header(status, header) => (status, header),
                Reply::Echo(status) => {
                    said = echo;
                    (status, "")
                }
                Reply::Hang => std::future::pending().await,
                Reply::Gate(gate) => {
                    gate.acquire().await.expect("open").forget();
                    (200, "")
                }
                Reply::Drip => return drip(stream).await,
                Reply::Huge(bytes) => {
                    let head = format!("HTTP/1.1 200 X\r\ncontent-length: {bytes}\r\n\r\n");
                    let sent = stream.write_all(head.as_bytes()).await;
                    if sent.is_err() || stream.write_all(&vec![b'x'; bytes]).await.is_err() {
                        return;
                    }
                    continue;
                }
                Reply::Cut => {
                    let _ = stream.write_all(b"HTTP/1.1 200 X\r\ncontent-le").await;
                    return;
                }
            };
            let answer = format!("HTTP/1.1 {status} X\r\n{extra}content-length: {}\r\n\r\n{said}", said.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn answers(&self, reply: Reply) {
        *self.default.lock().expect("unpoisoned") = reply;
    }

    pub(crate) fn count(&self) -> usize {
        self.received.lock().expect("unpoisoned").len()
    }

    /// Waits for `count` requests.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Received> {
        let waiting = async {
            loop {
                let arrived = self.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                if self.received.lock().expect("unpoisoned").len() >= count {
                    return self.received.lock().expect("unpoisoned").clone();
                }
                arrived.await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(received) => received,
            Err(_) => panic!("only {} of {count} requests arrived", self.received.lock().expect("unpoisoned").len()),
        }
    }
}

async fn drip(mut stream: tokio::net::TcpStream) {
    if stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n").await.is_err() {
        return;
    }
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
