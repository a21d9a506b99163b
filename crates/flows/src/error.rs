//! Errors as flows see them: problem details whose `instance` points at the task.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An error that a run raised, or ended with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowError {
    /// A URI that says what kind it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Like an HTTP status.
    pub status: u16,
    /// In a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What happened this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The task, as a JSON pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// A `raise` of a flow made it: it is meant for whoever asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raised: bool,
}

/// The kinds that the specification names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// Settings that are wrong or missing.
    Configuration,
    /// Data that a schema does not allow.
    Validation,
    /// An expression that failed.
    Expression,
    /// Who calls could not be proven.
    Authentication,
    /// It is not allowed.
    Authorization,
    /// It took too long.
    Timeout,
    /// The other side, or the way to it.
    Communication,
    /// Anything else while running.
    Runtime,
}

const STANDARD: [(Standard, &str, u16, &str); 8] = [
    (Standard::Configuration, "configuration", 400, "Configuration error"),
    (Standard::Validation, "validation", 400, "Validation error"),
    (Standard::Expression, "expression", 400, "Expression error"),
    (Standard::Authentication, "authentication", 401, "Authentication error"),
    (Standard::Authorization, "authorization", 403, "Authorization error"),
    (Standard::Timeout, "timeout", 408, "Timeout"),
    (Standard::Communication, "communication", 500, "Communication error"),
    (Standard::Runtime, "runtime", 500, "Runtime error"),
];

/// Where the standard kinds are said to live: the specification's own place, the one its test kit uses, and the same two
/// under the project's later name.
const HOMES: [&str; 4] = [
    "https://serverlessworkflow.io/spec/1.0.0/errors/",
    "https://serverlessworkflow.io/dsl/errors/types/",
    "https://open-workflow-specification.org/spec/1.0.0/errors/",
    "https://open-workflow-specification.org/dsl/errors/types/",
];

impl FlowError {
    /// One of the standard kinds.
    pub fn new(standard: Standard, detail: impl Into<String>) -> Self {
        let (name, status, title) = STANDARD
            .iter()
            .find(|(kind, ..)| *kind == standard)
            .map_or(("runtime", 500, "Runtime error"), |(_, name, status, title)| (*name, *status, *title));
        Self {
            kind: format!("{}{name}", HOMES[0]),
            status,
            title: Some(title.to_owned()),
            detail: Some(detail.into()),
            instance: None,
            raised: false,
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with another title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The same, raised at `pointer` unless it already names its place.
    #[must_use]
    pub fn at(mut self, pointer: &str) -> Self {
        if self.instance.is_none() {
            self.instance = Some(pointer.to_owned());
        }
        self
    }

    /// As expressions see it.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(Self { raised: false, ..self.clone() }).unwrap_or_default()
    }
}

/// The standard kind that a URI names, whichever home it is given.
pub fn standard(kind: &str) -> Option<Standard> {
    let name = HOMES.iter().find_map(|home| kind.strip_prefix(home))?;
    STANDARD.iter().find(|(_, known, ..)| *known == name).map(|(standard, ..)| *standard)
}

/// True when two URIs name the same kind of error.
pub fn same_kind(a: &str, b: &str) -> bool {
    a == b || standard(a).is_some_and(|kind| standard(b) == Some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_the_same_in_each_of_its_homes() {
        for a in HOMES {
            for b in HOMES {
                assert!(same_kind(&format!("{a}timeout"), &format!("{b}timeout")));
                assert!(!same_kind(&format!("{a}timeout"), &format!("{b}runtime")));
            }
        }
        assert!(same_kind("https://example.com/errors/x", "https://example.com/errors/x"));
        assert!(!same_kind("https://example.com/errors/timeout", "https://example.org/errors/timeout"));
    }
}
