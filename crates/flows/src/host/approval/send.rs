//! Telling people: a message to a URL through the guarded client, or an operation of a connector.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use nexus_outbound::{Reach, Request};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Flows, FunctionCall};
use crate::error::{FlowError, Standard};

/// Attempts at one message.
const ATTEMPTS: u32 = 3;
/// For one attempt.
const TIME: Duration = Duration::from_secs(20);

/// Where a message goes.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Channel {
    /// A `POST` of JSON to a URL.
    Url(Hook),
    /// An operation of a connector.
    Connector(Operation),
}

/// A URL, which may be its own secret.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hook {
    pub(super) url: String,
}

/// An operation of a connector. `{text}`, `{title}`, `{link}` and other fields of the message stand in its input for
/// themselves.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operation {
    pub(super) connector: String,
    pub(super) operation: String,
    #[serde(default)]
    pub(super) connection: Option<String>,
    #[serde(default)]
    pub(super) input: Value,
}

/// `value` with the fields of `message` in place of their names in braces. What was put in is not looked through again.
fn filled(value: &Value, message: &Value) -> Value {
    match value {
        Value::String(text) => fill(text, message).into(),
        Value::Array(items) => items.iter().map(|item| filled(item, message)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), filled(value, message))).collect())
        }
        other => other.clone(),
    }
}

fn fill(text: &str, message: &Value) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('{') {
        out.push_str(before);
        let found = from.split_once('}').and_then(|(name, after)| Some((message.get(name)?, after)));
        match found {
            Some((value, after)) => {
                out.push_str(&crate::openapi::plain(value));
                rest = after;
            }
            None => {
                out.push('{');
                rest = from;
            }
        }
    }
    out + rest
}

impl Flows {
    /// Sends a message; an answer of 2xx is the end of it. Attempts at the same message carry the same key.
    pub(super) async fn send_message(
        &self,
        channel: &Channel,
        key: &str,
        message: &Value,
        call: &FunctionCall,
    ) -> Result<(), FlowError> {
        match channel {
            Channel::Url(hook) => self.post_message(hook, key, message, call).await,
            Channel::Connector(operation) => {
                let call = FunctionCall {
                    name: format!("connector.{}.{}", operation.connector, operation.operation),
                    with: json!({"connection": operation.connection, "input": filled(&operation.input, message)}),
                    key: key.to_owned(),
                    ..call.clone()
                };
                self.inner.functions.call(self, call).await.map(|_| ())
            }
        }
    }

    async fn post_message(
        &self,
        hook: &Hook,
        key: &str,
        message: &Value,
        call: &FunctionCall,
    ) -> Result<(), FlowError> {
        let mut attempt = 1;
        loop {
            let reach = if call.private { Reach::Private } else { Reach::Public };
            let mut request = Request::post(hook.url.clone(), message.to_string(), reach);
            let depth = call.lineage.depth.to_string();
            let headers = [
                ("content-type", "application/json"),
                ("idempotency-key", key),
                ("x-nexus-depth", &depth),
                ("x-correlation-id", call.lineage.correlation.as_deref().unwrap_or_default()),
            ];
            for (name, value) in headers {
                if let Ok(value) = HeaderValue::try_from(value) {
                    request.headers.insert(HeaderName::from_static(name), value);
                }
            }
            request.timeout = Some(TIME);
            let error = match self.inner.hub.client().send(request).await {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) => {
                    let status = answer.status.as_u16();
                    let error = FlowError::new(Standard::Communication, format!("the receiver answered {status}"))
                        .with_status(status);
                    if !matches!(status, 408 | 425 | 429 | 500..) {
                        return Err(error);
                    }
                    error
                }
                // The words of the client may hold the URL, which may be a secret.
                Err(error) => match error.kind {
                    nexus_outbound::Kind::Refused => {
                        let what = "the hub may not send there for this flow: its publisher lacked endpoints:private";
                        return Err(FlowError::new(Standard::Authorization, what));
                    }
                    nexus_outbound::Kind::BadUrl => {
                        return Err(FlowError::new(
                            Standard::Configuration,
                            "notify.url is no URL that can be sent to",
                        ));
                    }
                    kind => FlowError::new(Standard::Communication, format!("the receiver did not answer: {kind:?}")),
                },
            };
            if attempt == ATTEMPTS {
                return Err(error);
            }
            self.clock().sleep(Duration::from_secs(1 << attempt)).await;
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_filled_from_the_message_and_what_was_filled_in_is_not_looked_through() {
        let message = json!({"title": "Pay {link}?", "link": "/approvals/x"});
        let input = json!({"blocks": [{"text": "{title} {link} {else} {"}], "n": 1});
        let expected = json!({"blocks": [{"text": "Pay {link}? /approvals/x {else} {"}], "n": 1});
        assert_eq!(filled(&input, &message), expected);
    }
}
