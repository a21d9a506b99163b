//! The fate of an event: what became of it, subscription by subscription.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    event::{Data, StoredEvent},
    id::EventId,
    problem::{Code, Problem},
    store::{Exception, ExceptionQuery, ExceptionState, SubNo},
};
use serde::Serialize;

use crate::{
    delivery::{lane::lane_of, outcome::AttemptRecord, spec::Rule, state::Mode},
    desk::{Desk, unreadable},
    dispatch::Dispatch,
    receipts,
    subscription::Revision,
    subscriptions::{Subscriptions, why},
};

/// The fate of one event.
#[derive(Clone, Debug, Serialize)]
pub struct Fate {
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub event: String,
    /// Its place in the log.
    pub seq: u64,
    /// Who sent it.
    pub source: String,
    /// What it belongs to.
    pub correlation: String,
    /// What it went through, with times.
    pub stages: Vec<Stage>,
    /// `delivered`, `pending`, `dead`, `unmatched` or `erased`: the worst of the deliveries.
    pub verdict: &'static str,
    /// One entry per subscription (and replay) that it concerned.
    pub deliveries: Vec<DeliveryFate>,
}

/// A stage of an event's way.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// `received`, `committed`, `delivered`, `erased`.
    pub stage: &'static str,
    /// When, ISO 8601; absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// More.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of an event at one subscription.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryFate {
    /// Subscription.
    pub subscription: String,
    /// 0, or the replay's number.
    pub generation: u32,
    /// `delivered`, `in_flight`, `queued`, `retrying`, `dead`, `filtered`, `waiting_behind_key`, `removed` or `erased`.
    pub state: &'static str,
    /// When that was decided, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Which attempt succeeded, or attempts made so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u16>,
    /// HTTP status of the success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Time of the successful attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Next try, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// Why it stands as it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Attempts out of the ordinary, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptRecord>,
}

impl DeliveryFate {
    fn new(subscription: String, state: &'static str) -> Self {
        Self {
            subscription,
            generation: 0,
            state,
            at: None,
            attempt: None,
            status: None,
            latency_ms: None,
            next_at: None,
            why: None,
            attempts: Vec::new(),
        }
    }
}

/// Tells fates.
#[derive(Clone, Debug)]
pub struct Fates {
    desk: Desk,
    dispatch: Dispatch,
    subscriptions: Arc<Subscriptions>,
    /// How long receipts are kept.
    receipts_kept: Duration,
}

impl Fates {
    /// Over the store and the dispatcher; receipts are kept so long.
    pub fn new(desk: Desk, dispatch: Dispatch, subscriptions: Arc<Subscriptions>, receipts_kept: Duration) -> Self {
        Self { desk, dispatch, subscriptions, receipts_kept }
    }

    /// The fate of one event.
    pub async fn tell(&self, id: EventId) -> Result<Fate, Problem> {
        let event = self.desk.store.event(id).await.map_err(unreadable)?;
        let event = event.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no event {id}")))?;
        let mut deliveries = self.gather(&event).await?;
        if deliveries.iter().any(|d| d.state == "delivered" && d.attempt.is_none()) {
            // Settled without a receipt: most likely it was settled after the receipts were read.
            deliveries = self.gather(&event).await?;
        }
        Ok(assemble(&event, deliveries))
    }

    async fn gather(&self, event: &Arc<StoredEvent>) -> Result<Vec<DeliveryFate>, Problem> {
        // What was answered before this call must be in the store, where the rest is read from.
        self.dispatch.flush().await?;
        let query = ExceptionQuery { seq: Some(event.seq), limit: 1_000, ..ExceptionQuery::default() };
        let exceptions = self.desk.store.exceptions(query).await.map_err(unreadable)?;
        let shared = self.desk.store.receipts(0, Some(event.seq), 64).await.map_err(unreadable)?;
        let shared: Vec<receipts::Receipt> =
            shared.iter().flat_map(receipts::decode).filter(|r| r.seq == event.seq).collect();
        let mut deliveries = Vec::new();
        let also = exceptions.iter().map(|e| e.sub).collect();
        for (no, revisions) in self.subscriptions.concerned(event, &also) {
            deliveries.extend(self.at(no, &revisions, event, &exceptions, &shared).await?);
        }
        Ok(deliveries)
    }

    async fn at(
        &self,
        no: SubNo,
        revisions: &[Revision],
        event: &Arc<StoredEvent>,
        exceptions: &[Exception],
        shared: &[receipts::Receipt],
    ) -> Result<Vec<DeliveryFate>, Problem> {
        let in_force = revisions.iter().filter(|r| r.from_seq <= event.seq).max_by_key(|r| r.revision);
        let named = in_force.is_some_and(|r| {
            let alias = event.attributes().alias;
            r.filters.iter().any(|f| f.name_for(event.topic.as_str(), alias.as_deref()).is_some())
        });
        let mut own: Vec<receipts::Receipt> = shared.iter().filter(|r| r.sub == no).copied().collect();
        let present = revisions.last().is_some_and(|r| !r.filters.is_empty());
        let blocks = self.desk.store.receipts(no, Some(event.seq), 256).await.map_err(unreadable)?;
        own.extend(blocks.iter().flat_map(receipts::decode).filter(|r| r.seq == event.seq && r.sub == no));
        let name = revisions.last().map(|r| r.name.clone()).unwrap_or_default();
        let mut found = Vec::new();
        let replays: std::collections::BTreeSet<u32> = own
            .iter()
            .map(|r| r.generation)
            .chain(exceptions.iter().filter(|e| e.sub == no).map(|e| e.generation))
            .filter(|g| *g > 0)
            .collect();
        for generation in replays {
            found.extend(recorded(&name, generation, no, &own, exceptions));
        }
        if let (true, Some(revision)) = (named, in_force) {
            let first = recorded(&name, 0, no, &own, exceptions);
            found.push(match first {
                Some(fate) => fate,
                None => self.unrecorded(no, name, revision, event, exceptions, !present).await?,
            });
        }
        Ok(found)
    }

    /// Neither a receipt nor an exception: filtered out, not yet sent, or too long ago.
    async fn unrecorded(
        &self,
        no: SubNo,
        name: String,
        revision: &Revision,
        event: &Arc<StoredEvent>,
        exceptions: &[Exception],
        removed: bool,
    ) -> Result<DeliveryFate, Problem> {
        let erased = matches!(event.data, Data::Erased { .. });
        if !erased && Rule::compile(revision).is_ok_and(|rule| !rule.takes(event)) {
            let mut fate = DeliveryFate::new(name, "filtered");
            fate.why = revision.predicate.as_ref().map(|p| format!("its predicate {p} does not hold"));
            return Ok(fate);
        }
        if exceptions.iter().any(|e| e.sub == no && e.waiting.contains(&event.seq)) {
            return Ok(DeliveryFate::new(name, "waiting_behind_key"));
        }
        let seq = event.seq;
        let priority = event.priority;
        let standing = self
            .dispatch
            .state(no, move |machine, state, now| {
                if let Some(flight) = state.in_flight.get(&(seq, 0)) {
                    return Standing::InFlight(now.wall.minus(now.mono.saturating_sub(flight.since)).to_string());
                }
                let blocker = state.exceptions.values().find(|e| e.waiting.contains(&seq));
                if let Some(blocker) = blocker {
                    return Standing::Behind(blocker.seq);
                }
                let lane = &state.lanes[usize::from(lane_of(state.spec.subscription.ordered, priority))];
                let reached = match state.mode {
                    Mode::Live => seq <= machine.head(),
                    Mode::Behind => seq < lane.next,
                };
                if reached && !lane.open.contains(&seq) {
                    return Standing::Passed;
                }
                let (reason, until) = why(state, now);
                Standing::Queued(reason, until.map(|t| t.to_string()))
            })
            .await?;
        Ok(self.stand(name, standing, event, erased, removed))
    }

    fn stand(
        &self,
        name: String,
        standing: Option<Standing>,
        event: &StoredEvent,
        erased: bool,
        removed: bool,
    ) -> DeliveryFate {
        match standing {
            None | Some(Standing::Passed) if erased => {
                let mut fate = DeliveryFate::new(name, "erased");
                fate.why = Some("its data was erased; no receipt tells whether it was delivered before".into());
                fate
            }
            Some(Standing::Passed) => {
                let mut fate = DeliveryFate::new(name, "delivered");
                let expired = self.desk.now().since(event.time) >= self.receipts_kept;
                fate.why =
                    Some(if expired { "receipt expired" } else { "settled; its receipt was lost in a crash" }.into());
                fate
            }
            None => {
                let mut fate = DeliveryFate::new(name, "removed");
                fate.why = removed.then(|| "the subscription was removed".into());
                fate
            }
            Some(Standing::InFlight(since)) => {
                let mut fate = DeliveryFate::new(name, "in_flight");
                fate.at = Some(since);
                fate
            }
            Some(Standing::Behind(seq)) => {
                let mut fate = DeliveryFate::new(name, "waiting_behind_key");
                fate.why = Some(format!("event {seq} of the same key has to be settled first"));
                fate
            }
            Some(Standing::Queued(reason, until)) => {
                let mut fate = DeliveryFate::new(name, "queued");
                fate.why = reason;
                fate.next_at = until;
                fate
            }
        }
    }
}

enum Standing {
    Passed,
    InFlight(String),
    Behind(u64),
    Queued(Option<String>, Option<String>),
}

/// What receipts and exceptions say.
fn recorded(
    name: &str,
    generation: u32,
    no: SubNo,
    receipts: &[receipts::Receipt],
    exceptions: &[Exception],
) -> Option<DeliveryFate> {
    let receipt = receipts.iter().filter(|r| r.generation == generation).max_by_key(|r| r.at);
    let exception = exceptions.iter().find(|e| e.sub == no && e.generation == generation);
    let state = match (exception.map(|e| e.state), receipt) {
        (Some(ExceptionState::Retrying), _) => "retrying",
        (Some(ExceptionState::Dead), None) => "dead",
        (Some(ExceptionState::Delivered), _) | (_, Some(_)) => "delivered",
        (None, None) => return None,
    };
    let mut fate = DeliveryFate::new(name.to_owned(), state);
    fate.generation = generation;
    if let Some(exception) = exception {
        fate.attempts = serde_json::from_str(&exception.log).unwrap_or_default();
        fate.attempt = Some(exception.attempts);
        fate.at = Some(exception.updated_at.to_string());
        if state == "retrying" {
            fate.next_at = Some(exception.next_at.to_string());
        }
        fate.why = fate.attempts.last().and_then(|a| a.error.clone());
    }
    if let Some(receipt) = receipt.filter(|_| state == "delivered") {
        fate.at = Some(receipt.at.to_string());
        fate.attempt = Some(receipt.attempt);
        fate.status = (receipt.status != 0).then_some(receipt.status);
        fate.latency_ms = Some(f64::from(receipt.latency_us) / 1e3);
        fate.why = None;
    }
    Some(fate)
}

fn assemble(event: &StoredEvent, deliveries: Vec<DeliveryFate>) -> Fate {
    let erased = matches!(event.data, Data::Erased { .. });
    let mut stages = vec![
        Stage {
            stage: "received",
            at: Some(event.received.to_string()),
            detail: Some(format!("from {}", event.source)),
        },
        Stage { stage: "committed", at: Some(event.time.to_string()), detail: Some(format!("as seq {}", event.seq)) },
    ];
    if erased {
        stages.push(Stage { stage: "erased", at: None, detail: Some("data removed by redaction or retention".into()) });
    }
    for delivery in deliveries.iter().filter(|d| d.state == "delivered") {
        let detail = Some(format!("to {}", delivery.subscription));
        stages.push(Stage { stage: "delivered", at: delivery.at.clone(), detail });
    }
    let any = |states: &[&str]| deliveries.iter().any(|d| states.contains(&d.state));
    let verdict = if any(&["dead"]) {
        "dead"
    } else if any(&["retrying", "queued", "in_flight", "waiting_behind_key"]) {
        "pending"
    } else if any(&["delivered"]) {
        "delivered"
    } else if erased {
        "erased"
    } else {
        "unmatched"
    };
    Fate {
        event_id: event.id,
        event: event.topic.to_string(),
        seq: event.seq,
        source: event.source.to_string(),
        correlation: event.correlation_id(),
        stages,
        verdict,
        deliveries,
    }
}
