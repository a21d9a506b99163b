//! The host in memory: performs what runs ask for with stand-ins, a clock that jumps from one due time to the next, and a
//! log of its own.

use std::collections::BTreeMap;

use nexus_core::time::Timestamp;
use serde_json::{Map, Value};

use super::{Called, Others, RUNS, Rehearsal, STEPS, Script, Stopped, What};
use crate::{
    duration::LONGEST,
    effect::{Body, Call, CallTarget, Effect, Input, Listen, Outcome, StartRun, Step, WaitId},
    plan::{Definition, FlowId},
    run::{self, Host, state::RunState},
    secrets::{self, Secrets},
};

/// The way to the flow's own run.
const ROOT: &str = "";

struct Hosted<'d> {
    definition: &'d Definition,
    state: RunState,
    timers: BTreeMap<WaitId, Timestamp>,
    calls: BTreeMap<WaitId, Call>,
    listens: BTreeMap<WaitId, (Listen, usize)>,
    children: BTreeMap<WaitId, StartRun>,
    go_on: bool,
}

/// The host.
pub(super) struct World<'d> {
    definition: &'d Definition,
    others: &'d Others<'d>,
    runs: BTreeMap<String, Hosted<'d>>,
    secrets: Secrets,
    script: Script,
    now: Timestamp,
    log: Vec<Value>,
    steps: Vec<Step>,
    calls: Vec<Called>,
    emitted: Vec<Value>,
    stopped: Option<Stopped>,
    /// The next of the script's events.
    next: usize,
    taken: usize,
    cost: u64,
    random: u64,
}

impl<'d> World<'d> {
    pub(super) fn new(definition: &'d Definition, others: &'d Others<'d>, mut script: Script) -> Self {
        script.events.sort_by_key(|(after, _)| *after);
        let declared = std::iter::once(definition).chain(others.values().copied()).flat_map(|d| &d.secrets);
        let made_up = declared.map(|name| (name.clone(), Value::String(format!("stand-in for {name}"))));
        let secrets = made_up.collect::<Secrets>().and(std::mem::take(&mut script.secrets));
        Self {
            definition,
            others,
            runs: BTreeMap::new(),
            secrets,
            now: script.begins,
            script,
            log: Vec::new(),
            steps: Vec::new(),
            calls: Vec::new(),
            emitted: Vec::new(),
            stopped: None,
            next: 0,
            taken: 0,
            cost: 0,
            random: 42,
        }
    }

    pub(super) fn play(mut self) -> Rehearsal {
        let input = std::mem::take(&mut self.script.input);
        self.begin(ROOT.to_owned(), self.definition, input);
        let until = self.script.begins.plus(self.script.advance.unwrap_or(LONGEST));
        loop {
            self.settle();
            if self.stopped.is_some() || self.ended() || !self.pass(until) {
                break;
            }
        }
        if self.script.advance.is_some() && !self.ended() && self.stopped.is_none() {
            self.now = until;
        }
        self.report()
    }

    fn ended(&self) -> bool {
        self.runs.get(ROOT).is_some_and(|hosted| hosted.state.status.has_ended())
    }

    fn report(mut self) -> Rehearsal {
        let took_ms = self.now.since(self.script.begins);
        let root = self.runs.remove(ROOT);
        let waiting = root.as_ref().map(|hosted| hosted.state.waiting_for(hosted.definition)).unwrap_or_default();
        let status = match (&self.stopped, &root) {
            (Some(_), _) | (_, None) => "stopped",
            (None, Some(hosted)) => hosted.state.status.as_str(),
        };
        Rehearsal {
            flow: self.definition.id.clone(),
            status: status.to_owned(),
            outcome: root.and_then(|hosted| hosted.state.outcome),
            stopped: self.stopped,
            steps: self.steps,
            calls: self.calls,
            emitted: self.emitted,
            waiting,
            took_ms,
            cost: self.cost,
        }
    }

    fn begin(&mut self, run: String, definition: &'d Definition, input: Value) {
        if self.runs.len() >= RUNS {
            self.stop(Stopped::Circle { limit: format!("it started {RUNS} flows") });
            return;
        }
        let id = format!("{}{run}", self.script.run);
        // A run's marks of secrets need only be its own: nothing of a rehearsal leaves this process.
        let mut nonce = [7; 16];
        for (byte, n) in nonce.iter_mut().zip(self.runs.len().to_le_bytes()) {
            *byte = n;
        }
        let hosted = Hosted {
            definition,
            state: RunState::new(id, definition.id.clone(), input, self.now, nonce),
            timers: BTreeMap::new(),
            calls: BTreeMap::new(),
            listens: BTreeMap::new(),
            children: BTreeMap::new(),
            go_on: false,
        };
        self.runs.insert(run.clone(), hosted);
        self.tell(&run, Input::Start);
    }

    fn stop(&mut self, why: Stopped) {
        self.stopped.get_or_insert(why);
    }

    /// Goes to the next moment at which something happens; false when there is none before `until`.
    fn pass(&mut self, until: Timestamp) -> bool {
        let timers = self
            .runs
            .iter()
            .flat_map(|(run, hosted)| hosted.timers.iter().map(move |(id, at)| (*at, run.clone(), *id)));
        let due = timers.min();
        let event = self.script.events.get(self.next).map(|(after, _)| self.script.begins.plus(*after));
        match (due, event) {
            // What came in time is not too late because the clock is coarse.
            (due, Some(at)) if at <= until && due.as_ref().is_none_or(|(due, ..)| at <= *due) => {
                self.now = self.now.max(at);
                if let Some((_, event)) = self.script.events.get(self.next) {
                    let event = super::complete(event, self.next + 1, self.now);
                    self.log.push(event);
                }
                self.next += 1;
                true
            }
            (Some((at, run, id)), _) if at <= until => {
                self.now = self.now.max(at);
                if let Some(hosted) = self.runs.get_mut(&run) {
                    hosted.timers.remove(&id);
                }
                self.tell(&run, Input::TimerFired { id });
                true
            }
            _ => false,
        }
    }

    /// Does everything that needs no time.
    fn settle(&mut self) {
        loop {
            let names: Vec<String> = self.runs.keys().cloned().collect();
            let mut idle = true;
            for run in names {
                while self.stopped.is_none()
                    && let Some(input) = self.next_input(&run)
                {
                    idle = false;
                    self.tell(&run, input);
                }
            }
            if idle || self.stopped.is_some() {
                return;
            }
        }
    }

    fn next_input(&mut self, run: &str) -> Option<Input> {
        let hosted = self.runs.get_mut(run)?;
        if std::mem::take(&mut hosted.go_on) {
            return Some(Input::Continue);
        }
        while let Some((id, call)) = self.runs.get_mut(run)?.calls.pop_first() {
            if let Some(answer) = self.call(run, &call) {
                return Some(Input::CallDone { id, answer });
            }
            if self.stopped.is_some() {
                return None;
            }
        }
        let hosted = self.runs.get_mut(run)?;
        for (id, (_, position)) in &mut hosted.listens {
            if let Some(event) = self.log.get(*position) {
                *position += 1;
                return Some(Input::Event { id: *id, seq: *position as u64, event: event.clone() });
            }
        }
        self.child_input(run)
    }

    /// Begins the flows that were asked for; tells of one that has ended.
    fn child_input(&mut self, run: &str) -> Option<Input> {
        let children: Vec<StartRun> = self.runs.get(run)?.children.values().cloned().collect();
        for child in children {
            let name = format!("{run}/{}", child.id);
            if let Some(hosted) = self.runs.get(&name) {
                let Some(outcome) = hosted.state.outcome.clone() else { continue };
                self.runs.get_mut(run)?.children.remove(&child.id);
                if child.wait {
                    return Some(Input::ChildDone { id: child.id, outcome });
                }
                continue;
            }
            if let Some(definition) = self.find(&child.flow) {
                self.begin(name, definition, child.input.clone());
                continue;
            }
            self.runs.get_mut(run)?.children.remove(&child.id);
            if let Some(outcome) = self.elsewhere(run, &child) {
                return Some(Input::ChildDone { id: child.id, outcome });
            }
        }
        None
    }

    /// A flow that is not at hand: a stand-in tells how it ends, where that matters.
    fn elsewhere(&mut self, run: &str, child: &StartRun) -> Option<Outcome> {
        let what = What::Flow { flow: child.flow.to_string(), input: child.input.clone() };
        let called = self.called(run, &child.task, what);
        self.calls.push(called.clone());
        if !child.wait {
            return None;
        }
        match self.stub(&called) {
            Some(n) => self.script.stubs.get(n).and_then(|stub| stub.reply.outcome()),
            None => {
                self.stop(Stopped::WouldCall(called));
                None
            }
        }
    }

    fn find(&self, flow: &FlowId) -> Option<&'d Definition> {
        let all = std::iter::once(self.definition).chain(self.others.values().copied());
        let found = all.filter(|d| {
            (&d.id.namespace, &d.id.name) == (&flow.namespace, &flow.name)
                && (flow.version == "latest" || d.id.version == flow.version)
        });
        found.max_by_key(|d| numbers(&d.id.version))
    }

    /// Answers a call with the first stand-in that fits. `None`: no answer ever comes, or the rehearsal stopped.
    fn call(&mut self, run: &str, call: &Call) -> Option<crate::effect::Answer> {
        let nonce = self.runs.get(run)?.state.nonce().to_owned();
        let called = self.called(run, &call.task, shown(call, &nonce));
        self.calls.push(called.clone());
        match self.stub(&called) {
            Some(n) => self.script.stubs.get(n).and_then(|stub| stub.reply.answer(&called.what)),
            None => {
                self.stop(Stopped::WouldCall(called));
                None
            }
        }
    }

    fn called(&self, run: &str, task: &str, what: What) -> Called {
        let name = task.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
        Called { run: run.to_owned(), task: task.to_owned(), name, after_ms: self.now.since(self.script.begins), what }
    }

    fn stub(&mut self, called: &Called) -> Option<usize> {
        let found = self.script.stubs.iter().position(|stub| stub.times != Some(0) && stub.of.fits(called))?;
        if let Some(times) = self.script.stubs.get_mut(found).and_then(|stub| stub.times.as_mut()) {
            *times -= 1;
        }
        Some(found)
    }

    /// One step of a run.
    fn tell(&mut self, run: &str, input: Input) {
        self.taken += 1;
        if self.taken > STEPS {
            return self.stop(Stopped::Circle { limit: format!("its runs took {STEPS} steps") });
        }
        let random = &mut self.random;
        // Any numbers do, as long as they are the same every time.
        let mut next = || {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *random >> 16
        };
        let Some(hosted) = self.runs.get_mut(run) else { return };
        let mut host = Host { now: self.now, random: &mut next, secrets: &self.secrets, may_emit: &|_| Ok(()) };
        let taken = run::step(hosted.definition, &mut hosted.state, input, &mut host);
        self.cost = self.cost.saturating_add(taken.cost);
        for effect in taken.effects {
            self.keep(run, effect);
        }
    }

    fn keep(&mut self, run: &str, effect: Effect) {
        let log = self.log.len();
        let Some(hosted) = self.runs.get_mut(run) else { return };
        match effect {
            Effect::Call(call) => {
                hosted.calls.insert(call.id, call);
            }
            Effect::CancelCall { id } => {
                hosted.calls.remove(&id);
            }
            Effect::SetTimer { id, at } => {
                hosted.timers.insert(id, at);
            }
            Effect::CancelTimer { id } => {
                hosted.timers.remove(&id);
            }
            Effect::Listen(listen) => {
                let first = if listen.from_trigger { 0 } else { log };
                let position = hosted.listens.get(&listen.id).map_or(first, |(_, position)| *position);
                hosted.listens.insert(listen.id, (listen, position));
            }
            Effect::CancelListen { id } => {
                hosted.listens.remove(&id);
            }
            Effect::StartRun(child) => {
                hosted.children.insert(child.id, child);
            }
            Effect::CancelRun { id } => {
                hosted.children.remove(&id);
                self.tell(&format!("{run}/{id}"), Input::Cancel);
            }
            Effect::Emit { event } => {
                self.log.push(event.clone());
                self.emitted.push(event);
            }
            Effect::Step(step) if run == ROOT => self.steps.push(step),
            Effect::Step(_) | Effect::Lifecycle { .. } => {}
            Effect::Continue => hosted.go_on = true,
            Effect::Finished(_) => {
                hosted.timers.clear();
                hosted.calls.clear();
                hosted.listens.clear();
            }
        }
    }
}

/// `1.10.0` as what it means.
fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).take(3).map(|n| n.parse().unwrap_or(0)).collect()
}

/// A call as people may see it.
fn shown(call: &Call, nonce: &str) -> What {
    let hidden = |value: &Value| {
        let mut value = value.clone();
        secrets::hide_marks(nonce, &mut value);
        value
    };
    match &call.target {
        CallTarget::Http(request) => {
            let body = match &request.body {
                None => Value::Null,
                Some(Body::Json(value)) => value.clone(),
                Some(Body::Text(text)) => text.clone().into(),
                Some(Body::Form(fields)) => {
                    fields.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect::<Map<_, _>>().into()
                }
            };
            let headers: Map<String, Value> =
                request.headers.iter().map(|(k, v)| (k.clone(), hidden(&v.as_str().into()))).collect();
            let authentication = serde_json::to_value(&request.authentication).unwrap_or_default();
            What::Http {
                method: request.method.clone(),
                uri: request.shown_url(nonce),
                headers,
                body: hidden(&body),
                authentication: hidden(&authentication),
            }
        }
        CallTarget::Function { name, version, with } => {
            What::Function { function: name.clone(), version: version.clone(), with: hidden(with) }
        }
    }
}
