//! A compiled operation, and the request it makes: a pure function of what it is called with.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use nexus_core::sign::Secret;
use serde_json::Value;

use super::{
    check::Connector,
    error::CallError,
    manifest::{FormLists, Pagination, Quota},
    path,
    template::{Expression, Given, Name, Template, Text, encode, scalar},
};
use crate::schema::{Schema, Tell};

/// Bytes of a request's body.
pub(super) const REQUEST_BYTES: usize = 4 << 20;
/// Reasons told of an input that does not fit.
const REASONS: usize = 10;

/// An operation, ready to be called.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) base: Option<Text>,
    pub(super) path: Text,
    pub(super) query: Vec<(String, Template)>,
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) body: Body,
    pub(super) schema: Option<Schema>,
    pub(super) scopes: Vec<String>,
    pub(super) rules: Rules,
    pub(super) repeat: Repeat,
    pub(super) paging: Option<Paging>,
    pub(super) together: Option<Box<Together>>,
    pub(super) timeout: Duration,
    pub(super) quotas: Vec<Quota>,
}

/// What it sends.
#[derive(Debug)]
pub(super) enum Body {
    None,
    Json(Template),
    Form(Template, FormLists),
    Text(Template, HeaderValue),
}

/// How its answers are read.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) ok: Option<Expression>,
    pub(super) error: Option<Expression>,
    pub(super) output: Option<Expression>,
    pub(super) retry: Option<Expression>,
    pub(super) ends: Option<Expression>,
    pub(super) retry_after: Option<Expression>,
    pub(super) reconnect: Option<Expression>,
    pub(super) missing_scope: Option<Expression>,
}

/// What a repeat does.
#[derive(Debug)]
pub(super) enum Repeat {
    /// It would do it twice.
    Harms,
    /// Nothing more.
    Natural,
    /// The provider knows it by this header.
    Header(HeaderName),
    /// The provider knows it by what the template makes of the key.
    Keyed,
    /// The provider refuses it, recognisably.
    Refused(Expression),
}

impl Repeat {
    /// Whether repeating what may have been done does no harm.
    pub(super) fn is_harmless(&self) -> bool {
        !matches!(self, Self::Harms)
    }
}

/// How a long list is fetched.
#[derive(Debug)]
pub(super) struct Paging {
    pub(super) next: Expression,
    pub(super) items: Expression,
    pub(super) said: Pagination,
}

/// How several calls go out as one request.
#[derive(Debug)]
pub(super) struct Together {
    /// The one request; its input is a list with `input` and `key` of each call.
    pub(super) call: Call,
    pub(super) calls: usize,
    pub(super) bytes: usize,
    /// Nothing: only those go together that wait for their turn anyway.
    pub(super) wait: Duration,
    pub(super) when: Option<Expression>,
    pub(super) same: Option<Expression>,
    pub(super) split: Expression,
}

/// What a request is made from. The same at every attempt of a call.
pub(super) struct Filling<'a> {
    pub(super) input: &'a Value,
    /// Defaults included.
    pub(super) settings: &'a Value,
    pub(super) secrets: &'a BTreeMap<String, Secret>,
    /// `raw`, `hex` and `uuid`.
    pub(super) key: &'a Value,
    pub(super) page: &'a Value,
    pub(super) now: &'a Value,
    /// Headers that say where the call belongs.
    pub(super) lineage: &'a HeaderMap,
}

impl Filling<'_> {
    fn given(&self) -> [(&'static str, &Value); 4] {
        [("settings", self.settings), ("key", self.key), ("page", self.page), ("now", self.now)]
    }

    /// What a placeholder stands for; `own` knows the others.
    pub(super) fn find(
        &self,
        name: &Name,
        own: impl FnOnce(&str) -> Result<String, CallError>,
    ) -> Result<String, CallError> {
        match name {
            Name::Setting(name) => text(self.settings.get(name).unwrap_or(&Value::Null), &format!("setting {name:?}")),
            Name::Secret(name) => match self.secrets.get(name) {
                Some(secret) => Ok(secret.expose().to_owned()),
                None => Err(CallError::Request(format!("the connection has no secret {name:?}; set it"))),
            },
            Name::Own(name) => own(name),
        }
    }
}

fn text(value: &Value, what: &str) -> Result<String, CallError> {
    match scalar(value) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(CallError::Request(format!("the {what} is needed here and missing"))),
        Err(kind) => Err(CallError::Request(format!("the {what} is {kind}; a text, a number or a boolean is right"))),
    }
}

/// A request before its proof is added.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) method: Method,
    /// Without the query.
    pub(super) url: String,
    /// Decoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Draft {
    /// The query, encoded.
    pub(super) fn query_text(&self) -> String {
        pairs(&self.query)
    }

    /// The whole URL.
    pub(super) fn whole_url(&self) -> String {
        if self.query.is_empty() {
            return self.url.clone();
        }
        let mark = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{mark}{}", self.url, self.query_text())
    }
}

/// Name and value pairs as a query or a form.
pub(super) fn pairs(pairs: &[(String, String)]) -> String {
    let all: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    all.join("&")
}

impl Call {
    /// Whether the input fits.
    pub(super) fn accept(&self, operation: &str, input: &Value) -> Result<(), CallError> {
        let mut errors: BTreeMap<String, String> = BTreeMap::new();
        let violations = self.schema.as_ref().map(|schema| schema.violations(input, REASONS, Tell::Masked));
        for violation in violations.into_iter().flatten() {
            let reasons = errors.entry(violation.path).or_default();
            if !reasons.is_empty() {
                reasons.push_str("; ");
            }
            reasons.push_str(&violation.reason);
        }
        if errors.is_empty()
            && let Err((at, what)) = self.fits_path(input)
        {
            errors.insert(at, what);
        }
        if errors.is_empty() { Ok(()) } else { Err(CallError::Input { operation: operation.to_owned(), errors }) }
    }

    /// Whether each segment of the path stays one with this input; what the connection adds is no dot and not known yet.
    fn fits_path(&self, input: &Value) -> Result<(), (String, String)> {
        let unknown = || "x".to_owned();
        let find = |name: &Name| {
            let Name::Own(name) = name else { return Ok(unknown()) };
            // One that is missing, or no text, is told of when the request is made.
            let value = input.get(name).and_then(|value| scalar(value).ok().flatten());
            Ok(value.unwrap_or_else(unknown))
        };
        path::fill(&self.path, find, |name, what| (name.pointer(), what)).map(|_| ())
    }

    /// The request, without its proof.
    pub(super) fn draft(&self, connector: &Connector, filling: &Filling<'_>) -> Result<Draft, CallError> {
        let given = filling.given();
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.extend(filling.lineage.clone());
        for (name, template) in connector.headers.iter().chain(&self.headers) {
            let value = template.eval(filling.input, &given).map_err(|e| made(&format!("the header {name}"), &e))?;
            let what = format!("header {name}");
            let value = match &value {
                Value::Null => continue,
                value => text(value, &what)?,
            };
            headers.insert(name, header_value(&value, &what)?);
        }
        if let Repeat::Header(name) = &self.repeat {
            let key = filling.key.get("raw").and_then(Value::as_str).unwrap_or_default();
            headers.insert(name, header_value(key, "idempotency key")?);
        }
        let (body, kind) = self.body(filling, &given)?;
        if body.len() > REQUEST_BYTES {
            let message =
                format!("the request's body would have {} bytes; at most {REQUEST_BYTES} are sent", body.len());
            return Err(CallError::Request(message));
        }
        if let Some(kind) = kind {
            headers.entry(header::CONTENT_TYPE).or_insert(kind);
        }
        let url = self.url(connector, filling)?;
        Ok(Draft { method: self.method.clone(), url, query: self.query(filling, &given)?, headers, body })
    }

    fn url(&self, connector: &Connector, filling: &Filling<'_>) -> Result<String, CallError> {
        let nothing = |name: &str| Err(CallError::Request(format!("{{{name}}} is not known in a base URL")));
        let base = self.base.as_ref().unwrap_or(&connector.base);
        let base = base.fill(|name| filling.find(name, nothing))?;
        let own = |name: &str| text(filling.input.get(name).unwrap_or(&Value::Null), &format!("field {name:?}"));
        let refuse = |name: &Name, what: String| CallError::Request(format!("the {} {what}", name.told()));
        let path = path::fill(&self.path, |name| filling.find(name, own), refuse)?;
        if path.is_empty() {
            return Ok(base);
        }
        Ok(format!("{}{path}", base.trim_end_matches('/')))
    }

    fn query(&self, filling: &Filling<'_>, given: &Given<'_>) -> Result<Vec<(String, String)>, CallError> {
        let mut query = Vec::new();
        for (name, template) in &self.query {
            let what = format!("parameter {name:?} of the query");
            let value = template.eval(filling.input, given).map_err(|e| made(&what, &e))?;
            match &value {
                Value::Null => {}
                Value::Array(items) => {
                    for item in items {
                        query.push((name.clone(), text(item, &what)?));
                    }
                }
                one => query.push((name.clone(), text(one, &what)?)),
            }
        }
        Ok(query)
    }

    fn body(&self, filling: &Filling<'_>, given: &Given<'_>) -> Result<(Bytes, Option<HeaderValue>), CallError> {
        let body = |template: &Template| template.eval(filling.input, given).map_err(|e| made("the body", &e));
        Ok(match &self.body {
            Body::None => (Bytes::new(), None),
            Body::Json(template) => {
                let json = body(template)?.to_string();
                (json.into(), Some(HeaderValue::from_static("application/json")))
            }
            Body::Form(template, lists) => {
                let Value::Object(fields) = body(template)? else {
                    return Err(CallError::Request("a form is made from an object".into()));
                };
                let mut flat = Vec::new();
                for (name, value) in &fields {
                    flatten(name, value, *lists, &mut flat);
                }
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                (pairs(&flat).into(), Some(kind))
            }
            Body::Text(template, kind) => (text(&body(template)?, "body")?.into(), Some(kind.clone())),
        })
    }
}

fn made(what: &str, error: &str) -> CallError {
    CallError::Request(format!("{what} can't be made from this input: {error}"))
}

fn header_value(value: &str, what: &str) -> Result<HeaderValue, CallError> {
    HeaderValue::from_str(value)
        .map_err(|_| CallError::Request(format!("the {what} holds characters that a header can't")))
}

fn flatten(name: &str, value: &Value, lists: FormLists, out: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                let name = match lists {
                    FormLists::Repeat => name.to_owned(),
                    FormLists::Brackets => format!("{name}[]"),
                    FormLists::Index => format!("{name}[{n}]"),
                };
                flatten(&name, item, lists, out);
            }
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(&format!("{name}[{field}]"), value, lists, out);
            }
        }
        one => {
            if let Ok(Some(text)) = scalar(one) {
                out.push((name.to_owned(), text));
            }
        }
    }
}
