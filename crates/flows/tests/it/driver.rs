//! A host in memory: performs what a run asks for with a test clock, stand-ins and an event log, and can lose everything
//! but the stored state between any two steps.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::time::Timestamp;
use nexus_flows::{
    Definition,
    effect::{
        Answer, Call, CallTarget, Effect, HttpResponse, Input, Listen, Outcome, Outgoing, StartRun, Step, StepPhase,
    },
    error::{FlowError, Standard},
    publish,
    run::{self, Host, state::RunState},
    secrets::Secrets,
};
use serde_json::Value;

/// Steps of all runs together before a scenario is taken to go in circles.
const STEPS: usize = 20_000;

/// Answers requests in place of the outside.
pub(crate) type Outside = Box<dyn FnMut(&Outgoing, &str) -> Result<HttpResponse, FlowError>>;

/// One run and what the host keeps of it.
pub(crate) struct Hosted {
    definition: String,
    /// The stored state: all that survives.
    stored: Vec<u8>,
    timers: BTreeMap<u64, Timestamp>,
    calls: BTreeMap<u64, Call>,
    listens: BTreeMap<u64, (Listen, usize)>,
    children: BTreeMap<u64, StartRun>,
    go_on: bool,
}

/// The host.
pub(crate) struct World {
    /// The present.
    pub(crate) now: Timestamp,
    /// What flows may pass on.
    pub(crate) secrets: Secrets,
    /// Published flows, by namespace, name and version.
    pub(crate) definitions: BTreeMap<String, Definition>,
    /// Runs, by id, in the order of their beginning.
    pub(crate) runs: BTreeMap<String, Hosted>,
    /// The log of events.
    pub(crate) log: Vec<Value>,
    /// Lifecycle events.
    pub(crate) lifecycle: Vec<(String, Value)>,
    /// What tasks did.
    pub(crate) steps: Vec<Step>,
    /// Requests that reached the outside, with their keys, one per key.
    pub(crate) performed: Vec<(String, Outgoing)>,
    answered: BTreeMap<String, Result<HttpResponse, FlowError>>,
    outside: Outside,
    started: BTreeSet<String>,
    random: u64,
    taken: usize,
    /// Which steps are followed by a crash; `None`: no step.
    crash: Option<Box<dyn FnMut() -> bool>>,
}

impl World {
    pub(crate) fn new(outside: Outside) -> Self {
        Self {
            now: Timestamp::from_secs(1_800_000_000),
            secrets: Secrets::default(),
            definitions: BTreeMap::new(),
            runs: BTreeMap::new(),
            log: Vec::new(),
            lifecycle: Vec::new(),
            steps: Vec::new(),
            performed: Vec::new(),
            answered: BTreeMap::new(),
            outside,
            started: BTreeSet::new(),
            random: 42,
            taken: 0,
            crash: None,
        }
    }

    /// Loses all but stored state after each step for which `crash` says so.
    pub(crate) fn crashing(mut self, crash: impl FnMut() -> bool + 'static) -> Self {
        self.crash = Some(Box::new(crash));
        self
    }

    pub(crate) fn publish(&mut self, text: &str) -> String {
        let definition = publish(text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        let name = definition.id.to_string();
        self.definitions.insert(name.clone(), definition);
        name
    }

    pub(crate) fn state(&self, run: &str) -> RunState {
        RunState::decode(&self.runs[run].stored).expect("a stored state")
    }

    pub(crate) fn waiting(&self, run: &str) -> Vec<nexus_flows::run::Waiting> {
        self.state(run).waiting_for(&self.definitions[&self.runs[run].definition])
    }

    pub(crate) fn outcome(&self, run: &str) -> Option<Outcome> {
        self.state(run).outcome
    }

    /// Begins a run; it goes as far as it can without time passing.
    pub(crate) fn start(&mut self, definition: &str, input: Value) -> String {
        let run = format!("run-{}", self.runs.len() + 1);
        self.begin(&run, definition, input);
        self.settle();
        run
    }

    fn begin(&mut self, run: &str, definition: &str, input: Value) {
        let id = self.definitions[definition].id.clone();
        let state = RunState::new(run, id, input, self.now, [7; 16]);
        let hosted = Hosted {
            definition: definition.to_owned(),
            stored: state.encode(),
            timers: BTreeMap::new(),
            calls: BTreeMap::new(),
            listens: BTreeMap::new(),
            children: BTreeMap::new(),
            go_on: false,
        };
        self.runs.insert(run.to_owned(), hosted);
        self.tell(run, Input::Start);
    }

    /// Publishes an event and lets it have its consequences.
    pub(crate) fn event(&mut self, event: Value) {
        self.log.push(event);
        self.settle();
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn pass(&mut self, millis: i64) {
        let until = Timestamp::from_micros(self.now.micros() + millis * 1_000);
        loop {
            self.settle();
            let due = self
                .runs
                .iter()
                .flat_map(|(run, hosted)| hosted.timers.iter().map(move |(id, at)| (*at, run.clone(), *id)))
                .min()
                .filter(|(at, ..)| *at <= until);
            let Some((at, run, id)) = due else { break };
            self.now = self.now.max(at);
            self.runs.get_mut(&run).expect("a run").timers.remove(&id);
            self.tell(&run, Input::TimerFired { id });
        }
        self.now = until;
    }

    /// Lets time pass until the run has ended or nothing is left to wait for.
    pub(crate) fn finish(&mut self, run: &str) {
        for _ in 0..1_000 {
            self.settle();
            if self.state(run).status.has_ended() {
                return;
            }
            let Some(next) = self.runs.values().flat_map(|hosted| hosted.timers.values()).min().copied() else {
                return;
            };
            let millis = (next.micros() - self.now.micros() + 999) / 1_000;
            self.pass(millis.max(1));
        }
    }

    /// Does everything that needs no time.
    pub(crate) fn settle(&mut self) {
        loop {
            let names: Vec<String> = self.runs.keys().cloned().collect();
            let mut idle = true;
            for run in names {
                while let Some(input) = self.next_input(&run) {
                    idle = false;
                    self.tell(&run, input);
                }
            }
            if idle {
                return;
            }
        }
    }

    fn next_input(&mut self, run: &str) -> Option<Input> {
        let hosted = self.runs.get_mut(run)?;
        if std::mem::take(&mut hosted.go_on) {
            return Some(Input::Continue);
        }
        if let Some(call) = hosted.calls.pop_first().map(|(_, call)| call) {
            let answer = self.perform(run, &call);
            return Some(Input::CallDone { id: call.id, answer });
        }
        let hosted = self.runs.get_mut(run)?;
        for (id, (_, position)) in &mut hosted.listens {
            if let Some(event) = self.log.get(*position) {
                *position += 1;
                return Some(Input::Event { id: *id, seq: *position as u64, event: event.clone() });
            }
        }
        let children: Vec<(u64, StartRun)> = hosted.children.iter().map(|(id, child)| (*id, child.clone())).collect();
        for (id, child) in children {
            let name = format!("child-{}", child.key);
            if self.started.insert(name.clone()) {
                let definition = self.newest(&child);
                match definition {
                    Some(definition) => self.begin(&name, &definition, child.input.clone()),
                    None => {
                        self.runs.get_mut(run)?.children.remove(&id);
                        let error = FlowError::new(Standard::Configuration, format!("there is no flow {}", child.flow));
                        return Some(Input::ChildDone { id, outcome: Outcome::Faulted { error } });
                    }
                }
            }
            if let Some(outcome) = self.runs.get(&name).and_then(|_| self.outcome(&name)) {
                self.runs.get_mut(run)?.children.remove(&id);
                if child.wait {
                    return Some(Input::ChildDone { id, outcome });
                }
            }
        }
        None
    }

    fn newest(&self, child: &StartRun) -> Option<String> {
        let found = self.definitions.values().filter(|d| {
            d.id.namespace == child.flow.namespace
                && d.id.name == child.flow.name
                && (child.flow.version == "latest" || d.id.version == child.flow.version)
        });
        found.map(|d| d.id.to_string()).max()
    }

    /// At most once per key and answer: what a deduplicating service does with `Idempotency-Key`.
    fn perform(&mut self, run: &str, call: &Call) -> Answer {
        match &call.target {
            CallTarget::Http(request) => {
                let state = self.state(run);
                let outgoing = request.outgoing(&self.secrets, state.nonce());
                let known = self.answered.get(&format!("{}#{}", call.key, call.id)).cloned();
                let answer = known.unwrap_or_else(|| {
                    self.performed.push((call.key.clone(), outgoing.clone()));
                    let answer = (self.outside)(&outgoing, &call.key);
                    self.answered.insert(format!("{}#{}", call.key, call.id), answer.clone());
                    answer
                });
                match answer {
                    Ok(response) => Answer::Http(response),
                    Err(error) => Answer::Failed { error },
                }
            }
            CallTarget::Function { name, with, .. } if name == "echo" => Answer::Value { value: with.clone() },
            CallTarget::Function { name, .. } => {
                let error = FlowError::new(Standard::Configuration, format!("there is no function {name:?}"));
                Answer::Failed { error }
            }
        }
    }

    /// One step: load, apply, store, keep the effects.
    pub(crate) fn tell(&mut self, run: &str, input: Input) -> bool {
        self.taken += 1;
        assert!(self.taken < STEPS, "the scenario goes in circles");
        let mut state = self.state(run);
        let definition = &self.definitions[&self.runs[run].definition];
        let random = &mut self.random;
        let mut next = || {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *random >> 16
        };
        let mut host = Host { now: self.now, random: &mut next, secrets: &self.secrets, may_emit: &|_| Ok(()) };
        let taken = run::step(definition, &mut state, input, &mut host);
        let stored = state.encode();
        assert_eq!(RunState::decode(&stored).expect("it is read back"), state);
        self.runs.get_mut(run).expect("a run").stored = stored;
        for effect in taken.effects {
            self.keep(run, effect);
        }
        if self.crash.as_mut().is_some_and(|crash| crash()) {
            self.restart();
        }
        !taken.ignored
    }

    fn keep(&mut self, run: &str, effect: Effect) {
        let now_at = self.log.len();
        let hosted = self.runs.get_mut(run).expect("a run");
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
                // A run begins with an empty log here: the trigger's position is its beginning.
                let start = if listen.from_trigger { 0 } else { now_at };
                let start = listen.after.and_then(|seq| usize::try_from(seq).ok()).unwrap_or(start);
                let position = hosted.listens.get(&listen.id).map_or(start, |(_, position)| *position);
                hosted.listens.insert(listen.id, (listen, position));
            }
            Effect::CancelListen { id } => {
                hosted.listens.remove(&id);
            }
            Effect::StartRun(child) => {
                hosted.children.insert(child.id, child);
            }
            Effect::CancelRun { id } => {
                if let Some(child) = hosted.children.remove(&id) {
                    let name = format!("child-{}", child.key);
                    if self.runs.contains_key(&name) {
                        self.tell(&name, Input::Cancel);
                    }
                }
            }
            Effect::Emit { event } => self.log.push(event),
            Effect::Lifecycle { kind, data } => self.lifecycle.push((kind, data)),
            Effect::Step(step) => self.steps.push(step),
            Effect::Continue => hosted.go_on = true,
            Effect::Finished(_) => {
                hosted.timers.clear();
                hosted.calls.clear();
                hosted.listens.clear();
            }
        }
    }

    /// Everything but the stored states, the log and the outside is lost; what was open is asked for again.
    pub(crate) fn restart(&mut self) {
        let names: Vec<String> = self.runs.keys().cloned().collect();
        for run in names {
            let open = self.state(&run).open_effects();
            let detached: BTreeMap<u64, StartRun> =
                self.runs[&run].children.iter().filter(|(_, c)| !c.wait).map(|(id, c)| (*id, c.clone())).collect();
            let hosted = self.runs.get_mut(&run).expect("a run");
            hosted.timers.clear();
            hosted.calls.clear();
            hosted.listens.clear();
            // A run that is only started is its own document from the same commit on.
            hosted.children = detached;
            hosted.go_on = false;
            for effect in open {
                self.keep(&run, effect);
            }
        }
    }

    /// The names of the tasks that began, in order.
    pub(crate) fn began(&self) -> Vec<&str> {
        self.steps.iter().filter(|step| step.phase == StepPhase::Started).map(|step| step.name.as_str()).collect()
    }
}

/// An answer in JSON.
pub(crate) fn json_answer(status: u16, body: &Value) -> HttpResponse {
    HttpResponse {
        status,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: body.to_string().into_bytes(),
    }
}
