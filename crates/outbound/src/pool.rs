//! Connections kept open between requests, and one exchange over one of them.
//!
//! An exchange drives its connection itself, in the task that waits for the answer. With a task for each connection, as
//! HTTP clients commonly have it, every request would cost two more wake-ups, often of another thread.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri, header,
    response::Parts,
    uri::{Authority, PathAndQuery},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1,
};
use tokio::time::Instant;
use tower_service::Service;

use crate::{
    dial::{Connector, Stream},
    error::{Kind, SendError},
};

/// Bytes of an answer's status line and headers together; above: [`Kind::Protocol`].
const HEAD_BYTES: usize = 64 << 10;
/// Idle connections in all; at it, a connection is closed after its answer.
const IDLE: usize = 4_096;

/// Where a connection leads: whether by TLS, host and port.
type Origin = (bool, Authority);

/// One connection: the end that sends, and the end that must be polled for anything to happen.
struct Link {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once it is over.
    connection: Option<http1::Connection<Stream, Full<Bytes>>>,
    /// It has carried an answer before.
    used: bool,
}

impl Link {
    fn advance(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            // Whoever still waits for an answer over it learns from its end.
            self.connection = None;
        }
    }

    /// Whether it can carry another request.
    fn is_free(&mut self) -> bool {
        if !self.sender.is_ready() {
            self.look();
        }
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Takes in what has happened to it meanwhile, without waiting.
    fn look(&mut self) {
        self.advance(&mut Context::from_waker(Waker::noop()));
    }

    /// Waits for `exchange`, which goes over this connection.
    async fn drive<T>(&mut self, exchange: impl Future<Output = T>) -> T {
        let mut exchange = pin!(exchange);
        poll_fn(|cx| {
            if let Poll::Ready(done) = exchange.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            self.advance(cx);
            exchange.as_mut().poll(cx)
        })
        .await
    }
}

struct Idle {
    link: Box<Link>,
    since: Instant,
}

#[derive(Default)]
struct Shelf {
    links: HashMap<Origin, Vec<Idle>>,
    count: usize,
}

/// An answer, as far as it was read.
pub(crate) struct Answer {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    pub(crate) truncated: bool,
}

/// A request that did not go through.
enum Failure {
    /// Nothing of it was sent: the connection was closed while it lay idle.
    Unsent(Box<Request<Full<Bytes>>>),
    Broken(SendError),
}

/// The open connections of one reach.
pub(crate) struct Pool {
    connector: Connector,
    http: http1::Builder,
    /// Idle connections kept per origin.
    per_origin: usize,
    /// How long they are kept.
    keep: Duration,
    shelf: Mutex<Shelf>,
}

impl Pool {
    pub(crate) fn new(connector: Connector, per_origin: usize, keep: Duration) -> Self {
        let mut http = http1::Builder::new();
        http.max_buf_size(HEAD_BYTES);
        Self { connector, http, per_origin, keep, shelf: Mutex::default() }
    }

    /// Sends `request`, whose URI is absolute, and reads up to `limit` bytes of the answer's body. `status` is set as
    /// soon as it is known, for whoever stops waiting before the end.
    pub(crate) async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        limit: usize,
        status: &mut Option<StatusCode>,
    ) -> Result<Answer, SendError> {
        let uri = request.uri().clone();
        let origin = address_to(&mut request)?;
        loop {
            let mut link = match self.take(&origin) {
                Some(link) => link,
                None => Box::pin(self.connect(uri.clone())).await?,
            };
            let sent = link.sender.try_send_request(request);
            let answer = link.drive(async {
                let answer = sent.await.map_err(|mut refused| match refused.take_message() {
                    Some(request) => Failure::Unsent(Box::new(request)),
                    None => Failure::Broken(in_hyper(refused.error())),
                })?;
                *status = Some(answer.status());
                let (head, body) = answer.into_parts();
                let (body, truncated) = read(body, limit, head.status).await.map_err(Failure::Broken)?;
                Ok(Answer { head, body, truncated })
            });
            match answer.await {
                Ok(answer) => {
                    // What is left of a body would stand before the next answer.
                    if !answer.truncated {
                        self.keep(origin, link);
                    }
                    return Ok(answer);
                }
                Err(Failure::Unsent(again)) if link.used => request = *again,
                Err(Failure::Unsent(_)) => {
                    return Err(SendError::new(Kind::Closed, "the connection was closed before the request was sent"));
                }
                Err(Failure::Broken(error)) => return Err(error),
            }
        }
    }

    // Boxed, as a connection is large and moves with every request.
    async fn connect(&self, uri: Uri) -> Result<Box<Link>, SendError> {
        let stream = self.connector.clone().call(uri).await?;
        let (sender, connection) = self.http.handshake(stream).await.map_err(|error| in_hyper(&error))?;
        Ok(Box::new(Link { sender, connection: Some(connection), used: false }))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last: those that are not needed grow old.
    fn take(&self, origin: &Origin) -> Option<Box<Link>> {
        let mut shelf = self.shelf();
        let idle = shelf.links.get_mut(origin)?.pop()?;
        shelf.count -= 1;
        (idle.since.elapsed() < self.keep).then_some(idle.link)
    }

    fn keep(&self, origin: Origin, mut link: Box<Link>) {
        if !link.is_free() {
            return;
        }
        link.used = true;
        let mut shelf = self.shelf();
        if shelf.count >= IDLE {
            return;
        }
        let links = shelf.links.entry(origin).or_default();
        if links.len() < self.per_origin {
            links.push(Idle { link, since: Instant::now() });
            shelf.count += 1;
        }
    }

    /// Closes what has lain idle for too long, and what the other side has closed.
    pub(crate) fn tidy(&self) {
        let mut shelf = self.shelf();
        for links in shelf.links.values_mut() {
            links.retain_mut(|idle| {
                idle.link.look();
                idle.link.connection.is_some() && idle.since.elapsed() < self.keep
            });
        }
        shelf.links.retain(|_, links| !links.is_empty());
        shelf.count = shelf.links.values().map(Vec::len).sum();
    }
}

/// Turns an absolute URI into what stands in a request: its path, and the host in a header. Where it leads is returned.
fn address_to(request: &mut Request<Full<Bytes>>) -> Result<Origin, SendError> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    let Some(authority) = parts.authority.take() else {
        return Err(SendError::bad_url("the URL names no host"));
    };
    let tls = parts.scheme.as_ref().is_some_and(|scheme| scheme.as_str() == "https");
    let default_port = if tls { 443 } else { 80 };
    let host = if authority.port_u16() == Some(default_port) { authority.host() } else { authority.as_str() };
    let host = HeaderValue::from_str(host).map_err(|_| SendError::bad_url("the URL's host can't be sent"))?;
    request.headers_mut().insert(header::HOST, host);
    let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    Ok((tls, authority))
}

/// The first `limit` bytes, and whether there was more.
///
/// Copied, as a frame is a slice of the connection's read buffer: keeping it would keep all of that.
async fn read(mut body: Incoming, limit: usize, status: StatusCode) -> Result<(Bytes, bool), SendError> {
    let mut kept = Vec::new();
    while !body.is_end_stream() {
        if kept.len() >= limit {
            return Ok((kept.into(), true));
        }
        let Some(frame) = body.frame().await else { break };
        let frame = frame.map_err(|error| SendError { status: Some(status.as_u16()), ..in_hyper(&error) })?;
        let Ok(data) = frame.into_data() else { continue };
        let room = limit - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Ok((kept.into(), true));
        }
    }
    Ok((kept.into(), false))
}

/// Says what an exchange died of.
fn in_hyper(error: &hyper::Error) -> SendError {
    use std::error::Error as _;
    let broken = error.source().is_some_and(|source| source.is::<std::io::Error>());
    let reason = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    if error.is_parse() || error.is_parse_too_large() {
        SendError::new(Kind::Protocol, format!("the answer is not HTTP/1.1: {reason}"))
    } else if error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || error.is_body_write_aborted()
        || broken
    {
        SendError::new(Kind::Closed, format!("the connection was closed before the answer was whole: {reason}"))
    } else {
        SendError::new(Kind::Protocol, format!("the exchange failed: {reason}"))
    }
}
