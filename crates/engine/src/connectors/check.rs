//! From a text to a [`Connector`] that can be called, or to everything that is wrong with it.

mod batch;
mod operation;
mod proof;

use std::{collections::BTreeMap, time::Duration};

use http::HeaderName;
use nexus_outbound::{Reach, check_url};
use serde_json::Value;

use super::{
    auth::Proof,
    manifest::{Field, Manifest, Quota, ResponseRules, Transport},
    operation::Call,
    template::{Name, Template, Text, scalar},
};
use crate::document::{
    pointer::Pointer,
    problem::{Problems, nearest},
    yaml,
};

/// Operations of one connector.
const OPERATIONS: usize = 500;
/// Attempts of one call.
const ATTEMPTS: u16 = 10;
/// Pages of one call.
const PAGES: u16 = 100;
/// Requests that one quota may count.
const QUOTA_REQUESTS: u32 = 10_000;
/// The longest time a quota may span.
const QUOTA_SPAN: Duration = Duration::from_secs(31 * 86_400);
/// The longest time one request may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// A request's time, where its operation does not say.
const USUAL_TIMEOUT: Duration = Duration::from_secs(20);

/// What templates may use.
const TEMPLATE: &[&str] = &["settings", "key", "page", "now"];
/// What reading an answer may use.
const ANSWER: &[&str] = &["status", "headers", "input", "settings"];

/// A manifest that was found sound, compiled.
#[derive(Debug)]
pub struct Connector {
    /// As it was written.
    pub manifest: Manifest,
    pub(super) base: Text,
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) proof: Proof,
    pub(super) operations: BTreeMap<String, Call>,
}

impl Connector {
    /// Reads a manifest, in YAML or JSON.
    pub fn read(text: &str) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let source = match yaml::parse(text) {
            Ok(source) => source,
            Err(error) => {
                problems.add(&Pointer::root(), error.to_string());
                return Err(problems);
            }
        };
        Self::of(&source.value).map_err(|problems| problems.located(|at| source.line(at)))
    }

    /// Checks and compiles the value of a manifest.
    pub fn of(value: &Value) -> Result<Self, Problems> {
        if !value.is_object() {
            let mut problems = Problems::default();
            problems.add(&Pointer::root(), "is no connector, which is a map with connector: 1, name, title, …");
            return Err(problems);
        }
        let manifest: Manifest = serde_path_to_error::deserialize(value).map_err(|error| {
            let mut problems = Problems::default();
            problems.add(&place(error.path()), error.inner().to_string());
            problems
        })?;
        let mut check = Check { problems: Problems::default(), manifest: &manifest };
        let parts = check.all();
        let Check { problems, .. } = check;
        if !problems.is_empty() {
            return Err(problems);
        }
        let (base, headers, proof, operations) = parts;
        Ok(Self { base, headers, proof, operations, manifest })
    }

    /// The ids of its operations.
    pub fn operations(&self) -> impl Iterator<Item = &str> {
        self.operations.keys().map(String::as_str)
    }
}

fn place(path: &serde_path_to_error::Path) -> Pointer {
    use serde_path_to_error::Segment;
    path.iter().fold(Pointer::root(), |at, segment| match segment {
        Segment::Seq { index } => at.index(*index),
        Segment::Map { key } => at.key(key),
        Segment::Enum { variant } => at.key(variant),
        Segment::Unknown => at,
    })
}

/// What placeholders may name.
#[derive(Clone, Copy)]
enum May<'a> {
    /// Settings.
    Settings,
    /// Settings and secrets.
    Secrets,
    /// Settings, secrets, and any of these; empty = any.
    Own(&'a [&'a str]),
}

struct Check<'m> {
    problems: Problems,
    manifest: &'m Manifest,
}

type Parts = (Text, Vec<(HeaderName, Template)>, Proof, BTreeMap<String, Call>);

impl Check<'_> {
    fn wrong(&mut self, at: &Pointer, what: impl Into<String>) {
        self.problems.add(at, what);
    }

    fn all(&mut self) -> Parts {
        let (root, manifest) = (Pointer::root(), self.manifest);
        if manifest.connector != 1 {
            self.wrong(&root.key("connector"), format!("version {} is not known; write 1", manifest.connector));
        }
        if !is_name(&manifest.name) {
            self.wrong(&root.key("name"), format!("{:?} must be 1 to 40 of a-z, 0-9 and -", manifest.name));
        }
        for (kind, fields) in [("settings", &manifest.settings), ("secrets", &manifest.secrets)] {
            for (name, field) in fields {
                self.field(&root.key(kind).key(name), kind, name, field);
            }
        }
        let base = self.base(&root.key("base_url"), &manifest.base_url);
        let headers = self.headers(&root.key("headers"), &manifest.headers, &[]);
        let proof = self.proof(&root.key("auth"));
        let retry = &manifest.retry;
        if !(1..=ATTEMPTS).contains(&retry.attempts) {
            self.wrong(&root.key("retry").key("attempts"), format!("must be 1 to {ATTEMPTS}"));
        }
        self.quotas(&root.key("limits").key("app"), &manifest.limits.app);
        self.quotas(&root.key("limits").key("account"), &manifest.limits.account);
        if let Some(said) = &manifest.limits.headers {
            self.header_name(&root.key("limits").key("headers").key("remaining"), &said.remaining);
            self.header_name(&root.key("limits").key("headers").key("reset"), &said.reset);
        }
        drop(self.rules(&root.key("response"), &manifest.response, &ResponseRules::default()));
        let at = root.key("operations");
        if manifest.operations.is_empty() || manifest.operations.len() > OPERATIONS {
            self.wrong(&at, format!("a connector has 1 to {OPERATIONS} operations"));
        }
        let mut operations = BTreeMap::new();
        for (id, operation) in &manifest.operations {
            let call = self.operation(&at.key(id), id, operation);
            operations.insert(id.clone(), call);
        }
        (base, headers, proof, operations)
    }

    fn field(&mut self, at: &Pointer, kind: &str, name: &str, field: &Field) {
        let fits = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !fits || !(1..=40).contains(&name.len()) {
            self.wrong(at, format!("{name:?} must be 1 to 40 of a-z, 0-9 and _"));
        }
        match &field.default {
            Some(_) if kind == "secrets" => self.wrong(&at.key("default"), "a secret has no default"),
            Some(value) if scalar(value).is_err() => {
                self.wrong(&at.key("default"), "must be a text, a number or a boolean");
            }
            _ => {}
        }
    }

    fn text(&mut self, at: &Pointer, text: &str, may: May<'_>) -> Text {
        let parsed = match Text::parse(text) {
            Ok(parsed) => parsed,
            Err(what) => {
                self.wrong(at, what);
                return Text::default();
            }
        };
        for name in parsed.names() {
            if let Some(what) = self.refusal(name, may) {
                self.wrong(at, what);
            }
        }
        parsed
    }

    fn refusal(&self, name: &Name, may: May<'_>) -> Option<String> {
        let Manifest { settings, secrets, .. } = self.manifest;
        match (name, may) {
            (Name::Setting(name), _) if !settings.contains_key(name) => {
                let near = nearest(name, settings.keys().map(String::as_str));
                Some(format!("there is no setting {name:?}; declare it under settings{near}"))
            }
            (Name::Secret(_), May::Settings) => Some("a secret may stand in base_url, path and auth only".to_owned()),
            (Name::Secret(name), _) if !secrets.contains_key(name) => {
                let near = nearest(name, secrets.keys().map(String::as_str));
                Some(format!("there is no secret {name:?}; declare it under secrets{near}"))
            }
            (Name::Own(name), May::Own(known)) if !known.is_empty() && !known.contains(&name.as_str()) => {
                Some(format!("{{{name}}} is not known here; known are {}", known.join(", ")))
            }
            (Name::Own(name), May::Settings | May::Secrets) => {
                Some(format!("{{{name}}} is not known here; write {{settings.{name}}} or {{secrets.{name}}}"))
            }
            _ => None,
        }
    }

    fn base(&mut self, at: &Pointer, text: &str) -> Text {
        let base = self.text(at, text, May::Secrets);
        let checked = match self.manifest.transport {
            Transport::Http => check_url(text, Reach::Private),
            Transport::Smtp => super::mail::check(text, Reach::Private),
        };
        if base.is_plain()
            && let Err(error) = checked
        {
            self.wrong(at, error.message);
        }
        base
    }

    fn header_name(&mut self, at: &Pointer, name: &str) -> Option<HeaderName> {
        let parsed = name.parse().ok();
        if parsed.is_none() {
            self.wrong(at, format!("{name:?} is no name of a header"));
        }
        parsed
    }

    /// Data with expressions; texts at the top may have placeholders.
    fn template(&mut self, at: &Pointer, data: &Value, text: bool) -> Template {
        if text
            && let Value::String(plain) = data
            && super::template::inside(plain).is_none()
        {
            return Template::Text(self.text(at, plain, May::Settings));
        }
        Template::compile(data, TEMPLATE).unwrap_or_else(|(below, what)| {
            self.wrong(&Pointer::from_text(format!("{}{below}", at.as_str())), what);
            Template::Plain(Value::Null)
        })
    }

    fn headers(
        &mut self,
        at: &Pointer,
        headers: &BTreeMap<String, Value>,
        besides: &[&str],
    ) -> Vec<(HeaderName, Template)> {
        let mut compiled = Vec::new();
        for (name, value) in headers {
            let at = at.key(name);
            if besides.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                self.wrong(&at, "the key is sent in this header by idempotency already; leave it out here");
            }
            if let Some(header) = self.header_name(&at, name) {
                compiled.push((header, self.template(&at, value, true)));
            }
        }
        compiled
    }

    fn quotas(&mut self, at: &Pointer, quotas: &[Quota]) {
        for (n, quota) in quotas.iter().enumerate() {
            if !(1..=QUOTA_REQUESTS).contains(&quota.requests) {
                self.wrong(&at.index(n).key("requests"), format!("must be 1 to {QUOTA_REQUESTS}"));
            }
            if quota.per.0.is_zero() || quota.per.0 > QUOTA_SPAN {
                self.wrong(&at.index(n).key("per"), "must be more than nothing and at most 31d");
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
