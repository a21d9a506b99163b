//! From what a step asks for to one commit: the run's state with everything that becomes true together with it.

use bytes::Bytes;
use nexus_core::{
    cloudevents,
    event::{NewEvent, Seq},
    id::EventId,
    problem::{Code, Problem},
    store::{Commit, CommitError, Guard, Key, Lane, Timer, TimerWrite, Write},
    time::Timestamp,
    topic::Topic,
};
use nexus_engine::desk::refused;
use ring::digest;
use serde_json::{Value, json};

use super::record::{Lineage, Listening, Run, Steps, Trigger, listen_key, name_of};
use crate::{
    effect::{Effect, Listen, StartRun, Step, WaitId},
    error::{FlowError, Standard},
    plan::FlowId,
    run::state::RunState,
};

/// The kind of timers that runs set.
pub(super) const TIMER: &str = "flow";
/// Levels of flows that run flows.
pub(super) const LEVELS: u8 = 8;
/// Bytes of what a task took or gave that are kept with its step.
const STEP_BYTES: usize = 16 << 10;
/// Steps in one record.
const STEPS: usize = 250;
/// Bytes of what they took and gave together.
const STEPS_BYTES: usize = 150 << 10;
/// Characters of a larger value that are kept.
const STEP_HEAD: usize = 1_024;

/// The name of a run's timer.
pub(super) fn timer_id(run: &str, wait: WaitId) -> String {
    format!("flow/{run}/{wait}")
}

/// The wait that a timer is for.
pub(super) fn timer_of(timer: &Timer) -> Option<(&str, WaitId)> {
    let (run, wait) = timer.id.strip_prefix("flow/")?.rsplit_once('/')?;
    Some((run, wait.parse().ok()?))
}

/// An id that is the same whenever it is made of the same parts, and sorts by `at` like any UUIDv7.
pub(super) fn run_id(at: Timestamp, parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    let mut bytes = [0u8; 16];
    bytes[..6].copy_from_slice(&at.millis().to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&context.finish().as_ref()[..10]);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    EventId::from_bytes(bytes).to_string()
}

/// The run that a wait of another started.
pub(super) fn child_id(parent: &Run, wait: WaitId) -> String {
    run_id(parent.created_at, &["child", &parent.state.id, &wait.to_string()])
}

/// Why a step was not committed.
#[derive(Debug)]
pub(super) enum Hitch {
    /// The store refused it.
    Store(CommitError),
    /// What it asks for can't be written.
    Content(Problem),
}

impl From<CommitError> for Hitch {
    fn from(error: CommitError) -> Self {
        Self::Store(error)
    }
}

impl Hitch {
    /// The error that the run ends with where the very same step would be refused again and again.
    pub(super) fn lasting(&self) -> Option<FlowError> {
        let detail = match self {
            Self::Content(problem) => problem.message.clone(),
            Self::Store(error @ (CommitError::TooLarge(_) | CommitError::Names(_))) => refused(error).message,
            Self::Store(_) => return None,
        };
        Some(FlowError::new(Standard::Runtime, format!("what the run did can't be stored: {detail}")))
    }

    pub(super) fn problem(self) -> Problem {
        match self {
            Self::Content(problem) => problem,
            Self::Store(error) => refused(&error),
        }
    }
}

/// What `step` led to, in the making.
pub(super) struct Draft<'d> {
    /// The run, with its new state.
    pub(super) run: &'d mut Run,
    /// The version of its document; 0 for a new run.
    pub(super) version: u64,
    /// The present.
    pub(super) now: Timestamp,
    /// The end of the log before the commit.
    pub(super) head: Seq,
    /// The timer that led to it.
    pub(super) timer: Option<&'d Timer>,
    /// Chance, for runs that are started.
    pub(super) random: [u8; 16],
}

impl Draft<'_> {
    /// The commit. `resolve` finds the version of a flow that is to be started.
    pub(super) fn commit(
        self,
        effects: &mut [Effect],
        resolve: impl Fn(&FlowId) -> Option<FlowId>,
    ) -> Result<Commit, Problem> {
        let mut commit = Commit { lane: Lane::Own, ..Commit::default() };
        let id = self.run.state.id.clone();
        let address = Key::of::<Run>(&id);
        commit.guards.push(if self.version == 0 {
            Guard::Absent(address)
        } else {
            Guard::Version(address, self.version)
        });
        if let Some(timer) = self.timer {
            commit.timers.push(TimerWrite::Fire { id: timer.id.clone(), version: timer.version });
        }
        let mut steps = Vec::new();
        let mut children = 0;
        for effect in effects.iter_mut() {
            match effect {
                Effect::SetTimer { id: wait, at } => commit.timers.push(TimerWrite::Set {
                    id: timer_id(&id, *wait),
                    due: *at,
                    kind: TIMER.to_owned(),
                    body: "{}".to_owned(),
                }),
                Effect::CancelTimer { id: wait } => commit.timers.push(TimerWrite::Cancel(timer_id(&id, *wait))),
                Effect::Listen(listen) => commit.documents.push(self.listening(&id, listen)?),
                Effect::CancelListen { id: wait } => {
                    commit.documents.push(Write::Delete(Key::of::<Listening>(listen_key(&id, *wait))));
                }
                Effect::StartRun(start) => {
                    let fits = self.run.level < LEVELS;
                    if let Some(flow) = resolve(&start.flow).filter(|_| fits) {
                        children += 1;
                        let child = self.child(start, flow, children);
                        commit.guards.push(Guard::Absent(Key::of::<Run>(&child.state.id)));
                        commit.documents.push(put(&child)?);
                    }
                }
                Effect::Emit { event } => commit.events.push(self.emitted(event)?),
                Effect::Lifecycle { kind, data } => commit.events.push(self.lifecycle(kind, data)),
                Effect::Step(step) => steps.push(step.clone()),
                Effect::Call(_)
                | Effect::CancelCall { .. }
                | Effect::CancelRun { .. }
                | Effect::Continue
                | Effect::Finished(_) => {}
            }
        }
        let Self { run, now, .. } = self;
        run.ended_at = run.state.status.has_ended().then_some(now);
        for part in steps.chunks(STEPS) {
            run.commits += 1;
            commit.documents.push(put(&Steps { run: id.clone(), commit: run.commits, steps: bounded(part.to_vec()) })?);
        }
        commit.documents.insert(0, put(run)?);
        Ok(commit)
    }

    fn listening(&self, run: &str, listen: &Listen) -> Result<Write, Problem> {
        let after = listen.after.unwrap_or(if listen.from_trigger { self.run.from_seq } else { self.head });
        let flow = self.run.state.flow.clone();
        put(&Listening { run: run.to_owned(), flow, since: self.head, after, listen: listen.clone() })
    }

    fn child(&self, start: &StartRun, flow: FlowId, n: u8) -> Run {
        let run = &*self.run;
        let mut random = self.random;
        random[15] = random[15].wrapping_add(n);
        let id = child_id(run, start.id);
        Run {
            trigger: Trigger::Flow { run: run.state.id.clone(), wait: start.wait.then_some(start.id) },
            lineage: Lineage { correlation: Some(correlation(run)), ..run.lineage.clone() },
            from_seq: run.from_seq,
            accepted: run.accepted,
            key: None,
            queued: false,
            level: run.level.saturating_add(1),
            commits: 0,
            created_at: self.now,
            ended_at: None,
            about: None,
            spent: None,
            erased: None,
            state: RunState::new(id, flow, start.input.clone(), self.now, random),
        }
    }

    fn lifecycle(&self, kind: &str, data: &Value) -> NewEvent {
        self.event(NewEvent::new(Topic::from_canonical(kind), source(self.run), data.to_string(), self.now))
    }

    fn emitted(&self, event: &Value) -> Result<NewEvent, Problem> {
        let event = cloudevents::structured(&Bytes::from(event.to_string()))?;
        let (subject, correlation) = (event.subject.clone(), event.correlation.clone());
        let mut event = self.event(event.into_event(source(self.run), self.now));
        event.subject = subject;
        event.correlation = correlation.or(event.correlation);
        // The commit itself makes it once; a key would let a repeat swallow the run's new state.
        event.once = None;
        Ok(event)
    }

    fn event(&self, mut event: NewEvent) -> NewEvent {
        event.subject = Some(self.run.state.id.clone());
        event.correlation = Some(correlation(self.run));
        event.causation = self.run.lineage.causation;
        event.depth = self.run.lineage.depth;
        event.attributes.traceparent.clone_from(&self.run.lineage.traceparent);
        event
    }
}

/// What everything that the run does belongs to.
pub(super) fn correlation(run: &Run) -> String {
    run.lineage.correlation.clone().unwrap_or_else(|| run.state.id.clone())
}

/// Under which source a run publishes.
pub(super) fn source(run: &Run) -> String {
    format!("flow:{}", name_of(&run.state.flow))
}

/// A record as a write.
pub(super) fn put<R: nexus_core::record::Record>(record: &R) -> Result<Write, Problem> {
    Write::put(record).map_err(|error| {
        tracing::error!(%error, collection = R::COLLECTION.name, "a record can't be written");
        Problem::new(Code::Internal, "a record could not be written; the log of the hub says why")
    })
}

/// Steps whose values are as small as they must be.
fn bounded(mut steps: Vec<Step>) -> Vec<Step> {
    let mut total = 0;
    for step in &mut steps {
        let text = step.data.to_string();
        let kept = if text.len() <= STEP_BYTES && total + text.len() <= STEPS_BYTES {
            text.len()
        } else {
            let head: String = text.chars().take(if total > STEPS_BYTES { 0 } else { STEP_HEAD }).collect();
            step.data = json!({"bytes": text.len(), "head": head});
            head.len() * 2
        };
        total += kept;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::StepPhase;

    fn step(data: Value) -> Step {
        let (task, name) = ("/do/0/a".to_owned(), "a".to_owned());
        Step { task, name, iteration: String::new(), phase: StepPhase::Completed, at: Timestamp::from_secs(1), data }
    }

    #[test]
    fn what_is_too_large_to_keep_is_kept_as_its_beginning() {
        let steps = bounded(vec![step(json!("x")), step(json!("y".repeat(STEP_BYTES + 1)))]);
        assert_eq!(steps[0].data, json!("x"));
        assert_eq!(steps[1].data["bytes"], STEP_BYTES + 3);
        let many = bounded((0..STEPS).map(|_| step(json!("z".repeat(STEP_BYTES - 10)))).collect());
        assert!(serde_json::to_string(&many).unwrap().len() < 256 << 10);
    }

    #[test]
    fn a_run_id_is_the_same_for_the_same_cause_and_sorts_by_time() {
        let at = Timestamp::from_secs;
        assert_eq!(run_id(at(5), &["a", "b"]), run_id(at(5), &["a", "b"]));
        assert_ne!(run_id(at(5), &["a", "b"]), run_id(at(5), &["ab"]));
        assert!(run_id(at(5), &["z"]) < run_id(at(6), &["a"]));
    }

    #[test]
    fn a_timer_names_its_wait() {
        let id = timer_id("0190a6f0", 7);
        let timer = Timer { id, due: Timestamp::from_secs(1), kind: TIMER.into(), body: "{}".into(), version: 1 };
        assert_eq!(timer_of(&timer), Some(("0190a6f0", 7)));
    }
}
