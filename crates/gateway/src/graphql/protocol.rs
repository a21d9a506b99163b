//! graphql-transport-ws, as frames: what a client's message asks for, and how answers are written. Pure.

use async_graphql::{Response, ServerError};
use bytes::Bytes;
use nexus_core::{json, limits::JSON_DEPTH};
use serde::Deserialize;
use serde_json::{Value, json as object};

use super::{admission::Unfit, run::Asked};
use crate::stream::wire::End;

/// The name of the protocol.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";
/// Bytes of an operation's id.
const ID_BYTES: usize = 256;

/// What a message asks for.
#[derive(Debug)]
pub(super) enum Message {
    /// The first: who it is.
    Init {
        /// A token, where it brings one.
        token: Option<String>,
    },
    /// A sign of life, to be answered.
    Ping(Value),
    /// The answer to one.
    Pong,
    /// Runs an operation.
    Subscribe {
        /// By which its answers are known.
        id: String,
        /// What to run.
        asked: Asked,
    },
    /// Ends an operation.
    Complete {
        /// Its id.
        id: String,
    },
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    payload: Value,
}

/// Reads a message; what is none ends the socket with 4400.
pub(super) fn parse(text: &Bytes) -> Result<Message, End> {
    let invalid = |why: &str| End::Breach(4400, format!("Invalid message: {why}"));
    json::check(text, JSON_DEPTH).map_err(|_| invalid("it must be JSON"))?;
    let raw: Raw = serde_json::from_slice(text).map_err(|_| invalid("it must be an object with a type"))?;
    let id = || match raw.id.clone() {
        Some(id) if (1..=ID_BYTES).contains(&id.len()) => Ok(id),
        _ => Err(invalid("id must be a text of 1 to 256 bytes")),
    };
    match raw.kind.as_str() {
        "connection_init" => {
            let token = raw.payload.get("token").or_else(|| raw.payload.get("Authorization"));
            let token = token.and_then(Value::as_str).map(|text| text.strip_prefix("Bearer ").unwrap_or(text));
            Ok(Message::Init { token: token.map(str::to_owned) })
        }
        "ping" => Ok(Message::Ping(raw.payload)),
        "pong" => Ok(Message::Pong),
        "subscribe" => {
            let id = id()?;
            let asked = serde_json::from_value(raw.payload).map_err(|_| invalid("payload must have a query"))?;
            Ok(Message::Subscribe { id, asked })
        }
        "complete" => Ok(Message::Complete { id: id()? }),
        _ => Err(invalid("the type is unknown")),
    }
}

/// The connection is open.
pub(super) fn ack() -> String {
    r#"{"type":"connection_ack"}"#.to_owned()
}

/// The answer to a ping.
pub(super) fn pong(payload: &Value) -> String {
    match payload {
        Value::Null => r#"{"type":"pong"}"#.to_owned(),
        payload => object!({"type": "pong", "payload": payload}).to_string(),
    }
}

/// One answer of an operation.
pub(super) fn next(id: &str, response: &Response) -> String {
    object!({"id": id, "type": "next", "payload": response}).to_string()
}

/// An operation can't run, or no longer.
pub(super) fn error(id: &str, errors: &[ServerError]) -> String {
    object!({"id": id, "type": "error", "payload": errors}).to_string()
}

/// The same for a refusal of ours.
pub(super) fn refusal(id: &str, why: &Unfit) -> String {
    error(id, &[super::ask::refused(why)])
}

/// An operation has no more answers.
pub(super) fn complete(id: &str) -> String {
    object!({"id": id, "type": "complete"}).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Message, End> {
        parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn messages_are_read_and_anything_else_is_a_breach() {
        assert!(matches!(
            read(r#"{"type":"connection_init","payload":{"token":"nxs_a"}}"#),
            Ok(Message::Init { token: Some(t) }) if t == "nxs_a"
        ));
        assert!(matches!(
            read(r#"{"type":"connection_init","payload":{"Authorization":"Bearer nxs_a"}}"#),
            Ok(Message::Init { token: Some(t) }) if t == "nxs_a"
        ));
        assert!(matches!(read(r#"{"type":"connection_init"}"#), Ok(Message::Init { token: None })));
        assert!(matches!(
            read(r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":null}}"#),
            Ok(Message::Subscribe { id, .. }) if id == "1"
        ));
        assert!(matches!(read(r#"{"type":"complete","id":"1"}"#), Ok(Message::Complete { .. })));
        for bad in [
            "",
            "7",
            "[]",
            "{}",
            r#"{"type":"start"}"#,
            r#"{"type":7}"#,
            r#"{"type":"subscribe","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":7}}"#,
            r#"{"type":"complete"}"#,
        ] {
            assert!(matches!(read(bad), Err(End::Breach(4400, _))), "{bad}");
        }
    }

    #[test]
    fn a_pong_carries_what_the_ping_did() {
        assert_eq!(pong(&Value::Null), r#"{"type":"pong"}"#);
        assert_eq!(pong(&object!({"n": 1})), r#"{"payload":{"n":1},"type":"pong"}"#);
    }

    proptest! {
        #[test]
        fn no_message_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&Bytes::from(bytes));
        }
    }
}
