//! Configuration: `nexus.toml`, then `NEXUS_*` of the environment, then flags. The only place that reads any of them.
//!
//! Each section is one file with one struct whose `Default` is the documented default. A key nobody knows is an error
//! that names the nearest one that exists.

mod alerts;
mod connectors;
mod data;
mod delivery;
mod flows;
mod ingress;
mod jwt;
mod load;
mod log;
mod retention;
mod secrets;
mod server;
mod services;
mod state;
mod tls;
mod value;

use serde::Serialize;

pub(crate) use self::{
    alerts::Alerts,
    connectors::Connectors,
    data::Data,
    delivery::Delivery,
    flows::Flows,
    ingress::Ingress,
    jwt::Jwt,
    load::{Environment, Flags, Loaded, load},
    log::{Format, Log},
    retention::Retention,
    secrets::{Secrets, permissions_file, read_permissions},
    server::Server,
    services::Services,
    state::State,
    tls::Tls,
};

/// Everything that can be set, with nothing left open.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) data: Data,
    pub(crate) tls: Tls,
    pub(crate) jwt: Jwt,
    pub(crate) ingress: Ingress,
    pub(crate) delivery: Delivery,
    pub(crate) services: Services,
    pub(crate) retention: Retention,
    pub(crate) state: State,
    pub(crate) connectors: Connectors,
    pub(crate) flows: Flows,
    pub(crate) alerts: Alerts,
    pub(crate) log: Log,
}

/// A configuration can't be used. The process ends with exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file can't be read.
    #[error("{file}: {reason}")]
    File { file: String, reason: String },
    /// A key nobody knows.
    #[error("{place}: there is no setting {key:?}{hint}")]
    UnknownKey { place: String, key: String, hint: String },
    /// A value of the wrong form.
    #[error("{place}: {reason}")]
    Value { place: String, reason: String },
}

impl From<ConfigError> for crate::output::Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}
