//! What every socket has in common: how frames are written, why a socket ends, and how it says so.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::{Interval, MissedTickBehavior},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::server::Wire;

/// How long a closing socket waits for its client to have read why.
const LINGER: Duration = Duration::from_secs(1);

/// A socket of a client.
pub(crate) type Socket = WebSocketStream<Wire>;

/// What came in over a socket.
pub(crate) enum Heard {
    /// A frame to be obeyed.
    Text(Bytes),
    /// A ping. The library answers it when the next write is flushed: write nothing.
    Ping,
    /// A sign of life.
    Nothing,
}

/// What a socket gave, or why it ends.
pub(crate) fn heard(message: Option<Result<Message, Error>>) -> Result<Heard, End> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Heard::Text(Bytes::from(text))),
        Some(Ok(Message::Ping(_))) => Ok(Heard::Ping),
        Some(Ok(Message::Pong(_) | Message::Frame(_))) => Ok(Heard::Nothing),
        Some(Ok(Message::Binary(_))) => Err(End::Binary),
        Some(Ok(Message::Close(_))) => Err(End::Closed),
        Some(Err(error)) => Err(End::of(&error)),
        None => Err(End::Lost),
    }
}

/// Whether the other side lives. Four ticks are one heartbeat: after one without a frame a ping is due, after two more the
/// client is gone. Signs of life are a matter of the connection, not of the hub's time.
pub(crate) struct Pulse {
    tick: Interval,
    silent: u32,
}

impl Pulse {
    /// With this time between a frame and a ping.
    pub(crate) fn new(heartbeat: Duration) -> Self {
        let mut tick = tokio::time::interval(heartbeat / 4);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { tick, silent: 0 }
    }

    /// A frame came.
    pub(crate) fn felt(&mut self) {
        self.silent = 0;
    }

    /// The next tick: whether a ping is due. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<bool, End> {
        self.tick.tick().await;
        self.silent += 1;
        match self.silent {
            12.. => Err(End::Silent),
            silent => Ok(silent % 4 == 0),
        }
    }
}

/// Why a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client said goodbye.
    Closed,
    /// The connection broke.
    Lost,
    /// The client does not read: nothing can be said.
    Stuck,
    /// The hub is stopping.
    Stopping,
    /// The token was revoked or has expired.
    TokenEnded,
    /// The token may no longer read what the socket is for.
    ScopeLost,
    /// No sign of life.
    Silent,
    /// Frames too fast, for too long.
    TooFast,
    /// A binary frame.
    Binary,
    /// A message over the limit.
    TooLarge,
    /// A text frame that is no UTF-8.
    NotText,
    /// Not a valid WebSocket frame.
    BadFrame,
    /// A breach of the protocol that is spoken over the socket, with a close code of that protocol.
    Breach(u16, String),
}

impl End {
    /// Its name in the metrics: a closed set.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Closed => "client",
            Self::Lost => "lost",
            Self::Stuck => "not_reading",
            Self::Stopping => "stopping",
            Self::TokenEnded => "token_ended",
            Self::ScopeLost => "scope_lost",
            Self::Silent => "silent",
            Self::TooFast => "too_fast",
            Self::Binary => "binary",
            Self::TooLarge => "too_large",
            Self::NotText => "not_text",
            Self::BadFrame => "bad_frame",
            Self::Breach(..) => "protocol",
        }
    }

    /// One of each, for the metrics.
    pub(crate) fn all() -> [Self; 13] {
        [
            Self::Closed,
            Self::Lost,
            Self::Stuck,
            Self::Stopping,
            Self::TokenEnded,
            Self::ScopeLost,
            Self::Silent,
            Self::TooFast,
            Self::Binary,
            Self::TooLarge,
            Self::NotText,
            Self::BadFrame,
            Self::Breach(0, String::new()),
        ]
    }

    /// The close code and what is said; `None` where nobody is there to hear it.
    fn farewell(&self) -> Option<(CloseCode, &str)> {
        Some(match self {
            Self::Closed | Self::Lost | Self::Stuck => return None,
            Self::Stopping => (CloseCode::Away, "the hub is stopping"),
            Self::TokenEnded => (CloseCode::Policy, "the token was revoked or has expired"),
            Self::ScopeLost => (CloseCode::Policy, "what the token may do has changed"),
            Self::Silent => (CloseCode::Policy, "no sign of life"),
            Self::TooFast => (CloseCode::Policy, "too many frames"),
            Self::Binary => (CloseCode::Unsupported, "send text frames with JSON"),
            Self::TooLarge => (CloseCode::Size, "the message is too large"),
            Self::NotText => (CloseCode::Invalid, "a text frame must be UTF-8"),
            Self::BadFrame => (CloseCode::Protocol, "not a valid WebSocket frame"),
            Self::Breach(code, reason) => (CloseCode::from(*code), reason),
        })
    }

    /// Of a broken stream.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Self::TooLarge,
            Error::Utf8(_) => Self::NotText,
            Error::Protocol(tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
                Self::Lost
            }
            Error::Protocol(_) => Self::BadFrame,
            _ => Self::Lost,
        }
    }
}

/// Writes all frames, then flushes once. A client that takes nothing for `patience` is stuck.
pub(crate) async fn send(socket: &mut Socket, patience: Duration, frames: Vec<Message>) -> Result<(), End> {
    let write = async {
        for frame in frames {
            socket.feed(frame).await?;
        }
        socket.flush().await
    };
    match tokio::time::timeout(patience, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::of(&error)),
        Err(_) => Err(End::Stuck),
    }
}

/// Says why, then gives the client a moment to read it: closing at once would let the kernel throw the words away.
pub(crate) async fn close(mut socket: Socket, end: &End) {
    let Some((code, reason)) = end.farewell() else {
        // The library has the answer to a client's goodbye ready; it must still leave.
        if *end == End::Closed {
            let _ = tokio::time::timeout(LINGER, socket.flush()).await;
        }
        return;
    };
    let frame = CloseFrame { code, reason: Utf8Bytes::from(reason) };
    let _ = tokio::time::timeout(LINGER, farewell(&mut socket, frame)).await;
}

/// Says goodbye and waits until the client has said it too, which is when the connection ends. Where frames can't be read
/// any more, as one was none, it is over when the client hangs up: what it sent is read away.
async fn farewell<S>(socket: &mut WebSocketStream<S>, frame: CloseFrame) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.close(Some(frame)).await?;
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Close(_)) {
            return Ok(());
        }
    }
    let mut rest = [0u8; 4096];
    while socket.get_mut().read(&mut rest).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    const FRAME: CloseFrame = CloseFrame { code: CloseCode::Policy, reason: Utf8Bytes::from_static("enough") };

    /// Nothing here waits for a time: what does not end by itself is a test that hangs.
    async fn within<F: Future>(future: F) -> F::Output {
        tokio::time::timeout(Duration::from_secs(60), future).await.expect("it ends by itself")
    }

    #[tokio::test]
    async fn a_goodbye_that_is_answered_ends_at_once_whatever_was_still_on_its_way() {
        let (ours, theirs) = tokio::io::duplex(4096);
        let mut hub = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        let mut client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        client.send(Message::text("one more thing")).await.expect("sent");
        // It stays connected until the hub is done.
        let answering = async {
            let said = client.next().await.expect("a frame").expect("no error");
            assert_eq!(said, Message::Close(Some(FRAME)));
            let _ = client.flush().await;
        };
        let (ended, ()) = within(futures_util::future::join(farewell(&mut hub, FRAME), answering)).await;
        ended.expect("heard");
        drop(client);
    }

    #[tokio::test]
    async fn after_what_is_no_frame_it_ends_when_the_client_hangs_up() {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let mut hub = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        // Unmasked, which no client may be.
        theirs.write_all(&[0x81, 0x02, b'h', b'i']).await.expect("written");
        assert!(matches!(within(hub.next()).await, Some(Err(Error::Protocol(_)))));
        let hanging_up = async {
            let mut head = [0u8; 4];
            theirs.read_exact(&mut head).await.expect("the close frame");
            assert_eq!(&head, &[0x88, 8, 0x03, 0xf0], "1008");
            theirs.write_all(&[0xff; 100]).await.expect("written");
            drop(theirs);
        };
        let (ended, ()) = within(futures_util::future::join(farewell(&mut hub, FRAME), hanging_up)).await;
        ended.expect("read away");
    }
}
