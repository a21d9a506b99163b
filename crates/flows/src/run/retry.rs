//! Doing a task of a faulted run again, with what it was given then: which tasks can be, and how the run goes back to one.
//!
//! A run that faulted keeps its tree. What can be done again are the tasks of that tree that were being done, and those
//! before them in the same lists. What lies inside a task that is over went with it: that task can be done again as a whole.
//! Of a loop it is the iteration that failed. Branches of a fork that were cut off begin again with the one that is retried.

use serde_json::Value;

use super::{
    Machine,
    state::{Branch, Doing, Frame, RunState, Scope, Stage, Status, TryPhase},
};
use crate::{
    effect::{Effect, Listen, Outcome},
    plan::{Definition, Node, Work},
    problem::nearest,
};

/// Tasks that one message names.
const NAMED: usize = 20;

/// A task that was begun.
struct Begun<'d> {
    node: &'d Node,
    /// Its number among the tasks of the run.
    n: u64,
    /// What it was given is no longer kept.
    gone: bool,
    /// It stands in a fork whose branches share the context: that stays as it is.
    shared: bool,
}

/// Why a run can't go back to a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetryError {
    /// No task is meant, or more than one.
    #[error("{0}")]
    Task(String),
    /// That task can't be done again now.
    #[error("{0}")]
    Run(String),
}

/// The task that is to be done again, by its name or its pointer; without one, the task that failed.
pub fn choose(definition: &Definition, state: &RunState, asked: Option<&str>) -> Result<String, RetryError> {
    let Some(Outcome::Faulted { error }) = state.outcome.as_ref().filter(|_| state.status == Status::Faulted) else {
        let what = format!("run {} is {}; only a faulted one can be tried again", state.id, state.status.as_str());
        return Err(RetryError::Run(what));
    };
    if state.root.is_none() {
        let what = format!("what run {} did is not kept any more: it can't be tried again; begin another", state.id);
        return Err(RetryError::Run(what));
    }
    let failed = error.instance.as_deref().unwrap_or("/");
    let found = begun(definition, state);
    let good: Vec<&Node> = found.iter().filter(|one| !is_lost(one, state)).map(|one| one.node).collect();
    let pointer = match asked {
        Some(asked) => meant(definition, asked, failed)?,
        None => failed,
    };
    if good.iter().any(|node| node.pointer == pointer) {
        return Ok(pointer.to_owned());
    }
    let from = format!("it can be tried again from {}", named(&good));
    if asked.is_none() {
        let reason = error.detail.as_deref().or(error.title.as_deref()).unwrap_or("no task failed");
        return Err(RetryError::Task(format!("the run failed at {failed} ({reason}), which is no task of it; {from}")));
    }
    let around = good.iter().filter(|node| is_within(pointer, &node.pointer)).max_by_key(|node| node.pointer.len());
    let why = match around {
        _ if found.iter().any(|one| one.node.pointer == pointer) => {
            "what it was given, or the context that it saw, is no longer kept".to_owned()
        }
        Some(around) if !is_open(definition, state, &around.pointer) => {
            format!("it stands in {}, which was over: only that can be done again, as a whole", around.pointer)
        }
        _ => "it was not done in this run, or it stands in something that was over".to_owned(),
    };
    Err(RetryError::Run(format!("{pointer} can't be done again: {why}; the run failed at {failed}, and {from}")))
}

/// The pointer of the task that a text means.
fn meant<'d>(definition: &'d Definition, asked: &str, failed: &str) -> Result<&'d str, RetryError> {
    let mut all: Vec<&Node> = Vec::new();
    definition.each_node(&mut |node| all.push(node));
    let fits = |node: &&&Node| if asked.starts_with('/') { node.pointer == asked } else { node.name == asked };
    let fitting: Vec<&Node> = all.iter().filter(fits).copied().collect();
    match fitting.as_slice() {
        [one] => Ok(&one.pointer),
        [] => {
            let near = if asked.starts_with('/') {
                nearest(asked, all.iter().map(|node| node.pointer.as_str()))
            } else {
                nearest(asked, all.iter().map(|node| node.name.as_str()))
            };
            Err(RetryError::Task(format!(
                "the flow {} has no task {asked:?}{near}; its tasks are {}; the run failed at {failed}",
                definition.id,
                named(&all)
            )))
        }
        several => {
            let places: Vec<&str> = several.iter().map(|node| node.pointer.as_str()).take(NAMED).collect();
            Err(RetryError::Task(format!("several tasks are named {asked:?}; say which: {}", places.join(", "))))
        }
    }
}

/// `pay (/do/0/pay), ship (/do/1/ship)`
fn named(nodes: &[&Node]) -> String {
    let mut names: Vec<String> =
        nodes.iter().take(NAMED).map(|node| format!("{} ({})", node.name, node.pointer)).collect();
    if nodes.len() > NAMED {
        names.push(format!("{} more", nodes.len() - NAMED));
    }
    if names.is_empty() { "no task".to_owned() } else { names.join(", ") }
}

fn is_within(pointer: &str, outer: &str) -> bool {
    pointer.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

fn is_lost(one: &Begun<'_>, state: &RunState) -> bool {
    one.gone || (!one.shared && state.contexts.of(one.n).is_none())
}

/// Every task that was begun and that the tree still knows, in the order of the tree.
fn begun<'d>(definition: &'d Definition, state: &RunState) -> Vec<Begun<'d>> {
    let mut walk = Walk { definition, found: Vec::new(), shared: false };
    if let Some(root) = &state.root {
        walk.list(&definition.tasks, root);
    }
    walk.found
}

/// Whether the task was being done when the run failed.
fn is_open(definition: &Definition, state: &RunState, pointer: &str) -> bool {
    let mut walk = Walk { definition, found: Vec::new(), shared: false };
    if let Some(root) = &state.root {
        walk.open(&definition.tasks, root);
    }
    walk.found.iter().any(|one| one.node.pointer == pointer)
}

struct Walk<'d> {
    definition: &'d Definition,
    found: Vec<Begun<'d>>,
    shared: bool,
}

impl<'d> Walk<'d> {
    fn list(&mut self, nodes: &'d [Node], scope: &Scope) {
        let shared = self.shared;
        let past = scope.past.iter().filter_map(|past| Some((past, nodes.get(past.index)?)));
        self.found.extend(past.map(|(past, node)| Begun { node, n: past.n, gone: past.gone, shared }));
        self.open(nodes, scope);
    }

    fn open(&mut self, nodes: &'d [Node], scope: &Scope) {
        if let (Some(node), Some(frame)) = (nodes.get(scope.index), &scope.task) {
            self.task(node, frame);
        }
    }

    fn task(&mut self, node: &'d Node, frame: &Frame) {
        self.found.push(Begun { node, n: frame.n, gone: false, shared: self.shared });
        match (&frame.stage, &node.work) {
            (Stage::Before { extension, scope }, _) => {
                if let Some(plan) = self.definition.extensions.get(*extension) {
                    self.list(&plan.before, scope);
                }
            }
            (Stage::After { extension, scope, .. }, _) => {
                if let Some(plan) = self.definition.extensions.get(*extension) {
                    self.list(&plan.after, scope);
                }
            }
            (Stage::Work(doing), work) => self.doing(doing, work),
            (Stage::Begin, _) => {}
        }
    }

    fn doing(&mut self, doing: &Doing, work: &'d Work) {
        match (doing, work) {
            (Doing::Inline(inner), Work::Inline { task, .. }) => self.task(task, inner),
            (Doing::List(scope), Work::Do(nodes)) => self.list(nodes, scope),
            (Doing::Loop { scope, .. }, Work::For(plan)) => self.list(&plan.tasks, scope),
            (Doing::Fork(branches), Work::Fork { branches: nodes, .. }) => {
                let outer = std::mem::replace(&mut self.shared, true);
                for (node, branch) in nodes.iter().zip(branches) {
                    if let Branch::Running(frame) = branch {
                        self.task(node, frame);
                    }
                }
                self.shared = outer;
            }
            (Doing::Listen(listening), Work::Listen(plan)) => {
                if let (Some(each), Some(foreach)) = (&listening.each, &plan.foreach) {
                    self.list(&foreach.tasks, &each.scope);
                }
            }
            (Doing::Try(trying), Work::Try(plan)) => match &trying.phase {
                TryPhase::Attempt { scope, .. } => self.list(&plan.tasks, scope),
                TryPhase::Handle { scope, .. } => self.list(plan.handler.as_deref().unwrap_or_default(), scope),
                TryPhase::Pause { .. } => {}
            },
            _ => {}
        }
    }
}

impl Machine<'_, '_> {
    /// False: the run can't go back to this task; nothing has changed.
    pub(super) fn retry_from(&mut self, task: &str) -> bool {
        let definition = self.definition;
        if choose(definition, self.state, Some(task)).as_deref() != Ok(task) {
            return false;
        }
        let found = begun(definition, self.state).into_iter().find(|one| one.node.pointer == task && !one.gone);
        let (Some(Begun { n, shared, .. }), Some(mut root)) = (found, self.state.root.take()) else { return false };
        Again { definition, pointer: task, now: self.host.now }.list(&definition.tasks, &mut root);
        // A list of events that is gone through goes on after the last one that it took.
        root.each_open(&mut |open| {
            if let super::Open::Listen(listening) = open {
                let after = listening.last_seq.or(listening.request.after);
                self.effects.push(Effect::Listen(Listen { after, ..listening.request.clone() }));
            }
        });
        self.state.root = Some(root);
        if !shared && let Some(context) = self.state.contexts.back_to(n) {
            self.state.context = context;
        }
        self.state.status = Status::Running;
        self.state.outcome = None;
        self.restart_deadline();
        self.lifecycle("resumed", "resumedAt", Value::Null);
        self.go_on();
        true
    }
}

/// Makes the task at `pointer` fresh, so that it is done again.
struct Again<'d> {
    definition: &'d Definition,
    pointer: &'d str,
    now: nexus_core::time::Timestamp,
}

impl Again<'_> {
    fn fresh(&self, frame: &mut Frame) {
        *frame = Frame::new(std::mem::take(&mut frame.raw), self.now, frame.n);
    }

    /// Whether the task was found in this list.
    fn list(&self, nodes: &[Node], scope: &mut Scope) -> bool {
        if let (Some(node), Some(frame)) = (nodes.get(scope.index), &mut scope.task)
            && self.task(node, frame)
        {
            return true;
        }
        let is_it = |index: usize| nodes.get(index).is_some_and(|node| node.pointer == self.pointer);
        let Some(at) = scope.past.iter().rposition(|past| is_it(past.index) && !past.gone) else { return false };
        let Some(past) = scope.past.drain(at..).next() else { return false };
        (scope.index, scope.lap, scope.data) = (past.index, past.lap, Value::Null);
        scope.task = Some(Box::new(Frame::new(past.raw, self.now, past.n)));
        true
    }

    fn task(&self, node: &Node, frame: &mut Frame) -> bool {
        if node.pointer == self.pointer {
            self.fresh(frame);
            return true;
        }
        let extensions = &self.definition.extensions;
        let found = match &mut frame.stage {
            Stage::Begin => false,
            Stage::Before { extension, scope } => {
                extensions.get(*extension).is_some_and(|plan| self.list(&plan.before, scope))
            }
            Stage::After { extension, scope, .. } => {
                extensions.get(*extension).is_some_and(|plan| self.list(&plan.after, scope))
            }
            Stage::Work(doing) => self.doing(doing, &node.work),
        };
        if found {
            // Its own timer was taken back when it failed; the clock of a task that is done again stands still.
            frame.timer = None;
        }
        found
    }

    fn doing(&self, doing: &mut Doing, work: &Work) -> bool {
        match (doing, work) {
            (Doing::Inline(inner), Work::Inline { task, .. }) => self.task(task, inner),
            (Doing::List(scope), Work::Do(nodes)) => self.list(nodes, scope),
            (Doing::Loop { scope, .. }, Work::For(plan)) => self.list(&plan.tasks, scope),
            (Doing::Fork(branches), Work::Fork { branches: nodes, .. }) => self.fork(nodes, branches),
            (Doing::Listen(listening), Work::Listen(plan)) => match (&mut listening.each, &plan.foreach) {
                (Some(each), Some(foreach)) => self.list(&foreach.tasks, &mut each.scope),
                _ => false,
            },
            (Doing::Try(trying), Work::Try(plan)) => match &mut trying.phase {
                TryPhase::Attempt { scope, .. } => self.list(&plan.tasks, scope),
                TryPhase::Handle { scope, .. } => self.list(plan.handler.as_deref().unwrap_or_default(), scope),
                TryPhase::Pause { .. } => false,
            },
            _ => false,
        }
    }

    /// Branches that were cut off when another failed begin again, too.
    fn fork(&self, nodes: &[Node], branches: &mut [Branch]) -> bool {
        let mut found = None;
        for (n, (node, branch)) in nodes.iter().zip(branches.iter_mut()).enumerate() {
            if let Branch::Running(frame) = branch
                && self.task(node, frame)
            {
                found = Some(n);
                break;
            }
        }
        for (n, branch) in branches.iter_mut().enumerate() {
            if let Branch::Running(frame) = branch
                && found.is_some_and(|found| found != n)
            {
                self.fresh(frame);
            }
        }
        found.is_some()
    }
}
