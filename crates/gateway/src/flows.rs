//! Automations over HTTP: parse, ask the flows, answer.

pub(crate) mod approvals;
pub(crate) mod door;
pub(crate) mod past;

use std::sync::Arc;

use nexus_core::{
    limits::BODY_BYTES,
    problem::{Code, Problem},
    retry::parse_duration,
    time::Timestamp,
};
use nexus_flows::host::{Asked, Begun, Held, Publishing, RunFilter, RunView, Trigger, form};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    call::{Call, media_type, unsupported},
    error::malformed,
    ingress::lineage::Lineage,
};

/// Longest that the beginning of a run waits for its end.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// These fields, which are stored as microseconds, in ISO 8601. What flows and their callers wrote stays as it is.
fn write_times(value: &mut Value, names: &[&str]) {
    for name in names {
        if let Some(field) = value.get_mut(*name)
            && let Some(micros) = field.as_i64()
        {
            *field = Timestamp::from_micros(micros).to_string().into();
        }
    }
}

/// A run as it is shown.
pub(crate) fn shown_run(run: &RunView) -> Value {
    let mut shown = json!(run);
    write_times(&mut shown, &["created_at", "ended_at"]);
    for (part, time) in [("trigger", "due"), ("erased", "at")] {
        if let Some(part) = shown.get_mut(part) {
            write_times(part, &[time]);
        }
    }
    for waiting in shown.get_mut("waiting_for").and_then(Value::as_array_mut).into_iter().flatten() {
        write_times(waiting, &["until", "since"]);
    }
    shown
}

fn shown(held: &Held) -> Value {
    let definition = &held.current.definition;
    let schedule = definition.source.get("schedule").cloned().unwrap_or_default();
    json!({
        "name": held.flow.name,
        "version": held.flow.version,
        "versions": held.versions(),
        "enabled": held.flow.enabled,
        "origin": held.flow.origin,
        "title": definition.source.pointer("/document/title"),
        "schedule": schedule,
        "detectors": definition.settings.detect.iter().map(|plan| plan.name.as_str()).collect::<Vec<_>>(),
        "webhook": definition.settings.webhook.as_ref().map(|plan| format!("{} /flows/{}", plan.method, plan.path)),
        "created_at": held.flow.created_at.to_string(),
        "updated_at": held.flow.updated_at.to_string(),
    })
}

async fn with_document(call: &Call, held: &Held) -> Result<Value, Problem> {
    let mut shown = shown(held);
    let (next, text) = (call.gate.flows.next_begin(held).await?, call.gate.flows.text(held).await?);
    let warnings = call.gate.flows.warnings(held).await;
    if let Some(fields) = shown.as_object_mut() {
        let source = &held.current.definition.source;
        fields.insert("document".to_owned(), source.clone());
        // What no form can show is given as JSON.
        let form = source.pointer("/input/schema/document").and_then(|schema| form::fields(schema).ok());
        fields.insert("form".to_owned(), json!(form));
        fields.extend(next.map(|next| ("next".to_owned(), next.to_string().into())));
        fields.insert("text".to_owned(), text.into());
        fields.insert("warnings".to_owned(), json!(warnings));
    }
    Ok(shown)
}

/// The flow of the path.
fn flow(call: &Call) -> Result<String, Problem> {
    Ok(format!("{}/{}", call.param("namespace")?, call.param("name")?))
}

fn held(call: &Call) -> Result<Arc<Held>, Problem> {
    call.gate.flows.held(&flow(call)?)
}

/// `GET /api/v1/flows`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    let flows: Vec<Value> = call.gate.flows.list().iter().map(|held| shown(held)).collect();
    let of = &call.gate.flows;
    Answer::data(&json!({
        "flows": flows, "wrong_files": of.wrong_files(), "unreadable_runs": of.unreadable_runs(),
    }))
}

/// A document, in YAML or JSON.
async fn document(call: &mut Call) -> Result<String, Problem> {
    let declared = media_type(&call.parts.headers);
    let fits = match declared.as_deref() {
        None | Some("application/json" | "text/plain" | "application/x-www-form-urlencoded") => true,
        Some(media) => media.ends_with("yaml"),
    };
    if !fits {
        return Err(unsupported(declared.as_deref(), "application/yaml or application/json"));
    }
    let body = call.bytes(BODY_BYTES).await?;
    String::from_utf8(body.to_vec()).map_err(|_| malformed("the document is not UTF-8"))
}

/// `POST /api/v1/flows`.
pub(crate) async fn publish(mut call: Call) -> Result<Answer, Problem> {
    let text = document(&mut call).await?;
    let done = call.gate.flows.publish(&text, Publishing::default(), call.principal()?).await?;
    let answer = Answer::data(&with_document(&call, &done.held).await?)?;
    Ok(if done.new { answer.created() } else { answer })
}

/// `POST /api/v1/flows/check`.
pub(crate) async fn check(mut call: Call) -> Result<Answer, Problem> {
    let text = document(&mut call).await?;
    let definition = call.gate.flows.check(&text)?;
    Answer::data(&json!({"valid": true, "flow": definition.id.to_string(), "warnings": definition.warnings.list()}))
}

/// `GET /api/v1/flows/{namespace}/{name}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    let held = held(&call)?;
    Answer::data(&with_document(&call, &held).await?)
}

/// `DELETE /api/v1/flows/{namespace}/{name}`.
pub(crate) async fn remove(call: Call) -> Result<Answer, Problem> {
    let name = flow(&call)?;
    call.gate.flows.remove(&name, call.principal()?).await?;
    Answer::data(&json!({"id": name, "status": "removed"}))
}

/// `POST /api/v1/flows/{namespace}/{name}/enable`.
pub(crate) async fn enable(call: Call) -> Result<Answer, Problem> {
    let held = call.gate.flows.enable(&flow(&call)?, true, call.principal()?).await?;
    Answer::data(&with_document(&call, &held).await?)
}

/// `POST /api/v1/flows/{namespace}/{name}/disable`.
pub(crate) async fn disable(call: Call) -> Result<Answer, Problem> {
    let held = call.gate.flows.enable(&flow(&call)?, false, call.principal()?).await?;
    Answer::data(&with_document(&call, &held).await?)
}

/// `GET /api/v1/flows/{namespace}/{name}/report`.
pub(crate) async fn report(call: Call) -> Result<Answer, Problem> {
    let limit = call.query()?.limit(200, 1_000)?;
    Answer::data(&call.gate.flows.report(&flow(&call)?, limit).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRun {
    #[serde(default)]
    input: Value,
}

/// 403 unless the caller may run this flow.
fn may_run(call: &Call, flow: &str) -> Result<(), Problem> {
    let who = call.principal()?;
    if who.may_for("flows:run", flow) {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden, format!("{} lacks the scope flows:run:{flow}", who.name)))
}

/// `POST /api/v1/flows/{namespace}/{name}/runs`.
pub(crate) async fn start(mut call: Call) -> Result<Answer, Problem> {
    let flow = flow(&call)?;
    may_run(&call, &flow)?;
    let wait = call.query()?.text("wait").map(parse_duration).transpose().map_err(|e| Problem::field("wait", e))?;
    let NewRun { input } = call.json().await?;
    let lineage = Lineage::of(&call).await?;
    let asked = Asked {
        flow,
        input,
        trigger: Trigger::Manual { by: call.principal()?.identity().to_owned() },
        idempotency_key: lineage.idempotency_key().map(str::to_owned),
        lineage: lineage.of_run(call.id.as_str()),
    };
    let begun = call.gate.flows.start(asked).await?;
    if let Begun::Skipped { by } = &begun {
        return Err(Problem::new(
            Code::Conflict,
            format!("run {by} has the same key, and the flow's nexus.dev/concurrency says skip"),
        )
        .fact("run", by.clone()));
    }
    if let Some(wait) = wait {
        call.gate.flows.outcome(begun.run(), wait.min(LONGEST_WAIT)).await?;
    }
    let answer = Answer::data(&shown_run(&call.gate.flows.run(begun.run()).await?))?;
    Ok(if matches!(begun, Begun::Already(_)) { answer } else { answer.created() })
}

/// A status that runs can be asked for by.
pub(crate) fn run_status(status: &str) -> Result<&str, Problem> {
    const STATUSES: [&str; 9] =
        ["pending", "queued", "running", "waiting", "suspended", "cancelled", "faulted", "completed", "open"];
    if STATUSES.contains(&status) {
        return Ok(status);
    }
    Err(Problem::field("status", format!("{status:?} is none of {}", STATUSES.join(", "))))
}

/// `GET /api/v1/runs`.
pub(crate) async fn runs(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let status = query.given("status").map(run_status).transpose()?;
    let owned = |name: &str| query.given(name).map(str::to_owned);
    let filter =
        RunFilter { flow: owned("flow"), status: status.map(str::to_owned), correlation: owned("correlation") };
    let limit = query.limit(50, 200)?;
    let page = call.gate.flows.runs(&filter, owned("cursor"), limit).await?;
    let items: Vec<Value> = page.items.iter().map(shown_run).collect();
    Answer::page(&items, page.next.as_deref())
}

/// `GET /api/v1/runs/{id}`.
pub(crate) async fn run(call: Call) -> Result<Answer, Problem> {
    Answer::data(&shown_run(&call.gate.flows.run(&call.param("id")?).await?))
}

/// `GET /api/v1/runs/{id}/steps`.
pub(crate) async fn steps(call: Call) -> Result<Answer, Problem> {
    let mut steps = json!(call.gate.flows.steps(&call.param("id")?).await?);
    steps.as_array_mut().into_iter().flatten().for_each(|step| write_times(step, &["at"]));
    Answer::data(&json!({"steps": steps}))
}

/// The run of the path, if the caller may run its flow.
async fn own(call: &Call) -> Result<String, Problem> {
    let id = call.param("id")?;
    let run = call.gate.flows.run(&id).await?;
    may_run(call, &run.flow)?;
    Ok(id)
}

/// `POST /api/v1/runs/{id}/cancel`.
pub(crate) async fn cancel(call: Call) -> Result<Answer, Problem> {
    let run = own(&call).await?;
    Answer::data(&shown_run(&call.gate.flows.cancel(&run, call.principal()?).await?))
}

/// `POST /api/v1/runs/{id}/suspend`.
pub(crate) async fn suspend(call: Call) -> Result<Answer, Problem> {
    let run = own(&call).await?;
    Answer::data(&shown_run(&call.gate.flows.suspend(&run, call.principal()?).await?))
}

/// `POST /api/v1/runs/{id}/resume`.
pub(crate) async fn resume(call: Call) -> Result<Answer, Problem> {
    let run = own(&call).await?;
    Answer::data(&shown_run(&call.gate.flows.resume(&run, call.principal()?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    #[serde(default)]
    task: Option<String>,
}

/// `POST /api/v1/runs/{id}/retry`.
pub(crate) async fn retry(mut call: Call) -> Result<Answer, Problem> {
    let run = own(&call).await?;
    let Retry { task } = call.json().await?;
    Answer::data(&shown_run(&call.gate.flows.retry(&run, task, call.principal()?).await?))
}
