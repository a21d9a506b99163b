//! JSON Web Tokens: keys of the hub's own (sealed in the vault), a key set from elsewhere, and who shows a token.
//!
//! A token that was verified is remembered by its hash until it ends, or until any key changes: verifying a signature
//! takes longer than everything else that a request needs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    store::{Commit, Guard, Key, StoreError, Write},
    time::Timestamp,
};
use ring::digest;
use serde_json::json;
use tokio::sync::watch;

use crate::{
    desk::{Desk, check_name},
    plan::Plan,
    tokens::{ApiToken, Grace},
    vault::Vault,
};

mod key;
mod pem;
mod remote;
mod stored;
#[cfg(test)]
mod tests;
mod verify;

use self::{key::JWK_BYTES, remote::Remote};
pub use self::{
    key::{Algorithm, KeyError, VerifyingKey},
    remote::{KeySource, UrlKeys},
    stored::StoredKey,
    verify::{JwtError, Rules, Verified, verify},
};

/// Verified tokens that are remembered.
const REMEMBERED: usize = 16_384;
/// Keys of the hub's own.
const KEYS: usize = 256;

/// Settings.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// What a token must say.
    pub rules: Rules,
    /// A key set from elsewhere.
    pub source: Option<Arc<dyn KeySource>>,
    /// How old the key set may grow.
    pub refresh: Duration,
    /// Least time between two fetches of the key set.
    pub interval: Duration,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            rules: Rules {
                issuers: Vec::new(),
                audiences: vec!["nexus".to_owned()],
                leeway: Duration::from_secs(30),
                scope_claim: None,
            },
            source: None,
            refresh: Duration::from_secs(600),
            interval: Duration::from_secs(30),
        }
    }
}

/// A key to be kept: a shared secret, or the public part of a pair as a JSON Web Key or as PEM.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// `[a-z0-9_.-]{1,64}`.
    pub name: String,
    /// What it verifies.
    pub algorithm: Algorithm,
    /// The key; a shared secret is made where none is given.
    pub key: Option<String>,
    /// Until.
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Remembered {
    verified: Verified,
    generation: u64,
}

/// The desk of keys and of those who show tokens made with them.
#[derive(Debug)]
pub struct Jwts {
    desk: Desk,
    vault: Arc<Vault>,
    config: JwtConfig,
    stored: RwLock<BTreeMap<String, (StoredKey, u64)>>,
    remote: Option<Remote>,
    remembered: RwLock<HashMap<[u8; 32], Remembered>>,
    generation: AtomicU64,
    evict: Mutex<()>,
    changes: Arc<watch::Sender<u64>>,
}

impl Jwts {
    /// Reads the keys.
    pub async fn open(
        desk: Desk,
        vault: Arc<Vault>,
        config: JwtConfig,
        changes: Arc<watch::Sender<u64>>,
    ) -> Result<Self, StoreError> {
        let stored: Vec<(StoredKey, u64)> = desk.load().await?;
        let stored = stored.into_iter().map(|(key, version)| (key.id.clone(), (key, version))).collect();
        let remote = config.source.clone().map(|source| Remote::new(source, config.interval, Arc::clone(&desk.clock)));
        Ok(Self {
            desk,
            vault,
            config,
            stored: RwLock::new(stored),
            remote,
            remembered: RwLock::default(),
            generation: AtomicU64::new(0),
            evict: Mutex::default(),
            changes,
        })
    }

    /// Fetches the key set now and then, for as long as the hub runs.
    pub async fn run(self: Arc<Self>) {
        let Some(remote) = &self.remote else { return };
        loop {
            let seen = remote.keys();
            if remote.refresh(&seen).await {
                self.changed();
            }
            let pause = if remote.keys().is_empty() { self.config.interval } else { self.config.refresh };
            self.desk.clock.sleep(pause.max(Duration::from_secs(1))).await;
        }
    }

    /// Everything that was verified is to be verified again.
    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Who shows this token.
    pub async fn authenticate(&self, presented: &str) -> Result<Arc<Principal>, Problem> {
        let now = self.desk.now();
        let digest = hash(presented);
        if let Some(principal) = self.recall(&digest, now) {
            return Ok(principal);
        }
        let generation = self.generation.load(Ordering::Acquire);
        let seen = self.remote.as_ref().map(Remote::keys);
        let mut found = verify(presented, &self.keys(now), &self.config.rules, now);
        if let (Err(JwtError::UnknownKey), Some(remote), Some(seen)) = (&found, &self.remote, &seen)
            && remote.refresh(seen).await
        {
            self.changed();
            found = verify(presented, &self.keys(now), &self.config.rules, now);
        }
        let verified = found
            .map_err(|error| Problem::new(Code::Unauthenticated, format!("the token is not accepted: {error}")))?;
        let principal = Arc::clone(&verified.principal);
        self.remember(digest, Remembered { verified, generation }, now);
        Ok(principal)
    }

    /// As [`Self::authenticate`], without fetching a key set.
    pub fn recognise(&self, presented: &str) -> Option<Arc<Principal>> {
        let now = self.desk.now();
        let digest = hash(presented);
        if let Some(principal) = self.recall(&digest, now) {
            return Some(principal);
        }
        let generation = self.generation.load(Ordering::Acquire);
        let verified = verify(presented, &self.keys(now), &self.config.rules, now).ok()?;
        let principal = Arc::clone(&verified.principal);
        self.remember(digest, Remembered { verified, generation }, now);
        Some(principal)
    }

    /// When a token that holds now ends: by its own word, or with its key.
    pub fn ends(&self, presented: &str) -> Option<Timestamp> {
        let now = self.desk.now();
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        let generation = self.generation.load(Ordering::Acquire);
        let known = remembered.get(&hash(presented)).filter(|found| found.generation == generation);
        if let Some(known) = known {
            return Some(known.verified.until);
        }
        drop(remembered);
        // One that is not remembered, as others were remembering, or that has ended.
        let verified = verify(presented, &self.keys(now), &self.config.rules, now);
        Some(verified.map_or(now, |verified| verified.until))
    }

    fn recall(&self, digest: &[u8; 32], now: Timestamp) -> Option<Arc<Principal>> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        let found = remembered.get(digest)?;
        let holds = found.verified.until > now && found.generation == self.generation.load(Ordering::Acquire);
        holds.then(|| Arc::clone(&found.verified.principal))
    }

    fn remember(&self, digest: [u8; 32], new: Remembered, now: Timestamp) {
        // One at a time looks for room; the others go on unremembered.
        let Ok(_one) = self.evict.try_lock() else { return };
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            let generation = new.generation;
            remembered.retain(|_, r| r.verified.until > now && r.generation == generation);
        }
        if remembered.len() >= REMEMBERED {
            let mut keep = false;
            remembered.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        remembered.insert(digest, new);
    }

    /// Every key in force.
    fn keys(&self, now: Timestamp) -> Vec<Arc<VerifyingKey>> {
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
        let in_force = stored.values().map(|(key, _)| key).filter(|key| key.is_in_force(now));
        let own = in_force.filter_map(|key| {
            let secret = self.vault.get(&key.place())?;
            key.open(secret.expose()).ok().map(Arc::new)
        });
        let mut keys: Vec<Arc<VerifyingKey>> = own.collect();
        if let Some(remote) = &self.remote {
            keys.extend(remote.keys().iter().cloned());
        }
        keys
    }

    /// Whether somebody may come in by a JSON Web Token: a key of the hub's own is in force, or a key set is configured.
    pub fn opens_a_door(&self) -> bool {
        let now = self.desk.now();
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
        self.remote.is_some() || stored.values().any(|(key, _)| key.is_in_force(now) && key.rotated_to.is_none())
    }

    /// The keys of the set that lies elsewhere: its place among them, itself, and when the set was read.
    pub(crate) fn foreign(&self) -> Vec<(usize, Arc<VerifyingKey>, Timestamp)> {
        let Some(remote) = &self.remote else { return Vec::new() };
        let at = remote.read_at();
        remote.keys().iter().enumerate().map(|(n, key)| (n, Arc::clone(key), at)).collect()
    }

    /// All keys of the hub's own.
    pub fn list(&self) -> Vec<ApiToken> {
        let now = self.desk.now();
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
        stored.values().map(|(key, _)| key.show(now)).collect()
    }

    fn find(&self, id: &str) -> Result<(StoredKey, u64), Problem> {
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
        stored.get(id).cloned().ok_or_else(|| Problem::new(Code::NotFound, format!("there is no key {id:?}")))
    }

    /// Keeps a key. Who holds a key can be anybody, so only an admin may.
    pub fn plan_create(self: &Arc<Self>, new: NewKey, by: &Principal) -> Result<Plan<ApiToken>, Problem> {
        by.demand("admin")?;
        check_name("name", &new.name)?;
        let now = self.desk.now();
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(Problem::field("expiresAt", "lies in the past"));
        }
        if self.stored.read().unwrap_or_else(PoisonError::into_inner).len() >= KEYS {
            return Err(Problem::new(Code::Conflict, format!("there are {KEYS} keys already")));
        }
        let (key, secret, made) = self.make(new.name, new.algorithm, new.key, new.expires_at)?;
        let detail = json!({"id": key.id, "name": key.name, "kind": "jwt_key", "algorithm": key.algorithm});
        Ok(self.plan(vec![(key, 0, Some(secret))], by, "token.created", &detail)?.showing(made))
    }

    /// A new key takes the place of `id`; the old one verifies for `grace` longer. Of a pair the new public part is needed.
    pub fn plan_rotate(
        self: &Arc<Self>,
        id: &str,
        grace: Grace,
        key: Option<String>,
        by: &Principal,
    ) -> Result<Plan<ApiToken>, Problem> {
        by.demand("admin")?;
        let (mut old, version) = self.find(id)?;
        let now = self.desk.now();
        if !old.is_in_force(now) || old.rotated_to.is_some() {
            return Err(Problem::new(Code::Conflict, format!("key {id:?} is no longer the one in force")));
        }
        let life = old.expires_at.map(|at| now.plus(at.since(old.created_at)));
        let (mut new, secret, made) = self.make(old.name.clone(), old.algorithm, key, life)?;
        new.rotated_from = Some(old.id.clone());
        old.rotated_to = Some(new.id.clone());
        let end = now.plus(grace.lasts());
        old.expires_at = Some(old.expires_at.map_or(end, |at| at.min(end)));
        let detail = json!({"id": old.id, "name": old.name, "kind": "jwt_key", "to": new.id});
        Ok(self.plan(vec![(new, 0, Some(secret)), (old, version, None)], by, "token.rotated", &detail)?.showing(made))
    }

    /// Nothing that was made with the key is taken any more.
    pub fn plan_revoke(
        self: &Arc<Self>,
        id: &str,
        reason: Option<String>,
        by: &Principal,
    ) -> Result<Plan<ApiToken>, Problem> {
        by.demand("admin")?;
        let (mut key, version) = self.find(id)?;
        if key.revoked_at.is_some() {
            return Ok(Plan::nothing(key.show(self.desk.now())));
        }
        key.revoked_at = Some(self.desk.now());
        let detail = json!({"id": key.id, "name": key.name, "kind": "jwt_key", "reason": reason});
        self.plan(vec![(key, version, None)], by, "token.revoked", &detail)
    }

    fn make(
        &self,
        name: String,
        algorithm: Algorithm,
        key: Option<String>,
        expires_at: Option<Timestamp>,
    ) -> Result<(StoredKey, String, Option<String>), Problem> {
        let made = match (algorithm, &key) {
            (Algorithm::HS256, None) => Some(data_encoding::BASE64URL_NOPAD.encode(&self.desk.random::<32>()?)),
            (_, None) => {
                return Err(Problem::field(
                    "key",
                    "give the public part as a JSON Web Key or as PEM; the hub never has the other",
                ));
            }
            (_, Some(_)) => None,
        };
        let secret = key.or_else(|| made.clone()).unwrap_or_default();
        if secret.len() > JWK_BYTES {
            return Err(Problem::field("key", format!("has more than {JWK_BYTES} bytes")));
        }
        let id = data_encoding::HEXLOWER.encode(&self.desk.random::<8>()?);
        let stored = StoredKey {
            id: format!("jwk_{id}"),
            name,
            algorithm,
            created_at: self.desk.now(),
            expires_at,
            revoked_at: None,
            rotated_from: None,
            rotated_to: None,
        };
        let opened = stored.open(&secret).map_err(|e| Problem::field("key", e.to_string()))?;
        if opened.algorithm != algorithm {
            let reason = format!("is for {}, not for {}", opened.algorithm.as_str(), algorithm.as_str());
            return Err(Problem::field("key", reason));
        }
        Ok((stored, secret, made))
    }

    /// Writes these keys; the first is the one that is answered.
    fn plan(
        self: &Arc<Self>,
        keys: Vec<(StoredKey, u64, Option<String>)>,
        by: &Principal,
        action: &str,
        detail: &serde_json::Value,
    ) -> Result<Plan<ApiToken>, Problem> {
        let internal = |e: serde_json::Error| Problem::new(Code::Internal, e.to_string());
        let mut commit = Commit::default();
        for (key, version, secret) in &keys {
            let place = Key::of::<StoredKey>(&key.id);
            commit.guards.push(if *version == 0 { Guard::Absent(place) } else { Guard::Version(place, *version) });
            commit.documents.push(Write::put(key).map_err(internal)?);
            if let Some(secret) = secret {
                commit.documents.push(self.vault.put(&key.place(), secret)?);
            }
            if key.revoked_at.is_some() {
                commit.documents.push(Vault::remove(&key.place()));
            }
        }
        let Some(shown) = keys.first().map(|(first, ..)| first.show(self.desk.now())) else {
            return Err(Problem::new(Code::Internal, "no key to write"));
        };
        commit.events.push(self.desk.audit(by, action, detail));
        commit.events.push(self.desk.notice(action, &json!({"token": shown})));
        let own = Arc::clone(self);
        Ok(Plan::new(commit, shown, move || own.settle(keys)))
    }

    fn settle(&self, keys: Vec<(StoredKey, u64, Option<String>)>) {
        let mut stored = self.stored.write().unwrap_or_else(PoisonError::into_inner);
        for (key, version, secret) in keys {
            if let Some(secret) = secret {
                self.vault.opened(&key.place(), &secret);
            }
            if key.revoked_at.is_some() {
                self.vault.forget(&key.place());
            }
            stored.insert(key.id.clone(), (key, version + 1));
        }
        drop(stored);
        self.changed();
    }
}

fn hash(presented: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, presented.as_bytes()).as_ref());
    bytes
}
