//! What a committed step asked for, done: calls made, listens registered, other runs begun, those who wait told.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    problem::{Code, Problem},
    store::Commit,
};
use nexus_engine::supervisor::TaskKind;

use super::{
    Flows,
    commit::{LEVELS, child_id},
    record::{Run, Trigger},
    runner::{Cell, Loaded},
};
use crate::{
    effect::{Answer, Call, Effect, Input, Outcome, StartRun},
    error::{FlowError, Standard},
};

/// First wait before telling a run again what could not be stored, doubling up to a minute.
const AGAIN: Duration = Duration::from_millis(200);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

impl Flows {
    /// Does what a committed step asked for. Nothing here is waited for: whatever is lost in a crash is asked for again.
    pub(super) fn follow(&self, cell: &Arc<Cell>, held: &Loaded, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Call(call) => self.make(cell, held, call),
                Effect::CancelCall { id } => {
                    let making = cell.calls().remove(&id);
                    match making {
                        Some(stop) => stop.cancel(),
                        // Somebody else was to answer.
                        None => self.withdraw_later(&cell.id, id),
                    }
                }
                Effect::Listen(listen) => self.listen(cell, held, listen),
                Effect::CancelListen { id } => self.inner.router.remove(&cell.id, id),
                Effect::StartRun(start) => self.start_child(&held.run, start),
                Effect::CancelRun { id } => self.tell_later(&child_id(&held.run, id), Input::Cancel),
                Effect::Continue => self.tell_later(&cell.id, Input::Continue),
                Effect::Finished(outcome) => self.ended(&held.run, outcome),
                Effect::SetTimer { .. }
                | Effect::CancelTimer { .. }
                | Effect::Emit { .. }
                | Effect::Lifecycle { .. }
                | Effect::Step(_) => {}
            }
        }
    }

    fn make(&self, cell: &Arc<Cell>, held: &Loaded, call: Call) {
        let stop = self.inner.hub.spawn().engine_stopping().child_token();
        cell.calls().insert(call.id, stop.clone());
        let (flows, cell) = (self.clone(), Arc::clone(cell));
        let about = super::perform::About::of(held, &call);
        let work = self.inner.hub.at_work();
        self.inner.hub.spawn().start(TaskKind::Delivery, async move {
            let _work = work;
            let id = call.id;
            let answer = tokio::select! {
                answer = flows.perform(call, about) => answer,
                () = stop.cancelled() => None,
            };
            cell.calls().remove(&id);
            if let Some(answer) = answer {
                flows.answer_until_stored(&cell, Input::CallDone { id, answer }).await;
            }
        });
    }

    /// Tells a run what must not be lost while this process lives.
    async fn answer_until_stored(&self, cell: &Arc<Cell>, input: Input) {
        let stop = self.inner.hub.spawn().engine_stopping();
        let mut wait = AGAIN;
        loop {
            match self.tell_cell(cell, input.clone(), None).await {
                Ok(_) => return,
                // A hub that can read it asks again.
                Err(problem) if self.is_aside(&cell.id) => {
                    tracing::warn!(run = cell.id, error = problem.message, "an answer finds no run that could take it");
                    return;
                }
                Err(problem) => {
                    tracing::warn!(
                        run = cell.id,
                        error = problem.message,
                        "an answer could not be stored; trying again"
                    );
                }
            }
            tokio::select! {
                () = self.clock().sleep(wait) => wait = (wait * 2).min(AGAIN_AT_MOST),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Tells a run something, as soon as it is its turn.
    pub(super) fn tell_later(&self, run: &str, input: Input) {
        let (flows, cell, work) = (self.clone(), self.inner.table.cell(run), self.inner.hub.at_work());
        self.inner.hub.spawn().start(TaskKind::Delivery, async move {
            let _work = work;
            flows.answer_until_stored(&cell, input).await;
        });
    }

    /// A run that another started: made in the commit of the other, begun now; or refused, which the other is told.
    pub(super) fn start_child(&self, parent: &Run, start: StartRun) {
        let child = child_id(parent, start.id);
        let why = match parent.level {
            LEVELS.. => format!("flows may run flows {LEVELS} levels deep; {} would be one more", start.flow),
            _ => format!("there is no flow {}; publish it first", start.flow),
        };
        let (flows, parent, work) = (self.clone(), parent.state.id.clone(), self.inner.hub.at_work());
        self.inner.hub.spawn().start(TaskKind::Delivery, async move {
            let _work = work;
            // Whether it was made is what the commit of the other says, not what is published by now.
            match flows.find(&child).await {
                Err(problem) if problem.code == Code::NotFound => {
                    let outcome = Outcome::Faulted { error: FlowError::new(Standard::Configuration, why) };
                    if start.wait {
                        flows.tell_later(&parent, Input::ChildDone { id: start.id, outcome });
                    }
                }
                _ => flows.tell_later(&child, Input::Start),
            }
        });
    }

    /// A run has ended: those who wait for it are told.
    fn ended(&self, run: &Run, outcome: Outcome) {
        self.inner.metrics.ended(run, &outcome);
        self.inner.waiters.ended(&run.state.id, &outcome);
        if let Trigger::Flow { run: parent, wait: Some(wait) } = &run.trigger {
            self.tell_later(parent, Input::ChildDone { id: *wait, outcome });
        }
        if let Some(key) = &run.key {
            self.next_of_key(&run.flow(), key);
        }
    }

    /// The flow's interval after a run's end, and what else is part of the commit in which a run ends.
    pub(super) fn after_end(&self, held: &Loaded, effects: &[Effect], commit: &mut Commit) -> Result<(), Problem> {
        if !effects.iter().any(|effect| matches!(effect, Effect::Finished(_))) {
            return Ok(());
        }
        let on = self.inner.shelf.find(&held.run.flow()).is_some_and(|held| held.flow.enabled);
        if on {
            let ended = held.run.ended_at.unwrap_or_else(|| self.desk().now());
            commit.timers.extend(super::schedule::again(&held.run, &held.published.definition, ended));
        }
        Ok(())
    }

    /// Begins the run that has waited longest for this key.
    pub(super) fn next_of_key(&self, flow: &str, key: &str) {
        let (flows, work) = (self.clone(), self.inner.hub.at_work());
        let (flow, key) = (flow.to_owned(), key.to_owned());
        self.inner.hub.spawn().start(TaskKind::Delivery, async move {
            let _work = work;
            let stop = flows.inner.hub.spawn().engine_stopping();
            let mut wait = AGAIN;
            while let Err(problem) = flows.begin_queued(&flow, &key).await {
                tracing::warn!(
                    flow,
                    error = problem.message,
                    "a run that waits for its turn was not begun; trying again"
                );
                tokio::select! {
                    () = flows.clock().sleep(wait) => wait = (wait * 2).min(AGAIN_AT_MOST),
                    () = stop.cancelled() => return,
                }
            }
        });
    }

    async fn begin_queued(&self, flow: &str, key: &str) -> Result<(), Problem> {
        if self.active(flow, key).await?.is_some() {
            return Ok(());
        }
        let Some(next) = self.first_queued(flow, key).await? else { return Ok(()) };
        match self.tell(&next, Input::Start, None).await {
            Err(problem) if problem.code == Code::Conflict => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// A call that has no answer because of the hub itself.
pub(super) fn failed(standard: Standard, detail: impl Into<String>) -> Answer {
    Answer::Failed { error: FlowError::new(standard, detail) }
}
