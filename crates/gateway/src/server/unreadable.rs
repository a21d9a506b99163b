//! What is answered where the HTTP library serves no request: to a head that can't be read, which it refuses by itself
//! and without a body, and to a connection too many. Here these answers get the body and the request id that every
//! answer of the hub has.

use http::StatusCode;
use nexus_core::{
    problem::{Code, Problem},
    time::Timestamp,
};
use serde_json::{Map, Value};

use crate::{answer::RequestId, error, routes::Envelope};

/// The library's own refusals are this short; a longer head is one of ours.
const OWN_BYTES: usize = 256;

/// The status of the library's own refusal, if these bytes are one: a whole head of an error without content, and without
/// the request id that ours carry.
pub(super) fn own_refusal(bytes: &[u8]) -> Option<StatusCode> {
    if bytes.len() > OWN_BYTES || !bytes.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let has = |name: &str| head.lines().any(|line| line.to_ascii_lowercase().starts_with(name));
    if head.contains("\r\n\r\n") || has("x-request-id:") || !has("content-length: 0") {
        return None;
    }
    let status = StatusCode::from_bytes(head.as_bytes().get(9..12)?).ok()?;
    [StatusCode::BAD_REQUEST, StatusCode::URI_TOO_LONG, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE]
        .contains(&status)
        .then_some(status)
}

/// The whole answer in its place.
pub(super) fn answer(status: StatusCode, id: &RequestId, now: Timestamp) -> Vec<u8> {
    let problem = if status == StatusCode::BAD_REQUEST {
        Problem::new(Code::Malformed, "this is not HTTP/1.1: the head of the request can't be read")
    } else {
        Problem::new(
            Code::TooLarge,
            "the head of the request is too large; send fewer or shorter headers, or a shorter URL",
        )
    };
    written(status, &problem, "", id, now)
}

/// What a connection beyond the limit is told.
pub(super) fn full(id: &RequestId, now: Timestamp) -> Vec<u8> {
    let problem = Problem::new(Code::Unavailable, "too many open connections; try again in a second");
    written(StatusCode::SERVICE_UNAVAILABLE, &problem, "retry-after: 1\r\n", id, now)
}

/// The bytes of a refusal.
fn written(status: StatusCode, problem: &Problem, headers: &str, id: &RequestId, now: Timestamp) -> Vec<u8> {
    let context = error::Context { envelope: Envelope::Bare, path: "", request_id: id.as_str(), now };
    let mut body = error::body(problem, &context, Map::new());
    let number = Value::from(status.as_u16());
    body["error"]["status"] = number.clone();
    body["status"] = number;
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         x-request-id: {}\r\n{headers}connection: close\r\n\r\n{body}",
        body.len(),
        id.as_str()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::RequestIds;

    #[test]
    fn only_the_librarys_own_refusal_is_taken_for_one() {
        let own = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(own_refusal(own), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        for other in [
            "HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n{}",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "{\"a\": 1}",
        ] {
            assert_eq!(own_refusal(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_answer_is_as_long_as_it_says_and_says_its_status() {
        let ids = RequestIds::new(1);
        let id = RequestId::of(&http::HeaderMap::new(), &ids);
        let now = Timestamp::from_secs(1);
        let refused = [StatusCode::BAD_REQUEST, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE];
        let refused = refused.map(|status| (status, answer(status, &id, now)));
        for (status, bytes) in refused.into_iter().chain([(StatusCode::SERVICE_UNAVAILABLE, full(&id, now))]) {
            let text = String::from_utf8(bytes).expect("text");
            let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            assert!(head.starts_with(&format!("HTTP/1.1 {}", status.as_u16())));
            let body: Value = serde_json::from_str(body).expect("JSON");
            assert_eq!((&body["status"], &body["error"]["status"]), (&status.as_u16().into(), &status.as_u16().into()));
            assert_eq!(body["requestId"], id.as_str());
        }
    }
}
