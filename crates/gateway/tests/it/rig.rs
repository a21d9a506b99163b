//! A hub over the memory store with its doors open on a free port, and the clients that knock.

#![expect(clippy::disallowed_methods, reason = "a test's own tasks are not the hub's")]

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use nexus_core::{
    access::{Principal, Scope},
    event::NewEvent,
    plugin::NoPlugins,
    sign::{hex, hmac_sha256},
    store::{Appended, Store},
    topic::Topic,
};
use nexus_engine::{Hub, HubConfig, clock::SystemClock, source::NewSource, tokens::NewToken, vault::VaultKey};
use nexus_flows::host::{Door, Flows};
use nexus_gateway::{GatewayConfig, Rooms};
use nexus_services::{Registry, RegistryOptions, StateOptions, StateStore};
use nexus_store::MemoryStore;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A hub with open doors.
pub(crate) struct Rig {
    pub(crate) hub: Hub,
    pub(crate) clock: SystemClock,
    pub(crate) address: SocketAddr,
    pub(crate) admin: String,
    pub(crate) store: Arc<dyn Store>,
    served: JoinHandle<()>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The body as JSON; null when it is none.
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().expect("ASCII"))
    }

    /// The status, and the code of the refusal.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }
}

/// Without limits of rate, as most tests ask fast.
pub(crate) fn unlimited() -> GatewayConfig {
    GatewayConfig { ingress_rate: None, api_rate: None, stream_rate: None, ..GatewayConfig::default() }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(unlimited()).await
    }

    pub(crate) async fn with(config: GatewayConfig) -> Self {
        Self::with_hub(config, HubConfig::default()).await
    }

    pub(crate) async fn with_hub(config: GatewayConfig, hub: HubConfig) -> Self {
        let clock = SystemClock::new();
        let store: Arc<dyn Store> = Arc::new(
            MemoryStore::new(
                &[Hub::collections(), nexus_services::collections(), nexus_flows::host::collections()].concat(),
                Arc::new(clock.clone()),
                7,
            )
            .expect("a store"),
        );
        Self::over(config, hub, store, clock).await
    }

    /// Over a store that may hold something already.
    pub(crate) async fn over(config: GatewayConfig, hub: HubConfig, store: Arc<dyn Store>, clock: SystemClock) -> Self {
        let builder = Hub::builder(Arc::clone(&store), Arc::new(clock.clone()), VaultKey::new([7; 32], Vec::new()));
        let door = Door::default();
        let hub = door.attach(builder).test_clock(clock.clone()).config(hub).start().await.expect("the hub starts");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let plugins = Arc::new(NoPlugins);
        let registry = Registry::open(&hub, RegistryOptions::default(), plugins.clone()).await.expect("a registry");
        let state = StateStore::open(&hub, StateOptions::default(), plugins).await.expect("a state store");
        let flows = Flows::open(&hub, &door).await.expect("flows");
        flows.go_on(nexus_flows::host::HISTORY).await.expect("flows go on");
        hub.start_timers();
        let rooms = Rooms { hub: hub.clone(), registry, state, flows };
        let doors = nexus_gateway::serve(rooms, config, vec![listener]);
        let served = tokio::spawn(async move { doors.await.expect("the doors open") });
        let all = vec!["admin".parse().expect("a scope")];
        let new = NewToken { name: "admin".into(), scopes: all, expires_at: None };
        let made = hub.tokens().create(new, &Principal::admin("test")).await.expect("a token");
        let admin = made.secret.expect("shown once");
        Self { hub, clock, address, admin, store, served }
    }

    /// Stops everything; the doors end by themselves.
    pub(crate) async fn stop(self) {
        assert!(self.hub.shutdown(PATIENCE).await, "the hub drains");
        within(self.served).await.expect("the doors end");
    }

    /// A source with this secret and these allowed events.
    pub(crate) async fn source(&self, id: &str, secret: &str, allow: &[&str]) {
        self.source_of(serde_json::json!({"id": id, "secrets": [secret], "allow": allow})).await;
    }

    pub(crate) async fn source_of(&self, json: Value) {
        let new: NewSource = serde_json::from_value(json).expect("a source");
        self.hub.sources().create(new, &Principal::admin("test")).await.expect("created");
    }

    /// A token with these scopes.
    pub(crate) async fn token(&self, name: &str, scopes: &[&str]) -> String {
        let scopes: Vec<Scope> = scopes.iter().map(|s| s.parse().expect("a scope")).collect();
        let new = NewToken { name: name.into(), scopes, expires_at: None };
        self.hub.tokens().create(new, &Principal::admin("test")).await.expect("a token").secret.expect("shown once")
    }

    pub(crate) async fn publish(&self, topic: &str, data: &str) -> Appended {
        let topic = Topic::parse(topic).expect("a topic");
        let event = NewEvent::new(topic, "test", data.to_owned(), self.hub.clock().now());
        self.hub.publish(event).await.expect("stored")
    }

    /// How many events of any kind there are.
    pub(crate) fn seq(&self) -> u64 {
        self.store.head().seq
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request")).await
    }

    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Reply {
        let (method, path) = (request.method().to_string(), request.uri().to_string());
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        let response = within(sender.send_request(request)).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = within(body.collect()).await.expect("a body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap_or_default();
        let body = serde_json::from_str(&text).unwrap_or_default();
        let media = parts.headers.get("content-type").and_then(|m| m.to_str().ok()).unwrap_or_default();
        crate::shape::demand(&method, &path, parts.status.as_u16(), media, &body);
        Reply { status: parts.status, headers: parts.headers, text, body }
    }

    /// As the administrator.
    pub(crate) async fn api(&self, method: &str, path: &str, body: Value) -> Reply {
        let bearer = format!("Bearer {}", self.admin);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let headers = if text.is_empty() { &headers[..1] } else { &headers[..] };
        self.send(method, path, headers, text.as_bytes()).await
    }

    /// A signed `POST` of JSON.
    pub(crate) async fn signed(&self, path: &str, secret: &str, body: &str) -> Reply {
        let signature = sign(secret, body.as_bytes());
        let headers = [("x-nexus-signature", signature.as_str()), ("content-type", "application/json")];
        self.send("POST", path, &headers, body.as_bytes()).await
    }

    /// Bytes as they are; the answer as text, up to the end of the connection.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(&self.raw_bytes(bytes).await).into_owned()
    }

    pub(crate) async fn raw_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(bytes).await.expect("written");
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = within(stream.read_to_end(&mut answer)).await;
        answer
    }

    pub(crate) async fn socket(&self, path: &str) -> Socket {
        self.socket_of(path, &self.admin).await
    }

    pub(crate) async fn socket_of(&self, path: &str, token: &str) -> Socket {
        let url = format!("ws://{}{path}", self.address);
        let mut request = url.into_client_request().expect("a request");
        let bearer = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = within(tokio_tungstenite::connect_async(request)).await.expect("a socket");
        Socket(socket)
    }

    /// The status that an upgrade is refused with.
    pub(crate) async fn refused_socket(&self, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut all = vec![
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        all.extend_from_slice(headers);
        let mut request = Request::builder().method(Method::GET).uri(path).header("host", self.address.to_string());
        for (name, value) in all {
            request = request.header(name, value);
        }
        self.ask(request.body(Full::new(Bytes::new())).expect("a request")).await.status.as_u16()
    }

    /// All metrics by name and labels.
    pub(crate) async fn metrics_text(&self) -> String {
        let reply = self.api("GET", "/metrics", Value::Null).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.text
    }

    pub(crate) async fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.metrics_text().await;
        let lines = text.lines().filter(|l| !l.starts_with('#'));
        lines.filter_map(|l| l.rsplit_once(' ')).map(|(k, v)| (k.to_owned(), v.parse().unwrap_or(0.0))).collect()
    }
}

/// A WebSocket of a client.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn say(&mut self, frame: &Value) {
        within(self.0.send(Message::text(frame.to_string()))).await.expect("sent");
    }

    /// The next text frame.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match within(self.0.next()).await.expect("a frame").expect("no error") {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a text frame: {other:?}"),
            }
        }
    }

    /// Says and hears.
    pub(crate) async fn ask(&mut self, frame: &Value) -> Value {
        self.say(frame).await;
        self.hear().await
    }

    /// The code of the close frame that comes; no text before it may fit.
    pub(crate) async fn closed_without(&mut self, text: &str) -> u16 {
        loop {
            match within(self.0.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Text(frame))) => assert!(!frame.contains(text), "{frame}"),
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    }

    /// The code of the close frame that comes, whatever comes before it.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match within(self.0.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    }
}

/// Lower-case hex HMAC-SHA256.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    hex(&hmac_sha256(secret.as_bytes(), &[body]))
}

/// Nothing may take for ever.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}
