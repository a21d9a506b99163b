//! API tokens: opaque `nxs_…` texts of which only a hash is kept.

use std::{collections::HashMap, sync::RwLock};

use nexus_core::{
    access::{Principal, Scope},
    problem::{Code, Problem},
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value},
    store::{Commit, Guard, Key, StoreError, Write},
    time::Timestamp,
};
use ring::digest;
use serde::{Deserialize, Serialize};

use crate::desk::{Created, Desk, check_name};

/// A token as stored: who it is for and what it may do, never the token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredToken {
    id: String,
    name: String,
    hash: String,
    scopes: Vec<Scope>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    reason: Option<String>,
}

static TOKENS: Collection = Collection {
    name: "tokens",
    columns: &[Column { name: "hash", kind: ColumnType::Text }],
    indexes: &[Index { name: "by_hash", columns: &["hash"], kind: IndexKind::Unique, only: None }],
};

impl Record for StoredToken {
    const COLLECTION: &'static Collection = &TOKENS;
    fn key(&self) -> String {
        self.id.clone()
    }
    fn columns(&self) -> Vec<Value> {
        vec![self.hash.as_str().into()]
    }
}

/// A token as shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Always `api_token`.
    pub kind: &'static str,
    /// `active`, `expiring` (within a week), `revoked` or `expired`.
    pub status: &'static str,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Since, ISO 8601.
    pub created_at: String,
    /// Until, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it was last presented to this process, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// `[a-z0-9_.-]{1,64}`.
    pub name: String,
    /// At least one.
    pub scopes: Vec<Scope>,
    /// Until.
    pub expires_at: Option<Timestamp>,
}

/// A token that is not in force yet.
pub struct Minted {
    token: StoredToken,
    plain: String,
}

impl Minted {
    /// The token itself, which nobody can read later.
    pub fn plain(&self) -> &str {
        &self.plain
    }
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Minted({})", self.token.id)
    }
}

#[derive(Debug)]
struct Held {
    token: StoredToken,
    version: u64,
    last_used: std::sync::atomic::AtomicI64,
}

/// The token desk.
#[derive(Debug)]
pub struct Tokens {
    desk: Desk,
    by_hash: RwLock<HashMap<String, Held>>,
}

fn hash(presented: &str) -> String {
    data_encoding::HEXLOWER.encode(digest::digest(&digest::SHA256, presented.as_bytes()).as_ref())
}

impl Tokens {
    /// Reads all tokens.
    pub async fn open(desk: Desk) -> Result<Self, StoreError> {
        let stored: Vec<(StoredToken, u64)> = desk.load().await?;
        let by_hash = stored
            .into_iter()
            .map(|(token, version)| (token.hash.clone(), Held { token, version, last_used: 0.into() }))
            .collect();
        Ok(Self { desk, by_hash: RwLock::new(by_hash) })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, Held>> {
        self.by_hash.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Who presents this token, if it is in force. Looked up by hash, so that timing tells nothing of the token.
    pub fn authenticate(&self, presented: &str) -> Option<Principal> {
        if !presented.starts_with("nxs_") || presented.len() > 128 {
            return None;
        }
        let now = self.desk.now();
        let held = self.read();
        let entry = held.get(&hash(presented))?;
        let token = &entry.token;
        if token.revoked_at.is_some() || token.expires_at.is_some_and(|at| at <= now) {
            return None;
        }
        entry.last_used.store(now.micros(), std::sync::atomic::Ordering::Relaxed);
        Some(Principal::new(format!("token:{}", token.name), token.scopes.iter().cloned()))
    }

    /// Whether any token exists.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Makes a token. It can't hold a scope that `by` does not.
    pub async fn create(&self, new: NewToken, by: &Principal) -> Result<Created<ApiToken>, Problem> {
        let minted = self.mint(new, by)?;
        let plain = minted.plain.clone();
        let value = self.keep(minted, by).await?;
        Ok(Created { value, secret: Some(plain) })
    }

    /// Makes a token that is not in force before [`Self::keep`]: for whoever has to put it in a safe place first.
    pub fn mint(&self, new: NewToken, by: &Principal) -> Result<Minted, Problem> {
        check_name("name", &new.name)?;
        if new.scopes.is_empty() {
            return Err(Problem::field("scopes", "name at least one scope"));
        }
        if new.expires_at.is_some_and(|at| at <= self.desk.now()) {
            return Err(Problem::field("expiresAt", "lies in the past"));
        }
        if let Some(scope) = new.scopes.iter().find(|s| !by.may_give(s)) {
            return Err(Problem::new(
                Code::Forbidden,
                format!("a token can't give scope {scope}, which you do not hold"),
            ));
        }
        let plain =
            format!("nxs_{}", data_encoding::BASE32_NOPAD.encode(&self.desk.random::<32>()?).to_ascii_lowercase());
        let id = data_encoding::HEXLOWER.encode(&self.desk.random::<8>()?);
        let token = StoredToken {
            id: format!("tok_{id}"),
            name: new.name,
            hash: hash(&plain),
            scopes: new.scopes,
            created_at: self.desk.now(),
            expires_at: new.expires_at,
            revoked_at: None,
            reason: None,
        };
        Ok(Minted { token, plain })
    }

    /// Puts a minted token in force.
    pub async fn keep(&self, minted: Minted, by: &Principal) -> Result<ApiToken, Problem> {
        let token = minted.token;
        let detail = serde_json::json!({"id": token.id, "name": token.name, "scopes": token.scopes});
        self.write(token.clone(), 0, by, "token.created", &detail).await?;
        Ok(self.show(&token, 0))
    }

    async fn write(
        &self,
        token: StoredToken,
        version: u64,
        by: &Principal,
        action: &str,
        detail: &serde_json::Value,
    ) -> Result<(), Problem> {
        let key = Key::of::<StoredToken>(&token.id);
        let guard = if version == 0 { Guard::Absent(key) } else { Guard::Version(key, version) };
        let write = Write::put(&token).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
        let commit = Commit {
            guards: vec![guard],
            documents: vec![write],
            events: vec![self.desk.audit(by, action, detail)],
            ..Commit::default()
        };
        self.desk.commit(commit).await?;
        let held = Held { version: version + 1, last_used: 0.into(), token };
        self.by_hash.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(held.token.hash.clone(), held);
        Ok(())
    }

    /// All tokens, oldest first.
    pub fn list(&self) -> Vec<ApiToken> {
        let held = self.read();
        let mut all: Vec<&Held> = held.values().collect();
        all.sort_by_key(|h| (h.token.created_at, h.token.id.clone()));
        all.iter().map(|h| self.show(&h.token, h.last_used.load(std::sync::atomic::Ordering::Relaxed))).collect()
    }

    /// One token.
    pub fn get(&self, id: &str) -> Result<ApiToken, Problem> {
        self.list()
            .into_iter()
            .find(|t| t.id == id)
            .ok_or_else(|| Problem::new(Code::NotFound, format!("there is no token {id:?}")))
    }

    /// Ends a token at once. Revoking twice is fine.
    pub async fn revoke(&self, id: &str, reason: Option<String>, by: &Principal) -> Result<ApiToken, Problem> {
        let found = self.read().values().find(|h| h.token.id == id).map(|h| (h.token.clone(), h.version));
        let Some((mut token, version)) = found else {
            return Err(Problem::new(Code::NotFound, format!("there is no token {id:?}")));
        };
        if token.revoked_at.is_none() {
            token.revoked_at = Some(self.desk.now());
            token.reason = reason;
            let detail = serde_json::json!({"id": token.id, "name": token.name, "reason": token.reason});
            self.write(token.clone(), version, by, "token.revoked", &detail).await?;
        }
        Ok(self.show(&token, 0))
    }

    fn show(&self, token: &StoredToken, last_used: i64) -> ApiToken {
        let now = self.desk.now();
        let week = std::time::Duration::from_secs(7 * 24 * 3600);
        let status = match (token.revoked_at, token.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(at)) if at <= now => "expired",
            (None, Some(at)) if at <= now.plus(week) => "expiring",
            _ => "active",
        };
        ApiToken {
            id: token.id.clone(),
            name: token.name.clone(),
            kind: "api_token",
            status,
            scopes: token.scopes.clone(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.map(|t| t.to_string()),
            last_used_at: (last_used != 0).then(|| Timestamp::from_micros(last_used).to_string()),
        }
    }
}
