//! CloudEvents 1.0 from outside, and ours in that form.
//!
//! Structured and batch mode carry everything in one JSON body, binary mode carries the attributes in `ce-*` headers.
//! All three end in a [`CloudEvent`]: checked attributes and data as the log keeps it, namely one JSON value. Data of
//! another media type becomes a JSON string, of base64 where the bytes are no text ([`Attributes::binary`]).

mod header;
mod json;
mod parts;
mod render;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use ring::digest::{SHA256, digest};

pub use self::{header::binary, json::batch, json::structured, render::structured as render};
use crate::{
    event::{Attributes, NewEvent, Once},
    limits::{ID_BYTES, IDEMPOTENCY_WINDOW},
    problem::{Code, Problem},
    sign,
    time::Timestamp,
    topic::Topic,
};

/// Extension with the `type` as it was sent, where the canonical topic is spelled otherwise.
pub const ORIGINAL_TYPE: &str = "originaltype";
/// Extension with the `source` as it was sent, where the source that proved itself has another name.
pub const ORIGINAL_SOURCE: &str = "originalsource";
/// Extension with the `id` as it was sent; the log gives ids of its own.
pub const ORIGINAL_ID: &str = "originalid";

/// How an HTTP message carries CloudEvents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One event, all in the body.
    Structured,
    /// An array of events in the body.
    Batch,
    /// The data in the body, the attributes in `ce-*` headers (if there are any, it is a CloudEvent).
    Binary,
}

impl Mode {
    /// Reads the mode off a `Content-Type`. A CloudEvents format other than JSON is refused.
    pub fn of(content_type: Option<&str>) -> Result<Self, Problem> {
        let essence = parts::essence(content_type.unwrap_or_default());
        match essence.as_str() {
            "application/cloudevents+json" | "application/cloudevents" => Ok(Self::Structured),
            "application/cloudevents-batch+json" | "application/cloudevents-batch" => Ok(Self::Batch),
            other if other.starts_with("application/cloudevents") => Err(Problem::new(
                Code::UnsupportedMediaType,
                format!(
                    "{other} is not understood; send application/cloudevents+json or application/cloudevents-batch+json"
                ),
            )),
            _ => Ok(Self::Binary),
        }
    }
}

/// A checked CloudEvent, not yet tied to the source that proved itself.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudEvent {
    /// `id`, unique within `source` by the producer's word.
    pub id: String,
    /// `source`, a URI-reference.
    pub source: String,
    /// `type`, folded.
    pub topic: Topic,
    /// `subject`.
    pub subject: Option<String>,
    /// Extension `correlationid`.
    pub correlation: Option<String>,
    /// The other attributes.
    pub attributes: Attributes,
    /// One JSON value; `null` where there is no data.
    pub data: Bytes,
}

impl CloudEvent {
    /// The event as it goes into the log, on behalf of the proven `source`. Equal `source` and `id` make a repeat.
    pub fn into_event(self, source: impl Into<Arc<str>>, now: Timestamp) -> NewEvent {
        let body = digest(&SHA256, &self.data);
        let mut start = [0; 16];
        start.copy_from_slice(&body.as_ref()[..16]);
        let mut event = NewEvent::new(self.topic, source, self.data, now);
        let alias = event.attributes.alias.take();
        event.attributes = Attributes { alias, ..self.attributes };
        if self.source != *event.source {
            event.attributes.extensions.entry(ORIGINAL_SOURCE.into()).or_insert_with(|| self.source.clone().into());
        }
        event.subject = self.subject;
        event.correlation = self.correlation;
        event.once = Some(Once {
            scope: Arc::clone(&event.source),
            key: once_key(&self.source, &self.id),
            digest: start,
            strict: false,
            window: IDEMPOTENCY_WINDOW,
        });
        event.attributes.source_id = Some(self.id);
        event
    }
}

/// One text for the pair; a URI-reference holds no space, so the pair can be told from any other.
fn once_key(source: &str, id: &str) -> String {
    let key = format!("{source} {id}");
    if key.len() <= ID_BYTES { key } else { sign::hex(digest(&SHA256, key.as_bytes()).as_ref()) }
}
