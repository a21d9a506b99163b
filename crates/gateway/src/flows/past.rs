//! Flows over the past: what they would have been begun by, what another version would have done.

use nexus_core::problem::Problem;
use nexus_flows::host::{At, LookBack, Rehearse};
use serde::Deserialize;
use serde_json::Value;

use crate::{answer::Answer, call::Call};

/// Runs that are played once more where the caller does not say.
const RUNS: usize = 20;

/// Which version: the present one of a flow, or a document.
fn one(flow: Option<String>, document: Option<Value>) -> Result<Rehearse, Problem> {
    match (flow, document) {
        (Some(flow), None) => Ok(Rehearse::Flow(flow)),
        (None, Some(Value::String(text))) => Ok(Rehearse::Document(text)),
        // JSON is YAML, too.
        (None, Some(document @ Value::Object(_))) => Ok(Rehearse::Document(document.to_string())),
        (None, Some(_)) => Err(Problem::field("document", "is a flow as YAML text, or as an object")),
        _ => Err(Problem::field("flow", "one of `flow` (namespace/name) and `document` is expected")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBacktest {
    #[serde(default)]
    flow: Option<String>,
    #[serde(default)]
    document: Option<Value>,
    #[serde(default)]
    from: Option<At>,
    #[serde(default)]
    to: Option<At>,
    #[serde(default)]
    next: Option<Value>,
}

/// `POST /api/v1/flows/backtest`.
pub(crate) async fn backtest(mut call: Call) -> Result<Answer, Problem> {
    let NewBacktest { flow, document, from, to, next } = call.json().await?;
    let (flows, by) = (&call.gate.flows, call.principal()?);
    let back = LookBack { from, to, next };
    Answer::data(&match one(flow, document)? {
        Rehearse::Flow(flow) => flows.backtest_flow(&flow, back, by).await?,
        Rehearse::Document(text) => flows.backtest_text(&text, back, by).await?,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRehearsal {
    #[serde(default)]
    flow: Option<String>,
    #[serde(default)]
    document: Option<Value>,
    #[serde(default)]
    runs: Option<usize>,
}

/// `POST /api/v1/flows/rehearse`.
pub(crate) async fn rehearse(mut call: Call) -> Result<Answer, Problem> {
    let NewRehearsal { flow, document, runs } = call.json().await?;
    let what = one(flow, document)?;
    Answer::data(&call.gate.flows.rehearse(&what, runs.unwrap_or(RUNS), call.principal()?).await?)
}
