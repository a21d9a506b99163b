//! Runtime expressions: jq, compiled when a flow is published, run over the data of a task.
//!
//! In fields that are expressions by themselves (`if`, `while`, `when`, `in`, `from`, `as`, …) the text may stand bare or in
//! `${ }`; in data (`set`, bodies, headers, …) only a whole text in `${ }` is one. Data that a run was given is never
//! looked through for expressions.

use nexus_engine::jq::{Jq, JqError, Rules, Usage, Val, to_json, to_val};
use serde_json::{Map, Value};

use crate::error::{FlowError, Standard};

/// Where an expression stands; it decides which arguments there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The flow's `input.from`.
    FlowInput,
    /// A task's `if` and `input.from`.
    TaskInput,
    /// Inside a task.
    Task,
    /// A task's `output.as`.
    TaskOutput,
    /// A task's `export.as`.
    TaskExport,
    /// The flow's `output.as`.
    FlowOutput,
    /// Filters of events that start a flow: there is no run yet.
    Trigger,
}

impl Place {
    /// The arguments that are available here.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::FlowInput => &["secrets", "workflow", "runtime"],
            Self::TaskInput => &["context", "secrets", "task", "workflow", "runtime"],
            Self::Task | Self::TaskOutput => {
                &["context", "input", "secrets", "task", "workflow", "runtime", "authorization"]
            }
            Self::TaskExport => {
                &["context", "input", "output", "secrets", "task", "workflow", "runtime", "authorization"]
            }
            Self::FlowOutput => &["context", "secrets", "workflow", "runtime"],
            Self::Trigger => &["runtime"],
        }
    }
}

/// What stands behind `$name` while an expression runs.
pub trait Arguments {
    /// The value of an argument or variable; of `usage`'s fields only those that are used need be there.
    fn get(&self, name: &str, usage: &Usage) -> Result<Value, FlowError>;
    /// Told what each expression cost.
    fn spent(&self, _cost: u64) {}
}

/// No arguments at all.
impl Arguments for () {
    fn get(&self, _: &str, _: &Usage) -> Result<Value, FlowError> {
        Ok(Value::Null)
    }
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expression(Jq);

impl Expression {
    /// Compiles the inside of `${ }`. `given`: the names of its arguments and variables.
    pub fn compile(text: &str, given: &[&str]) -> Result<Self, JqError> {
        Jq::compile_with(text, Rules::Wide, given).map(Self)
    }

    /// As it was written, without `${ }`.
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// How it uses `$name`, if it does.
    pub fn usage(&self, name: &str) -> Option<&Usage> {
        self.0.variables().iter().find(|(variable, _)| variable == name).map(|(_, usage)| usage)
    }

    /// Runs it over `input`.
    pub fn eval(&self, input: &Value, arguments: &dyn Arguments) -> Result<Value, FlowError> {
        let variables =
            self.0.variables().iter().map(|(name, usage)| arguments.get(name, usage).map(|value| to_val(&value)));
        let variables = variables.collect::<Result<Vec<Val>, FlowError>>()?;
        let (result, cost) = self.0.eval(to_val(input), variables);
        arguments.spent(cost);
        result
            .and_then(|value| to_json(&value))
            .map_err(|error| FlowError::new(Standard::Expression, format!("{}: {error}", shown(self.0.text()))))
    }

    /// Runs it as a condition: `false` and `null` are false, everything else is true.
    pub fn holds(&self, input: &Value, arguments: &dyn Arguments) -> Result<bool, FlowError> {
        self.eval(input, arguments).map(|value| !matches!(value, Value::Null | Value::Bool(false)))
    }
}

fn shown(text: &str) -> String {
    const KEPT: usize = 80;
    match text.char_indices().nth(KEPT) {
        Some((at, _)) => format!("`{}…`", &text[..at]),
        None => format!("`{text}`"),
    }
}

/// The inside of a text that is one expression in `${ }`.
pub fn inside(text: &str) -> Option<&str> {
    text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map(str::trim)
}

/// Data with expressions in it.
#[derive(Debug)]
pub enum Template {
    /// No expression anywhere in it.
    Plain(Value),
    /// One expression.
    Expression(Expression),
    /// A list with expressions.
    List(Vec<Template>),
    /// A map with expressions.
    Map(Vec<(String, Template)>),
}

impl Template {
    /// Fills in the expressions.
    pub fn eval(&self, input: &Value, arguments: &dyn Arguments) -> Result<Value, FlowError> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Expression(expression) => expression.eval(input, arguments),
            Self::List(items) => {
                items.iter().map(|item| item.eval(input, arguments)).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Self::Map(fields) => fields
                .iter()
                .map(|(key, field)| Ok((key.clone(), field.eval(input, arguments)?)))
                .collect::<Result<Map<_, _>, FlowError>>()
                .map(Value::Object),
        }
    }

    /// A field of a map, when there is no expression in it.
    pub fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Plain(value) => value.get(name),
            Self::Map(fields) => fields.iter().find(|(key, _)| key == name).and_then(|(_, field)| field.plain()),
            Self::Expression(_) | Self::List(_) => None,
        }
    }

    /// The value, when there is no expression in it.
    pub fn plain(&self) -> Option<&Value> {
        match self {
            Self::Plain(value) => Some(value),
            _ => None,
        }
    }
}
