//! All credentials in one list: API tokens, keys of JSON Web Tokens, secrets of sources, named secrets, and connections to
//! platforms. What rotating and revoking mean for each is decided here; each desk does it. Those that are kept elsewhere (secrets in the
//! environment, the keys of a key set) are listed by name and changed where they are.

use std::sync::Arc;

use nexus_core::{
    access::{Principal, Scope},
    problem::{Code, Problem},
    store::CommitError,
    time::Timestamp,
};
use ring::digest;

use super::{ApiToken, Grace, Kind, Life, NewToken, Status, Tokens};
use crate::{
    connectors::{
        Connections,
        connection::{Connection, State},
    },
    desk::{ATTEMPTS, Created, refused},
    jwt::{Jwts, NewKey},
    plan::Plan,
    source::{SecretInfo, Source},
    sources::Sources,
    vault::Vault,
};

/// How a credential is to be rotated.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// How long the old one goes on.
    pub grace: Grace,
    /// The new value, where the hub can't make it: a provider's key, the public part of a pair.
    pub key: Option<String>,
}

/// Which credential an id names.
enum Found {
    Token,
    Key,
    Node { source: Box<Source>, secret: SecretInfo },
    Named(String, Timestamp),
    Connection(Box<Connection>),
    Elsewhere(Box<ApiToken>),
}

/// All credentials. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) jwts: Arc<Jwts>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) connections: Arc<Connections>,
}

impl Credentials {
    /// All of them, without a secret.
    pub fn list(&self) -> Vec<ApiToken> {
        let mut all = self.tokens.list();
        all.extend(self.jwts.list());
        for source in self.sources.list() {
            all.extend(source.secrets.iter().map(|secret| self.node(&source, secret)));
        }
        all.extend(self.vault.named().iter().map(|(name, at)| named(name, *at)));
        all.extend(self.connections.records().iter().map(|connection| self.account(connection)));
        all.extend(self.elsewhere());
        all
    }

    /// Those that the hub uses and does not keep.
    fn elsewhere(&self) -> Vec<ApiToken> {
        let now = self.tokens.desk.now();
        let variables = self.sources.environment().into_iter().map(|(variable, source, since)| ApiToken {
            owner: Some(source),
            origin: Some("environment"),
            ..ApiToken::of(short("env", &variable), &variable, Kind::NodeSecret, Life::since(since), now)
        });
        let keys = self.jwts.foreign().into_iter().map(|(n, key, read_at)| {
            let name = key.kid.clone().unwrap_or_else(|| format!("key {} of the set", n + 1));
            ApiToken {
                algorithm: Some(key.algorithm.as_str().to_owned()),
                origin: Some("key set"),
                ..ApiToken::of(short("jwks", &format!("{n}/{name}")), &name, Kind::JwtKey, Life::since(read_at), now)
            }
        });
        variables.chain(keys).collect()
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Result<ApiToken, Problem> {
        match self.find(id)? {
            Found::Token => self.tokens.get(id),
            Found::Key => self.jwts.list().into_iter().find(|key| key.id == id).ok_or_else(|| nothing(id)),
            Found::Node { source, secret } => Ok(self.node(&source, &secret)),
            Found::Named(name, at) => Ok(named(&name, at)),
            Found::Connection(connection) => Ok(self.account(&connection)),
            Found::Elsewhere(shown) => Ok(*shown),
        }
    }

    fn find(&self, id: &str) -> Result<Found, Problem> {
        if id.starts_with("jwk_") {
            return Ok(Found::Key);
        }
        if id.starts_with("env_") || id.starts_with("jwks_") {
            let found = self.elsewhere().into_iter().find(|shown| shown.id == id);
            return found.map(|shown| Found::Elsewhere(Box::new(shown))).ok_or_else(|| nothing(id));
        }
        if id.starts_with("node_") {
            for source in self.sources.list() {
                if let Some(secret) = source.secrets.iter().find(|secret| node_id(&secret.name) == id) {
                    return Ok(Found::Node { secret: secret.clone(), source: Box::new(source) });
                }
            }
            return Err(nothing(id));
        }
        if id.starts_with("key_") {
            let found = self.vault.named().into_iter().find(|(name, _)| named_id(name) == id);
            return found.map(|(name, at)| Found::Named(name, at)).ok_or_else(|| nothing(id));
        }
        if id.starts_with("con_") {
            let found = self.connections.records().into_iter().find(|connection| connection_id(&connection.name) == id);
            return found.map(|connection| Found::Connection(Box::new(connection))).ok_or_else(|| nothing(id));
        }
        Ok(Found::Token)
    }

    /// A connection is as good as what the platform gave for it.
    fn account(&self, connection: &Connection) -> ApiToken {
        let ends = connection.token.as_ref().filter(|token| !token.refreshable).and_then(|token| token.expires_at);
        let status = match connection.state {
            State::Connected => Status::by_end(ends, self.tokens.desk.now()),
            State::ReconnectNeeded => Status::Expired,
            State::Disabled => Status::Revoked,
        };
        let (id, life) = (connection_id(&connection.name), Life::since(connection.created_at));
        ApiToken {
            owner: Some(connection.connector.clone()),
            expires_at: ends.map(|at| at.to_string()),
            status,
            ..ApiToken::of(id, &connection.name, Kind::OauthConnection, life, self.tokens.desk.now())
        }
    }

    fn node(&self, source: &Source, secret: &SecretInfo) -> ApiToken {
        let newest = source.secrets.first().is_some_and(|first| first.name == secret.name);
        let status = match (newest, secret.expires_at) {
            (false, Some(_)) => Status::Rotated,
            _ => Status::by_end(secret.expires_at, self.tokens.desk.now()),
        };
        let life = Life { expires_at: secret.expires_at, ..Life::since(secret.created_at) };
        ApiToken {
            owner: Some(source.id.clone()),
            status,
            ..ApiToken::of(node_id(&secret.name), &source.id, Kind::NodeSecret, life, self.tokens.desk.now())
        }
    }

    /// Makes a token.
    pub async fn create(&self, new: NewToken, by: &Principal) -> Result<Created<ApiToken>, Problem> {
        self.tokens.create(new, by).await
    }

    /// Keeps a key for JSON Web Tokens.
    pub async fn create_key(&self, new: NewKey, by: &Principal) -> Result<Created<ApiToken>, Problem> {
        self.jwts.plan_create(new, by)?.carry_out(&self.tokens.desk).await
    }

    /// Gives a token other scopes.
    pub async fn change(&self, id: &str, scopes: Vec<Scope>, by: &Principal) -> Result<ApiToken, Problem> {
        match self.find(id)? {
            Found::Token => {
                let decide = || self.tokens.plan_change(id, scopes.clone(), self.jwts.opens_a_door(), by);
                Ok(self.until_it_holds(decide).await?.value)
            }
            Found::Key | Found::Node { .. } | Found::Named(..) | Found::Connection(_) | Found::Elsewhere(_) => {
                Err(Problem::new(Code::Conflict, format!("{id:?} is no token of the hub's own: it has no scopes")))
            }
        }
    }

    /// Rotates one.
    pub async fn rotate(&self, id: &str, how: Rotation, by: &Principal) -> Result<Created<ApiToken>, Problem> {
        self.until_it_holds(|| self.plan_rotate(id, how.clone(), by)).await
    }

    /// Revokes one.
    pub async fn revoke(&self, id: &str, reason: Option<String>, by: &Principal) -> Result<ApiToken, Problem> {
        Ok(self.until_it_holds(|| self.plan_revoke(id, reason.clone(), by)).await?.value)
    }

    /// Decides again where what was decided on changed meanwhile: who revokes a token that is being rotated means it.
    async fn until_it_holds<T>(&self, decide: impl Fn() -> Result<Plan<T>, Problem>) -> Result<Created<T>, Problem> {
        let desk = &self.tokens.desk;
        for attempt in 0..ATTEMPTS {
            match decide()?.try_out(desk).await {
                Err(CommitError::Conflict { .. } | CommitError::Timer(_)) => desk.let_pass(attempt).await,
                done => return done.map_err(|error| refused(&error)),
            }
        }
        decide()?.carry_out(desk).await
    }

    /// See [`Self::rotate`]. A token and a node secret get a new value; a provider's key gets the one that is given, at
    /// once, as the old one ends at the provider.
    pub fn plan_rotate(&self, id: &str, how: Rotation, by: &Principal) -> Result<Plan<ApiToken>, Problem> {
        if !by.is_token(id) {
            by.demand("tokens:write")?;
        }
        let grace = how.grace;
        match self.find(id)? {
            Found::Token if how.key.is_some() => {
                Err(Problem::field("key", "the hub makes the new token itself; leave it out"))
            }
            Found::Token => self.tokens.plan_rotate(id, grace, by),
            Found::Key => self.jwts.plan_rotate(id, grace, how.key, by),
            Found::Node { source, .. } => {
                by.demand("sources:write")?;
                let plan = self.sources.plan_secret(&source.id, how.key, Some(grace.lasts()), by)?;
                self.told("token.rotated", plan, |own, source| {
                    source.secrets.first().map(|secret| own.node(source, secret))
                })
            }
            Found::Named(name, _) => {
                by.demand("secrets:write")?;
                let value = how.key.ok_or_else(|| Problem::field("key", "give the new value"))?;
                let plan = self.vault.plan_named(&name, &value, by)?;
                let now = self.tokens.desk.now();
                self.told("token.rotated", plan, |_, ()| Some(named(&name, now)))
            }
            Found::Connection(connection) => {
                by.demand("connectors:admin")?;
                let plan = self.connections.plan_rotate(&connection.name, how.key, by)?;
                self.told("token.rotated", plan, |own, next| Some(own.account(next)))
            }
            Found::Elsewhere(shown) => Err(kept_elsewhere(&shown)),
        }
    }

    /// See [`Self::revoke`].
    pub fn plan_revoke(&self, id: &str, reason: Option<String>, by: &Principal) -> Result<Plan<ApiToken>, Problem> {
        if !by.is_token(id) {
            by.demand("tokens:write")?;
        }
        match self.find(id)? {
            Found::Token => self.tokens.plan_revoke(id, reason, self.jwts.opens_a_door(), by),
            Found::Key => self.jwts.plan_revoke(id, reason, by),
            Found::Node { source, secret } => {
                by.demand("sources:write")?;
                let plan = self.sources.plan_remove_secret(&source.id, &secret.name, by)?;
                let gone = ApiToken { status: Status::Revoked, ..self.node(&source, &secret) };
                self.told("token.revoked", plan, |_, _| Some(gone))
            }
            Found::Named(name, at) => {
                by.demand("secrets:write")?;
                let plan = self.vault.plan_delete_named(&name, by)?;
                let gone = ApiToken { status: Status::Revoked, ..named(&name, at) };
                self.told("token.revoked", plan, |_, ()| Some(gone))
            }
            Found::Connection(connection) => {
                by.demand("connectors:admin")?;
                let plan = self.connections.plan_revoke(&connection.name, reason.as_deref(), by)?;
                self.told("token.revoked", plan, |own, next| Some(own.account(next)))
            }
            Found::Elsewhere(shown) => Err(kept_elsewhere(&shown)),
        }
    }

    /// Answers with the credential, and tells of it by the event that all kinds share.
    fn told<T>(
        &self,
        topic: &str,
        mut plan: Plan<T>,
        show: impl FnOnce(&Self, &T) -> Option<ApiToken>,
    ) -> Result<Plan<ApiToken>, Problem> {
        let shown = show(self, &plan.value).ok_or_else(|| Problem::new(Code::Internal, "the credential is gone"))?;
        plan.commit.events.push(self.tokens.desk.notice(topic, &serde_json::json!({"token": shown})));
        Ok(plan.map(|_| shown))
    }
}

fn nothing(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no token {id:?}"))
}

fn short(prefix: &str, name: &str) -> String {
    let digest = digest::digest(&digest::SHA256, name.as_bytes());
    let first: Vec<u8> = digest.as_ref().iter().take(8).copied().collect();
    format!("{prefix}_{}", data_encoding::HEXLOWER.encode(&first))
}

fn node_id(name: &str) -> String {
    short("node", name)
}

fn named_id(name: &str) -> String {
    short("key", name)
}

fn connection_id(name: &str) -> String {
    short("con", name)
}

fn named(name: &str, at: Timestamp) -> ApiToken {
    ApiToken::of(named_id(name), name, Kind::ProviderKey, Life::since(at), at)
}

/// The hub can't change what it does not keep.
fn kept_elsewhere(shown: &ApiToken) -> Problem {
    let how = match shown.origin {
        Some("environment") => "is set in the environment: change it there and start the hub again",
        _ => "is part of a key set that lies elsewhere: change it there, the hub reads the set again",
    };
    Problem::new(Code::Conflict, format!("{:?} {how}", shown.name))
}
