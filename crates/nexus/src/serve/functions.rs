//! The functions of the hub's other customers, put at the disposal of flows: shared state, and services.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use nexus_core::problem::{Code, Problem};
use nexus_flows::{
    catalog::time,
    error::{FlowError, Standard},
    host::{Flows, Function, FunctionCall, Reply, arguments, refusal},
};
use nexus_services::{
    Registry, StateStore,
    registry::Invocation,
    state::{Change, Expect, Origin, StateError},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

/// Registers them all.
pub(super) fn register(flows: &Flows, registry: &Registry, state: &StateStore) {
    let functions = flows.functions();
    functions.register("state.get", Arc::new(Get(state.clone())));
    functions.register("state.set", Arc::new(Set(state.clone())));
    functions.register("service.invoke", Arc::new(Invoke(registry.clone())));
}

/// Refuses what the flow's publisher might not do.
fn demand(call: &FunctionCall, scope: &str, what: &str) -> Result<(), FlowError> {
    if call.principal.may_for(scope, what) {
        return Ok(());
    }
    let message = format!("the flow's publisher lacked the scope {scope}:{what}");
    Err(refusal(&Problem::new(Code::Forbidden, message)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GetArguments {
    key: String,
    #[serde(default)]
    default: Value,
}

/// `state.get`
struct Get(StateStore);

#[async_trait]
impl Function for Get {
    async fn call(&self, _flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError> {
        let asked: GetArguments = arguments(&call)?;
        demand(&call, "state:read", &asked.key)?;
        match self.0.get(&asked.key).await {
            Ok(found) => {
                let value: Value = found.live().and_then(|v| serde_json::from_str(v.get()).ok()).unwrap_or_default();
                Ok(Reply::Done(json!({"value": value, "version": found.version})))
            }
            Err(StateError { problem, .. }) if problem.code == Code::NotFound => {
                Ok(Reply::Done(json!({"value": asked.default, "version": 0})))
            }
            Err(error) => Err(refusal(&error.problem)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetArguments {
    key: String,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    expected_version: Option<u64>,
    #[serde(default)]
    ttl: Option<String>,
    #[serde(default)]
    delete: bool,
}

/// `state.set`
struct Set(StateStore);

#[async_trait]
impl Function for Set {
    async fn call(&self, _flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError> {
        let asked: SetArguments = arguments(&call)?;
        demand(&call, "state:write", &asked.key)?;
        let by = format!("flow:{}#{}", call.flow, call.key);
        // The same task asked again, after a crash: what it wrote is in the history.
        if let Some(version) = self.0.version_by(&asked.key, &by).await.map_err(|error| refusal(&error.problem))? {
            return Ok(Reply::Done(json!({"version": version, "merged": false})));
        }
        let value = match asked.delete {
            true => None,
            false => Some(RawValue::from_string(asked.value.to_string()).map_err(|error| {
                FlowError::new(Standard::Validation, format!("the value can't be written: {error}"))
            })?),
        };
        let ttl: Option<Duration> = asked
            .ttl
            .as_deref()
            .map(time)
            .transpose()
            .map_err(|error| FlowError::new(Standard::Validation, format!("ttl: {error}")))?;
        let expect = asked.expected_version.map_or(Expect::Anything, Expect::Version);
        let strict = asked.expected_version.is_some();
        let change = Change { key: asked.key, value, expect, strict, ttl };
        let origin = Origin {
            by,
            correlation: call.lineage.correlation,
            causation: call.lineage.causation,
            depth: call.lineage.depth,
            traceparent: call.lineage.traceparent,
        };
        let done = self.0.write(change, &origin).await.map_err(|error| refusal(&error.problem))?;
        Ok(Reply::Done(json!({"version": done.version, "merged": done.merged})))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvokeArguments {
    service: String,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    timeout: Option<String>,
}

/// `service.invoke`
struct Invoke(Registry);

#[async_trait]
impl Function for Invoke {
    async fn call(&self, _flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError> {
        let asked: InvokeArguments = arguments(&call)?;
        demand(&call, "services:invoke", &asked.service)?;
        let timeout = asked
            .timeout
            .as_deref()
            .map(time)
            .transpose()
            .map_err(|error| FlowError::new(Standard::Validation, format!("timeout: {error}")))?;
        let invocation = Invocation {
            body: asked.body.to_string().into(),
            timeout,
            idempotency_key: Some(call.key),
            correlation: call.lineage.correlation,
            traceparent: call.lineage.traceparent,
            depth: call.lineage.depth,
            ..Invocation::default()
        };
        let invoked = self.0.invoke(&asked.service, invocation).await.map_err(|problem| refusal(&problem))?;
        let status = invoked.status.as_u16();
        let body: Value = serde_json::from_slice(&invoked.body)
            .unwrap_or_else(|_| String::from_utf8_lossy(&invoked.body).into_owned().into());
        if status >= 400 {
            let head: String = body.to_string().chars().take(300).collect();
            return Err(FlowError::new(
                Standard::Communication,
                format!("{} answered {status}: {head}", asked.service),
            )
            .with_status(status));
        }
        Ok(Reply::Done(json!({"status": status, "body": body, "instance": invoked.instance})))
    }
}
