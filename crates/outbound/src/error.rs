//! Why a request got no usable answer.

use std::time::Duration;

/// What went wrong. Closed, so that metrics and retry rules can name each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The address may not be dialed with this reach.
    Refused,
    /// The name does not resolve.
    Dns,
    /// No TCP connection.
    Connect,
    /// No TLS session.
    Tls,
    /// No status line in time.
    Timeout,
    /// The other side closed before the answer was whole.
    Closed,
    /// A status came, but its body did not end in time.
    TooSlow,
    /// The URL or the method can't be used.
    BadUrl,
    /// The answer is not HTTP/1.1.
    Protocol,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Refused,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Closed,
        Self::TooSlow,
        Self::BadUrl,
        Self::Protocol,
    ];

    /// A label for metrics and receipts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::TooSlow => "too_slow",
            Self::BadUrl => "bad_url",
            Self::Protocol => "protocol",
        }
    }

    /// Whether trying the same again can't help until someone changes the configuration.
    pub const fn is_permanent(self) -> bool {
        matches!(self, Self::Refused | Self::BadUrl)
    }
}

/// A request that got no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// What went wrong.
    pub kind: Kind,
    /// What was wrong, where, and what would be right. Holds no header and no path of the URL.
    pub message: String,
    /// The status, where one came before it went wrong ([`Kind::TooSlow`], [`Kind::Closed`] in a body).
    pub status: Option<u16>,
    /// From the start of the request.
    pub latency: Duration,
}

impl SendError {
    /// An error that came before any status.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), status: None, latency: Duration::ZERO }
    }

    /// A URL that can't be used.
    pub(crate) fn bad_url(message: impl Into<String>) -> Self {
        Self::new(Kind::BadUrl, message)
    }
}
