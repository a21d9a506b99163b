//! A hub in memory with a registry, and a thousand instances behind one listener.
//!
//! Every address of 127.0.0.0/8 is this machine: one listener on all of them is as many instances as are wanted, each
//! known by the address that it was reached at.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use nexus_core::{access::Principal, plugin::NoPlugins, store::Store, time::Clock};
use nexus_engine::{Hub, clock::SystemClock, supervisor::TaskKind, vault::VaultKey};
use nexus_services::registry::{NewService, Registry, RegistryOptions};
use nexus_store::{MemoryStore, SqliteOptions, SqliteStore};
use serde_json::json;
use tokio::net::TcpListener;

/// A hub and its registry.
pub(crate) struct Rig {
    pub(crate) hub: Hub,
    pub(crate) clock: SystemClock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Registry,
}

impl Rig {
    pub(crate) async fn new(options: RegistryOptions) -> Self {
        let clock = SystemClock::new();
        let collections = [Hub::collections(), nexus_services::collections()].concat();
        let store: Arc<dyn Store> =
            Arc::new(MemoryStore::new(&collections, Arc::new(clock.clone()), 7).expect("a store"));
        Self::over(store, clock, options).await
    }

    /// A hub over the folder that another may have left.
    pub(crate) async fn in_folder(folder: &Path, clock: SystemClock, options: RegistryOptions) -> Self {
        let collections = [Hub::collections(), nexus_services::collections()].concat();
        let clocked = Arc::new(clock.clone());
        let store = SqliteStore::open(folder, &collections, clocked, SqliteOptions::default()).expect("a store");
        Self::over(Arc::new(store), clock, options).await
    }

    async fn over(store: Arc<dyn Store>, clock: SystemClock, options: RegistryOptions) -> Self {
        let key = VaultKey::new([7; 32], Vec::new());
        let builder = Hub::builder(Arc::clone(&store), Arc::new(clock.clone()), key).test_clock(clock.clone());
        let hub = builder.start().await.expect("the hub starts");
        let registry = Registry::open(&hub, options, Arc::new(NoPlugins)).await.expect("a registry");
        hub.start_timers();
        Self { hub, clock, store, registry }
    }

    pub(crate) async fn register(&self, json: serde_json::Value) {
        let new: NewService = serde_json::from_value(json).expect("a service");
        self.registry.register(new, &Principal::admin("test")).await.expect("registered");
    }
}

/// Where instance `n` is.
pub(crate) fn address(n: usize) -> Ipv4Addr {
    let byte = |n: usize| u8::try_from(n % 250).expect("below 250");
    Ipv4Addr::new(127, 1, byte(n / 250), byte(n) + 1)
}

/// Many instances.
pub(crate) struct Crowd {
    pub(crate) port: u16,
    /// Monotonic microseconds since which each is down; 0 = it is up.
    pub(crate) down_since: Arc<Vec<AtomicU64>>,
    /// Calls that each got.
    pub(crate) calls: Arc<Vec<AtomicU64>>,
    /// The longest time in microseconds for which an instance was down when a call still reached it.
    pub(crate) latest: Arc<AtomicU64>,
}

impl Crowd {
    pub(crate) async fn start(hub: &Hub, count: usize) -> Self {
        let zeros = || Arc::new((0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
        let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let crowd = Self { port, down_since: zeros(), calls: zeros(), latest: Arc::default() };
        let shared = (Arc::clone(&crowd.down_since), Arc::clone(&crowd.calls), Arc::clone(&crowd.latest));
        let clock = Arc::clone(hub.clock());
        let spawn = hub.spawn().clone();
        hub.spawn().start(TaskKind::Background, async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let std::net::SocketAddr::V4(at) = stream.local_addr().expect("an address") else { continue };
                let [_, _, high, low] = at.ip().octets();
                let n = usize::from(high) * 250 + usize::from(low) - 1;
                let (shared, clock) = (shared.clone(), Arc::clone(&clock));
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer(&shared, n, request.uri().path(), &*clock);
                    async move { Ok::<_, Infallible>(answer) }
                });
                spawn.start(TaskKind::Background, async move {
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        crowd
    }

    pub(crate) fn set_up(&self, n: usize, up: bool, clock: &dyn Clock) {
        let since = if up { 0 } else { micros(clock.mono()) };
        self.down_since[n].store(since, Ordering::SeqCst);
    }

    pub(crate) async fn register_all(&self, rig: &Rig) {
        for n in 0..self.calls.len() {
            rig.register(json!({"id": format!("i-{n:04}"), "name": "crowd", "host": address(n).to_string(),
                "port": self.port, "health_check_url": "/health"}))
                .await;
        }
    }
}

type Shared = (Arc<Vec<AtomicU64>>, Arc<Vec<AtomicU64>>, Arc<AtomicU64>);

fn answer((down, calls, latest): &Shared, n: usize, path: &str, clock: &dyn Clock) -> Response<Full<Bytes>> {
    let since = down[n].load(Ordering::SeqCst);
    if path == "/invoke" {
        calls[n].fetch_add(1, Ordering::SeqCst);
        if since > 0 {
            latest.fetch_max(micros(clock.mono()).saturating_sub(since), Ordering::SeqCst);
        }
    }
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    if since > 0 {
        *response.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

pub(crate) fn micros(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).expect("not for ever")
}
