//! Why a webhook is refused.

use nexus_core::{
    json::JsonError,
    limits::BATCH_EVENTS,
    problem::{Code, Problem},
    sign::SignatureError,
    topic::TopicError,
};

/// Why a sender is not proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header of the proof is absent.
    #[error("the header {header} is missing; the sender signs every request with it")]
    Missing {
        /// Its name.
        header: &'static str,
    },
    /// A part of the proof is not of its form.
    #[error("the proof is malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// Signed too long ago, or in the future.
    #[error("the signed timestamp is {skew_secs} s away from the hub's clock; at most 300 s are allowed")]
    Stale {
        /// Distance in seconds; negative when the signature lies in the future.
        skew_secs: i64,
    },
    /// No active secret made this signature.
    #[error("the signature matches none of the source's active secrets; it must be made over the raw body")]
    Mismatch,
    /// The source's own configuration is at fault.
    #[error("the source has no usable secret: {reason}")]
    Secret {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl VerifyError {
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }
}

impl From<SignatureError> for VerifyError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::NoSecret => Self::Secret { reason: "none is configured" },
            SignatureError::BadSecret(reason) => Self::Secret { reason },
            SignatureError::Malformed(what) => Self::malformed(what),
            SignatureError::Stale { skew_secs } => Self::Stale { skew_secs },
            SignatureError::Mismatch => Self::Mismatch,
        }
    }
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        Self::new(Code::Unauthenticated, error.to_string())
    }
}

/// Why a proven body gives no events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// Not JSON.
    #[error("the body is {0}")]
    Json(#[from] JsonError),
    /// JSON of another kind.
    #[error("the body is no JSON {expected}")]
    Kind {
        /// What is expected.
        expected: &'static str,
    },
    /// A field is missing or wrong.
    #[error("{field}: {reason}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What would be right.
        reason: String,
    },
    /// No event name, or none that can be a topic.
    #[error("{0}")]
    Event(String),
    /// More events than a batch may hold.
    #[error("the body holds {0} events; at most {BATCH_EVENTS} are allowed")]
    TooMany(usize),
}

impl MapError {
    pub(super) fn field(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Field { field, reason: reason.into() }
    }
}

impl From<TopicError> for MapError {
    fn from(error: TopicError) -> Self {
        Self::Event(error.to_string())
    }
}

impl From<MapError> for Problem {
    fn from(error: MapError) -> Self {
        match error {
            MapError::Json(error) => error.into(),
            MapError::Field { field, reason } => Self::field(field, reason),
            MapError::Kind { .. } => Self::new(Code::Malformed, error.to_string()),
            MapError::Event(message) => Self::new(Code::UnknownEvent, message),
            MapError::TooMany(_) => Self::new(Code::TooLarge, error.to_string()),
        }
    }
}
