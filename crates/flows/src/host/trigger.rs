//! Runs begun: by an event of the log, by a person, by a request.

use async_trait::async_trait;
use nexus_core::{
    event::{Seq, StoredEvent},
    limits::EVENT_DEPTH,
    problem::{Code, Problem},
    record::Record,
    store::Commit,
    time::Timestamp,
};
use nexus_engine::delivery::handler::{Announced, Handed, Handler, Unhandled};
use serde_json::{Value, json};

use super::{
    Flows, Slot,
    begin::Begun,
    budget::Cause,
    commit::run_id,
    event::Seen,
    record::{Lineage, Run, Trigger},
    shelf::Published,
    turns::{Coming, Place},
};
use crate::{
    plan::{Definition, FilterPlan},
    run::state::RunState,
};

/// The event that shows a circle.
const CIRCLE: &str = "flow.circle_stopped";

/// A run that is to begin.
pub(super) struct NewRun {
    pub(super) id: String,
    pub(super) input: Value,
    pub(super) trigger: Trigger,
    pub(super) lineage: Lineage,
    pub(super) from_seq: Seq,
    /// Where it is no event: its place among those accepted at this end of the log.
    pub(super) accepted: i64,
    /// The subject of the event that begins it.
    pub(super) about: Option<String>,
    /// What of the flow's budget it is counted under.
    pub(super) spent: Option<String>,
}

/// A run that somebody asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `namespace/name`.
    pub flow: String,
    /// What it is given.
    pub input: Value,
    /// Who asks, and how.
    pub trigger: Trigger,
    /// One key, one run.
    pub idempotency_key: Option<String>,
    /// What it belongs to.
    pub lineage: Lineage,
}

impl Flows {
    /// Begins a run of a published flow.
    pub(super) async fn start_run(
        &self,
        published: &std::sync::Arc<Published>,
        new: NewRun,
        with: Commit,
        coming: Option<&Coming>,
    ) -> Result<Begun, Problem> {
        let now = self.desk().now();
        let state = RunState::new(new.id, published.definition.id.clone(), new.input, now, self.desk().random::<16>()?);
        let run = Run {
            trigger: new.trigger,
            lineage: new.lineage,
            from_seq: new.from_seq,
            accepted: new.accepted,
            key: None,
            queued: false,
            level: 0,
            commits: 0,
            created_at: now,
            ended_at: None,
            about: new.about,
            spent: new.spent,
            erased: None,
            state,
        };
        self.begin(run, published, with, coming).await
    }

    /// Begins a run that somebody asks for.
    pub async fn start(&self, asked: Asked) -> Result<Begun, Problem> {
        let held = self.held(&asked.flow)?;
        if let Some(schema) = &held.current.definition.data.input_schema {
            schema.check("the input", &asked.input).map_err(|error| {
                Problem::new(
                    Code::Invalid,
                    error.detail.unwrap_or_else(|| "the input is not as its schema says".into()),
                )
            })?;
        }
        let id = match &asked.idempotency_key {
            // No time in it: the key alone decides.
            Some(key) => {
                let by = json!(asked.trigger).to_string();
                run_id(Timestamp::from_secs(0), &["asked", &asked.flow, &by, key])
            }
            None => {
                let random = self.desk().random::<16>()?;
                run_id(self.desk().now(), &["asked", &data_encoding::HEXLOWER.encode(&random)])
            }
        };
        if asked.lineage.depth > EVENT_DEPTH {
            return Err(too_deep(&asked.flow, asked.lineage.depth));
        }
        let (from_seq, accepted) = self.accept();
        let spent = match asked.trigger {
            Trigger::Webhook { .. } => self.spend_for_request(&held, &asked, &id).await?,
            _ => None,
        };
        let under = spent.as_ref().map(|spent| spent.under.clone());
        let Asked { input, trigger, lineage, .. } = asked;
        let new = NewRun { id, input, trigger, lineage, from_seq, accepted, about: None, spent: under };
        let begun = self.start_run(&held.current, new, Commit::default(), None).await;
        if let Some(spent) = spent
            && !matches!(begun, Ok(Begun::Started(_) | Begun::Queued(_)))
        {
            self.give_back(&spent).await;
        }
        begun
    }

    /// The place of what is accepted now.
    pub(super) fn accept(&self) -> Place {
        (self.desk().store.head().seq, self.inner.turns.accept(self.desk().now()))
    }

    /// Begins a run for an event that the flow's subscription took, where its filters take it, too.
    async fn on_event(
        &self,
        flow: &str,
        event: &StoredEvent,
        delivery: &str,
        coming: Option<&Coming>,
    ) -> Result<(), Unhandled> {
        let Some(held) = self.inner.shelf.find(flow).filter(|held| held.flow.enabled) else { return Ok(()) };
        let definition = &held.current.definition;
        let own = super::behaviour::is_own_match(definition, event);
        let Some(kind) = (if own { Some(None) } else { taking(definition, event) }) else { return Ok(()) };
        let depth = event.depth.saturating_add(1);
        if depth > EVENT_DEPTH {
            // Whoever listens to everything would hear of its own circle for ever.
            if event.topic.as_str() != CIRCLE {
                self.stop_circle(flow, event).await?;
            }
            return Ok(());
        }
        let input = json!([Seen::new(event).named(kind)]);
        let spent = match self.spend(&held, Cause::of(event), &input).await? {
            Ok(spent) => spent,
            // It may have begun before, and only the delivery is told again.
            Err(_) if self.is_there(&self.run_for(flow, event, delivery, own)).await? => return Ok(()),
            Err(reason) => return Err(Unhandled { reason, dead: true }),
        };
        let attributes = event.attributes();
        let new = NewRun {
            id: self.run_for(flow, event, delivery, own),
            input,
            trigger: Trigger::Event { id: event.id, seq: event.seq, topic: event.topic.as_str().to_owned() },
            lineage: Lineage {
                correlation: Some(event.correlation_id()),
                causation: Some(event.id),
                depth,
                traceparent: attributes.traceparent,
            },
            from_seq: event.seq,
            accepted: 0,
            about: event.subject.as_deref().map(ToString::to_string),
            spent: Some(spent.under.clone()),
        };
        let begun = self.start_run(&held.current, new, Commit::default(), coming).await;
        if !matches!(begun, Ok(Begun::Started(_) | Begun::Queued(_))) {
            self.give_back(&spent).await;
        }
        self.after_storing(event.seq, begun?.run()).await?;
        Ok(())
    }

    /// The run that this delivery of an event begins. One match is one run, however often it is delivered.
    fn run_for(&self, flow: &str, event: &StoredEvent, delivery: &str, own: bool) -> String {
        match own {
            true => run_id(event.received, &["match", flow, &event.id.to_string()]),
            false => run_id(event.received, &["event", flow, delivery]),
        }
    }

    pub(super) async fn is_there(&self, run: &str) -> Result<bool, Problem> {
        let document = self.desk().store.get(Run::COLLECTION, run).await;
        document.map(|document| document.is_some()).map_err(nexus_engine::desk::unreadable)
    }

    /// A chain of cause and effect that does not end: it is cut here, with an event that shows how it went.
    async fn stop_circle(&self, flow: &str, event: &StoredEvent) -> Result<(), Problem> {
        let mut chain = vec![json!({"id": event.id, "type": event.topic.as_str(), "source": &*event.source})];
        let mut cause = event.causation;
        while let Some(id) = cause.filter(|_| chain.len() <= usize::from(EVENT_DEPTH)) {
            let Some(earlier) = self.inner.hub.event(id).await? else { break };
            chain.push(json!({"id": earlier.id, "type": earlier.topic.as_str(), "source": &*earlier.source}));
            cause = earlier.causation;
        }
        chain.reverse();
        let detail = json!({
            "flow": flow, "event": event.id, "depth": event.depth, "chain": chain,
            "reason": format!("a run for this event would be step {} of one chain of cause and effect; chains end at {EVENT_DEPTH}", event.depth + 1),
        });
        let mut notice = self.desk().notice(CIRCLE, &detail);
        notice.correlation = Some(event.correlation_id());
        notice.causation = Some(event.id);
        notice.depth = EVENT_DEPTH;
        // One per flow and event, also when the event is delivered again.
        notice.once = Some(nexus_core::event::Once {
            scope: "flow.circle".into(),
            key: format!("{flow} {}", event.id),
            digest: [0; 16],
            strict: false,
            window: nexus_core::limits::IDEMPOTENCY_WINDOW,
        });
        self.desk().commit(Commit { events: vec![notice], ..Commit::default() }).await.map(|_| ())
    }
}

/// The type by which the event begins a run of its own accord; `None`: it begins none.
pub(super) fn taking<'d>(definition: &'d Definition, event: &StoredEvent) -> Option<Option<&'d str>> {
    let filters: Vec<&FilterPlan> = definition.schedule.on.as_ref()?.filters();
    let mut seen = Seen::new(event);
    let taking = filters.iter().find(|plan| seen.for_filter(plan).is_some_and(|envelope| plan.matches(envelope, &())));
    match taking {
        Some(plan) => Some(plan.kind()),
        None => filters.is_empty().then_some(None),
    }
}

fn too_deep(flow: &str, depth: u8) -> Problem {
    Problem::new(
        Code::Conflict,
        format!(
            "a run of {flow} would be step {depth} of one chain of cause and effect; chains end at {EVENT_DEPTH}, as this looks like a loop"
        ),
    )
}

/// The handler that the flows' subscriptions deliver to. It is there before the flows are.
#[derive(Clone, Default)]
pub struct Door(pub(super) std::sync::Arc<Slot>);

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

#[async_trait]
impl Handler for Door {
    async fn handle(&self, event: &StoredEvent, handed: Handed<'_>) -> Result<(), Unhandled> {
        // After a restart events come before the flows are there; they keep their order while they wait.
        self.0.ready.cancelled().await;
        let flows = self.0.flows.get().ok_or("the flows are not ready yet")?;
        let flow = handed.argument.ok_or("the subscription names no flow")?;
        match flow.strip_prefix(super::behaviour::ARGUMENT) {
            Some(flow) => Ok(flows.observe(flow, event).await?),
            None => {
                let coming = handed.announced.and_then(|announced| announced.downcast_ref::<Coming>());
                let done = flows.on_event(flow, event, handed.delivery_id, coming).await;
                if let Some(coming) = coming {
                    coming.is_here();
                }
                done
            }
        }
    }

    fn coming(&self, seq: Seq, argument: Option<&str>) -> Option<Announced> {
        let flow = argument.filter(|argument| !argument.starts_with(super::behaviour::ARGUMENT))?;
        // Before the flows are there nobody knows which of them have keys.
        let has_keys = |flows: &Flows| {
            let held = flows.inner.shelf.find(flow);
            held.is_some_and(|held| held.current.definition.settings.concurrency.is_some())
        };
        let may_matter = self.0.flows.get().is_none_or(has_keys);
        may_matter.then(|| Box::new(self.0.turns.coming(flow, seq)) as Announced)
    }
}
