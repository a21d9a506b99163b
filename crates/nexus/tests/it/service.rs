//! A local service that can be registered: it answers checks and calls as it is told, and counts them.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::{Builder, Runtime},
    sync::watch,
};

use crate::hub::PATIENCE;

struct Desk {
    who: String,
    health: Mutex<(u16, String)>,
    answer: AtomicU16,
    held: watch::Sender<bool>,
    calls: AtomicUsize,
    checks: AtomicUsize,
    sent: AtomicUsize,
}

/// A running service, on a thread of its own: so its end is the end of its connections too. Dropped, it ends.
pub struct Local {
    /// Where it listens.
    pub port: u16,
    desk: Arc<Desk>,
    runtime: Option<Runtime>,
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Local {
    /// One that is well.
    pub async fn start(who: &str) -> Self {
        let desk = Arc::new(Desk {
            who: who.to_owned(),
            health: Mutex::new((200, String::new())),
            answer: AtomicU16::new(200),
            held: watch::channel(false).0,
            calls: AtomicUsize::new(0),
            checks: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("an option");
        let router = Router::new()
            .route("/health", get(health))
            .route("/hang", get(async || std::future::pending::<()>().await))
            .route("/drip", get(drip))
            .route("/flood", get(flood))
            .route("/invoke", post(invoke))
            .with_state(Arc::clone(&desk));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (ready, open) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            ready.send(()).expect("the test waits");
            drop(axum::serve(listener, router).await);
        });
        open.await.expect("it listens");
        Self { port, desk, runtime: Some(runtime) }
    }

    /// What it answers to checks from now on.
    pub fn health(&self, status: u16, body: &str) {
        *self.desk.health.lock().expect("no handler panics") = (status, body.to_owned());
    }

    /// The status of its answers to calls from now on.
    pub fn answer(&self, status: u16) {
        self.desk.answer.store(status, Ordering::SeqCst);
    }

    /// Lets calls wait.
    pub fn hold(&self) {
        self.desk.held.send_replace(true);
    }

    /// Answers those that wait.
    pub fn release(&self) {
        self.desk.held.send_replace(false);
    }

    /// Calls so far.
    pub fn calls(&self) -> usize {
        self.desk.calls.load(Ordering::SeqCst)
    }

    /// Checks so far.
    pub fn checks(&self) -> usize {
        self.desk.checks.load(Ordering::SeqCst)
    }

    /// Bytes of a flood so far.
    pub fn sent(&self) -> usize {
        self.desk.sent.load(Ordering::SeqCst)
    }

    /// Ends it. Its port is held without listening, so that nobody else gets it; connections to it are refused.
    pub fn stop(mut self) -> TcpSocket {
        if let Some(runtime) = self.runtime.take() {
            // A runtime waits for its own end on a thread of its own only.
            let ended = std::thread::spawn(move || runtime.shutdown_timeout(PATIENCE));
            ended.join().expect("it ends");
        }
        let port = self.port;
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        let address = format!("127.0.0.1:{port}").parse().expect("an address");
        socket.bind(address).expect("its listener is gone");
        socket
    }
}

async fn health(State(desk): State<Arc<Desk>>) -> Response {
    desk.checks.fetch_add(1, Ordering::SeqCst);
    let (status, body) = desk.health.lock().expect("no handler panics").clone();
    (StatusCode::from_u16(status).expect("a status"), body).into_response()
}

/// A byte now and then, without end.
async fn drip() -> Body {
    let clock = SystemClock::new();
    Body::from_stream(stream::unfold(clock, async |clock| {
        clock.sleep(Duration::from_millis(50)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), clock))
    }))
}

/// Sixty-four megabytes.
async fn flood(State(desk): State<Arc<Desk>>) -> Body {
    desk.checks.fetch_add(1, Ordering::SeqCst);
    Body::from_stream(stream::unfold((desk, 0), async |(desk, n)| {
        let piece = Bytes::from(vec![b' '; 64 << 10]);
        if n == 1_024 {
            return None;
        }
        desk.sent.fetch_add(piece.len(), Ordering::SeqCst);
        // A flood that nobody reads stops at the buffers of the kernel, not at this loop.
        tokio::task::yield_now().await;
        Some((Ok::<_, Infallible>(piece), (desk, n + 1)))
    }))
}

/// Says who it is and what it got, or what the body asks for.
async fn invoke(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: String) -> Response {
    desk.calls.fetch_add(1, Ordering::SeqCst);
    let mut held = desk.held.subscribe();
    held.wait_for(|held| !held).await.expect("the desk is ours");
    let asked: Value = serde_json::from_str(&body).unwrap_or_default();
    if let Some(bytes) = asked["bytes"].as_u64() {
        return vec![b'x'; usize::try_from(bytes).expect("a size")].into_response();
    }
    if asked["answer"] == 418 {
        return (StatusCode::IM_A_TEAPOT, "short and stout").into_response();
    }
    let status = StatusCode::from_u16(desk.answer.load(Ordering::SeqCst)).expect("a status");
    let headers: serde_json::Map<String, Value> =
        headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().into())).collect();
    let said = json!({"who": desk.who, "got": body, "headers": headers}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], said).into_response()
}
