//! From a refusal to its status and body: the only place in Nexus that knows HTTP statuses of errors.
//!
//! The body is one shape in two dresses. Bare routes answer `application/problem+json` with the RFC 9457 fields at the
//! top and again under `error`; routes under `/api/v1/` answer the envelope with the same fields under `error` and the
//! few that clients read at the top. So `body.message`, `body.details` and `body.error.code` can be read on every route.

use http::{HeaderValue, Response, StatusCode, header};
use nexus_core::{
    problem::{Code, Problem},
    time::Timestamp,
};
use serde_json::{Map, Value};

use crate::{answer::Body, routes::Envelope};

/// The status of a code.
pub(crate) const fn status(code: Code) -> StatusCode {
    match code {
        Code::Malformed | Code::UnknownEvent | Code::UnknownCommand => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::Conflict | Code::IdempotencyKeyReused => StatusCode::CONFLICT,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::BadGateway => StatusCode::BAD_GATEWAY,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A few words for people, the same for every refusal of a code.
pub(crate) const fn title(code: Code) -> &'static str {
    match code {
        Code::Malformed => "The request is malformed",
        Code::UnknownEvent => "The event is unknown",
        Code::UnknownCommand => "The command is unknown",
        Code::Unauthenticated => "No valid proof of identity",
        Code::Forbidden => "Not allowed",
        Code::NotFound => "Not found",
        Code::MethodNotAllowed => "Method not allowed",
        Code::Conflict => "Conflict with the present state",
        Code::IdempotencyKeyReused => "Idempotency key used with another body",
        Code::TooLarge => "Too large",
        Code::UnsupportedMediaType => "Unsupported media type",
        Code::Invalid => "A field is missing or wrong",
        Code::RateLimited => "Too many requests",
        Code::BadGateway => "An upstream answered wrongly",
        Code::Unavailable => "Not available now",
        Code::Timeout => "An upstream did not answer in time",
        Code::Internal => "Internal error",
    }
}

/// Every code there is, for the description of the API.
pub(crate) const CODES: [Code; 17] = [
    Code::Malformed,
    Code::UnknownEvent,
    Code::UnknownCommand,
    Code::Unauthenticated,
    Code::Forbidden,
    Code::NotFound,
    Code::MethodNotAllowed,
    Code::Conflict,
    Code::IdempotencyKeyReused,
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::Invalid,
    Code::RateLimited,
    Code::BadGateway,
    Code::Unavailable,
    Code::Timeout,
    Code::Internal,
];

/// Whether the same request may succeed later.
pub(crate) const fn retryable(code: Code) -> bool {
    matches!(code, Code::RateLimited | Code::BadGateway | Code::Unavailable | Code::Timeout)
}

/// The RFC 9457 fields and ours, without the request's own.
pub(crate) fn fields(problem: &Problem, instance: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    let code = problem.code;
    fields.insert("type".into(), format!("/docs#error-{}", code.as_str().to_ascii_lowercase()).into());
    fields.insert("title".into(), title(code).into());
    fields.insert("status".into(), status(code).as_u16().into());
    fields.insert("detail".into(), problem.message.clone().into());
    fields.insert("instance".into(), instance.into());
    fields.insert("code".into(), code.as_str().into());
    fields.insert("message".into(), problem.message.clone().into());
    if !problem.details.is_empty() || !problem.facts.is_empty() {
        let mut details: Map<String, Value> =
            problem.details.iter().map(|(name, reason)| (name.clone(), reason.clone().into())).collect();
        details.extend(problem.facts.iter().map(|(name, fact)| ((*name).to_owned(), fact.clone())));
        fields.insert("details".into(), Value::Object(details));
    }
    fields.insert("retryable".into(), retryable(code).into());
    fields
}

/// What a refusal says of its request.
pub(crate) struct Context<'a> {
    /// Dress of the answer.
    pub(crate) envelope: Envelope,
    /// Path of the request.
    pub(crate) path: &'a str,
    /// Its id.
    pub(crate) request_id: &'a str,
    /// When it is answered.
    pub(crate) now: Timestamp,
}

/// The body of a refusal; `extra` fields are added at the top.
pub(crate) fn body(problem: &Problem, context: &Context<'_>, extra: Map<String, Value>) -> Value {
    let fields = fields(problem, context.path);
    let mut top = Map::new();
    top.insert("success".into(), false.into());
    if context.envelope == Envelope::Enveloped {
        top.insert("data".into(), Value::Null);
        for name in ["code", "message", "details", "retryable"] {
            if let Some(value) = fields.get(name) {
                top.insert(name.into(), value.clone());
            }
        }
        top.insert("timestamp".into(), context.now.to_string().into());
    } else {
        top.extend(fields.clone());
    }
    top.insert("requestId".into(), context.request_id.into());
    top.insert("error".into(), Value::Object(fields));
    top.extend(extra);
    Value::Object(top)
}

/// A refusal as a response.
pub(crate) fn respond(problem: &Problem, context: &Context<'_>, extra: Map<String, Value>) -> Response<Body> {
    let text = body(problem, context, extra).to_string();
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status(problem.code);
    let headers = response.headers_mut();
    let kind = match context.envelope {
        Envelope::Enveloped => "application/json",
        Envelope::Bare | Envelope::Exempt => "application/problem+json",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(after) = retry_after(problem) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(after));
    }
    if problem.code == Code::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"nexus\""));
    }
    response
}

/// Whole seconds, at least one; what can be retried always says when.
fn retry_after(problem: &Problem) -> Option<u64> {
    let known = problem.retry_after.map(|after| after.as_millis().div_ceil(1_000).max(1));
    let fallback = matches!(problem.code, Code::RateLimited | Code::Unavailable).then_some(1);
    known.or(fallback).map(|secs| u64::try_from(secs).unwrap_or(u64::MAX))
}

/// 400 with a reason.
pub(crate) fn malformed(message: impl Into<String>) -> Problem {
    Problem::new(Code::Malformed, message)
}

/// 404 of a thing with a name.
pub(crate) fn not_found(what: &str, name: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no {what} {name:?}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn context(envelope: Envelope) -> Context<'static> {
        Context { envelope, path: "/x", request_id: "r1", now: Timestamp::from_millis(1_767_323_045_678) }
    }

    #[test]
    fn every_refusal_reads_the_same_on_bare_and_enveloped_routes() {
        let problem = Problem::field("name", "missing");
        for envelope in [Envelope::Bare, Envelope::Enveloped] {
            let body = body(&problem, &context(envelope), Map::new());
            assert_eq!(body["success"], false);
            assert_eq!(body["message"], "name: missing");
            assert_eq!(body["details"], json!({"name": "missing"}));
            assert_eq!(body["code"], "INVALID");
            assert_eq!(body["error"]["code"], "INVALID");
            assert_eq!(body["error"]["status"], 422);
            assert_eq!(body["error"]["instance"], "/x");
            assert_eq!(body["retryable"], false);
            assert_eq!(body["requestId"], "r1");
        }
        let bare = body(&problem, &context(Envelope::Bare), Map::new());
        assert_eq!((&bare["status"], &bare["detail"]), (&json!(422), &json!("name: missing")));
        let enveloped = body(&problem, &context(Envelope::Enveloped), Map::new());
        assert_eq!(enveloped["timestamp"], "2026-01-02T03:04:05.678Z");
    }

    #[test]
    fn what_can_be_retried_says_when_and_nothing_else_claims_to_be_retryable() {
        for code in CODES {
            let response = respond(&Problem::new(code, "m"), &context(Envelope::Bare), Map::new());
            let expected = matches!(response.status().as_u16(), 429 | 502 | 503 | 504);
            assert_eq!(retryable(code), expected, "{code:?}");
            let says_when = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(says_when, matches!(response.status().as_u16(), 429 | 503), "{code:?}");
        }
        let soon = Problem::new(Code::RateLimited, "m").retry_after(Duration::from_millis(1_200));
        let response = respond(&soon, &context(Envelope::Enveloped), Map::new());
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    }
}
