//! The door of subscriptions: the handshake, then a task of its own for the session.

use http::HeaderMap;
use hyper::upgrade::OnUpgrade;
use nexus_core::problem::{Code, Problem};
use nexus_engine::supervisor::TaskKind;

use super::{protocol::PROTOCOL, session::Session};
use crate::{
    address,
    answer::Answer,
    call::Call,
    error::malformed,
    identity,
    rates::Caller,
    stream::socket::{connect, handshake, switching},
};

/// `GET /graphql` as a WebSocket. A proof may come with it, or with the first message.
pub(super) async fn open(mut call: Call) -> Result<Answer, Problem> {
    let gate = std::sync::Arc::clone(&call.gate);
    if let Some(rate) = gate.config.stream_rate {
        let caller = Caller::Address(address::counted(call.client));
        gate.limits.take("stream", caller, rate, gate.hub.clock().mono())?;
    }
    let accept = handshake(&call.parts.headers)?;
    if !speaks(&call.parts.headers) {
        return Err(malformed(format!("ask for the protocol: Sec-WebSocket-Protocol: {PROTOCOL}")));
    }
    let who = match identity::offered(&gate.hub, &gate.tickets, &call.parts).await? {
        Some(offered) => Some(offered),
        None => call.who.take(),
    };
    let Some(pending) = call.parts.extensions.remove::<OnUpgrade>() else {
        return Err(malformed("this connection can't become a WebSocket"));
    };
    let Some(counted) = gate.metrics.stream("graphql", gate.config.sockets) else {
        return Err(Problem::new(Code::Unavailable, "too many sockets are open; try again later"));
    };
    let spawn = gate.hub.spawn().clone();
    spawn.start(TaskKind::Socket, async move {
        let _counted = counted;
        let Some(socket) = connect(pending).await else { return };
        Session::new(gate, who).run(socket).await;
    });
    Ok(switching(accept, Some(PROTOCOL)))
}

fn speaks(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(http::header::SEC_WEBSOCKET_PROTOCOL);
    let mut names = offers.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    names.any(|name| name.trim() == PROTOCOL)
}
