//! Approvals over HTTP: with a token, and by a link that opens a page.

pub(crate) mod link;
mod page;

use nexus_core::problem::{Code, Problem};
use nexus_flows::host::approval::{
    decide::{ApprovalFilter, Verdict},
    record::{Approval, State},
};
use serde_json::{Value, json};

use crate::{answer::Answer, call::Call};

/// `GET /api/v1/approvals`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let state = query.given("state");
    if let Some(state) = state.filter(|state| !State::WORDS.contains(state)) {
        return Err(Problem::field("state", format!("{state:?} is none of {}", State::WORDS.join(", "))));
    }
    let owned = |name: &str| query.given(name).map(str::to_owned);
    let filter = ApprovalFilter { state: state.map(str::to_owned), assignee: owned("assignee"), run: owned("run") };
    let page = call.gate.flows.approvals(&filter, owned("cursor"), query.limit(50, 200)?).await?;
    let items: Vec<Value> = page.items.iter().map(Approval::shown).collect();
    Answer::page(&items, page.next.as_deref())
}

/// `GET /api/v1/approvals/{id}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    Answer::data(&call.gate.flows.approval(&call.param("id")?).await?.shown())
}

/// The approval of the path, if the caller may decide for its flow.
async fn own(call: &Call) -> Result<String, Problem> {
    let approval = call.gate.flows.approval(&call.param("id")?).await?;
    let who = call.principal()?;
    if who.may_for("flows:approve", &approval.flow) {
        return Ok(approval.id);
    }
    Err(Problem::new(Code::Forbidden, format!("{} lacks the scope flows:approve:{}", who.name, approval.flow)))
}

/// `POST /api/v1/approvals/{id}`.
pub(crate) async fn decide(mut call: Call) -> Result<Answer, Problem> {
    let id = own(&call).await?;
    let verdict: Verdict = call.json().await?;
    let done = call.gate.flows.decide_approval(&id, verdict, call.principal()?).await?;
    let mut shown = done.approval.shown();
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("heard".to_owned(), done.heard.into());
    }
    Answer::data(&shown)
}

/// `POST /api/v1/approvals/{id}/link`.
pub(crate) async fn renew(call: Call) -> Result<Answer, Problem> {
    let id = own(&call).await?;
    let (approval, link) = call.gate.flows.renew_approval_link(&id, call.principal()?).await?;
    Answer::data(&json!({"id": id, "link": link, "expires_at": approval.expires_at.to_string()}))
}
