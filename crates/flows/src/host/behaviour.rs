//! Behaviour as triggers, durably: the detectors of a flow look at the log through a subscription of their own.
//!
//! One event is one commit: what is remembered of its keys, the timers of absences, and the pattern events of its matches.
//! The memory of a key knows the last event it took, so that an event that is delivered again does nothing; it is written
//! only as it was read, and only under the flow as it was read. So each match is in the log once.
//!
//! A run begins from the pattern event, by the subscription that begins the flow's other runs, and not in the commit of the
//! match: so concurrency keys, chains that go in a circle and retries are treated in one place, several matches of one event
//! are several runs, and detection never waits for a run. Its id is made of that of the pattern event: one match, one run.

mod memory;

use async_trait::async_trait;
use bytes::Bytes;
use nexus_core::{
    cloudevents,
    event::{NewEvent, StoredEvent},
    id::EventId,
    problem::Problem,
    record::Record,
    store::{Commit, CommitError, Guard, Key, Lane, Timer, TimerWrite},
    time::Timestamp,
};
use nexus_engine::{
    desk::{refused, unreadable},
    timers::OnTimer,
};
use serde_json::Value;
use std::time::Duration;

pub(super) use self::memory::Memories;
pub(super) use self::memory::address;
use self::memory::{Cause, place};
pub use self::memory::{KEYS, Remembered};
use super::{
    Flows,
    commit::{put, run_id},
    event::Seen,
    record::{Flow, name_of},
    shelf::Held,
};
use crate::{
    detect::{DetectPlan, Hit, Match, Signal},
    plan::{Definition, FlowId},
};

/// The kind of the timers of absences.
pub(super) const TIMER: &str = "flow.detect";
/// What the argument of a subscription that detects begins with.
pub(super) const ARGUMENT: &str = "detect:";
/// How often a turn is taken anew when what it relied on changed meanwhile.
const ATTEMPTS: usize = 20;
/// Between attempts.
const PAUSE: Duration = Duration::from_millis(20);
/// How long an absence waits when events of before its end were not looked at yet.
const BEHIND: Duration = Duration::from_secs(1);
/// The same where nothing is looked at, as somebody paused the subscription.
const PAUSED: Duration = Duration::from_secs(30);

/// The name of a memory's timer.
fn timer_id(memory: &str) -> String {
    format!("flow-detect/{memory}")
}

/// Under which source the matches of a flow are published; no run publishes under it.
pub(super) fn source(flow: &str) -> String {
    format!("detect:{flow}")
}

/// Whether the event is a match of one of the flow's own detectors: it begins a run.
pub(super) fn is_own_match(definition: &Definition, event: &StoredEvent) -> bool {
    let detect = &definition.settings.detect;
    if detect.is_empty() || *event.source != *source(&name_of(&definition.id)) {
        return false;
    }
    let data: Value = serde_json::from_slice(event.json()).unwrap_or_default();
    data.get("detector").and_then(Value::as_str).is_some_and(|name| detect.iter().any(|plan| plan.name == name))
}

/// The id that a match's event has in the log: the same for the same match.
pub(super) fn pattern_id(found: &Match, published: &Value) -> Option<EventId> {
    let id = published.get("id").and_then(Value::as_str).unwrap_or_default();
    run_id(found.at, &["match", id]).parse().ok()
}

/// The event of a match as it goes into the log.
fn pattern(id: &FlowId, found: &Match, published: &Value, cause: &Cause, now: Timestamp) -> Result<NewEvent, Problem> {
    let event = cloudevents::structured(&Bytes::from(published.to_string())).or_else(|_| {
        // A key that can't be a subject stands in the data.
        let mut plain = published.clone();
        plain.as_object_mut().and_then(|fields| fields.remove("subject"));
        cloudevents::structured(&Bytes::from(plain.to_string()))
    })?;
    let mut event = event.into_event(source(&name_of(id)), now);
    event.id = pattern_id(found, published);
    event.attributes.source_id = None;
    event.once = None;
    event.correlation = Some(cause.correlation.clone());
    event.causation = Some(cause.id);
    event.depth = cause.depth;
    Ok(event)
}

/// What one event, or one timer, leads to.
struct Turn {
    now: Timestamp,
    commit: Commit,
    /// Places with a key that is new.
    grew: Vec<String>,
    /// Keys that there is no room for.
    full: Vec<(usize, String)>,
}

/// What became of it.
enum Taken {
    Done,
    Again(Duration),
}

impl Turn {
    /// Everything is decided under the flow as it is held.
    fn new(held: &Held, now: Timestamp) -> Self {
        let flow = Guard::Version(Key::of::<Flow>(&held.flow.name), held.document);
        let commit = Commit { guards: vec![flow], lane: Lane::Own, ..Commit::default() };
        Self { now, commit, grew: Vec::new(), full: Vec::new() }
    }

    /// Takes the signals of one event for one key, what was due before it first; and writes down what is remembered now.
    fn take(
        &mut self,
        held: &Held,
        hit: &Hit,
        signals: &[Signal],
        remembered: &mut Remembered,
        at: Timestamp,
        event: Option<(&StoredEvent, &Value)>,
    ) -> Result<(), Problem> {
        let definition = &held.current.definition;
        let Some(plan) = definition.settings.detect.get(hit.detector) else { return Ok(()) };
        let before = remembered.memory.due();
        let due = before.filter(|due| *due <= at).map(|due| (Signal::Due, due, None));
        let signals = signals.iter().map(|signal| (*signal, at, event));
        for (signal, at, event) in due.into_iter().chain(signals) {
            let was = remembered.memory.due();
            let verdict = plan.observe(&mut remembered.memory, signal, at);
            let cause = event.map(|(event, _)| Cause::of(event)).or_else(|| remembered.begun.clone());
            if was != remembered.memory.due() {
                remembered.begun = remembered.memory.due().and(cause.clone());
            }
            let hit = Hit { signal, ..hit.clone() };
            if let (Some(found), Some(cause)) = (Match::of(&hit, &verdict, at), cause) {
                let published = plan.matched(&definition.id, &found, event.map(|(_, envelope)| envelope));
                self.commit.events.push(pattern(&definition.id, &found, &published, &cause, self.now)?);
            }
        }
        let id = timer_id(&remembered.key());
        match (before, remembered.memory.due()) {
            (before, after) if before == after => {}
            (_, Some(due)) => {
                self.commit.timers.push(TimerWrite::Set { id, due, kind: TIMER.to_owned(), body: "{}".to_owned() });
            }
            // Where the timer itself led here it has fired already.
            (_, None) if event.is_none() => {}
            (_, None) => self.commit.timers.push(TimerWrite::Cancel(id)),
        }
        remembered.idle_at = plan.detector.idle_at(&remembered.memory, at);
        self.commit.documents.push(put(remembered)?);
        Ok(())
    }
}

impl Flows {
    /// An event that the detectors of a flow may look at.
    pub(super) async fn observe(&self, flow: &str, event: &StoredEvent) -> Result<(), Problem> {
        let mut seen = Seen::new(event);
        for _ in 0..ATTEMPTS {
            let Some(held) = self.inner.shelf.find(flow).filter(|held| held.flow.enabled) else { return Ok(()) };
            let turn = self.turn_of(&held, event, seen.plain()).await?;
            for (detector, key) in &turn.full {
                if let Some(plan) = held.current.definition.settings.detect.get(*detector) {
                    self.tell_full(flow, plan, key).await?;
                }
            }
            match self.take_turn(turn, flow).await? {
                Taken::Done => return self.after_remembering(event).await,
                Taken::Again(wait) => self.clock().sleep(wait).await,
            }
        }
        Err(Problem::new(
            nexus_core::problem::Code::Unavailable,
            format!("what flow {flow} remembers changes all the time; try again"),
        ))
    }

    async fn turn_of(&self, held: &Held, event: &StoredEvent, envelope: &Value) -> Result<Turn, Problem> {
        let (flow, definition, now) = (&held.flow.name, &held.current.definition, self.desk().now());
        let mut turn = Turn::new(held, now);
        let hits = definition.detected(envelope);
        for hits in hits.chunk_by(|a, b| a.detector == b.detector) {
            let Some(hit) = hits.first() else { continue };
            let Some(plan) = definition.settings.detect.get(hit.detector) else { continue };
            let address = address(flow, &plan.name, &hit.key);
            let (known, guard) = self.remembered(&address).await?;
            let is_new = known.as_ref().is_none_or(|known| known.digest != plan.digest);
            if known.as_ref().is_some_and(|known| known.seq >= event.seq) {
                continue;
            }
            if is_new && !self.has_room(flow, plan, now).await? {
                turn.full.push((hit.detector, hit.key.clone()));
                continue;
            }
            let mut remembered = match known {
                Some(known) if !is_new => known,
                other => {
                    if other.is_some_and(|other| other.memory.due().is_some()) {
                        turn.commit.timers.push(TimerWrite::Cancel(timer_id(&address)));
                    }
                    turn.grew.push(place(plan));
                    Remembered::new(flow, plan, &hit.key)
                }
            };
            remembered.seq = event.seq;
            turn.commit.guards.push(guard);
            let signals: Vec<Signal> = hits.iter().map(|hit| hit.signal).collect();
            turn.take(held, hit, &signals, &mut remembered, event.time, Some((event, envelope)))?;
        }
        Ok(turn)
    }

    /// What is remembered there, and that nothing else is.
    async fn remembered(&self, address: &str) -> Result<(Option<Remembered>, Guard), Problem> {
        let key = Key::of::<Remembered>(address);
        let document = self.desk().store.get(Remembered::COLLECTION, address).await.map_err(unreadable)?;
        match document {
            None => Ok((None, Guard::Absent(key))),
            // What can't be read is known no more: the key begins anew.
            Some(document) => Ok((super::read(&document).ok(), Guard::Version(key, document.version))),
        }
    }

    async fn take_turn(&self, turn: Turn, flow: &str) -> Result<Taken, Problem> {
        let Turn { mut commit, grew, .. } = turn;
        if commit.documents.is_empty() {
            return Ok(Taken::Done);
        }
        let mut done = self.desk().try_commit(commit.clone()).await;
        if done.as_ref().is_ok_and(|done| !done.events.is_empty() && done.events.iter().all(|event| event.repeat)) {
            // The matches were told before what led to them was forgotten; what is remembered now counts all the same.
            commit.events.clear();
            done = self.desk().try_commit(commit).await;
        }
        match done {
            Ok(_) => {
                for place in grew {
                    self.inner.memories.grew(flow, place);
                }
                Ok(Taken::Done)
            }
            Err(CommitError::Conflict { .. } | CommitError::Unknown) => Ok(Taken::Again(PAUSE)),
            Err(CommitError::Busy { retry_after }) => Ok(Taken::Again(retry_after)),
            // The timer was moved or cancelled meanwhile: what did that has seen to the rest.
            Err(CommitError::Timer(_)) => Ok(Taken::Done),
            Err(error) => Err(refused(&error)),
        }
    }

    /// Whether every event of before `due` was looked at. Else an absence would be told although its event came in time.
    async fn has_looked(&self, flow: &str, due: Timestamp) -> Result<Result<(), Duration>, Problem> {
        let later = due.plus(Duration::from_micros(1));
        let first_after = self.desk().store.seq_at(later).await.map_err(unreadable)?;
        let status = self.inner.hub.subscriptions().status(&super::subscriptions::detecting(flow)).await?;
        // What failed and is tried again stands before no position.
        Ok(match status.position >= first_after && status.retrying == 0 {
            true => Ok(()),
            false if status.state != "active" => Err(PAUSED),
            false => Err(BEHIND),
        })
    }

    /// The time of a memory has come.
    async fn overdue(&self, timer: &Timer) -> Result<Taken, Problem> {
        let address = timer.id.strip_prefix("flow-detect/").unwrap_or_default();
        let fired = TimerWrite::Fire { id: timer.id.clone(), version: timer.version };
        let (known, guard) = self.remembered(address).await?;
        let Some(mut remembered) = known else {
            return self.only(Commit { timers: vec![fired], ..Commit::default() }).await;
        };
        let held = self.inner.shelf.find(&remembered.flow).filter(|held| held.flow.enabled);
        let is_it = |plan: &DetectPlan| plan.name == remembered.detector && plan.digest == remembered.digest;
        let found = held.and_then(|held| {
            let detector = held.current.definition.settings.detect.iter().position(is_it)?;
            Some((held, detector))
        });
        let (Some((held, detector)), Some(due)) = (found, remembered.memory.due()) else {
            // Nobody looks for it any more; what is left of it is tidied with its flow.
            return self.only(Commit { timers: vec![fired], ..Commit::default() }).await;
        };
        let now = self.desk().now();
        let later = match due > now {
            true => Some(due),
            false => self.has_looked(&held.flow.name, due).await?.err().map(|wait| now.plus(wait)),
        };
        if let Some(later) = later {
            let again =
                TimerWrite::Set { id: timer.id.clone(), due: later, kind: TIMER.to_owned(), body: "{}".to_owned() };
            return self.only(Commit { guards: vec![guard], timers: vec![fired, again], ..Commit::default() }).await;
        }
        let mut turn = Turn::new(&held, now);
        turn.commit.guards.push(guard);
        turn.commit.timers.push(fired);
        let hit = Hit { detector, key: remembered.key.clone(), signal: Signal::Due };
        turn.take(&held, &hit, &[], &mut remembered, due, None)?;
        self.take_turn(turn, &held.flow.name).await
    }

    async fn only(&self, commit: Commit) -> Result<Taken, Problem> {
        match self.desk().try_commit(Commit { lane: Lane::Own, ..commit }).await {
            Ok(_) => Ok(Taken::Done),
            Err(CommitError::Conflict { .. } | CommitError::Unknown) => Ok(Taken::Again(PAUSE)),
            Err(CommitError::Busy { retry_after }) => Ok(Taken::Again(retry_after)),
            Err(CommitError::Timer(_)) => Ok(Taken::Done),
            Err(error) => Err(refused(&error)),
        }
    }
}

/// Tells absences.
pub(super) struct Overdue(pub(super) Flows);

#[async_trait]
impl OnTimer for Overdue {
    async fn fire(&self, timer: &Timer) -> Result<(), Problem> {
        for _ in 0..ATTEMPTS {
            match self.0.overdue(timer).await {
                Ok(Taken::Done) => return Ok(()),
                Ok(Taken::Again(wait)) => self.0.clock().sleep(wait).await,
                Err(problem) => return Err(problem),
            }
        }
        Ok(())
    }
}
