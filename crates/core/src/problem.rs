//! A refusal, as every room says it: a code a program can act on and a sentence a person can act on.
//!
//! No HTTP status here: only the gateway knows those, and derives them from [`Code`].

use std::{collections::BTreeMap, fmt, time::Duration};

/// What kind of refusal this is. Closed: the gateway maps each to a status, exhaustively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The body is not what its content type says (not JSON, not an object, too deep, …).
    Malformed,
    /// An event name the source or the vocabulary does not know.
    UnknownEvent,
    /// A command type that no desk knows.
    UnknownCommand,
    /// No proof of identity, or a wrong one.
    Unauthenticated,
    /// Known, but not allowed; the message names the scope or permission.
    Forbidden,
    /// No such thing.
    NotFound,
    /// The route exists, the method does not.
    MethodNotAllowed,
    /// The thing is not in the state this needs, or another already has the name.
    Conflict,
    /// The same idempotency key was used with another body.
    IdempotencyKeyReused,
    /// Larger than the named limit.
    TooLarge,
    /// A body type this route does not take.
    UnsupportedMediaType,
    /// A field is missing or wrong; `details` has one reason per field.
    Invalid,
    /// Too many requests; `retry_after` says when to come back.
    RateLimited,
    /// An upstream answered wrongly.
    BadGateway,
    /// Not now: busy, starting, stopping or short of disk.
    Unavailable,
    /// An upstream did not answer in time.
    Timeout,
    /// A defect or a failing disk. The message says nothing of the inside.
    Internal,
}

impl Code {
    /// The code on the wire, in the SCREAMING form that clients compare.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "MALFORMED",
            Self::UnknownEvent => "UNKNOWN_EVENT",
            Self::UnknownCommand => "UNKNOWN_COMMAND",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::Conflict => "CONFLICT",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::TooLarge => "TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::Invalid => "INVALID",
            Self::RateLimited => "RATE_LIMITED",
            Self::BadGateway => "BAD_GATEWAY",
            Self::Unavailable => "UNAVAILABLE",
            Self::Timeout => "TIMEOUT",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A refusal with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind.
    pub code: Code,
    /// What was wrong, where, and what would be right; shown to the caller.
    pub message: String,
    /// For [`Code::Invalid`]: one reason per field.
    pub details: BTreeMap<String, String>,
    /// What a program can act on besides (`allowed`, `types`, `version`); shown among the details. Boxed, as few have any.
    pub facts: Box<BTreeMap<&'static str, serde_json::Value>>,
    /// When to try again, where that helps.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// A refusal with a message for the caller.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: BTreeMap::new(), facts: Box::default(), retry_after: None }
    }

    /// A refusal of one field.
    pub fn field(field: &str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let mut problem = Self::new(Code::Invalid, format!("{field}: {reason}"));
        problem.details.insert(field.to_owned(), reason);
        problem
    }

    /// Adds something a program can act on.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.facts.insert(name, value.into());
        self
    }

    /// Adds the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
