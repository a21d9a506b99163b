//! The doors of WebSockets: the handshake, then a task of its own for the session.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use nexus_core::{
    limits::SOCKET_MESSAGE_BYTES,
    problem::{Code, Problem},
    topic::TopicFilter,
};
use nexus_engine::{supervisor::TaskKind, tail::Start};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    Dialect, Sight, parse_since,
    session::{Session, Sub},
    since_form,
    wire::Socket,
};
use crate::{
    answer::{Answer, Body},
    call::Call,
    error::malformed,
    identity::BEARER_PROTOCOL,
    server::Wire,
};

/// Buffers of one socket. Events are written from here, so it is the unit in which they reach the kernel.
const WRITE_BUFFER: usize = 32 << 10;
const READ_BUFFER: usize = 4 << 10;

/// `GET /ws`: nothing is sent until a frame subscribes.
pub(crate) async fn open(call: Call) -> Result<Answer, Problem> {
    upgrade(call, Vec::new(), Start::Now)
}

/// `GET /api/v1/events/ws`: subscribed to everything the token may see.
pub(crate) async fn everything(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let since = match query.text("since") {
        Some(text) => parse_since(text).ok_or_else(|| since_form("since"))?,
        None => Start::Now,
    };
    let mut filters = filters(&query)?;
    if filters.is_empty() {
        filters = TopicFilter::parse(">").into_iter().collect();
    }
    Sight::of(call.principal()?).permit(&filters)?;
    let subs = filters.into_iter().map(|filter| Sub::topics(Dialect::Kyros, filter)).collect();
    upgrade(call, subs, since)
}

/// `?filter=`, repeated or comma-separated.
pub(crate) fn filters(query: &crate::query::Query) -> Result<Vec<TopicFilter>, Problem> {
    let parse = |text| TopicFilter::parse(text).map_err(|error| Problem::field("filter", format!("{text:?}: {error}")));
    query.list("filter").map(parse).collect()
}

fn upgrade(mut call: Call, subs: Vec<Sub>, since: Start) -> Result<Answer, Problem> {
    if call.parts.method != Method::GET {
        return Err(malformed("a WebSocket begins with GET"));
    }
    let accept = handshake(&call.parts.headers)?;
    let Some(pending) = call.parts.extensions.remove::<OnUpgrade>() else {
        return Err(malformed("this connection can't become a WebSocket"));
    };
    let Some(who) = call.who.clone() else {
        return Err(Problem::new(Code::Unauthenticated, "a token is needed"));
    };
    let Some(counted) = call.gate.metrics.stream("websocket", call.gate.config.sockets) else {
        return Err(Problem::new(Code::Unavailable, "too many sockets are open; try again later"));
    };
    let bearer = call
        .header("sec-websocket-protocol")
        .is_some_and(|protocols| protocols.split(',').any(|p| p.trim().eq_ignore_ascii_case(BEARER_PROTOCOL)));
    let gate = std::sync::Arc::clone(&call.gate);
    let spawn = gate.hub.spawn().clone();
    spawn.start(TaskKind::Socket, async move {
        let _counted = counted;
        let Some(socket) = connect(pending).await else { return };
        Session::new(gate, who, subs, since).run(socket).await;
    });
    Ok(switching(accept, bearer.then_some(BEARER_PROTOCOL)))
}

/// 101, with the protocol that was chosen.
pub(crate) fn switching(accept: HeaderValue, protocol: Option<&'static str>) -> Answer {
    let mut answer = Answer::raw("", Body::full("")).status(StatusCode::SWITCHING_PROTOCOLS);
    answer = answer.header(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer = answer.header(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer = answer.header(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = protocol {
        answer = answer.header(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    answer
}

/// The accept key, or what is wrong with the handshake.
pub(crate) fn handshake(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let has = |name: header::HeaderName, word: &str| {
        let values = headers.get_all(name);
        values
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|v| v.trim().eq_ignore_ascii_case(word))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        return Err(malformed("this is a WebSocket: send Connection: Upgrade and Upgrade: websocket"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|v| v != "13") {
        return Err(malformed("send Sec-WebSocket-Version: 13"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| malformed("Sec-WebSocket-Key must be 16 bytes in base64"))?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| malformed("Sec-WebSocket-Key is unusable"))
}

pub(crate) async fn connect(pending: OnUpgrade) -> Option<Socket> {
    let upgraded = match pending.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "a connection did not become a WebSocket");
            return None;
        }
    };
    let Ok(parts) = upgraded.downcast::<TokioIo<Wire>>() else {
        tracing::error!("an upgraded connection is not the one that was served");
        return None;
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(SOCKET_MESSAGE_BYTES))
        .max_frame_size(Some(SOCKET_MESSAGE_BYTES));
    let early = parts.read_buf.to_vec();
    Some(WebSocketStream::from_partially_read(parts.io.into_inner(), early, Role::Server, Some(config)).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (header::HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn the_handshake_of_the_standard_is_answered_with_its_key() {
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert_eq!(handshake(&headers(&good)).expect("valid"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for missing in 0..good.len() {
            let mut pairs = good.to_vec();
            pairs.remove(missing);
            assert!(handshake(&headers(&pairs)).is_err(), "without {}", good[missing].0);
        }
    }
}
