//! The hub: everything above the store, behind one handle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use nexus_core::{
    access::Principal,
    event::{NewEvent, StoredEvent},
    id::EventId,
    limits::EVENT_DEPTH,
    own,
    problem::{Code, Problem},
    store::{Appended, Commit, EventPage, EventQuery},
    time::{Clock, Timestamp},
};
use nexus_outbound::{Client, ClientOptions};

use crate::{
    alerts::{AlertTarget, Alerts},
    clock::SystemClock,
    commands::Commands,
    connectors::{Connectors, Library},
    consumers::Consumers,
    deliveries::Deliveries,
    delivery::machine::Policy,
    desk::{Desk, refused, unreadable},
    dispatch::Dispatch,
    fate::{Fate, Fates},
    health::Health,
    jwt::JwtConfig,
    log::Log,
    metrics::Metrics,
    notes::Note,
    quotas::Quotas,
    replays::{Replay, Replays},
    retention::Keeping,
    sources::{EnvironmentSecrets, Sources},
    subscription::{Revision, Subscription},
    subscriptions::Subscriptions,
    supervisor::{Spawn, TaskKind},
    tail::Tail,
    timers::Timers,
    tokens::{Credentials, Tokens},
    trace::{Context, Kind, Tracer},
    vault::Vault,
};

mod advance;
mod build;
mod house;

pub use self::build::{HubBuilder, StartError};

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
    /// Connectors that can be called; absent = those in the binary.
    pub connectors: Option<Library>,
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
    connectors: Connectors,
    consumers: Arc<Consumers>,
    test_clock: Option<SystemClock>,
    tracer: Tracer,
    alerts: Arc<Alerts>,
    work: Arc<AtomicUsize>,
    started: Timestamp,
}

/// A running hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

/// Something is going on until this is dropped.
#[derive(Debug)]
pub struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hub({:?})", self.0.tail)
    }
}

impl Hub {
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
            crate::connectors::connection::Connection::COLLECTION,
            crate::connectors::LimitNote::COLLECTION,
            crate::connectors::UsageNote::COLLECTION,
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

    /// Alerts to people.
    pub fn alerts(&self) -> &Arc<Alerts> {
        &self.0.alerts
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

    /// When a proof that holds now will end by itself.
    pub fn ends(&self, presented: &str) -> Option<Timestamp> {
        let Credentials { tokens, jwts, .. } = &self.0.credentials;
        if presented.starts_with("nxs_") { tokens.ends(presented) } else { jwts.ends(presented) }
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

    /// Something of a customer is going on as long as this is held: the test clock waits for it.
    pub fn at_work(&self) -> AtWork {
        self.0.work.fetch_add(1, Ordering::AcqRel);
        AtWork(Arc::clone(&self.0.work))
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

    /// Connectors and connections.
    pub fn connectors(&self) -> &Connectors {
        &self.0.connectors
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
        own::refuse(&event.topic)?;
        self.publish_own(event).await
    }

    /// Stores an event that may be the hub's own word about itself. No door leads here.
    pub async fn publish_own(&self, event: NewEvent) -> Result<Appended, Problem> {
        let done = self.store_all(vec![event]).await?;
        done.first().copied().ok_or_else(|| Problem::new(Code::Internal, "the commit stored nothing"))
    }

    /// Stores events of others, all or none; what only the hub may say is refused.
    pub async fn publish_all(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, Problem> {
        events.iter().try_for_each(|event| own::refuse(&event.topic))?;
        self.store_all(events).await
    }

    async fn store_all(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, Problem> {
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
        let begun = self.0.desk.clock.mono();
        let done = self.0.desk.store.commit(commit).await.map(|c| c.events).map_err(|e| refused(&e));
        if done.is_ok() {
            self.0.metrics.commit_seconds.observe(self.0.desk.clock.mono().saturating_sub(begun).as_secs_f64());
        }
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

    /// Ends everything in order, within `grace`: doors, then deliveries, then the store. The doors leave the deliveries a
    /// fifth of it, as what is not written down by then is sent again.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        let clock = &*self.0.desk.clock;
        let begun = clock.mono();
        let doors = self.0.spawn.drain_doors(clock, grace - grace / 5).await;
        let left = grace.saturating_sub(clock.mono().saturating_sub(begun));
        let engine = self.0.spawn.drain_engine(clock, left).await;
        if let Err(error) = self.0.credentials.tokens.keep().await {
            tracing::warn!(%error, "when tokens were last used was not written down");
        }
        self.0.connectors.close().await;
        self.0.desk.store.close().await;
        doors && engine
    }
}
