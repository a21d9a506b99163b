//! `POST /api/v1/commands`: the envelope of a command, and its answer.

use http::{HeaderName, HeaderValue};
use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    time::Timestamp,
};
use nexus_engine::commands::{Command, is_about_itself};
use serde::Deserialize;
use serde_json::Value;

use crate::{answer::Answer, call::Call};

/// The envelope. Fields that are not named here are the client's own.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    payload: Option<Value>,
    #[serde(default, rename = "correlationId")]
    correlation: Value,
    #[serde(default)]
    timestamp: Value,
}

impl Envelope {
    /// Whether it asks that the token that is shown be rotated or revoked: the one thing that needs no scope.
    fn is_about_itself(&self, by: &Principal) -> bool {
        match (self.kind.as_str(), &self.payload) {
            (Some(kind), Some(payload)) => is_about_itself(kind, payload, by),
            _ => false,
        }
    }

    /// The command, or every field that is missing or wrong.
    fn open(self) -> Result<Command, Problem> {
        let mut wrong: Vec<(&str, &str)> = Vec::new();
        let text = |value: Value| match value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        };
        let (kind, correlation) = (text(self.kind), text(self.correlation));
        if kind.is_none() {
            wrong.push(("type", "name a command, for example token.rotate"));
        }
        if correlation.is_none() {
            wrong.push(("correlationId", "give the command a name of your own; under it, it is done once"));
        }
        let is_time = match &self.timestamp {
            Value::Null => true,
            Value::String(text) => Timestamp::parse(text).is_some(),
            _ => false,
        };
        if !is_time {
            wrong.push(("timestamp", "must be a time, for example 2026-01-02T03:04:05Z, or absent"));
        }
        let payload = self.payload.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        if !payload.is_object() {
            wrong.push(("payload", "must be an object"));
        }
        match (kind, correlation, wrong.first()) {
            (Some(kind), Some(correlation), None) => Ok(Command { kind, payload, correlation }),
            _ => Err(refused(&wrong)),
        }
    }
}

fn refused(wrong: &[(&str, &str)]) -> Problem {
    let told: Vec<String> = wrong.iter().map(|(field, reason)| format!("{field}: {reason}")).collect();
    let mut problem = Problem::new(Code::Invalid, told.join("; "));
    problem.details = wrong.iter().map(|(field, reason)| ((*field).to_owned(), (*reason).to_owned())).collect();
    problem
}

/// `POST /api/v1/commands`.
pub(crate) async fn execute(mut call: Call) -> Result<Answer, Problem> {
    let envelope = envelope(&mut call).await;
    let by = call.principal()?;
    // Who may give no commands learns nothing of what is wrong with one.
    if !envelope.as_ref().is_ok_and(|envelope| envelope.is_about_itself(by)) {
        by.demand("commands")?;
    }
    let command = envelope?.open()?;
    let done = call.hub().commands().execute(&command, call.principal()?).await?;
    let answer = Answer::data(&done.data)?;
    if !done.repeat {
        return Ok(answer);
    }
    Ok(answer.header(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true")))
}

async fn envelope(call: &mut Call) -> Result<Envelope, Problem> {
    call.demand_json()?;
    call.json().await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(body: Value) -> Result<Command, Problem> {
        serde_json::from_value::<Envelope>(body).expect("an object").open()
    }

    #[test]
    fn every_field_that_is_missing_or_wrong_is_named_at_once() {
        let problem = open(json!({"payload": [], "timestamp": 7})).expect_err("refused");
        assert_eq!(problem.code, Code::Invalid);
        let fields: Vec<&str> = problem.details.keys().map(String::as_str).collect();
        assert_eq!(fields, ["correlationId", "payload", "timestamp", "type"]);
        assert!(open(json!({"type": "a", "correlationId": "c"})).is_ok(), "time and payload may be absent");
        assert!(open(json!({"type": "", "correlationId": "c"})).is_err());
    }
}
