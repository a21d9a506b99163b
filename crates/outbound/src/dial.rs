//! Resolving, judging and connecting, in this order and on the same addresses.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use nexus_core::time::Pending;
use tokio::{net::TcpStream, sync::Semaphore, time::Instant};
use tower_service::Service;

use crate::{
    address::{Reach, judge},
    error::{Kind, SendError},
    url::{self, Host},
};

/// Lookups at a time. The system resolver holds a thread for each; a dead DNS server must not take them all.
const LOOKUPS: usize = 32;
/// Addresses of one name that are tried.
const TRIES: usize = 4;

/// Turns names into addresses.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `name`, best first.
    fn resolve(&self, name: &str) -> Pending<io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> Pending<io::Result<Vec<IpAddr>>> {
        let lookups = Arc::clone(&self.lookups);
        let name = name.to_owned();
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = tokio::task::spawn_blocking(move || {
                // Held by the thread: a caller who gave up still has its lookup running.
                let _permit = permit;
                (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|a| a.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

/// Dials judged addresses only.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) reach: Reach,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) timeout: Duration,
}

impl Dialer {
    pub(crate) async fn dial(self, uri: Uri) -> Result<TokioIo<TcpStream>, SendError> {
        let target = url::target(uri)?;
        let deadline = Instant::now() + self.timeout;
        let addresses = match target.host {
            Host::Address(address) => vec![address],
            Host::Name(name) => self.lookup(&name, deadline).await?,
        };
        // All of them: a name that mixes open and closed addresses is no honest endpoint.
        for address in &addresses {
            judge(*address, self.reach)?;
        }
        let mut last = None;
        let tries = addresses.len().min(TRIES);
        for (i, address) in addresses.into_iter().take(tries).enumerate() {
            // What is left is shared, so that one dead address does not use up all the time.
            let share = deadline.saturating_duration_since(Instant::now()) / u32::try_from(tries - i).unwrap_or(1);
            match connect(SocketAddr::new(address, target.port), share).await {
                Ok(stream) => return Ok(TokioIo::new(stream)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| SendError::new(Kind::Dns, "the host name has no address")))
    }

    async fn lookup(&self, name: &str, deadline: Instant) -> Result<Vec<IpAddr>, SendError> {
        match tokio::time::timeout_at(deadline, self.resolver.resolve(name)).await {
            Ok(Ok(found)) if !found.is_empty() => Ok(found),
            Ok(Ok(_)) => Err(SendError::new(Kind::Dns, format!("the host name {name} has no address"))),
            Ok(Err(error)) => Err(SendError::new(Kind::Dns, format!("the host name {name} does not resolve: {error}"))),
            Err(_) => Err(SendError::new(Kind::Dns, format!("the host name {name} did not resolve in time"))),
        }
    }
}

async fn connect(address: SocketAddr, within: Duration) -> Result<TcpStream, SendError> {
    match tokio::time::timeout(within, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // Without it small requests wait for an ACK; a socket that refuses the option still works.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(SendError::new(Kind::Connect, format!("no connection to {address}: {error}"))),
        Err(_) => {
            Err(SendError::new(Kind::Connect, format!("no connection to {address} within {} ms", within.as_millis())))
        }
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = SendError;
    type Future = Pending<Result<Self::Response, SendError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().dial(uri))
    }
}

/// What a request goes over.
pub(crate) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// The dialer with TLS on top, and an end to the handshake.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) https: HttpsConnector<Dialer>,
    pub(crate) timeout: Duration,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = SendError;
    type Future = Pending<Result<Self::Response, SendError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.https.call(uri);
        let within = self.timeout;
        Box::pin(async move {
            match tokio::time::timeout(within, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                // The dialer's own error, or else the handshake's.
                Ok(Err(error)) => Err(match error.downcast::<SendError>() {
                    Ok(dialed) => *dialed,
                    Err(tls) => SendError::new(Kind::Tls, format!("no TLS session: {tls}")),
                }),
                Err(_) => Err(SendError::new(Kind::Connect, format!("no connection within {} ms", within.as_millis()))),
            }
        })
    }
}
