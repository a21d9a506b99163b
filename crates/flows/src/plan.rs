//! A published flow: everything looked up, compiled and checked, ready to be interpreted.
//!
//! A [`Definition`] is immutable. A run keeps the name and version of the one it began with.

use std::{sync::Arc, time::Duration};

use nexus_engine::schema::Tell;
use serde_json::Value;

use crate::{
    detect::DetectPlan,
    error::{FlowError, Standard},
    expression::{Arguments, Expression, Template},
    problem::Problems,
    schedule::Missed,
    webhook::WebhookPlan,
};

mod event;
mod schedule;
mod task;

pub use event::{AttributeTest, CorrelationPlan, FilterPlan, ForeachPlan, ListenPlan, ReadAs, StrategyPlan, UntilPlan};
pub use schedule::SchedulePlan;
pub use task::{
    AuthParameters, AuthPlan, AuthScheme, BackoffPlan, ErrorFilter, ForPlan, HttpPlan, OpenApiPlan, RaisePlan,
    RetryPlan, RunPlan, Target, TryPlan, Wanted,
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
    /// What may be meant otherwise, with its lines; no reason to refuse it.
    pub warnings: Problems,
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
    /// `nexus.dev/enabled: false`: published for the first time, it is off until somebody turns it on.
    pub begins_off: bool,
    /// `nexus.dev/calls`: how many calls all its runs together make at once.
    pub calls: Option<usize>,
    /// `nexus.dev/taskEvents`: lifecycle events of tasks are published too.
    pub task_events: bool,
    /// `nexus.dev/concurrency`.
    pub concurrency: Option<Concurrency>,
    /// `nexus.dev/budget`.
    pub budget: Option<Budget>,
    /// `nexus.dev/timezone`: where the hours of `schedule.cron` are told; UTC without.
    pub timezone: Option<String>,
    /// `nexus.dev/missed`: what is done about fires of `cron` and `every` that fell into a time when nothing ran.
    pub missed: Option<Missed>,
    /// `nexus.dev/webhook`: an address that starts it.
    pub webhook: Option<Arc<WebhookPlan>>,
    /// `nexus.dev/detect`: behaviour that starts it.
    pub detect: Arc<Vec<DetectPlan>>,
}

/// At most one active run per key.
#[derive(Clone, Debug)]
pub struct Concurrency {
    /// What the run's input gives as its key.
    pub key: Arc<Expression>,
    /// What happens to another.
    pub on_conflict: OnConflict,
}

/// The most that a flow may set as its budget.
pub const BUDGET_AT_MOST: u32 = 1_000_000;

/// How many runs events may begin in one minute.
#[derive(Clone, Debug)]
pub struct Budget {
    /// So many for one key.
    pub runs: u32,
    /// What the run's input gives as its key; without, that of `nexus.dev/concurrency`, or the event's subject.
    pub key: Option<Arc<Expression>>,
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

/// A length of time.
#[derive(Debug)]
pub enum Length {
    /// Known.
    Fixed(Duration),
    /// An expression that gives ISO 8601.
    Expression(Expression),
}

impl std::fmt::Display for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(length) => f.write_str(&crate::duration::text(*length)),
            Self::Expression(expression) => write!(f, "${{ {} }}", expression.text()),
        }
    }
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
pub struct Schema(pub(crate) nexus_engine::schema::Schema);

impl Schema {
    /// Checks a value; the message names the first places that are wrong.
    pub fn check(&self, what: &str, value: &Value) -> Result<(), FlowError> {
        const NAMED: usize = 3;
        if self.0.fits(value) {
            return Ok(());
        }
        let errors: Vec<String> = self
            .0
            .violations(value, NAMED, Tell::Masked)
            .into_iter()
            .map(|wrong| format!("{}: {}", crate::pointer::Pointer::from_text(wrong.path), wrong.reason))
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
