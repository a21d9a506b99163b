//! Stand-ins from what a run did: its calls answer once more as they did then, so that another version can be played over
//! the same past.
//!
//! A run keeps what its tasks gave, not what they were answered. Where `output.as` made something else of the answer, the
//! answer is gone: such a call has no stand-in, and the rehearsal says that it would call.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::Value;

use super::{Reply, Selection, Stub, stub::json_response};
use crate::{
    effect::{HttpResponse, Step, StepPhase},
    error::FlowError,
    openapi::plain,
    plan::{Definition, Node, Wanted, Work},
};

/// The answers that the calls of a run had, each once and in order, told apart by the names of their tasks.
pub fn recorded(definition: &Definition, steps: &[Step]) -> Vec<Stub> {
    let mut nodes: BTreeMap<&str, &Node> = BTreeMap::new();
    definition.each_node(&mut |node| {
        nodes.insert(node.pointer.as_str(), node);
    });
    let stubs = steps.iter().filter_map(|step| {
        let node = nodes.get(step.task.as_str())?;
        let reply = reply(node, step)?;
        let of = Selection { task: Some(step.name.clone()), ..Selection::default() };
        Some(Stub { of, reply, times: Some(1) })
    });
    stubs.collect()
}

fn reply(node: &Node, step: &Step) -> Option<Reply> {
    let wanted = match &node.work {
        Work::Http(plan) => Some(plan.wanted),
        Work::Function { .. } => None,
        Work::Run(plan) if plan.wait && plan.output => None,
        // An OpenAPI call asks twice, and only the second answer is known.
        _ => return None,
    };
    match step.phase {
        StepPhase::Faulted => {
            let error: FlowError = serde_json::from_value(step.data.clone()).ok()?;
            // An error that came from without names no other task.
            let own = error.instance.as_deref().is_none_or(|instance| instance == step.task);
            own.then_some(Reply::Error(FlowError { instance: None, ..error }))
        }
        StepPhase::Completed if node.output_as.is_none() => Some(match wanted {
            Some(Wanted::Response) => Reply::Response(response(&step.data)?),
            Some(Wanted::Raw) => Reply::Response(HttpResponse {
                status: 200,
                body: BASE64.decode(step.data.as_str()?.as_bytes()).ok()?,
                ..HttpResponse::default()
            }),
            _ => Reply::Value(step.data.clone()),
        }),
        _ => None,
    }
}

/// The response that `output: response` told of.
fn response(data: &Value) -> Option<HttpResponse> {
    let status = data.get("statusCode").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok())?;
    let headers = data.get("headers").and_then(Value::as_object)?;
    let headers: BTreeMap<String, String> = headers.iter().map(|(k, v)| (k.clone(), plain(v))).collect();
    let content = data.get("content").cloned().unwrap_or_default();
    let is_text = headers.get("content-type").is_some_and(|kind| !kind.contains("json"));
    let body = match (&content, is_text) {
        (Value::String(text), true) => text.clone().into_bytes(),
        _ => json_response(status, &content).body,
    };
    Some(HttpResponse { status, headers, body })
}
