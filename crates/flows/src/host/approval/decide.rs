//! How an approval ends: who may see it, what is decided, and what its run is told.

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    record::{Record, Value as Cell},
    store::{Commit, IndexQuery, Key, Lane, Range, Write},
};
use nexus_engine::{desk::unreadable, supervisor::TaskKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use super::link::Linked;
use super::{
    super::form,
    ATTEMPTS,
    record::{Approval, Decision, Outcome, State},
    timer,
};
use crate::{
    effect::{Answer, Input, WaitId},
    host::{Flows, Listed, queries::PAGE, runner::Told},
};

/// Characters of a comment.
pub const COMMENT: usize = 2_000;

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Yes.
    Approved,
    /// No.
    Rejected,
}

/// What somebody decides.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Yes or no.
    pub decision: Choice,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
    /// What was filled in.
    #[serde(default)]
    pub answers: Map<String, Value>,
}

/// A decision that is on disk.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The approval.
    pub approval: Approval,
    /// Its run goes on with it. False: it stopped waiting in the same moment.
    pub heard: bool,
}

/// Which approvals.
#[derive(Clone, Debug, Default)]
pub struct ApprovalFilter {
    /// In this state.
    pub state: Option<String>,
    /// Whom is asked.
    pub assignee: Option<String>,
    /// Of this run.
    pub run: Option<String>,
}

fn checked(approval: &Approval, verdict: &Verdict) -> Result<(), Problem> {
    if verdict.comment.as_ref().is_some_and(|comment| comment.chars().count() > COMMENT) {
        return Err(Problem::field("comment", format!("has more than {COMMENT} characters")));
    }
    let whole = verdict.decision == Choice::Approved;
    form::check(approval.form.as_ref(), &verdict.answers, whole).map_err(|wrong| {
        let reasons: Vec<String> = wrong.iter().map(|(field, reason)| format!("{field}: {reason}")).collect();
        let mut problem = Problem::new(Code::Invalid, reasons.join("; "));
        problem.details.extend(wrong);
        problem
    })
}

fn range(index: &'static str, prefix: Vec<Cell>) -> Range {
    Range { collection: Approval::COLLECTION, index, prefix, from: None, until: None }
}

impl Flows {
    /// One approval.
    pub async fn approval(&self, id: &str) -> Result<Approval, Problem> {
        let found = self.stored_approval(id).await?;
        found
            .map(|(approval, _)| approval)
            .ok_or_else(|| Problem::new(Code::NotFound, format!("there is no approval {id:?}")))
    }

    /// Approvals, the newest first.
    pub async fn approvals(
        &self,
        filter: &ApprovalFilter,
        after: Option<String>,
        limit: usize,
    ) -> Result<Listed<Approval>, Problem> {
        let mut filters: Vec<(&'static str, Cell)> = Vec::new();
        let mut index = "by_time";
        match filter.state.as_deref() {
            Some("open") if filter.run.is_none() => index = "open",
            Some(state) => filters.push(("state", state.into())),
            None => {}
        }
        filters.extend(filter.assignee.as_deref().map(|assignee| ("assignee", assignee.into())));
        let range = match &filter.run {
            Some(run) => range("by_run", vec![run.as_str().into()]),
            None => range(index, Vec::new()),
        };
        let query = IndexQuery { range, descending: true, filters, after, limit: limit.clamp(1, PAGE) };
        let page = self.desk().store.list(query).await.map_err(unreadable)?;
        let items = page.items.iter().map(crate::host::read).collect::<Result<_, _>>()?;
        Ok(Listed { items, next: page.next })
    }

    /// One that may be decided; else why not.
    pub(super) async fn open_approval(&self, id: &str) -> Result<(Approval, u64), Problem> {
        let found = self.stored_approval(id).await?;
        let (approval, version) =
            found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no approval {id:?}")))?;
        if approval.state != State::Open {
            let message = format!("approval {id} {}", approval.how_it_ended());
            return Err(Problem::new(Code::Conflict, message).fact("state", approval.state.as_str()));
        }
        if approval.expires_at <= self.desk().now() {
            let message = format!("approval {id} was not decided by {}, which was its time", approval.expires_at);
            return Err(Problem::new(Code::Conflict, message).fact("state", State::Expired.as_str()));
        }
        if !self.waits_for(&approval).await? {
            let message = format!("nobody waits for approval {id} any more; see what became of run {}", approval.run);
            self.withdraw(approval, version).await?;
            return Err(Problem::new(Code::Conflict, message).fact("state", State::Withdrawn.as_str()));
        }
        Ok((approval, version))
    }

    /// Decides. To be run to its end, as the run is told after the decision is stored; a decision that it was not told, it
    /// gets when the hub starts again.
    pub async fn decide_approval(&self, id: &str, verdict: Verdict, by: &Principal) -> Result<Decided, Problem> {
        self.settle_approval(id, verdict, by, None).await
    }

    /// With the hash of a token: only while that is the one of its link.
    pub(super) async fn settle_approval(
        &self,
        id: &str,
        verdict: Verdict,
        by: &Principal,
        link: Option<&str>,
    ) -> Result<Decided, Problem> {
        let comment = verdict.comment.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        for _ in 0..ATTEMPTS {
            let (mut approval, version) = self.open_approval(id).await?;
            if link.is_some() && approval.token.as_deref() != link {
                return Err(Problem::new(Code::Conflict, "the link is not that of the approval any more"));
            }
            checked(&approval, &verdict)?;
            let outcome = match verdict.decision {
                Choice::Approved => Outcome::Approved,
                Choice::Rejected => Outcome::Rejected,
            };
            approval.state = State::Decided;
            approval.decision = Some(Decision {
                outcome,
                by: Some(by.name.to_string()),
                comment: comment.clone(),
                answers: Value::Object(verdict.answers.clone()),
                at: self.desk().now(),
            });
            let value = approval.given().unwrap_or_default();
            let audit = self.desk().audit(
                by,
                "flow.approval_decided",
                &json!({"approval": id, "run": approval.run, "flow": approval.flow, "outcome": outcome}),
            );
            let events = vec![approval.event(self, "approval.decided", &value), audit];
            let timers = timer::none(&approval);
            if self.change_approval(&approval, version, events, timers).await?.is_none() {
                continue;
            }
            let answer = Answer::Value { value };
            let heard = match self.answer(&approval.run, approval.wait, answer.clone()).await {
                Ok(told) => told == Told::Taken,
                Err(_) => {
                    // It is told as soon as that can be stored.
                    self.tell_later(&approval.run, Input::CallDone { id: approval.wait, answer });
                    true
                }
            };
            return Ok(Decided { approval, heard });
        }
        Err(Problem::new(Code::Unavailable, "the approval changes too often; try again"))
    }

    /// A run has stopped to wait for a call that somebody else was to answer. Where that is an approval, nobody is asked
    /// any more.
    pub(in crate::host) fn withdraw_later(&self, run: &str, wait: WaitId) {
        let (flows, run, work) = (self.clone(), run.to_owned(), self.inner.hub.at_work());
        self.inner.hub.spawn().start(TaskKind::Delivery, async move {
            let _work = work;
            if let Err(problem) = flows.withdraw_of(&run, wait).await {
                tracing::warn!(
                    run,
                    error = problem.message,
                    "an approval that nobody waits for could not be withdrawn"
                );
            }
        });
    }

    async fn withdraw_of(&self, run: &str, wait: WaitId) -> Result<(), Problem> {
        for approval in self.approvals_of(run).await? {
            if approval.wait == wait
                && let Some((approval, version)) = self.stored_approval(&approval.id).await?
                && approval.state == State::Open
                && approval.wait == wait
            {
                self.withdraw(approval, version).await?;
            }
        }
        Ok(())
    }

    async fn approvals_of(&self, run: &str) -> Result<Vec<Approval>, Problem> {
        let filter = ApprovalFilter { run: Some(run.to_owned()), ..ApprovalFilter::default() };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.approvals(&filter, after, PAGE).await?;
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Forgets the approvals of a run that is forgotten.
    pub(in crate::host) async fn forget_approvals(&self, run: &str) -> Result<(), Problem> {
        loop {
            let query = IndexQuery {
                range: range("by_run", vec![run.into()]),
                descending: false,
                filters: Vec::new(),
                after: None,
                limit: PAGE,
            };
            let page = self.desk().store.list(query).await.map_err(unreadable)?;
            if page.items.is_empty() {
                return Ok(());
            }
            let mut commit = Commit { lane: Lane::Own, ..Commit::default() };
            for document in page.items {
                commit.timers.extend(timer::of(&document.key));
                commit.documents.push(Write::Delete(Key::of::<Approval>(document.key)));
            }
            self.desk().commit(commit).await?;
        }
    }
}
