//! The services that the shipped flows call, in one stand-in: it refuses what is not as the service wants it, does a thing
//! once per `Idempotency-Key`, remembers, and can keep whoever asks waiting.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nexus_client::{Client, connector::NewConnection, event::signature};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// What Smart Factory wants to be shown, and Neobot to be signed with.
const KEY: &str = "k3y";

/// What was asked for, by `Idempotency-Key`: each body that came under it.
type Asked = Arc<Mutex<BTreeMap<String, Vec<Value>>>>;

/// Every service of every flow.
pub struct Services {
    url: String,
    desk: Arc<Desk>,
    _running: JoinSet<()>,
}

struct Desk {
    asked: Asked,
    /// Who asks waits for one of these.
    holding: AtomicBool,
    answers: Semaphore,
    kept_waiting: AtomicUsize,
}

impl Services {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let desk = Arc::new(Desk {
            asked: Asked::default(),
            holding: AtomicBool::new(false),
            answers: Semaphore::new(0),
            kept_waiting: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&desk));
        let mut running = JoinSet::new();
        running.spawn(async move { drop(axum::serve(listener, router).await) });
        Self { url, desk, _running: running }
    }

    /// Makes the connections that the shipped flows need.
    pub async fn connect(&self, client: &Client) {
        let accounts = [
            ("smart-factory", "smart-factory", "", Some("api_key")),
            ("neobot", "neobot", "", Some("signing_key")),
            ("alerts", "generic-webhook", "/in", None),
        ];
        for (name, connector, path, secret) in accounts {
            let account = NewConnection {
                name: name.into(),
                connector: connector.into(),
                settings: Map::from_iter([("url".to_owned(), Value::from(format!("{}{path}", self.url)))]),
                secrets: secret.map(|secret| (secret.to_owned(), KEY.into())).into_iter().collect(),
                scopes: None,
            };
            client.create_connection(&account).await.expect("a connection");
        }
    }

    /// From now on who asks waits until [`Self::answer_one`]; or nobody does.
    pub fn hold(&self, holding: bool) {
        self.desk.answers.forget_permits(usize::MAX >> 4);
        self.desk.holding.store(holding, Ordering::SeqCst);
    }

    /// Answers somebody who waits, if anybody does.
    pub fn answer_one(&self) {
        if self.desk.kept_waiting.load(Ordering::SeqCst) > self.desk.answers.available_permits() {
            self.desk.answers.add_permits(1);
        }
    }

    /// How many different things were asked for since this was last asked; each must have come as the same every time.
    pub fn take(&self) -> usize {
        let asked = std::mem::take(&mut *self.desk.asked.lock().expect("no handler panics"));
        for (key, bodies) in &asked {
            assert!(bodies.iter().all(|body| Some(body) == bodies.first()), "{key} came with other bodies: {bodies:?}");
        }
        asked.len()
    }
}

/// Counts one more who waits, until it has gone.
struct KeptWaiting<'a>(&'a AtomicUsize);

impl Drop for KeptWaiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What is wrong with a request, as the service at its path sees it: seed 003 says how they look.
fn wrong(method: &Method, path: &str, headers: &HeaderMap, body: &[u8], fields: &Map<String, Value>) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (proven, wanted): (bool, &[&str]) = match path {
        "/api/mint" => (header("authorization") == format!("Bearer {KEY}"), &["address", "amount"]),
        "/api/notify" => (header("x-nexus-signature") == signature(KEY, body), &["channel", "message", "to"]),
        "/in" => (true, &["content", "incident", "message", "severity", "subject", "text", "to"]),
        _ => return Some(format!("nothing is at {path}")),
    };
    let mut given: Vec<&str> = fields.keys().map(String::as_str).collect();
    given.sort_unstable();
    if method != Method::POST || !proven || header("content-type") != "application/json" {
        return Some(format!("{method} {path} is no POST of JSON with a proof: {headers:?}"));
    }
    (given != wanted).then(|| format!("{path} wants {wanted:?}, not {given:?}"))
}

async fn answer(State(desk): State<Arc<Desk>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let fields: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(wrong) = wrong(&method, uri.path(), &headers, &body, &fields) {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"message": wrong}))).into_response();
    }
    let Some(key) = headers.get("idempotency-key").and_then(|v| v.to_str().ok()).map(str::to_owned) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"message": "there is no Idempotency-Key"}))).into_response();
    };
    desk.asked.lock().expect("no handler panics").entry(key.clone()).or_default().push(Value::Object(fields));
    if desk.holding.load(Ordering::SeqCst) {
        desk.kept_waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = KeptWaiting(&desk.kept_waiting);
        desk.answers.acquire().await.expect("never closed").forget();
    }
    Json(json!({"status": "accepted", "txHash": format!("0x{key}")})).into_response()
}
