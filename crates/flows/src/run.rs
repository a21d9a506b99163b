//! The interpreter: a run's state, one input, the present; out come effects. No I/O, no clock, no chance of its own.
//!
//! A run is a tree of tasks that are being done. A step applies one input and then goes through the tree from its root:
//! whatever can go on does, until everything waits or the run has ended. All tasks between two effects are done in one step.
//!
//! - [`state`]: the tree, as it is stored.
//! - `task`: the life of one task: condition, data flow, timeout, extensions.
//! - `work`: what each kind of task does; `call`, `listen` and `attempt` are those with more to them.
//! - `kept`, `retry`: what tasks were given, so that one can be done again.
//! - `view`: what expressions see; what a run waits for.

mod attempt;
mod call;
mod kept;
mod listen;
mod retry;
pub mod state;
mod task;
mod view;
mod work;

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use kept::Contexts;
pub use kept::KEPT_BYTES;
use nexus_core::time::Timestamp;
pub use retry::{RetryError, choose};
use serde_json::{Value, json};
use state::{Frame, Open, RunState, STATE_BYTES, Scope, Status, Timer};
pub use view::{Waiting, WaitingFor};

use crate::{
    effect::{Effect, Input, Outcome, Step, StepPhase, WaitId},
    error::{FlowError, Standard},
    expression::Place,
    plan::{Definition, Node, Then},
    secrets::{self, Secrets},
};

/// Tasks that one step may begin; then it commits and comes back. Few enough that whoever else is served by the same thread
/// hardly notices.
const STEP_TASKS: u32 = 1_000;
/// What the expressions of one step may cost before it begins no more tasks.
const STEP_COST: u64 = 1_000_000;
/// Tasks that one run may begin; a run beyond it faults: it goes in a circle.
const RUN_TASKS: u64 = 1_000_000;

/// What the host gives to a step.
pub struct Host<'a> {
    /// The present.
    pub now: Timestamp,
    /// Unpredictable numbers; what they decide is part of the state.
    pub random: &'a mut dyn FnMut() -> u64,
    /// The secrets that the flow declares.
    pub secrets: &'a Secrets,
    /// Refuses events of types that the flow may not publish, and says what it lacks.
    pub may_emit: &'a dyn Fn(&str) -> Result<(), String>,
}

/// What a step did.
#[derive(Debug, Default)]
pub struct Taken {
    /// What the host has to do.
    pub effects: Vec<Effect>,
    /// What the expressions cost, in steps of their evaluation.
    pub cost: u64,
    /// The input was for something that the run no longer waits for; nothing changed.
    pub ignored: bool,
    /// The input was an event that the run took: it holds what that event held.
    pub heard: bool,
}

/// How far a task or a list of tasks came.
enum Progress {
    /// It waits.
    Pending,
    /// It is done, with what it gives and what comes after.
    Done(Value, Then),
}

type Polled = Result<Progress, FlowError>;

/// Variables and iterations around a task, innermost first.
struct Env<'e> {
    parent: Option<&'e Env<'e>>,
    variables: Vec<(&'e str, Value)>,
    iteration: Option<u64>,
}

impl<'e> Env<'e> {
    fn root() -> Self {
        Self { parent: None, variables: Vec::new(), iteration: None }
    }

    fn within(&'e self, variables: Vec<(&'e str, Value)>, iteration: Option<u64>) -> Self {
        Self { parent: Some(self), variables, iteration }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let own = self.variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value);
        own.or_else(|| self.parent.and_then(|parent| parent.get(name)))
    }

    /// `2.0.5`: the loops around, outermost first.
    fn iterations(&self) -> String {
        let outer = self.parent.map(Env::iterations).unwrap_or_default();
        match self.iteration {
            None => outer,
            Some(n) if outer.is_empty() => n.to_string(),
            Some(n) => format!("{outer}.{n}"),
        }
    }
}

/// One step in the making.
struct Machine<'a, 'h> {
    definition: &'a Definition,
    state: &'a mut RunState,
    host: &'a mut Host<'h>,
    effects: Vec<Effect>,
    /// What was told, by the wait it is for.
    told: BTreeMap<WaitId, Input>,
    /// Tasks this step may still begin.
    budget: u32,
    /// Waits from this id on were begun by this step.
    first: WaitId,
    cost: Cell<u64>,
    /// An event was taken.
    heard: bool,
}

/// Applies one input to a run.
pub fn step(definition: &Definition, state: &mut RunState, input: Input, host: &mut Host<'_>) -> Taken {
    let first = state.next;
    let mut machine = Machine {
        first,
        definition,
        state,
        host,
        effects: Vec::new(),
        told: BTreeMap::new(),
        budget: STEP_TASKS,
        cost: Cell::new(0),
        heard: false,
    };
    let ignored = !machine.take(input);
    Taken { effects: machine.effects, cost: machine.cost.get(), ignored, heard: machine.heard }
}

/// Ends a run with an error of the host: what a step of it led to can never be stored. Nothing where it has ended.
pub fn fault(definition: &Definition, state: &mut RunState, error: FlowError, host: &mut Host<'_>) -> Taken {
    let first = state.next;
    let ignored = state.status.has_ended();
    let (effects, told, cost) = (Vec::new(), BTreeMap::new(), Cell::new(0));
    let mut machine = Machine { definition, state, host, effects, told, budget: STEP_TASKS, first, cost, heard: false };
    if !ignored {
        machine.fault(error);
    }
    Taken { effects: machine.effects, cost: machine.cost.get(), ignored, heard: false }
}

impl Machine<'_, '_> {
    /// False: the input changes nothing.
    fn take(&mut self, input: Input) -> bool {
        let status = self.state.status;
        match input {
            Input::Start if status == Status::Pending => self.start(),
            Input::RetryFrom { task } if status == Status::Faulted => return self.retry_from(&task),
            Input::Cancel if !status.has_ended() => self.cancel(),
            Input::Suspend if matches!(status, Status::Running | Status::Waiting) => {
                self.state.status = Status::Suspended;
                self.lifecycle("suspended", "suspendedAt", Value::Null);
            }
            Input::Resume if status == Status::Suspended => self.resume(),
            Input::Continue if status == Status::Running => self.go_on(),
            Input::CallDone { .. } | Input::TimerFired { .. } | Input::Event { .. } | Input::ChildDone { .. } => {
                return self.tell(input);
            }
            _ => return false,
        }
        true
    }

    fn tell(&mut self, input: Input) -> bool {
        let (Input::CallDone { id, .. }
        | Input::TimerFired { id }
        | Input::Event { id, .. }
        | Input::ChildDone { id, .. }) = input
        else {
            return false;
        };
        let again = matches!(&input, Input::Event { seq, .. } if self.state.holds_event(id, *seq));
        if !self.awaits(id) || self.state.holds(id) || again {
            return false;
        }
        match self.state.status {
            Status::Suspended => {
                self.heard |= matches!(input, Input::Event { .. });
                self.state.held.push_back(input);
                self.bound_state();
            }
            _ => {
                self.told.insert(id, input);
                self.go_on();
            }
        }
        true
    }

    fn awaits(&self, id: WaitId) -> bool {
        let mut found = false;
        self.state.each_open(&mut |open| found |= open.id() == id);
        found
    }

    fn start(&mut self) {
        self.state.started_at = self.host.now;
        self.state.status = Status::Running;
        let id = &self.state.flow;
        let definition = json!({"namespace": id.namespace, "name": id.name, "version": id.version});
        self.lifecycle("started", "startedAt", json!({"definition": definition}));
        match self.begin() {
            Ok(()) => self.go_on(),
            Err(error) => self.fault(error),
        }
    }

    fn begin(&mut self) -> Result<(), FlowError> {
        let definition = self.definition;
        let env = Env::root();
        if let Some(schema) = &definition.data.input_schema {
            schema.check("the input", &self.state.input)?;
        }
        let input = match &definition.data.input_from {
            Some(from) => from.eval(&self.state.input, &self.arguments(Place::FlowInput, &env))?,
            None => self.state.input.clone(),
        };
        if let Some(timeout) = &definition.timeout {
            let length = timeout.eval(&input, &self.arguments(Place::FlowOutput, &env))?;
            self.state.deadline = Some(self.set_timer(length));
        }
        self.state.root = Some(Scope::new(input));
        Ok(())
    }

    fn resume(&mut self) {
        self.state.status = Status::Running;
        self.lifecycle("resumed", "resumedAt", Value::Null);
        // One after the other, as they would have come.
        let held = std::mem::take(&mut self.state.held);
        self.go_on();
        for input in held {
            if self.state.status.has_ended() {
                break;
            }
            self.tell(input);
        }
    }

    /// Goes through the tree.
    fn go_on(&mut self) {
        if let Some(timer) = self.state.deadline
            && self.fired(timer.id)
        {
            self.state.deadline = None;
            return self.fault(FlowError::new(Standard::Timeout, "the flow took longer than it may").at("/"));
        }
        let Some(mut root) = self.state.root.take() else { return };
        let definition = self.definition;
        let polled = self.list(&definition.tasks, &mut root, &Env::root());
        self.state.root = Some(root);
        match polled {
            Ok(Progress::Pending) if self.budget == 0 => {
                self.state.status = Status::Running;
                self.effects.push(Effect::Continue);
            }
            Ok(Progress::Pending) => self.state.status = Status::Waiting,
            Ok(Progress::Done(output, _)) => match self.output(output) {
                Ok(output) => self.complete(output),
                Err(error) => self.fault(error),
            },
            Err(error) => self.fault(error),
        }
        self.bound_state();
    }

    fn output(&mut self, data: Value) -> Result<Value, FlowError> {
        let definition = self.definition;
        let output = match &definition.data.output_as {
            Some(as_) => as_.eval(&data, &self.arguments(Place::FlowOutput, &Env::root()))?,
            None => data,
        };
        if let Some(schema) = &definition.data.output_schema {
            schema.check("the output", &output)?;
        }
        Ok(output)
    }

    fn complete(&mut self, mut output: Value) {
        self.close();
        secrets::hide_marks(&self.state.nonce, &mut output);
        self.forget_tree();
        self.lifecycle("completed", "completedAt", json!({"output": output}));
        self.end(Status::Completed, Outcome::Completed { output });
    }

    /// The tree stays as it is, so that a person can have the task done again.
    fn fault(&mut self, error: FlowError) {
        self.close();
        let mut error = error.at("/");
        for text in [&mut error.title, &mut error.detail].into_iter().flatten() {
            *text = secrets::without_marks(&self.state.nonce, text);
        }
        self.lifecycle("faulted", "faultedAt", json!({"error": error.to_value()}));
        self.end(Status::Faulted, Outcome::Faulted { error });
    }

    fn cancel(&mut self) {
        self.close();
        self.forget_tree();
        self.lifecycle("cancelled", "cancelledAt", Value::Null);
        self.end(Status::Cancelled, Outcome::Cancelled);
    }

    fn end(&mut self, status: Status, outcome: Outcome) {
        self.state.status = status;
        self.state.held.clear();
        self.state.outcome = Some(outcome.clone());
        self.effects.push(Effect::Finished(outcome));
    }

    /// Nothing is waited for any more.
    fn close(&mut self) {
        if let Some(timer) = self.state.deadline.take() {
            self.cancel_wait(Effect::CancelTimer { id: timer.id });
        }
        if let Some(root) = self.state.root.take() {
            self.abandon_list(&root);
            self.state.root = Some(root);
        }
    }

    fn forget_tree(&mut self) {
        self.state.root = None;
        self.state.contexts = Contexts::default();
    }

    fn bound_state(&mut self) {
        if self.state.status.has_ended() && self.state.root.is_none() {
            return;
        }
        if let Some(root) = &self.state.root {
            kept::tidy(root, &mut self.state.contexts);
        }
        let mut bytes = size_of_state(self.state);
        // What is kept for tasks that may be done again goes before the run does.
        for (limit, most) in [(KEPT_BYTES, KEPT_BYTES), (STATE_BYTES, 0)] {
            if let Some(root) = &mut self.state.root
                && bytes > limit
                && kept::bound(root, &mut self.state.contexts, most)
            {
                bytes = size_of_state(self.state);
            }
        }
        if bytes <= STATE_BYTES {
            return;
        }
        let detail = format!(
            "the state of the run has {bytes} bytes; at most {STATE_BYTES} are allowed: keep less in outputs and in the context"
        );
        if !self.state.status.has_ended() {
            self.fault(FlowError::new(Standard::Runtime, detail));
        }
        // What is too large is not kept, faulted or not.
        self.forget_tree();
        self.state.context = Value::Null;
        if size_of(&self.state.input) > STATE_BYTES / 2 {
            self.state.input = Value::Null;
        }
    }

    /// The time for the whole run begins anew.
    fn restart_deadline(&mut self) {
        if let Some(timeout) = &self.definition.timeout
            && let Ok(length) = timeout.eval(&self.state.input, &self.arguments(Place::FlowOutput, &Env::root()))
        {
            self.state.deadline = Some(self.set_timer(length));
        }
    }

    fn next_id(&mut self) -> WaitId {
        let id = self.state.next;
        self.state.next += 1;
        id
    }

    fn set_timer(&mut self, after: Duration) -> Timer {
        let timer = Timer { id: self.next_id(), at: self.host.now.plus(after) };
        self.effects.push(Effect::SetTimer { id: timer.id, at: timer.at });
        timer
    }

    fn fired(&mut self, id: WaitId) -> bool {
        matches!(self.told.get(&id), Some(Input::TimerFired { .. })) && self.told.remove(&id).is_some()
    }

    fn clear(&mut self, timer: Option<Timer>) {
        if let Some(timer) = timer {
            self.cancel_wait(Effect::CancelTimer { id: timer.id });
        }
    }

    /// Takes back what this step itself asked for, or asks the host to.
    fn cancel_wait(&mut self, cancel: Effect) {
        let (Effect::CancelTimer { id }
        | Effect::CancelCall { id }
        | Effect::CancelListen { id }
        | Effect::CancelRun { id }) = &cancel
        else {
            return;
        };
        let id = *id;
        self.effects.retain(|effect| match effect {
            Effect::SetTimer { id: set, .. } => *set != id,
            Effect::Call(call) => call.id != id,
            Effect::Listen(listen) => listen.id != id,
            Effect::StartRun(run) => run.id != id,
            _ => true,
        });
        if id < self.first {
            self.effects.push(cancel);
        }
    }

    fn abandon_list(&mut self, scope: &Scope) {
        let mut cancels = Vec::new();
        scope.each_open(&mut |open| cancels.push(cancel_of(&open)));
        cancels.into_iter().for_each(|cancel| self.cancel_wait(cancel));
    }

    fn abandon(&mut self, frame: &Frame) {
        let mut cancels = Vec::new();
        frame.each_open(&mut |open| cancels.push(cancel_of(&open)));
        cancels.into_iter().for_each(|cancel| self.cancel_wait(cancel));
    }

    fn lifecycle(&mut self, what: &str, when: &str, more: Value) {
        let id = &self.state.flow;
        let mut data = json!({"name": format!("{}-{}.{}", id.name, self.state.id, id.namespace)});
        data[when] = Value::String(self.host.now.to_string());
        if let Value::Object(more) = more {
            for (key, mut value) in more {
                secrets::hide_marks(&self.state.nonce, &mut value);
                data[key] = value;
            }
        }
        self.effects.push(Effect::Lifecycle { kind: format!("io.serverlessworkflow.workflow.{what}.v1"), data });
    }

    /// Keeps what a task did, and publishes it where the flow asks for that.
    fn record(&mut self, node: &Node, env: &Env<'_>, phase: StepPhase, mut data: Value) {
        secrets::hide_marks(&self.state.nonce, &mut data);
        if self.definition.settings.task_events {
            self.task_event(node, phase, &data);
        }
        self.effects.push(Effect::Step(Step {
            task: node.pointer.clone(),
            name: node.name.clone(),
            iteration: env.iterations(),
            phase,
            at: self.host.now,
            data,
        }));
    }

    fn task_event(&mut self, node: &Node, phase: StepPhase, data: &Value) {
        let (what, when, more) = match phase {
            StepPhase::Started => ("started", "startedAt", None),
            StepPhase::Retried => ("retried", "retriedAt", None),
            StepPhase::Completed => ("completed", "completedAt", Some("output")),
            StepPhase::Faulted => ("faulted", "faultedAt", Some("error")),
            StepPhase::Cancelled => ("cancelled", "cancelledAt", None),
            StepPhase::Skipped => return,
        };
        let id = &self.state.flow;
        let mut event = json!({
            "workflow": format!("{}-{}.{}", id.name, self.state.id, id.namespace),
            "task": node.pointer,
        });
        event[when] = Value::String(self.host.now.to_string());
        if let Some(key) = more {
            event[key] = data.clone();
        }
        self.effects.push(Effect::Lifecycle { kind: format!("io.serverlessworkflow.task.{what}.v1"), data: event });
    }

    /// The same for every attempt at a task in the same iteration.
    fn key(&self, node: &Node, env: &Env<'_>) -> String {
        let text = format!("{}\n{}\n{}", self.state.id, node.pointer, env.iterations());
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        data_encoding::HEXLOWER.encode(digest.as_ref().get(..16).unwrap_or_default())
    }
}

/// An event's data.
fn task_data(event: &Value) -> Value {
    event.get("data").or_else(|| event.get("data_base64")).cloned().unwrap_or_default()
}

fn cancel_of(open: &Open<'_>) -> Effect {
    match open {
        Open::Call(call) => Effect::CancelCall { id: call.id },
        Open::Child(child) => Effect::CancelRun { id: child.id },
        Open::Listen(listening) => Effect::CancelListen { id: listening.request.id },
        Open::Timer(timer) => Effect::CancelTimer { id: timer.id },
    }
}

/// Counts what is written.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn size_of_state(state: &RunState) -> usize {
    let mut counter = Counter(0);
    // What can't be written has no size that would do.
    serde_json::to_writer(&mut counter, state).map_or(usize::MAX, |()| counter.0)
}

fn size_of(value: &Value) -> usize {
    let mut counter = Counter(0);
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}
