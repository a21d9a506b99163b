//! A WebSocket to the hub: dialed with the token, read frame by frame, given up when it falls silent.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, header};
use hyper_util::rt::TokioIo;
use ring::rand::SecureRandom;
use serde_json::Value;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest},
};
use tower_service::Service;

use crate::{Client, Error, Problem};

/// Longest waits between attempts to reconnect; the last one repeats.
const BACKOFF: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
/// A connection on which nothing was heard for so long is asked for a sign of life, and given up at twice that.
const QUIET: Duration = Duration::from_secs(20);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

type Stream = WebSocketStream<TokioIo<<hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector> as Service<http::Uri>>::Response>>;

/// The wait before an attempt to reconnect, counted from 0: growing, and between half and all of that by chance, so that
/// many clients of one hub do not come back at the same moment.
pub(crate) fn backoff(attempt: usize) -> Duration {
    let longest = BACKOFF[attempt.min(BACKOFF.len() - 1)];
    let mut chance = [0u8; 1];
    // Without randomness it is the longest.
    let chance = ring::rand::SystemRandom::new().fill(&mut chance).map_or(u8::MAX, |()| chance[0]);
    longest / 2 + longest / 2 * u32::from(chance) / u32::from(u8::MAX)
}

/// Why an open socket gives no next frame.
pub(crate) enum Broken {
    /// The connection is lost; another may be made.
    Connection(String),
    /// The hub refuses, or it is none.
    Refused(Error),
}

/// An open socket.
pub(crate) struct Socket {
    stream: Stream,
    quiet: bool,
}

impl Client {
    pub(crate) fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable { url: self.url().to_owned(), reason }
    }
}

impl Socket {
    /// Opens a socket at a path.
    pub(crate) async fn dial(client: &Client, path: &str) -> Result<Self, Error> {
        let address = format!("{}{path}", client.url());
        let uri: http::Uri = address.parse().map_err(|_| Error::Setting(format!("{address:?} is no URL")))?;
        let mut connector = client.connector.clone();
        let dial = async {
            let stream = connector.call(uri).await.map_err(|e| client.unconnected(&*e))?;
            // The connector chose TLS by the scheme; the handshake only needs the path and the host.
            let mut request = address
                .replacen("http", "ws", 1)
                .into_client_request()
                .map_err(|e| Error::Setting(format!("{address:?}: {e}")))?;
            if let Some(token) = client.token() {
                let value = HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|_| Error::Setting("the token has characters that no header takes".into()))?;
                request.headers_mut().insert(header::AUTHORIZATION, value);
            }
            let opened = tokio_tungstenite::client_async(request, TokioIo::new(stream)).await;
            let (stream, _) = opened.map_err(|e| refused(client, e))?;
            Ok(Self { stream, quiet: false })
        };
        let late = |_| client.unreachable(format!("no handshake within {} s", HANDSHAKE.as_secs()));
        tokio::time::timeout(HANDSHAKE, dial).await.map_err(late)?
    }

    /// Sends a frame.
    pub(crate) async fn say(&mut self, frame: &Value) -> Result<(), String> {
        self.stream.send(Message::text(frame.to_string())).await.map_err(|e| e.to_string())
    }

    /// The next frame; `None` where there is nothing to read in it. Cancel-safe.
    pub(crate) async fn hear(&mut self, client: &Client) -> Result<Option<Value>, Broken> {
        let message = match tokio::time::timeout(QUIET, self.stream.next()).await {
            Err(_) if self.quiet => return Err(Broken::Connection("the hub fell silent".into())),
            Err(_) => {
                self.quiet = true;
                let ping = Message::Ping(bytes::Bytes::new());
                return self.stream.send(ping).await.map(|()| None).map_err(|e| Broken::Connection(e.to_string()));
            }
            Ok(None) => return Err(Broken::Connection("the hub closed the connection".into())),
            Ok(Some(Err(e))) => return Err(Broken::Connection(e.to_string())),
            Ok(Some(Ok(message))) => message,
        };
        self.quiet = false;
        let text = match &message {
            Message::Text(text) => text.as_str(),
            Message::Close(frame) => {
                let reason =
                    frame.as_ref().map_or_else(String::new, |f| format!(": {} {}", u16::from(f.code), f.reason));
                return Err(Broken::Connection(format!("the hub closed the connection{reason}")));
            }
            _ => return Ok(None),
        };
        serde_json::from_str(text).map(Some).map_err(|e| Broken::Refused(client.unreadable(&e)))
    }

    /// Ends the connection in order.
    pub(crate) async fn close(&mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.close(None)).await;
    }
}

fn refused(client: &Client, error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Http(answer) => {
            let status = answer.status().as_u16();
            let body = answer.body().as_deref().unwrap_or_default();
            Error::Refused(Box::new(Problem::read(status, body, None, None)))
        }
        other => client.unreachable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_lie_between_half_and_all_of_the_longest() {
        for (attempt, longest) in BACKOFF.iter().chain([&BACKOFF[BACKOFF.len() - 1]; 3]).enumerate() {
            for _ in 0..20 {
                let wait = backoff(attempt);
                assert!(wait >= *longest / 2 && wait <= *longest, "{attempt}: {wait:?}");
            }
        }
    }
}
