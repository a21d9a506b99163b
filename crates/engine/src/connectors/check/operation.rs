//! What can be called, checked and compiled.

use std::collections::BTreeMap;

use http::{HeaderValue, Method};
use serde_json::Value;

use super::{ANSWER, Check, May, PAGES, TIMEOUT, USUAL_TIMEOUT};
use crate::{
    connectors::{
        manifest::{Idempotency, Operation, Pagination, ResponseRules},
        operation::{Body, Call, Paging, Repeat, Rules},
        template::{Expression, Template, Text},
    },
    document::pointer::Pointer,
    schema::{Schema, Tell},
};

impl Check<'_> {
    pub(super) fn rules(&mut self, at: &Pointer, own: &ResponseRules, general: &ResponseRules) -> Rules {
        let mut rule = |name: &str, own: &Option<String>, general: &Option<String>| {
            let text = own.as_ref().or(general.as_ref())?;
            match Expression::compile(text, ANSWER) {
                Ok(compiled) => Some(compiled),
                Err(error) => {
                    // The connector's own are complained of at the connector.
                    if own.is_some() {
                        self.problems.add(&at.key(name), error.to_string());
                    }
                    None
                }
            }
        };
        Rules {
            ok: rule("ok", &own.ok, &general.ok),
            error: rule("error", &own.error, &general.error),
            output: rule("output", &own.output, &general.output),
            retry: rule("retry", &own.retry, &general.retry),
            ends: rule("final", &own.ends, &general.ends),
            retry_after: rule("retry_after", &own.retry_after, &general.retry_after),
            reconnect: rule("reconnect", &own.reconnect, &general.reconnect),
            missing_scope: rule("missing_scope", &own.missing_scope, &general.missing_scope),
        }
    }

    pub(super) fn operation(&mut self, at: &Pointer, id: &str, operation: &Operation) -> Call {
        let fits = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !fits || !(1..=100).contains(&id.len()) {
            self.wrong(at, format!("the id {id:?} must be 1 to 100 letters, digits, ., - and _"));
        }
        let method = self.method(&at.key("method"), &operation.method);
        let properties = operation.input.get("properties").and_then(Value::as_object);
        let fields: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let path = self.path(&at.key("path"), &operation.path, May::Own(&fields));
        let repeat = self.repeat(&at.key("idempotency"), operation, &method);
        let besides = if let Repeat::Header(name) = &repeat { vec![name.as_str()] } else { Vec::new() };
        let timeout = operation.timeout.map_or(USUAL_TIMEOUT, |span| span.0);
        if timeout.is_zero() || timeout > TIMEOUT {
            self.wrong(&at.key("timeout"), format!("must be more than nothing and at most {}s", TIMEOUT.as_secs()));
        }
        self.quotas(&at.key("limits"), &operation.limits);
        Call {
            headers: self.headers(&at.key("headers"), &operation.headers, &besides),
            query: self.query(&at.key("query"), &operation.query),
            method,
            base: operation.base_url.as_ref().map(|base| self.base(&at.key("base_url"), base)),
            path,
            body: self.body(at, operation),
            schema: self.schema(at, operation),
            scopes: operation.scopes.clone(),
            rules: self.rules(&at.key("response"), &operation.response, &self.manifest.response.clone()),
            repeat,
            paging: operation.pagination.as_ref().and_then(|paging| self.paging(&at.key("pagination"), paging)),
            together: operation.batch.as_ref().and_then(|batch| self.batch(&at.key("batch"), batch, operation)),
            timeout,
            quotas: operation.limits.clone(),
        }
    }

    pub(super) fn method(&mut self, at: &Pointer, method: &str) -> Method {
        match method {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE") => {
                Method::from_bytes(known.as_bytes()).unwrap_or(Method::GET)
            }
            other => {
                self.wrong(at, format!("{other:?} must be GET, HEAD, POST, PUT, PATCH or DELETE"));
                Method::GET
            }
        }
    }

    pub(super) fn path(&mut self, at: &Pointer, path: &str, may: May<'_>) -> Text {
        if !(path.is_empty() || path.starts_with('/')) {
            self.wrong(at, format!("{path:?} must begin with / (or be empty)"));
        }
        self.text(at, path, may)
    }

    pub(super) fn query(&mut self, at: &Pointer, query: &BTreeMap<String, Value>) -> Vec<(String, Template)> {
        query.iter().map(|(name, value)| (name.clone(), self.template(&at.key(name), value, true))).collect()
    }

    pub(super) fn repeat(&mut self, at: &Pointer, operation: &Operation, method: &Method) -> Repeat {
        match &operation.idempotency {
            None if matches!(*method, Method::POST | Method::PATCH) => Repeat::Harms,
            None | Some(Idempotency::Natural) => Repeat::Natural,
            Some(Idempotency::None) => Repeat::Harms,
            Some(Idempotency::Key) => Repeat::Keyed,
            Some(Idempotency::Header(name)) => match self.header_name(&at.key("header"), name) {
                Some(name) => Repeat::Header(name),
                None => Repeat::Harms,
            },
            Some(Idempotency::Refused(jq)) => match Expression::compile(jq, ANSWER) {
                Ok(compiled) => Repeat::Refused(compiled),
                Err(error) => {
                    self.wrong(&at.key("refused"), error.to_string());
                    Repeat::Harms
                }
            },
        }
    }

    fn body(&mut self, at: &Pointer, operation: &Operation) -> Body {
        let Operation { json, form, text, .. } = operation;
        if usize::from(json.is_some()) + usize::from(form.is_some()) + usize::from(text.is_some()) > 1 {
            self.wrong(at, "an operation has one of json, form and text");
        }
        let type_at = at.key("content_type");
        let kind = match operation.content_type.as_deref() {
            Some(_) if text.is_none() => {
                self.wrong(&type_at, "content_type belongs to text; json and form say it themselves");
                None
            }
            Some(kind) => HeaderValue::from_str(kind).ok().or_else(|| {
                self.wrong(&type_at, format!("{kind:?} is no content type"));
                None
            }),
            None => None,
        };
        match (json, form, text) {
            (Some(json), ..) => Body::Json(self.template(&at.key("json"), json, false)),
            (_, Some(form), _) => Body::Form(self.template(&at.key("form"), form, false), operation.form_lists),
            (.., Some(text)) => {
                let template = self.template(&at.key("text"), &Value::String(text.clone()), false);
                Body::Text(template, kind.unwrap_or(HeaderValue::from_static("text/plain; charset=utf-8")))
            }
            _ => Body::None,
        }
    }

    fn schema(&mut self, at: &Pointer, operation: &Operation) -> Option<Schema> {
        if operation.input.is_empty() {
            return None;
        }
        match Schema::compile(&Value::Object(operation.input.clone())) {
            Ok(schema) => {
                if let Some(example) = &operation.example
                    && let Some(first) = schema.violations(example, 1, Tell::Values).pop()
                {
                    let place = format!("{}{}", at.key("example").as_str(), first.path);
                    self.wrong(&Pointer::from_text(place), format!("does not fit input: {}", first.reason));
                }
                Some(schema)
            }
            Err(error) => {
                self.wrong(&at.key("input"), format!("is no JSON Schema: {error}"));
                None
            }
        }
    }

    fn paging(&mut self, at: &Pointer, paging: &Pagination) -> Option<Paging> {
        if !(1..=PAGES).contains(&paging.pages) {
            self.wrong(&at.key("pages"), format!("must be 1 to {PAGES}"));
        }
        let mut compile = |name: &str, text: &str| {
            Expression::compile(text, ANSWER).map_err(|e| self.problems.add(&at.key(name), e.to_string())).ok()
        };
        let (next, items) = (compile("next", &paging.next), compile("items", &paging.items));
        Some(Paging { next: next?, items: items?, said: paging.clone() })
    }
}
