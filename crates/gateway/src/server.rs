//! Listeners and connections: one accept loop each, one task per connection, limits on both, and an orderly end.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nexus_core::problem::Code;
use nexus_engine::{Hub, supervisor::TaskKind};
use nexus_flows::host::Flows;
use nexus_services::{Registry, StateStore};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

pub use self::tls::{Tls, TlsError};
use self::wire::Line;
pub(crate) use self::wire::Wire;
use crate::{
    answer::{RequestId, RequestIds},
    config::GatewayConfig,
    cors::Cors,
    gate::{Gate, Made},
    identity::Tickets,
    ingress::schema::Schemas,
    metrics::GatewayMetrics,
    rates::RateLimits,
    routes::{Router, TableError},
};

mod tls;
mod unreadable;
mod wire;

/// Time for the handshake of TLS; then the connection is closed.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often what callers have used of long rates is written down.
const QUOTA_PERIOD: Duration = Duration::from_secs(5);

/// A connection whose peer acknowledges nothing for this long is dead.
const DEAD_PEER: Duration = Duration::from_secs(60);
/// Pause after an accept failed for want of files or memory, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the doors could not open.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listener can't be used.
    #[error("a listener can't be used")]
    Listener(#[source] io::Error),
    /// A defect of this program, found at the start instead of at a request.
    #[error("the table of routes is broken: {0}")]
    Routes(String),
    /// `test_clock` without `dev`.
    #[error("the test clock is only for --dev")]
    TestClock,
    /// The system gives no randomness.
    #[error("the system gave no randomness")]
    Random,
}

impl From<TableError> for ServeError {
    fn from(error: TableError) -> Self {
        Self::Routes(error.to_string())
    }
}

/// What the doors lead to.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// The hub.
    pub hub: Hub,
    /// Services and the calls between them.
    pub registry: Registry,
    /// Automations.
    pub flows: Flows,
    /// Shared state.
    pub state: StateStore,
}

/// Serves every route on every listener until the hub stops its doors, then lets what is in flight finish.
pub async fn serve(
    rooms: Rooms,
    config: GatewayConfig,
    listeners: Vec<std::net::TcpListener>,
) -> Result<(), ServeError> {
    if config.test_clock && !config.dev {
        return Err(ServeError::TestClock);
    }
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        bound.push(prepare(listener, config.backlog).map_err(ServeError::Listener)?);
    }
    let gate = gate(rooms, config)?;
    restore_quotas(&gate).await;
    let connections = Arc::new(Semaphore::new(gate.config.connections.min(Semaphore::MAX_PERMITS)));
    for listener in bound {
        let task = accept(Arc::clone(&gate), listener, Arc::clone(&connections));
        gate.hub.spawn().start(TaskKind::Listener, task);
    }
    gate.hub.spawn().start(TaskKind::Background, sample(Arc::clone(&gate)));
    gate.hub.spawn().start(TaskKind::Listener, keep_quotas(Arc::clone(&gate), Arc::clone(&connections)));
    gate.hub.spawn().stopping().cancelled().await;
    all_ended(&gate, &connections).await;
    Ok(())
}

/// Every open connection holds a permit: when all are back, all have ended.
async fn all_ended(gate: &Gate, connections: &Semaphore) {
    let all = u32::try_from(gate.config.connections).unwrap_or(u32::MAX);
    let _ = connections.acquire_many(all).await;
}

/// What an earlier process wrote down of its callers. Without it the hub serves all the same.
async fn restore_quotas(gate: &Gate) {
    let clock = gate.hub.clock();
    match gate.hub.quotas().load().await {
        Ok(used) => gate.limits.restore(used, clock.mono(), clock.now()),
        Err(error) => tracing::warn!(%error, "what callers have used of their rates can't be read; all begin anew"),
    }
}

/// Writes down what callers have used of long rates, now and then and when the last connection has ended. A task of the
/// doors, so that the store is closed after it only.
async fn keep_quotas(gate: Arc<Gate>, connections: Arc<Semaphore>) {
    let stopping = gate.hub.spawn().stopping();
    // In real time, as a sleeper on the hub's clock would make the test clock stop every few seconds of a week.
    let mut tick = tokio::time::interval(QUOTA_PERIOD);
    loop {
        tokio::select! {
            _ = tick.tick() => save_quotas(&gate).await,
            () = stopping.cancelled() => break,
        }
    }
    all_ended(&gate, &connections).await;
    save_quotas(&gate).await;
}

async fn save_quotas(gate: &Gate) {
    let clock = gate.hub.clock();
    for (page, used) in gate.limits.dump(clock.mono(), clock.now()) {
        if let Err(error) = gate.hub.quotas().save(page, used).await {
            tracing::warn!(%error, "what callers have used of their rates was not written down");
            gate.limits.not_written(&[page]);
        }
    }
}

fn gate(rooms: Rooms, config: GatewayConfig) -> Result<Arc<Gate>, ServeError> {
    let Rooms { hub, registry, state, flows } = rooms;
    let mut process = [0u8; 8];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut process).map_err(|_| ServeError::Random)?;
    let metrics = Arc::new(GatewayMetrics::new());
    hub.metrics().register(|registry| metrics.register(registry));
    Ok(Arc::new(Gate {
        router: Router::new(config.test_clock)?,
        cors: Cors::new(&config),
        made: Made::default(),
        limits: RateLimits::new(),
        tickets: Tickets::new(),
        schemas: Schemas::new(),
        ids: RequestIds::new(u64::from_be_bytes(process)),
        metrics,
        config,
        hub,
        registry,
        flows,
        state,
    }))
}

fn prepare(listener: std::net::TcpListener, backlog: u32) -> io::Result<TcpListener> {
    // Whoever bound it chose a backlog of the library's; calling listen again sets ours.
    SockRef::from(&listener).listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Accepts until the doors stop.
async fn accept(gate: Arc<Gate>, listener: TcpListener, connections: Arc<Semaphore>) {
    let stopping = gate.hub.spawn().stopping();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&connections).try_acquire_owned() {
                Ok(permit) => {
                    let task = connection(Arc::clone(&gate), stream, peer, permit);
                    gate.hub.spawn().start(TaskKind::Connection, task);
                }
                Err(_) => refuse(&gate, &stream),
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Tells a connection that it is one too many. Best effort: the kernel's buffer of a new connection takes these few bytes.
/// Under TLS there is nothing that could be said in time.
fn refuse(gate: &Gate, stream: &TcpStream) {
    gate.metrics.refused(Code::Unavailable);
    if gate.config.tls.is_none() {
        let id = RequestId::of(&http::HeaderMap::new(), &gate.ids);
        drop(stream.try_write(&unreadable::full(&id, gate.hub.clock().now())));
    }
}

/// Serves one connection until it ends, or until its present answer is out when the doors stop.
async fn connection(gate: Arc<Gate>, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
    let _permit = permit;
    let _counted = gate.metrics.connection();
    let socket = SockRef::from(&stream);
    // Neither is vital: a connection without them is slower or lingers.
    let _ = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(DEAD_PEER));
    let stopping = gate.hub.spawn().stopping();
    let Some(stream) = handshake(&gate, stream, peer).await else { return };
    let builder = http(&gate.config);
    let metrics = Arc::clone(&gate.metrics);
    let service = service_fn(move |request: http::Request<Incoming>| Arc::clone(&gate).answer(request, peer));
    let served = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(served);
    let mut told = false;
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    if error.is_parse() {
                        metrics.refused(Code::Malformed);
                    }
                    tracing::debug!(%peer, %error, "a connection ended early");
                }
                return;
            }
            () = stopping.cancelled(), if !told => {
                told = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The connection, under TLS where the doors have it. `None` when the client does not manage.
async fn handshake(gate: &Arc<Gate>, stream: TcpStream, peer: SocketAddr) -> Option<Wire> {
    let wire = |line| Some(Wire::new(line, Arc::clone(gate)));
    let Some(tls) = &gate.config.tls else { return wire(Line::Plain(stream)) };
    match tokio::time::timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => return wire(Line::Tls(Box::new(stream))),
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
    }
    gate.metrics.refused(Code::Malformed);
    None
}

fn http(config: &GatewayConfig) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // hyper counts an idle keep-alive connection as one that has not sent its next head yet.
        .header_read_timeout(config.header_timeout)
        .max_headers(config.header_count)
        .max_header_size(config.header_bytes)
        .max_buf_size((config.header_bytes + (16 << 10)).max(64 << 10));
    // No pipeline_flush: with it hyper never sends its 400 or 431, as the bad head is still in the read buffer.
    builder
}

/// Notes the head of the log every second, for the rate of events. It ticks in real time: a sleeper on the hub's clock
/// would make the test clock stop at every second of a week.
async fn sample(gate: Arc<Gate>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let (_, seq) = gate.hub.tail().position();
        gate.metrics.head(gate.hub.clock().mono(), seq);
    }
}
