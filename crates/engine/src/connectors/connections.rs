//! The connections: made, changed, used up and made good again. Each change is one commit of the record, its secrets and
//! its events.

mod account;
mod change;
mod credential;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use nexus_core::{
    access::Principal,
    breaker::BreakerState,
    event::NewEvent,
    problem::{Code, Problem},
    sign::Secret,
    store::{Commit, Guard, Key, Write},
};
use nexus_outbound::check_url;
use serde_json::{Value, json};

pub(super) use self::account::{Account, Granting};
use self::change::Change;
use super::{
    check::Connector,
    connection::{ACCESS, Connection, ConnectionPatch, ConnectionView, NewConnection, REFRESH, State},
    error::CallError,
    grant::demand_usable,
    library::Library,
    mail,
    manifest::Transport,
    template::{Name, scalar},
};
use crate::{desk::Desk, document::problem::nearest, vault::Vault};

/// Connections of one hub.
const CONNECTIONS: usize = 1_000;

/// All connections.
#[derive(Debug)]
pub struct Connections {
    desk: Desk,
    vault: Arc<Vault>,
    library: Arc<Library>,
    held: RwLock<BTreeMap<String, Arc<Account>>>,
    /// For connectors that need no connection, by connector.
    bare: RwLock<BTreeMap<String, Arc<Account>>>,
    /// Held while a change is decided and written.
    writing: tokio::sync::Mutex<()>,
}

impl Connections {
    /// Reads them.
    pub async fn open(
        desk: Desk,
        vault: Arc<Vault>,
        library: Arc<Library>,
    ) -> Result<Self, nexus_core::store::StoreError> {
        let stored: Vec<(Connection, u64)> = desk.load().await?;
        let held =
            stored.into_iter().map(|(c, version)| (c.name.clone(), Arc::new(Account::new(c, version)))).collect();
        let (bare, writing) = (RwLock::default(), tokio::sync::Mutex::default());
        Ok(Self { desk, vault, library, held: RwLock::new(held), bare, writing })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<Account>>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, or those of one connector, by name.
    pub fn list(&self, connector: Option<&str>) -> Vec<ConnectionView> {
        let mono = self.desk.clock.mono();
        let all = self.read();
        let views = all.values().map(|account| account.view(mono));
        views.filter(|view| connector.is_none_or(|name| view.connector == name)).collect()
    }

    /// How each connector does that was called: the worst breaker of its connections.
    pub fn breakers(&self) -> BTreeMap<String, BreakerState> {
        let mono = self.desk.clock.mono();
        let mut found = BTreeMap::new();
        let bare = self.bare.read().unwrap_or_else(PoisonError::into_inner);
        for account in self.read().values().chain(bare.values()) {
            let state = account.live().breaker.state(mono);
            let worst = found.entry(account.connection().connector).or_insert(state);
            if *worst == BreakerState::Closed || state == BreakerState::Open {
                *worst = state;
            }
        }
        found
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Result<ConnectionView, Problem> {
        Ok(self.account(name)?.view(self.desk.clock.mono()))
    }

    /// The records, for the list of credentials.
    pub(crate) fn records(&self) -> Vec<Connection> {
        self.read().values().map(|account| account.connection()).collect()
    }

    pub(super) fn account(&self, name: &str) -> Result<Arc<Account>, Problem> {
        let all = self.read();
        all.get(name).cloned().ok_or_else(|| {
            let near = nearest(name, all.keys().map(String::as_str));
            Problem::new(Code::NotFound, format!("there is no connection {name:?}{near}"))
        })
    }

    pub(super) fn connector(&self, name: &str) -> Result<Arc<Connector>, Problem> {
        self.library.get(name).cloned().ok_or_else(|| {
            let near = nearest(name, self.library.names());
            Problem::new(Code::NotFound, format!("there is no connector {name:?}{near}"))
        })
    }

    /// The connection that a call means: the one it names, or the only one there is.
    pub(super) fn pick(&self, connector: &Connector, named: Option<&str>) -> Result<Arc<Account>, CallError> {
        let name = &connector.manifest.name;
        if let Some(named) = named {
            let account = self.account(named).map_err(|problem| {
                let joint = if problem.message.ends_with('?') { " Or" } else { ";" };
                let remedy = format!("make it: nexus connections add {named} --connector {name}");
                CallError::Unknown(format!("{}{joint} {remedy}", problem.message))
            })?;
            let of = account.connection().connector;
            if of != *name {
                return Err(CallError::Connection(format!("{named:?} is a connection of {of}, not of {name}")));
            }
            return Ok(account);
        }
        let all = self.read();
        let mut own = all.values().filter(|account| account.connection().connector == *name);
        match (own.next(), own.next()) {
            (Some(one), None) => Ok(Arc::clone(one)),
            (Some(_), Some(_)) => {
                let names: Vec<&str> =
                    all.iter().filter(|(_, a)| a.connection().connector == *name).map(|(n, _)| n.as_str()).collect();
                Err(CallError::Connection(format!("{name} has several connections; name one of {}", names.join(", "))))
            }
            (None, _) => self.bare(connector).ok_or_else(|| {
                CallError::Connection(format!(
                    "{name} has no connection; make one: nexus connections add NAME --connector {name}"
                ))
            }),
        }
    }

    /// Why a call of this connector, by this connection or the only one, could not be made now; `None`: it could, as far as
    /// is known.
    pub fn lacks(&self, connector: &str, named: Option<&str>) -> Option<String> {
        let connector = self.library.get(connector)?;
        let picked = self.pick(connector, named);
        picked.and_then(|account| demand_usable(&account.connection())).err().map(|error| error.to_string())
    }

    /// For a connector that needs to be told nothing.
    fn bare(&self, connector: &Connector) -> Option<Arc<Account>> {
        let manifest = &connector.manifest;
        let needs =
            manifest.settings.values().chain(manifest.secrets.values()).any(super::manifest::Field::is_required);
        if needs || !matches!(connector.proof, super::auth::Proof::None) {
            return None;
        }
        let mut bare = self.bare.write().unwrap_or_else(PoisonError::into_inner);
        let account = bare.entry(manifest.name.clone()).or_insert_with(|| {
            let nobody = Principal::new("nobody", []);
            let new = NewConnection {
                name: "-".into(),
                connector: manifest.name.clone(),
                settings: Default::default(),
                secrets: BTreeMap::new(),
                scopes: None,
            };
            let made = Connection::unnamed(&new, &nobody, self.desk.now());
            Arc::new(Account::new(made, 0))
        });
        Some(Arc::clone(account))
    }

    /// The secrets of a connection, opened.
    pub(super) fn secrets(&self, connection: &Connection) -> BTreeMap<String, Secret> {
        let open = |name: &String| Some((name.clone(), self.vault.get(&Connection::place(&connection.name, name))?));
        connection.secrets.keys().filter_map(open).collect()
    }

    /// The access token, or the one that refreshes it.
    pub(super) fn token(&self, connection: &Connection, which: &str) -> Option<Secret> {
        self.vault.get(&Connection::place(&connection.name, which))
    }

    /// Makes a connection.
    pub async fn create(&self, new: NewConnection, by: &Principal) -> Result<ConnectionView, Problem> {
        let connector = self.library.get(&new.connector).cloned().ok_or_else(|| {
            let near = nearest(&new.connector, self.library.names());
            Problem::field("connector", format!("there is no connector {:?}{near}", new.connector))
        })?;
        let _turn = self.writing.lock().await;
        if self.read().contains_key(&new.name) {
            return Err(Problem::new(Code::Conflict, format!("there is a connection {:?} already", new.name)));
        }
        if self.read().len() >= CONNECTIONS {
            let message = format!("there are {CONNECTIONS} connections already; remove some");
            return Err(Problem::new(Code::Conflict, message));
        }
        let made = Connection::make(&new, &connector, by, self.desk.now())?;
        self.demand_address(&made, &connector)?;
        let detail = json!({"name": made.name, "connector": made.connector});
        let mut events = vec![
            self.desk.audit(by, "connection.created", &detail),
            self.desk.notice("connection.created", &told(&made)),
        ];
        events.extend(self.entered(None, &made));
        let mut commit = Commit { guards: vec![Guard::Absent(Key::of::<Connection>(&made.name))], ..Commit::default() };
        for (name, secret) in &new.secrets {
            commit.documents.push(self.vault.put(&Connection::place(&made.name, name), secret.expose())?);
        }
        commit.documents.push(put(&made)?);
        commit.events = events;
        self.desk.commit(commit).await?;
        for (name, secret) in &new.secrets {
            self.vault.opened(&Connection::place(&made.name, name), secret.expose());
        }
        let account = Arc::new(Account::new(made.clone(), 1));
        let view = account.view(self.desk.clock.mono());
        self.held.write().unwrap_or_else(PoisonError::into_inner).insert(made.name, account);
        Ok(view)
    }

    /// Changes one.
    pub async fn update(&self, name: &str, patch: ConnectionPatch, by: &Principal) -> Result<ConnectionView, Problem> {
        let account = self.account(name)?;
        let connector = self.connector(&account.connection().connector)?;
        self.change(&account, |old| {
            let next = old.clone().patched(&patch, &connector, by, self.desk.now())?;
            self.demand_address(&next, &connector)?;
            let settings: Vec<&String> = patch.settings.keys().collect();
            let secrets: Vec<&String> = patch.secrets.keys().collect();
            let detail = json!({"name": next.name, "settings": settings, "secrets": secrets, "state": next.state});
            let mut events = vec![
                self.desk.audit(by, "connection.updated", &detail),
                self.desk.notice("connection.updated", &told(&next)),
            ];
            events.extend(self.entered(Some(old), &next));
            let secrets = patch.secrets.iter().map(|(name, secret)| (name.clone(), secret.clone())).collect();
            Ok(Change { next, secrets, forgotten: Vec::new(), events })
        })
        .await?;
        Ok(account.view(self.desk.clock.mono()))
    }

    /// Takes one out, with its secrets.
    pub async fn remove(&self, name: &str, by: &Principal) -> Result<(), Problem> {
        let _turn = self.writing.lock().await;
        let connection = self.account(name)?.connection();
        let places = places(&connection);
        let mut documents: Vec<Write> = places.iter().map(|place| Vault::remove(place)).collect();
        documents.push(Write::Delete(Key::of::<Connection>(name)));
        let detail = json!({"name": name, "connector": connection.connector});
        let events =
            vec![self.desk.audit(by, "connection.removed", &detail), self.desk.notice("connection.removed", &detail)];
        self.desk.commit(Commit { documents, events, ..Commit::default() }).await?;
        places.iter().for_each(|place| self.vault.forget(place));
        self.held.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }

    /// The event of entering another state.
    fn entered(&self, old: Option<&Connection>, next: &Connection) -> Option<NewEvent> {
        if old.is_some_and(|old| old.state == next.state) {
            return None;
        }
        let topic = match next.state {
            State::Connected => "connection.connected",
            State::ReconnectNeeded => "connection.reconnect_needed",
            State::Disabled => return None,
        };
        // A connection that was just made has no state before: that it is not connected yet is no news.
        let before = old.map(|old| old.state);
        let data = json!({"name": next.name, "connector": next.connector, "reason": next.reason, "before": before});
        Some(self.desk.notice(topic, &data))
    }

    /// Refuses an address that may not be called, as far as it can be told before the first call.
    fn demand_address(&self, connection: &Connection, connector: &Connector) -> Result<(), Problem> {
        let settings = connection.full_settings(connector);
        let known = connector.base.names().all(|name| matches!(name, Name::Setting(_)));
        if !known {
            return Ok(());
        }
        let filled = connector.base.fill::<()>(|name| match name {
            Name::Setting(name) => {
                Ok(scalar(settings.get(name).unwrap_or(&Value::Null)).ok().flatten().unwrap_or_default())
            }
            _ => Err(()),
        });
        let field = connector.base.names().find_map(|name| match name {
            Name::Setting(name) => Some(format!("settings.{name}")),
            _ => None,
        });
        let Ok(url) = filled else { return Ok(()) };
        let checked = match connector.manifest.transport {
            Transport::Http => check_url(&url, connection.reach),
            Transport::Smtp => mail::check(&url, connection.reach),
        };
        checked.map_err(|error| Problem::field(&field.unwrap_or_else(|| "connector".into()), error.message))
    }
}

/// Where the vault has anything of a connection.
fn places(connection: &Connection) -> Vec<String> {
    let own = connection.secrets.keys().map(String::as_str);
    own.chain([ACCESS, REFRESH]).map(|secret| Connection::place(&connection.name, secret)).collect()
}

fn told(connection: &Connection) -> Value {
    json!({"name": connection.name, "connector": connection.connector, "state": connection.state,
        "reason": connection.reason})
}

fn put(connection: &Connection) -> Result<Write, Problem> {
    Write::put(connection).map_err(|e| Problem::new(Code::Internal, e.to_string()))
}
