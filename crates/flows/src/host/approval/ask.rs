//! What a flow says when it asks somebody.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{super::form, send::Channel};
use crate::{
    catalog::time,
    error::{FlowError, Standard},
    host::{FunctionCall, arguments},
};

/// How long somebody has unless the flow says otherwise.
const USUAL: Duration = Duration::from_secs(7 * 86_400);
/// How long somebody has at most.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// Characters of a title, and of a name.
const TITLE: usize = 200;
/// Characters of a description.
const DESCRIPTION: usize = 4_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    title: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    assignee: Option<String>,
    #[serde(default)]
    timeout: Option<String>,
    #[serde(default)]
    escalate: Option<EscalateArguments>,
    #[serde(default)]
    notify: Option<Channel>,
    #[serde(default)]
    form: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EscalateArguments {
    after: String,
    assignee: String,
    #[serde(default)]
    notify: Option<Channel>,
}

/// What is asked, checked.
pub(super) struct Question {
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) assignee: Option<String>,
    pub(super) timeout: Duration,
    pub(super) escalate: Option<Next>,
    pub(super) notify: Option<Channel>,
    pub(super) form: Option<Value>,
}

/// Who is asked next.
pub(super) struct Next {
    pub(super) after: Duration,
    pub(super) assignee: String,
    pub(super) notify: Option<Channel>,
}

fn wrong(what: impl Into<String>) -> FlowError {
    FlowError::new(Standard::Validation, format!("the arguments of approval: {}", what.into()))
}

/// `PT24H`, `P7D`, `24h`, `7d`.
fn length(name: &str, text: &str) -> Result<Duration, FlowError> {
    let length = time(text).map_err(|error| wrong(format!("{name}: {error}")))?;
    if length.is_zero() || length > LONGEST {
        return Err(wrong(format!("{name}: {text:?} is outside one second to {} days", LONGEST.as_secs() / 86_400)));
    }
    Ok(length)
}

fn short(name: &str, text: String, most: usize) -> Result<String, FlowError> {
    let text = text.trim().to_owned();
    if text.is_empty() || text.chars().count() > most {
        return Err(wrong(format!("{name}: 1 to {most} characters are expected, not {}", text.chars().count())));
    }
    Ok(text)
}

impl Question {
    /// What a call asks.
    pub(super) fn of(call: &FunctionCall) -> Result<Self, FlowError> {
        let asked: Arguments = arguments(call)?;
        let timeout = asked.timeout.map_or(Ok(USUAL), |text| length("timeout", &text))?;
        let escalate = asked
            .escalate
            .map(|next| {
                let after = length("escalate.after", &next.after)?;
                if after >= timeout {
                    return Err(wrong("escalate.after: must be shorter than timeout, or nobody is asked in time"));
                }
                let assignee = short("escalate.assignee", next.assignee, TITLE)?;
                Ok(Next { after, assignee, notify: next.notify })
            })
            .transpose()?;
        if let Some(form) = &asked.form {
            form::fields(form).map_err(|what| wrong(format!("form: {what}")))?;
        }
        Ok(Self {
            title: short("title", asked.title, TITLE)?,
            description: asked.description.map(|text| short("description", text, DESCRIPTION)).transpose()?,
            assignee: asked.assignee.map(|text| short("assignee", text, TITLE)).transpose()?,
            timeout,
            escalate,
            notify: asked.notify,
            form: asked.form,
        })
    }

    /// How who is asked now is told.
    pub(super) fn channel(&self, escalated: bool) -> Option<&Channel> {
        let next = self.escalate.as_ref().and_then(|next| next.notify.as_ref()).filter(|_| escalated);
        next.or(self.notify.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::host::Lineage;

    fn question(with: Value) -> Result<Question, FlowError> {
        Question::of(&FunctionCall {
            name: "approval".into(),
            version: "1.0.0".into(),
            with,
            key: "k".into(),
            task: "/do/0/ask".into(),
            wait: 1,
            run: "r".into(),
            flow: "main/f".into(),
            private: false,
            principal: nexus_core::access::Principal::admin("test"),
            lineage: Lineage::default(),
        })
    }

    #[test]
    fn a_question_has_a_week_unless_it_says_otherwise_and_never_more_than_a_year() {
        assert_eq!(question(json!({"title": "Pay?"})).unwrap().timeout, USUAL);
        for (text, seconds) in [("24h", 86_400), ("PT24H", 86_400), ("P2D", 172_800), ("30m", 1_800)] {
            let asked = question(json!({"title": "Pay?", "timeout": text})).unwrap();
            assert_eq!(asked.timeout.as_secs(), seconds, "{text}");
        }
        for (with, place) in [
            (json!({}), "title"),
            (json!({"title": " "}), "title"),
            (json!({"title": "x".repeat(201)}), "title"),
            (json!({"title": "x", "timeout": "P400D"}), "timeout"),
            (json!({"title": "x", "timeout": "soon"}), "timeout"),
            (json!({"title": "x", "asignee": "a"}), "asignee"),
            (json!({"title": "x", "timeout": "1h", "escalate": {"after": "2h", "assignee": "b"}}), "escalate.after"),
            (json!({"title": "x", "form": {"type": "array"}}), "form"),
        ] {
            let refused = question(with.clone()).err().and_then(|error| error.detail).unwrap_or_default();
            assert!(refused.contains(place), "{with}: {refused}");
        }
    }
}
