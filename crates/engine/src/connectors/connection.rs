//! A connection: one account at one provider, as it is made, kept and shown.

mod view;

use std::collections::BTreeMap;

use nexus_core::{
    access::Principal,
    problem::Problem,
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value},
    sign::Secret,
    time::Timestamp,
};
use nexus_outbound::Reach;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

pub use self::view::{ConnectionView, Health};
use super::{
    check::Connector,
    manifest::{Auth, Grant},
    template::scalar,
};
use crate::{desk::check_name, document::problem::nearest};

/// Bytes of one secret.
const SECRET_BYTES: usize = 16 << 10;
/// Bytes of one setting.
const SETTING_BYTES: usize = 4 << 10;
/// Scopes of one connection.
const SCOPES: usize = 100;

/// A connection that is to be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    /// `[a-z0-9_.-]{1,64}`, unique among all connections.
    pub name: String,
    /// Its connector.
    pub connector: String,
    /// Settings that the connector declares.
    #[serde(default)]
    pub settings: Map<String, Json>,
    /// Secrets that the connector declares; they may follow later.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// Scopes: for OAuth those that are asked for, otherwise those that its proof was granted; absent = the connector's,
    /// or nobody knows.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

/// What is to be changed; the rest stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionPatch {
    /// Settings to replace; `null` takes one out.
    #[serde(default)]
    pub settings: Map<String, Json>,
    /// Secrets to replace.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// Other scopes.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Switches it off or on.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// Whether a connection can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It can.
    Connected,
    /// Only after someone gave another secret, or agreed again.
    ReconnectNeeded,
    /// Its owner switched it off.
    Disabled,
}

/// What is known of the token of an OAuth connection; the token itself is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Since when.
    pub issued_at: Timestamp,
    /// Until when, where the provider said so.
    pub expires_at: Option<Timestamp>,
    /// It can be refreshed without a person.
    pub refreshable: bool,
}

/// A connection as stored. Its secrets lie in the vault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Unique.
    pub name: String,
    /// Its connector.
    pub connector: String,
    /// As its owner gave them.
    pub settings: Map<String, Json>,
    /// Names of the secrets that are set, and since when.
    pub secrets: BTreeMap<String, Timestamp>,
    /// Scopes that its owner named.
    pub asked: Option<Vec<String>>,
    /// Scopes that the provider said it granted.
    pub granted: Option<Vec<String>>,
    /// Whether it can be used.
    pub state: State,
    /// Why not.
    pub reason: Option<String>,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// How far it may reach: as far as whoever gave its settings.
    pub reach: Reach,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its token, with OAuth.
    pub token: Option<TokenInfo>,
}

static CONNECTIONS: Collection = Collection {
    name: "connections",
    columns: &[Column { name: "connector", kind: ColumnType::Text }, Column { name: "state", kind: ColumnType::Text }],
    indexes: &[Index { name: "by_connector", columns: &["connector"], kind: IndexKind::Plain, only: None }],
};

impl Record for Connection {
    const COLLECTION: &'static Collection = &CONNECTIONS;
    fn key(&self) -> String {
        self.name.clone()
    }
    fn columns(&self) -> Vec<Value> {
        vec![self.connector.as_str().into(), self.state.as_str().into()]
    }
}

impl State {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::ReconnectNeeded => "reconnect_needed",
            Self::Disabled => "disabled",
        }
    }
}

/// Names of what OAuth keeps in the vault; no manifest can declare such a name.
pub(super) const ACCESS: &str = "#access";
/// See [`ACCESS`].
pub(super) const REFRESH: &str = "#refresh";

impl Connection {
    /// A new one, checked against its connector.
    pub(super) fn make(
        new: &NewConnection,
        connector: &Connector,
        by: &Principal,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        check_name("name", &new.name)?;
        let mut made = Self::unnamed(new, by, now);
        made.set(&new.settings, &new.secrets, new.scopes.as_ref(), connector, now)?;
        for (name, field) in &connector.manifest.settings {
            if field.is_required() && made.settings.get(name).is_none_or(Json::is_null) {
                return Err(Problem::field(&format!("settings.{name}"), format!("is needed: {}", field.title)));
            }
        }
        made.stand(connector, now);
        Ok(made)
    }

    /// One of which nothing is set yet, whose name is not looked at.
    pub(super) fn unnamed(new: &NewConnection, by: &Principal, now: Timestamp) -> Self {
        Self {
            name: new.name.clone(),
            connector: new.connector.clone(),
            settings: Map::new(),
            secrets: BTreeMap::new(),
            asked: None,
            granted: None,
            state: State::Connected,
            reason: None,
            since: now,
            reach: reach(by),
            created_by: by.name.to_string(),
            created_at: now,
            updated_at: now,
            token: None,
        }
    }

    /// With these changes.
    pub(super) fn patched(
        mut self,
        patch: &ConnectionPatch,
        connector: &Connector,
        by: &Principal,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        if !patch.settings.is_empty() {
            self.reach = reach(by);
        }
        self.set(&patch.settings, &patch.secrets, patch.scopes.as_ref(), connector, now)?;
        let required = connector.manifest.settings.iter().filter(|(_, field)| field.is_required());
        for (name, field) in required {
            if !self.settings.contains_key(name) {
                return Err(Problem::field(&format!("settings.{name}"), format!("is needed: {}", field.title)));
            }
        }
        match patch.enabled {
            Some(false) => self.become_state(State::Disabled, Some(format!("switched off by {}", by.name)), now),
            Some(true) if self.state == State::Disabled => {
                self.become_state(State::Connected, None, now);
                self.stand(connector, now);
            }
            // What its proof is made from was changed: it is tried anew.
            _ if !(patch.settings.is_empty() && patch.secrets.is_empty()) && self.state != State::Disabled => {
                self.become_state(State::Connected, None, now);
                self.stand(connector, now);
            }
            _ => {}
        }
        self.updated_at = now;
        Ok(self)
    }

    fn set(
        &mut self,
        settings: &Map<String, Json>,
        secrets: &BTreeMap<String, Secret>,
        scopes: Option<&Vec<String>>,
        connector: &Connector,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let manifest = &connector.manifest;
        for (name, value) in settings {
            let place = format!("settings.{name}");
            let Some(field) = manifest.settings.get(name) else {
                let near = nearest(name, manifest.settings.keys().map(String::as_str));
                let known: Vec<&str> = manifest.settings.keys().map(String::as_str).collect();
                let what = format!("{} has no such setting; it has {}{near}", self.connector, listed(&known));
                return Err(Problem::field(&place, what));
            };
            if value.is_null() {
                self.settings.remove(name);
                continue;
            }
            let text = scalar(value).ok().flatten().unwrap_or_default();
            if scalar(value).is_err() || text.is_empty() || text.len() > SETTING_BYTES {
                return Err(Problem::field(
                    &place,
                    format!("must be a text of 1 to {SETTING_BYTES} bytes, a number or a boolean"),
                ));
            }
            if !field.one_of.is_empty() && !field.one_of.contains(&text) {
                return Err(Problem::field(&place, format!("{text:?} must be one of {}", field.one_of.join(", "))));
            }
            self.settings.insert(name.clone(), value.clone());
        }
        for (name, secret) in secrets {
            let place = format!("secrets.{name}");
            if !manifest.secrets.contains_key(name) {
                let known: Vec<&str> = manifest.secrets.keys().map(String::as_str).collect();
                let near = nearest(name, known.iter().copied());
                let what = format!("{} has no such secret; it has {}{near}", self.connector, listed(&known));
                return Err(Problem::field(&place, what));
            }
            let length = secret.expose().len();
            if length == 0 || length > SECRET_BYTES {
                return Err(Problem::field(&place, format!("must have 1 to {SECRET_BYTES} bytes")));
            }
            self.secrets.insert(name.clone(), now);
        }
        if let Some(scopes) = scopes {
            if scopes.len() > SCOPES || scopes.iter().any(|scope| scope.is_empty() || scope.contains(' ')) {
                return Err(Problem::field("scopes", format!("at most {SCOPES}, none of them empty or with a space")));
            }
            self.asked = Some(scopes.clone());
        }
        Ok(())
    }

    /// Falls back to `reconnect_needed` while something is missing without which nothing can be called.
    pub(super) fn stand(&mut self, connector: &Connector, now: Timestamp) {
        if self.state != State::Connected {
            return;
        }
        let missing = connector
            .manifest
            .secrets
            .iter()
            .find(|(name, field)| field.is_required() && !self.secrets.contains_key(*name));
        let waits_for_person =
            matches!(&connector.manifest.auth, Auth::Oauth2(oauth) if oauth.grant == Grant::AuthorizationCode);
        let reason = match missing {
            Some((name, _)) => {
                format!("the secret {name:?} is missing: nexus connections set-secret {} {name}", self.name)
            }
            None if waits_for_person && self.token.is_none() => {
                format!("nobody agreed yet: nexus connections authorize {}", self.name)
            }
            None => return,
        };
        self.become_state(State::ReconnectNeeded, Some(reason), now);
    }

    /// Changes its state; the time stays when it is none.
    pub(super) fn become_state(&mut self, state: State, reason: Option<String>, now: Timestamp) {
        if self.state != state {
            self.since = now;
            self.updated_at = now;
        }
        self.state = state;
        self.reason = reason;
    }

    /// Its settings with the connector's defaults.
    pub(super) fn full_settings(&self, connector: &Connector) -> Json {
        let mut settings = Map::new();
        for (name, field) in &connector.manifest.settings {
            if let Some(value) = self.settings.get(name).or(field.default.as_ref()) {
                settings.insert(name.clone(), value.clone());
            }
        }
        Json::Object(settings)
    }

    /// The scopes it has, where anybody knows.
    pub fn scopes(&self) -> Option<&Vec<String>> {
        self.granted.as_ref().or(self.asked.as_ref())
    }

    /// Where the vault has a secret of it.
    pub(super) fn place(name: &str, secret: &str) -> String {
        format!("connection/{name}/{secret}")
    }
}

fn reach(by: &Principal) -> Reach {
    if by.may("endpoints:private") { Reach::Private } else { Reach::Public }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
