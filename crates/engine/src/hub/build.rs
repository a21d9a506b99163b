//! Wires every part together and brings the hub up as the last process left it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use nexus_core::{
    problem::Problem,
    store::{Store, StoreError, SubNo},
    time::{Clock, Timestamp},
};
use nexus_outbound::Client;
use tokio::sync::{mpsc, watch};

use super::{Hub, HubConfig, Inner};
use crate::{
    alerts::Alerts,
    clock::SystemClock,
    commands::{Commands, token_commands},
    connectors::{Connections, Connectors, Library},
    consumers::Consumers,
    deaths::Deaths,
    deliveries::Deliveries,
    delivery::{
        attempt::Sender,
        driver::Driver,
        found::{Found, FoundReplay},
        handler::Handler,
        machine::{Machine, Now, Policy},
        spec::Spec,
    },
    desk::Desk,
    dispatch::Dispatch,
    fate::Fates,
    jwt::Jwts,
    keeper::Keeper,
    log::Log,
    metrics::Metrics,
    notes::Note,
    quotas::Quotas,
    replays::{Replay, ReplayState, Replays},
    retention::{Retention, Touched},
    sources::Sources,
    subscription::{Activity, Revision, Subscription},
    subscriptions::Subscriptions,
    supervisor::{Spawn, TaskKind},
    tail::Tail,
    timers::Timers,
    tokens::{Credentials, Tokens},
    trace::Tracer,
    vault::{Vault, VaultError, VaultKey},
};

/// The hub can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Secrets do not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store can't be read.
    #[error("the store can't be read: {0}")]
    Store(#[from] StoreError),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// Builds a hub.
pub struct HubBuilder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    test_clock: Option<SystemClock>,
    key: VaultKey,
    config: HubConfig,
    handlers: BTreeMap<String, Arc<dyn Handler>>,
    pub(crate) wanted: Vec<crate::embed::Wanted>,
}

impl Hub {
    /// A hub over this store, this clock, and this key for its secrets.
    pub fn builder(store: Arc<dyn Store>, clock: Arc<dyn Clock>, key: VaultKey) -> HubBuilder {
        HubBuilder {
            store,
            clock,
            test_clock: None,
            key,
            config: HubConfig::default(),
            handlers: BTreeMap::new(),
            wanted: Vec::new(),
        }
    }
}

impl HubBuilder {
    /// With these settings.
    #[must_use]
    pub fn config(mut self, config: HubConfig) -> Self {
        self.config = config;
        self
    }

    /// With a function that subscriptions may name as their target.
    #[must_use]
    pub fn handler(mut self, name: &str, handler: Arc<dyn Handler>) -> Self {
        self.handlers.insert(name.to_owned(), handler);
        self
    }

    /// With a clock that [`Hub::advance`] may move.
    #[must_use]
    pub fn test_clock(mut self, clock: SystemClock) -> Self {
        self.clock = Arc::new(clock.clone());
        self.test_clock = Some(clock);
        self
    }

    /// Opens the vault, recovers the deliveries, and starts dispatching.
    #[expect(clippy::too_many_lines, reason = "the wiring of every part, once, in the order it must happen")]
    pub async fn start(self) -> Result<Hub, StartError> {
        let Self { store, clock, test_clock, key, config, handlers, wanted } = self;
        let desk = Desk::new(Arc::clone(&store), Arc::clone(&clock));
        let spawn = Spawn::default();
        let tail = Tail::new(Arc::clone(&store), spawn.stopping());
        let hook = Arc::clone(&tail);
        store.on_commit(Arc::new(move |events| hook.push(events)));
        let metrics = Metrics::new();
        let other = |e: Problem| StartError::Other(e.message);
        let vault = Arc::new(Vault::open(desk.clone(), key).await?);
        let (command_sender, commands) = mpsc::channel(256);
        let dispatch = Dispatch::new(command_sender);
        let touched = Touched::default();
        let mut signers = vault.signers().map_err(|e| StartError::Other(e.to_string()))?.into_iter();
        let signer = signers.next().map(Arc::new).ok_or_else(|| StartError::Other("there is no key".into()))?;
        let earlier: Vec<_> = signers.collect();
        let log =
            Log::new(desk.clone(), dispatch.clone(), Arc::clone(&tail), Arc::clone(&signer), &earlier, touched.clone());
        let sound = log.adopt_cut().await?;
        let sources = Arc::new(Sources::open(desk.clone(), Arc::clone(&vault), config.environment).await?);
        let changes = Arc::new(watch::channel(0).0);
        let tokens = Arc::new(Tokens::open(desk.clone(), Arc::clone(&changes)).await?);
        let jwts = Arc::new(Jwts::open(desk.clone(), Arc::clone(&vault), config.jwt, changes).await?);
        spawn.start(TaskKind::Background, Arc::clone(&jwts).run());
        let library = Arc::new(config.connectors.unwrap_or_else(Library::shipped));
        let connections = Arc::new(Connections::open(desk.clone(), Arc::clone(&vault), Arc::clone(&library)).await?);
        let credentials =
            Credentials { tokens, jwts, sources, vault: Arc::clone(&vault), connections: Arc::clone(&connections) };
        let door_commands = Commands::new(desk.clone(), Arc::clone(&vault));
        token_commands(&credentials).into_iter().for_each(|of| door_commands.register(of));
        let quotas = Quotas::new(desk.clone());
        let stored: Vec<(Subscription, u64)> = desk.load().await?;
        let revisions: Vec<Revision> = desk.load().await?.into_iter().map(|(r, _)| r).collect();
        let replays: Vec<(Replay, u64)> = desk.load().await?;
        let notes: Vec<Note> = desk.load().await?.into_iter().map(|(n, _)| n).collect();

        let client = Client::new(config.client).map_err(|e| StartError::Other(e.to_string()))?;
        let connectors =
            Connectors::open(desk.clone(), client.clone(), spawn.clone(), library, connections, &metrics).await;
        let connectors = connectors.map_err(other)?;
        let tracer = tracer(config.otlp_endpoint, &clock, &client, &spawn);
        let sender =
            Arc::new(Sender::new(client.clone(), Arc::clone(&vault), Arc::clone(&clock), handlers, tracer.clone()));
        let machine = recover(&desk, &stored, &revisions, &notes, &replays, config.policy).await?;
        let fence = store.acquire(0).await?;
        let consumers = consumers(&desk, &spawn, &machine).map_err(other)?;
        let (notice_sender, notices) = mpsc::channel(256);
        let subscriptions = Arc::new(Subscriptions::new(
            desk.clone(),
            Arc::clone(&vault),
            Arc::clone(&sender),
            dispatch.clone(),
            stored,
            revisions,
        ));
        let replays = Arc::new(Replays::new(desk.clone(), dispatch.clone(), Arc::clone(&subscriptions), replays));
        let alerts = Arc::new(Alerts::new(config.alerts, Arc::clone(&sender), Arc::clone(&clock)));
        let (deaths, obituary) =
            Deaths::new(desk.clone(), Arc::clone(&subscriptions), Arc::clone(&alerts), dead_told(&notes));
        spawn.start(TaskKind::Background, deaths.run());
        let keeper = Keeper {
            desk: desk.clone(),
            subscriptions: Arc::clone(&subscriptions),
            replays: Arc::clone(&replays),
            alerts: Arc::clone(&alerts),
            obituary,
            spawn: spawn.clone(),
        };
        let driver = Driver {
            machine,
            store,
            clock,
            tail: Arc::clone(&tail),
            sender,
            consumers: Arc::clone(&consumers),
            spawn: spawn.clone(),
            fence,
            metrics: Arc::clone(&metrics),
            commands,
            notices: notice_sender,
        };
        spawn.start(TaskKind::Engine, driver.run());
        spawn.start(TaskKind::Engine, keeper.run(notices));
        let receipts = config.keeping.receipts;
        let retention = Retention::new(desk.clone(), dispatch.clone(), signer, sound, config.keeping, touched);
        let timers = Arc::new(Timers::new(desk.clone(), test_clock.clone()));
        let inner = Inner {
            fates: Fates::new(desk.clone(), dispatch.clone(), Arc::clone(&subscriptions), receipts),
            deliveries: Deliveries::new(desk.clone(), dispatch.clone(), Arc::clone(&subscriptions)),
            started: desk.now(),
            desk,
            spawn,
            tail,
            metrics,
            vault,
            credentials,
            commands: door_commands,
            quotas,
            subscriptions,
            replays,
            log,
            dispatch,
            timers,
            client,
            connectors,
            consumers,
            test_clock,
            tracer,
            alerts,
            work: Arc::default(),
        };
        let hub = Hub(Arc::new(inner));
        let housekeeping = hub.clone();
        hub.spawn().start(TaskKind::Background, async move { housekeeping.keep_house(retention).await });
        hub.subscribe_handlers(wanted).await.map_err(other)?;
        Ok(hub)
    }
}

/// Spans go to `endpoint`, where there is one.
fn tracer(endpoint: Option<String>, clock: &Arc<dyn Clock>, client: &Client, spawn: &Spawn) -> Tracer {
    let Some(endpoint) = endpoint else { return Tracer::off(Arc::clone(clock)) };
    let (tracer, exporter) = Tracer::exporting(Arc::clone(clock));
    spawn.start(TaskKind::Background, exporter.run(client.clone(), endpoint));
    tracer
}

/// The delivery machine as the last process left it.
async fn recover(
    desk: &Desk,
    stored: &[(Subscription, u64)],
    revisions: &[Revision],
    notes: &[Note],
    replays: &[(Replay, u64)],
    policy: Policy,
) -> Result<Machine, StartError> {
    let failing = notes.iter().filter_map(|note| match note {
        Note::Failing { no, since, last } => Some((*no, *since, *last)),
        Note::DeadTold { .. } => None,
    });
    let running = replays.iter().filter(|(r, _)| r.state == ReplayState::Running);
    let running = running
        .map(|(r, _)| FoundReplay {
            sub: r.no,
            generation: r.id,
            from: r.from_seq,
            until: r.to_seq,
            settled: HashSet::new(),
        })
        .collect();
    let found = Found::read(&*desk.store, compile(stored, revisions)?, failing.collect(), running).await?;
    let now = Now { wall: desk.clock.now(), mono: desk.clock.mono() };
    Ok(Machine::recover(policy, found, desk.jitter(), now))
}

/// The stored subscriptions, compiled, and whether each delivers.
fn compile(stored: &[(Subscription, u64)], revisions: &[Revision]) -> Result<Vec<(Arc<Spec>, bool)>, StartError> {
    let mut by_no: HashMap<SubNo, Vec<Revision>> = HashMap::new();
    for revision in revisions {
        by_no.entry(revision.no).or_default().push(revision.clone());
    }
    let mut specs = Vec::with_capacity(stored.len());
    for (subscription, _) in stored {
        let own = by_no.remove(&subscription.no).unwrap_or_default();
        let spec = Spec::compile(subscription.clone(), &own)
            .map_err(|e| StartError::Other(format!("subscription {:?}: {e}", subscription.name)))?;
        specs.push((Arc::new(spec), subscription.activity == Activity::Active));
    }
    Ok(specs)
}

/// Up to when dead letters were made known.
fn dead_told(notes: &[Note]) -> Option<Timestamp> {
    notes.iter().find_map(|note| match note {
        Note::DeadTold { until } => Some(*until),
        Note::Failing { .. } => None,
    })
}

/// The desk of remote consumers, open for the subscriptions that they take from.
fn consumers(desk: &Desk, spawn: &Spawn, machine: &Machine) -> Result<Arc<Consumers>, Problem> {
    let process = u32::from_be_bytes(desk.random()?);
    let consumers = Consumers::new(Arc::clone(&desk.clock), spawn, process);
    for (no, _) in machine.states().filter(|(_, s)| s.spec.subscription.target.is_consumer()) {
        consumers.open(no);
    }
    Ok(Arc::new(consumers))
}
