//! `try`: attempts, what is caught, when to try again, and what to do when that is over.

use std::time::Duration;

use serde_json::Value;

use super::{
    Env, Machine, Polled, Progress,
    state::{Doing, Frame, Scope, Timer, TryPhase, Trying},
    work::ended,
};
use crate::{
    duration::LONGEST,
    effect::StepPhase,
    error::{FlowError, Standard, same_kind},
    expression::{Place, Template},
    plan::{BackoffPlan, Length, Node, RetryPlan, TryPlan},
};

impl Machine<'_, '_> {
    pub(super) fn begin_try(
        &mut self,
        plan: &TryPlan,
        node: &Node,
        frame: &Frame,
        env: &Env<'_>,
    ) -> Result<Doing, FlowError> {
        let phase = self.new_attempt(plan, node, frame, env)?;
        Ok(Doing::Try(Box::new(Trying { began: self.host.now, retries: 0, phase })))
    }

    fn new_attempt(
        &mut self,
        plan: &TryPlan,
        node: &Node,
        frame: &Frame,
        env: &Env<'_>,
    ) -> Result<TryPhase, FlowError> {
        let limit = plan.retry.as_ref().and_then(|retry| retry.attempt.as_ref());
        let timer = match limit {
            Some(limit) => Some(self.timer_for(limit, node, frame, env)?),
            None => None,
        };
        Ok(TryPhase::Attempt { scope: Scope::new(frame.input().clone()), timer })
    }

    fn timer_for(&mut self, length: &Length, node: &Node, frame: &Frame, env: &Env<'_>) -> Result<Timer, FlowError> {
        let length = length.eval(frame.input(), &self.arguments(Place::Task, env).of(node, frame))?;
        Ok(self.set_timer(length))
    }

    pub(super) fn attempt(
        &mut self,
        node: &Node,
        frame: &Frame,
        plan: &TryPlan,
        trying: &mut Trying,
        env: &Env<'_>,
    ) -> Polled {
        loop {
            match &mut trying.phase {
                TryPhase::Attempt { scope, timer } => {
                    let error = if timer.is_some_and(|timer| self.fired(timer.id)) {
                        *timer = None;
                        self.abandon_list(scope);
                        FlowError::new(Standard::Timeout, "the attempt took longer than it may").at(&node.pointer)
                    } else {
                        match self.list(&plan.tasks, scope, env) {
                            Ok(Progress::Pending) => return Ok(Progress::Pending),
                            Ok(Progress::Done(output, then)) => {
                                self.clear(timer.take());
                                return Ok(Progress::Done(output, ended(then, node)));
                            }
                            Err(error) => error,
                        }
                    };
                    self.clear(timer.take());
                    match self.caught(node, frame, plan, trying, error, env)? {
                        Some(phase) => trying.phase = phase,
                        None => return Ok(Progress::Done(frame.input().clone(), node.then)),
                    }
                }
                TryPhase::Pause { timer, .. } => {
                    if !self.fired(timer.id) {
                        return Ok(Progress::Pending);
                    }
                    trying.retries += 1;
                    trying.phase = self.new_attempt(plan, node, frame, env)?;
                }
                TryPhase::Handle { scope, error } => {
                    let inner = env.within(vec![(plan.as_.as_str(), error.to_value())], None);
                    let handler = plan.handler.as_deref().unwrap_or_default();
                    return match self.list(handler, scope, &inner)? {
                        Progress::Pending => Ok(Progress::Pending),
                        Progress::Done(output, then) => Ok(Progress::Done(output, ended(then, node))),
                    };
                }
            }
        }
    }

    /// What follows an error. `Ok(None)`: it is swallowed. An error that is not caught, or has no attempts and no handler
    /// left, goes on.
    fn caught(
        &mut self,
        node: &Node,
        frame: &Frame,
        plan: &TryPlan,
        trying: &Trying,
        error: FlowError,
        env: &Env<'_>,
    ) -> Result<Option<TryPhase>, FlowError> {
        let value = error.to_value();
        let inner = env.within(vec![(plan.as_.as_str(), value.clone()), ("error", value.clone())], None);
        if !self.catches(node, frame, plan, &error, &value, &inner)? {
            return Err(error);
        }
        if let Some(retry) = &plan.retry
            && let Some(wait) = self.next_wait(node, frame, retry, trying, &inner)?
        {
            self.record(node, env, StepPhase::Retried, value);
            let timer = self.set_timer(wait);
            return Ok(Some(TryPhase::Pause { timer, error }));
        }
        match &plan.handler {
            Some(_) => Ok(Some(TryPhase::Handle { scope: Scope::new(frame.input().clone()), error })),
            None if plan.retry.is_some() => Err(error),
            None => Ok(None),
        }
    }

    fn catches(
        &self,
        node: &Node,
        frame: &Frame,
        plan: &TryPlan,
        error: &FlowError,
        value: &Value,
        env: &Env<'_>,
    ) -> Result<bool, FlowError> {
        let arguments = self.arguments(Place::Task, env).of(node, frame);
        let wanted = |template: &Option<Template>| match template {
            None => Ok(None),
            Some(template) => template.eval(frame.input(), &arguments).map(Some),
        };
        if let Some(kind) = wanted(&plan.errors.kind)?
            && !kind.as_str().is_some_and(|kind| same_kind(kind, &error.kind))
        {
            return Ok(false);
        }
        for (template, field) in [
            (&plan.errors.status, "status"),
            (&plan.errors.instance, "instance"),
            (&plan.errors.title, "title"),
            (&plan.errors.detail, "detail"),
        ] {
            if let Some(wanted) = wanted(template)?
                && value.get(field) != Some(&wanted)
            {
                return Ok(false);
            }
        }
        // The condition sees the error as its input would be: the task's input, and $error.
        let when = match &plan.when {
            Some(when) => when.holds(frame.input(), &arguments)?,
            None => true,
        };
        let except = match &plan.except_when {
            Some(except) => except.holds(frame.input(), &arguments)?,
            None => false,
        };
        Ok(when && !except)
    }

    /// How long to wait before the next attempt; `None`: there is none.
    fn next_wait(
        &mut self,
        node: &Node,
        frame: &Frame,
        retry: &RetryPlan,
        trying: &Trying,
        env: &Env<'_>,
    ) -> Result<Option<Duration>, FlowError> {
        let input = frame.input();
        if retry.count.is_some_and(|count| trying.retries >= count) {
            return Ok(None);
        }
        let random = (self.host.random)();
        let arguments = self.arguments(Place::Task, env).of(node, frame);
        if let Some(when) = &retry.when
            && !when.holds(input, &arguments)?
        {
            return Ok(None);
        }
        if let Some(except) = &retry.except_when
            && except.holds(input, &arguments)?
        {
            return Ok(None);
        }
        let length = |length: &Option<Length>| match length {
            None => Ok(None),
            Some(length) => length.eval(input, &arguments).map(Some),
        };
        let delay = length(&retry.delay)?.unwrap_or_default();
        let grown = match retry.backoff {
            BackoffPlan::Constant => delay,
            BackoffPlan::Linear => delay.saturating_mul(trying.retries.saturating_add(1)),
            BackoffPlan::Exponential => delay.saturating_mul(1u32 << trying.retries.min(31)),
        };
        let jitter = match &retry.jitter {
            None => Duration::ZERO,
            Some((from, to)) => between(from.eval(input, &arguments)?, to.eval(input, &arguments)?, random),
        };
        let wait = grown.saturating_add(jitter).min(LONGEST);
        if let Some(total) = length(&retry.total)?
            && self.host.now.since(trying.began).saturating_add(wait) > total
        {
            return Ok(None);
        }
        Ok(Some(wait))
    }
}

/// Anything from `from` to `to`, in milliseconds.
fn between(from: Duration, to: Duration, random: u64) -> Duration {
    let spread = u64::try_from(to.saturating_sub(from).as_millis()).unwrap_or(u64::MAX);
    from.saturating_add(Duration::from_millis(random % spread.saturating_add(1).max(1)))
}
