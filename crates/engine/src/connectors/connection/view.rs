//! A connection as it is shown.

use std::collections::BTreeMap;

use nexus_core::breaker::BreakerState;
use nexus_outbound::Reach;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::{Connection, State};

/// How a connection has done lately.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Its breaker.
    pub breaker: BreakerState,
    /// When a call last succeeded, as far as this process knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<String>,
    /// When one last failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// What it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// A connection as shown: everything but its secrets.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionView {
    /// Its name.
    pub name: String,
    /// Its connector.
    pub connector: String,
    /// Its state.
    pub state: State,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it is in this state, ISO 8601.
    pub since: String,
    /// Its settings.
    pub settings: Map<String, Json>,
    /// Names of its secrets that are set, and since when.
    pub secrets: BTreeMap<String, String>,
    /// Its scopes, where anybody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// When its token ends, where the provider said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<String>,
    /// It may reach loopback and private addresses.
    pub private: bool,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// When it was last used, as far as this process knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// How it has done.
    pub health: Health,
}

impl ConnectionView {
    /// Of a record and what this process knows besides.
    pub(in crate::connectors) fn of(connection: &Connection, health: Health, last_used_at: Option<String>) -> Self {
        let secrets = connection.secrets.iter().map(|(name, at)| (name.clone(), at.to_string()));
        Self {
            name: connection.name.clone(),
            connector: connection.connector.clone(),
            state: connection.state,
            reason: connection.reason.clone(),
            since: connection.since.to_string(),
            settings: connection.settings.clone(),
            secrets: secrets.collect(),
            scopes: connection.scopes().cloned(),
            token_expires_at: connection.token.as_ref().and_then(|t| t.expires_at).map(|at| at.to_string()),
            private: connection.reach == Reach::Private,
            created_by: connection.created_by.clone(),
            created_at: connection.created_at.to_string(),
            updated_at: connection.updated_at.to_string(),
            last_used_at,
            health,
        }
    }
}
