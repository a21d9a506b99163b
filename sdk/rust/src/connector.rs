//! Connectors: outside services that the hub calls, and the accounts there.

use http::{HeaderMap, HeaderValue, Method, header::HeaderName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Client, Error,
    client::{More, Page, Path, to_json, unwrap},
};

const CONNECTORS: &str = "/api/v1/connectors";
const CONNECTIONS: &str = "/api/v1/connections";

/// A connector.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Connector {
    /// Its name.
    pub name: String,
    /// For people.
    pub title: String,
    /// What its requests were checked against: `specification`, `example` or `reading`.
    pub checked: String,
    /// `shipped`, `file` or `given`.
    pub origin: String,
    /// Ids of its operations.
    pub operations: Vec<String>,
    /// Names of its connections.
    pub connections: Vec<String>,
    /// Whatever else was said; for one connector also its `manifest`.
    #[serde(flatten)]
    pub more: More,
}

/// A connection: one account at one outside service.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// Its connector.
    pub connector: String,
    /// `connected`, `reconnect_needed` or `disabled`.
    pub state: String,
    /// Why it can't be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: More,
}

/// A connection to make.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewConnection {
    /// Its name.
    pub name: String,
    /// Its connector.
    pub connector: String,
    /// Settings.
    pub settings: Map<String, Value>,
    /// Secrets; they may follow later.
    pub secrets: Map<String, Value>,
    /// Scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

/// What is to be changed of a connection.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConnectionPatch {
    /// Settings to replace; `null` takes one out.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// Other scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Off or on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A call of an operation.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConnectorCall {
    /// Which operation.
    pub operation: String,
    /// What it is called with.
    pub input: Value,
    /// Which connection; absent = the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// `LOW`, `NORMAL`, `HIGH` or `CRITICAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// How long it may wait, for example `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<String>,
    /// Makes a repeat harmless where the operation knows repeats.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// What a call gave.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ConnectorCalled {
    /// The operation's output.
    pub output: Value,
    /// The connection that was used.
    pub connection: String,
    /// Requests that were sent.
    pub requests: u32,
}

impl Client {
    /// The connectors (scope `connectors:read`).
    pub async fn connectors(&self) -> Result<Page<Connector>, Error> {
        self.page(CONNECTORS).await
    }

    /// One of them, with its manifest.
    pub async fn connector(&self, name: &str) -> Result<Connector, Error> {
        self.get(Path::new(CONNECTORS).segment(name).as_str()).await
    }

    /// Calls an operation (scope `connectors:call`).
    pub async fn call_connector(&self, name: &str, call: &ConnectorCall) -> Result<ConnectorCalled, Error> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &call.idempotency_key {
            let value = HeaderValue::from_str(key)
                .map_err(|_| Error::Setting(format!("{key:?} can't be an idempotency key")))?;
            headers.insert(HeaderName::from_static("idempotency-key"), value);
        }
        let path = Path::new(CONNECTORS).segment(name).segment("call");
        let value = self.json(Method::POST, path.as_str(), headers, Some(to_json(call)?)).await?;
        self.read(unwrap(value))
    }

    /// The connections, or those of one connector.
    pub async fn connections(&self, connector: Option<&str>) -> Result<Page<Connection>, Error> {
        self.page(Path::new(CONNECTIONS).query("connector", connector).as_str()).await
    }

    /// Makes a connection (scope `connectors:admin`).
    pub async fn create_connection(&self, new: &NewConnection) -> Result<Connection, Error> {
        self.post(CONNECTIONS, new).await
    }

    /// Changes a connection.
    pub async fn update_connection(&self, name: &str, patch: &ConnectionPatch) -> Result<Connection, Error> {
        self.call(Method::PATCH, Path::new(CONNECTIONS).segment(name).as_str(), Some(patch)).await
    }

    /// Sets one of a connection's secrets.
    pub async fn put_connection_secret(&self, name: &str, secret: &str, value: &str) -> Result<Connection, Error> {
        let path = Path::new(CONNECTIONS).segment(name).segment("secrets").segment(secret);
        self.call(Method::PUT, path.as_str(), Some(&serde_json::json!({ "value": value }))).await
    }

    /// Takes a connection out.
    pub async fn remove_connection(&self, name: &str) -> Result<Value, Error> {
        self.delete(Path::new(CONNECTIONS).segment(name).as_str()).await
    }

    /// The address where a person agrees: `{"url","expires_at","callback"}`.
    pub async fn authorize_connection(&self, name: &str, callback: Option<&str>) -> Result<Value, Error> {
        let body = callback.map_or_else(|| serde_json::json!({}), |url| serde_json::json!({ "callback": url }));
        self.post(Path::new(CONNECTIONS).segment(name).segment("authorize").as_str(), &body).await
    }
}
