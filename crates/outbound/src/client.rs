//! The pooled client: one request, one answer, every wait with an end.

use std::{error::Error as _, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use nexus_core::limits::RESPONSE_KEPT_BYTES;
use tokio::time::Instant;

use crate::{
    address::{Reach, judge},
    dial::{Connector, Dialer, Resolve, SystemResolver},
    error::{Kind, SendError},
    url::{self, Host},
};

/// Bytes of an answer's status line and headers together; above: [`Kind::Protocol`].
const HEAD_BYTES: usize = 64 << 10;

/// Headers that belong to the connection or are derived from the request: a caller's are not sent.
const OURS: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
];

/// How the client behaves.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// For resolving, connecting and TLS together.
    pub connect_timeout: Duration,
    /// For the whole of a request, where it names none of its own.
    pub total_timeout: Duration,
    /// Idle connections kept per scheme, host and port.
    pub max_idle_per_host: usize,
    /// How long an idle connection is kept.
    pub pool_idle: Duration,
    /// Bytes of an answer's body that are read and kept.
    pub response_kept_bytes: usize,
    /// `User-Agent`, where a request names none of its own.
    pub user_agent: HeaderValue,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(20),
            max_idle_per_host: 64,
            pool_idle: Duration::from_secs(60),
            response_kept_bytes: RESPONSE_KEPT_BYTES,
            user_agent: HeaderValue::from_static(concat!("nexus/", env!("CARGO_PKG_VERSION"))),
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method; not `CONNECT`.
    pub method: Method,
    /// Absolute `http` or `https` URL.
    pub url: String,
    /// Headers; those of the connection itself are not taken over.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// How far its owner may reach.
    pub reach: Reach,
    /// For the whole of it; absent = the client's.
    pub timeout: Option<Duration>,
    /// Bytes of the answer's body that are read and kept; absent = the client's.
    pub keep: Option<usize>,
}

impl Request {
    /// A `POST` of `body`, with no headers yet.
    pub fn post(url: impl Into<String>, body: impl Into<Bytes>, reach: Reach) -> Self {
        Self {
            method: Method::POST,
            url: url.into(),
            headers: HeaderMap::new(),
            body: body.into(),
            reach,
            timeout: None,
            keep: None,
        }
    }

    /// A `GET`, with no headers yet.
    pub fn get(url: impl Into<String>, reach: Reach) -> Self {
        Self { method: Method::GET, ..Self::post(url, Bytes::new(), reach) }
    }
}

/// One answer. A redirect is an answer like any other.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, as far as it is kept.
    pub body_head: Bytes,
    /// There was more body; it was not read.
    pub truncated: bool,
    /// From the start of the request to the end of what was read.
    pub latency: Duration,
}

type Pool = legacy::Client<Connector, Full<Bytes>>;

/// The client. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    options: Arc<ClientOptions>,
    // Two pools: a connection that was opened for one reach must not be lent to the other.
    public: Pool,
    private: Pool,
    resolver: Arc<dyn Resolve>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Client {
    /// A client over the system's resolver. Fails only when TLS can't be set up.
    pub fn new(options: ClientOptions) -> Result<Self, SendError> {
        Self::with_resolver(options, Arc::new(SystemResolver::default()))
    }

    /// A client over `resolver`.
    pub fn with_resolver(options: ClientOptions, resolver: Arc<dyn Resolve>) -> Result<Self, SendError> {
        let public = pool(&options, Reach::Public, Arc::clone(&resolver))?;
        let private = pool(&options, Reach::Private, Arc::clone(&resolver))?;
        Ok(Self { options: Arc::new(options), public, private, resolver })
    }

    /// Opens a TCP connection to the host and port of `url` and closes it again: whether anybody listens there. The
    /// address is judged as for a request.
    pub async fn knock(&self, url: &str, reach: Reach, timeout: Duration) -> Result<Duration, SendError> {
        let started = Instant::now();
        let dialer = Dialer { reach, resolver: Arc::clone(&self.resolver), timeout };
        let knocked = async { dialer.dial(url::parse(url)?.uri).await };
        match knocked.await {
            Ok(stream) => {
                drop(stream);
                Ok(started.elapsed())
            }
            Err(error) => Err(SendError { latency: started.elapsed(), ..error }),
        }
    }

    /// Sends `request` and reads the answer as far as it is kept. Never follows a redirect, never tries twice.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        let started = Instant::now();
        let deadline = started + request.timeout.unwrap_or(self.options.total_timeout);
        self.exchange(request, started, deadline)
            .await
            .map_err(|error| SendError { latency: started.elapsed(), ..error })
    }

    async fn exchange(&self, request: Request, started: Instant, deadline: Instant) -> Result<Response, SendError> {
        let pool = match request.reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
        };
        let limit = request.keep.unwrap_or(self.options.response_kept_bytes);
        let request = self.prepare(request)?;
        let answer = match tokio::time::timeout_at(deadline, pool.request(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(explain(&error)),
            Err(_) => {
                let waited = (deadline - started).as_millis();
                return Err(SendError::new(Kind::Timeout, format!("no answer within {waited} ms")));
            }
        };
        let (parts, body) = answer.into_parts();
        let head = Head { limit, status: parts.status };
        let (body_head, truncated) = match tokio::time::timeout_at(deadline, head.read(body)).await {
            Ok(read) => read?,
            Err(_) => {
                let waited = (deadline - started).as_millis();
                let status = parts.status.as_u16();
                let message = format!("the status {status} came, but its body did not end within {waited} ms");
                return Err(SendError { status: Some(status), ..SendError::new(Kind::TooSlow, message) });
            }
        };
        Ok(Response { status: parts.status, headers: parts.headers, body_head, truncated, latency: started.elapsed() })
    }

    fn prepare(&self, request: Request) -> Result<http::Request<Full<Bytes>>, SendError> {
        if request.method == Method::CONNECT {
            return Err(SendError::bad_url("the method CONNECT asks for a tunnel, which is not given"));
        }
        let target = url::parse(&request.url)?;
        // Literal addresses need no connection to be judged; names are judged when they are dialed.
        if let Host::Address(address) = target.host {
            judge(address, request.reach)?;
        }
        let mut prepared = http::Request::new(Full::new(request.body));
        *prepared.method_mut() = request.method;
        *prepared.uri_mut() = target.uri;
        let mut headers = request.headers;
        for name in OURS {
            headers.remove(name);
        }
        headers.entry(header::USER_AGENT).or_insert_with(|| self.options.user_agent.clone());
        *prepared.headers_mut() = headers;
        Ok(prepared)
    }
}

fn pool(options: &ClientOptions, reach: Reach, resolver: Arc<dyn Resolve>) -> Result<Pool, SendError> {
    let dialer = Dialer { reach, resolver, timeout: options.connect_timeout };
    let https = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| SendError::new(Kind::Tls, format!("TLS can't be set up: {error}")))?
        .https_or_http()
        .enable_http1()
        .wrap_connector(dialer);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(options.pool_idle)
        .pool_max_idle_per_host(options.max_idle_per_host)
        .http1_max_buf_size(HEAD_BYTES)
        .build(Connector { https, timeout: options.connect_timeout }))
}

/// What is read of an answer's body.
struct Head {
    limit: usize,
    status: StatusCode,
}

impl Head {
    /// The first `limit` bytes, and whether there was more. A body left unread closes its connection when it is dropped.
    ///
    /// Copied, as a frame is a slice of the connection's read buffer: keeping it would keep all of that.
    async fn read(&self, mut body: Incoming) -> Result<(Bytes, bool), SendError> {
        let mut kept = Vec::new();
        while !body.is_end_stream() {
            if kept.len() >= self.limit {
                return Ok((kept.into(), true));
            }
            let Some(frame) = body.frame().await else { break };
            let frame = frame.map_err(|error| SendError { status: Some(self.status.as_u16()), ..in_hyper(&error) })?;
            let Ok(data) = frame.into_data() else { continue };
            let room = self.limit - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                return Ok((kept.into(), true));
            }
        }
        Ok((kept.into(), false))
    }
}

/// Finds the dialer's own error in hyper-util's, or says what the exchange itself died of.
fn explain(error: &legacy::Error) -> SendError {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(dialed) = inner.downcast_ref::<SendError>() {
            return dialed.clone();
        }
        if let Some(exchange) = inner.downcast_ref::<hyper::Error>() {
            return in_hyper(exchange);
        }
        source = inner.source();
    }
    SendError::new(Kind::Connect, format!("no connection: {error}"))
}

fn in_hyper(error: &hyper::Error) -> SendError {
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
