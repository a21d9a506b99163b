//! From a request to its answers, the same for both doors.

use std::{pin::Pin, sync::Arc, time::Duration};

use async_graphql::{Request, Response, ServerError, Variables, parser::types::OperationType};
use futures_util::{Stream, StreamExt, stream};
use nexus_core::problem::{Code, Problem};
use nexus_engine::supervisor::TaskKind;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    admission::{Admitted, Unfit, admit},
    ask::{Ask, label, refused},
};
use crate::{gate::Gate, identity::Presented};

/// Time for a query; above: an error.
const QUERY_TIME: Duration = Duration::from_secs(20);

/// The answers to a request: one, or many for a subscription.
pub(super) type Answers = Pin<Box<dyn Stream<Item = Response> + Send>>;

/// A request as it is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    /// The document.
    pub(super) query: String,
    /// Which of its operations.
    #[serde(default)]
    pub(super) operation_name: Option<String>,
    /// Values of its variables.
    #[serde(default)]
    pub(super) variables: Option<Map<String, Value>>,
}

/// A request that may run.
pub(super) struct Ready {
    /// What it is.
    pub(super) kind: OperationType,
    request: Request,
}

impl Asked {
    /// Parses and measures it.
    pub(super) fn prepare(self) -> Result<Ready, Unfit> {
        let name = self.operation_name.filter(|name| !name.is_empty());
        let Admitted { document, kind } = admit(&self.query, name.as_deref())?;
        let mut request = Request::new(self.query);
        request.set_parsed_query(document);
        request.operation_name = name;
        request.variables = Variables::from_json(Value::Object(self.variables.unwrap_or_default()));
        // An operation that is not there runs into an error of validation, as a query would.
        Ok(Ready { kind: kind.unwrap_or(OperationType::Query), request })
    }
}

/// An answer that is a refusal.
pub(super) fn refuse(why: impl Into<Unfit>) -> Response {
    Response::from_errors(vec![refused(&why.into())])
}

/// Runs a request on behalf of `who`.
pub(super) fn answers(gate: &Arc<Gate>, who: Presented, ready: Ready) -> Answers {
    let Ready { kind, request } = ready;
    let request = request.data(Ask { gate: Arc::clone(gate), who });
    match kind {
        OperationType::Subscription => gate.made.graphql().execute_stream(request).map(labelled).boxed(),
        OperationType::Query => {
            let gate = Arc::clone(gate);
            stream::once(async move {
                let answer = tokio::time::timeout(QUERY_TIME, gate.made.graphql().execute(request)).await;
                answer.map_or_else(|_| late(), labelled)
            })
            .boxed()
        }
        OperationType::Mutation => {
            let gate = Arc::clone(gate);
            stream::once(async move { change(gate, request).await }).boxed()
        }
    }
}

/// The one answer of a question or a change.
pub(super) async fn answer(gate: &Arc<Gate>, who: Presented, ready: Ready) -> Response {
    answers(gate, who, ready).next().await.unwrap_or_else(late)
}

/// Runs a change to its end even if the caller hangs up: it commits first and then brings what is in memory up to date.
async fn change(gate: Arc<Gate>, request: Request) -> Response {
    let (to, answer) = tokio::sync::oneshot::channel();
    let schema = gate.made.graphql().clone();
    gate.hub.spawn().start(TaskKind::Connection, async move {
        // The receiver is gone when the caller is.
        drop(to.send(labelled(schema.execute(request).await)));
    });
    answer.await.unwrap_or_else(|_| refuse(Problem::new(Code::Internal, "the request was not finished")))
}

fn late() -> Response {
    refuse(Problem::new(Code::Timeout, format!("the query took longer than {} s", QUERY_TIME.as_secs())))
}

fn labelled(mut response: Response) -> Response {
    label(&mut response.errors);
    response
}

/// Whether these errors say that something is missing between two answers, and more will come.
pub(super) fn are_gap(errors: &[ServerError]) -> bool {
    let is_gap =
        |e: &ServerError| e.extensions.as_ref().and_then(|x| x.get("code")) == Some(&async_graphql::Value::from("GAP"));
    !errors.is_empty() && errors.iter().all(is_gap)
}
