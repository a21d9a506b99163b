//! `connector.<name>.<operation>`: what the hub's connectors do, called from flows.

use std::time::Duration;

use async_trait::async_trait;
use nexus_core::{
    event::Priority,
    problem::{Code, Problem},
};
use nexus_engine::{
    Hub,
    connectors::{CallError, ConnectorCall},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Flows, Function, FunctionCall, Reply, arguments, refusal};
use crate::{
    catalog::time,
    error::{FlowError, Standard},
    run::{Waiting, WaitingFor},
    validate::{find, parts},
};

/// How long a call may wait for its turn and between attempts, unless it says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest that it may say.
const LONGEST_PATIENCE: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(default)]
    input: Value,
    /// The task's own without.
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    connection: Option<String>,
    #[serde(default)]
    priority: Option<String>,
    #[serde(default)]
    patience: Option<String>,
}

/// All connectors as functions.
pub(super) struct ConnectorFunction(pub(super) Hub);

#[async_trait]
impl Function for ConnectorFunction {
    fn knows(&self, name: &str) -> Result<(), String> {
        find(self.0.connectors().library(), name).map(|_| ())
    }

    async fn call(&self, flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError> {
        let wrong = |what: String| FlowError::new(Standard::Validation, what);
        let asked: Arguments = arguments(&call)?;
        let Some((connector, operation)) = parts(&call.name) else {
            return Err(wrong(format!("{:?} names no operation; write connector.NAME.OPERATION", call.name)));
        };
        if !call.principal.may_for("connectors:call", connector) {
            let message = format!("the flow's publisher lacked the scope connectors:call:{connector}");
            return Err(refusal(&Problem::new(Code::Forbidden, message)));
        }
        let priority = asked.priority.as_deref().map(str::parse::<Priority>).transpose().map_err(wrong)?;
        let patience = asked.patience.as_deref().map(time).transpose().map_err(wrong)?;
        let asked = ConnectorCall {
            connection: asked.connection,
            key: Some(asked.key.unwrap_or(call.key)),
            priority: priority.unwrap_or_default(),
            patience: patience.unwrap_or(PATIENCE).min(LONGEST_PATIENCE),
            // Whoever calls back hands on the depth that an event of this run would have.
            depth: call.lineage.depth.saturating_sub(1),
            correlation: call.lineage.correlation,
            causation: call.lineage.causation,
            traceparent: call.lineage.traceparent,
            ..ConnectorCall::new(connector, operation, asked.input)
        };
        match self.0.connectors().call(asked).await {
            Ok(called) => Ok(Reply::Done(called.output)),
            Err(error) => Err(failure(&error, &error.to_problem(flows.desk().now()))),
        }
    }
}

impl Flows {
    /// With why calls of connectors are not sent yet, where the hub keeps them waiting.
    pub(super) fn telling_why(&self, mut waiting: Vec<Waiting>) -> Vec<Waiting> {
        for one in &mut waiting {
            if let WaitingFor::Call { from, key, because } = &mut one.what
                && parts(from).is_some()
                && let Some(wait) = self.inner.hub.connectors().waiting(key)
            {
                *because = Some(wait.what);
                one.until = Some(one.until.map_or(wait.until, |until| until.min(wait.until)));
            }
        }
        waiting
    }
}

/// The refusal of a call as a flow sees it: with the provider's own status, where it gave one.
fn failure(error: &CallError, problem: &Problem) -> FlowError {
    let failure = match error {
        CallError::Refused { .. } | CallError::Failed { .. } | CallError::Unsure { .. } => {
            FlowError::new(Standard::Communication, problem.message.clone())
        }
        CallError::Reconnect { .. } => FlowError::new(Standard::Authentication, problem.message.clone()),
        CallError::Scope { .. } => FlowError::new(Standard::Authorization, problem.message.clone()),
        // Somebody has to set something before it can succeed.
        CallError::Connection(_) | CallError::Disabled(_) => {
            FlowError::new(Standard::Configuration, problem.message.clone())
        }
        _ => refusal(problem),
    };
    match error.status() {
        Some(status) => failure.with_status(status),
        None => failure,
    }
}
