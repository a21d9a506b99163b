//! Calls: from a task to a complete request, and from an answer to the task's output.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::{
    Env, Machine, Polled, Progress,
    state::{Doing, Frame},
};
use crate::{
    effect::{Answer, Authentication, Body, Call, CallTarget, Effect, HttpRequest, HttpResponse, Input},
    error::{FlowError, Standard},
    expression::Place,
    openapi::{self, plain},
    plan::{AuthParameters, AuthPlan, HttpPlan, Node, OpenApiPlan, Target, Wanted, Work},
};

/// Characters of an answer that an error quotes.
const QUOTED: usize = 300;

impl Machine<'_, '_> {
    pub(super) fn begin_call(&mut self, node: &Node, frame: &Frame, env: &Env<'_>) -> Result<Doing, FlowError> {
        let (target, fetching_document) = match &node.work {
            Work::Http(plan) => (CallTarget::Http(self.http_request(plan, node, frame, env)?), false),
            Work::OpenApi(plan) => {
                let document = HttpRequest {
                    method: "GET".into(),
                    uri: self.uri(&plan.document, node, frame, env)?,
                    authentication: self.authentication(plan.document_authentication.as_ref(), node, frame, env)?,
                    ..HttpRequest::default()
                };
                (CallTarget::Http(document), true)
            }
            Work::Function { name, version, with } => {
                let with = self.fill(with, node, frame, env)?;
                (CallTarget::Function { name: name.clone(), version: version.clone(), with }, false)
            }
            _ => return Err(FlowError::new(Standard::Runtime, "the task is no call")),
        };
        let call = Call { id: self.next_id(), key: self.key(node, env), task: node.pointer.clone(), target };
        self.ask(Effect::Call(call.clone()));
        Ok(Doing::Call { call, fetching_document })
    }

    pub(super) fn call_answer(
        &mut self,
        node: &Node,
        frame: &Frame,
        call: &mut Call,
        fetching_document: &mut bool,
        env: &Env<'_>,
    ) -> Polled {
        let Some(Input::CallDone { answer, .. }) = self.told.remove(&call.id) else { return Ok(Progress::Pending) };
        if *fetching_document {
            let Work::OpenApi(plan) = &node.work else { return Ok(Progress::Pending) };
            let request = self.described(plan, node, frame, call, answer, env)?;
            *fetching_document = false;
            *call = Call { id: self.next_id(), target: CallTarget::Http(request), ..call.clone() };
            self.ask(Effect::Call(call.clone()));
            return Ok(Progress::Pending);
        }
        let mut output = match (answer, &call.target) {
            (Answer::Failed { mut error }, _) => {
                for text in [&mut error.title, &mut error.detail].into_iter().flatten() {
                    let mut value = Value::String(std::mem::take(text));
                    self.host.secrets.hide(&self.state.nonce, &mut value);
                    *text = plain(&value);
                }
                return Err(FlowError { instance: None, ..error });
            }
            (Answer::Value { value }, _) => value,
            (Answer::Http(response), CallTarget::Http(request)) => {
                let (wanted, redirect) = match &node.work {
                    Work::Http(plan) => (plan.wanted, plan.redirect),
                    Work::OpenApi(plan) => (plan.wanted, plan.redirect),
                    _ => (Wanted::Content, false),
                };
                self.check_status(&response, redirect)?;
                read(&response, &request.shown_url(&self.state.nonce), request, wanted)?
            }
            (Answer::Http(_), CallTarget::Function { .. }) => {
                return Err(FlowError::new(Standard::Runtime, "a function was answered by an HTTP response"));
            }
        };
        self.host.secrets.hide(&self.state.nonce, &mut output);
        Ok(Progress::Done(output, node.then))
    }

    /// The request that the OpenAPI document in `answer` describes.
    fn described(
        &mut self,
        plan: &OpenApiPlan,
        node: &Node,
        frame: &Frame,
        call: &Call,
        answer: Answer,
        env: &Env<'_>,
    ) -> Result<HttpRequest, FlowError> {
        let response = match answer {
            Answer::Http(response) => response,
            Answer::Failed { error } => return Err(FlowError { instance: None, ..error }),
            Answer::Value { .. } => {
                return Err(FlowError::new(Standard::Runtime, "an HTTP request was answered by a value"));
            }
        };
        self.check_status(&response, false)?;
        let text = std::str::from_utf8(&response.body).unwrap_or_default();
        let document: Value = match serde_json::from_str(text) {
            Ok(document) => document,
            Err(_) => crate::yaml::parse(text).map(|source| source.value).map_err(|_| {
                FlowError::new(Standard::Communication, "the OpenAPI document is neither JSON nor YAML")
            })?,
        };
        let parameters = match &plan.parameters {
            None => Map::new(),
            Some(template) => match self.fill(template, node, frame, env)? {
                Value::Object(map) => map,
                _ => return Err(FlowError::new(Standard::Expression, "`parameters` must give a map")),
            },
        };
        let from = match &call.target {
            CallTarget::Http(request) => request.uri.as_str(),
            CallTarget::Function { .. } => "",
        };
        let mut request = openapi::request(&document, from, &plan.operation_id, &parameters)?;
        with_content_type(&mut request);
        request.authentication = self.authentication(plan.authentication.as_ref(), node, frame, env)?;
        Ok(request)
    }

    fn http_request(
        &mut self,
        plan: &HttpPlan,
        node: &Node,
        frame: &Frame,
        env: &Env<'_>,
    ) -> Result<HttpRequest, FlowError> {
        let mut request = HttpRequest {
            method: plan.method.to_ascii_uppercase(),
            uri: self.uri(&plan.target, node, frame, env)?,
            authentication: self.authentication(plan.authentication.as_ref(), node, frame, env)?,
            ..HttpRequest::default()
        };
        if let Some(headers) = &plan.headers {
            let headers = map(self.fill(headers, node, frame, env)?, "headers")?;
            request.headers =
                texts(&headers).into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        }
        if let Some(query) = &plan.query {
            request.query = texts(&map(self.fill(query, node, frame, env)?, "query")?);
        }
        let body = match &plan.body {
            Some(body) => self.fill(body, node, frame, env)?,
            None => Value::Null,
        };
        let kind = request.headers.get("content-type").map(String::as_str).unwrap_or_default();
        request.body = match body {
            Value::Null => None,
            Value::String(text) => Some(Body::Text(text)),
            Value::Object(fields) if kind.starts_with("application/x-www-form-urlencoded") => {
                Some(Body::Form(texts(&fields)))
            }
            other => Some(Body::Json(other)),
        };
        with_content_type(&mut request);
        Ok(request)
    }

    fn uri(&self, target: &Target, node: &Node, frame: &Frame, env: &Env<'_>) -> Result<String, FlowError> {
        let uri = match target {
            Target::Template(template) => {
                let uri = template.expand(frame.input()).map_err(|what| FlowError::new(Standard::Expression, what))?;
                if uri.contains(&self.state.nonce) {
                    let what = "a secret can't be filled into a URI; pass it as a header, in the query or in the body";
                    return Err(FlowError::new(Standard::Expression, what));
                }
                uri
            }
            Target::Expression(expression) => {
                let value = expression.eval(frame.input(), &self.arguments(Place::Task, env).of(node, frame))?;
                plain(&value)
            }
        };
        if uri.starts_with("https://") || uri.starts_with("http://") {
            return Ok(uri);
        }
        let shown: String = uri.chars().take(QUOTED).collect();
        Err(FlowError::new(
            Standard::Expression,
            format!("the endpoint {shown:?} is no absolute http:// or https:// URI"),
        ))
    }

    fn authentication(
        &self,
        plan: Option<&AuthPlan>,
        node: &Node,
        frame: &Frame,
        env: &Env<'_>,
    ) -> Result<Option<Authentication>, FlowError> {
        let Some(plan) = plan else { return Ok(None) };
        let parameters = match &plan.parameters {
            AuthParameters::Inline(template) => self.fill(template, node, frame, env)?,
            AuthParameters::Secret(name) => {
                let marked = self.secret(name)?;
                match (plan.scheme, marked) {
                    (crate::plan::AuthScheme::Bearer, token @ Value::String(_)) => json!({"token": token}),
                    (_, fields @ Value::Object(_)) => fields,
                    _ => {
                        return Err(FlowError::new(
                            Standard::Configuration,
                            format!("the secret {name:?} must hold the fields of this authentication"),
                        ));
                    }
                }
            }
        };
        Ok(Some(Authentication { scheme: plan.scheme, parameters }))
    }

    fn check_status(&self, response: &HttpResponse, redirect: bool) -> Result<(), FlowError> {
        let limit = if redirect { 400 } else { 300 };
        if (200..limit).contains(&response.status) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&response.body);
        let quoted: String = text.chars().take(QUOTED).collect();
        let mut quoted = Value::String(quoted);
        self.host.secrets.hide(&self.state.nonce, &mut quoted);
        let detail = match quoted.as_str() {
            None | Some("") => format!("the answer had status {}", response.status),
            Some(text) => format!("the answer had status {}: {text}", response.status),
        };
        Err(FlowError::new(Standard::Communication, detail)
            .with_status(response.status)
            .with_title(title(response.status)))
    }
}

fn map(value: Value, what: &str) -> Result<Map<String, Value>, FlowError> {
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(FlowError::new(Standard::Expression, format!("`{what}` must give a map"))),
    }
}

fn texts(map: &Map<String, Value>) -> Vec<(String, String)> {
    map.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), plain(value))).collect()
}

fn with_content_type(request: &mut HttpRequest) {
    let kind = match &request.body {
        None => return,
        Some(Body::Json(_)) => "application/json",
        Some(Body::Form(_)) => "application/x-www-form-urlencoded",
        Some(Body::Text(_)) => "text/plain; charset=utf-8",
    };
    request.headers.entry("content-type".into()).or_insert_with(|| kind.into());
}

/// What the task gives of an answer.
fn read(response: &HttpResponse, uri: &str, request: &HttpRequest, wanted: Wanted) -> Result<Value, FlowError> {
    match wanted {
        Wanted::Raw => Ok(Value::String(BASE64.encode(&response.body))),
        Wanted::Content => content(response),
        Wanted::Response => {
            let headers: &BTreeMap<String, String> = &response.headers;
            Ok(json!({
                "request": {
                    "method": request.method.to_ascii_lowercase(),
                    "uri": uri,
                    "headers": request.headers,
                },
                "statusCode": response.status,
                "headers": headers,
                "content": content(response)?,
            }))
        }
    }
}

fn content(response: &HttpResponse) -> Result<Value, FlowError> {
    if response.body.is_empty() {
        return Ok(Value::Null);
    }
    let kind = response.headers.get("content-type").map(|kind| kind.to_ascii_lowercase()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let text = std::str::from_utf8(&response.body).ok();
    if kind == "application/json" || kind.ends_with("+json") {
        return serde_json::from_slice(&response.body).map_err(|error| {
            FlowError::new(Standard::Communication, format!("the answer says it is JSON and is not: {error}"))
        });
    }
    Ok(match text {
        Some(text) if kind.is_empty() => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Some(text) if kind.starts_with("text/") || kind.ends_with("xml") || kind.ends_with("yaml") => text.into(),
        _ => BASE64.encode(&response.body).into(),
    })
}

fn title(status: u16) -> &'static str {
    match status {
        300..400 => "Redirection",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        410 => "Gone",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        other if (400..500).contains(&other) => "Client Error",
        _ => "Unexpected Answer",
    }
}
