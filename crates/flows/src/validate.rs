//! From a document to a [`Definition`]: everything checked before a flow is published, so that little is left to fail later.
//!
//! What v1 does not run is refused by name. No field is ignored: what could not be kept is a problem, with its place.

mod budget;
mod call;
mod circle;
mod connector;
mod event;
mod mend;
mod part;
mod setting;
mod task;

use std::time::Duration;

pub use connector::check_connectors;
pub(crate) use connector::{find, parts};
use mend::{Mended, Places};
use serde_json::Value;

use crate::{
    expression::{Expression, Place, Template, inside},
    model::{Workflow, part::Strategy},
    plan::{Definition, FlowData, FlowId, SchedulePlan, Settings},
    pointer::Pointer,
    problem::{Problems, nearest},
    schedule::Cron,
    yaml,
};

/// Tasks in one flow, those of functions and extensions included.
const TASKS: usize = 2_000;
/// Levels of tasks within tasks.
const LEVELS: usize = 32;
/// Time between runs that begin by time: with less, a hub would do nothing else.
const SHORTEST: Duration = Duration::from_secs(1);

/// What was found of a document.
#[derive(Debug)]
pub struct Examined {
    source: yaml::Source,
    /// The flow, as far as it could be read; `None` where too little could.
    pub definition: Option<Definition>,
    /// Everything that is wrong with it.
    pub problems: Problems,
}

impl Examined {
    /// Adds what is wrong with its calls of the hub's functions and of connectors.
    pub fn check_calls(&mut self, check: impl FnOnce(&Definition) -> Problems) {
        if let Some(definition) = &self.definition {
            self.problems.absorb(check(definition));
        }
    }

    /// The flow, or everything that is wrong, with its lines.
    pub fn into_result(self) -> Result<Definition, Problems> {
        let Self { source, definition, problems } = self;
        let line_of = |path: &str| source.line(if path == "/" { "" } else { path });
        match definition.filter(|_| problems.is_empty()) {
            Some(definition) => Ok(definition),
            None => Err(problems.located(line_of).by_line()),
        }
    }
}

/// Reads, checks and compiles a document.
pub fn publish(text: &str) -> Result<Definition, Problems> {
    examine(text)?.into_result()
}

/// Looks at all of a document, also where something in it is wrong. An error: it is no YAML.
pub fn examine(text: &str) -> Result<Examined, Problems> {
    let source = yaml::parse(text).map_err(|error| {
        let mut problems = Problems::default();
        problems.add(&Pointer::root(), unlocated(&error));
        problems.located(|_| error.line())
    })?;
    let mut problems = Problems::default();
    let read = Workflow::from_value(&source.value, &mut problems);
    let mended = match read {
        Some(workflow) if problems.is_empty() => Some(Mended { workflow, places: Places::default() }),
        _ => mend::mend(&source.value, &problems),
    };
    let Some(Mended { workflow, places }) = mended else {
        return Ok(Examined { source, definition: None, problems });
    };
    let mut validator = Validator {
        workflow: &workflow,
        problems: Problems::default(),
        warnings: Problems::default(),
        mended: places,
        locals: Vec::new(),
        tasks: 0,
        level: 0,
        calling: Vec::new(),
        in_extension: false,
    };
    let mut definition = validator.definition(source.value.clone());
    let Validator { problems: mut more, warnings, mended, .. } = validator;
    more.retain(|problem| !mended.touch(&problem.path));
    problems.absorb(more);
    let line_of = |path: &str| source.line(if path == "/" { "" } else { path });
    definition.warnings = warnings.located(line_of).by_line();
    Ok(Examined { source, definition: Some(definition), problems })
}

/// What is wrong with a text that is no document; its line stands beside it.
fn unlocated(error: &yaml::YamlError) -> String {
    match error {
        yaml::YamlError::Syntax { column, what, .. } => format!("not YAML: {what}, at column {column}"),
        yaml::YamlError::Refused { what, .. } => what.clone(),
        other => other.to_string(),
    }
}

/// Refuses flows that run each other in a circle; `latest` stands for whichever version is in the set.
pub fn check_circles<'a>(set: impl IntoIterator<Item = &'a Definition>) -> Result<(), String> {
    let flows: Vec<&Definition> = set.into_iter().collect();
    let next = |flow: &Definition| -> Vec<usize> {
        flow.runs()
            .iter()
            .filter_map(|run| {
                flows.iter().position(|other| {
                    other.id.namespace == run.namespace
                        && other.id.name == run.name
                        && (run.version == "latest" || other.id.version == run.version)
                })
            })
            .collect()
    };
    for start in 0..flows.len() {
        let mut seen = vec![false; flows.len()];
        let mut path = vec![(start, next(flows[start]))];
        while let Some((_, rest)) = path.last_mut() {
            let Some(to) = rest.pop() else {
                path.pop();
                continue;
            };
            if to == start {
                let mut names: Vec<String> = path.iter().map(|(at, _)| flows[*at].id.to_string()).collect();
                names.push(flows[start].id.to_string());
                return Err(format!(
                    "flows run each other in a circle: {}; break it, or emit an event instead",
                    names.join(" -> ")
                ));
            }
            if !std::mem::replace(&mut seen[to], true) {
                path.push((to, next(flows[to])));
            }
        }
    }
    Ok(())
}

struct Validator<'a> {
    workflow: &'a Workflow,
    problems: Problems,
    /// What may be meant otherwise.
    warnings: Problems,
    /// Places of which nothing can be said.
    mended: Places,
    /// Variables of loops and catches around, innermost last.
    locals: Vec<String>,
    tasks: usize,
    level: usize,
    /// Functions that are being written in, to find those that call themselves.
    calling: Vec<String>,
    in_extension: bool,
}

impl Validator<'_> {
    fn definition(&mut self, source: Value) -> Definition {
        let root = Pointer::root();
        let document = &self.workflow.document;
        self.document(&root.key("document"));
        let settings = self.settings(&root.key("document").key("metadata"));
        self.evaluate(&root.key("evaluate"));
        self.unsupported_use(&root.key("use"));
        let data = self.flow_data(&root);
        let timeout = self
            .workflow
            .timeout
            .as_ref()
            .and_then(|timeout| self.timeout(timeout, &root.key("timeout"), Place::FlowOutput));
        let tasks = self.task_list(&self.workflow.do_, &root.key("do"));
        let extensions = self.extensions(&root.key("use").key("extensions"));
        let schedule = self.schedule(&root.key("schedule"), &settings);
        Definition {
            id: FlowId {
                namespace: document.namespace.clone(),
                name: document.name.clone(),
                version: document.version.clone(),
            },
            source,
            data,
            timeout,
            tasks,
            extensions,
            schedule,
            secrets: self.declared_secrets().to_vec(),
            settings,
            warnings: Problems::default(),
        }
    }

    /// What extensions do around tasks may end what the tasks don't.
    fn has_extensions(&self) -> bool {
        self.workflow.use_.as_ref().is_some_and(|u| u.extensions.as_ref().is_some_and(|list| !list.is_empty()))
    }

    fn declared_secrets(&self) -> &[String] {
        self.workflow.use_.as_ref().and_then(|u| u.secrets.as_deref()).unwrap_or_default()
    }

    fn document(&mut self, at: &Pointer) {
        let document = &self.workflow.document;
        if !matches!(document.dsl.as_str(), "1.0.0" | "1.0.1" | "1.0.2" | "1.0.3") {
            self.problems.add(
                &at.key("dsl"),
                format!("DSL {:?} is not known; write '1.0.3' (1.0.0 to 1.0.3 are)", document.dsl),
            );
        }
        for (key, name) in [("namespace", &document.namespace), ("name", &document.name)] {
            let plain = !name.is_empty()
                && name.len() <= 63
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !name.starts_with('-')
                && !name.ends_with('-');
            if !plain {
                self.problems
                    .add(&at.key(key), format!("{name:?} is no name: letters, digits and inner hyphens, at most 63"));
            }
        }
        if !is_semver(&document.version) {
            self.problems.add(
                &at.key("version"),
                format!("{:?} is no version; write three numbers such as '1.0.0'", document.version),
            );
        }
    }

    fn evaluate(&mut self, at: &Pointer) {
        let Some(evaluate) = &self.workflow.evaluate else { return };
        if evaluate.language.as_deref().is_some_and(|language| language != "jq") {
            self.problems.add(&at.key("language"), "only jq is supported");
        }
        if evaluate.mode.as_deref().is_some_and(|mode| mode != "strict") {
            self.problems.add(&at.key("mode"), "only strict is supported: expressions in data stand in ${ }");
        }
    }

    fn unsupported_use(&mut self, at: &Pointer) {
        let Some(reusable) = &self.workflow.use_ else { return };
        for name in reusable.catalogs.iter().flat_map(|catalogs| catalogs.keys()) {
            self.problems.add(
                &at.key("catalogs").key(name),
                "catalogs elsewhere are not supported; functions of the hub are called as name:version@default",
            );
        }
        let authentications: Vec<_> = reusable.authentications.iter().flatten().collect();
        for (name, authentication) in authentications {
            self.authentication(authentication, &at.key("authentications").key(name));
        }
        for (name, retry) in reusable.retries.iter().flatten() {
            self.locals.push("error".into());
            self.retry(retry, &at.key("retries").key(name));
            self.locals.pop();
        }
        for (name, timeout) in reusable.timeouts.iter().flatten() {
            self.length(&timeout.after, &at.key("timeouts").key(name).key("after"), Place::Task);
        }
        for (n, name) in reusable.secrets.iter().flatten().enumerate() {
            if name.is_empty() || name.contains(['/', '\u{203a}']) {
                self.problems.add(&at.key("secrets").index(n), "the name of a secret is expected here, without /");
            }
        }
    }

    fn flow_data(&mut self, root: &Pointer) -> FlowData {
        let mut data = FlowData::default();
        if let Some(input) = &self.workflow.input {
            let at = root.key("input");
            data.input_schema = input.schema.as_ref().and_then(|schema| self.schema(schema, &at.key("schema")));
            data.input_from =
                input.from.as_ref().and_then(|from| self.transform(from, &at.key("from"), Place::FlowInput));
        }
        if let Some(output) = &self.workflow.output {
            let at = root.key("output");
            data.output_schema = output.schema.as_ref().and_then(|schema| self.schema(schema, &at.key("schema")));
            data.output_as = output.as_.as_ref().and_then(|as_| self.transform(as_, &at.key("as"), Place::FlowOutput));
        }
        data
    }

    fn schedule(&mut self, at: &Pointer, settings: &Settings) -> SchedulePlan {
        let mut plan = SchedulePlan::default();
        let Some(schedule) = &self.workflow.schedule else {
            if settings.missed.is_some() || settings.timezone.is_some() {
                self.problems.add(at, "nexus.dev/missed and nexus.dev/timezone are only of use with a schedule");
            }
            return plan;
        };
        let given =
            [schedule.every.is_some(), schedule.cron.is_some(), schedule.after.is_some(), schedule.on.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            self.problems.add(at, "exactly one of every, cron, after and on is expected here");
        }
        plan.every = schedule.every.as_ref().and_then(|every| self.fixed(every, &at.key("every")));
        plan.after = schedule.after.as_ref().and_then(|after| self.fixed(after, &at.key("after")));
        for (name, given) in [("every", plan.every), ("after", plan.after)] {
            if given.is_some_and(|given| given < SHORTEST) {
                self.problems.add(&at.key(name), "at least one second (PT1S) is expected between runs");
            }
        }
        if let Some(text) = &schedule.cron {
            match Cron::parse(text) {
                Ok(cron) => plan.cron = Some(cron),
                Err(error) => self.problems.add(&at.key("cron"), error),
            }
        } else if settings.timezone.is_some() {
            self.problems.add(at, "nexus.dev/timezone is only of use with `cron`");
        }
        if settings.missed.is_some() && schedule.every.is_none() && schedule.cron.is_none() {
            self.problems.add(at, "nexus.dev/missed is only of use with `cron` or `every`");
        }
        if let Some(on) = &schedule.on {
            let place = at.key("on");
            match on {
                Strategy::One { .. } | Strategy::Any { until: None, .. } => {
                    plan.on = self.strategy(on, &place, Place::Trigger);
                }
                Strategy::Any { .. } => self.problems.add(
                    &place.key("until"),
                    "is not supported for starting a flow; start with the first event and listen for the others",
                ),
                Strategy::All { .. } => self.problems.add(
                    &place.key("all"),
                    "is not supported for starting a flow; start with one event and listen for the others",
                ),
            }
        }
        plan
    }

    /// A field that is an expression by itself: bare or in `${ }`.
    fn expression(&mut self, text: &str, at: &Pointer, place: Place) -> Option<Expression> {
        let body = inside(text).unwrap_or(text);
        if inside(text).is_none() && text.trim_start().starts_with("${") {
            self.problems.add(at, unclosed(text));
            return None;
        }
        let given: Vec<&str> =
            place.arguments().iter().copied().chain(self.locals.iter().map(String::as_str)).collect();
        let expression = match Expression::compile(body, &given) {
            Ok(expression) => expression,
            Err(nexus_engine::jq::JqError::Unknown(name)) => {
                let available: Vec<String> = given.iter().map(|name| format!("${name}")).collect();
                let message = format!("${name} is not available here; available: {}", available.join(", "));
                self.problems.add(at, message);
                return None;
            }
            Err(error) => {
                self.problems.add(at, error.to_string());
                return None;
            }
        };
        self.secrets_used(&expression, at);
        Some(expression)
    }

    fn secrets_used(&mut self, expression: &Expression, at: &Pointer) {
        let Some(usage) = expression.usage("secrets") else { return };
        if usage.computed || usage.whole {
            self.problems.add(
                at,
                "secrets can only be passed on by name, as in ${ $secrets.api } or ${ \"Bearer \\($secrets.api)\" }; nothing can be computed from them",
            );
        }
        for name in usage.fields.clone() {
            self.secret_declared(&name, at);
        }
    }

    fn secret_declared(&mut self, name: &str, at: &Pointer) {
        if !self.mended.any_in("/use") && !self.declared_secrets().iter().any(|known| known == name) {
            let hint = nearest(name, self.declared_secrets().iter().map(String::as_str));
            self.problems.add(at, format!("the secret {name:?} is not declared; add it to use.secrets{hint}"));
        }
    }

    /// `from` and `as`: an expression, or data with expressions.
    fn transform(&mut self, value: &Value, at: &Pointer, place: Place) -> Option<Template> {
        match value {
            Value::String(text) => self.expression(text, at, place).map(Template::Expression),
            Value::Object(_) => self.template(value, at, place),
            other => {
                let kind = crate::model::read::kind(other);
                self.problems.add(at, format!("an expression or a map is expected here, not {kind}"));
                None
            }
        }
    }

    /// Data with expressions in `${ }`.
    fn template(&mut self, value: &Value, at: &Pointer, place: Place) -> Option<Template> {
        match value {
            Value::String(text) => self.text(text, at, place),
            Value::Array(items) => {
                let parts: Vec<Option<Template>> =
                    items.iter().enumerate().map(|(n, item)| self.template(item, &at.index(n), place)).collect();
                let parts: Vec<Template> = parts.into_iter().collect::<Option<_>>()?;
                Some(if parts.iter().all(|part| part.plain().is_some()) {
                    Template::Plain(value.clone())
                } else {
                    Template::List(parts)
                })
            }
            Value::Object(fields) => {
                let parts: Vec<Option<(String, Template)>> = fields
                    .iter()
                    .map(|(key, field)| self.template(field, &at.key(key), place).map(|part| (key.clone(), part)))
                    .collect();
                let parts: Vec<(String, Template)> = parts.into_iter().collect::<Option<_>>()?;
                Some(if parts.iter().all(|(_, part)| part.plain().is_some()) {
                    Template::Plain(value.clone())
                } else {
                    Template::Map(parts)
                })
            }
            other => Some(Template::Plain(other.clone())),
        }
    }

    fn text(&mut self, text: &str, at: &Pointer, place: Place) -> Option<Template> {
        if inside(text).is_some() {
            return self.expression(text, at, place).map(Template::Expression);
        }
        if text.trim_start().starts_with("${") && !text.trim_end().ends_with('}') {
            self.problems.add(at, unclosed(text));
            return None;
        }
        if text.contains("${") {
            self.problems.add(
                at,
                "an expression must be the whole text: write ${ \"Hello \\(.name)\" } instead of Hello ${ .name }",
            );
            return None;
        }
        Some(Template::Plain(Value::String(text.to_owned())))
    }
}

/// What is wrong with a text that begins with `${` and does not end with `}`.
fn unclosed(text: &str) -> &'static str {
    if text.matches('{').count() > text.matches('}').count() {
        return "the expression begins with ${ and its } is missing: write ${ .name }";
    }
    "an expression must be the whole text: write ${ \"\\(.name) and more\" } instead of ${ .name } and more"
}

fn is_semver(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let rest = &text[core.len()..];
    let numbers: Vec<&str> = core.split('.').collect();
    let number =
        |n: &&str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) && (n.len() == 1 || !n.starts_with('0'));
    numbers.len() == 3
        && numbers.iter().all(number)
        && (rest.is_empty() || rest.len() > 1)
        && rest.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
}
