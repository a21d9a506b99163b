//! What expressions see of a run, and what people see: what it waits for, and until when.

use std::cell::Cell;

use nexus_core::time::Timestamp;
use nexus_engine::jq::Usage;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Env, Machine,
    state::{Doing, Frame, RunState, Scope, Stage, TryPhase},
};
use crate::{
    effect::{CallTarget, Interest},
    error::{FlowError, Standard},
    expression::{Arguments, Place},
    plan::{AuthScheme, Definition, Node, Work},
    pointer::Pointer,
    secrets::Secrets,
};

/// The arguments of an expression.
pub(super) struct View<'v> {
    definition: &'v Definition,
    state: &'v RunState,
    secrets: &'v Secrets,
    cost: &'v Cell<u64>,
    env: &'v Env<'v>,
    place: Place,
    task: Option<(&'v Node, &'v Frame)>,
    raw_output: Option<&'v Value>,
    output: Option<&'v Value>,
    with_definition: bool,
}

impl Machine<'_, '_> {
    pub(super) fn arguments<'v>(&'v self, place: Place, env: &'v Env<'v>) -> View<'v> {
        View {
            definition: self.definition,
            state: self.state,
            secrets: self.host.secrets,
            cost: &self.cost,
            env,
            place,
            task: None,
            raw_output: None,
            output: None,
            with_definition: false,
        }
    }

    /// A secret of the host's, marked.
    pub(super) fn secret(&self, name: &str) -> Result<Value, FlowError> {
        secret(self.host.secrets, self.state, name)
    }
}

fn secret(secrets: &Secrets, state: &RunState, name: &str) -> Result<Value, FlowError> {
    secrets.marked(&state.nonce, name).ok_or_else(|| {
        FlowError::new(
            Standard::Authorization,
            format!("the secret {name:?} does not exist, or this flow may not use it"),
        )
    })
}

impl<'v> View<'v> {
    /// In this task.
    pub(super) fn of(self, node: &'v Node, frame: &'v Frame) -> Self {
        Self { task: Some((node, frame)), ..self }
    }

    /// After the task gave this.
    pub(super) fn gave(self, raw: &'v Value) -> Self {
        Self { raw_output: Some(raw), ..self }
    }

    /// After `output.as` made this of it.
    pub(super) fn output(self, output: &'v Value) -> Self {
        Self { output: Some(output), ..self }
    }

    /// `$task` also shows the fields of its definition, as conditions of extensions expect.
    pub(super) fn with_definition(self) -> Self {
        Self { with_definition: true, ..self }
    }

    fn secrets(&self, usage: &Usage) -> Result<Value, FlowError> {
        let fields = usage.fields.iter().map(|name| Ok((name.clone(), secret(self.secrets, self.state, name)?)));
        fields.collect::<Result<Map<_, _>, FlowError>>().map(Value::Object)
    }

    fn workflow(&self, usage: &Usage) -> Value {
        let wants = |name: &str| usage.whole || usage.fields.iter().any(|field| field == name);
        let state = self.state;
        let mut found = Map::new();
        if wants("id") {
            found.insert("id".into(), state.id.clone().into());
        }
        if wants("definition") {
            found.insert("definition".into(), self.definition.source.clone());
        }
        if wants("input") {
            found.insert("input".into(), state.input.clone());
        }
        if wants("startedAt") {
            found.insert("startedAt".into(), moment(state.started_at));
        }
        found.into()
    }

    fn task(&self, usage: &Usage) -> Value {
        let Some((node, frame)) = self.task else { return Value::Null };
        let wants = |name: &str| usage.whole || usage.fields.iter().any(|field| field == name);
        let definition = || self.definition.source.pointer(&node.defined_at).cloned().unwrap_or_default();
        let mut found = match (self.with_definition, definition()) {
            (true, Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        found.insert("name".into(), node.name.clone().into());
        found.insert("reference".into(), node.pointer.clone().into());
        if wants("definition") {
            found.insert("definition".into(), definition());
        }
        if wants("input") {
            found.insert("input".into(), frame.raw.clone());
        }
        if let Some(output) = self.raw_output
            && wants("output")
        {
            found.insert("output".into(), output.clone());
        }
        if wants("startedAt") {
            found.insert("startedAt".into(), moment(frame.started_at));
        }
        found.into()
    }

    fn authorization(&self) -> Value {
        let Some((node, _)) = self.task else { return Value::Null };
        let plan = match &node.work {
            Work::Http(plan) => plan.authentication.as_ref(),
            Work::OpenApi(plan) => plan.authentication.as_ref(),
            _ => None,
        };
        // The parameter is a secret, or made of one: it stays out of the run.
        plan.map_or(Value::Null, |plan| {
            let scheme = match plan.scheme {
                AuthScheme::Basic => "Basic",
                AuthScheme::Bearer | AuthScheme::OAuth2 => "Bearer",
            };
            json!({"scheme": scheme, "parameter": Value::Null})
        })
    }
}

impl Arguments for View<'_> {
    fn get(&self, name: &str, usage: &Usage) -> Result<Value, FlowError> {
        if let Some(value) = self.env.get(name) {
            return Ok(value.clone());
        }
        if !self.place.arguments().contains(&name) {
            return Ok(Value::Null);
        }
        Ok(match name {
            "context" => self.state.context.clone(),
            "input" => self.task.map_or(Value::Null, |(_, frame)| frame.input().clone()),
            "output" => self.output.cloned().unwrap_or_default(),
            "secrets" => self.secrets(usage)?,
            "workflow" => self.workflow(usage),
            "task" => self.task(usage),
            "authorization" => self.authorization(),
            "runtime" => json!({"name": "nexus", "version": env!("CARGO_PKG_VERSION"), "metadata": {}}),
            _ => Value::Null,
        })
    }

    fn spent(&self, cost: u64) {
        self.cost.set(self.cost.get().saturating_add(cost));
    }
}

/// A moment, as expressions see it.
fn moment(at: Timestamp) -> Value {
    json!({"iso8601": at.to_string(), "epoch": {"seconds": at.secs(), "milliseconds": at.millis()}})
}

/// Something a run waits for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Waiting {
    /// The task that waits.
    pub task: String,
    /// For what.
    #[serde(flatten)]
    pub what: WaitingFor,
    /// When the wait ends at the latest: by itself, or by a timeout of the task, of one around it, or of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a run can wait for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum WaitingFor {
    /// A time.
    Time,
    /// The next attempt after an error.
    Retry {
        /// The attempts so far.
        attempts: u32,
        /// The error.
        error: FlowError,
    },
    /// An answer.
    Call {
        /// From where: a host, or a function of the hub.
        from: String,
        /// The call's idempotency key.
        key: String,
        /// Why the hub itself keeps it waiting, where it does.
        #[serde(skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    /// Events.
    Events {
        /// What would do.
        filters: Vec<Interest>,
        /// How many were taken so far.
        taken: usize,
    },
    /// Another flow.
    Flow {
        /// Which.
        flow: String,
    },
    /// A person to resume it.
    Resume,
    /// Its turn: another run of its flow has the same key.
    Turn {
        /// Which; none: it just ended.
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        /// The key.
        key: String,
        /// Since when it waits.
        since: Timestamp,
    },
    /// A person to decide.
    Approval {
        /// The approval.
        id: String,
        /// What is asked.
        title: String,
        /// Whom.
        #[serde(skip_serializing_if = "Option::is_none")]
        assignee: Option<String>,
    },
}

impl RunState {
    /// Everything the run waits for. `definition`: the one it runs.
    pub fn waiting_for(&self, definition: &Definition) -> Vec<Waiting> {
        let mut found = Vec::new();
        if self.status.has_ended() {
            return found;
        }
        let until = self.deadline.as_ref().map(|timer| timer.at);
        if self.status == super::state::Status::Suspended {
            found.push(Waiting { task: "/".into(), what: WaitingFor::Resume, until: None });
        }
        if let Some(root) = &self.root {
            list(root, "", "do", until, &mut found);
        }
        for waiting in &mut found {
            if matches!(waiting.what, WaitingFor::Time | WaitingFor::Retry { .. }) {
                waiting.task = named(&definition.source, &waiting.task);
            }
        }
        found
    }
}

/// `/do/0` with the name of the task that stands there: `/do/0/pay`.
fn named(source: &Value, path: &str) -> String {
    let mut at = Some(source);
    let mut out = Pointer::root();
    for piece in path.split('/').skip(1) {
        out = out.key(piece);
        at = match at {
            Some(Value::Array(items)) => {
                let item = piece.parse::<usize>().ok().and_then(|n| items.get(n)).and_then(Value::as_object);
                item.and_then(|item| item.iter().next()).map(|(name, task)| {
                    out = out.key(name);
                    task
                })
            }
            other => other.and_then(|value| value.get(piece)),
        };
    }
    out.into_string()
}

fn sooner(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn list(scope: &Scope, at: &str, key: &str, until: Option<Timestamp>, found: &mut Vec<Waiting>) {
    if let Some(task) = &scope.task {
        frame(task, &format!("{at}/{key}/{}", scope.index), until, found);
    }
}

fn frame(frame: &Frame, at: &str, until: Option<Timestamp>, found: &mut Vec<Waiting>) {
    let until = sooner(until, frame.timer.as_ref().map(|timer| timer.at));
    match &frame.stage {
        Stage::Begin => {}
        Stage::Before { scope, .. } => list(scope, at, "before", until, found),
        Stage::After { scope, .. } => list(scope, at, "after", until, found),
        Stage::Work(doing) => work(doing, at, until, found),
    }
}

fn work(doing: &Doing, at: &str, until: Option<Timestamp>, found: &mut Vec<Waiting>) {
    let mut add = |task: &str, what, until| found.push(Waiting { task: task.to_owned(), what, until });
    match doing {
        Doing::Fresh => {}
        Doing::Call { call, .. } => {
            let from = match &call.target {
                CallTarget::Http(request) => host_of(&request.uri).to_owned(),
                CallTarget::Function { name, version, .. } => format!("{name}:{version}"),
            };
            add(&call.task, WaitingFor::Call { from, key: call.key.clone(), because: None }, until);
        }
        Doing::Child(child) => add(&child.task, WaitingFor::Flow { flow: child.flow.to_string() }, until),
        Doing::Wait(timer) => add(at, WaitingFor::Time, sooner(until, Some(timer.at))),
        Doing::Inline(inner) => frame(inner, at, until, found),
        Doing::List(scope) => list(scope, at, "do", until, found),
        Doing::Loop { scope, .. } => list(scope, at, "do", until, found),
        Doing::Fork(branches) => {
            for (n, branch) in branches.iter().enumerate() {
                if let super::state::Branch::Running(inner) = branch {
                    frame(inner, &format!("{at}/fork/branches/{n}"), until, found);
                }
            }
        }
        Doing::Listen(listening) => {
            if !listening.closed {
                let what =
                    WaitingFor::Events { filters: listening.request.filters.clone(), taken: listening.consumed.len() };
                add(&listening.request.task, what, until);
            }
            if let Some(each) = &listening.each {
                list(&each.scope, at, "foreach/do", until, found);
            }
        }
        Doing::Try(trying) => match &trying.phase {
            TryPhase::Attempt { scope, timer } => {
                list(scope, at, "try", sooner(until, timer.as_ref().map(|timer| timer.at)), found);
            }
            TryPhase::Pause { timer, error } => {
                let what = WaitingFor::Retry { attempts: trying.retries + 1, error: error.clone() };
                add(at, what, sooner(until, Some(timer.at)));
            }
            TryPhase::Handle { scope, .. } => list(scope, at, "catch/do", until, found),
        },
    }
}

fn host_of(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}
