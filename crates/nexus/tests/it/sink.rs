//! An endpoint that remembers what it got, and answers as it is told.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::hub::PATIENCE;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Got {
    /// Method and path.
    pub line: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: serde_json::Value,
}

impl Got {
    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

struct Desk {
    got: Mutex<Vec<Got>>,
    ids: Mutex<HashSet<String>>,
    answers: Mutex<VecDeque<u16>>,
    gate: Option<Semaphore>,
    count: watch::Sender<usize>,
}

/// A running endpoint. Dropped, it ends.
pub struct Sink {
    /// Where it is.
    pub url: String,
    desk: Arc<Desk>,
    _running: JoinSet<()>,
}

impl Sink {
    /// One that answers 200.
    pub async fn start() -> Self {
        Self::with(&[], None).await
    }

    /// One whose first answers have these statuses; with a gate, it answers only what [`Self::release`] lets through.
    pub async fn with(answers: &[u16], gate: Option<usize>) -> Self {
        let desk = Arc::new(Desk {
            got: Mutex::default(),
            ids: Mutex::default(),
            answers: Mutex::new(answers.iter().copied().collect()),
            gate: gate.map(Semaphore::new),
            count: watch::channel(0).0,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/in", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(take).with_state(Arc::clone(&desk));
        let mut running = JoinSet::new();
        running.spawn(async move { drop(axum::serve(listener, router).await) });
        Self { url, desk, _running: running }
    }

    /// Where it is, without a path.
    pub fn base(&self) -> &str {
        self.url.trim_end_matches("/in")
    }

    /// Lets `n` more requests be answered.
    pub fn release(&self, n: usize) {
        self.desk.gate.as_ref().expect("it has a gate").add_permits(n);
    }

    /// Everything it got so far.
    pub fn got(&self) -> Vec<Got> {
        self.desk.got.lock().expect("no handler panics").clone()
    }

    /// Waits until every event of `wanted` was here at least once.
    pub async fn has(&self, what: &str, mut wanted: Vec<String>) {
        let mut changed = self.desk.count.subscribe();
        let search = async {
            loop {
                {
                    let ids = self.desk.ids.lock().expect("no handler panics");
                    while wanted.last().is_some_and(|id| ids.contains(id)) {
                        wanted.pop();
                    }
                }
                if wanted.is_empty() {
                    return;
                }
                changed.changed().await.expect("the desk is ours");
            }
        };
        assert!(tokio::time::timeout(PATIENCE, search).await.is_ok(), "{what} did not come");
    }

    /// Waits until what it got satisfies `enough`.
    pub async fn until(&self, what: &str, enough: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let mut changed = self.desk.count.subscribe();
        let search = async {
            loop {
                {
                    let got = self.desk.got.lock().expect("no handler panics");
                    if enough(&got) {
                        return got.clone();
                    }
                }
                changed.changed().await.expect("the desk is ours");
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.unwrap_or_else(|_| panic!("{what} did not come; there are {} requests", self.got().len()))
    }
}

async fn take(State(desk): State<Arc<Desk>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(id) = body["id"].as_str() {
        desk.ids.lock().expect("no handler panics").insert(id.to_owned());
    }
    desk.got.lock().expect("no handler panics").push(Got { line: format!("{method} {}", uri.path()), headers, body });
    desk.count.send_modify(|count| *count += 1);
    if let Some(gate) = &desk.gate {
        gate.acquire().await.expect("never closed").forget();
    }
    let status = desk.answers.lock().expect("no handler panics").pop_front().unwrap_or(200);
    StatusCode::from_u16(status).expect("a status")
}
