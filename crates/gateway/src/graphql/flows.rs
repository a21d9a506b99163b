//! Automations: the runs of flows, as the REST routes have them.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use nexus_core::problem::Code;
use nexus_flows::host::{RunFilter, RunView};

use super::{
    ask::{Ask, refusal},
    objects::PageInfo,
    query::limit,
    scalars::{Json, Time},
};
use crate::flows::{run_status, shown_run};

/// A run of a flow.
#[derive(SimpleObject)]
struct Run {
    id: ID,
    /// Its flow: namespace/name.
    flow: String,
    /// The version it runs.
    version: String,
    /// pending, queued, running, waiting, suspended, cancelled, faulted or completed.
    status: String,
    /// Why it began.
    trigger: Json,
    /// What it belongs to.
    correlation_id: String,
    /// The event that caused it.
    causation_id: Option<ID>,
    /// Its key, where its flow has at most one active run per key.
    key: Option<String>,
    created_at: Time,
    ended_at: Option<Time>,
    /// How long it took, or has taken so far.
    duration_ms: u64,
    /// What it was given.
    input: Json,
    /// What it gave.
    output: Option<Json>,
    /// What ended it.
    error: Option<Json>,
    /// What it waits for, and until when.
    waiting_for: Json,
}

/// A page of runs, the newest first.
#[derive(SimpleObject)]
struct RunConnection {
    nodes: Vec<Run>,
    page_info: PageInfo,
}

fn json(value: serde_json::Value) -> Json {
    Json(async_graphql::Value::from_json(value).unwrap_or_default())
}

impl From<RunView> for Run {
    fn from(run: RunView) -> Self {
        // Times within are written as everywhere.
        let mut shown = shown_run(&run);
        let mut part = |name: &str| shown.get_mut(name).map(serde_json::Value::take);
        let trigger = json(part("trigger").unwrap_or_default());
        let waiting_for = json(part("waiting_for").unwrap_or_default());
        let error = part("error").map(json);
        Self {
            id: run.id.into(),
            flow: run.flow,
            version: run.version,
            status: run.status.to_owned(),
            trigger,
            correlation_id: run.correlation,
            causation_id: run.causation.map(|id| id.to_string().into()),
            key: run.key,
            created_at: Time(run.created_at),
            ended_at: run.ended_at.map(Time),
            duration_ms: run.duration_ms,
            input: json(run.input),
            output: run.output.map(json),
            error,
            waiting_for,
        }
    }
}

/// Questions about automations.
#[derive(Default)]
pub(crate) struct FlowsQuery;

#[Object]
impl FlowsQuery {
    /// One run of a flow, by its id.
    async fn run(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Run>> {
        let ask = Ask::may(ctx, "flows:read")?;
        match ask.gate.flows.run(&id).await {
            Ok(run) => Ok(Some(run.into())),
            Err(problem) if problem.code == Code::NotFound => Ok(None),
            Err(problem) => Err(refusal(&problem)),
        }
    }

    /// Runs of flows, the newest first.
    #[graphql(complexity = "5 + (first.unwrap_or(50).clamp(0, 1000) as usize) * child_complexity / 2")]
    async fn runs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this flow: namespace/name")] flow: Option<String>,
        #[graphql(desc = "In this status; open for all that have not ended")] status: Option<String>,
        #[graphql(desc = "That belong to this correlation id")] correlation: Option<String>,
        #[graphql(desc = "At most so many: 1 to 200, default 50")] first: Option<i32>,
        #[graphql(desc = "endCursor of the page before")] after: Option<String>,
    ) -> Result<RunConnection> {
        let ask = Ask::may(ctx, "flows:read")?;
        let status = status.as_deref().map(run_status).transpose().map_err(|problem| refusal(&problem))?;
        let filter = RunFilter { flow, status: status.map(str::to_owned), correlation };
        let page = ask.gate.flows.runs(&filter, after, limit(first)?).await.map_err(|problem| refusal(&problem))?;
        let page_info = PageInfo { has_next_page: page.next.is_some(), end_cursor: page.next };
        Ok(RunConnection { nodes: page.items.into_iter().map(Run::from).collect(), page_info })
    }
}
