//! Secrets at rest: sealed with ChaCha20-Poly1305 under a key that never lies in the data folder's database or a backup.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, RwLock},
};

use data_encoding::BASE64;
use nexus_core::{
    access::Principal,
    chain::{BadSeed, Signer},
    problem::{Code, Problem},
    record::{Collection, Record, Value},
    sign::{RequestSigner, Secret},
    store::{Commit, Key, Write},
    time::Timestamp,
};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest, hmac,
};
use serde::{Deserialize, Serialize};

use crate::{
    desk::{Desk, check_name},
    hide::Hider,
    plan::Plan,
};

/// The key secrets are sealed under, and earlier ones that may still open what was sealed before a rotation.
#[derive(Clone)]
pub struct VaultKey {
    current: [u8; 32],
    previous: Vec<[u8; 32]>,
}

impl std::fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VaultKey(<redacted>)")
    }
}

impl VaultKey {
    /// From 32 bytes, with earlier keys.
    pub fn new(current: [u8; 32], previous: Vec<[u8; 32]>) -> Self {
        Self { current, previous }
    }

    /// A 32-byte seed for another purpose, bound to this key: for the checkpoint signer.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.current), purpose.as_bytes());
        let mut seed = [0; 32];
        seed.copy_from_slice(tag.as_ref());
        seed
    }

    /// Who signs checkpoints under this key, then who did under the earlier ones.
    pub fn signers(&self) -> Result<Vec<Signer>, BadSeed> {
        let keys = std::iter::once(&self.current).chain(&self.previous);
        keys.map(|key| Signer::from_seed(&Self::new(*key, Vec::new()).derive("nexus checkpoint signer v1"))).collect()
    }

    fn id(key: &[u8; 32]) -> String {
        let tag = digest::digest(&digest::SHA256, &[b"nexus vault key".as_slice(), key].concat());
        data_encoding::HEXLOWER.encode(&tag.as_ref()[..8])
    }

    fn find(&self, id: &str) -> Option<&[u8; 32]> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| Self::id(key) == id)
    }
}

/// One sealed secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sealed {
    name: String,
    key_id: String,
    /// base64 of nonce and ciphertext; the name is authenticated with it.
    sealed: String,
    updated_at: Timestamp,
}

/// Where sealed secrets lie.
pub static COLLECTION: &Collection = &SECRETS;
static SECRETS: Collection = Collection { name: "secrets", columns: &[], indexes: &[] };

impl Record for Sealed {
    const COLLECTION: &'static Collection = &SECRETS;
    fn key(&self) -> String {
        self.name.clone()
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// An opened secret.
#[derive(Debug)]
struct Opened {
    secret: Secret,
    /// Made when something is first signed with it.
    signer: OnceLock<Arc<RequestSigner>>,
}

impl From<Secret> for Opened {
    fn from(secret: Secret) -> Self {
        Self { secret, signer: OnceLock::new() }
    }
}

/// The vault: opened secrets in memory, sealed ones in the store.
#[derive(Debug)]
pub struct Vault {
    desk: Desk,
    key: VaultKey,
    open: RwLock<BTreeMap<String, Opened>>,
    set_at: RwLock<BTreeMap<String, Timestamp>>,
}

/// A secret can't be opened with the key that was given.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Sealed under another key.
    #[error(
        "secret {name:?} was sealed under key {key_id}, which was not given; set NEXUS_ENCRYPTION_KEY or key_file to the key \
         this folder was made with (or name it as a previous key)"
    )]
    WrongKey {
        /// Whose.
        name: String,
        /// Id of the missing key.
        key_id: String,
    },
    /// Tampered with.
    #[error("secret {0:?} does not open: its bytes were changed")]
    Tampered(String),
    /// Reading failed.
    #[error(transparent)]
    Store(#[from] nexus_core::store::StoreError),
    /// Re-sealing failed.
    #[error("re-sealing under the new key failed: {0}")]
    Reseal(Problem),
}

impl Vault {
    /// Opens every secret; what was sealed under an earlier key is sealed anew under the current one.
    pub async fn open(desk: Desk, key: VaultKey) -> Result<Self, VaultError> {
        let sealed: Vec<(Sealed, u64)> = desk.load().await?;
        let current = VaultKey::id(&key.current);
        let vault = Self { desk, key, open: RwLock::default(), set_at: RwLock::default() };
        let mut stale = Vec::new();
        for (record, _) in sealed {
            let secret = vault.unseal(&record)?;
            if record.key_id != current {
                stale.push(record.name.clone());
            }
            vault.set_at_map().insert(record.name.clone(), record.updated_at);
            vault.open_map().insert(record.name, secret.into());
        }
        let mut commit = Commit::default();
        for name in stale {
            let write = vault.get(&name).map(|secret| vault.put(&name, secret.expose())).transpose();
            commit.documents.extend(write.map_err(VaultError::Reseal)?);
        }
        if !commit.documents.is_empty() {
            vault.desk.commit(commit).await.map_err(VaultError::Reseal)?;
        }
        Ok(vault)
    }

    fn open_map(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Opened>> {
        self.open.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn set_at_map(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Timestamp>> {
        self.set_at.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn cipher(key: &[u8; 32]) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
    }

    fn unseal(&self, record: &Sealed) -> Result<Secret, VaultError> {
        let key = self
            .key
            .find(&record.key_id)
            .ok_or_else(|| VaultError::WrongKey { name: record.name.clone(), key_id: record.key_id.clone() })?;
        let tampered = || VaultError::Tampered(record.name.clone());
        let mut bytes = BASE64.decode(record.sealed.as_bytes()).map_err(|_| tampered())?;
        if bytes.len() < NONCE_LEN {
            return Err(tampered());
        }
        let mut body = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| tampered())?;
        let cipher = Self::cipher(key).ok_or_else(tampered)?;
        let plain =
            cipher.open_in_place(nonce, Aad::from(record.name.as_bytes()), &mut body).map_err(|_| tampered())?;
        Ok(Secret::new(String::from_utf8_lossy(plain).into_owned()))
    }

    /// The write that keeps `secret` under `name`; the caller commits it with what refers to it, then calls [`Self::opened`].
    pub fn put(&self, name: &str, secret: &str) -> Result<Write, Problem> {
        let failed = || Problem::new(Code::Internal, "sealing a secret failed");
        let nonce = self.desk.random::<NONCE_LEN>()?;
        let mut body = secret.as_bytes().to_vec();
        let cipher = Self::cipher(&self.key.current).ok_or_else(failed)?;
        cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name.as_bytes()), &mut body)
            .map_err(|_| failed())?;
        let record = Sealed {
            name: name.to_owned(),
            key_id: VaultKey::id(&self.key.current),
            sealed: BASE64.encode(&[nonce.as_slice(), &body].concat()),
            updated_at: self.desk.now(),
        };
        Write::put(&record).map_err(|_| failed())
    }

    /// The write that forgets `name`.
    pub fn remove(name: &str) -> Write {
        Write::Delete(Key::of::<Sealed>(name))
    }

    /// Makes a committed secret readable.
    pub fn opened(&self, name: &str, secret: &str) {
        self.set_at_map().insert(name.to_owned(), self.desk.now());
        self.open_map().insert(name.to_owned(), Secret::new(secret.to_owned()).into());
    }

    /// Forgets a secret whose removal was committed.
    pub fn forget(&self, name: &str) {
        self.set_at_map().remove(name);
        self.open_map().remove(name);
    }

    /// The secret kept under `name`.
    pub fn get(&self, name: &str) -> Option<Secret> {
        self.open_secrets().get(name).map(|opened| opened.secret.clone())
    }

    /// The secret kept under `name`, ready to sign with.
    pub fn request_signer(&self, name: &str) -> Option<Arc<RequestSigner>> {
        let open = self.open_secrets();
        let opened = open.get(name)?;
        Some(Arc::clone(opened.signer.get_or_init(|| Arc::new(RequestSigner::new(&opened.secret)))))
    }

    fn open_secrets(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Opened>> {
        self.open.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// See [`VaultKey::signers`].
    pub fn signers(&self) -> Result<Vec<Signer>, BadSeed> {
        self.key.signers()
    }

    /// A new random secret in the `whsec_` form.
    pub fn generate(&self) -> Result<String, Problem> {
        Ok(format!("whsec_{}", BASE64.encode(&self.desk.random::<32>()?)))
    }

    /// Keeps a named secret for `${secret:NAME}`.
    pub async fn set_named(self: &Arc<Self>, name: &str, value: &str, by: &Principal) -> Result<(), Problem> {
        self.plan_named(name, value, by)?.carry_out(&self.desk).await.map(|_| ())
    }

    /// See [`Self::set_named`].
    pub fn plan_named(self: &Arc<Self>, name: &str, value: &str, by: &Principal) -> Result<Plan<()>, Problem> {
        check_name("name", &name.to_ascii_lowercase())?;
        if value.is_empty() || value.len() > 16 << 10 {
            return Err(Problem::field("value", "must have 1 to 16,384 bytes"));
        }
        let key = format!("named/{name}");
        let commit = Commit {
            documents: vec![self.put(&key, value)?],
            events: vec![self.desk.audit(by, "secret.set", &serde_json::json!({"name": name}))],
            ..Commit::default()
        };
        let (own, value) = (Arc::clone(self), Secret::new(value.to_owned()));
        Ok(Plan::new(commit, (), move || own.opened(&key, value.expose())))
    }

    /// Forgets a named secret.
    pub async fn delete_named(self: &Arc<Self>, name: &str, by: &Principal) -> Result<(), Problem> {
        self.plan_delete_named(name, by)?.carry_out(&self.desk).await.map(|_| ())
    }

    /// See [`Self::delete_named`].
    pub fn plan_delete_named(self: &Arc<Self>, name: &str, by: &Principal) -> Result<Plan<()>, Problem> {
        let key = format!("named/{name}");
        if self.get(&key).is_none() {
            return Err(Problem::new(Code::NotFound, format!("there is no secret {name:?}")));
        }
        let commit = Commit {
            documents: vec![Self::remove(&key)],
            events: vec![self.desk.audit(by, "secret.removed", &serde_json::json!({"name": name}))],
            ..Commit::default()
        };
        let own = Arc::clone(self);
        Ok(Plan::new(commit, (), move || own.forget(&key)))
    }

    /// The named secrets, and since when each has its value.
    pub fn named(&self) -> Vec<(String, Timestamp)> {
        let set_at = self.set_at.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let named = set_at.iter().filter_map(|(key, at)| Some((key.strip_prefix("named/")?.to_owned(), *at)));
        named.collect()
    }

    /// Names of the named secrets.
    pub fn names(&self) -> Vec<String> {
        let open = self.open_secrets();
        open.keys().filter_map(|k| k.strip_prefix("named/")).map(str::to_owned).collect()
    }

    /// Replaces each `${secret:NAME}` in `text`; the names that are missing are the error.
    pub fn expand(&self, text: &str) -> Result<String, String> {
        self.expand_hiding(text, &mut Hider::default())
    }

    /// The same, and `hider` knows from then on what was put in.
    pub(crate) fn expand_hiding(&self, text: &str, hider: &mut Hider) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${secret:") {
            let (before, tail) = rest.split_at(start);
            out.push_str(before);
            let Some(end) = tail.find('}') else { break };
            let name = &tail["${secret:".len()..end];
            let secret = self.get(&format!("named/{name}")).ok_or_else(|| format!("there is no secret {name:?}"))?;
            hider.add(name, &secret);
            out.push_str(secret.expose());
            rest = &tail[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }
}
