//! Services: register, discover, heartbeat, call.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header::HeaderName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Client, Error,
    client::{More, Path, to_json},
};

const SERVICES: &str = "/services";

/// A registered instance of a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Service {
    /// Its id.
    pub id: String,
    /// Shared by its instances.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `healthy`, `degraded`, `unhealthy` or `expired`.
    pub status: String,
    /// Why, when it is not healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `http` or `https`.
    pub protocol: String,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Where it is checked.
    #[serde(default)]
    pub health_check_url: Option<String>,
    /// The load that it reported last.
    #[serde(default)]
    pub load: f64,
    /// Epoch seconds of its last sign of life.
    #[serde(default)]
    pub last_heartbeat: f64,
    /// Whatever else it said of itself.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: More,
}

/// An instance to register; everything but id, host and port may be left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewService {
    /// Unique; the same id again updates it.
    pub id: String,
    /// Shared by its instances; absent = the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A host name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `http` or `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// What it can do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// A path or a URL; absent = its port is knocked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_url: Option<String>,
    /// Whatever else is to be known.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Its load at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// It promises a heartbeat this often at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// Which services are wanted; all conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct ServiceFilter {
    /// Of this name.
    pub name: Option<String>,
    /// With all of these capabilities.
    pub capabilities: Vec<String>,
    /// In one of these states.
    pub status: Vec<String>,
    /// With these metadata.
    pub metadata: Vec<(String, String)>,
}

/// How a call is made.
#[derive(Clone, Debug, Default)]
pub struct InvokeOptions {
    /// For the whole call, for example `500ms`.
    pub timeout: Option<String>,
    /// `least_loaded`, `round_robin`, `weighted` or `consistent_hash`.
    pub strategy: Option<String>,
    /// The same key goes to the same instance.
    pub key: Option<String>,
    /// Makes a repeat harmless, so that another instance may be tried; passed on to the service.
    pub idempotency_key: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    services: Vec<Service>,
}

impl Client {
    /// The services that are wanted (scope `services:read`).
    pub async fn services(&self, filter: &ServiceFilter) -> Result<Vec<Service>, Error> {
        let joined = |texts: &[String]| (!texts.is_empty()).then(|| texts.join(","));
        let metadata: Vec<String> = filter.metadata.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let path = Path::new(SERVICES)
            .query("name", filter.name.as_deref())
            .query("capability", joined(&filter.capabilities))
            .query("status", joined(&filter.status))
            .query("metadata", joined(&metadata));
        let listed: Listed = self.get(path.as_str()).await?;
        Ok(listed.services)
    }

    /// The instance of this id, else those of this name, the best first.
    pub async fn service(&self, name_or_id: &str) -> Result<Vec<Service>, Error> {
        let listed: Listed = self.get(Path::new(SERVICES).segment(name_or_id).as_str()).await?;
        Ok(listed.services)
    }

    /// Registers an instance, or updates the one of this id (scope `services:register`).
    pub async fn register_service(&self, service: &NewService) -> Result<Service, Error> {
        self.post(SERVICES, service).await
    }

    /// Says that an instance lives, and how busy it is.
    pub async fn service_heartbeat(&self, id: &str, load: Option<f64>) -> Result<Service, Error> {
        let body = load.map_or_else(|| serde_json::json!({}), |load| serde_json::json!({ "load": load }));
        self.post(Path::new(SERVICES).segment(id).segment("heartbeat").as_str(), &body).await
    }

    /// Takes an instance out.
    pub async fn deregister_service(&self, id: &str) -> Result<Value, Error> {
        self.delete(Path::new(SERVICES).segment(id).as_str()).await
    }

    /// Calls a service through the hub (scope `services:invoke`). A service that answers with an error status is an
    /// [`Error::Refused`] of that status.
    pub async fn invoke(&self, name: &str, body: &impl Serialize, options: &InvokeOptions) -> Result<Value, Error> {
        let path = Path::new(SERVICES)
            .segment(name)
            .segment("invoke")
            .query("timeout", options.timeout.as_deref())
            .query("strategy", options.strategy.as_deref())
            .query("key", options.key.as_deref());
        let mut headers = HeaderMap::new();
        if let Some(key) = &options.idempotency_key {
            let value = HeaderValue::from_str(key)
                .map_err(|_| Error::Setting(format!("{key:?} can't be an idempotency key")))?;
            headers.insert(HeaderName::from_static("idempotency-key"), value);
        }
        let answer = self.send(Method::POST, path.as_str(), headers, Some(to_json(body)?)).await?;
        let bytes: Bytes = self.whole(answer.into_body()).await?;
        // A service may answer with nothing, or with something that is no JSON: its text, then.
        Ok(match serde_json::from_slice(&bytes) {
            Ok(value) => value,
            Err(_) if bytes.is_empty() => Value::Null,
            Err(_) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        })
    }
}
