//! Connectors and connections over HTTP, and the page to which a provider sends a person back.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use nexus_core::{
    event::Priority,
    problem::{Code, Problem},
    retry::parse_duration,
    sign::Secret,
};
use nexus_engine::{
    connectors::{
        Connector, ConnectorCall, Origin,
        connection::{ConnectionPatch, NewConnection},
    },
    document::problem::nearest,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Body},
    call::Call,
    error,
    ingress::lineage::id_header,
    pages::POLICY,
};

/// How long a call may wait for its turn, where it does not say.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest wait that a call may name.
const LONGEST_PATIENCE: Duration = Duration::from_secs(120);
/// Where a provider sends people back to.
const CALLBACK: &str = "/oauth/callback";

fn origin(origin: &Origin) -> &'static str {
    match origin {
        Origin::Shipped => "shipped",
        Origin::File(_) => "file",
        Origin::Given => "given",
    }
}

fn summary(connector: &Connector, from: &Origin, call: &Call) -> Value {
    let manifest = &connector.manifest;
    let connections: Vec<String> =
        call.hub().connectors().connections().list(Some(&manifest.name)).into_iter().map(|c| c.name).collect();
    json!({
        "name": manifest.name, "title": manifest.title, "about": manifest.about, "checked": manifest.checked,
        "origin": origin(from), "webhook_preset": manifest.webhook_preset,
        "operations": connector.operations().collect::<Vec<_>>(), "connections": connections,
    })
}

/// `GET /api/v1/connectors`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    let library = call.hub().connectors().library();
    let items: Vec<Value> = library.all().map(|(connector, from)| summary(connector, from, &call)).collect();
    Answer::page(&items, None)
}

/// `GET /api/v1/connectors/{name}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    let name = call.param("name")?;
    let library = call.hub().connectors().library();
    let found = library.all().find(|(c, _)| c.manifest.name == name);
    let (connector, from) = found.ok_or_else(|| {
        let near = nearest(&name, library.names());
        let what =
            format!("there is no connector {name:?}{near}; files of the operator's are read when the hub starts");
        Problem::new(Code::NotFound, what)
    })?;
    let mut value = summary(connector, from, &call);
    if let (Value::Object(fields), Ok(manifest)) = (&mut value, serde_json::to_value(&connector.manifest)) {
        fields.insert("manifest".to_owned(), manifest);
    }
    Answer::data(&value)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    operation: String,
    #[serde(default)]
    input: Option<Value>,
    #[serde(default)]
    connection: Option<String>,
    #[serde(default)]
    priority: Option<Priority>,
    #[serde(default)]
    patience: Option<String>,
}

/// `POST /api/v1/connectors/{name}/call`.
pub(crate) async fn call(mut call: Call) -> Result<Answer, Problem> {
    let connector = call.param("name")?;
    let who = call.principal()?;
    if !who.may_for("connectors:call", &connector) {
        let message = format!("{} lacks the scope connectors:call:{connector}", who.name);
        return Err(Problem::new(Code::Forbidden, message));
    }
    let key = id_header(&call, "idempotency-key", "Idempotency-Key")?;
    let depth = match call.header("x-nexus-depth") {
        Some(text) => {
            text.trim().parse().map_err(|_| error::malformed("X-Nexus-Depth must be a number from 0 to 255"))?
        }
        None => 0,
    };
    let correlation = id_header(&call, "x-correlation-id", "X-Correlation-ID")?;
    let causation = match call.header("x-causation-id") {
        Some(text) => Some(text.parse().map_err(|e| error::malformed(format!("X-Causation-ID: {e}")))?),
        None => None,
    };
    let asked: Asked = call.json().await?;
    let patience = match asked.patience.as_deref().map(parse_duration) {
        None => PATIENCE,
        Some(Ok(patience)) if patience <= LONGEST_PATIENCE => patience,
        Some(Ok(_)) => {
            let most = LONGEST_PATIENCE.as_secs();
            return Err(Problem::field("patience", format!("at most {most}s; come back when the answer says so")));
        }
        Some(Err(reason)) => return Err(Problem::field("patience", reason)),
    };
    let asked = ConnectorCall {
        connection: asked.connection,
        key,
        priority: asked.priority.unwrap_or_default(),
        patience,
        depth,
        correlation,
        causation,
        ..ConnectorCall::new(connector, asked.operation, asked.input.unwrap_or_else(|| json!({})))
    };
    let called = call.hub().connectors().call(asked).await;
    let called = called.map_err(|error| error.to_problem(call.hub().clock().now()))?;
    Answer::data(&json!({
        "output": called.output, "connection": called.connection, "requests": called.requests,
    }))
}

/// `GET /api/v1/connections`.
pub(crate) async fn connections(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    Answer::page(&call.hub().connectors().connections().list(query.text("connector")), None)
}

/// `GET /api/v1/connections/{name}`.
pub(crate) async fn connection(call: Call) -> Result<Answer, Problem> {
    Answer::data(&call.hub().connectors().connections().get(&call.param("name")?)?)
}

/// `POST /api/v1/connections`.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Problem> {
    let new: NewConnection = call.json().await?;
    let made = call.hub().connectors().connections().create(new, call.principal()?).await?;
    Ok(Answer::data(&made)?.created())
}

/// `PATCH /api/v1/connections/{name}`.
pub(crate) async fn update(mut call: Call) -> Result<Answer, Problem> {
    let patch: ConnectionPatch = call.json().await?;
    let connections = call.hub().connectors().connections();
    Answer::data(&connections.update(&call.param("name")?, patch, call.principal()?).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretValue {
    value: Secret,
}

/// `PUT /api/v1/connections/{name}/secrets/{secret}`.
pub(crate) async fn put_secret(mut call: Call) -> Result<Answer, Problem> {
    let SecretValue { value } = call.json().await?;
    let mut patch = ConnectionPatch::default();
    patch.secrets.insert(call.param("secret")?, value);
    let connections = call.hub().connectors().connections();
    Answer::data(&connections.update(&call.param("name")?, patch, call.principal()?).await?)
}

/// `DELETE /api/v1/connections/{name}`.
pub(crate) async fn remove(call: Call) -> Result<Answer, Problem> {
    let name = call.param("name")?;
    call.hub().connectors().connections().remove(&name, call.principal()?).await?;
    Answer::data(&json!({"name": name, "status": "removed"}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    #[serde(default)]
    callback: Option<String>,
}

/// `POST /api/v1/connections/{name}/authorize`.
pub(crate) async fn authorize(mut call: Call) -> Result<Answer, Problem> {
    let Authorize { callback } = call.json().await?;
    let public = || call.gate.config.public_url.as_ref().map(|url| format!("{}{CALLBACK}", url.trim_end_matches('/')));
    let name = call.param("name")?;
    call.hub().connectors().asks_somebody(&name)?;
    let callback = callback.or_else(public).ok_or_else(|| {
        let what =
            format!("say where the provider sends the browser back to (…{CALLBACK}), or set [server] public_url");
        Problem::field("callback", what)
    })?;
    let fits = callback.starts_with("https://") || callback.starts_with("http://");
    if !fits || !callback.ends_with(CALLBACK) {
        let what = format!("{callback:?} must be the hub's own address as a browser reaches it, ending in {CALLBACK}");
        return Err(Problem::field("callback", what));
    }
    let begun = call.hub().connectors().authorize(&name, &callback, call.principal()?)?;
    Answer::data(&json!({"url": begun.url, "expires_at": begun.until.to_string(), "callback": callback}))
}

/// `GET /oauth/callback`. The state proves that this was begun here; it is good once.
pub(crate) async fn callback(call: Call) -> Result<Answer, Problem> {
    // Whoever only looks at where a link leads must not use it up.
    if call.parts.method == Method::HEAD {
        return page(StatusCode::OK, "Nexus", "");
    }
    let query = call.query()?;
    let state = query.text("state").unwrap_or_default();
    let answer = match (query.text("code"), query.text("error")) {
        (Some(code), None) => Ok(code),
        (_, Some(error)) => Err(query.text("error_description").unwrap_or(error)),
        (None, None) => Err("it sent neither a code nor an error"),
    };
    match call.hub().connectors().agreed(state, answer).await {
        Ok(name) => page(StatusCode::OK, "Connected", &format!("{name} is connected. You can close this window.")),
        Err(problem) => page(error::status(problem.code), "Not connected", &problem.message),
    }
}

fn page(status: StatusCode, title: &str, text: &str) -> Result<Answer, Problem> {
    let escaped: String = text.chars().map(escape).collect();
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{font:1rem/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem}}</style>\
         <h1>{title}</h1><p>{escaped}</p></html>"
    );
    let answer = Answer::raw("text/html; charset=utf-8", Body::full(Bytes::from(html))).status(status);
    Ok(answer
        .header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .header(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

fn escape(c: char) -> String {
    match c {
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '&' => "&amp;".into(),
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        c => c.into(),
    }
}
