//! What is shown of an attempt: the request as it was sent and the answer as it came, without their secrets.

use std::collections::BTreeMap;

use nexus_outbound::{Request, Response};
use serde::Serialize;

use crate::hide::Hider;

/// Bytes of bodies shown in an exchange.
const HEAD_BYTES: usize = 1024;

/// A request and what came of it, as shown to a person who tests an endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// What was sent. Secrets are redacted.
    pub request: Sent,
    /// What came back, if anything.
    pub response: Option<Received>,
    /// Why nothing did.
    pub error: Option<String>,
    /// How long it took.
    pub latency_ms: f64,
}

/// A request as sent.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    /// Method.
    pub method: String,
    /// URL.
    pub url: String,
    /// Headers, `Authorization` and the like redacted.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
}

impl Sent {
    /// What may be shown of a request.
    pub(super) fn of(request: &Request, hider: &Hider) -> Self {
        Self {
            method: request.method.to_string(),
            url: hider.text(&request.url),
            headers: shown(&request.headers, hider),
            body: head(&request.body, hider),
        }
    }
}

/// A response as received.
#[derive(Clone, Debug, Serialize)]
pub struct Received {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// First bytes of the body.
    pub body: String,
}

impl Received {
    /// What may be shown of a response.
    pub(super) fn of(response: &Response, hider: &Hider) -> Self {
        Self {
            status: response.status.as_u16(),
            headers: shown(&response.headers, hider),
            body: head(&response.body_head, hider),
        }
    }
}

/// The beginning of a body. What is to be hidden is hidden before it is cut, so that no half of it is left.
pub(super) fn head(body: &[u8], hider: &Hider) -> String {
    let mut text = hider.text(&String::from_utf8_lossy(&body[..body.len().min(2 * HEAD_BYTES)]));
    text.truncate(text.floor_char_boundary(HEAD_BYTES));
    text
}

fn shown(headers: &http::HeaderMap, hider: &Hider) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| {
            let secret = matches!(name.as_str(), "authorization" | "cookie" | "set-cookie" | "x-api-key");
            let value =
                if secret { "<redacted>".into() } else { hider.text(&String::from_utf8_lossy(value.as_bytes())) };
            (name.as_str().to_owned(), value)
        })
        .collect()
}
