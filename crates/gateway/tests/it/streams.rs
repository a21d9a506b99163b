//! Server-sent events.

use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use nexus_gateway::GatewayConfig;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::rig::{Rig, unlimited, within};

struct Stream {
    body: Incoming,
    text: String,
}

impl Stream {
    async fn open(rig: &Rig, query: &str, headers: &[(&str, &str)]) -> Self {
        let stream = TcpStream::connect(rig.address).await.expect("connected");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        rig.hub.spawn().start(nexus_engine::supervisor::TaskKind::Background, async move {
            let _ = connection.await;
        });
        let mut request = Request::get(format!("/api/v1/events/stream{query}")).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if query.is_empty() || !query.contains("token=") {
            request = request.header("authorization", format!("Bearer {}", rig.admin));
        }
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let response = within(sender.send_request(request)).await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { body: response.into_body(), text: String::new() };
        assert_eq!(stream.block().await, "retry: 2000\n: connected");
        stream
    }

    /// The next block, up to its empty line.
    async fn block(&mut self) -> String {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return block;
            }
            let frame = within(self.body.frame()).await.expect("more").expect("no error");
            let data = frame.into_data().expect("data");
            self.text.push_str(std::str::from_utf8(&data).expect("UTF-8"));
        }
    }

    /// The next event: its id and its data.
    async fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.block().await;
            if block.starts_with(':') {
                continue;
            }
            let field = |name: &str| block.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().to_owned();
            return (field("id: "), serde_json::from_str(&field("data: ")).expect("JSON"));
        }
    }
}

#[tokio::test]
async fn a_stream_is_filtered_and_resumes_where_it_broke_off() {
    let rig = Rig::new().await;
    let mut stream = Stream::open(&rig, "?filter=order.*,PAYMENT_RECEIVED", &[]).await;
    rig.publish("user.created", "{}").await;
    rig.publish("order.created", "{\n \"n\": 1}").await;
    let paid = rig.publish("payment.received", "{\"n\":2}").await;
    let (id, event) = stream.event().await;
    assert_eq!((event["type"].as_str(), &event["payload"]["n"]), (Some("order.created"), &Value::from(1)));
    assert_eq!(id, format!("1:{}", paid.seq - 1));
    assert_eq!(stream.event().await.1["id"], paid.id.to_string());
    drop(stream);
    let mut resumed = Stream::open(&rig, "?filter=payment.%3E", &[("last-event-id", &id)]).await;
    assert_eq!(resumed.event().await.1["seq"], paid.seq);
    let mut since = Stream::open(&rig, &format!("?since={}", paid.seq - 1), &[]).await;
    assert_eq!(since.event().await.1["seq"], paid.seq);
    rig.stop().await;
}

#[tokio::test]
async fn a_quiet_stream_breathes_and_ends_with_its_token() {
    let heartbeat = std::time::Duration::from_millis(200);
    let rig = Rig::with(GatewayConfig { heartbeat, ..unlimited() }).await;
    let token = rig.token("short", &["events:read"]).await;
    let mut stream = Stream::open(&rig, &format!("?token={token}"), &[]).await;
    let mut block = stream.block().await;
    while block.contains("data:") {
        block = stream.block().await;
    }
    assert_eq!(block, ": alive");
    let id = rig.hub.tokens().list().iter().find(|t| t.name == "short").expect("there").id.clone();
    rig.api("POST", &format!("/api/v1/tokens/{id}/revoke"), serde_json::json!({})).await;
    while let Some(frame) = within(stream.body.frame()).await {
        frame.expect("no error");
    }
    rig.stop().await;
}
