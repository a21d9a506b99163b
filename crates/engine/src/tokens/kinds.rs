//! All credentials in one list: API tokens, keys of JSON Web Tokens, secrets of sources, and named secrets. What rotating
//! and revoking mean for each is decided here; each desk does it.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    access::{Principal, Scope},
    problem::{Code, Problem},
    time::Timestamp,
};
use ring::digest;

use super::{ApiToken, DEFAULT_GRACE, Kind, NewToken, Status, Tokens};
use crate::{
    desk::Created,
    jwt::{Jwts, NewKey},
    plan::Plan,
    source::{SecretInfo, Source},
    sources::Sources,
    vault::Vault,
};

/// How a credential is to be rotated.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// How long the old one goes on; [`DEFAULT_GRACE`] when absent.
    pub grace: Option<Duration>,
    /// The new value, where the hub can't make it: a provider's key, the public part of a pair.
    pub key: Option<String>,
}

/// Which credential an id names.
enum Found {
    Token,
    Key,
    Node { source: Box<Source>, secret: SecretInfo },
    Named(String, Timestamp),
}

/// All credentials. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) jwts: Arc<Jwts>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) vault: Arc<Vault>,
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
        all
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Result<ApiToken, Problem> {
        match self.find(id)? {
            Found::Token => self.tokens.get(id),
            Found::Key => self.jwts.list().into_iter().find(|key| key.id == id).ok_or_else(|| nothing(id)),
            Found::Node { source, secret } => Ok(self.node(&source, &secret)),
            Found::Named(name, at) => Ok(named(&name, at)),
        }
    }

    fn find(&self, id: &str) -> Result<Found, Problem> {
        if id.starts_with("jwk_") {
            return Ok(Found::Key);
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
        Ok(Found::Token)
    }

    fn node(&self, source: &Source, secret: &SecretInfo) -> ApiToken {
        let newest = source.secrets.first().is_some_and(|first| first.name == secret.name);
        let status = match (newest, secret.expires_at) {
            (false, Some(_)) => Status::Rotated,
            _ => Status::by_end(secret.expires_at, self.tokens.desk.now()),
        };
        ApiToken {
            owner: Some(source.id.clone()),
            expires_at: secret.expires_at.map(|t| t.to_string()),
            ..plain(node_id(&secret.name), &source.id, Kind::NodeSecret, status, secret.created_at)
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
            Found::Token => self.tokens.change(id, scopes, by).await,
            Found::Key | Found::Node { .. } | Found::Named(..) => {
                Err(Problem::new(Code::Conflict, format!("{id:?} is no token of the hub's own: it has no scopes")))
            }
        }
    }

    /// Rotates one.
    pub async fn rotate(&self, id: &str, how: Rotation, by: &Principal) -> Result<Created<ApiToken>, Problem> {
        self.plan_rotate(id, how, by)?.carry_out(&self.tokens.desk).await
    }

    /// Revokes one.
    pub async fn revoke(&self, id: &str, reason: Option<String>, by: &Principal) -> Result<ApiToken, Problem> {
        Ok(self.plan_revoke(id, reason, by)?.carry_out(&self.tokens.desk).await?.value)
    }

    /// See [`Self::rotate`]. A token and a node secret get a new value; a provider's key gets the one that is given, at
    /// once, as the old one ends at the provider.
    pub fn plan_rotate(&self, id: &str, how: Rotation, by: &Principal) -> Result<Plan<ApiToken>, Problem> {
        if !by.is_token(id) {
            by.demand("tokens:write")?;
        }
        let grace = how.grace.unwrap_or(DEFAULT_GRACE);
        match self.find(id)? {
            Found::Token if how.key.is_some() => {
                Err(Problem::field("key", "the hub makes the new token itself; leave it out"))
            }
            Found::Token => self.tokens.plan_rotate(id, grace, by),
            Found::Key => self.jwts.plan_rotate(id, grace, how.key, by),
            Found::Node { source, .. } => {
                by.demand("sources:write")?;
                let plan = self.sources.plan_secret(&source.id, how.key, Some(grace), by)?;
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
        }
    }

    /// See [`Self::revoke`].
    pub fn plan_revoke(&self, id: &str, reason: Option<String>, by: &Principal) -> Result<Plan<ApiToken>, Problem> {
        if !by.is_token(id) {
            by.demand("tokens:write")?;
        }
        match self.find(id)? {
            Found::Token => self.tokens.plan_revoke(id, reason, by),
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

fn named(name: &str, at: Timestamp) -> ApiToken {
    plain(named_id(name), name, Kind::ProviderKey, Status::Active, at)
}

fn plain(id: String, name: &str, kind: Kind, status: Status, created_at: Timestamp) -> ApiToken {
    ApiToken {
        id,
        name: name.to_owned(),
        kind,
        status,
        scopes: Vec::new(),
        created_at: created_at.to_string(),
        expires_at: None,
        last_used_at: None,
        rotated_from: None,
        rotated_to: None,
        algorithm: None,
        owner: None,
    }
}
