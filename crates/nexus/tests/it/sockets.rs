//! Sockets of the real binary: the frames as printed, a restart in the middle, and many at once.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{
    http,
    hub::{Hub, PATIENCE},
};

/// Sockets of the test with many.
const MANY: usize = 2_000;

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(address: &str, path: &str, token: &str) -> Self {
        let mut request = format!("ws://{address}{path}").into_client_request().expect("a request");
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
        let opened = tokio::time::timeout(PATIENCE, tokio_tungstenite::connect_async(request)).await;
        Self(opened.expect("in time").expect("a socket").0)
    }

    async fn say(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.expect("sent");
    }

    /// The next text frame; `None` when the socket is gone.
    async fn try_hear(&mut self) -> Option<Value> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("in time") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    }

    async fn hear(&mut self) -> Value {
        self.try_hear().await.expect("a frame")
    }
}

async fn publish(hub: &Hub, topic: &str, payload: &Value) -> http::Answer {
    let bearer = format!("Bearer {}", hub.token());
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let body = json!({"payload": payload}).to_string();
    http::send("127.0.0.1", hub.address(), "POST", &format!("/events/{topic}"), &headers, &body).await
}

/// C-060, C-065, C-072, C-073, C-078
#[tokio::test]
async fn the_frames_of_the_integration_core_work_as_printed() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let health = http::get(hub.address(), "/health", &[]).await;
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("healthy")));
    assert!(health.json()["timestamp"].is_f64(), "{}", health.body);
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(http::get(hub.address(), "/ws", &upgrade).await.status, 401);
    let mut socket = Socket::open(hub.address(), "/ws", &hub.token()).await;
    socket.say(&json!({"type": "subscribe", "topic": "system.*"})).await;
    assert_eq!(socket.hear().await["type"], "subscribed");
    let published = publish(&hub, "system.started", &json!({"n": 1})).await;
    assert_eq!((published.status, published.json()["topic"].as_str()), (200, Some("system.started")));
    let event = socket.hear().await;
    assert_eq!((&event["topic"], &event["payload"]), (&json!("system.started"), &json!({"n": 1})));
    assert_eq!((&event["id"], &event["seq"]), (&published.json()["message_id"], &published.json()["seq"]));
    let mut other = Socket::open(hub.address(), "/ws", &hub.token()).await;
    other.say(&json!({"type": "subscribe", "topic": "test.event"})).await;
    assert_eq!(other.hear().await["type"], "subscribed");
    socket.say(&json!({"type": "publish", "topic": "test.event", "payload": {"data": "test"}})).await;
    assert_eq!(socket.hear().await["type"], "published");
    assert_eq!(other.hear().await["payload"], json!({"data": "test"}));
    hub.stop().await;
}

///
#[tokio::test]
async fn each_dialect_gets_its_own_frames_and_a_mixed_socket_each_subscription_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let (address, token) = (hub.address(), hub.token());
    let neo = json!({"action": "subscribe", "events": ["PAYMENT_RECEIVED"]});
    let core = json!({"type": "subscribe", "topic": "payment.*"});
    let mut sockets = Vec::new();
    for (path, frames) in [
        ("/ws", vec![&neo]),
        ("/ws", vec![&core]),
        ("/api/v1/events/ws?filter=payment.*", vec![]),
        ("/api/v1/events/ws?filter=payment.*", vec![&neo, &core]),
    ] {
        let mut socket = Socket::open(address, path, &token).await;
        for frame in frames {
            socket.say(frame).await;
            let answer = socket.hear().await;
            assert!(answer["type"] == "subscribed" || answer["status"] == "subscribed", "{answer}");
        }
        // The answer to a ping shows that the socket listens.
        socket.say(&json!({"type": "ping"})).await;
        assert_eq!(socket.hear().await["type"], "pong");
        sockets.push(socket);
    }
    let published = publish(&hub, "payment.received", &json!({"amount": 1})).await.json();
    let keys = |frame: &Value| frame.as_object().expect("an object").keys().cloned().collect::<Vec<_>>().join(",");
    let forms =
        ["event,payload,timestamp", "id,payload,seq,timestamp,topic,type", "id,payload,seq,source,timestamp,type"];
    for (socket, form) in sockets.iter_mut().zip(forms) {
        let frame = socket.hear().await;
        assert_eq!(keys(&frame), form);
        assert_eq!(frame["payload"], json!({"amount": 1}));
    }
    let mixed = sockets.last_mut().expect("four");
    let mut heard: Vec<String> = Vec::new();
    for _ in 0..3 {
        heard.push(keys(&mixed.hear().await));
    }
    heard.sort();
    let mut expected = forms.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(heard, expected, "{published}");
    for socket in &mut sockets {
        socket.say(&json!({"type": "ping"})).await;
        assert_eq!(socket.hear().await["type"], "pong", "each subscription brings an event once");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_resumes_after_a_kill_misses_and_doubles_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = Hub::start(dir.path(), &[]).await;
    let place = first.address().to_owned();
    let mut alive = Some(first);
    let (mut numbers, mut acknowledged) = (0u64.., BTreeMap::new());
    let mut heard: Vec<(u64, u64)> = Vec::new();
    let mut last = 0;
    for _ in 0..4 {
        let hub = match alive.take() {
            Some(hub) => hub,
            // On the port of its first life, where its clients look for it.
            None => Hub::start(dir.path(), &["--listen", &place]).await,
        };
        let mut socket = Socket::open(&place, "/ws", &hub.token()).await;
        socket.say(&json!({"type": "subscribe", "topic": "load.*", "since": last})).await;
        assert_eq!(socket.hear().await["type"], "subscribed");
        let publishing = async {
            for n in numbers.by_ref().take(60) {
                let answer = publish(&hub, "load.tick", &json!({"n": n})).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                acknowledged.insert(n, answer.json()["seq"].as_u64().expect("a seq"));
            }
        };
        // Half of what is published is read before the plug is pulled; the rest is owed.
        let reading = async {
            for _ in 0..30 {
                let event = socket.hear().await;
                assert_eq!(event["type"], "event", "no gap notice: {event}");
                last = event["seq"].as_u64().expect("a seq");
                heard.push((event["payload"]["n"].as_u64().expect("a number"), last));
            }
        };
        tokio::join!(publishing, reading);
        hub.kill().await;
        let hub = Hub::start(dir.path(), &["--listen", &place]).await;
        let mut again = Socket::open(&place, "/ws", &hub.token()).await;
        again.say(&json!({"type": "subscribe", "topic": "load.*", "since": last})).await;
        assert_eq!(again.hear().await["type"], "subscribed");
        while heard.len() < acknowledged.len() {
            let event = again.hear().await;
            assert_eq!(event["type"], "event", "no gap notice: {event}");
            last = event["seq"].as_u64().expect("a seq");
            heard.push((event["payload"]["n"].as_u64().expect("a number"), last));
        }
        again.say(&json!({"type": "ping"})).await;
        assert_eq!(again.hear().await["type"], "pong", "and nothing twice");
        hub.kill().await;
    }
    assert_eq!(heard, acknowledged.into_iter().collect::<Vec<_>>());
}

fn rss(hub: &Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).expect("it runs");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_sockets_cost_little_and_slow_readers_hold_back_nobody() {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).expect("more files");
    let dir = tempfile::tempdir().expect("a folder");
    // Nobody reads most of them: none is to be taken for dead while the others are opened.
    let hub = Hub::start_with(dir.path(), &[], &[("NEXUS_SERVER_HEARTBEAT", "10m")]).await;
    let (address, token) = (hub.address().to_owned(), hub.token());
    // What the first few of anything allocate is not theirs.
    publish(&hub, "warm.up", &json!(1)).await;
    drop(Socket::open(&address, "/ws", &token).await);
    let idle = rss(&hub);
    let opening = stream::iter(0..MANY).map(|_| Socket::open(&address, "/ws", &token)).buffer_unordered(64);
    let mut sockets: Vec<Socket> = opening.collect().await;
    for socket in &mut sockets {
        socket.say(&json!({"type": "ping"})).await;
    }
    for socket in &mut sockets {
        assert_eq!(socket.hear().await["type"], "pong");
    }
    let over = rss(&hub).saturating_sub(idle);
    println!("{MANY} idle sockets: {:.1} MB over idle ({:.1} MB)", mb(over), mb(idle));
    // The aim is 60 MB; the bound leaves room for a debug build.
    assert!(over < 120 << 20, "{over} bytes");
    let mut quick = sockets.pop().expect("many");
    for slow in &mut sockets[..300] {
        slow.say(&json!({"type": "subscribe", "topic": "load.*"})).await;
    }
    quick.say(&json!({"type": "subscribe", "topic": "load.*"})).await;
    assert_eq!(quick.hear().await["type"], "subscribed");
    let text = "x".repeat(8 << 10);
    let publishing = async {
        for n in 0..1_000u32 {
            let answer = publish(&hub, "load.tick", &json!({"n": n, "text": text})).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    };
    let reading = async {
        for n in 0..1_000u32 {
            assert_eq!(quick.hear().await["payload"]["n"], n, "in order and whole");
        }
    };
    let both = async { tokio::join!(publishing, reading) };
    tokio::time::timeout(PATIENCE * 3, both).await.expect("slow readers hold back nobody");
    let loaded = rss(&hub).saturating_sub(idle);
    println!("with 300 of them not reading 8 MB: {:.1} MB over idle", mb(loaded));
    assert!(loaded < 300 << 20, "{loaded} bytes");
    tokio::time::timeout(PATIENCE, hub.stop()).await.expect("it ends with them open");
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
