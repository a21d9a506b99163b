//! `notify`: people are told something, once per task: in the log, where it is asked for at a URL, and what is critical also
//! where the hub's own alerts go.

use async_trait::async_trait;
use nexus_core::{event::Once, limits::IDEMPOTENCY_WINDOW};
use nexus_engine::{
    alerts::{Alert, Severity},
    supervisor::TaskKind,
};
use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::send::{Channel, Hook, Operation};
use crate::{
    error::{FlowError, Standard},
    host::{Flows, Function, FunctionCall, Reply, arguments, refusal},
};

/// Characters of a title and of a receiver's name.
const TITLE: usize = 200;
/// Characters of a text.
const TEXT: usize = 8_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    #[default]
    Info,
    Warning,
    Critical,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    text: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    severity: Level,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    connector: Option<String>,
    #[serde(default)]
    operation: Option<String>,
    #[serde(default)]
    connection: Option<String>,
    #[serde(default)]
    input: Value,
}

impl Arguments {
    /// Where the message goes.
    fn channel(&mut self) -> Result<Option<Channel>, FlowError> {
        let parts = (self.url.take(), self.connector.take(), self.operation.take());
        match parts {
            (None, None, None) => Ok(None),
            (Some(url), None, None) => Ok(Some(Channel::Url(Hook { url }))),
            (None, Some(connector), Some(operation)) => Ok(Some(Channel::Connector(Operation {
                connector,
                operation,
                connection: self.connection.take(),
                input: self.input.take(),
            }))),
            _ => Err(FlowError::new(
                Standard::Validation,
                "the arguments of notify: either url, or connector with operation, says where it is sent",
            )),
        }
    }
}

/// The function.
pub(super) struct Notify;

#[async_trait]
impl Function for Notify {
    async fn call(&self, flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError> {
        let mut asked: Arguments = arguments(&call)?;
        let channel = asked.channel()?;
        let lengths = [
            ("text", Some(&asked.text), TEXT),
            ("title", asked.title.as_ref(), TITLE),
            ("to", asked.to.as_ref(), TITLE),
        ];
        for (name, text, most) in lengths {
            if text.is_some_and(|text| text.is_empty() || text.chars().count() > most) {
                let what = format!("the arguments of notify: {name}: 1 to {most} characters are expected");
                return Err(FlowError::new(Standard::Validation, what));
            }
        }
        let run = flows.find(&call.run).await.map_err(|problem| refusal(&problem))?;
        let published = flows.inner.shelf.version(flows.desk(), &run.state.flow).await;
        let published = published.map_err(|problem| refusal(&problem))?;
        let mut data = json!({
            "title": asked.title, "text": asked.text, "severity": asked.severity, "to": asked.to,
            "flow": call.flow, "run": call.run, "task": call.task,
        });
        // The arguments may hold secrets; the log and alerts do not.
        flows.secrets(&published.definition.secrets).hide(run.state.nonce(), &mut data);
        let stored = flows.note(&call, &data).await?;
        if asked.severity == Level::Critical {
            flows.alarm(&call, &data);
        }
        let sent = match channel {
            None => false,
            Some(channel) => {
                let line = asked.title.iter().chain([&asked.text]).cloned().collect::<Vec<_>>().join("\n");
                let message = json!({
                    "kind": "notification", "title": asked.title, "text": line, "content": line,
                    "message": asked.text, "severity": asked.severity, "to": asked.to,
                    "flow": call.flow, "run": call.run,
                });
                flows.send_message(&channel, &call.key, &message, &call).await?;
                true
            }
        };
        Ok(Reply::Done(json!({"id": stored, "sent": sent})))
    }
}

impl Flows {
    /// The event, once per task.
    async fn note(&self, call: &FunctionCall, data: &Value) -> Result<String, FlowError> {
        let mut event = self.desk().notice("notification.requested", data);
        let mut head = [0; 16];
        let digest = digest::digest(&digest::SHA256, data.to_string().as_bytes());
        head.copy_from_slice(digest.as_ref().get(..16).unwrap_or(&[0; 16]));
        event.subject = Some(call.run.clone());
        event.correlation = call.lineage.correlation.clone();
        event.causation = call.lineage.causation;
        event.depth = call.lineage.depth;
        event.once = Some(Once {
            scope: "flow.notify".into(),
            key: call.key.clone(),
            digest: head,
            strict: false,
            window: IDEMPOTENCY_WINDOW,
        });
        let stored = self.inner.hub.publish_own(event).await.map_err(|problem| refusal(&problem))?;
        Ok(stored.id.to_string())
    }

    /// Where the hub's own alerts go.
    fn alarm(&self, call: &FunctionCall, data: &Value) {
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let title = text("title");
        let subject = if title.is_empty() { call.flow.clone() } else { format!("{}: {title}", call.flow) };
        let alert = Alert { kind: "notification", severity: Severity::Critical, subject, message: text("text") };
        let alerts = std::sync::Arc::clone(self.inner.hub.alerts());
        self.inner.hub.spawn().start(TaskKind::Background, async move { alerts.send(&alert).await });
    }
}
