//! Who is asking: bearer tokens, one-time tickets, proofs of sockets, and the local developer of `--dev`.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, Uri, header, request::Parts};
use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    time::Timestamp,
};
use nexus_engine::Hub;
use ring::rand::{SecureRandom, SystemRandom};

use crate::{address, config::GatewayConfig, query::Query, routes::Auth};

/// How long a ticket opens a socket.
pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(60);
/// Unused tickets at once; beyond it the oldest are forgotten.
const TICKETS: usize = 10_000;
/// The WebSocket protocol under which a token follows.
pub(crate) const BEARER_PROTOCOL: &str = "bearer";

/// A proof that was accepted.
#[derive(Clone)]
pub(crate) struct Presented {
    /// Whose it is.
    pub(crate) principal: Arc<Principal>,
    /// The token, so that a long-lived socket ends when the token does. Never shown.
    token: Option<Arc<str>>,
}

impl Presented {
    /// Whether the proof still holds: a token may be revoked or expire while a socket is open.
    pub(crate) fn still_holds(&self, hub: &Hub) -> bool {
        self.token.as_deref().is_none_or(|token| hub.recognise(token).is_some())
    }

    /// When the proof ends, where that is known: a token's own end, that of its grace, or its key's.
    pub(crate) fn ends(&self, hub: &Hub) -> Option<Timestamp> {
        hub.ends(self.token.as_deref()?)
    }

    /// Asks again what the proof allows. False when it no longer holds.
    pub(crate) fn renew(&mut self, hub: &Hub) -> bool {
        let Some(token) = self.token.as_deref() else { return true };
        let Some(principal) = hub.recognise(token) else { return false };
        self.principal = principal;
        true
    }
}

/// Who asks for a route of this class; `None` where the route takes no token.
pub(crate) async fn identify(
    hub: &Hub,
    config: &GatewayConfig,
    tickets: &Tickets,
    auth: Auth,
    parts: &Parts,
    peer: IpAddr,
) -> Result<Option<Presented>, Problem> {
    let presented = match auth {
        // Its handler knows what the link leads to.
        Auth::Signature | Auth::Link => return Ok(None),
        // Its handler knows which of the two the flow demands.
        Auth::Flow => match bearer(&parts.headers) {
            Ok(Some(token)) => return Ok(accept(hub, token).await.ok()),
            _ => return Ok(local(config, parts, peer)),
        },
        // Optional here: with one, `/health` tells more.
        Auth::Open => match bearer(&parts.headers) {
            Ok(Some(token)) => return Ok(accept(hub, token).await.ok()),
            _ => return Ok(local(config, parts, peer)),
        },
        Auth::Bearer(_) | Auth::OwnOr(_) | Auth::AnyToken | Auth::TestClock => match bearer(&parts.headers)? {
            Some(token) => accept(hub, token).await?,
            None => require(config, parts, peer)?,
        },
        Auth::Socket | Auth::Watch => socket_proof(hub, config, tickets, parts, peer).await?,
    };
    permit(&presented.principal, auth)?;
    Ok(Some(presented))
}

/// 403 that names the scope.
fn permit(principal: &Principal, auth: Auth) -> Result<(), Problem> {
    let (permitted, needed) = match auth {
        Auth::Bearer(scope) => (principal.may_some(scope), scope),
        Auth::TestClock => (principal.may("admin"), "admin"),
        Auth::Socket => {
            let enough = ["events:read", "events:publish", "state:read", "subscriptions:consume"];
            let any = enough.iter().any(|s| principal.may_some(s));
            (any, "events:read, events:publish, state:read or subscriptions:consume")
        }
        Auth::Watch => (principal.may_some("state:read"), "state:read"),
        // What it may do to itself only its handler can tell.
        Auth::Open | Auth::OwnOr(_) | Auth::AnyToken | Auth::Signature | Auth::Flow | Auth::Link => (true, ""),
    };
    if permitted {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden, format!("{} lacks the scope {needed}", principal.name)))
}

/// The local developer, or 401; with `--dev` it says why this is not that one.
fn require(config: &GatewayConfig, parts: &Parts, peer: IpAddr) -> Result<Presented, Problem> {
    local(config, parts, peer).ok_or_else(|| {
        let needed = "a bearer token is needed: Authorization: Bearer nxs_… (see nexus token create)";
        let foreign = address::foreign(peer, &parts.uri, &parts.headers).filter(|_| config.dev);
        let message = foreign.map_or_else(
            || needed.to_owned(),
            |why| {
                format!("{needed}; --dev lets in without one who asks from this machine, but not this request: {why}")
            },
        );
        Problem::new(Code::Unauthenticated, message)
    })
}

/// Who shows this token.
pub(crate) async fn accept(hub: &Hub, token: &str) -> Result<Presented, Problem> {
    let principal = hub.authenticate(token).await?;
    Ok(Presented { principal, token: Some(token.into()) })
}

/// The token of `Authorization: Bearer …`; an error when there is an `Authorization` of another kind.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|t| !t.is_empty())
    });
    match token {
        Some(token) => Ok(Some(token)),
        None => Err(Problem::new(Code::Unauthenticated, "Authorization must be: Bearer nxs_…")),
    }
}

/// The local developer, with `--dev` and from this machine only.
fn local(config: &GatewayConfig, parts: &Parts, peer: IpAddr) -> Option<Presented> {
    let is_local = config.dev && address::foreign(peer, &parts.uri, &parts.headers).is_none();
    is_local.then(|| Presented { principal: Arc::new(Principal::admin("dev")), token: None })
}

async fn socket_proof(
    hub: &Hub,
    config: &GatewayConfig,
    tickets: &Tickets,
    parts: &Parts,
    peer: IpAddr,
) -> Result<Presented, Problem> {
    if let Some(token) = bearer(&parts.headers)? {
        return accept(hub, token).await;
    }
    if let Some(token) = protocol_token(&parts.headers) {
        return accept(hub, &token).await;
    }
    let (token, ticket) = query_proof(&parts.uri)?;
    if let Some(token) = token {
        return accept(hub, &token).await;
    }
    if let Some(ticket) = ticket {
        // What the token allows may have changed since the ticket was given out.
        let mut found = tickets.redeem(&ticket, hub.clock().mono());
        if found.as_mut().is_some_and(|presented| !presented.renew(hub)) {
            found = None;
        }
        return found.ok_or_else(|| {
            Problem::new(
                Code::Unauthenticated,
                "the ticket is unknown, used or older than 60 s; get one at POST /api/v1/tickets",
            )
        });
    }
    require(config, parts, peer)
}

/// The proof in a socket's query or protocol list, where there is one. What is there must hold.
pub(crate) async fn offered(hub: &Hub, tickets: &Tickets, parts: &Parts) -> Result<Option<Presented>, Problem> {
    let offers = bearer(&parts.headers)?.is_some() || protocol_token(&parts.headers).is_some();
    let (token, ticket) = query_proof(&parts.uri)?;
    if !offers && token.is_none() && ticket.is_none() {
        return Ok(None);
    }
    // No address: the local developer needs no proof, and this is about proofs.
    let nobody = GatewayConfig { dev: false, ..GatewayConfig::default() };
    socket_proof(hub, &nobody, tickets, parts, IpAddr::from([0, 0, 0, 0])).await.map(Some)
}

/// The proof that a token sent over an open socket is.
pub(crate) async fn later(hub: &Hub, token: &str) -> Result<Presented, Problem> {
    accept(hub, token).await
}

fn query_proof(uri: &Uri) -> Result<(Option<String>, Option<String>), Problem> {
    let query = Query::parse(uri.query().unwrap_or_default())?;
    Ok((query.text("token").map(str::to_owned), query.text("ticket").map(str::to_owned)))
}

/// `Sec-WebSocket-Protocol: bearer, <token>`.
fn protocol_token(headers: &HeaderMap) -> Option<String> {
    let mut names = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(str::trim);
    names.find(|name| name.eq_ignore_ascii_case(BEARER_PROTOCOL))?;
    names.next().filter(|t| !t.is_empty()).map(str::to_owned)
}

/// One-time tickets: a page that can't set headers on a socket trades its token for one.
pub(crate) struct Tickets {
    random: SystemRandom,
    open: Mutex<HashMap<String, (Presented, Duration)>>,
}

impl Tickets {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { random: SystemRandom::new(), open: Mutex::new(HashMap::new()) }
    }

    /// A ticket for whoever asks, and when it ends.
    pub(crate) fn issue(
        &self,
        who: &Presented,
        now: Timestamp,
        mono: Duration,
    ) -> Result<(String, Timestamp), Problem> {
        let mut bytes = [0u8; 32];
        self.random.fill(&mut bytes).map_err(|_| Problem::new(Code::Internal, "the system gave no randomness"))?;
        let ticket = format!("nxt_{}", data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= TICKETS {
            open.retain(|_, (_, until)| *until > mono);
        }
        if open.len() >= TICKETS {
            let oldest = open.iter().min_by_key(|(_, (_, until))| *until).map(|(ticket, _)| ticket.clone());
            if let Some(oldest) = oldest {
                open.remove(&oldest);
            }
        }
        open.insert(ticket.clone(), (who.clone(), mono + TICKET_LIFE));
        Ok((ticket, now.plus(TICKET_LIFE)))
    }

    /// Uses a ticket up.
    fn redeem(&self, ticket: &str, mono: Duration) -> Option<Presented> {
        let (who, until) = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(ticket)?;
        (until > mono).then_some(who)
    }
}

#[cfg(test)]
mod cost;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_ticket_opens_once_and_for_a_minute() {
        let tickets = Tickets::new();
        let who = Presented { principal: Arc::new(Principal::admin("x")), token: None };
        let start = Duration::from_secs(9);
        let (ticket, until) = tickets.issue(&who, Timestamp::from_secs(100), start).expect("issued");
        assert_eq!(until, Timestamp::from_secs(160));
        assert!(tickets.redeem(&ticket, start).is_some());
        assert!(tickets.redeem(&ticket, start).is_none());
        let (late, _) = tickets.issue(&who, Timestamp::from_secs(100), start).expect("issued");
        assert!(tickets.redeem(&late, start + TICKET_LIFE).is_none());
    }

    #[test]
    fn a_token_is_read_from_the_header_or_the_protocol_list() {
        assert_eq!(bearer(&with(header::AUTHORIZATION, "Bearer nxs_a")).expect("fine"), Some("nxs_a"));
        assert_eq!(bearer(&with(header::AUTHORIZATION, "bearer  nxs_a ")).expect("fine"), Some("nxs_a"));
        assert_eq!(bearer(&HeaderMap::new()).expect("fine"), None);
        assert!(bearer(&with(header::AUTHORIZATION, "Basic abc")).is_err());
        assert!(bearer(&with(header::AUTHORIZATION, "Bearer ")).is_err());
        let protocols = with(header::SEC_WEBSOCKET_PROTOCOL, "v1, bearer, nxs_b");
        assert_eq!(protocol_token(&protocols).as_deref(), Some("nxs_b"));
        assert_eq!(protocol_token(&with(header::SEC_WEBSOCKET_PROTOCOL, "graphql-ws")), None);
    }
}
