//! What goes into a preset and what comes out.

use bytes::Bytes;
use http::{HeaderMap, header};
use nexus_core::{time::Timestamp, topic::Topic};

use super::{body, error::VerifyError};

/// A request as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Method, upper case.
    pub method: &'a str,
    /// The URL that the provider called, with its query: the public one, not the one behind a proxy.
    pub url: &'a str,
    /// Path and query as received.
    pub path_query: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// The raw body.
    pub body: &'a [u8],
    /// When it came.
    pub now: Timestamp,
}

impl Incoming<'_> {
    /// A header's text, if it is sent.
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<&str>, VerifyError> {
        let Some(value) = self.headers.get(name) else { return Ok(None) };
        value
            .to_str()
            .map(Some)
            .map_err(|_| VerifyError::Malformed { what: format!("the header {name} is no ASCII text") })
    }

    /// A header's text.
    pub(super) fn header(&self, name: &'static str) -> Result<&str, VerifyError> {
        self.optional(name)?.ok_or(VerifyError::Missing { header: name })
    }

    /// A header's text, for what is no proof.
    pub(super) fn hint(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body is an HTML form.
    pub(super) fn is_form(&self) -> bool {
        let media_type = self.hint(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    /// A parameter of the query.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.path_query.split_once('?')?;
        let found = body::pairs(query.as_bytes()).into_iter().find(|(n, _)| n == name.as_bytes())?;
        String::from_utf8(found.1).ok()
    }
}

/// A proven sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Index of the secret that proved it.
    pub secret: usize,
}

/// What a provider's question is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeAnswer {
    /// HTTP status: 200, or 204 where the provider insists on an empty answer.
    pub status: u16,
    /// Content type.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

impl ChallengeAnswer {
    /// An answer of JSON.
    pub(super) fn json(value: &serde_json::Value) -> Self {
        Self { status: 200, content_type: "application/json", body: value.to_string() }
    }
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapped {
    /// Events, in the order they stand.
    Events(Vec<MappedEvent>),
    /// Nothing for the log.
    Ignored {
        /// Why.
        reason: String,
    },
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct MappedEvent {
    /// Its topic.
    pub topic: Topic,
    /// One JSON value: the body as received, one element of it, or a form as an object of strings.
    pub data: Bytes,
    /// What it is about: an opaque id, never a phone number or an address.
    pub subject: Option<String>,
    /// What a repeat of it would have in common with it.
    pub delivery: Option<String>,
}
