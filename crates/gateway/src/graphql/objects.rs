//! What the log and the deliveries look like in GraphQL.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, ID, Object, Result, SimpleObject};
use nexus_core::event::{Data, StoredEvent};
use nexus_engine::{deliveries, delivery::outcome::AttemptRecord, fate, health, subscription, subscriptions};

use super::{
    ask::{Ask, refusal},
    scalars::{Json, Place, Time},
};

/// The urgency of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum Priority {
    /// When there is nothing else to do.
    Low,
    /// The default.
    Normal,
    /// Before NORMAL.
    High,
    /// Before everything.
    Critical,
}

impl From<Priority> for nexus_core::event::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Low => Self::Low,
            Priority::Normal => Self::Normal,
            Priority::High => Self::High,
            Priority::Critical => Self::Critical,
        }
    }
}

impl From<nexus_core::event::Priority> for Priority {
    fn from(priority: nexus_core::event::Priority) -> Self {
        match priority {
            nexus_core::event::Priority::Low => Self::Low,
            nexus_core::event::Priority::Normal => Self::Normal,
            nexus_core::event::Priority::High => Self::High,
            nexus_core::event::Priority::Critical => Self::Critical,
        }
    }
}

/// An event of the log.
pub(super) struct Event(pub(super) Arc<StoredEvent>);

/// An event of the log.
#[Object]
impl Event {
    /// Its id, the same at every door.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Its place in the log.
    async fn seq(&self) -> Place {
        Place(self.0.seq)
    }

    /// Its type, for example order.created.
    #[graphql(name = "type")]
    async fn kind(&self) -> &str {
        self.0.topic.as_str()
    }

    /// Who sent it.
    async fn source(&self) -> &str {
        &self.0.source
    }

    /// What it is about.
    async fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// When it was committed.
    async fn time(&self) -> Time {
        Time(self.0.time)
    }

    /// When it came in.
    async fn received(&self) -> Time {
        Time(self.0.received)
    }

    /// Its urgency.
    async fn priority(&self) -> Priority {
        self.0.priority.into()
    }

    /// What it belongs to.
    async fn correlation_id(&self) -> String {
        self.0.correlation_id()
    }

    /// The event that caused it.
    async fn causation_id(&self) -> Option<ID> {
        self.0.causation.map(|id| id.to_string().into())
    }

    /// How many causes it has behind it.
    async fn depth(&self) -> u8 {
        self.0.depth
    }

    /// What its producer said beside the payload.
    async fn attributes(&self) -> Json {
        Json::of_text(self.0.attributes.as_deref().unwrap_or("{}"))
    }

    /// Its data was erased.
    async fn erased(&self) -> bool {
        matches!(self.0.data, Data::Erased { .. })
    }

    /// Its data.
    async fn payload(&self) -> Json {
        Json::of_text(&self.text())
    }

    /// Its data as JSON text, byte for byte as it was stored.
    async fn payload_text(&self) -> String {
        self.text()
    }

    /// What became of it.
    #[graphql(complexity = "60 + child_complexity")]
    async fn fate(&self, ctx: &Context<'_>) -> Result<Fate> {
        let ask = Ask::may(ctx, "events:read")?;
        let told = ask.hub().fate(self.0.id).await.map_err(|problem| refusal(&problem))?;
        Ok(told.into())
    }
}

impl Event {
    fn text(&self) -> String {
        String::from_utf8_lossy(self.0.json()).into_owned()
    }
}

/// Where a list goes on.
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// There is more; a page may be short, even empty, when there is.
    pub(super) has_next_page: bool,
    /// For `after` of the next page.
    pub(super) end_cursor: Option<String>,
}

/// An event and its place in a list.
#[derive(SimpleObject)]
pub(super) struct EventEdge {
    /// For `after`: the list goes on behind this event.
    pub(super) cursor: String,
    /// The event.
    pub(super) node: Event,
}

/// A page of events.
#[derive(SimpleObject)]
pub(super) struct EventConnection {
    /// Events with their cursors.
    pub(super) edges: Vec<EventEdge>,
    /// Where it goes on.
    pub(super) page_info: PageInfo,
}

/// What became of an event.
#[derive(SimpleObject)]
pub(super) struct Fate {
    event_id: ID,
    #[graphql(name = "type")]
    kind: String,
    seq: Place,
    source: String,
    correlation_id: String,
    /// delivered, pending, dead, unmatched or erased: the worst of the deliveries.
    verdict: String,
    /// What it went through.
    stages: Vec<Stage>,
    /// One for each subscription (and replay) that it concerned.
    deliveries: Vec<DeliveryFate>,
}

/// A stage of an event's way.
#[derive(SimpleObject)]
struct Stage {
    /// received, committed, delivered or erased.
    stage: String,
    at: Option<String>,
    detail: Option<String>,
}

/// What became of an event at one subscription.
#[derive(SimpleObject)]
struct DeliveryFate {
    subscription: String,
    /// 0, or the replay's number.
    generation: u32,
    /// delivered, in_flight, queued, retrying, dead, filtered, waiting_behind_key, removed or erased.
    state: String,
    at: Option<String>,
    /// Which attempt succeeded, or attempts made so far.
    attempt: Option<u16>,
    /// HTTP status of the success.
    status: Option<u16>,
    latency_ms: Option<f64>,
    next_at: Option<String>,
    why: Option<String>,
    attempts: Vec<Attempt>,
}

/// One attempt of a delivery.
#[derive(SimpleObject)]
pub(super) struct Attempt {
    at: String,
    status: Option<u16>,
    latency_ms: f64,
    error: Option<String>,
}

impl From<AttemptRecord> for Attempt {
    fn from(a: AttemptRecord) -> Self {
        Self { at: a.at, status: a.status, latency_ms: a.latency_ms, error: a.error }
    }
}

impl From<fate::Fate> for Fate {
    fn from(f: fate::Fate) -> Self {
        let stage = |s: fate::Stage| Stage { stage: s.stage.to_owned(), at: s.at, detail: s.detail };
        let delivery = |d: fate::DeliveryFate| DeliveryFate {
            subscription: d.subscription,
            generation: d.generation,
            state: d.state.to_owned(),
            at: d.at,
            attempt: d.attempt,
            status: d.status,
            latency_ms: d.latency_ms,
            next_at: d.next_at,
            why: d.why,
            attempts: d.attempts.into_iter().map(Attempt::from).collect(),
        };
        Self {
            event_id: f.event_id.to_string().into(),
            kind: f.event,
            seq: Place(f.seq),
            source: f.source,
            correlation_id: f.correlation,
            verdict: f.verdict.to_owned(),
            stages: f.stages.into_iter().map(stage).collect(),
            deliveries: f.deliveries.into_iter().map(delivery).collect(),
        }
    }
}

/// A delivery out of the ordinary: retrying, dead, or kept with its exchange.
#[derive(SimpleObject)]
pub(super) struct Delivery {
    id: ID,
    subscription: String,
    event_id: ID,
    /// The type of the event.
    #[graphql(name = "type")]
    kind: String,
    seq: Place,
    /// 0, or the replay's number.
    generation: u32,
    state: DeliveryState,
    attempts_made: u16,
    attempts: Vec<Attempt>,
    next_at: Option<String>,
    key: Option<String>,
    updated_at: String,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "nexus_core::store::ExceptionState")]
pub(super) enum DeliveryState {
    /// It will be tried again.
    Retrying,
    /// It was given up.
    Dead,
    /// It arrived.
    Delivered,
}

impl From<deliveries::Delivery> for Delivery {
    fn from(d: deliveries::Delivery) -> Self {
        Self {
            id: d.id.into(),
            subscription: d.subscription,
            event_id: d.event_id.to_string().into(),
            kind: d.event,
            seq: Place(d.seq),
            generation: d.generation,
            state: d.state.into(),
            attempts_made: d.attempts_made,
            attempts: d.attempts.into_iter().map(Attempt::from).collect(),
            next_at: d.next_at,
            key: d.key,
            updated_at: d.updated_at,
        }
    }
}

/// A page of deliveries.
#[derive(SimpleObject)]
pub(super) struct DeliveryConnection {
    /// Deliveries.
    pub(super) nodes: Vec<Delivery>,
    /// Where it goes on.
    pub(super) page_info: PageInfo,
}

/// Which events go where.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct Subscription {
    name: String,
    /// Any of these.
    filters: Vec<String>,
    /// And this screened jq.
    predicate: Option<String>,
    /// The address, where it has one.
    url: Option<String>,
    /// Per key in order.
    ordered: bool,
    concurrency: u16,
    max_attempts: u16,
    revision: u32,
    /// The first event it gets.
    since_seq: Place,
    created_at: Time,
    updated_at: Time,
}

impl From<&subscription::Subscription> for Subscription {
    fn from(s: &subscription::Subscription) -> Self {
        Self {
            name: s.name.clone(),
            filters: s.filters.iter().map(ToString::to_string).collect(),
            predicate: s.predicate.clone(),
            url: s.target.url().map(str::to_owned),
            ordered: s.ordered,
            concurrency: s.concurrency,
            max_attempts: s.max_attempts,
            revision: s.revision,
            since_seq: Place(s.since_seq),
            created_at: Time(s.created_at),
            updated_at: Time(s.updated_at),
        }
    }
}

#[ComplexObject]
impl Subscription {
    /// How it stands.
    #[graphql(complexity = "10 + child_complexity")]
    async fn status(&self, ctx: &Context<'_>) -> Result<SubscriptionStatus> {
        let ask = Ask::may(ctx, "subscriptions:read")?;
        let status = ask.hub().subscriptions().status(&self.name).await.map_err(|problem| refusal(&problem))?;
        Ok(status.into())
    }
}

/// How a subscription stands.
#[derive(SimpleObject)]
struct SubscriptionStatus {
    /// active, paused or disabled.
    state: String,
    reason: Option<String>,
    /// live (keeps up) or behind (reads the log by itself).
    mode: String,
    /// Events between its position and the head of the log.
    lag: Place,
    position: Place,
    in_flight: u64,
    retrying: u64,
    dead: u64,
    /// closed, open or half_open.
    breaker: String,
    waiting_for: Option<String>,
    waiting_until: Option<String>,
    last_error: Option<String>,
    last_success_at: Option<String>,
}

impl From<subscriptions::SubscriptionStatus> for SubscriptionStatus {
    fn from(s: subscriptions::SubscriptionStatus) -> Self {
        Self {
            state: s.state.to_owned(),
            reason: s.reason,
            mode: s.mode.to_owned(),
            lag: Place(s.lag),
            position: Place(s.position),
            in_flight: s.in_flight as u64,
            retrying: s.retrying as u64,
            dead: s.dead,
            breaker: serde_json::to_value(s.breaker)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default(),
            waiting_for: s.waiting_for,
            waiting_until: s.waiting_until,
            last_error: s.last_error,
            last_success_at: s.last_success_at,
        }
    }
}

/// Whether the hub is well.
#[derive(SimpleObject)]
pub(super) struct Health {
    /// healthy, degraded or unhealthy: the worst of the checks.
    status: String,
    ready: bool,
    version: String,
    uptime_seconds: f64,
    checks: Vec<HealthCheck>,
}

/// One part of the hub.
#[derive(SimpleObject)]
struct HealthCheck {
    name: String,
    status: String,
    detail: String,
}

impl From<health::Health> for Health {
    fn from(h: health::Health) -> Self {
        let check = |(name, check): (&'static str, health::Check)| HealthCheck {
            name: name.to_owned(),
            status: check.status.to_owned(),
            detail: check.detail,
        };
        Self {
            status: h.status.to_owned(),
            ready: h.ready,
            version: h.version.to_owned(),
            uptime_seconds: h.uptime_seconds,
            checks: h.checks.into_iter().map(check).collect(),
        }
    }
}
