//! A service as it registers, as it is kept, and as it is shown.

use std::{net::IpAddr, time::Duration};

use nexus_core::{
    breaker::BreakerState,
    problem::Problem,
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value},
    time::Timestamp,
};
use nexus_outbound::{Reach, check_url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{choice::Strategy, vitals::Status};

/// Bytes of an id, a name or a version.
const NAME_BYTES: usize = 128;
/// Capabilities of one service.
const CAPABILITIES: usize = 64;
/// Bytes of its metadata as JSON.
const METADATA_BYTES: usize = 16 << 10;
/// Bytes of a URL or a host.
const URL_BYTES: usize = 1_024;
/// The longest time between two heartbeats that a service may promise.
pub const LONGEST_TTL: u64 = 24 * 3600;
/// The largest load and weight.
const LARGEST: f64 = 1e9;

/// A service that registers; what it does not say has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewService {
    /// Unique. Registering it again updates it.
    pub id: String,
    /// Instances of one service share it; absent = the id.
    #[serde(default)]
    pub name: Option<String>,
    /// Its version.
    #[serde(default)]
    pub version: Option<String>,
    /// A host name or an address.
    pub host: String,
    /// Its port.
    #[serde(deserialize_with = "nexus_core::ranged::whole::<1, 65_535, _, _>")]
    pub port: u16,
    /// `http` or `https`; absent = `http`.
    #[serde(default)]
    pub protocol: Option<Protocol>,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// A path on its host and port, or a whole URL; absent = whether somebody listens on its port is all that is asked.
    #[serde(default)]
    pub health_check_url: Option<String>,
    /// Whatever else is to be known. `weight` (a number) and `strategy` are read by the choice.
    #[serde(default)]
    pub metadata: Option<Map<String, Json>>,
    /// Its load at the start.
    #[serde(default)]
    pub load: Option<f64>,
    /// It promises a heartbeat this often at least; absent = the hub's own, from its first heartbeat on.
    #[serde(default, deserialize_with = "nexus_core::ranged::maybe_whole::<1, LONGEST_TTL, _>")]
    pub ttl_seconds: Option<u64>,
    /// What clients send back of what they were shown; only the hub decides it.
    #[serde(default, rename = "status")]
    pub _status: Option<Json>,
    /// As `status`.
    #[serde(default, rename = "last_heartbeat")]
    pub _last_heartbeat: Option<Json>,
}

/// How it is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
}

impl Protocol {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A service as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Unique.
    pub id: String,
    /// Shared by its instances.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Host name or address, an IPv6 one without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Where it is checked.
    pub health_check_url: Option<String>,
    /// Whatever else is known.
    pub metadata: Map<String, Json>,
    /// The longest time between two heartbeats, where it named one.
    pub ttl_seconds: Option<u64>,
    /// Since when it is registered.
    pub registered_at: Timestamp,
    /// The load that it reported last, as of the last write.
    pub load: f64,
    /// When it last gave a sign of life, as of the last write: heartbeats themselves write nothing.
    pub last_heartbeat: Timestamp,
    /// Heartbeats are expected of it.
    pub beats: bool,
    /// How it is.
    pub status: Status,
    /// Why.
    pub status_reason: Option<String>,
}

static SERVICES: Collection = Collection {
    name: "services",
    columns: &[
        Column { name: "name", kind: ColumnType::Text },
        Column { name: "status", kind: ColumnType::Text },
        Column { name: "last_heartbeat", kind: ColumnType::Int },
    ],
    indexes: &[Index { name: "by_name", columns: &["name"], kind: IndexKind::Plain, only: None }],
};

impl Record for Service {
    const COLLECTION: &'static Collection = &SERVICES;
    fn key(&self) -> String {
        self.id.clone()
    }
    fn columns(&self) -> Vec<Value> {
        vec![self.name.as_str().into(), self.status.as_str().into(), self.last_heartbeat.into()]
    }
}

impl Service {
    /// What `new` describes, if it can be a service.
    pub fn from_new(new: NewService, now: Timestamp) -> Result<Self, Problem> {
        check_id("id", &new.id)?;
        let name = new.name.unwrap_or_else(|| new.id.clone());
        check_id("name", &name)?;
        let version = new.version.unwrap_or_else(|| "1.0.0".to_owned());
        if version.len() > NAME_BYTES || version.chars().any(char::is_control) {
            return Err(Problem::field("version", format!("at most {NAME_BYTES} characters, none of them control")));
        }
        if new.port == 0 {
            return Err(Problem::field("port", "0 can't be called; 1 to 65535 can"));
        }
        if new.capabilities.len() > CAPABILITIES || new.capabilities.iter().any(|c| !is_word(c)) {
            let reason = format!("at most {CAPABILITIES}, each of 1 to {NAME_BYTES} bytes without control characters");
            return Err(Problem::field("capabilities", reason));
        }
        if new.ttl_seconds.is_some_and(|ttl| !(1..=LONGEST_TTL).contains(&ttl)) {
            return Err(Problem::field("ttl_seconds", format!("1 to {LONGEST_TTL}")));
        }
        let load = new.load.unwrap_or(0.0);
        check_load(load)?;
        let service = Self {
            id: new.id,
            name,
            version,
            host: host(&new.host)?,
            port: new.port,
            protocol: new.protocol.unwrap_or_default(),
            capabilities: new.capabilities,
            health_check_url: new.health_check_url.filter(|url| !url.is_empty()),
            metadata: new.metadata.unwrap_or_default(),
            ttl_seconds: new.ttl_seconds,
            registered_at: now,
            load,
            last_heartbeat: now,
            beats: new.ttl_seconds.is_some(),
            status: Status::Healthy,
            status_reason: None,
        };
        service.check()?;
        Ok(service)
    }

    fn check(&self) -> Result<(), Problem> {
        check_url(&self.base(), Reach::Private).map_err(|e| Problem::field("host", e.message))?;
        if let Some(url) = self.check_url() {
            let fits = url.len() <= URL_BYTES && self.is_checked_by_http();
            if !fits {
                let reason = format!("a path that begins with a slash or an http URL of at most {URL_BYTES} bytes");
                return Err(Problem::field("health_check_url", reason));
            }
            check_url(&url, Reach::Private).map_err(|e| Problem::field("health_check_url", e.message))?;
        }
        let metadata = serde_json::to_vec(&self.metadata).map_or(usize::MAX, |m| m.len());
        if metadata > METADATA_BYTES {
            return Err(Problem::field("metadata", format!("at most {METADATA_BYTES} bytes as JSON")));
        }
        let weight = self.metadata.get("weight");
        if weight.is_some_and(|w| w.as_f64().is_none_or(|w| !(0.0..=LARGEST).contains(&w))) {
            return Err(Problem::field("metadata.weight", "a number from 0 to 1000000000"));
        }
        if let Some(strategy) = self.metadata.get("strategy") {
            let name = strategy.as_str().unwrap_or_default();
            name.parse::<Strategy>().map_err(|e| Problem::field("metadata.strategy", e))?;
        }
        Ok(())
    }

    fn is_checked_by_http(&self) -> bool {
        self.health_check_url
            .as_deref()
            .is_some_and(|url| url.starts_with('/') || url.starts_with("http://") || url.starts_with("https://"))
    }

    /// `{protocol}://{host}:{port}`.
    pub fn base(&self) -> String {
        let Self { host, port, .. } = self;
        let protocol = self.protocol.as_str();
        if host.contains(':') { format!("{protocol}://[{host}]:{port}") } else { format!("{protocol}://{host}:{port}") }
    }

    /// The whole URL of its health check; `None` where only its port is knocked at.
    pub fn check_url(&self) -> Option<String> {
        let url = self.health_check_url.as_deref()?;
        Some(if url.starts_with('/') { format!("{}{url}", self.base()) } else { url.to_owned() })
    }

    /// The longest time between two heartbeats.
    pub fn ttl(&self, usual: Duration) -> Duration {
        self.ttl_seconds.map_or(usual, Duration::from_secs)
    }

    /// Its share of weighted choices.
    pub fn weight(&self) -> f64 {
        self.metadata.get("weight").and_then(Json::as_f64).unwrap_or(1.0)
    }

    /// The strategy that it asks for.
    pub fn strategy(&self) -> Option<Strategy> {
        self.metadata.get("strategy")?.as_str()?.parse().ok()
    }

    /// Whether both describe the same thing, whatever became of it.
    pub fn is_described_as(&self, other: &Self) -> bool {
        let Self { id, name, version, host, port, protocol, capabilities, health_check_url, .. } = self;
        (id, name, version, host, port, protocol)
            == (&other.id, &other.name, &other.version, &other.host, &other.port, &other.protocol)
            && (capabilities, health_check_url) == (&other.capabilities, &other.health_check_url)
            && (&self.metadata, self.ttl_seconds) == (&other.metadata, other.ttl_seconds)
    }

    /// Whether both are called at the same place.
    pub fn is_placed_as(&self, other: &Self) -> bool {
        (&self.host, self.port, self.protocol) == (&other.host, other.port, other.protocol)
    }
}

/// Ids and names stand in paths, logs and scopes.
fn check_id(field: &str, text: &str) -> Result<(), Problem> {
    let fits = (1..=NAME_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'@'))
        && !matches!(text, "." | "..");
    if fits {
        return Ok(());
    }
    Err(Problem::field(field, format!("{text:?} must be 1 to {NAME_BYTES} of a-z, A-Z, 0-9, ., _, -, : and @")))
}

fn is_word(text: &str) -> bool {
    (1..=NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A load as reported.
pub(super) fn check_load(load: f64) -> Result<(), Problem> {
    if (0.0..=LARGEST).contains(&load) { Ok(()) } else { Err(Problem::field("load", "a number from 0 to 1000000000")) }
}

/// A host without brackets; what else is wrong with it shows in its URL.
fn host(text: &str) -> Result<String, Problem> {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let fits = !inner.is_empty() && inner.len() <= URL_BYTES && !inner.contains(['/', '?', '#', '@', '[', ']', ' ']);
    let port_inside = inner.contains(':') && inner.parse::<IpAddr>().is_err();
    if fits && !port_inside {
        return Ok(inner.to_owned());
    }
    Err(Problem::field("host", format!("{text:?} is no host name or address; the port stands in its own field")))
}

/// A service as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceView {
    /// Unique.
    pub id: String,
    /// Shared by its instances.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How it is.
    pub status: Status,
    /// Why, when it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Where it is checked.
    pub health_check_url: Option<String>,
    /// The load that it reported last.
    pub load: f64,
    /// Calls of this hub under way.
    pub in_flight: u32,
    /// State of its breaker.
    pub breaker: BreakerState,
    /// Epoch seconds of its last heartbeat, or of its registration.
    pub last_heartbeat: f64,
    /// Epoch seconds of the last check that came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_check: Option<f64>,
    /// Epoch seconds.
    pub registered_at: f64,
    /// The longest time between two heartbeats, where it named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// Whatever else is known.
    pub metadata: Map<String, Json>,
}

/// Which services are wanted; all conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this name.
    pub name: Option<String>,
    /// With every one of these capabilities.
    pub capabilities: Vec<String>,
    /// In one of these states; empty = any.
    pub status: Vec<Status>,
    /// With these metadata: a text as it is, anything else as its JSON.
    pub metadata: Vec<(String, String)>,
}

impl Filter {
    /// Whether it fits what does not change between registrations.
    pub fn fits(&self, service: &Service) -> bool {
        let says = |(field, wanted): &(String, String)| match service.metadata.get(field) {
            Some(Json::String(text)) => text == wanted,
            Some(other) => serde_json::from_str::<Json>(wanted).is_ok_and(|wanted| wanted == *other),
            None => false,
        };
        self.name.as_ref().is_none_or(|name| *name == service.name)
            && self.capabilities.iter().all(|c| service.capabilities.contains(c))
            && self.metadata.iter().all(says)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(json: serde_json::Value) -> Result<Service, Problem> {
        let new = serde_json::from_value(json).expect("its fields are known");
        Service::from_new(new, Timestamp::from_secs(1))
    }

    #[test]
    fn a_service_needs_only_its_id_host_and_port() {
        let service = made(serde_json::json!({"id": "a", "host": "localhost", "port": 8081})).expect("valid");
        assert_eq!((service.name.as_str(), service.base().as_str()), ("a", "http://localhost:8081"));
        assert_eq!(service.check_url(), None);
        let six = made(serde_json::json!({"id": "a", "host": "[::1]", "port": 1, "health_check_url": "/health"}));
        assert_eq!(six.expect("valid").check_url().as_deref(), Some("http://[::1]:1/health"));
    }

    #[test]
    fn what_can_not_be_called_is_refused_by_field() {
        for (field, change) in [
            ("host", serde_json::json!({"host": "169.254.169.254"})),
            ("host", serde_json::json!({"host": "fd00:ec2::254"})),
            ("host", serde_json::json!({"host": "a/b"})),
            ("host", serde_json::json!({"host": "a:80"})),
            ("host", serde_json::json!({"host": "user@a"})),
            ("host", serde_json::json!({"host": ""})),
            ("id", serde_json::json!({"id": "a/b"})),
            ("id", serde_json::json!({"id": ".."})),
            ("name", serde_json::json!({"name": "a b"})),
            ("health_check_url", serde_json::json!({"health_check_url": "http://169.254.169.254/"})),
            ("health_check_url", serde_json::json!({"health_check_url": "health"})),
            ("health_check_url", serde_json::json!({"health_check_url": "file:///etc/passwd"})),
            ("load", serde_json::json!({"load": -1.0})),
            ("metadata.weight", serde_json::json!({"metadata": {"weight": "heavy"}})),
            ("metadata.strategy", serde_json::json!({"metadata": {"strategy": "best"}})),
            ("metadata", serde_json::json!({"metadata": {"x": "y".repeat(20_000)}})),
        ] {
            let mut json = serde_json::json!({"id": "a", "host": "10.0.0.1", "port": 8081});
            let fields = json.as_object_mut().expect("an object");
            fields.extend(change.as_object().expect("an object").clone());
            let refused = made(json).expect_err("refused");
            assert!(refused.details.contains_key(field), "{field}: {refused}");
        }
    }

    #[test]
    fn numbers_beyond_their_bounds_are_refused_as_they_are_read() {
        for field in ["port", "ttl_seconds"] {
            let mut json = serde_json::json!({"id": "a", "host": "10.0.0.1", "port": 8081});
            json[field] = 0.into();
            let refused = serde_json::from_value::<NewService>(json).map(|new| new.id).expect_err("refused");
            assert!(refused.to_string().contains("a whole number from 1 to "), "{field}: {refused}");
        }
    }

    #[test]
    fn a_filter_takes_all_conditions_together() {
        let json = serde_json::json!({"id": "a", "host": "h", "port": 1, "capabilities": ["x", "y"],
            "metadata": {"zone": "eu", "n": 3}});
        let service = made(json).expect("valid");
        let filter = |capabilities: &[&str], metadata: &[(&str, &str)]| Filter {
            capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(),
            metadata: metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Filter::default()
        };
        assert!(filter(&["x", "y"], &[("zone", "eu"), ("n", "3")]).fits(&service));
        assert!(!filter(&["x", "z"], &[]).fits(&service));
        assert!(!filter(&[], &[("zone", "us")]).fits(&service));
    }
}
