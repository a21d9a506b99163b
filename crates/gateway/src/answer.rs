//! What a handler answers, and how it is dressed: bare JSON, the envelope of `/api/v1/*`, or a stream.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::{Frame, SizeHint};
use nexus_core::{
    problem::{Code, Problem},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::routes::Envelope;

/// The header that names a request in both directions.
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A stream of body chunks.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, io::Error>> + Send>>;

/// A response body: all of it, or chunk by chunk.
pub(crate) struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    Chunks(Chunks),
}

impl Body {
    /// All of it.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Full(Some(bytes.into())))
    }

    /// Chunk by chunk; the connection is aborted at an error.
    pub(crate) fn chunks(chunks: Chunks) -> Self {
        Self(Kind::Chunks(chunks))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.0 {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Kind::Chunks(chunks) => chunks.as_mut().poll_next(cx).map(|chunk| chunk.map(|c| c.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Kind::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Kind::Chunks(_) => SizeHint::default(),
        }
    }
}

/// What a handler answers.
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

enum Content {
    /// JSON text; `beside` is what stands next to `data` in the envelope: `"name":value` pairs, or empty.
    Json { data: String, beside: String },
    /// Anything else, as it is.
    Raw { kind: &'static str, body: Body },
}

impl Answer {
    /// JSON text that is known to be valid.
    pub(crate) fn json(data: String) -> Self {
        Self::new(Content::Json { data, beside: String::new() })
    }

    /// A value.
    pub(crate) fn data<T: Serialize + ?Sized>(value: &T) -> Result<Self, Problem> {
        Ok(Self::json(render(value)?))
    }

    /// A list and where it goes on, as `next_cursor` beside `data`.
    pub(crate) fn page<T: Serialize>(items: &[T], next: Option<&str>) -> Result<Self, Problem> {
        Self::listed(render(items)?, next)
    }

    /// [`Self::page`] of JSON text that is known to be an array.
    pub(crate) fn listed(data: String, next: Option<&str>) -> Result<Self, Problem> {
        let beside = format!("\"next_cursor\":{}", render(&next)?);
        Ok(Self::new(Content::Json { data, beside }))
    }

    /// An object whose fields stand in `data` and at the top level.
    pub(crate) fn superset(fields: &Map<String, Value>) -> Result<Self, Problem> {
        let data = render(fields)?;
        let beside = data.get(1..data.len().saturating_sub(1)).unwrap_or_default().to_owned();
        Ok(Self::new(Content::Json { data, beside }))
    }

    /// Something that is not JSON.
    pub(crate) fn raw(kind: &'static str, body: Body) -> Self {
        Self::new(Content::Raw { kind, body })
    }

    fn new(content: Content) -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), content }
    }

    /// 201: a new named thing was stored.
    pub(crate) fn created(mut self) -> Self {
        self.status = StatusCode::CREATED;
        self
    }

    /// Another status.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// One more header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The response, dressed for its route.
    pub(crate) fn respond(self, envelope: Envelope, id: &RequestId, now: Timestamp) -> Response<Body> {
        let Self { status, headers, content } = self;
        let (kind, body) = match content {
            Content::Raw { kind, body } => (kind, body),
            Content::Json { data, beside } if envelope == Envelope::Enveloped => {
                ("application/json", Body::full(enveloped(status, &data, &beside, id, now)))
            }
            Content::Json { data, .. } => ("application/json", Body::full(data)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        // An upgrade has no content.
        if !kind.is_empty() {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        response
    }
}

/// `{success,data,error,timestamp,requestId}` and what stands beside `data`.
fn enveloped(status: StatusCode, data: &str, beside: &str, id: &RequestId, now: Timestamp) -> String {
    let success = status.is_success();
    let comma = if beside.is_empty() { "" } else { "," };
    // The id is visible ASCII without quotes or backslashes (see `RequestId::of`), so it needs no escaping.
    format!(
        r#"{{"success":{success},"data":{data},"error":null{comma}{beside},"timestamp":"{now}","requestId":"{}"}}"#,
        id.as_str()
    )
}

/// JSON text of a value.
pub(crate) fn render<T: Serialize + ?Sized>(value: &T) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "an answer can't be written as JSON");
        Problem::new(Code::Internal, "the answer can't be written")
    })
}

/// The name of one request: the caller's, or a new one.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's `X-Request-ID` where it is 1 to 128 plain characters, else the next of `ids`.
    pub(crate) fn of(headers: &HeaderMap, ids: &RequestIds) -> Self {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:/+=@#~,;|".contains(b);
        match headers.get(&REQUEST_ID) {
            Some(given) if (1..=128).contains(&given.len()) && given.as_bytes().iter().all(plain) => {
                Self(given.clone())
            }
            _ => ids.next(),
        }
    }

    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// As a header.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Makes request ids: random bits of this process, then a counter. Cheap, and unique across restarts.
pub(crate) struct RequestIds {
    process: u64,
    count: AtomicU64,
}

impl RequestIds {
    /// Ids of a process that drew `process`.
    pub(crate) const fn new(process: u64) -> Self {
        Self { process, count: AtomicU64::new(1) }
    }

    fn next(&self) -> RequestId {
        let mut text = *b"0000000000000000-0000000000000000";
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        for (i, nibble) in (0..16).map(|i| (i, 60 - 4 * i)) {
            text[i] = hex((self.process >> nibble) & 15);
            text[17 + i] = hex((count >> nibble) & 15);
        }
        // Hex digits and a dash are always a header value.
        RequestId(HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("0")))
    }
}

fn hex(nibble: u64) -> u8 {
    b"0123456789abcdef"[usize::try_from(nibble & 15).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_callers_request_id_is_kept_when_plain_and_replaced_when_not() {
        let ids = RequestIds::new(0xabc);
        let mut headers = HeaderMap::new();
        assert_eq!(RequestId::of(&headers, &ids).as_str(), "0000000000000abc-0000000000000001");
        headers.insert(&REQUEST_ID, HeaderValue::from_static("my-id:7"));
        assert_eq!(RequestId::of(&headers, &ids).as_str(), "my-id:7");
        headers.insert(&REQUEST_ID, HeaderValue::from_static("quote\"d"));
        assert_eq!(RequestId::of(&headers, &ids).as_str(), "0000000000000abc-0000000000000002");
    }

    #[test]
    fn the_envelope_has_its_five_fields_and_what_stands_beside() {
        let id = RequestIds::new(1).next();
        let now = Timestamp::from_millis(1_767_323_045_678);
        let text = enveloped(StatusCode::OK, "[1]", "\"next_cursor\":null", &id, now);
        let value: Value = serde_json::from_str(&text).expect("valid JSON");
        assert_eq!(
            value,
            json!({"success": true, "data": [1], "error": null, "next_cursor": null,
                   "timestamp": "2026-01-02T03:04:05.678Z", "requestId": id.as_str()})
        );
    }
}
