//! What happens to an approval by time: somebody else is asked, or it is too late. Each once, in one commit with its timer.

use async_trait::async_trait;
use nexus_core::{
    problem::Problem,
    store::{Commit, Timer, TimerWrite},
};
use nexus_engine::timers::OnTimer;
use serde_json::{Value, json};

use super::{
    guard,
    record::{Approval, Decision, Outcome, State},
};
use crate::{
    effect::{Answer, Input},
    host::{Flows, commit::put},
};

/// The kind of the timers of approvals.
pub(super) const KIND: &str = "flow.approval";

fn expiry(id: &str) -> String {
    format!("flow-approval/{id}/expiry")
}

fn escalation(id: &str) -> String {
    format!("flow-approval/{id}/escalation")
}

fn set(id: String, due: nexus_core::time::Timestamp) -> TimerWrite {
    TimerWrite::Set { id, due, kind: KIND.to_owned(), body: "{}".to_owned() }
}

/// The timers of one that is asked now.
pub(super) fn first(approval: &Approval) -> Vec<TimerWrite> {
    let next = match &approval.escalate {
        Some(next) => set(escalation(&approval.id), next.at),
        None => TimerWrite::Cancel(escalation(&approval.id)),
    };
    vec![set(expiry(&approval.id), approval.expires_at), next]
}

/// The timers of one that has ended.
pub(super) fn none(approval: &Approval) -> Vec<TimerWrite> {
    of(&approval.id)
}

/// The same by its id.
pub(super) fn of(id: &str) -> Vec<TimerWrite> {
    vec![TimerWrite::Cancel(expiry(id)), TimerWrite::Cancel(escalation(id))]
}

/// Does what is due.
pub(super) struct Due(pub(super) Flows);

#[async_trait]
impl OnTimer for Due {
    async fn fire(&self, timer: &Timer) -> Result<(), Problem> {
        let flows = &self.0;
        let mut parts = timer.id.split('/').skip(1);
        let (id, what) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let fired = TimerWrite::Fire { id: timer.id.clone(), version: timer.version };
        match flows.stored_approval(id).await? {
            Some((approval, version)) if approval.state == State::Open && what == "expiry" => {
                flows.expire(approval, version, fired).await
            }
            Some((approval, version)) if approval.state == State::Open && approval.escalate.is_some() => {
                flows.escalate(approval, version, fired).await
            }
            _ => flows.desk().commit(Commit { timers: vec![fired], ..Commit::default() }).await.map(|_| ()),
        }
    }
}

impl Flows {
    async fn expire(&self, mut approval: Approval, version: u64, fired: TimerWrite) -> Result<(), Problem> {
        approval.state = State::Expired;
        approval.decision = Some(Decision {
            outcome: Outcome::Timeout,
            by: None,
            comment: None,
            answers: json!({}),
            at: self.desk().now(),
        });
        let event = approval.event(self, "approval.expired", &Value::Null);
        let timers = vec![fired, TimerWrite::Cancel(escalation(&approval.id))];
        if self.change_approval(&approval, version, vec![event], timers).await?.is_some() {
            let value = approval.given().unwrap_or_default();
            self.tell_later(&approval.run, Input::CallDone { id: approval.wait, answer: Answer::Value { value } });
        }
        Ok(())
    }

    async fn escalate(&self, mut approval: Approval, version: u64, fired: TimerWrite) -> Result<(), Problem> {
        let from = approval.assignee.take();
        approval.assignee = approval.escalate.take().map(|next| next.assignee);
        approval.escalated_at = Some(self.desk().now());
        // The link was for the one who did not decide.
        approval.token = None;
        approval.told = false;
        let commit = Commit {
            guards: vec![guard(&approval.id, version)],
            events: vec![approval.event(self, "approval.escalated", &json!({"from": from}))],
            documents: vec![put(&approval)?],
            timers: vec![fired],
            ..Commit::default()
        };
        match self.desk().commit(commit).await {
            Ok(_) => self.ask_anew(&approval).await,
            Err(problem) if problem.code == nexus_core::problem::Code::Conflict => Ok(()),
            Err(problem) => Err(problem),
        }
    }
}
