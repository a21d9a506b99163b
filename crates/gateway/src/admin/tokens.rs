//! Tokens and other credentials, tickets and named secrets.

use nexus_core::{access::Scope, problem::Problem, time::Timestamp};
use nexus_engine::{
    jwt::{Algorithm, NewKey},
    tokens::{Grace, Kind, NewToken, Rotation},
};
use serde::Deserialize;
use serde_json::json;

use super::{many, one, removed, with};
use crate::{
    answer::Answer,
    call::Call,
    error::{malformed, not_found},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    scopes: Vec<Scope>,
    #[serde(default, rename = "expiresAt", alias = "expires_at")]
    expires_at: Option<String>,
    #[serde(default)]
    algorithm: Option<Algorithm>,
    #[serde(default)]
    key: Option<Key>,
}

/// A shared secret, or a JSON Web Key as it is or as text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "must be a text, or a JSON Web Key as an object")]
enum Key {
    Text(String),
    Jwk(serde_json::Map<String, serde_json::Value>),
}

impl Key {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Jwk(jwk) => serde_json::Value::Object(jwk).to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    scopes: Vec<Scope>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    #[serde(default, rename = "graceSeconds", alias = "grace_seconds")]
    grace_seconds: Option<Grace>,
    #[serde(default)]
    key: Option<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    #[serde(default)]
    reason: Option<String>,
}

/// A body that says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretValue {
    value: String,
}

/// `GET /api/v1/tokens`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    many(&call.hub().credentials().list(), None)
}

/// `GET /api/v1/tokens/{id}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    let id = call.param("id")?;
    if !call.principal()?.is_token(&id) {
        call.principal()?.demand("tokens:read")?;
    }
    one(&call.hub().credentials().get(&id)?)
}

/// `POST /api/v1/tokens`.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Problem> {
    let Create { name, kind, scopes, expires_at, algorithm, key } = call.json().await?;
    let expires_at = match expires_at {
        None => None,
        Some(text) => Some(Timestamp::read(&text).map_err(|wrong| Problem::field("expiresAt", wrong))?),
    };
    let (all, by) = (call.hub().credentials(), call.principal()?);
    let created = match kind.unwrap_or(Kind::ApiToken) {
        Kind::ApiToken if key.is_some() || algorithm.is_some() => {
            return Err(Problem::field("key", "the hub makes a token itself; key and algorithm are for kind jwt_key"));
        }
        Kind::ApiToken => all.create(NewToken { name, scopes, expires_at }, by).await?,
        Kind::JwtKey if !scopes.is_empty() => {
            return Err(Problem::field("scopes", "a key has none: the tokens that it signs bring their own"));
        }
        Kind::JwtKey => {
            let algorithm =
                algorithm.ok_or_else(|| Problem::field("algorithm", "name HS256, RS256, ES256 or EdDSA"))?;
            all.create_key(NewKey { name, algorithm, key: key.map(Key::text), expires_at }, by).await?
        }
        Kind::NodeSecret => {
            return Err(Problem::field("kind", "a node secret is made with its source: POST /api/v1/sources"));
        }
        Kind::ProviderKey => {
            return Err(Problem::field("kind", "a provider's key is set with PUT /api/v1/secrets/{name}"));
        }
        Kind::OauthConnection => {
            return Err(Problem::field("kind", "a connection is made with POST /api/v1/connections"));
        }
    };
    Ok(with(&created.value, "token", created.secret)?.created())
}

/// `PATCH /api/v1/tokens/{id}`.
pub(crate) async fn update(mut call: Call) -> Result<Answer, Problem> {
    let Patch { scopes } = call.json().await?;
    one(&call.hub().credentials().change(&call.param("id")?, scopes, call.principal()?).await?)
}

/// `POST /api/v1/tokens/{id}/rotate`.
pub(crate) async fn rotate(mut call: Call) -> Result<Answer, Problem> {
    let Rotate { grace_seconds, key } = call.json().await?;
    let how = Rotation { grace: grace_seconds.unwrap_or_default(), key: key.map(Key::text) };
    let done = call.hub().credentials().rotate(&call.param("id")?, how, call.principal()?).await?;
    with(&done.value, "token", done.secret)
}

/// `POST /api/v1/tokens/{id}/revoke`.
pub(crate) async fn revoke(mut call: Call) -> Result<Answer, Problem> {
    let Reason { reason } = call.json().await?;
    one(&call.hub().credentials().revoke(&call.param("id")?, reason, call.principal()?).await?)
}

/// `POST /api/v1/tickets`.
pub(crate) async fn ticket(mut call: Call) -> Result<Answer, Problem> {
    let Nothing {} = call.json().await?;
    let who = call.who.as_ref().ok_or_else(|| malformed("a token is needed"))?;
    let (ticket, until) = call.gate.tickets.issue(who, call.now, call.hub().clock().mono())?;
    Ok(Answer::data(&json!({"ticket": ticket, "expiresAt": until.to_string()}))?.created())
}

/// `GET /api/v1/secrets`.
pub(crate) async fn secrets(call: Call) -> Result<Answer, Problem> {
    many(&call.hub().secrets().names(), None)
}

/// `PUT /api/v1/secrets/{name}`.
pub(crate) async fn put_secret(mut call: Call) -> Result<Answer, Problem> {
    let SecretValue { value } = call.json().await?;
    let name = call.param("name")?;
    call.hub().secrets().set_named(&name, &value, call.principal()?).await?;
    Answer::data(&json!({"name": name, "status": "set"}))
}

/// `DELETE /api/v1/secrets/{name}`.
pub(crate) async fn delete_secret(call: Call) -> Result<Answer, Problem> {
    let name = call.param("name")?;
    if !call.hub().secrets().names().contains(&name) {
        return Err(not_found("secret", &name));
    }
    call.hub().secrets().delete_named(&name, call.principal()?).await?;
    removed("name", &name)
}
