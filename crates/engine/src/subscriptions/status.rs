//! How subscriptions and their endpoints stand, and what they wait for.

use std::collections::BTreeMap;

use nexus_core::{
    breaker::BreakerState,
    event::Seq,
    problem::{Code, Problem},
    time::Timestamp,
};
use serde::Serialize;

use super::Subscriptions;
use crate::{
    delivery::{
        machine::{Machine, Now},
        state::{Mode, State},
    },
    subscription::{Activity, Target},
};

/// How a subscription stands.
#[derive(Clone, Debug, Serialize)]
pub struct SubscriptionStatus {
    /// Its name.
    pub name: String,
    /// `active`, `paused` or `disabled`.
    pub state: &'static str,
    /// Why it is paused or disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `live` (keeps up) or `behind` (reads the log by itself).
    pub mode: &'static str,
    /// Events of the log between its position and the head; not all of them need match.
    pub lag: u64,
    /// First seq that is not settled.
    pub position: Seq,
    /// Events held in memory.
    pub waiting: usize,
    /// Requests out.
    pub in_flight: usize,
    /// Deliveries that will be tried again.
    pub retrying: usize,
    /// Dead letters.
    pub dead: u64,
    /// `closed`, `open` or `half_open`.
    pub breaker: BreakerState,
    /// What it waits for, if it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Until when, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_until: Option<String>,
    /// The last failure, in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The last success, in this process, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<String>,
}

/// An endpoint and the subscriptions that deliver to it.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStatus {
    /// Its URL, or `handler:NAME`.
    pub url: String,
    /// Subscriptions.
    pub subscriptions: Vec<String>,
    /// The worst of their breakers.
    pub breaker: BreakerState,
    /// Requests out.
    pub in_flight: usize,
}

impl Subscriptions {
    /// How one stands.
    pub async fn status(&self, name: &str) -> Result<SubscriptionStatus, Problem> {
        let s = self.get(name)?;
        let counts = self.desk.store.exception_counts().await.map_err(crate::desk::unreadable)?;
        let dead = counts
            .iter()
            .filter(|(no, state, _)| *no == s.no && *state == nexus_core::store::ExceptionState::Dead)
            .map(|(.., n)| n)
            .sum();
        let found = self.dispatch.state(s.no, move |machine, state, now| status(machine, state, now, dead)).await?;
        found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no subscription {name:?}"))).map(
            |mut found| {
                if let Activity::Paused { reason, .. } | Activity::Disabled { reason, .. } = &s.activity {
                    found.reason = Some(reason.clone());
                }
                found.state = match s.activity {
                    Activity::Active => "active",
                    Activity::Paused { .. } => "paused",
                    Activity::Disabled { .. } => "disabled",
                };
                found
            },
        )
    }

    /// Every endpoint with its breaker.
    pub async fn endpoints(&self) -> Result<Vec<EndpointStatus>, Problem> {
        self.dispatch
            .ask(|machine, now| {
                let mut found: BTreeMap<String, EndpointStatus> = BTreeMap::new();
                for (_, state) in machine.states() {
                    let s = &state.spec.subscription;
                    let url = match &s.target {
                        Target::Webhook { url, .. } | Target::Http { url, .. } => url.clone(),
                        Target::Handler { name, argument: None } => format!("handler:{name}"),
                        Target::Handler { name, argument: Some(argument) } => format!("handler:{name}/{argument}"),
                        Target::Consumer {} => format!("consumer:{}", s.name),
                    };
                    let entry = found.entry(url.clone()).or_insert_with(|| EndpointStatus {
                        url,
                        subscriptions: Vec::new(),
                        breaker: BreakerState::Closed,
                        in_flight: 0,
                    });
                    entry.subscriptions.push(s.name.clone());
                    entry.in_flight += state.in_flight.len();
                    let breaker = state.breaker.state(now.mono);
                    if breaker != BreakerState::Closed {
                        entry.breaker = breaker;
                    }
                }
                found.into_values().collect()
            })
            .await
    }
}

/// How a subscription stands, as far as the machine knows.
fn status(machine: &Machine, state: &State, now: Now, dead: u64) -> SubscriptionStatus {
    let position = match state.mode {
        Mode::Live => state.first_open().unwrap_or(machine.head() + 1),
        Mode::Behind => state.log_lanes().iter().map(|l| state.lanes[usize::from(*l)].position()).min().unwrap_or(0),
    };
    let (waiting_for, waiting_until) = why(state, now);
    SubscriptionStatus {
        name: state.spec.subscription.name.clone(),
        state: "active",
        reason: None,
        mode: if state.mode == Mode::Live { "live" } else { "behind" },
        lag: (machine.head() + 1).saturating_sub(position),
        position,
        waiting: state.waiting(),
        in_flight: state.in_flight.len(),
        retrying: state.retrying(),
        dead,
        breaker: state.breaker.state(now.mono),
        waiting_for,
        waiting_until: waiting_until.map(|t| t.to_string()),
        last_error: state.last_error.clone(),
        last_success_at: state.last_success.map(|t| t.to_string()),
    }
}

/// What a subscription waits for, and until when.
pub fn why(state: &State, now: Now) -> (Option<String>, Option<Timestamp>) {
    if !state.active {
        return (Some("a person to resume it".into()), None);
    }
    match state.breaker.state(now.mono) {
        BreakerState::Open => {
            let left = state.breaker.open_until().unwrap_or_default().saturating_sub(now.mono);
            return (Some("its endpoint's breaker to let a probe through".into()), Some(now.wall.plus(left)));
        }
        BreakerState::HalfOpen => return (Some("the answer to a probe".into()), None),
        BreakerState::Closed => {}
    }
    if let Some(key) = state.crowded.iter().next() {
        return (Some(format!("the events that wait behind key {key:?}, before it reads on")), None);
    }
    if state.in_flight.len() >= usize::from(state.spec.subscription.concurrency) {
        if state.spec.subscription.target.is_consumer() {
            return (Some("a consumer to take what it is offered, or to acknowledge what it took".into()), None);
        }
        return (Some("one of its requests to be answered".into()), None);
    }
    match state.retries.first() {
        Some((at, ..)) => (Some("its next retry".into()), Some(*at)),
        None => (None, None),
    }
}
