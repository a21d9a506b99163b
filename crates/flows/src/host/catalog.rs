//! The functions that the flows bring themselves. Others are registered by those who have them.

use std::sync::Arc;

use async_trait::async_trait;
use nexus_core::{
    event::{Once, Priority},
    limits::IDEMPOTENCY_WINDOW,
    problem::{Code, Problem},
    topic::Topic,
};
use nexus_engine::commands::Command;
use ring::digest;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Flows, Function, FunctionCall, Reply};
use crate::{
    catalog::{CONNECTOR, check_values},
    error::{FlowError, Standard},
};

/// Adds them all.
pub(super) fn register(flows: &Flows) {
    let functions = &flows.inner.functions;
    functions.register("publish", Arc::new(Publish));
    functions.register("command", Arc::new(CommandFunction));
    functions.register("bucket", Arc::new(Bucket));
    functions.register(CONNECTOR, Arc::new(super::connector::ConnectorFunction(flows.inner.hub.clone())));
}

/// The arguments of a function; what is wrong with them is named.
pub fn arguments<T: DeserializeOwned>(call: &FunctionCall) -> Result<T, FlowError> {
    let wrong = |what: String| FlowError::new(Standard::Validation, format!("the arguments of {}: {what}", call.name));
    check_values(&call.name, &call.with).map_err(wrong)?;
    serde_json::from_value(call.with.clone()).map_err(|error| wrong(error.to_string()))
}

/// A refusal of the hub as a flow sees it.
pub fn refusal(problem: &Problem) -> FlowError {
    let standard = match problem.code {
        Code::Malformed
        | Code::Invalid
        | Code::UnknownEvent
        | Code::UnknownCommand
        | Code::TooLarge
        | Code::UnsupportedMediaType
        | Code::MethodNotAllowed => Standard::Validation,
        Code::NotFound => Standard::Configuration,
        Code::Unauthenticated => Standard::Authentication,
        Code::Forbidden => Standard::Authorization,
        Code::Timeout => Standard::Timeout,
        Code::Conflict | Code::IdempotencyKeyReused | Code::Internal => Standard::Runtime,
        Code::RateLimited | Code::BadGateway | Code::Unavailable => Standard::Communication,
    };
    let status = match problem.code {
        Code::NotFound => Some(404),
        Code::Conflict | Code::IdempotencyKeyReused => Some(409),
        Code::RateLimited => Some(429),
        Code::Unavailable => Some(503),
        _ => None,
    };
    let error = FlowError::new(standard, problem.message.clone());
    status.map_or(error.clone(), |status| error.with_status(status))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PublishArguments {
    #[serde(rename = "type")]
    topic: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    priority: Option<String>,
}

/// `publish`: an event of the hub, with a priority, once per task.
struct Publish;

#[async_trait]
impl Function for Publish {
    async fn call(&self, flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError> {
        let asked: PublishArguments = arguments(&call)?;
        let wrong = |what: String| FlowError::new(Standard::Validation, what);
        let topic = Topic::parse(&asked.topic).map_err(|error| wrong(format!("type: {error}")))?;
        super::rights::may_emit(&call.principal, topic.as_str())
            .map_err(|what| refusal(&Problem::new(Code::Forbidden, what)))?;
        let body = asked.data.to_string();
        let mut head = [0; 16];
        head.copy_from_slice(digest::digest(&digest::SHA256, body.as_bytes()).as_ref().get(..16).unwrap_or(&[0; 16]));
        let source = format!("flow:{}", call.flow);
        let mut event = nexus_core::event::NewEvent::new(topic, source.clone(), body, flows.desk().now());
        event.subject = asked.subject;
        if let Some(priority) = asked.priority {
            event.priority = priority.parse::<Priority>().map_err(wrong)?;
        }
        event.correlation = call.lineage.correlation;
        event.causation = call.lineage.causation;
        event.depth = call.lineage.depth;
        event.once =
            Some(Once { scope: source.into(), key: call.key, digest: head, strict: false, window: IDEMPOTENCY_WINDOW });
        let done = flows.inner.hub.publish(event).await.map_err(|problem| refusal(&problem))?;
        Ok(Reply::Done(json!({"id": done.id, "seq": done.seq})))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandArguments {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    payload: Value,
}

/// `command`: what `POST /api/v1/commands` does, under the task's own key.
struct CommandFunction;

#[async_trait]
impl Function for CommandFunction {
    async fn call(&self, flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError> {
        let asked: CommandArguments = arguments(&call)?;
        let command = Command { kind: asked.kind, payload: asked.payload, correlation: call.key };
        let done = flows.inner.hub.commands().execute(&command, &call.principal).await;
        done.map(|done| Reply::Done(done.data)).map_err(|problem| refusal(&problem))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketArguments {
    test: String,
    key: Value,
    variants: Vec<Variant>,
}

/// A name alone weighs 1.
#[derive(Deserialize)]
#[serde(untagged)]
enum Variant {
    Name(String),
    Weighed { name: String, weight: Option<u64> },
}

impl Variant {
    fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Weighed { name, .. } => name,
        }
    }

    fn weight(&self) -> u64 {
        match self {
            Self::Name(_) => 1,
            // Twenty of them can be added up.
            Self::Weighed { weight, .. } => weight.unwrap_or(1).min(u64::from(u32::MAX)),
        }
    }
}

/// `bucket`: which variant of a test a key is in; always the same one.
struct Bucket;

#[async_trait]
impl Function for Bucket {
    async fn call(&self, _flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError> {
        let asked: BucketArguments = arguments(&call)?;
        let variant = bucket(&asked)?;
        Ok(Reply::Done(json!({"test": asked.test, "variant": variant})))
    }
}

fn bucket(asked: &BucketArguments) -> Result<&str, FlowError> {
    let wrong = |what: String| FlowError::new(Standard::Validation, what);
    let total: u64 = asked.variants.iter().map(Variant::weight).sum();
    if total == 0 {
        return Err(wrong("variants: at least one needs a weight above 0".to_owned()));
    }
    let text = format!("{}\n{}", asked.test, crate::openapi::plain(&asked.key));
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut head = [0; 8];
    head.copy_from_slice(digest.as_ref().get(..8).unwrap_or(&[0; 8]));
    let mut at = u64::from_be_bytes(head) % total;
    for variant in &asked.variants {
        let weight = variant.weight();
        if at < weight {
            return Ok(variant.name());
        }
        at -= weight;
    }
    Err(wrong("variants: their weights do not add up".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_in_its_bucket_and_weights_are_kept() {
        let of = |key: usize| BucketArguments {
            test: "subject-line".into(),
            key: json!(key),
            variants: serde_json::from_value(json!([{"name": "a", "weight": 3}, "b"])).unwrap(),
        };
        let in_a = (0..4_000).filter(|key| bucket(&of(*key)).unwrap() == "a").count();
        assert!((2_850..=3_150).contains(&in_a), "{in_a} of 4,000");
        assert_eq!(bucket(&of(17)).unwrap(), bucket(&of(17)).unwrap());
    }
}
