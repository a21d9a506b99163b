//! `approval`: a run waits until somebody says yes or no, or until the time for it is over.
//!
//! - [`record`]: what is kept. [`super::form`]: what may be filled in. `ask`: what a flow says when it asks.
//! - `timer`: escalation and expiry. [`decide`]: how it ends. `link`: who comes by a link. `send`: telling people.
//! - `erase`: what goes when a person's data is erased.
//!
//! Whatever happens to an approval is one commit of its record, its timers and its event; then its run is told. What is lost
//! in between is asked for again when the run is: the call has the same key, which is the approval's id.

mod ask;
pub mod decide;
mod erase;
mod link;
mod notify;
pub mod record;
mod send;
mod timer;

use std::sync::Arc;

use async_trait::async_trait;
use nexus_core::{
    event::NewEvent,
    problem::{Code, Problem},
    record::Record,
    store::{Commit, CommitError, Guard, Key, TimerWrite},
};
use nexus_engine::desk::{refused, unreadable};
use serde_json::{Value, json};

use self::{
    ask::Question,
    record::{Approval, Escalation, State},
};
use super::{Flows, Function, FunctionCall, Reply, commit::put, record::Trigger, refusal};
use crate::{
    effect::{Effect, WaitId},
    error::{FlowError, Standard},
    run::{Waiting, WaitingFor},
};

/// How often something is decided anew because the record changed meanwhile.
const ATTEMPTS: usize = 10;

/// Adds the functions, and who handles their timers.
pub(super) fn register(flows: &Flows) {
    flows.inner.functions.register("approval", Arc::new(Ask));
    flows.inner.functions.register("notify", Arc::new(notify::Notify));
    flows.inner.hub.timers().register(timer::KIND, Arc::new(timer::Due(flows.clone())));
}

/// The function.
struct Ask;

#[async_trait]
impl Function for Ask {
    async fn call(&self, flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError> {
        let question = Question::of(&call)?;
        let problem = |problem: Problem| refusal(&problem);
        for _ in 0..ATTEMPTS {
            let found = flows.stored_approval(&call.key).await.map_err(problem)?;
            let (approval, version) = match found {
                Some((approval, _)) if approval.is_answered(call.wait) => {
                    return Ok(approval.given().map_or(Reply::Later, Reply::Done));
                }
                Some((approval, version)) if approval.state == State::Open => {
                    (Approval { wait: call.wait, ..approval }, version)
                }
                found => {
                    let (links, version) = found.map_or((0, 0), |(before, version)| (before.links, version));
                    match flows.ask(&question, &call, links, version).await? {
                        Some(asked) => asked,
                        None => continue,
                    }
                }
            };
            if approval.told {
                return flows.keep_wait(approval, version).await.map(|()| Reply::Later).map_err(problem);
            }
            if flows.announce(&question, &call, approval, version).await? {
                return Ok(Reply::Later);
            }
        }
        Err(FlowError::new(Standard::Runtime, "the approval changes too often; try again"))
    }
}

impl Approval {
    /// Whether what it gives is the answer to this wait: it was decided, or its time ended while this wait was open.
    fn is_answered(&self, wait: WaitId) -> bool {
        self.state == State::Decided || (self.state == State::Expired && self.wait == wait)
    }

    /// An event about it. None holds its link.
    fn event(&self, flows: &Flows, kind: &str, more: &Value) -> NewEvent {
        let mut data = json!({
            "id": self.id, "run": self.run, "flow": self.flow, "task": self.task,
            "title": self.title, "assignee": self.assignee, "expires_at": self.expires_at.to_string(),
        });
        if let (Some(data), Some(more)) = (data.as_object_mut(), more.as_object()) {
            data.extend(more.clone());
        }
        let mut event = flows.desk().notice(kind, &data);
        event.subject = Some(self.id.clone());
        event.correlation = self.lineage.correlation.clone();
        event.causation = self.lineage.causation;
        event.depth = self.lineage.depth;
        event.attributes.traceparent.clone_from(&self.lineage.traceparent);
        event
    }
}

/// Who changes an approval, having read this version of it.
fn guard(id: &str, version: u64) -> Guard {
    let key = Key::of::<Approval>(id);
    if version == 0 { Guard::Absent(key) } else { Guard::Version(key, version) }
}

impl Flows {
    /// An approval and its version.
    async fn stored_approval(&self, id: &str) -> Result<Option<(Approval, u64)>, Problem> {
        let document = self.desk().store.get(Approval::COLLECTION, id).await.map_err(unreadable)?;
        document.map(|document| Ok((super::read(&document)?, document.version))).transpose()
    }

    /// One commit about an approval. `None`: it changed meanwhile.
    async fn change_approval(
        &self,
        approval: &Approval,
        version: u64,
        events: Vec<NewEvent>,
        timers: Vec<TimerWrite>,
    ) -> Result<Option<u64>, Problem> {
        let commit = Commit {
            guards: vec![guard(&approval.id, version)],
            events,
            documents: vec![put(approval)?],
            timers,
            lane: nexus_core::store::Lane::Own,
        };
        match self.desk().try_commit(commit).await {
            Ok(done) => Ok(Some(done.versions.first().copied().unwrap_or_default())),
            Err(CommitError::Conflict { .. } | CommitError::Timer(_)) => Ok(None),
            Err(error) => Err(refused(&error)),
        }
    }

    /// Asks, for the first time or again after the last time came to nothing. `None`: somebody else did meanwhile.
    async fn ask(
        &self,
        question: &Question,
        call: &FunctionCall,
        links: u32,
        version: u64,
    ) -> Result<Option<(Approval, u64)>, FlowError> {
        let problem = |problem: Problem| refusal(&problem);
        let run = self.find(&call.run).await.map_err(problem)?;
        let published = self.inner.shelf.version(self.desk(), &run.state.flow).await.map_err(problem)?;
        // The arguments may hold secrets; what is kept and shown does not.
        let secrets = self.secrets(&published.definition.secrets);
        let hidden = |mut value: Value| {
            secrets.hide(run.state.nonce(), &mut value);
            value
        };
        let text = |text: &str| match hidden(text.into()) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let now = self.desk().now();
        let escalate = question
            .escalate
            .as_ref()
            .map(|next| Escalation { at: now.plus(next.after), assignee: text(&next.assignee) });
        let approval = Approval {
            id: call.key.clone(),
            run: call.run.clone(),
            flow: call.flow.clone(),
            wait: call.wait,
            task: call.task.clone(),
            title: text(&question.title),
            description: question.description.as_deref().map(text),
            assignee: question.assignee.as_deref().map(text),
            form: question.form.clone().map(hidden),
            asked_by: self.asked_by(&run.trigger),
            state: State::Open,
            token: None,
            links,
            told: false,
            created_at: now,
            expires_at: now.plus(question.timeout),
            escalate,
            escalated_at: None,
            decision: None,
            lineage: call.lineage.clone(),
        };
        let event = approval.event(self, "approval.requested", &json!({"asked_by": approval.asked_by}));
        let timers = timer::first(&approval);
        let done = self.change_approval(&approval, version, vec![event], timers).await.map_err(problem)?;
        Ok(done.map(|version| (approval, version)))
    }

    /// Which wait of the run the answer is for may have changed: the task is tried again.
    async fn keep_wait(&self, approval: Approval, version: u64) -> Result<(), Problem> {
        let found = self.stored_approval(&approval.id).await?;
        if found.is_some_and(|(found, _)| found.wait != approval.wait) {
            self.change_approval(&approval, version, Vec::new(), Vec::new()).await?;
        }
        Ok(())
    }

    /// Tells who is asked now, with a new link. False: the approval changed meanwhile.
    async fn announce(
        &self,
        question: &Question,
        call: &FunctionCall,
        mut approval: Approval,
        version: u64,
    ) -> Result<bool, FlowError> {
        let problem = |problem: Problem| refusal(&problem);
        let Some(channel) = question.channel(approval.escalated_at.is_some()) else {
            self.keep_wait(approval, version).await.map_err(problem)?;
            return Ok(true);
        };
        let token = self.new_token(&mut approval).map_err(problem)?;
        let Some(version) = self.change_approval(&approval, version, Vec::new(), Vec::new()).await.map_err(problem)?
        else {
            return Ok(false);
        };
        let message = self.message(&approval, &token);
        let key = format!("{}.{}", approval.id, approval.links);
        match self.send_message(channel, &key, &message, call).await {
            Ok(()) => {
                approval.told = true;
                // Whoever was faster made another link, or decided.
                self.change_approval(&approval, version, Vec::new(), Vec::new()).await.map_err(problem)?;
                Ok(true)
            }
            Err(error) => self.unsent(&approval, version, error).await.map(|()| true),
        }
    }

    /// Nobody could be told. Who is asked first must be; that the next could not be told is said and does not end the wait.
    async fn unsent(&self, approval: &Approval, version: u64, error: FlowError) -> Result<(), FlowError> {
        let reason = error.detail.clone().unwrap_or_default();
        tracing::warn!(approval = approval.id, run = approval.run, reason, "who is to approve could not be told");
        let event = approval.event(self, "approval.unannounced", &json!({"reason": reason}));
        let first = approval.escalated_at.is_none();
        let state = if first { State::Withdrawn } else { State::Open };
        let timers = if first { timer::none(approval) } else { Vec::new() };
        let changed = Approval { state, ..approval.clone() };
        let done = self.change_approval(&changed, version, vec![event], timers).await;
        let stands = done.map_err(|problem| refusal(&problem))?.is_some();
        if first && stands {
            return Err(FlowError { detail: Some(format!("who is to approve could not be told: {reason}")), ..error });
        }
        Ok(())
    }

    /// Has the call that asks made again, as after a restart.
    async fn ask_anew(&self, approval: &Approval) -> Result<(), Problem> {
        let run = self.find(&approval.run).await?;
        let open = run.state.open_effects().into_iter();
        let call = open.filter(|effect| matches!(effect, Effect::Call(call) if call.id == approval.wait)).collect();
        self.resume_effects(&approval.run, call).await
    }

    /// What a run waits for, with the approvals among it by their titles.
    pub(super) async fn naming_approvals(&self, mut waiting: Vec<Waiting>) -> Vec<Waiting> {
        for one in &mut waiting {
            if let WaitingFor::Call { from, key, .. } = &one.what
                && from.starts_with("approval:")
                && let Ok(Some((approval, _))) = self.stored_approval(key).await
            {
                let Approval { id, title, assignee, expires_at, .. } = approval;
                one.until = Some(one.until.map_or(expires_at, |until| until.min(expires_at)));
                one.what = WaitingFor::Approval { id, title, assignee };
            }
        }
        waiting
    }

    /// Whether its run still waits for it.
    async fn waits_for(&self, approval: &Approval) -> Result<bool, Problem> {
        match self.find(&approval.run).await {
            Ok(run) if run.state.status.has_ended() => Ok(false),
            Ok(run) => {
                let open = run.state.open_effects();
                Ok(open.iter().any(|effect| matches!(effect, Effect::Call(call) if call.id == approval.wait)))
            }
            Err(problem) if problem.code == Code::NotFound => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// Notes that nobody waits for it any more.
    async fn withdraw(&self, approval: Approval, version: u64) -> Result<(), Problem> {
        let timers = timer::none(&approval);
        let approval = Approval { state: State::Withdrawn, ..approval };
        let event = approval.event(self, "approval.withdrawn", &Value::Null);
        self.change_approval(&approval, version, vec![event], timers).await.map(|_| ())
    }
}

impl Flows {
    /// Why a run began, for who is asked.
    fn asked_by(&self, trigger: &Trigger) -> String {
        match trigger {
            Trigger::Event { topic, .. } => format!("event {topic}"),
            Trigger::Schedule { .. } => "schedule".to_owned(),
            Trigger::Manual { by } | Trigger::Webhook { by } => {
                let token = self.inner.hub.tokens().get(by);
                token.map_or_else(|_| by.clone(), |token| format!("token:{}", token.name))
            }
            Trigger::Flow { run, .. } => format!("run {run}"),
        }
    }
}
