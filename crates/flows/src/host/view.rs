//! A run as people see it: where it stands, what it waits for and until when, what its tasks did.

use nexus_core::{
    id::EventId,
    problem::{Code, Problem},
    record::{Document, Record},
    time::Timestamp,
};
use nexus_engine::{desk::unreadable, supervisor::TaskKind};
use serde::Serialize;
use serde_json::Value;

use super::{
    Flows,
    commit::{child_id, correlation},
    queries::{Listed, RunFilter},
    record::{Erased, Run, Trigger},
};
use crate::{
    effect::{Effect, Input, Outcome, Step},
    error::FlowError,
    run::{Waiting, WaitingFor, state::Status},
};

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct RunView {
    /// Its id.
    pub id: String,
    /// `namespace/name` of its flow.
    pub flow: String,
    /// The version it runs.
    pub version: String,
    /// `pending`, `queued`, `running`, `waiting`, `suspended`, `cancelled`, `faulted` or `completed`; `unreadable` where this hub
    /// can't read it.
    pub status: &'static str,
    /// Why it began.
    pub trigger: Trigger,
    /// What it belongs to.
    pub correlation: String,
    /// The event that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
    /// Steps from the first cause.
    pub depth: u8,
    /// Its key, where its flow has at most one active run per key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How long it took, or has taken so far.
    pub duration_ms: u64,
    /// What it was given.
    pub input: Value,
    /// What it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<FlowError>,
    /// What it waits for, and until when.
    pub waiting_for: Vec<Waiting>,
    /// Its data was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
}

impl Flows {
    /// One run.
    pub async fn run(&self, id: &str) -> Result<RunView, Problem> {
        let document = self.desk().store.get(Run::COLLECTION, id).await.map_err(unreadable)?;
        let document = document.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no run {id:?}")))?;
        Ok(self.shown(&document).await)
    }

    async fn shown(&self, document: &Document) -> RunView {
        match self.readable(document) {
            Some(run) => self.view(run).await,
            None => self.set_aside(document),
        }
    }

    /// Runs, the newest first.
    pub async fn runs(
        &self,
        filter: &RunFilter,
        after: Option<String>,
        limit: usize,
    ) -> Result<Listed<RunView>, Problem> {
        let page = self.select_any(filter, after, limit).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for document in &page.items {
            items.push(self.shown(document).await);
        }
        Ok(Listed { items, next: page.next })
    }

    /// What the tasks of a run did, in order.
    pub async fn steps(&self, id: &str) -> Result<Vec<Step>, Problem> {
        self.find(id).await?;
        Ok(self.steps_of(id).await?.into_iter().flat_map(|steps| steps.steps).collect())
    }

    async fn view(&self, run: Run) -> RunView {
        let definition = self.inner.shelf.version(self.desk(), &run.state.flow).await;
        let waiting_for = definition.map(|found| run.state.waiting_for(&found.definition)).unwrap_or_default();
        let waiting_for = match run.queued {
            true => vec![self.its_turn(&run).await],
            false => self.telling_why(self.naming_approvals(waiting_for).await),
        };
        let (output, error) = match &run.state.outcome {
            Some(Outcome::Completed { output }) => (Some(output.clone()), None),
            Some(Outcome::Faulted { error }) => (None, Some(error.clone())),
            Some(Outcome::Cancelled) | None => (None, None),
        };
        let until = run.ended_at.unwrap_or_else(|| self.desk().now());
        RunView {
            id: run.state.id.clone(),
            flow: run.flow(),
            version: run.state.flow.version.clone(),
            status: run.status(),
            correlation: correlation(&run),
            causation: run.lineage.causation,
            depth: run.lineage.depth,
            key: run.key.clone(),
            created_at: run.created_at,
            ended_at: run.ended_at,
            duration_ms: u64::try_from(until.since(run.created_at).as_millis()).unwrap_or(u64::MAX),
            trigger: run.trigger,
            input: run.state.input,
            output,
            error,
            waiting_for,
            erased: run.erased,
        }
    }

    /// What a run waits for that was not begun because another has its key.
    async fn its_turn(&self, run: &Run) -> Waiting {
        let (flow, key) = (run.flow(), run.key.clone().unwrap_or_default());
        // What can't be read now is left out: the run is shown all the same.
        let has_it = self.active(&flow, &key).await.unwrap_or_default();
        let what = WaitingFor::Turn { run: has_it, key, since: run.created_at };
        Waiting { task: "/".to_owned(), what, until: None }
    }

    /// Asks again for what a run waits for, after a restart.
    pub(super) fn ask_again(&self, id: &str) {
        let (flows, id, work) = (self.clone(), id.to_owned(), self.inner.hub.at_work());
        self.inner.hub.spawn().start(TaskKind::Delivery, async move {
            let _work = work;
            if let Err(problem) = flows.reopen(&id).await {
                tracing::error!(run = id, error = problem.message, "a run can't go on");
            }
        });
    }

    /// Runs that another began and no longer waits for: it was cut off, and the process ended before they were.
    pub(super) async fn cut_off_orphans(&self) -> Result<(), Problem> {
        let mut children = Vec::new();
        self.each_of("open", |run| {
            if let Trigger::Flow { run: parent, wait: Some(wait) } = run.trigger {
                children.push((run.state.id, parent, wait));
            }
        })
        .await?;
        for (child, parent, wait) in children {
            let waited_for = match self.find(&parent).await {
                Ok(parent) => parent.state.open_effects().iter().any(|effect| match effect {
                    Effect::StartRun(start) => start.id == wait,
                    _ => false,
                }),
                Err(problem) if problem.code == Code::NotFound => false,
                // Whether it is waited for can't be known: it goes on.
                Err(problem) if self.is_aside(&parent) => {
                    tracing::warn!(
                        run = child,
                        error = problem.message,
                        "a run goes on without knowing who waits for it"
                    );
                    continue;
                }
                Err(problem) => return Err(problem),
            };
            if !waited_for {
                self.tell_later(&child, Input::Cancel);
            }
        }
        Ok(())
    }

    async fn reopen(&self, id: &str) -> Result<(), Problem> {
        let run = self.find(id).await?;
        // A version that can't be compiled by this hub is not stepped.
        self.inner.shelf.version(self.desk(), &run.state.flow).await?;
        if run.state.status == Status::Pending {
            self.tell_later(id, Input::Start);
            return Ok(());
        }
        let mut open = Vec::new();
        for effect in run.state.open_effects() {
            match effect {
                Effect::StartRun(start) => {
                    let child = self.find(&child_id(&run, start.id)).await;
                    match child.map(|child| child.state.outcome) {
                        Ok(Some(outcome)) => self.tell_later(id, Input::ChildDone { id: start.id, outcome }),
                        // It goes on by itself.
                        Ok(None) => {}
                        Err(_) => self.start_child(&run, start),
                    }
                }
                Effect::Call(_) | Effect::Continue => open.push(effect),
                _ => {}
            }
        }
        self.resume_effects(id, open).await
    }
}
