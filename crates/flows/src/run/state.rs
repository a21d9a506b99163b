//! The state of a run: plain JSON, complete, versioned. What it holds open can be asked for again from it alone.

use std::collections::{BTreeMap, VecDeque};

use nexus_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kept::{Contexts, Past};
use crate::{
    effect::{Call, Effect, Input, Listen, Outcome, StartRun, WaitId},
    error::FlowError,
    plan::{FlowId, Then},
};

/// The form of the state that this version writes.
pub const FORMAT: u32 = 1;
/// What stands where something was erased.
pub const ERASED: &str = "[erased]";
/// Bytes of a run's state; a run that would grow beyond it faults.
pub const STATE_BYTES: usize = 240 << 10;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// The form it is written in.
    pub format: u32,
    /// Which run.
    pub id: String,
    /// Of which flow.
    pub flow: FlowId,
    /// How it stands.
    pub status: Status,
    /// When it began.
    pub started_at: Timestamp,
    /// What it was given.
    pub input: Value,
    /// `$context`.
    pub context: Value,
    /// Distinguishes its marks of secrets; never leaves it.
    pub(crate) nonce: String,
    /// The next wait's id.
    pub(crate) next: WaitId,
    /// Tasks begun since the start.
    pub(crate) tasks: u64,
    /// Its tasks.
    pub(crate) root: Option<Scope>,
    /// What `$context` was before, for tasks that may be done again.
    #[serde(default, skip_serializing_if = "Contexts::is_empty")]
    pub(crate) contexts: Contexts,
    /// When it must be done.
    pub(crate) deadline: Option<Timer>,
    /// What was told while it was suspended.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(crate) held: VecDeque<Input>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has not begun.
    Pending,
    /// It has more to do.
    Running,
    /// It waits for something.
    Waiting,
    /// A person halted it.
    Suspended,
    /// It was cut off.
    Cancelled,
    /// An error ended it.
    Faulted,
    /// It is done.
    Completed,
}

impl Status {
    /// True when nothing more will happen by itself.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Cancelled | Self::Faulted | Self::Completed)
    }

    /// As lifecycle events name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
            Self::Faulted => "faulted",
            Self::Completed => "completed",
        }
    }
}

/// A timer that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    pub(crate) id: WaitId,
    pub(crate) at: Timestamp,
}

/// A list of tasks that is being done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scope {
    /// Which task of the list.
    pub(crate) index: usize,
    /// How often a `then` has led backwards.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) lap: u64,
    /// The next task's raw input, while none is being done.
    #[serde(default)]
    pub(crate) data: Value,
    /// The task that is being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<Box<Frame>>,
    /// Those that were done, each the last time, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) past: Vec<Past>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub(super) fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Scope {
    pub(crate) fn new(data: Value) -> Self {
        Self { index: 0, lap: 0, data, task: None, past: Vec::new() }
    }
}

/// A task that is being done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Frame {
    /// Its raw input.
    pub(crate) raw: Value,
    /// Its input, where `input.from` made another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<Value>,
    pub(crate) started_at: Timestamp,
    /// Its number among the tasks that the run has begun.
    #[serde(default)]
    pub(crate) n: u64,
    /// When it must be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timer: Option<Timer>,
    pub(crate) stage: Stage,
}

impl Frame {
    pub(crate) fn new(raw: Value, now: Timestamp, n: u64) -> Self {
        Self { raw, input: None, started_at: now, n, timer: None, stage: Stage::Begin }
    }

    pub(crate) fn input(&self) -> &Value {
        self.input.as_ref().unwrap_or(&self.raw)
    }
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Nothing is done yet.
    Begin,
    /// An extension's tasks before it.
    Before { extension: usize, scope: Scope },
    /// It is at work.
    Work(Box<Doing>),
    /// An extension's tasks after it.
    After {
        extension: usize,
        scope: Scope,
        output: Value,
        #[serde(default)]
        then: Option<Then>,
    },
}

/// What a task is at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doing {
    /// Its work has not begun.
    Fresh,
    Call {
        call: Call,
        fetching_document: bool,
    },
    Child(StartRun),
    Inline(Frame),
    List(Scope),
    Loop {
        items: Vec<Value>,
        index: usize,
        scope: Scope,
    },
    Fork(Vec<Branch>),
    Listen(Box<Listening>),
    Wait(Timer),
    Try(Box<Trying>),
}

/// A branch of a fork.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Branch {
    Running(Frame),
    Done(Value),
    Failed(FlowError),
}

/// A wait for events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listening {
    pub(crate) request: Listen,
    /// What correlations must give, as far as it is known.
    pub(crate) expect: BTreeMap<String, Value>,
    /// What was consumed, as the task gives it.
    pub(crate) consumed: Vec<Value>,
    /// Which filters of `all` (or of an `until` with `all`) have been met.
    pub(crate) met: Vec<usize>,
    /// Places in the log of the events taken so far.
    pub(crate) last_seq: Option<u64>,
    /// Events that wait for `foreach`.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(crate) queue: VecDeque<Value>,
    /// The event that `foreach` is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) each: Option<Each>,
    /// No more events are wanted.
    pub(crate) closed: bool,
}

/// An event that `foreach` is at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Each {
    pub(crate) event: Value,
    pub(crate) scope: Scope,
}

/// A task with a `catch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trying {
    pub(crate) began: Timestamp,
    /// Attempts after the first.
    pub(crate) retries: u32,
    pub(crate) phase: TryPhase,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TryPhase {
    Attempt { scope: Scope, timer: Option<Timer> },
    Pause { timer: Timer, error: FlowError },
    Handle { scope: Scope, error: FlowError },
}

/// The state can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is not what this version, or an earlier one, wrote.
    #[error("the state of a run can't be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A later version wrote it.
    #[error("the state of run {id} has format {found}; this version reads up to {FORMAT}: use a newer one")]
    Newer {
        /// The run.
        id: String,
        /// Its format.
        found: u32,
    },
}

impl RunState {
    /// A run that has not begun. `random` must be unpredictable.
    pub fn new(id: impl Into<String>, flow: FlowId, input: Value, now: Timestamp, random: [u8; 16]) -> Self {
        Self {
            format: FORMAT,
            id: id.into(),
            flow,
            status: Status::Pending,
            started_at: now,
            input,
            context: Value::Null,
            nonce: data_encoding::HEXLOWER.encode(&random),
            next: 1,
            tasks: 0,
            root: None,
            contexts: Contexts::default(),
            deadline: None,
            held: VecDeque::new(),
            outcome: None,
        }
    }

    /// Takes out of a run that has ended what it was given, did and gave. How it ended stays, and where it failed.
    pub fn erase(&mut self) {
        let gone = |value: &mut Value| {
            if !value.is_null() {
                *value = ERASED.into();
            }
        };
        gone(&mut self.input);
        gone(&mut self.context);
        self.root = None;
        self.contexts = Contexts::default();
        self.deadline = None;
        self.held.clear();
        match &mut self.outcome {
            Some(Outcome::Completed { output }) => gone(output),
            Some(Outcome::Faulted { error }) => {
                for text in [&mut error.title, &mut error.detail].into_iter().flatten() {
                    ERASED.clone_into(text);
                }
            }
            Some(Outcome::Cancelled) | None => {}
        }
    }

    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// From what was stored.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            id: String,
        }
        let head: Head = serde_json::from_slice(bytes)?;
        if head.format > FORMAT {
            return Err(StateError::Newer { id: head.id, found: head.format });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// What distinguishes this run's marks of secrets; for [`Secrets::reveal`](crate::secrets::Secrets::reveal).
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The effects whose answers it still waits for: what a host asks for again after a restart, under the same ids and
    /// keys.
    pub fn open_effects(&self) -> Vec<Effect> {
        let mut found = Vec::new();
        self.each_open(&mut |open| {
            // What was told while it was suspended is not asked for again.
            if self.holds(open.id()) {
                return;
            }
            found.push(match open {
                Open::Call(call) => Effect::Call(call.clone()),
                Open::Child(child) => Effect::StartRun(child.clone()),
                Open::Listen(listening) => {
                    let after = self.last_told(listening).or(listening.last_seq);
                    Effect::Listen(Listen { after, ..listening.request.clone() })
                }
                Open::Timer(timer) => Effect::SetTimer { id: timer.id, at: timer.at },
            });
        });
        if self.status == Status::Running {
            found.push(Effect::Continue);
        }
        found
    }

    /// True when [`Self::open_effects`] has a call, another flow or [`Effect::Continue`]: what nothing but a host that looks
    /// at the run would go on with. Timers and listens are found by themselves.
    pub fn has_work(&self) -> bool {
        let mut found = self.status == Status::Running;
        self.each_open(&mut |open| found |= matches!(open, Open::Call(_) | Open::Child(_)));
        found
    }

    /// True when the answer of this wait came while the run was suspended.
    pub(crate) fn holds(&self, wait: WaitId) -> bool {
        self.held.iter().any(|input| match input {
            Input::CallDone { id, .. } | Input::TimerFired { id } | Input::ChildDone { id, .. } => *id == wait,
            _ => false,
        })
    }

    /// The last event that was told to a listen while the run was suspended.
    fn last_told(&self, listening: &Listening) -> Option<u64> {
        self.held.iter().rev().find_map(|input| match input {
            Input::Event { id, seq, .. } if *id == listening.request.id => Some(*seq),
            _ => None,
        })
    }

    /// True when this event was told while the run was suspended.
    pub(crate) fn holds_event(&self, wait: WaitId, place: u64) -> bool {
        self.held.iter().any(|input| matches!(input, Input::Event { id, seq, .. } if *id == wait && *seq >= place))
    }

    pub(crate) fn each_open<'s>(&'s self, visit: &mut dyn FnMut(Open<'s>)) {
        if self.status.has_ended() {
            return;
        }
        if let Some(timer) = &self.deadline {
            visit(Open::Timer(timer));
        }
        if let Some(root) = &self.root {
            root.each_open(visit);
        }
    }
}

/// Something a run waits for.
pub(crate) enum Open<'s> {
    Call(&'s Call),
    Child(&'s StartRun),
    Listen(&'s Listening),
    Timer(&'s Timer),
}

impl Open<'_> {
    pub(crate) fn id(&self) -> WaitId {
        match self {
            Self::Call(call) => call.id,
            Self::Child(child) => child.id,
            Self::Listen(listening) => listening.request.id,
            Self::Timer(timer) => timer.id,
        }
    }
}

impl Scope {
    pub(crate) fn each_open<'s>(&'s self, visit: &mut dyn FnMut(Open<'s>)) {
        if let Some(task) = &self.task {
            task.each_open(visit);
        }
    }
}

impl Frame {
    pub(crate) fn each_open<'s>(&'s self, visit: &mut dyn FnMut(Open<'s>)) {
        if let Some(timer) = &self.timer {
            visit(Open::Timer(timer));
        }
        match &self.stage {
            Stage::Begin => {}
            Stage::Before { scope, .. } | Stage::After { scope, .. } => scope.each_open(visit),
            Stage::Work(doing) => doing.each_open(visit),
        }
    }
}

impl Doing {
    fn each_open<'s>(&'s self, visit: &mut dyn FnMut(Open<'s>)) {
        match self {
            Self::Fresh => {}
            Self::Call { call, .. } => visit(Open::Call(call)),
            Self::Child(child) => visit(Open::Child(child)),
            Self::Inline(frame) => frame.each_open(visit),
            Self::List(scope) | Self::Loop { scope, .. } => scope.each_open(visit),
            Self::Fork(branches) => {
                for branch in branches {
                    if let Branch::Running(frame) = branch {
                        frame.each_open(visit);
                    }
                }
            }
            Self::Listen(listening) => {
                if !listening.closed {
                    visit(Open::Listen(listening));
                }
                if let Some(each) = &listening.each {
                    each.scope.each_open(visit);
                }
            }
            Self::Wait(timer) => visit(Open::Timer(timer)),
            Self::Try(trying) => match &trying.phase {
                TryPhase::Attempt { scope, timer } => {
                    timer.iter().for_each(|timer| visit(Open::Timer(timer)));
                    scope.each_open(visit);
                }
                TryPhase::Pause { timer, .. } => visit(Open::Timer(timer)),
                TryPhase::Handle { scope, .. } => scope.each_open(visit),
            },
        }
    }
}
