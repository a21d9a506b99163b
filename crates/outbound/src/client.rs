//! The pooled client: one request, one answer, every wait with an end.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::rt::TokioIo;
use nexus_core::limits::RESPONSE_KEPT_BYTES;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::{net::TcpStream, time::Instant};

use crate::{
    address::{Reach, judge},
    dial::{Connector, Dialer, Resolve, SystemResolver},
    error::{Kind, SendError},
    pool::{Answer, Pool},
    url::{self, Host},
};

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
    /// Certificates in PEM that are trusted beside the public ones: a company's own authority.
    pub extra_ca: Vec<u8>,
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
            extra_ca: Vec::new(),
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

/// The client. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    options: Arc<ClientOptions>,
    // Two pools: a connection that was opened for one reach must not be lent to the other.
    public: Arc<Pool>,
    private: Arc<Pool>,
    resolver: Arc<dyn Resolve>,
    // For what is not HTTP.
    tls: Arc<rustls::ClientConfig>,
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
        let tls = Arc::new(tls(&options.extra_ca)?);
        Ok(Self { options: Arc::new(options), public, private, resolver, tls })
    }

    /// Whom TLS trusts here.
    pub(crate) fn tls(&self) -> Arc<rustls::ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// A connection to one of the judged addresses of `host`, for what is not HTTP.
    pub(crate) async fn dial(&self, host: &str, port: u16, reach: Reach) -> Result<TcpStream, SendError> {
        let dialer = Dialer { reach, resolver: Arc::clone(&self.resolver), timeout: self.options.connect_timeout };
        let named =
            if host.contains(':') { format!("http://[{host}]:{port}/") } else { format!("http://{host}:{port}/") };
        dialer.dial(url::parse(&named)?.uri).await.map(TokioIo::into_inner)
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

    /// Closes connections that have lain idle for too long. For whoever keeps house: nothing here runs by itself.
    pub fn tidy(&self) {
        self.public.tidy();
        self.private.tidy();
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
        let mut status = None;
        let exchange = pool.exchange(request, limit, &mut status);
        let done = tokio::time::timeout_at(deadline, exchange).await;
        let Ok(answer) = done else {
            let waited = (deadline - started).as_millis();
            let Some(status) = status else {
                return Err(SendError::new(Kind::Timeout, format!("no answer within {waited} ms")));
            };
            let status = status.as_u16();
            let message = format!("the status {status} came, but its body did not end within {waited} ms");
            return Err(SendError { status: Some(status), ..SendError::new(Kind::TooSlow, message) });
        };
        let Answer { head, body, truncated } = answer?;
        let latency = started.elapsed();
        Ok(Response { status: head.status, headers: head.headers, body_head: body, truncated, latency })
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

fn pool(options: &ClientOptions, reach: Reach, resolver: Arc<dyn Resolve>) -> Result<Arc<Pool>, SendError> {
    let dialer = Dialer { reach, resolver, timeout: options.connect_timeout };
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls(&options.extra_ca)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(dialer);
    let connector = Connector { https, timeout: options.connect_timeout };
    Ok(Arc::new(Pool::new(connector, options.max_idle_per_host, options.pool_idle)))
}

/// Trusts the public authorities and those in `extra`.
fn tls(extra: &[u8]) -> Result<rustls::ClientConfig, SendError> {
    let wrong = |what: &str| SendError::new(Kind::Tls, format!("TLS can't be set up: {what}"));
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let public = roots.len();
    for certificate in CertificateDer::pem_slice_iter(extra) {
        let certificate = certificate.map_err(|e| wrong(&format!("the further certificates are no PEM: {e}")))?;
        roots.add(certificate).map_err(|e| wrong(&format!("a further certificate can't be trusted: {e}")))?;
    }
    if !extra.is_empty() && roots.len() == public {
        return Err(wrong("among the further certificates is none; they begin with -----BEGIN CERTIFICATE-----"));
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(&e.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
