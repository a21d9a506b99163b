//! What single tasks need: requests, loops, errors and attempts, compiled.

use std::sync::Arc;

use super::{FlowId, Length, Node};
use crate::{
    expression::{Expression, Template},
    uri::UriTemplate,
};

/// What of an answer is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// What it holds.
    #[default]
    Content,
    /// All of it.
    Response,
    /// Its bytes in base64.
    Raw,
}

/// Where a request goes.
#[derive(Debug)]
pub enum Target {
    /// A URI with fields to fill in.
    Template(UriTemplate),
    /// A URI that an expression gives.
    Expression(Expression),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Template(template) => template.fmt(f),
            Self::Expression(expression) => write!(f, "${{ {} }}", expression.text()),
        }
    }
}

/// How to prove who calls, with its parameters still to be filled in.
#[derive(Debug)]
pub struct AuthPlan {
    /// Which way.
    pub scheme: AuthScheme,
    /// Its parameters: in place, or a secret that holds them.
    pub parameters: AuthParameters,
}

/// A way to prove who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthScheme {
    /// User and password.
    Basic,
    /// A token.
    Bearer,
    /// A token got with the client's own credentials.
    OAuth2,
}

/// Where the parameters come from.
#[derive(Debug)]
pub enum AuthParameters {
    /// In place.
    Inline(Template),
    /// From the secret of this name.
    Secret(String),
}

/// `call: http`.
#[derive(Debug)]
pub struct HttpPlan {
    /// As written.
    pub method: String,
    /// Where to.
    pub target: Target,
    /// How to prove who calls.
    pub authentication: Option<AuthPlan>,
    /// A map.
    pub headers: Option<Template>,
    /// Anything.
    pub body: Option<Template>,
    /// A map.
    pub query: Option<Template>,
    /// What of the answer is wanted.
    pub wanted: Wanted,
    /// Whether a redirection is an answer like any other.
    pub redirect: bool,
}

/// `call: openapi`.
#[derive(Debug)]
pub struct OpenApiPlan {
    /// Where the document lies.
    pub document: Target,
    /// How to prove who asks for the document.
    pub document_authentication: Option<AuthPlan>,
    /// Which operation.
    pub operation_id: String,
    /// Its parameters.
    pub parameters: Option<Template>,
    /// How to prove who calls.
    pub authentication: Option<AuthPlan>,
    /// What of the answer is wanted.
    pub wanted: Wanted,
    /// Whether a redirection is an answer like any other.
    pub redirect: bool,
}

/// `for`.
#[derive(Debug)]
pub struct ForPlan {
    /// What an item is called.
    pub each: String,
    /// What its index is called.
    pub at: String,
    /// The items.
    pub items: Expression,
    /// As long as this holds.
    pub while_: Option<Expression>,
    /// The tasks.
    pub tasks: Vec<Node>,
}

/// `raise`.
#[derive(Debug)]
pub struct RaisePlan {
    /// Its kind.
    pub kind: Template,
    /// Its status.
    pub status: u16,
    /// In a few words.
    pub title: Option<Template>,
    /// In a sentence.
    pub detail: Option<Template>,
}

/// `run: {workflow}`.
#[derive(Debug)]
pub struct RunPlan {
    /// Which flow; the version may be `latest`.
    pub flow: FlowId,
    /// Its input.
    pub input: Option<Template>,
    /// Whether to wait for its end.
    pub wait: bool,
    /// Whether its output is wanted.
    pub output: bool,
}

/// `try`.
#[derive(Debug)]
pub struct TryPlan {
    /// The tasks.
    pub tasks: Vec<Node>,
    /// Which errors.
    pub errors: ErrorFilter,
    /// What the error is called.
    pub as_: String,
    /// Only when this holds.
    pub when: Option<Expression>,
    /// Unless this holds.
    pub except_when: Option<Expression>,
    /// Whether to try again.
    pub retry: Option<Arc<RetryPlan>>,
    /// The tasks after the last attempt.
    pub handler: Option<Vec<Node>>,
}

/// Which errors are caught.
#[derive(Debug, Default)]
pub struct ErrorFilter {
    /// Of this kind.
    pub kind: Option<Template>,
    /// With this status.
    pub status: Option<Template>,
    /// Of this task.
    pub instance: Option<Template>,
    /// With this title.
    pub title: Option<Template>,
    /// With this detail.
    pub detail: Option<Template>,
}

/// A retry policy.
#[derive(Debug)]
pub struct RetryPlan {
    /// Only when this holds.
    pub when: Option<Expression>,
    /// Unless this holds.
    pub except_when: Option<Expression>,
    /// The first wait.
    pub delay: Option<Length>,
    /// How waits grow.
    pub backoff: BackoffPlan,
    /// What is added to each wait.
    pub jitter: Option<(Length, Length)>,
    /// How many attempts beyond the first.
    pub count: Option<u32>,
    /// How long each attempt may take.
    pub attempt: Option<Length>,
    /// How long all of them may take.
    pub total: Option<Length>,
}

/// How waits grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackoffPlan {
    /// They don't.
    #[default]
    Constant,
    /// By the first wait.
    Linear,
    /// They double.
    Exponential,
}
