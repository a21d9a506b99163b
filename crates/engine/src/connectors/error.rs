//! Why a call gave nothing.

use std::{collections::BTreeMap, time::Duration};

use nexus_core::{
    limits::EVENT_DEPTH,
    problem::{Code, Problem},
    time::Timestamp,
};

/// Why a call gave nothing. None of these holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No such connector, operation or connection.
    #[error("{0}")]
    Unknown(String),
    /// Several connections could be meant, or none fits.
    #[error("{0}")]
    Connection(String),
    /// The input does not fit the operation's schema: one reason per place.
    #[error("the input of {operation} does not fit: {}", joined(errors))]
    Input {
        /// Which operation.
        operation: String,
        /// Reasons by JSON pointer.
        errors: BTreeMap<String, String>,
    },
    /// The request can't be made from this input.
    #[error("{0}")]
    Request(String),
    /// The connection was not granted a scope that the operation needs. Nothing was sent.
    #[error(
        "the connection {connection:?} was not granted the scope {scope:?}, which {operation} needs; authorize it again \
         with that scope"
    )]
    Scope {
        /// Which connection.
        connection: String,
        /// Which operation.
        operation: String,
        /// The scope.
        scope: String,
    },
    /// The provider no longer takes the connection's proof.
    #[error("the connection {connection:?} must be connected again: {reason}")]
    Reconnect {
        /// Which connection.
        connection: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The connection is switched off.
    #[error("the connection {0:?} is disabled; enable it to use it")]
    Disabled(String),
    /// It looks like a loop.
    #[error(
        "this call would be step {0} of one chain of cause and effect; chains end at {EVENT_DEPTH}, as this looks like a loop"
    )]
    Loop(u16),
    /// Too many calls at once.
    #[error("{0} calls of connectors are under way, which is the most")]
    Busy(usize),
    /// Nothing may be sent before this time.
    #[error("{what}; the next call may be made at {until}")]
    RateLimited {
        /// Whose limit.
        what: String,
        /// The call itself was sent, and refused for it.
        sent: bool,
        /// When to come back.
        until: Timestamp,
    },
    /// The breaker is open.
    #[error(
        "calls by the connection {connection:?} failed several times in a row{}, so it rests; the next call may be made at \
         {until}",
        lately(last)
    )]
    Open {
        /// Which connection.
        connection: String,
        /// What went wrong last; empty where nobody knows any more.
        last: String,
        /// When to come back.
        until: Timestamp,
    },
    /// The provider refused, for good.
    #[error("{operation} was refused with status {status}: {message}")]
    Refused {
        /// Which operation.
        operation: String,
        /// Its status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// It failed, was not done, and may be tried later.
    #[error("{operation} failed after {}: {message}", times(*attempts))]
    Failed {
        /// Which operation.
        operation: String,
        /// The last status, where one came.
        status: Option<u16>,
        /// What went wrong last.
        message: String,
        /// How often it was tried.
        attempts: u16,
        /// When to come back, where that is known.
        until: Option<Timestamp>,
    },
    /// It failed and may have been done all the same; a repeat could do it twice.
    #[error(
        "{operation} may have been done or not: {message}. It is not repeated, as {operation} knows no repeats; look at the \
         provider before you call it again"
    )]
    Unsure {
        /// Which operation.
        operation: String,
        /// The last status, where one came.
        status: Option<u16>,
        /// What went wrong.
        message: String,
    },
    /// The address may not be called.
    #[error("{0}")]
    Address(String),
    /// It was done, but the answer can't be used.
    #[error("{operation} was answered, but the answer can't be used: {message}")]
    Answer {
        /// Which operation.
        operation: String,
        /// Why not.
        message: String,
    },
    /// The hub itself could not.
    #[error("{0}")]
    Hub(Problem),
}

fn lately(last: &str) -> String {
    if last.is_empty() { String::new() } else { format!(" (at last: {last})") }
}

fn times(attempts: u16) -> String {
    if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") }
}

fn joined(errors: &BTreeMap<String, String>) -> String {
    let one = |(at, what): (&String, &String)| if at.is_empty() { what.clone() } else { format!("{at}: {what}") };
    let all: Vec<String> = errors.iter().map(one).collect();
    all.join("; ")
}

impl CallError {
    /// Whether the same call may succeed later without anybody changing anything, and can do no harm.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy(_) | Self::RateLimited { .. } | Self::Open { .. } | Self::Failed { .. } => true,
            Self::Hub(problem) => matches!(problem.code, Code::Unavailable | Code::Timeout | Code::RateLimited),
            _ => false,
        }
    }

    /// Whether it says something of how the connection does: not where the hub itself held the call back.
    pub(super) fn is_of_provider(&self) -> bool {
        !matches!(self, Self::Busy(_) | Self::Open { .. } | Self::RateLimited { sent: false, .. })
    }

    /// The provider's status, where one came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Failed { status, .. } | Self::Unsure { status, .. } => *status,
            _ => None,
        }
    }

    /// When the next try makes sense, where that is known.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::RateLimited { until, .. } | Self::Open { until, .. } => Some(*until),
            Self::Failed { until, .. } => *until,
            _ => None,
        }
    }

    /// A name of its kind, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown",
            Self::Connection(_) => "connection",
            Self::Input { .. } => "input",
            Self::Request(_) => "request",
            Self::Scope { .. } => "missing_scope",
            Self::Reconnect { .. } => "reconnect_needed",
            Self::Disabled(_) => "disabled",
            Self::Loop(_) => "loop",
            Self::Busy(_) => "busy",
            Self::RateLimited { .. } => "rate_limited",
            Self::Open { .. } => "breaker_open",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Unsure { .. } => "unsure",
            Self::Address(_) => "address",
            Self::Answer { .. } => "answer",
            Self::Hub(_) => "hub",
        }
    }

    /// How it is said to whoever asked over a door.
    pub fn to_problem(&self, now: Timestamp) -> Problem {
        if let Self::Hub(problem) = self {
            return problem.clone();
        }
        let code = match self {
            Self::Unknown(_) => Code::NotFound,
            Self::Input { .. } | Self::Request(_) => Code::Invalid,
            Self::RateLimited { .. } => Code::RateLimited,
            Self::Busy(_) | Self::Open { .. } => Code::Unavailable,
            Self::Refused { .. } | Self::Failed { .. } | Self::Unsure { .. } | Self::Answer { .. } => Code::BadGateway,
            Self::Address(_) => Code::Forbidden,
            _ => Code::Conflict,
        };
        let mut problem = Problem::new(code, self.to_string()).fact("error", self.kind());
        if let Self::Input { errors, .. } = self {
            problem.details = errors.iter().map(|(at, what)| (format!("input{at}"), what.clone())).collect();
        }
        if let Some(status) = self.status() {
            problem = problem.fact("provider_status", status);
        }
        if let Self::Scope { scope, .. } = self {
            problem = problem.fact("scope", scope.as_str());
        }
        match self.until() {
            Some(until) => problem.retry_after(until.since(now).max(Duration::from_secs(1))),
            None => problem,
        }
    }
}
