//! A published flow: everything looked up, compiled and checked, ready to be interpreted.
//!
//! A [`Definition`] is immutable. A run keeps the name and version of the one it began with.

use std::{sync::Arc, time::Duration};

use jsonschema::Validator;
use serde_json::Value;

use crate::{
    error::{FlowError, Standard},
    expression::{Arguments, Expression, Template},
    uri::UriTemplate,
};

/// Which flow, which version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct FlowId {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl std::fmt::Display for FlowId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}@{}", self.namespace, self.name, self.version)
    }
}

/// A published flow.
#[derive(Debug)]
pub struct Definition {
    /// Which it is.
    pub id: FlowId,
    /// The document, as `$workflow.definition` shows it.
    pub source: Value,
    /// What it takes and gives.
    pub data: FlowData,
    /// How long a run may take.
    pub timeout: Option<Length>,
    /// Its tasks.
    pub tasks: Vec<Node>,
    /// What happens around tasks.
    pub extensions: Vec<ExtensionPlan>,
    /// What starts it.
    pub schedule: SchedulePlan,
    /// The secrets it may pass on.
    pub secrets: Vec<String>,
    /// Our own settings from its metadata.
    pub settings: Settings,
}

/// What a flow takes and gives.
#[derive(Debug, Default)]
pub struct FlowData {
    /// Checks the raw input.
    pub input_schema: Option<Schema>,
    /// Makes the input of the first task.
    pub input_from: Option<Template>,
    /// Makes the output of the flow.
    pub output_as: Option<Template>,
    /// Checks the output.
    pub output_schema: Option<Schema>,
}

/// `metadata` keys under `nexus.dev/`.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `nexus.dev/listenFrom`: a `listen` sees events from the trigger on (default), or from when it begins.
    pub listen_from_now: bool,
    /// `nexus.dev/taskEvents`: lifecycle events of tasks are published too.
    pub task_events: bool,
    /// `nexus.dev/concurrency`.
    pub concurrency: Option<Concurrency>,
    /// `nexus.dev/timezone`: where the hours of `schedule.cron` are told; UTC without.
    pub timezone: Option<String>,
}

/// At most one active run per key.
#[derive(Clone, Debug)]
pub struct Concurrency {
    /// What the run's input gives as its key.
    pub key: Arc<Expression>,
    /// What happens to another.
    pub on_conflict: OnConflict,
}

/// What happens to a run whose key is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// It does not start.
    Skip,
    /// It starts when the other has ended.
    Queue,
    /// The other is cancelled.
    Replace,
}

/// One task.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub pointer: String,
    /// Where its definition stands in the document, when not at `pointer` (a function of `use`).
    pub defined_at: String,
    /// Whether it runs at all.
    pub if_: Option<Expression>,
    /// Checks its raw input.
    pub input_schema: Option<Schema>,
    /// Makes its input.
    pub input_from: Option<Template>,
    /// Makes its output.
    pub output_as: Option<Template>,
    /// Checks its output.
    pub output_schema: Option<Schema>,
    /// Makes the next context.
    pub export_as: Option<Template>,
    /// Checks the next context.
    pub export_schema: Option<Schema>,
    /// How long it may take.
    pub timeout: Option<Length>,
    /// What comes after it.
    pub then: Then,
    /// What it does.
    pub work: Work,
    /// False inside extensions, which extend nothing themselves.
    pub extensible: bool,
}

/// What comes after a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The next in order.
    #[default]
    Continue,
    /// The end of the list it stands in.
    Exit,
    /// The end of the flow.
    End,
    /// Another task of the list.
    Task(usize),
}

/// What a task does.
#[derive(Debug)]
pub enum Work {
    /// An HTTP request.
    Http(Box<HttpPlan>),
    /// A request that an OpenAPI document describes.
    OpenApi(Box<OpenApiPlan>),
    /// A function of the default catalog.
    Function {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Its arguments.
        with: Template,
    },
    /// A function of `use`.
    Inline {
        /// Its input; without, that of the task.
        with: Option<Template>,
        /// The task.
        task: Box<Node>,
    },
    /// Tasks one after the other.
    Do(Vec<Node>),
    /// Publishes an event.
    Emit(Template),
    /// Tasks for each item.
    For(Box<ForPlan>),
    /// Tasks side by side.
    Fork {
        /// The branches.
        branches: Vec<Node>,
        /// Whether the first to complete ends the others.
        compete: bool,
    },
    /// Waits for events.
    Listen(Box<ListenPlan>),
    /// Raises an error.
    Raise(Box<RaisePlan>),
    /// Runs another flow.
    Run(Box<RunPlan>),
    /// Makes data.
    Set(Template),
    /// Chooses what comes next.
    Switch(Vec<(Option<Expression>, Then)>),
    /// Tries, catches, tries again.
    Try(Box<TryPlan>),
    /// Waits.
    Wait(Length),
}

impl Work {
    /// What an extension calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) | Self::OpenApi(_) | Self::Function { .. } | Self::Inline { .. } => "call",
            Self::Do(_) | Self::Fork { .. } => "composite",
            Self::Emit(_) => "emit",
            Self::For(_) => "for",
            Self::Listen(_) => "listen",
            Self::Raise(_) => "raise",
            Self::Run(_) => "run",
            Self::Set(_) => "set",
            Self::Switch(_) => "switch",
            Self::Try(_) => "try",
            Self::Wait(_) => "wait",
        }
    }
}

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

/// `listen`.
#[derive(Debug)]
pub struct ListenPlan {
    /// To which events.
    pub strategy: StrategyPlan,
    /// What of an event is wanted.
    pub read: ReadAs,
    /// What to do with each.
    pub foreach: Option<ForeachPlan>,
}

/// What of an event is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadAs {
    /// Its data.
    #[default]
    Data,
    /// All of it.
    Envelope,
    /// Its data as text.
    Raw,
}

/// What to do with each event.
#[derive(Debug)]
pub struct ForeachPlan {
    /// What it is called.
    pub item: String,
    /// What its index is called.
    pub at: String,
    /// The tasks.
    pub tasks: Vec<Node>,
    /// What each gives.
    pub output_as: Option<Template>,
    /// What each leaves in the context.
    pub export_as: Option<Template>,
}

/// Which events to wait for.
#[derive(Debug)]
pub enum StrategyPlan {
    /// One event.
    One(FilterPlan),
    /// Any of several.
    Any(Vec<FilterPlan>, Option<UntilPlan>),
    /// Each of several.
    All(Vec<FilterPlan>),
}

impl StrategyPlan {
    /// Its filters, those of `until` after the others.
    pub fn filters(&self) -> Vec<&FilterPlan> {
        match self {
            Self::One(filter) => vec![filter],
            Self::All(filters) => filters.iter().collect(),
            Self::Any(filters, until) => {
                let mut all: Vec<&FilterPlan> = filters.iter().collect();
                if let Some(UntilPlan::Events(strategy)) = until {
                    all.extend(strategy.filters());
                }
                all
            }
        }
    }

    /// How many filters select events that are kept.
    pub fn kept(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Any(filters, _) | Self::All(filters) => filters.len(),
        }
    }
}

/// When `any` stops.
#[derive(Debug)]
pub enum UntilPlan {
    /// When this holds of what was consumed.
    Condition(Expression),
    /// When these events came.
    Events(Box<StrategyPlan>),
}

/// One set of events.
#[derive(Debug)]
pub struct FilterPlan {
    /// Attributes that must be as given; `data` apart.
    pub attributes: Vec<(String, AttributeTest)>,
    /// What the data must be.
    pub data: Option<AttributeTest>,
    /// What links an event to a run: a name, what to take from the event, what it must be.
    pub correlate: Vec<CorrelationPlan>,
}

/// What an attribute must be.
#[derive(Debug)]
pub enum AttributeTest {
    /// Exactly this.
    Equals(Value),
    /// An expression over the attribute: `true` and `false` decide, anything else must equal the attribute. A regular
    /// expression is one, too: `test("^…$")`.
    Expression(Expression),
}

/// A link between events and a run.
#[derive(Debug)]
pub struct CorrelationPlan {
    /// Its name.
    pub name: String,
    /// What to take from the event.
    pub from: Expression,
    /// What it must be; without, the first value counts.
    pub expect: Option<Template>,
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

/// A length of time.
#[derive(Debug)]
pub enum Length {
    /// Known.
    Fixed(Duration),
    /// An expression that gives ISO 8601.
    Expression(Expression),
}

impl Length {
    /// How long it is now.
    pub fn eval(&self, input: &Value, arguments: &dyn Arguments) -> Result<Duration, FlowError> {
        match self {
            Self::Fixed(length) => Ok(*length),
            Self::Expression(expression) => {
                let value = expression.eval(input, arguments)?;
                let text = value.as_str().ok_or_else(|| {
                    FlowError::new(Standard::Expression, "an expression for a duration must give text such as PT30S")
                })?;
                crate::duration::parse(text).map_err(|what| FlowError::new(Standard::Expression, what))
            }
        }
    }
}

/// A compiled JSON Schema.
#[derive(Debug)]
pub struct Schema(pub(crate) Validator);

impl Schema {
    /// Checks a value; the message names the first places that are wrong.
    pub fn check(&self, what: &str, value: &Value) -> Result<(), FlowError> {
        const NAMED: usize = 3;
        if self.0.is_valid(value) {
            return Ok(());
        }
        let errors: Vec<String> = self
            .0
            .iter_errors(value)
            .take(NAMED)
            .map(|error| {
                format!("{}: {}", crate::pointer::Pointer::from_text(error.instance_path().to_string()), error.masked())
            })
            .collect();
        Err(FlowError::new(Standard::Validation, format!("{what} is not as its schema says: {}", errors.join("; "))))
    }
}

/// What happens around tasks.
#[derive(Debug)]
pub struct ExtensionPlan {
    /// Its name.
    pub name: String,
    /// Around which tasks; `all` around every one.
    pub extend: String,
    /// Only when this holds.
    pub when: Option<Expression>,
    /// Before.
    pub before: Vec<Node>,
    /// After.
    pub after: Vec<Node>,
}

/// What starts a flow besides a person or a call.
#[derive(Debug, Default)]
pub struct SchedulePlan {
    /// Again and again.
    pub every: Option<Duration>,
    /// At given times.
    pub cron: Option<crate::schedule::Cron>,
    /// Some time after it ended.
    pub after: Option<Duration>,
    /// Events.
    pub on: Option<StrategyPlan>,
}
