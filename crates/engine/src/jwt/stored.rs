//! A key for JSON Web Tokens as it is kept; the key itself lies sealed in the vault.

use nexus_core::{
    record::{Collection, Record, Value},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::key::{Algorithm, KeyError, VerifyingKey};
use crate::tokens::{ApiToken, Kind, Life};

/// A key as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredKey {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) algorithm: Algorithm,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) revoked_at: Option<Timestamp>,
    pub(super) rotated_from: Option<String>,
    pub(super) rotated_to: Option<String>,
}

static KEYS: Collection = Collection { name: "jwt_keys", columns: &[], indexes: &[] };

impl Record for StoredKey {
    const COLLECTION: &'static Collection = &KEYS;
    fn key(&self) -> String {
        self.id.clone()
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl StoredKey {
    fn life(&self) -> Life<'_> {
        Life {
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            rotated_from: self.rotated_from.as_deref(),
            rotated_to: self.rotated_to.as_deref(),
        }
    }

    pub(super) fn is_in_force(&self, now: Timestamp) -> bool {
        self.life().is_in_force(now)
    }

    /// Under which name the vault has it.
    pub(super) fn place(&self) -> String {
        format!("jwt/{}", self.id)
    }

    /// The key that verifies, from what the vault has. A shared secret is named in tokens by its id.
    pub(super) fn open(&self, secret: &str) -> Result<VerifyingKey, KeyError> {
        let mut key = match self.algorithm {
            Algorithm::HS256 => VerifyingKey::hmac(Some(self.id.clone()), secret.as_bytes())?,
            Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA => VerifyingKey::public(secret)?,
        };
        key.kid.get_or_insert_with(|| self.id.clone());
        key.until = self.expires_at;
        Ok(key)
    }

    pub(super) fn show(&self, now: Timestamp) -> ApiToken {
        ApiToken {
            algorithm: Some(self.algorithm.as_str().to_owned()),
            ..ApiToken::of(self.id.clone(), &self.name, Kind::JwtKey, self.life(), now)
        }
    }
}
