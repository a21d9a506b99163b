//! Why a socket or stream ends: what its client is told, and under which name it is counted.

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Why it ends. A closed set, so that no client can make a new series of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// The client closed, or the connection broke.
    Client,
    /// The client does not read: nothing can be said.
    NotReading,
    /// The hub is stopping.
    Stopping,
    /// The token was revoked or has expired.
    TokenEnded,
    /// The token may no longer do what the socket is for.
    ScopeLost,
    /// Nothing came for too long.
    Silent,
    /// Frames came too fast for too long.
    TooManyFrames,
    /// A frame that is no text.
    Binary,
    /// A message over the limit.
    TooLarge,
    /// A text frame that is no UTF-8.
    NotUtf8,
    /// Not the protocol of WebSockets.
    Protocol,
}

impl Close {
    /// All, for the figures.
    pub(crate) const ALL: [Self; 11] = [
        Self::Client,
        Self::NotReading,
        Self::Stopping,
        Self::TokenEnded,
        Self::ScopeLost,
        Self::Silent,
        Self::TooManyFrames,
        Self::Binary,
        Self::TooLarge,
        Self::NotUtf8,
        Self::Protocol,
    ];

    /// Its name among the figures.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::NotReading => "not_reading",
            Self::Stopping => "stopping",
            Self::TokenEnded => "token_ended",
            Self::ScopeLost => "scope_lost",
            Self::Silent => "silent",
            Self::TooManyFrames => "too_many_frames",
            Self::Binary => "binary",
            Self::TooLarge => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::Protocol => "protocol",
        }
    }

    /// What the client is told; `None` where it can't be told anything.
    pub(crate) const fn farewell(self) -> Option<(CloseCode, &'static str)> {
        match self {
            Self::Client | Self::NotReading => None,
            Self::Stopping => Some((CloseCode::Away, "the hub is stopping")),
            Self::TokenEnded => Some((CloseCode::Policy, "the token was revoked or has expired")),
            Self::ScopeLost => Some((CloseCode::Policy, "the token may no longer do what this socket does")),
            Self::Silent => Some((CloseCode::Policy, "no sign of life")),
            Self::TooManyFrames => Some((CloseCode::Policy, "too many frames")),
            Self::Binary => Some((CloseCode::Unsupported, "send text frames with JSON")),
            Self::TooLarge => Some((CloseCode::Size, "the message is too large")),
            Self::NotUtf8 => Some((CloseCode::Invalid, "a text frame must be UTF-8")),
            Self::Protocol => Some((CloseCode::Protocol, "not a valid WebSocket frame")),
        }
    }
}
