//! Broadcasting over WebSockets: each message is one frame, rendered once, handed to every socket.

use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::broadcast;

/// Messages a socket may be behind; the load keeps fewer outstanding.
const QUEUE: usize = 1_024;
/// Messages of one flush at most.
const COALESCED: usize = 64;

#[derive(Clone)]
struct Topic(broadcast::Sender<Utf8Bytes>);

/// `POST /broadcast` sends its body to every `/sockets` (a write per message) and `/sockets/coalesced` (a write for all
/// that waits).
pub(crate) fn router() -> Router {
    Router::new()
        .route("/broadcast", post(publish))
        .route("/sockets", get(plain))
        .route("/sockets/coalesced", get(coalesced))
        .with_state(Topic(broadcast::channel(QUEUE).0))
}

async fn publish(State(Topic(topic)): State<Topic>, body: Bytes) -> StatusCode {
    match Utf8Bytes::try_from(body) {
        Ok(frame) => {
            // No receiver is no error: the last socket may just have left.
            let _ = topic.send(frame);
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

async fn plain(State(Topic(topic)): State<Topic>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let Some(mut frames) = subscribe(&mut socket, &topic).await else { return };
        while let Ok(frame) = frames.recv().await {
            if socket.send(Message::Text(frame)).await.is_err() {
                return;
            }
        }
    })
}

async fn coalesced(State(Topic(topic)): State<Topic>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let Some(mut frames) = subscribe(&mut socket, &topic).await else { return };
        while let Ok(first) = frames.recv().await {
            let mut next = Some(first);
            for _ in 0..COALESCED {
                let Some(frame) = next.take() else { break };
                if socket.feed(Message::Text(frame)).await.is_err() {
                    return;
                }
                next = frames.try_recv().ok();
            }
            if let Some(frame) = next
                && socket.feed(Message::Text(frame)).await.is_err()
            {
                return;
            }
            if socket.flush().await.is_err() {
                return;
            }
        }
    })
}

/// Waits for the client's subscribe frame, whatever it says, and confirms it.
async fn subscribe(
    socket: &mut WebSocket,
    topic: &broadcast::Sender<Utf8Bytes>,
) -> Option<broadcast::Receiver<Utf8Bytes>> {
    socket.recv().await?.ok()?;
    let frames = topic.subscribe();
    socket.send(Message::Text(r#"{"status":"subscribed"}"#.into())).await.ok()?;
    Some(frames)
}
