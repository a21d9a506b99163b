//! What can go wrong between a program and the hub.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::Distrust;

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub refused, with its reason.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// Nothing answers there.
    #[error("no hub answers at {url}: {reason}; start one with `nexus serve`, or name another with --url or NEXUS_URL")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// Something answers there, with a certificate that is not trusted. Nothing was sent.
    #[error("the certificate of the hub at {url} is not trusted: {problem}")]
    Certificate {
        /// Which hub.
        url: String,
        /// What is wrong with it.
        problem: Distrust,
    },
    /// The hub took too long.
    #[error("the hub at {url} did not answer within {} s", after.as_secs())]
    Late {
        /// Which hub.
        url: String,
        /// How long it was given.
        after: Duration,
    },
    /// What came back is no answer of a hub.
    #[error("what answers at {url} is no hub, or a newer one: {reason}")]
    Answer {
        /// Which hub.
        url: String,
        /// What could not be read.
        reason: String,
    },
    /// A setting can't be used.
    #[error("{0}")]
    Setting(String),
    /// A body could not be written as JSON, or a local file could not be read or written.
    #[error("{0}")]
    Local(String),
}

impl Error {
    /// The hub's refusal, if this is one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.retryable,
            Self::Unreachable { .. } | Self::Late { .. } => true,
            _ => false,
        }
    }
}

/// The hub's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// For programs: `NOT_FOUND`, `INVALID`, `RATE_LIMITED`, ….
    pub code: String,
    /// For people.
    pub message: String,
    /// One reason per field, where fields were wrong.
    pub details: BTreeMap<String, String>,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// Under which id the hub logged it.
    pub request_id: Option<String>,
    /// The present version of the state that a write did not fit.
    pub version: Option<u64>,
    /// When to come back, where the hub says so.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// Reads the body of an answer that is no success, in either of the hub's two forms.
    pub(crate) fn read(status: u16, body: &[u8], retry_after: Option<Duration>, request_id: Option<String>) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| {
            json.get(name).or_else(|| json.get("error")?.get(name)).and_then(Value::as_str).map(str::to_owned)
        };
        let details = json.get("details").or_else(|| json.get("error")?.get("details")).and_then(Value::as_object);
        let plain = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        Self {
            status,
            code: text("code").unwrap_or_else(|| format!("HTTP_{status}")),
            message: text("message")
                .or_else(|| text("detail"))
                .unwrap_or_else(|| format!("the answer was status {status} without a reason")),
            details: details.map(|d| d.iter().map(|(k, v)| (k.clone(), plain(v))).collect()).unwrap_or_default(),
            retryable: json.get("retryable").and_then(Value::as_bool).unwrap_or(matches!(status, 429 | 502..=504)),
            request_id: text("requestId").or(request_id),
            version: json.get("version").and_then(Value::as_u64),
            retry_after,
        }
    }
}

/// Details that name a kind, or repeat in a number what the message says in words.
const FOR_PROGRAMS: [&str; 2] = ["error", "provider_status"];

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)?;
        for (field, reason) in &self.details {
            // A problem of one field repeats it in the message, and names for programs say nothing to a person.
            if !self.message.contains(reason.as_str()) && !FOR_PROGRAMS.contains(&field.as_str()) {
                write!(f, "\n  {field}: {reason}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_problem_give_the_same_words() {
        let bare =
            br#"{"success":false,"code":"NOT_FOUND","message":"no source \"x\"","retryable":false,"requestId":"r1"}"#;
        let enveloped =
            br#"{"success":false,"error":{"code":"NOT_FOUND","message":"no source \"x\""},"requestId":"r1"}"#;
        let a = Problem::read(404, bare, None, None);
        let b = Problem::read(404, enveloped, None, None);
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "no source \"x\" (NOT_FOUND)");
    }

    #[test]
    fn what_is_said_for_programs_is_not_told_to_people() {
        let body = br#"{"code":"NOT_FOUND","message":"there is no connector \"x\"","details":{"error":"unknown",
            "provider_status":404,"input/a":"is no number"}}"#;
        let problem = Problem::read(404, body, None, None);
        assert_eq!(problem.details["error"], "unknown");
        assert_eq!(problem.to_string(), "there is no connector \"x\" (NOT_FOUND)\n  input/a: is no number");
    }

    #[test]
    fn an_answer_without_a_reason_still_says_its_status() {
        let problem = Problem::read(503, b"<html>", None, None);
        assert_eq!(problem.code, "HTTP_503");
        assert!(problem.retryable);
    }
}
