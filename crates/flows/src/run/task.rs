//! The life of one task: condition, input, timeout, extensions, work, output, context. In the specification's order.

use serde_json::Value;

use super::{
    Env, Machine, Polled, Progress, RUN_TASKS, STEP_COST,
    state::{Doing, Frame, Scope, Stage},
};
use crate::{
    effect::{Effect, StepPhase},
    error::{FlowError, Standard},
    expression::Place,
    plan::{Node, Then},
};

impl Machine<'_, '_> {
    /// Does tasks one after the other.
    pub(super) fn list(&mut self, nodes: &[Node], scope: &mut Scope, env: &Env<'_>) -> Polled {
        loop {
            let Some(node) = nodes.get(scope.index) else {
                return Ok(Progress::Done(std::mem::take(&mut scope.data), Then::Continue));
            };
            if scope.task.is_none() {
                if !self.may_begin() {
                    return Ok(Progress::Pending);
                }
                self.count_task()?;
                let raw = std::mem::take(&mut scope.data);
                scope.task = Some(Box::new(self.frame(raw)));
            }
            let lap = (scope.lap > 0).then_some(scope.lap);
            let env = env.within(Vec::new(), lap);
            let Some(frame) = &mut scope.task else { return Ok(Progress::Pending) };
            let Progress::Done(output, then) = self.task(node, frame, &env)? else { return Ok(Progress::Pending) };
            if let Some(done) = scope.task.take() {
                scope.remember(*done);
            }
            match then {
                Then::Continue => scope.index += 1,
                Then::Exit | Then::End => return Ok(Progress::Done(output, then)),
                Then::Task(index) => {
                    if index <= scope.index {
                        scope.lap += 1;
                    }
                    scope.index = index;
                }
            }
            scope.data = output;
        }
    }

    /// Whether this step begins one more task.
    fn may_begin(&mut self) -> bool {
        if self.cost.get() > STEP_COST {
            self.budget = 0;
        }
        let left = self.budget.checked_sub(1);
        self.budget = left.unwrap_or_default();
        left.is_some()
    }

    /// A task that has not begun.
    pub(super) fn frame(&self, raw: Value) -> Frame {
        Frame::new(raw, self.host.now, self.state.tasks)
    }

    /// From here on tasks see this; who saw the one before can still be done again.
    pub(super) fn set_context(&mut self, context: Value) {
        if context != self.state.context {
            let old = std::mem::replace(&mut self.state.context, context);
            self.state.contexts.replaced(self.state.tasks, old);
        }
    }

    fn count_task(&mut self) -> Result<(), FlowError> {
        self.state.tasks += 1;
        if self.state.tasks > RUN_TASKS {
            return Err(FlowError::new(
                Standard::Runtime,
                format!("the run has begun {RUN_TASKS} tasks; it seems to go in a circle"),
            ));
        }
        Ok(())
    }

    /// Does one task, as far as it goes.
    pub(super) fn task(&mut self, node: &Node, frame: &mut Frame, env: &Env<'_>) -> Polled {
        let mut stage = std::mem::replace(&mut frame.stage, Stage::Begin);
        let polled = self.stages(node, frame, &mut stage, env);
        frame.stage = stage;
        match polled {
            Ok(Progress::Done(output, then)) => {
                self.clear(frame.timer.take());
                Ok(Progress::Done(output, then))
            }
            Ok(Progress::Pending) => Ok(Progress::Pending),
            Err(error) => {
                let error = error.at(&node.pointer);
                self.abandon(frame);
                self.record(node, env, StepPhase::Faulted, error.to_value());
                Err(error)
            }
        }
    }

    fn stages(&mut self, node: &Node, frame: &mut Frame, stage: &mut Stage, env: &Env<'_>) -> Polled {
        if *stage == Stage::Begin {
            if !self.begins(node, frame, env)? {
                self.record(node, env, StepPhase::Skipped, Value::Null);
                return Ok(Progress::Done(std::mem::take(&mut frame.raw), Then::Continue));
            }
            *stage = self.before(node, frame, 0, env)?;
        }
        if let Some(timer) = frame.timer
            && self.fired(timer.id)
        {
            frame.timer = None;
            self.abandon_stage(stage);
            return Err(FlowError::new(Standard::Timeout, "the task took longer than it may"));
        }
        loop {
            let definition = self.definition;
            match stage {
                Stage::Begin => return Ok(Progress::Pending),
                Stage::Before { extension, scope } => {
                    let Some(plan) = definition.extensions.get(*extension) else {
                        *stage = Stage::Work(Box::new(Doing::Fresh));
                        continue;
                    };
                    match self.list(&plan.before, scope, env)? {
                        Progress::Pending => return Ok(Progress::Pending),
                        // `exit` takes the place of the task, with what it gives.
                        Progress::Done(output, Then::Exit) => return self.finish(node, frame, output, node.then, env),
                        Progress::Done(output, Then::End) => return Ok(Progress::Done(output, Then::End)),
                        Progress::Done(..) => *stage = self.before(node, frame, *extension + 1, env)?,
                    }
                }
                Stage::Work(doing) => match self.work(node, frame, doing, env)? {
                    Progress::Pending => return Ok(Progress::Pending),
                    Progress::Done(output, then) => *stage = self.after(node, frame, 0, output, then, env)?,
                },
                Stage::After { extension, scope, output, then } => {
                    let then_now = then.unwrap_or_default();
                    let Some(plan) = definition.extensions.get(*extension) else {
                        let output = std::mem::take(output);
                        return self.finish(node, frame, output, then_now, env);
                    };
                    match self.list(&plan.after, scope, env)? {
                        Progress::Pending => return Ok(Progress::Pending),
                        Progress::Done(given, Then::End) => return Ok(Progress::Done(given, Then::End)),
                        Progress::Done(..) => {
                            let output = std::mem::take(output);
                            *stage = self.after(node, frame, *extension + 1, output, then_now, env)?;
                        }
                    }
                }
            }
        }
    }

    /// False: its `if` does not hold.
    fn begins(&mut self, node: &Node, frame: &mut Frame, env: &Env<'_>) -> Result<bool, FlowError> {
        if let Some(if_) = &node.if_
            && !if_.holds(&frame.raw, &self.arguments(Place::TaskInput, env).of(node, frame))?
        {
            return Ok(false);
        }
        if let Some(schema) = &node.input_schema {
            schema.check("the task's input", &frame.raw)?;
        }
        if let Some(from) = &node.input_from {
            frame.input = Some(from.eval(&frame.raw, &self.arguments(Place::TaskInput, env).of(node, frame))?);
        }
        self.record(node, env, StepPhase::Started, frame.input().clone());
        if let Some(timeout) = &node.timeout {
            let length = timeout.eval(frame.input(), &self.arguments(Place::Task, env).of(node, frame))?;
            frame.timer = Some(self.set_timer(length));
        }
        Ok(true)
    }

    fn extends(&mut self, node: &Node, frame: &Frame, n: usize, env: &Env<'_>) -> Result<bool, FlowError> {
        let Some(extension) = self.definition.extensions.get(n) else { return Ok(false) };
        if !node.extensible || (extension.extend != "all" && extension.extend != node.work.kind()) {
            return Ok(false);
        }
        match &extension.when {
            None => Ok(true),
            Some(when) => {
                when.holds(&frame.raw, &self.arguments(Place::TaskInput, env).of(node, frame).with_definition())
            }
        }
    }

    fn before(&mut self, node: &Node, frame: &Frame, from: usize, env: &Env<'_>) -> Result<Stage, FlowError> {
        for n in from..self.definition.extensions.len() {
            if !self.definition.extensions[n].before.is_empty() && self.extends(node, frame, n, env)? {
                return Ok(Stage::Before { extension: n, scope: Scope::new(frame.input().clone()) });
            }
        }
        Ok(Stage::Work(Box::new(Doing::Fresh)))
    }

    fn after(
        &mut self,
        node: &Node,
        frame: &Frame,
        from: usize,
        output: Value,
        then: Then,
        env: &Env<'_>,
    ) -> Result<Stage, FlowError> {
        let count = self.definition.extensions.len();
        let mut extension = count;
        for n in from..count {
            if !self.definition.extensions[n].after.is_empty() && self.extends(node, frame, n, env)? {
                extension = n;
                break;
            }
        }
        let data = if extension < count { output.clone() } else { Value::Null };
        Ok(Stage::After { extension, scope: Scope::new(data), output, then: Some(then) })
    }

    fn finish(&mut self, node: &Node, frame: &mut Frame, raw: Value, then: Then, env: &Env<'_>) -> Polled {
        let output = match &node.output_as {
            Some(as_) => as_.eval(&raw, &self.arguments(Place::TaskOutput, env).of(node, frame).gave(&raw))?,
            None => raw.clone(),
        };
        if let Some(schema) = &node.output_schema {
            schema.check("the task's output", &output)?;
        }
        if let Some(as_) = &node.export_as {
            let context =
                as_.eval(&output, &self.arguments(Place::TaskExport, env).of(node, frame).gave(&raw).output(&output))?;
            if let Some(schema) = &node.export_schema {
                schema.check("the context", &context)?;
            }
            self.set_context(context);
        }
        self.record(node, env, StepPhase::Completed, output.clone());
        Ok(Progress::Done(output, then))
    }

    fn abandon_stage(&mut self, stage: &Stage) {
        let frame = Frame { stage: stage.clone(), ..self.frame(Value::Null) };
        self.abandon(&frame);
    }

    /// Cuts a task off that is being done.
    pub(super) fn cut(&mut self, node: &Node, frame: &Frame, env: &Env<'_>) {
        self.abandon(frame);
        if frame.stage != Stage::Begin {
            self.record(node, env, StepPhase::Cancelled, Value::Null);
        }
    }

    /// Asks the host for something.
    pub(super) fn ask(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}
