//! `/flows/…`: the addresses of flows. A request begins a run and, where the flow says so, waits for what it gives.

use std::collections::BTreeMap;

use http::{HeaderValue, StatusCode, header};
use nexus_core::{
    limits::BODY_BYTES,
    problem::{Code, Problem},
};
use nexus_flows::{
    effect::Outcome,
    error::{FlowError, Standard, standard},
    host::{Asked, Begun, Trigger},
    webhook::{WebhookAnswer, WebhookPlan, WebhookRequest},
};
use serde_json::json;

use super::may_run;
use crate::{
    answer::Answer,
    call::Call,
    error::{malformed, not_found},
    ingress::{count, lineage::Lineage, webhook::prove},
    query::decode,
};

/// Any method of `/flows/{path}`.
pub(crate) async fn begin(mut call: Call) -> Result<Answer, Problem> {
    let path = call.param("path")?;
    let method = call.parts.method.as_str().to_owned();
    let Some((flow, plan)) = call.gate.flows.at_address(&method, &path) else {
        // Whoever may run nothing is not told which addresses there are.
        if call.who.is_none() {
            return Err(unproven());
        }
        if !call.principal()?.may_some("flows:run") {
            return Err(Problem::new(Code::Forbidden, format!("{} lacks the scope flows:run", call.principal()?.name)));
        }
        let there = call.gate.flows.methods_at(&path);
        if there.is_empty() {
            return Err(not_found("flow with a webhook", &path));
        }
        return Err(Problem::new(Code::MethodNotAllowed, format!("this flow is begun with {}", there.join(", "))));
    };
    let body = call.bytes(BODY_BYTES).await?;
    let (by, delivery) = match &plan.source {
        Some(id) => {
            let set = call.hub().sources().active();
            let source = set.get(id).filter(|s| s.source.enabled).cloned().ok_or_else(|| not_found("source", id))?;
            count(&call, Some(&source))?;
            (id.clone(), prove(&call, &source, &body)?)
        }
        None => {
            if call.who.is_none() {
                return Err(unproven());
            }
            may_run(&call, &flow)?;
            (call.principal()?.identity().to_owned(), None)
        }
    };
    let input = input(&call, &plan, &path, &body)?;
    let lineage = Lineage::of(&call).await?;
    let asked = Asked {
        flow,
        input,
        trigger: Trigger::Webhook { by },
        idempotency_key: lineage.idempotency_key().map(str::to_owned).or(delivery),
        lineage: lineage.of_run(call.id.as_str()),
    };
    let begun = call.gate.flows.start(asked).await?;
    let id = begun.run().to_owned();
    let wait = match plan.answer {
        WebhookAnswer::Sync(within) if !matches!(begun, Begun::Skipped { .. } | Begun::Replaced(_)) => within,
        _ => return accepted(&begun),
    };
    match call.gate.flows.outcome(&id, wait).await? {
        None => accepted(&begun),
        Some(Outcome::Completed { output }) => Ok(named(Answer::data(&output)?, &id)),
        Some(Outcome::Faulted { error }) => Err(fault(&error, &id)),
        Some(Outcome::Cancelled) => Err(Problem::new(Code::Unavailable, format!("run {id} was cancelled"))),
    }
}

fn unproven() -> Problem {
    Problem::new(
        Code::Unauthenticated,
        "a bearer token with the scope flows:run is needed; a flow whose webhook names a source takes its signatures",
    )
}

fn input(call: &Call, plan: &WebhookPlan, path: &str, body: &[u8]) -> Result<serde_json::Value, Problem> {
    let headers: BTreeMap<String, String> = call
        .parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut query = Vec::new();
    for pair in call.parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = |text: &str| decode(text, true).ok_or_else(|| malformed("the query is not UTF-8 when decoded"));
        query.push((text(name)?, text(value)?));
    }
    let request = WebhookRequest { method: call.parts.method.as_str(), path, query: &query, headers: &headers, body };
    plan.input(&request).map_err(malformed)
}

/// 202: the run is found there.
fn accepted(begun: &Begun) -> Result<Answer, Problem> {
    let id = begun.run();
    let status = match begun {
        Begun::Started(_) => "accepted",
        Begun::Queued(_) => "queued",
        Begun::Already(_) => "repeated",
        Begun::Skipped { .. } => "skipped",
        Begun::Replaced(_) => "replaced",
    };
    let answer = Answer::data(&json!({"status": status, "run": id}))?.status(StatusCode::ACCEPTED);
    let place = HeaderValue::try_from(format!("/api/v1/runs/{id}"));
    let answer = named(answer, id);
    Ok(match place {
        Ok(place) => answer.header(header::LOCATION, place),
        Err(_) => answer,
    })
}

/// Which run it was.
fn named(answer: Answer, run: &str) -> Answer {
    match HeaderValue::try_from(run) {
        Ok(value) => answer.header(http::HeaderName::from_static("x-nexus-run"), value),
        Err(_) => answer,
    }
}

/// A run's error as the answer to its caller. What the flow raised is meant for them; of anything else they are told
/// that it happened, as it may say how the flow is made.
fn fault(error: &FlowError, run: &str) -> Problem {
    if !error.raised {
        let (code, what) = match standard(&error.kind) {
            Some(Standard::Communication | Standard::Authentication) => {
                (Code::BadGateway, "what the flow called failed")
            }
            Some(Standard::Timeout) => (Code::Timeout, "the flow, or what it called, took too long"),
            _ => (Code::Internal, "the flow failed"),
        };
        let message = format!("{what}; run {run} says why to those who may read it (GET /api/v1/runs/{run})");
        return Problem::new(code, message).fact("run", run);
    }
    let code = match error.status {
        400 | 422 => Code::Invalid,
        401 => Code::Unauthenticated,
        403 => Code::Forbidden,
        404 => Code::NotFound,
        408 | 504 => Code::Timeout,
        409 => Code::Conflict,
        429 => Code::RateLimited,
        500 => Code::Internal,
        503 => Code::Unavailable,
        _ => Code::BadGateway,
    };
    let title = error.title.as_deref().unwrap_or("the run failed");
    let message = match &error.detail {
        Some(detail) => format!("{title}: {detail}"),
        None => title.to_owned(),
    };
    Problem::new(code, message).fact("run", run).fact("error", error.to_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_flow_raised_is_told_to_its_caller() {
        let own = FlowError::new(Standard::Expression, "`.secret * 2`: it failed").at("/do/0/a");
        let told = fault(&own, "r-1");
        assert_eq!(told.code, Code::Internal);
        assert!(!format!("{told:?}").contains("secret"), "{told:?}");
        assert_eq!(told.facts["run"], "r-1");
        for (standard, code) in [
            (Standard::Validation, Code::Internal),
            (Standard::Configuration, Code::Internal),
            (Standard::Communication, Code::BadGateway),
            (Standard::Timeout, Code::Timeout),
        ] {
            assert_eq!(fault(&FlowError::new(standard, "x").with_status(404), "r-1").code, code);
        }
        let raised = FlowError { raised: true, ..FlowError::new(Standard::Validation, "amount is missing") };
        let told = fault(&raised, "r-1");
        assert_eq!(told.code, Code::Invalid);
        assert!(told.message.contains("amount is missing"), "{told:?}");
        assert_eq!(told.facts["error"].get("raised"), None);
    }
}
