//! A token as it is kept, what state it is in, and how it is shown. Decisions only.

use std::time::Duration;

use nexus_core::{
    access::{Credential, Principal, Scope},
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// A token whose end is nearer than this is `expiring`.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);

/// A token as stored: who it is for and what it may do, never the token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredToken {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) hash: String,
    pub(super) scopes: Vec<Scope>,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) revoked_at: Option<Timestamp>,
    pub(super) reason: Option<String>,
    /// Id of the first token of its line; absent = its own.
    #[serde(default)]
    pub(super) line: Option<String>,
    #[serde(default)]
    pub(super) rotated_from: Option<String>,
    #[serde(default)]
    pub(super) rotated_to: Option<String>,
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

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An opaque token of the hub's own.
    ApiToken,
    /// A key that JSON Web Tokens are verified with.
    JwtKey,
    /// A secret of a source.
    NodeSecret,
    /// What a platform gave for an account there.
    OauthConnection,
    /// A named secret, for `${secret:NAME}`.
    ProviderKey,
}

/// Where a credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In force.
    Active,
    /// In force, and ends within a week.
    Expiring,
    /// Replaced; in force until its grace period (`expiresAt`) ends.
    Rotated,
    /// Ended by someone.
    Revoked,
    /// Ended by itself.
    Expired,
}

impl Status {
    /// Of something that may end at `expires`.
    pub(crate) fn by_end(expires: Option<Timestamp>, now: Timestamp) -> Self {
        match expires {
            Some(at) if at <= now => Self::Expired,
            Some(at) if at <= now.plus(SOON) => Self::Expiring,
            _ => Self::Active,
        }
    }
}

/// A credential as shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// What it may do; empty for kinds that are no tokens.
    pub scopes: Vec<Scope>,
    /// Since, ISO 8601.
    pub created_at: String,
    /// Until, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it was last presented, ISO 8601; on disk within a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// The token it replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotated_from: Option<String>,
    /// The token that replaced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotated_to: Option<String>,
    /// Algorithm, for keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Whose it is: the source of a node secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where it is kept and changed, if not in the hub: `environment` or `key set`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'static str>,
}

/// From when to when a credential is in force, and what came before and after it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life<'a> {
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
    pub(crate) rotated_from: Option<&'a str>,
    pub(crate) rotated_to: Option<&'a str>,
}

impl Life<'_> {
    /// Of one that never changes.
    pub(crate) fn since(created_at: Timestamp) -> Self {
        Self { created_at, ..Self::default() }
    }

    pub(crate) fn is_in_force(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }

    pub(crate) fn status(&self, now: Timestamp) -> Status {
        match (self.revoked_at, self.rotated_to) {
            (Some(_), _) => Status::Revoked,
            (None, Some(_)) => Status::Rotated,
            (None, None) => Status::by_end(self.expires_at, now),
        }
    }
}

impl ApiToken {
    /// A credential without what only its kind has.
    pub(crate) fn of(id: String, name: &str, kind: Kind, life: Life<'_>, now: Timestamp) -> Self {
        Self {
            id,
            name: name.to_owned(),
            kind,
            status: life.status(now),
            scopes: Vec::new(),
            created_at: life.created_at.to_string(),
            expires_at: life.expires_at.map(|t| t.to_string()),
            last_used_at: None,
            rotated_from: life.rotated_from.map(str::to_owned),
            rotated_to: life.rotated_to.map(str::to_owned),
            algorithm: None,
            owner: None,
            origin: None,
        }
    }
}

impl StoredToken {
    fn life(&self) -> Life<'_> {
        Life {
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            rotated_from: self.rotated_from.as_deref(),
            rotated_to: self.rotated_to.as_deref(),
        }
    }

    /// Whether it opens a door.
    pub(super) fn is_in_force(&self, now: Timestamp) -> bool {
        self.life().is_in_force(now)
    }

    pub(super) fn status(&self, now: Timestamp) -> Status {
        self.life().status(now)
    }

    /// When it ended, if it has.
    pub(super) fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.revoked_at.or(self.expires_at.filter(|at| *at <= now))
    }

    pub(super) fn principal(&self) -> Principal {
        let line = self.line.as_deref().unwrap_or(&self.id).into();
        Principal::new(format!("token:{}", self.name), self.scopes.iter().cloned())
            .showing(Credential { id: self.id.as_str().into(), line })
    }

    pub(super) fn show(&self, now: Timestamp, last_used: i64) -> ApiToken {
        ApiToken {
            scopes: self.scopes.clone(),
            last_used_at: (last_used != 0).then(|| Timestamp::from_micros(last_used).to_string()),
            ..ApiToken::of(self.id.clone(), &self.name, Kind::ApiToken, self.life(), now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> StoredToken {
        StoredToken {
            id: "tok_1".into(),
            name: "ci".into(),
            hash: String::new(),
            scopes: Vec::new(),
            created_at: Timestamp::from_secs(0),
            expires_at: None,
            revoked_at: None,
            reason: None,
            line: None,
            rotated_from: None,
            rotated_to: None,
        }
    }

    #[test]
    fn a_token_goes_from_active_over_expiring_to_expired() {
        let day = |n: i64| Timestamp::from_secs(n * 86_400);
        let token = StoredToken { expires_at: Some(day(10)), ..token() };
        assert_eq!(token.status(day(1)), Status::Active);
        assert_eq!(token.status(day(3)), Status::Expiring);
        assert!(token.is_in_force(day(3)));
        assert_eq!(token.status(day(10)), Status::Expired);
        assert!(!token.is_in_force(day(10)));
    }

    #[test]
    fn a_rotated_token_is_in_force_until_its_grace_ends_and_a_revoked_one_is_not() {
        let at = Timestamp::from_secs;
        let rotated = StoredToken { expires_at: Some(at(60)), rotated_to: Some("tok_2".into()), ..token() };
        assert_eq!((rotated.status(at(1)), rotated.is_in_force(at(59))), (Status::Rotated, true));
        assert_eq!((rotated.status(at(60)), rotated.is_in_force(at(60))), (Status::Rotated, false));
        let revoked = StoredToken { revoked_at: Some(at(5)), ..rotated };
        assert_eq!((revoked.status(at(6)), revoked.is_in_force(at(6))), (Status::Revoked, false));
    }

    #[test]
    fn a_token_stored_by_an_earlier_version_is_read() {
        let old = r#"{"id":"tok_a","name":"n","hash":"h","scopes":["admin"],"created_at":1,"expires_at":null,
            "revoked_at":null,"reason":null}"#;
        let token: StoredToken = serde_json::from_str(old).expect("readable");
        assert_eq!(token.principal().identity(), "tok_a");
    }
}
