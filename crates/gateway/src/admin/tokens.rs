//! Tokens, tickets and named secrets.

use nexus_core::{access::Scope, problem::Problem, time::Timestamp};
use nexus_engine::tokens::NewToken;
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
    scopes: Vec<Scope>,
    #[serde(default, rename = "expiresAt", alias = "expires_at")]
    expires_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretValue {
    value: String,
}

/// `GET /api/v1/tokens`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    many(&call.hub().tokens().list(), None)
}

/// `GET /api/v1/tokens/{id}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    one(&call.hub().tokens().get(&call.param("id")?)?)
}

/// `POST /api/v1/tokens`.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Problem> {
    let Create { name, scopes, expires_at } = call.json().await?;
    let expires_at = match expires_at {
        None => None,
        Some(text) => Some(Timestamp::parse(&text).ok_or_else(|| {
            Problem::field("expiresAt", format!("{text:?} is no time; write for example 2026-12-31T00:00:00Z"))
        })?),
    };
    let created = call.hub().tokens().create(NewToken { name, scopes, expires_at }, call.principal()?).await?;
    Ok(with(&created.value, "token", created.secret)?.created())
}

/// `POST /api/v1/tokens/{id}/revoke`.
pub(crate) async fn revoke(mut call: Call) -> Result<Answer, Problem> {
    let Reason { reason } = call.json().await?;
    one(&call.hub().tokens().revoke(&call.param("id")?, reason, call.principal()?).await?)
}

/// `POST /api/v1/tickets`.
pub(crate) async fn ticket(call: Call) -> Result<Answer, Problem> {
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
