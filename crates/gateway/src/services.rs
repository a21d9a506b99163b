//! Services over HTTP: parse, ask the registry, answer. A call passes the service's own answer on.

use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use nexus_core::{
    json,
    limits::{BODY_BYTES, JSON_DEPTH},
    problem::{Code, Problem},
    retry::parse_duration,
};
use nexus_services::registry::{Filter, Invocation, NewService, Status, Strategy};
use serde::Deserialize;
use serde_json::json;

use crate::{
    answer::{Answer, Body},
    call::{Call, is_json, is_undeclared, media_type, unsupported},
    error::malformed,
    ingress::lineage::id_header,
};

/// Who answered a call.
static INSTANCE: HeaderName = HeaderName::from_static("x-nexus-instance");
/// How many instances a call was sent to.
static TRIES: HeaderName = HeaderName::from_static("x-nexus-tries");

/// `GET /services`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let status = query.list("status").map(|s| s.parse::<Status>().map_err(|e| Problem::field("status", e)));
    let metadata = query.list("metadata").map(|pair| {
        let pair = pair.split_once('=').or_else(|| pair.split_once(':'));
        let pair = pair.ok_or_else(|| Problem::field("metadata", "write key=value"))?;
        Ok((pair.0.to_owned(), pair.1.to_owned()))
    });
    let filter = Filter {
        name: query.text("name").map(str::to_owned),
        capabilities: query.list("capability").map(str::to_owned).collect(),
        status: status.collect::<Result<_, _>>()?,
        metadata: metadata.collect::<Result<_, Problem>>()?,
    };
    Answer::data(&json!({"services": call.gate.registry.list(&filter)}))
}

/// `GET /services/{name|id}`: the first one's fields at the top, and all under `services`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    let found = call.gate.registry.find(&call.param("name")?)?;
    let mut top = json!(found.first());
    if let Some(fields) = top.as_object_mut() {
        fields.insert("services".to_owned(), json!(found));
    }
    Answer::data(&top)
}

/// `POST /services`.
pub(crate) async fn register(mut call: Call) -> Result<Answer, Problem> {
    let new: NewService = call.json().await?;
    let done = call.gate.registry.register(new, call.principal()?).await?;
    let answer = Answer::data(&done.service)?;
    Ok(if done.created { answer.created() } else { answer })
}

/// `DELETE /services/{id}`.
pub(crate) async fn deregister(call: Call) -> Result<Answer, Problem> {
    let id = call.param("name")?;
    call.gate.registry.deregister(&id, call.principal()?).await?;
    Answer::data(&json!({"id": id, "status": "deregistered"}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heartbeat {
    #[serde(default)]
    load: Option<f64>,
}

/// `POST /services/{id}/heartbeat`.
pub(crate) async fn heartbeat(mut call: Call) -> Result<Answer, Problem> {
    let Heartbeat { load } = call.json().await?;
    Answer::data(&call.gate.registry.heartbeat(&call.param("name")?, load).await?)
}

/// `POST /services/{name}/invoke`.
pub(crate) async fn invoke(mut call: Call) -> Result<Answer, Problem> {
    let name = call.param("name")?;
    let who = call.principal()?;
    // An id leads to a service as well; the scope is about the service.
    let service = call.gate.registry.name_of(&name);
    let service = service.as_deref().unwrap_or(&name);
    if !who.may_for("services:invoke", service) {
        let message = format!("{} lacks the scope services:invoke:{service}", who.name);
        return Err(Problem::new(Code::Forbidden, message));
    }
    let mut invocation = options(&call)?;
    invocation.body = body(&mut call).await?;
    let invoked = call.gate.registry.invoke(&name, invocation).await?;
    let mut answer = Answer::raw("", Body::full(invoked.body)).status(invoked.status);
    for (header, value) in &invoked.headers {
        answer = answer.header(header.clone(), value.clone());
    }
    if let Ok(instance) = HeaderValue::from_str(&invoked.instance) {
        answer = answer.header(INSTANCE.clone(), instance);
    }
    // It is the service's content under the hub's name: no browser may guess what it is.
    Ok(answer
        .header(TRIES.clone(), HeaderValue::from(invoked.tries))
        .header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
}

/// What the query and the headers say of a call.
fn options(call: &Call) -> Result<Invocation, Problem> {
    let query = call.query()?;
    let timeout = query.text("timeout").or_else(|| call.header("x-nexus-timeout"));
    let timeout = timeout.map(parse_duration).transpose().map_err(|e| Problem::field("timeout", e))?;
    if timeout.is_some_and(|t| t < Duration::from_millis(1)) {
        return Err(Problem::field("timeout", "at least 1ms"));
    }
    let longest = call.gate.registry.longest_invoke_timeout();
    if timeout.is_some_and(|t| t > longest) {
        let message = format!("at most {}s are possible ([services] longest_invoke_timeout)", longest.as_secs());
        return Err(Problem::field("timeout", message));
    }
    let strategy = match call.header("x-nexus-strategy") {
        Some(text) => Some(text.parse::<Strategy>().map_err(|e| Problem::field("X-Nexus-Strategy", e))?),
        None => query.read::<Strategy>("strategy")?,
    };
    let key = query.text("key").or_else(|| call.header("x-nexus-key")).map(str::to_owned);
    if strategy == Some(Strategy::ConsistentHash) && key.is_none() {
        return Err(Problem::field("key", "consistent_hash chooses by a key; send ?key= or X-Nexus-Key"));
    }
    let depth = match call.header("x-nexus-depth") {
        Some(text) => text.trim().parse().map_err(|_| malformed("X-Nexus-Depth must be a number from 0 to 255"))?,
        None => 0,
    };
    let correlation = id_header(call, "x-correlation-id", "X-Correlation-ID")?;
    Ok(Invocation {
        body: bytes::Bytes::new(),
        timeout,
        strategy,
        key,
        idempotent: query.flag("idempotent")?,
        idempotency_key: id_header(call, "idempotency-key", "Idempotency-Key")?,
        traceparent: call.header("traceparent").map(str::to_owned),
        // What belongs to nothing belongs to this request.
        correlation: Some(correlation.unwrap_or_else(|| call.id.as_str().to_owned())),
        depth,
    })
}

/// Any JSON value; no body is null.
async fn body(call: &mut Call) -> Result<bytes::Bytes, Problem> {
    let bytes = call.bytes(BODY_BYTES).await?;
    if bytes.is_empty() {
        return Ok(bytes::Bytes::from_static(b"null"));
    }
    let declared = media_type(&call.parts.headers);
    if declared.as_deref().is_some_and(|media| !is_json(media) && !is_undeclared(media)) {
        return Err(unsupported(declared.as_deref(), "application/json"));
    }
    json::check(&bytes, JSON_DEPTH)?;
    Ok(bytes)
}
