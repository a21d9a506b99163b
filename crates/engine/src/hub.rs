//! The hub: everything above the store, behind one handle.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use nexus_core::{
    access::Principal,
    event::{NewEvent, StoredEvent},
    id::EventId,
    limits::EVENT_DEPTH,
    problem::{Code, Problem},
    store::{Appended, Commit, EventPage, EventQuery, ExceptionState, Store, StoreError, SubNo},
    time::{Clock, Timestamp},
};
use nexus_outbound::{Client, ClientOptions};
use tokio::sync::{mpsc, watch};

use crate::{
    alerts::{AlertTarget, Alerts},
    clock::SystemClock,
    commands::{Commands, token_commands},
    consumers::Consumers,
    deaths::Deaths,
    deliveries::Deliveries,
    delivery::{
        attempt::{Handler, Sender},
        driver::Driver,
        found::{Found, FoundReplay},
        machine::{Machine, Now, Policy},
        spec::Spec,
    },
    desk::{Desk, refused, unreadable},
    dispatch::Dispatch,
    fate::{Fate, Fates},
    health::Health,
    jwt::{JwtConfig, Jwts},
    keeper::Keeper,
    log::Log,
    metrics::Metrics,
    notes::Note,
    quotas::Quotas,
    replays::{Replay, ReplayState, Replays},
    retention::{Keeping, Retention, Touched},
    sources::{EnvironmentSecrets, Sources},
    subscription::{Activity, Revision, Subscription},
    subscriptions::Subscriptions,
    supervisor::{Spawn, TaskKind},
    tail::Tail,
    timers::Timers,
    tokens::{Credentials, Tokens},
    trace::{Context, Kind, Tracer},
    vault::{Vault, VaultError, VaultKey},
};

/// How often the house is kept.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How often retention runs.
const RETENTION: Duration = Duration::from_secs(60);
/// Rounds of settling for which consumers may hold what they took.
const LEASE_ROUNDS: usize = 25;
/// Stops of one advance of the test clock; a bound, as something could re-arm itself with every step.
const STOPS: usize = 200_000;

/// Settings of the hub.
#[derive(Clone, Debug, Default)]
pub struct HubConfig {
    /// Deliveries.
    pub policy: Policy,
    /// Secrets from the environment.
    pub environment: EnvironmentSecrets,
    /// Where alerts go.
    pub alerts: Vec<AlertTarget>,
    /// What is forgotten, and when.
    pub keeping: Keeping,
    /// The outbound client.
    pub client: ClientOptions,
    /// Base URL of an OTLP/HTTP collector for traces.
    pub otlp_endpoint: Option<String>,
    /// JSON Web Tokens.
    pub jwt: JwtConfig,
}

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

struct Inner {
    desk: Desk,
    spawn: Spawn,
    tail: Arc<Tail>,
    metrics: Arc<Metrics>,
    vault: Arc<Vault>,
    credentials: Credentials,
    commands: Commands,
    quotas: Quotas,
    subscriptions: Arc<Subscriptions>,
    deliveries: Deliveries,
    replays: Arc<Replays>,
    fates: Fates,
    log: Log,
    dispatch: Dispatch,
    timers: Arc<Timers>,
    client: Client,
    consumers: Arc<Consumers>,
    test_clock: Option<SystemClock>,
    tracer: Tracer,
    started: Timestamp,
}

/// A running hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hub({:?})", self.0.tail)
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
    let running =
        running.map(|(r, _)| FoundReplay { sub: r.no, generation: r.id, from: r.from_seq, until: r.to_seq }).collect();
    let found = Found::read(&*desk.store, compile(stored, revisions)?, failing.collect(), running).await?;
    let now = Now { wall: desk.clock.now(), mono: desk.clock.mono() };
    Ok(Machine::recover(policy, found, desk.jitter(), now))
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
        let credentials = Credentials { tokens, jwts, sources, vault: Arc::clone(&vault) };
        let door_commands = Commands::new(desk.clone(), Arc::clone(&vault));
        token_commands(&credentials).into_iter().for_each(|of| door_commands.register(of));
        let quotas = Quotas::new(desk.clone());
        let stored: Vec<(Subscription, u64)> = desk.load().await?;
        let revisions: Vec<Revision> = desk.load().await?.into_iter().map(|(r, _)| r).collect();
        let replays: Vec<(Replay, u64)> = desk.load().await?;
        let notes: Vec<Note> = desk.load().await?.into_iter().map(|(n, _)| n).collect();

        let client = Client::new(config.client).map_err(|e| StartError::Other(e.to_string()))?;
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
            alerts,
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
            consumers,
            test_clock,
            tracer,
        };
        let hub = Hub(Arc::new(inner));
        let housekeeping = hub.clone();
        hub.spawn().start(TaskKind::Background, async move { housekeeping.keep_house(retention).await });
        hub.subscribe_handlers(wanted).await.map_err(other)?;
        Ok(hub)
    }
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

    /// The collections that the store must be opened with.
    pub fn collections() -> Vec<&'static nexus_core::record::Collection> {
        use nexus_core::record::Record;
        vec![
            Subscription::COLLECTION,
            Revision::COLLECTION,
            crate::source::Source::COLLECTION,
            Replay::COLLECTION,
            Note::COLLECTION,
            crate::tokens::StoredToken::COLLECTION,
            crate::tokens::TokenUse::COLLECTION,
            crate::jwt::StoredKey::COLLECTION,
            crate::commands::CommandRecord::COLLECTION,
            crate::quotas::QuotaPage::COLLECTION,
            crate::vault::COLLECTION,
        ]
    }

    /// The time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.desk.clock
    }

    /// Starts tasks.
    pub fn spawn(&self) -> &Spawn {
        &self.0.spawn
    }

    /// The end of the log, followed.
    pub fn tail(&self) -> &Arc<Tail> {
        &self.0.tail
    }

    /// Metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Traces.
    pub fn tracer(&self) -> &Tracer {
        &self.0.tracer
    }

    /// Sources.
    pub fn sources(&self) -> &Arc<Sources> {
        &self.0.credentials.sources
    }

    /// Tokens.
    pub fn tokens(&self) -> &Arc<Tokens> {
        &self.0.credentials.tokens
    }

    /// Credentials of every kind.
    pub fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// Commands.
    pub fn commands(&self) -> &Commands {
        &self.0.commands
    }

    /// What callers have used of their rates.
    pub fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }

    /// As [`Self::authenticate`], without asking anybody else: for a proof that was accepted before.
    pub fn recognise(&self, presented: &str) -> Option<Arc<Principal>> {
        let Credentials { tokens, jwts, .. } = &self.0.credentials;
        tokens.authenticate(presented).or_else(|| jwts.recognise(presented))
    }

    /// Who shows this token, be it one of the hub's own or a JSON Web Token.
    pub async fn authenticate(&self, presented: &str) -> Result<Arc<Principal>, Problem> {
        if presented.starts_with("nxs_") {
            let found = self.0.credentials.tokens.authenticate(presented);
            return found
                .ok_or_else(|| Problem::new(Code::Unauthenticated, "the token is unknown, revoked or expired"));
        }
        self.0.credentials.jwts.authenticate(presented).await
    }

    /// Named secrets.
    pub fn secrets(&self) -> &Arc<Vault> {
        &self.0.vault
    }

    /// Subscriptions.
    pub fn subscriptions(&self) -> &Arc<Subscriptions> {
        &self.0.subscriptions
    }

    /// Deliveries that remote consumers take.
    pub fn consumers(&self) -> &Arc<Consumers> {
        &self.0.consumers
    }

    /// Deliveries and dead letters.
    pub fn deliveries(&self) -> &Deliveries {
        &self.0.deliveries
    }

    /// Durable timers of the hub's customers.
    pub fn timers(&self) -> &Timers {
        &self.0.timers
    }

    /// Begins firing timers; called once, when every customer has registered what it handles.
    pub fn start_timers(&self) {
        let timers = Arc::clone(&self.0.timers);
        self.0.spawn.start(TaskKind::Background, async move { timers.run().await });
    }

    /// The store, the time and the log for the hub's customers.
    pub fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// The guarded client.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Replays.
    pub fn replays(&self) -> &Arc<Replays> {
        &self.0.replays
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// Stores an event. `Ok` means it is on disk.
    pub async fn publish(&self, event: NewEvent) -> Result<Appended, Problem> {
        let done = self.publish_all(vec![event]).await?;
        done.first().copied().ok_or_else(|| Problem::new(Code::Internal, "the commit stored nothing"))
    }

    /// Stores events, all or none.
    pub async fn publish_all(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, Problem> {
        if let Some(deep) = events.iter().find(|e| e.depth > EVENT_DEPTH) {
            let message = format!(
                "{} would be step {} of one chain of cause and effect; chains end at {EVENT_DEPTH}, as this looks like a loop",
                deep.topic, deep.depth
            );
            return Err(Problem::new(Code::Conflict, message));
        }
        let tracer = &self.0.tracer;
        let parent = events.first().and_then(|e| Context::parse(e.attributes.traceparent.as_deref()?));
        let span = parent.and_then(|parent| tracer.begin("commit", Some(&parent), Kind::Internal));
        let commit = Commit { events, ..Commit::default() };
        let done = self.0.desk.store.commit(commit).await.map(|c| c.events).map_err(|e| refused(&e));
        if let Some(span) = span {
            let seq = done.iter().flatten().next().map(|first| first.seq.to_string()).unwrap_or_default();
            let error = done.as_ref().err().map(|problem| problem.message.clone());
            tracer.end(span, vec![("nexus.event.seq", seq)], error);
        }
        done
    }

    /// One event.
    pub async fn event(&self, id: EventId) -> Result<Option<Arc<StoredEvent>>, Problem> {
        self.0.desk.store.event(id).await.map_err(unreadable)
    }

    /// Events by header.
    pub async fn query(&self, query: EventQuery, limit: usize) -> Result<EventPage, Problem> {
        self.0.desk.store.query(query, limit).await.map_err(unreadable)
    }

    /// What became of an event.
    pub async fn fate(&self, id: EventId) -> Result<Fate, Problem> {
        self.0.fates.tell(id).await
    }

    /// How the hub is.
    pub async fn health(&self) -> Health {
        Health::take(&self.0.desk, &self.0.dispatch, self.0.started).await
    }

    /// Moves the test clock forward, from deadline to deadline, letting everything settle at each.
    pub async fn advance(&self, by: Duration) -> Result<Timestamp, Problem> {
        let Some(clock) = &self.0.test_clock else {
            return Err(Problem::new(Code::NotFound, "there is no such path"));
        };
        let target = Clock::mono(clock) + by;
        for _ in 0..STOPS {
            self.settle().await?;
            let now = Clock::mono(clock);
            if now >= target {
                break;
            }
            let next = clock.next_deadline().filter(|at| *at > now).map_or(target, |at| at.min(target));
            clock.advance(next - now);
            tokio::task::yield_now().await;
        }
        self.settle().await?;
        Ok(self.0.desk.now())
    }

    /// Waits until only time or an event could change anything; at most a few seconds of real time.
    async fn settle(&self) -> Result<(), Problem> {
        for round in 0..500 {
            let head = self.0.desk.store.head().seq;
            self.0.dispatch.flush().await?;
            let quiet =
                self.0.dispatch.ask(move |machine, _| machine.is_quiet(head)).await? && self.0.timers.are_quiet().await;
            // A consumer that is at work is given a moment; one that never answers must not stop the clock.
            if quiet && (round >= LEASE_ROUNDS || self.0.consumers.leased() == 0) {
                return Ok(());
            }
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    async fn keep_house(&self, retention: Retention) {
        let clock = Arc::clone(&self.0.desk.clock);
        let mut due = Duration::ZERO;
        loop {
            self.observe().await;
            self.0.credentials.sources.refresh();
            self.0.client.tidy();
            // By the clock, not by rounds: one that was moved forward is to be followed at once.
            if clock.mono() >= due {
                due = clock.mono() + RETENTION;
                retention.run().await;
                self.tidy().await;
            }
            match &self.0.test_clock {
                Some(clock) => clock.doze(HOUSEKEEPING).await,
                None => clock.sleep(HOUSEKEEPING).await,
            }
        }
    }

    /// Writes down when tokens were used and forgets what is too old. Nothing depends on it at once.
    async fn tidy(&self) {
        for done in [self.0.credentials.tokens.keep().await, self.0.commands.sweep().await] {
            if let Err(error) = done {
                tracing::warn!(%error, "keeping tokens and commands tidy failed; it is tried again in a minute");
            }
        }
    }

    /// Brings the gauges up to date.
    pub async fn observe(&self) {
        let store = &self.0.desk.store;
        let metrics = &self.0.metrics;
        metrics.observe_store(&store.stats(), store.head().seq);
        if let Ok(counts) = store.exception_counts().await {
            let dead: u64 = counts.iter().filter(|(_, s, _)| *s == ExceptionState::Dead).map(|(.., n)| n).sum();
            metrics.dead_waiting.set(i64::try_from(dead).unwrap_or(i64::MAX));
        }
        let figures = self.0.dispatch.ask(crate::health::figures).await;
        if let Ok(figures) = figures {
            figures.publish(metrics);
        }
    }

    /// Ends everything in order: doors, then deliveries, then the store.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        let clock = &*self.0.desk.clock;
        let doors = self.0.spawn.drain_doors(clock, grace).await;
        let engine = self.0.spawn.drain_engine(clock, grace).await;
        if let Err(error) = self.0.credentials.tokens.keep().await {
            tracing::warn!(%error, "when tokens were last used was not written down");
        }
        self.0.desk.store.close().await;
        doors && engine
    }
}
