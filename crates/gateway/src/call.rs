//! One request on its way through a door: who asks, what for, and its body within limits.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use nexus_core::{
    access::Principal,
    json,
    limits::{BODY_BYTES, JSON_DEPTH},
    problem::{Code, Problem},
    time::Timestamp,
    wording::refusal,
};
use nexus_engine::Hub;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    answer::RequestId,
    error::malformed,
    gate::Gate,
    identity::Presented,
    query::Query,
    rates::{OverRate, Standing},
    routes::{Envelope, Params, Route},
};

/// One request.
pub(crate) struct Call {
    /// What all requests share.
    pub(crate) gate: Arc<Gate>,
    /// The route it is for.
    pub(crate) route: &'static Route,
    /// Its head.
    pub(crate) parts: Parts,
    /// Its body, until it is read.
    pub(crate) body: Option<Incoming>,
    /// Raw path parameters.
    pub(crate) params: Params,
    /// Its id.
    pub(crate) id: RequestId,
    /// Client address, behind trusted proxies.
    pub(crate) client: IpAddr,
    /// Who asks, on routes that take tokens.
    pub(crate) who: Option<Presented>,
    /// When it came.
    pub(crate) now: Timestamp,
    /// Where its caller stands with the rate of the route, once it was counted; the answer says it.
    pub(crate) standing: Arc<OnceLock<Standing>>,
}

impl Call {
    /// The hub.
    pub(crate) fn hub(&self) -> &Hub {
        &self.gate.hub
    }

    /// Who asks. Only on routes that demand a token, where there always is one.
    pub(crate) fn principal(&self) -> Result<&Principal, Problem> {
        self.who
            .as_ref()
            .map(|who| &*who.principal)
            .ok_or_else(|| Problem::new(Code::Unauthenticated, "a token is needed"))
    }

    /// Notes where the caller stands, and goes on unless it is over its rate.
    pub(crate) fn counted(&self, taken: Result<Standing, OverRate>) -> Result<(), Problem> {
        let (standing, result) = match taken {
            Ok(standing) => (standing, Ok(())),
            Err(over) => (over.standing, Err(*over.problem)),
        };
        // Only the first count of a request is told.
        let _ = self.standing.set(standing);
        result
    }

    /// A header's text; unreadable counts as absent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// A path parameter, decoded.
    pub(crate) fn param(&self, name: &str) -> Result<String, Problem> {
        let raw = self.params.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str()).unwrap_or_default();
        crate::query::decode(raw, false)
            .ok_or_else(|| malformed(format!("the path's {name} is not UTF-8 when decoded")))
    }

    /// The query, parsed; unknown names are refused where the route is exact about them.
    pub(crate) fn query(&self) -> Result<Query, Problem> {
        let text = self.parts.uri.query().unwrap_or_default();
        if self.route.is_exact() { Query::exact(text, self.route.query) } else { Query::parse(text) }
    }

    /// The whole body, at most `limit` bytes and within the time for bodies.
    pub(crate) async fn bytes(&mut self, limit: usize) -> Result<Bytes, Problem> {
        let Some(body) = self.body.take() else { return Ok(Bytes::new()) };
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        demand_plain(&self.parts.headers)?;
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large(limit));
        }
        // A deadline of the connection, not of the hub's time: moving the test clock must not cut bodies off.
        match tokio::time::timeout(self.gate.config.body_timeout, collect(body, limit)).await {
            Ok(read) => read,
            Err(_) => {
                Err(malformed(format!("the body did not arrive within {} s", self.gate.config.body_timeout.as_secs())))
            }
        }
    }

    /// The body as a typed JSON object. An absent body reads as `{}` where that is enough.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let bytes = self.bytes(BODY_BYTES).await?;
        if bytes.is_empty() {
            return typed(b"{}").map_err(|_| malformed("a JSON object is expected as the body"));
        }
        self.demand_json()?;
        json::check(&bytes, JSON_DEPTH)?;
        if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            return Err(malformed("the body must be a JSON object"));
        }
        typed(&bytes)
    }

    /// 415 unless the body is declared as JSON. Without a declaration it passes on bare routes.
    pub(crate) fn demand_json(&self) -> Result<(), Problem> {
        let declared = media_type(&self.parts.headers);
        let fits = match declared.as_deref() {
            None => self.route.envelope != Envelope::Enveloped,
            Some(media) => is_json(media),
        };
        if fits { Ok(()) } else { Err(unsupported(declared.as_deref(), "application/json")) }
    }
}

/// 415 for a body that is packed: signatures, limits and texts of errors are about the bytes as they are.
fn demand_plain(headers: &HeaderMap) -> Result<(), Problem> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = codings.map(|value| value.to_str().unwrap_or("unreadable")).flat_map(|text| text.split(','));
    let packed = codings.find(|coding| !coding.trim().is_empty() && !coding.trim().eq_ignore_ascii_case("identity"));
    packed.map_or(Ok(()), |coding| {
        let message = format!("Content-Encoding is {}; send the body as it is, without one", coding.trim());
        Err(Problem::new(Code::UnsupportedMediaType, message))
    })
}

/// 415 that says what would be right.
pub(crate) fn unsupported(declared: Option<&str>, right: &str) -> Problem {
    let sent = declared.map_or_else(|| "no Content-Type was sent".to_owned(), |d| format!("Content-Type is {d}"));
    Problem::new(Code::UnsupportedMediaType, format!("{sent}; send {right}"))
}

/// The media type, lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?;
    let text = value.to_str().unwrap_or("unreadable");
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// `application/json` or anything `+json`.
pub(crate) fn is_json(media: &str) -> bool {
    media == "application/json" || media == "text/json" || media.ends_with("+json")
}

/// What clients send when nobody told them a type: `fetch` a text, `curl -d` a form. The body is read as JSON all the same.
pub(crate) fn is_undeclared(media: &str) -> bool {
    matches!(media, "text/plain" | "application/x-www-form-urlencoded" | "application/octet-stream")
}

/// 413 that names the limit.
pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("the body is larger than {limit} bytes"))
}

/// Collects a body without copying when it comes in one piece.
async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| malformed(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Reads a typed value, with the path of the field that is wrong as `details`.
pub(crate) fn typed<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| refusal("body", false, &error.path().to_string(), &error.inner().to_string()))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only its type matters")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only its type matters")]
        deep: Vec<Sample>,
    }

    fn details(text: &str) -> Vec<(String, String)> {
        typed::<Sample>(text.as_bytes()).expect_err("must be refused").details.into_iter().collect()
    }

    #[test]
    fn a_wrong_field_is_named_with_its_path() {
        assert_eq!(details("{}"), [("name".to_owned(), "missing field `name`".to_owned())]);
        assert_eq!(details(r#"{"name": 7}"#), [("name".to_owned(), "must be a text, not 7".to_owned())]);
        assert_eq!(details(r#"{"name": "a", "nmae": 1}"#)[0].0, "nmae");
        assert_eq!(details(r#"{"name": "a", "deep": [{"name": "b"}, {"name": false}]}"#)[0].0, "deep[1].name");
        assert_eq!(details(r#"{"name": "a", "deep": [{}]}"#)[0].0, "deep[0].name");
        assert_eq!(details("[]"), [("body".to_owned(), "must be an object, not a list".to_owned())]);
    }
}
