//! API tokens: opaque `nxs_…` texts of which only a hash is kept.
//!
//! A token is made, changed in its scopes, rotated (a new one takes its place, the old one goes on for a grace period)
//! and revoked. Whoever holds an open socket or stream learns of it by [`Tokens::changes`] and asks again.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use nexus_core::{
    access::{Principal, Scope},
    problem::{Code, Problem},
    store::{Commit, Guard, Key, StoreError, Write},
    time::Timestamp,
};
use ring::digest;
use serde_json::json;
use tokio::sync::watch;

use crate::{
    desk::{Created, Desk, check_name},
    plan::Plan,
};

mod grace;
mod kinds;
mod stored;
mod uses;

pub(crate) use self::stored::Life;
pub use self::{
    grace::Grace,
    kinds::{Credentials, Rotation},
    stored::{ApiToken, Kind, Status, StoredToken},
    uses::TokenUse,
};

/// How long a token that ended is still shown; then it is forgotten, so that rotating every hour fills nothing.
const HISTORY: Duration = Duration::from_secs(30 * 24 * 3600);
/// Tokens in all; one more is refused (409).
const TOKENS: usize = 100_000;
/// Scopes of one token.
const SCOPES: usize = 256;
/// Bytes of a presented token; a longer one is none of ours.
const TOKEN_BYTES: usize = 128;

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

#[derive(Debug)]
struct Held {
    token: StoredToken,
    version: u64,
    principal: Arc<Principal>,
    last_used: Arc<AtomicI64>,
    /// The use that is on disk.
    saved: i64,
}

impl Held {
    fn new(token: StoredToken, version: u64, last_used: Arc<AtomicI64>) -> Self {
        let saved = last_used.load(Ordering::Relaxed);
        Self { principal: Arc::new(token.principal()), token, version, last_used, saved }
    }
}

type Digest = [u8; 32];
type ByHash = HashMap<Digest, Held>;

/// The token desk.
#[derive(Debug)]
pub struct Tokens {
    desk: Desk,
    by_hash: RwLock<ByHash>,
    changes: Arc<watch::Sender<u64>>,
}

fn hash(presented: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, presented.as_bytes()).as_ref());
    bytes
}

fn written(hash: &Digest) -> String {
    data_encoding::HEXLOWER.encode(hash)
}

fn read_back(text: &str) -> Option<Digest> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

impl Tokens {
    /// Reads all tokens. `changes` is told of every change of what someone may do.
    pub async fn open(desk: Desk, changes: Arc<watch::Sender<u64>>) -> Result<Self, StoreError> {
        let uses: Vec<(TokenUse, u64)> = desk.load().await?;
        let uses: HashMap<String, i64> = uses.into_iter().map(|(used, _)| (used.id, used.at)).collect();
        let stored: Vec<(StoredToken, u64)> = desk.load().await?;
        let mut by_hash = HashMap::with_capacity(stored.len());
        for (token, version) in stored {
            let Some(digest) = read_back(&token.hash) else {
                return Err(StoreError::Broken(format!("token {:?} has an unreadable hash", token.id)));
            };
            let last_used = Arc::new(AtomicI64::new(uses.get(&token.id).copied().unwrap_or(0)));
            by_hash.insert(digest, Held::new(token, version, last_used));
        }
        Ok(Self { desk, by_hash: RwLock::new(by_hash), changes })
    }

    fn read(&self) -> RwLockReadGuard<'_, ByHash> {
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> RwLockWriteGuard<'_, ByHash> {
        self.by_hash.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever what a token or key allows has changed: time to ask again whether a proof still holds.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Who presents this token, if it is in force. Looked up by hash, so that timing tells nothing of the token.
    pub fn authenticate(&self, presented: &str) -> Option<Arc<Principal>> {
        if !presented.starts_with("nxs_") || presented.len() > TOKEN_BYTES {
            return None;
        }
        let now = self.desk.now();
        let held = self.read();
        let entry = held.get(&hash(presented)).filter(|entry| entry.token.is_in_force(now))?;
        entry.last_used.store(now.micros(), Ordering::Relaxed);
        Some(Arc::clone(&entry.principal))
    }

    /// When this token ends, where that is known: its own end, or that of its grace.
    pub fn ends(&self, presented: &str) -> Option<Timestamp> {
        self.read().get(&hash(presented))?.token.expires_at
    }

    /// Whether any token exists.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// All tokens, oldest first.
    pub fn list(&self) -> Vec<ApiToken> {
        let now = self.desk.now();
        let held = self.read();
        let mut all: Vec<&Held> = held.values().collect();
        all.sort_by(|a, b| (a.token.created_at, &a.token.id).cmp(&(b.token.created_at, &b.token.id)));
        all.iter().map(|h| h.token.show(now, h.last_used.load(Ordering::Relaxed))).collect()
    }

    /// One token.
    pub fn get(&self, id: &str) -> Result<ApiToken, Problem> {
        let (token, _, last_used) = self.find(id)?;
        Ok(token.show(self.desk.now(), last_used.load(Ordering::Relaxed)))
    }

    fn find(&self, id: &str) -> Result<(StoredToken, u64, Arc<AtomicI64>), Problem> {
        let held = self.read();
        let found = held.values().find(|h| h.token.id == id);
        found
            .map(|h| (h.token.clone(), h.version, Arc::clone(&h.last_used)))
            .ok_or_else(|| Problem::new(Code::NotFound, format!("there is no token {id:?}")))
    }

    /// Makes a token. It can't hold a scope that `by` does not.
    pub async fn create(self: &Arc<Self>, new: NewToken, by: &Principal) -> Result<Created<ApiToken>, Problem> {
        self.plan_create(new, by)?.carry_out(&self.desk).await
    }

    /// See [`Self::create`].
    pub fn plan_create(self: &Arc<Self>, new: NewToken, by: &Principal) -> Result<Plan<ApiToken>, Problem> {
        by.demand("tokens:write")?;
        check_name("name", &new.name)?;
        check_scopes(&new.scopes, &[], by)?;
        let now = self.desk.now();
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(Problem::field("expiresAt", "lies in the past"));
        }
        let (plain, token) = self.make(new, now)?;
        let detail = json!({"id": token.id, "name": token.name, "scopes": token.scopes});
        Ok(self.plan(vec![(token, 0)], by, "token.created", &detail)?.showing(Some(plain)))
    }

    /// A new token takes the place of `id`, with its name, its scopes and the length of its life; the old one goes on for
    /// `grace`. A token may rotate itself; another one only by who could have made it.
    pub fn plan_rotate(self: &Arc<Self>, id: &str, grace: Grace, by: &Principal) -> Result<Plan<ApiToken>, Problem> {
        if !by.is_token(id) {
            by.demand("tokens:write")?;
        }
        let (mut old, version, _) = self.find(id)?;
        if !by.is_token(id) {
            check_scopes(&old.scopes, &[], by)?;
        }
        let now = self.desk.now();
        if !old.is_in_force(now) || old.rotated_to.is_some() {
            let status = serde_json::to_value(old.status(now)).unwrap_or_default();
            let message = format!("token {id:?} is {}; make a new one", status.as_str().unwrap_or_default());
            return Err(Problem::new(Code::Conflict, message).fact("status", status));
        }
        let life = old.expires_at.map(|at| at.since(old.created_at));
        let new = NewToken {
            name: old.name.clone(),
            scopes: old.scopes.clone(),
            expires_at: life.map(|life| now.plus(life)),
        };
        let (plain, mut token) = self.make(new, now)?;
        token.line = Some(old.line.clone().unwrap_or_else(|| old.id.clone()));
        token.rotated_from = Some(old.id.clone());
        old.rotated_to = Some(token.id.clone());
        let grace = grace.lasts();
        let end = now.plus(grace);
        old.expires_at = Some(old.expires_at.map_or(end, |at| at.min(end)));
        let detail = json!({"id": old.id, "name": old.name, "to": token.id, "graceSeconds": grace.as_secs()});
        Ok(self.plan(vec![(token, 0), (old, version)], by, "token.rotated", &detail)?.showing(Some(plain)))
    }

    /// Ends a token at once; revoking twice is fine. A token may revoke itself, another one only who may do all that it may.
    /// Those that it replaced and that are in their grace period end with it; one that replaced it goes on. The last that may
    /// do everything stays, unless there is `another_way` in.
    pub fn plan_revoke(
        self: &Arc<Self>,
        id: &str,
        reason: Option<String>,
        another_way: bool,
        by: &Principal,
    ) -> Result<Plan<ApiToken>, Problem> {
        if !by.is_token(id) {
            by.demand("tokens:write")?;
        }
        let (mut token, version, last_used) = self.find(id)?;
        if !by.is_token(id) {
            check_rights(&token, by)?;
        }
        if token.revoked_at.is_some() {
            return Ok(Plan::nothing(token.show(self.desk.now(), last_used.load(Ordering::Relaxed))));
        }
        let now = self.desk.now();
        token.revoked_at = Some(now);
        token.reason = reason;
        let detail = json!({"id": token.id, "name": token.name, "reason": token.reason});
        // Those it replaced may still be in their grace period.
        let mut ended = vec![(token, version)];
        let mut from = ended.first().and_then(|(token, _)| token.rotated_from.clone());
        while let Some((mut old, version)) = from.as_deref().and_then(|id| self.find(id).ok()).map(|(t, v, _)| (t, v)) {
            if !old.is_in_force(now) {
                break;
            }
            old.revoked_at = Some(now);
            from.clone_from(&old.rotated_from);
            ended.push((old, version));
        }
        let witness = if another_way { None } else { self.another_admin(&ended, now)? };
        let mut plan = self.plan(ended, by, "token.revoked", &detail)?;
        plan.commit.guards.extend(witness);
        Ok(plan)
    }

    /// Gives a token other scopes; whoever uses it is held to them from the next request on. Another's scopes are taken away
    /// only by who holds them, and the last token that may do everything keeps that, unless there is `another_way` in.
    pub fn plan_change(
        self: &Arc<Self>,
        id: &str,
        scopes: Vec<Scope>,
        another_way: bool,
        by: &Principal,
    ) -> Result<Plan<ApiToken>, Problem> {
        by.demand("tokens:write")?;
        let (mut token, version, last_used) = self.find(id)?;
        check_scopes(&scopes, &token.scopes, by)?;
        if !by.is_token(id) {
            check_rights(&token, by)?;
        }
        if token.revoked_at.is_some() {
            return Err(Problem::new(Code::Conflict, format!("token {id:?} is revoked; make a new one")));
        }
        if token.scopes == scopes {
            return Ok(Plan::nothing(token.show(self.desk.now(), last_used.load(Ordering::Relaxed))));
        }
        let detail = json!({"id": token.id, "name": token.name, "from": token.scopes, "to": scopes});
        let witness = if another_way || scopes.iter().any(Scope::is_admin) {
            None
        } else {
            self.another_admin(&[(token.clone(), version)], self.desk.now())?
        };
        token.scopes = scopes;
        let mut plan = self.plan(vec![(token, version)], by, "token.updated", &detail)?;
        plan.commit.guards.extend(witness);
        Ok(plan)
    }

    /// Where one of `ending` is an admin's token in force: that another one stays, as a guard, so that two can't end each
    /// other at once; 409 where none does. Of several the one that lives longest is held on to.
    fn another_admin(&self, ending: &[(StoredToken, u64)], now: Timestamp) -> Result<Option<Guard>, Problem> {
        let opens = |token: &StoredToken| token.is_in_force(now) && token.scopes.iter().any(Scope::is_admin);
        let held = self.read();
        let ends = |id: &str| ending.iter().any(|(token, _)| token.id == id);
        if !held.values().any(|h| ends(&h.token.id) && opens(&h.token)) {
            return Ok(None);
        }
        let others = held.values().filter(|h| !ends(&h.token.id) && opens(&h.token) && h.token.rotated_to.is_none());
        let longest = others.max_by_key(|h| h.token.expires_at.map_or(i64::MAX, Timestamp::micros));
        longest.map(|h| Some(Guard::Version(Key::of::<StoredToken>(&h.token.id), h.version))).ok_or_else(|| {
            let message = "this is the last token with the scope admin, and no key of JSON Web Tokens opens another way in; \
                           make another one first: nexus token create NAME --scope admin";
            Problem::new(Code::Conflict, message)
        })
    }

    fn make(&self, new: NewToken, now: Timestamp) -> Result<(String, StoredToken), Problem> {
        if self.read().len() >= TOKENS {
            return Err(Problem::new(Code::Conflict, format!("there are {TOKENS} tokens already; revoke some")));
        }
        let plain =
            format!("nxs_{}", data_encoding::BASE32_NOPAD.encode(&self.desk.random::<32>()?).to_ascii_lowercase());
        let id = data_encoding::HEXLOWER.encode(&self.desk.random::<8>()?);
        let token = StoredToken {
            id: format!("tok_{id}"),
            name: new.name,
            hash: written(&hash(&plain)),
            scopes: new.scopes,
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
            reason: None,
            line: None,
            rotated_from: None,
            rotated_to: None,
        };
        Ok((plain, token))
    }

    /// Writes these tokens; the first is the one that is answered. A version of 0 is that of a new one.
    fn plan(
        self: &Arc<Self>,
        tokens: Vec<(StoredToken, u64)>,
        by: &Principal,
        action: &str,
        detail: &serde_json::Value,
    ) -> Result<Plan<ApiToken>, Problem> {
        let internal = |e: serde_json::Error| Problem::new(Code::Internal, e.to_string());
        let mut commit = Commit::default();
        for (token, version) in &tokens {
            let key = Key::of::<StoredToken>(&token.id);
            commit.guards.push(if *version == 0 { Guard::Absent(key) } else { Guard::Version(key, *version) });
            commit.documents.push(Write::put(token).map_err(internal)?);
        }
        let used = tokens
            .first()
            .and_then(|(first, _)| self.find(&first.id).ok())
            .map_or(0, |(.., used)| used.load(Ordering::Relaxed));
        let Some(shown) = tokens.first().map(|(first, _)| first.show(self.desk.now(), used)) else {
            return Err(Problem::new(Code::Internal, "no token to write"));
        };
        commit.events.push(self.desk.audit(by, action, detail));
        if action != "token.updated" {
            commit.events.push(self.desk.notice(action, &json!({"token": shown})));
        }
        let own = Arc::clone(self);
        Ok(Plan::new(commit, shown, move || own.settle(tokens)))
    }

    fn settle(&self, tokens: Vec<(StoredToken, u64)>) {
        let mut held = self.held();
        for (token, version) in tokens {
            let Some(digest) = read_back(&token.hash) else { continue };
            let (last_used, saved) = held.get(&digest).map(|h| (Arc::clone(&h.last_used), h.saved)).unwrap_or_default();
            held.insert(digest, Held { saved, ..Held::new(token, version + 1, last_used) });
        }
        drop(held);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Writes down when tokens were used, and forgets those that ended long ago. Once a minute and at the end.
    pub async fn keep(&self) -> Result<(), Problem> {
        let now = self.desk.now();
        let (uses, gone) = {
            let mut held = self.held();
            let mut uses = Vec::new();
            for h in held.values_mut() {
                let at = h.last_used.load(Ordering::Relaxed);
                if at != h.saved {
                    h.saved = at;
                    uses.push(TokenUse { id: h.token.id.clone(), at });
                }
            }
            let long_ago = now.minus(HISTORY);
            let gone = held.values().filter(|h| h.token.ended_at(now).is_some_and(|at| at < long_ago));
            let gone: Vec<(String, u64)> = gone.map(|h| (h.token.id.clone(), h.version)).take(100).collect();
            (uses, gone)
        };
        let ids: Vec<String> = gone.iter().map(|(id, _)| id.clone()).collect();
        if !gone.is_empty() {
            let key = |id: &str| Key::of::<StoredToken>(id);
            let guards = gone.iter().map(|(id, version)| Guard::Version(key(id), *version)).collect();
            let documents = gone.iter().map(|(id, _)| Write::Delete(key(id))).collect();
            self.desk.commit(Commit { guards, documents, ..Commit::default() }).await?;
            self.held().retain(|_, h| !ids.contains(&h.token.id));
        }
        uses::save(&self.desk, uses, &ids).await
    }
}

/// Who ends or shrinks another's token must be able to do all that it can.
fn check_rights(token: &StoredToken, by: &Principal) -> Result<(), Problem> {
    token.scopes.iter().find(|scope| !by.may_give(scope)).map_or(Ok(()), |scope| {
        let message =
            format!("token {:?} has the scope {scope}, which you do not hold: it is not yours to change", token.id);
        Err(Problem::new(Code::Forbidden, message))
    })
}

/// Scopes that `by` may give; those that a token has already need not be its own.
fn check_scopes(scopes: &[Scope], had: &[Scope], by: &Principal) -> Result<(), Problem> {
    if scopes.is_empty() || scopes.len() > SCOPES {
        return Err(Problem::field("scopes", format!("name 1 to {SCOPES} scopes")));
    }
    match scopes.iter().find(|scope| !by.may_give(scope) && !had.contains(scope)) {
        None => Ok(()),
        Some(scope) => {
            Err(Problem::new(Code::Forbidden, format!("a token can't give scope {scope}, which you do not hold")))
        }
    }
}
