//! What each kind of task does.

use serde_json::{Map, Value, json};

use super::{
    Env, Machine, Polled, Progress,
    state::{Branch, Doing, Frame, Scope},
};
use crate::{
    effect::{Effect, Input, Outcome, StartRun},
    error::{FlowError, Standard},
    expression::{Expression, Place, Template},
    plan::{ForPlan, Node, RaisePlan, RunPlan, Then, Work},
    secrets,
};

impl Machine<'_, '_> {
    /// Begins the work or goes on with it.
    pub(super) fn work(&mut self, node: &Node, frame: &Frame, doing: &mut Doing, env: &Env<'_>) -> Polled {
        if *doing == Doing::Fresh {
            match self.begin_work(node, frame, env)? {
                Begun::Done(output, then) => return Ok(Progress::Done(output, then)),
                Begun::Doing(begun) => *doing = begun,
            }
        }
        match (doing, &node.work) {
            (Doing::Call { call, fetching_document }, _) => self.call_answer(node, frame, call, fetching_document, env),
            (Doing::Child(child), Work::Run(plan)) => self.child_answer(node, plan, child),
            (Doing::Inline(inner), Work::Inline { task, .. }) => match self.task(task, inner, env)? {
                Progress::Done(output, then) => Ok(Progress::Done(output, ended(then, node))),
                Progress::Pending => Ok(Progress::Pending),
            },
            (Doing::List(scope), Work::Do(nodes)) => match self.list(nodes, scope, env)? {
                Progress::Done(output, then) => Ok(Progress::Done(output, ended(then, node))),
                Progress::Pending => Ok(Progress::Pending),
            },
            (Doing::Loop { items, index, scope }, Work::For(plan)) => {
                self.iterate(node, frame, plan, items, index, scope, env)
            }
            (Doing::Fork(branches), Work::Fork { branches: nodes, compete }) => {
                self.fork(node, nodes, *compete, branches, env)
            }
            (Doing::Listen(listening), Work::Listen(plan)) => self.listening(node, frame, plan, listening, env),
            (Doing::Wait(timer), _) => {
                if self.fired(timer.id) {
                    return Ok(Progress::Done(frame.input().clone(), node.then));
                }
                Ok(Progress::Pending)
            }
            (Doing::Try(trying), Work::Try(plan)) => self.attempt(node, frame, plan, trying, env),
            _ => Err(FlowError::new(Standard::Runtime, "the run's state does not fit its definition")),
        }
    }

    fn begin_work(&mut self, node: &Node, frame: &Frame, env: &Env<'_>) -> Result<Begun, FlowError> {
        let input = frame.input();
        let next = |output| Ok(Begun::Done(output, node.then));
        match &node.work {
            Work::Set(template) => next(self.fill(template, node, frame, env)?),
            Work::Switch(cases) => {
                let then = self.choose(cases, node, frame, env)?;
                Ok(Begun::Done(input.clone(), then))
            }
            Work::Emit(template) => next(self.publish(template, node, frame, env)?),
            Work::Raise(plan) => Err(self.raise(plan, node, frame, env)?),
            Work::Http(_) | Work::OpenApi(_) | Work::Function { .. } => {
                self.begin_call(node, frame, env).map(Begun::Doing)
            }
            Work::Run(plan) => self.run_flow(plan, node, frame, env),
            Work::Inline { with, .. } => {
                let given = match with {
                    Some(with) => self.fill(with, node, frame, env)?,
                    None => input.clone(),
                };
                Ok(Begun::Doing(Doing::Inline(self.frame(given))))
            }
            Work::Do(_) => Ok(Begun::Doing(Doing::List(Scope::new(input.clone())))),
            Work::For(plan) => {
                let found = plan.items.eval(input, &self.arguments(Place::Task, env).of(node, frame))?;
                let Value::Array(items) = found else {
                    return Err(FlowError::new(Standard::Expression, "`for.in` must give a list"));
                };
                Ok(Begun::Doing(Doing::Loop { items, index: 0, scope: Scope::new(input.clone()) }))
            }
            Work::Fork { branches, .. } => {
                let frames = branches.iter().map(|_| Branch::Running(self.frame(input.clone())));
                Ok(Begun::Doing(Doing::Fork(frames.collect())))
            }
            Work::Listen(plan) => self.begin_listen(plan, node, frame, env).map(Begun::Doing),
            Work::Wait(length) => {
                let length = length.eval(input, &self.arguments(Place::Task, env).of(node, frame))?;
                Ok(Begun::Doing(Doing::Wait(self.set_timer(length))))
            }
            Work::Try(plan) => self.begin_try(plan, node, frame, env).map(Begun::Doing),
        }
    }

    pub(super) fn fill(
        &self,
        template: &Template,
        node: &Node,
        frame: &Frame,
        env: &Env<'_>,
    ) -> Result<Value, FlowError> {
        template.eval(frame.input(), &self.arguments(Place::Task, env).of(node, frame))
    }

    fn choose(
        &self,
        cases: &[(Option<Expression>, Then)],
        node: &Node,
        frame: &Frame,
        env: &Env<'_>,
    ) -> Result<Then, FlowError> {
        let arguments = self.arguments(Place::Task, env).of(node, frame);
        for (when, then) in cases {
            if let Some(when) = when
                && when.holds(frame.input(), &arguments)?
            {
                return Ok(*then);
            }
        }
        Ok(cases.iter().find(|(when, _)| when.is_none()).map_or(node.then, |(_, then)| *then))
    }

    fn publish(&mut self, template: &Template, node: &Node, frame: &Frame, env: &Env<'_>) -> Result<Value, FlowError> {
        let Value::Object(given) = self.fill(template, node, frame, env)? else {
            return Err(FlowError::new(Standard::Expression, "an event must be a map"));
        };
        let mut event = Map::new();
        // The same event every time this task of this iteration is done.
        event.insert("id".into(), json!(self.key(node, env)));
        event.insert("specversion".into(), json!("1.0"));
        event.insert("time".into(), json!(self.host.now.to_string()));
        if given.get("data").is_some_and(|data| !data.is_string()) {
            event.insert("datacontenttype".into(), json!("application/json"));
        }
        event.extend(given.into_iter().filter(|(_, value)| !value.is_null()));
        for name in ["id", "source", "type"] {
            if event.get(name).is_none_or(|value| value.as_str().is_none_or(str::is_empty)) {
                return Err(FlowError::new(
                    Standard::Expression,
                    format!("the event's {name} must be text, not empty"),
                ));
            }
        }
        if let Some(Value::String(kind)) = event.get("type") {
            (self.host.may_emit)(kind).map_err(|what| FlowError::new(Standard::Authorization, what))?;
        }
        let mut event = Value::Object(event);
        secrets::hide_marks(&self.state.nonce, &mut event);
        self.ask(Effect::Emit { event: event.clone() });
        Ok(event)
    }

    fn raise(&self, plan: &RaisePlan, node: &Node, frame: &Frame, env: &Env<'_>) -> Result<FlowError, FlowError> {
        let text =
            |template: &Template| self.fill(template, node, frame, env).map(|value| crate::openapi::plain(&value));
        Ok(FlowError {
            kind: text(&plan.kind)?,
            status: plan.status,
            title: plan.title.as_ref().map(text).transpose()?,
            detail: plan.detail.as_ref().map(text).transpose()?,
            instance: None,
            raised: true,
        })
    }

    fn run_flow(&mut self, plan: &RunPlan, node: &Node, frame: &Frame, env: &Env<'_>) -> Result<Begun, FlowError> {
        let mut input = match &plan.input {
            Some(input) => self.fill(input, node, frame, env)?,
            None => frame.input().clone(),
        };
        // Another flow declares the secrets it uses; marks of this run would reveal nothing there.
        secrets::hide_marks(&self.state.nonce, &mut input);
        let child = StartRun {
            id: self.next_id(),
            task: node.pointer.clone(),
            key: self.key(node, env),
            flow: plan.flow.clone(),
            input,
            wait: plan.wait,
        };
        self.ask(Effect::StartRun(child.clone()));
        Ok(if plan.wait { Begun::Doing(Doing::Child(child)) } else { Begun::Done(frame.input().clone(), node.then) })
    }

    fn child_answer(&mut self, node: &Node, plan: &RunPlan, child: &StartRun) -> Polled {
        let Some(Input::ChildDone { outcome, .. }) = self.told.remove(&child.id) else { return Ok(Progress::Pending) };
        match outcome {
            Outcome::Completed { mut output } => {
                self.host.secrets.hide(&self.state.nonce, &mut output);
                Ok(Progress::Done(if plan.output { output } else { Value::Null }, node.then))
            }
            // The error keeps its kind; its place is in another flow.
            Outcome::Faulted { error } => Err(FlowError { instance: None, ..error }),
            Outcome::Cancelled => {
                Err(FlowError::new(Standard::Runtime, format!("the flow {} was cancelled", child.flow)))
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one variant of the state, taken apart")]
    fn iterate(
        &mut self,
        node: &Node,
        frame: &Frame,
        plan: &ForPlan,
        items: &[Value],
        index: &mut usize,
        scope: &mut Scope,
        env: &Env<'_>,
    ) -> Polled {
        while let Some(item) = items.get(*index) {
            let variables = vec![(plan.each.as_str(), item.clone()), (plan.at.as_str(), json!(*index))];
            let inner = env.within(variables, Some(*index as u64));
            let fresh = scope.index == 0 && scope.lap == 0 && scope.task.is_none();
            if fresh
                && let Some(while_) = &plan.while_
                && !while_.holds(&scope.data, &self.arguments(Place::Task, &inner).of(node, frame))?
            {
                break;
            }
            match self.list(&plan.tasks, scope, &inner)? {
                Progress::Pending => return Ok(Progress::Pending),
                Progress::Done(output, Then::End) => return Ok(Progress::Done(output, Then::End)),
                Progress::Done(output, _) => *scope = Scope::new(output),
            }
            *index += 1;
        }
        Ok(Progress::Done(std::mem::take(&mut scope.data), node.then))
    }

    fn fork(&mut self, node: &Node, nodes: &[Node], compete: bool, branches: &mut [Branch], env: &Env<'_>) -> Polled {
        for n in 0..branches.len() {
            let (Some(branch), Some(child)) = (branches.get_mut(n), nodes.get(n)) else { continue };
            let Branch::Running(frame) = branch else { continue };
            match self.task(child, frame, env) {
                Ok(Progress::Pending) => {}
                Ok(Progress::Done(output, Then::End)) => {
                    self.cut_others(nodes, branches, n, env);
                    return Ok(Progress::Done(output, Then::End));
                }
                Ok(Progress::Done(output, _)) if compete => {
                    self.cut_others(nodes, branches, n, env);
                    return Ok(Progress::Done(output, node.then));
                }
                Ok(Progress::Done(output, _)) => *branch = Branch::Done(output),
                // In a race a failure only loses; without one left to win, it is the fork's.
                Err(error)
                    if compete
                        && branches.iter().enumerate().any(|(i, b)| i != n && matches!(b, Branch::Running(_))) =>
                {
                    branches[n] = Branch::Failed(error);
                }
                Err(error) => {
                    self.cut_others(nodes, branches, n, env);
                    return Err(error);
                }
            }
        }
        let outputs: Option<Vec<Value>> = branches
            .iter()
            .map(|branch| match branch {
                Branch::Done(output) => Some(output.clone()),
                _ => None,
            })
            .collect();
        Ok(outputs.map_or(Progress::Pending, |outputs| Progress::Done(Value::Array(outputs), node.then)))
    }

    fn cut_others(&mut self, nodes: &[Node], branches: &[Branch], winner: usize, env: &Env<'_>) {
        for (n, (node, branch)) in nodes.iter().zip(branches).enumerate() {
            if let Branch::Running(frame) = branch
                && n != winner
            {
                self.cut(node, frame, env);
            }
        }
    }
}

/// How work begins.
pub(super) enum Begun {
    /// With its end.
    Done(Value, Then),
    /// With something to go on with.
    Doing(Doing),
}

/// What comes after a task whose inner list ended with `then`: the end of the flow goes through, all else is the task's.
pub(super) fn ended(then: Then, node: &Node) -> Then {
    if then == Then::End { Then::End } else { node.then }
}
