//! `nexus flows approvals|approve|reject`: what flows ask people.

use clap::Args;
use nexus_client::flow::{Approval, Approvals};
use serde_json::Value;

use crate::{
    cli::Global,
    command::event::parse_json,
    output::{Failure, plain, table},
};

/// `nexus flows approvals`
#[derive(Debug, Args)]
pub(crate) struct Listed {
    /// In this state: open, decided, expired, withdrawn; or all
    #[arg(long, default_value = "open")]
    state: String,
    /// Of which this one is asked
    #[arg(long)]
    assignee: Option<String>,
    /// Of this run
    #[arg(long)]
    run: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Go on after this cursor
    #[arg(long)]
    cursor: Option<String>,
}

/// `nexus flows approve`, `nexus flows reject`
#[derive(Debug, Args)]
pub(crate) struct Decision {
    /// The approval
    id: String,
    /// Why
    #[arg(long)]
    comment: Option<String>,
    /// Values of the form's fields, as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    answers: String,
}

pub(super) async fn list(global: &Global, args: Listed) -> Result<(), Failure> {
    let Listed { state, assignee, run, limit, cursor } = args;
    let state = Some(state).filter(|state| state != "all");
    let page = global.client()?.approvals(&Approvals { state, assignee, run, cursor, limit: Some(limit) }).await?;
    global.screen().either(&page, || {
        let rows: Vec<Vec<String>> = page.items.iter().map(row).collect();
        let more = page.next_cursor.as_deref().map_or_else(String::new, |c| format!("\nmore: --cursor {c:?}"));
        table(&["approval", "title", "assignee", "flow", "state", "until"], &rows, "nobody is asked anything") + &more
    })
}

fn row(approval: &Approval) -> Vec<String> {
    let decision = approval.more.get("decision").and_then(|decision| decision.get("outcome")).map(plain);
    vec![
        approval.id.clone(),
        approval.title.clone(),
        approval.assignee.clone().unwrap_or_default(),
        approval.flow.clone(),
        decision.unwrap_or_else(|| approval.state.clone()),
        approval.expires_at.clone(),
    ]
}

pub(super) async fn decide(global: &Global, args: Decision, approved: bool) -> Result<(), Failure> {
    let answers = parse_json(&args.answers)?;
    let done = global.client()?.decide_approval(&args.id, approved, args.comment.as_deref(), &answers).await?;
    global.screen().either(&done, || {
        let word = if approved { "approved" } else { "rejected" };
        let heard = done.more.get("heard") != Some(&Value::Bool(false));
        let after = if heard { "goes on" } else { "does not wait any more" };
        format!("{} is {word}; run {} {after}", done.title, done.run)
    })
}
