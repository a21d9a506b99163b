//! The commands about tokens: `token.create`, `token.rotate`, `token.revoke`.

use std::sync::Arc;

use async_trait::async_trait;
use nexus_core::{
    access::{Principal, Scope},
    problem::{Code, Problem},
    store::Lane,
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::Value;

use super::{Command, CommandType};
use crate::{
    plan::Plan,
    tokens::{ApiToken, Credentials, Grace, NewToken, Rotation},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CreatePayload {
    name: String,
    scopes: Vec<Scope>,
    #[serde(default)]
    expires_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RotatePayload {
    token_id: String,
    #[serde(default)]
    grace_seconds: Option<Grace>,
    #[serde(default)]
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RevokePayload {
    token_id: String,
    #[serde(default)]
    reason: Option<String>,
}

/// What a token may do to itself without the scope for commands.
const OF_ITSELF: [&str; 2] = ["token.rotate", "token.revoke"];

/// Whether a command is one that `by` gives about the very token that it shows.
pub fn is_about_itself(kind: &str, payload: &Value, by: &Principal) -> bool {
    OF_ITSELF.contains(&kind) && payload["tokenId"].as_str().is_some_and(|id| by.is_token(id))
}

struct Create(Credentials);
struct Rotate(Credentials);
struct Revoke(Credentials);

/// All of them.
pub fn token_commands(credentials: &Credentials) -> Vec<Arc<dyn CommandType>> {
    vec![
        Arc::new(Create(credentials.clone())),
        Arc::new(Rotate(credentials.clone())),
        Arc::new(Revoke(credentials.clone())),
    ]
}

/// A token may do this to itself; to others only who may write tokens.
fn own_or_writer(by: &Principal, id: &str) -> Result<(), Problem> {
    if by.is_token(id) { Ok(()) } else { by.demand("tokens:write") }
}

fn shown(plan: Plan<ApiToken>) -> Result<Plan<Value>, Problem> {
    let value = serde_json::to_value(&plan.value).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
    Ok(plan.map(|_| value))
}

#[async_trait]
impl CommandType for Create {
    fn name(&self) -> &'static str {
        "token.create"
    }

    fn permit(&self, by: &Principal, _: &Command) -> Result<(), Problem> {
        by.demand("tokens:write")
    }

    async fn decide(&self, by: &Principal, command: &Command) -> Result<Plan<Value>, Problem> {
        let CreatePayload { name, scopes, expires_at } = command.read()?;
        let read = |text: String| Timestamp::read(&text).map_err(|wrong| Problem::field("payload.expiresAt", wrong));
        let expires_at = expires_at.map(read);
        let new = NewToken { name, scopes, expires_at: expires_at.transpose()? };
        shown(self.0.tokens.plan_create(new, by)?)
    }

    fn lane(&self) -> Lane {
        Lane::Own
    }
}

#[async_trait]
impl CommandType for Rotate {
    fn name(&self) -> &'static str {
        "token.rotate"
    }

    fn permit(&self, by: &Principal, command: &Command) -> Result<(), Problem> {
        own_or_writer(by, &command.read::<RotatePayload>()?.token_id)
    }

    async fn decide(&self, by: &Principal, command: &Command) -> Result<Plan<Value>, Problem> {
        let RotatePayload { token_id, grace_seconds, key } = command.read()?;
        let grace = grace_seconds.unwrap_or_default();
        shown(self.0.plan_rotate(&token_id, Rotation { grace, key }, by)?)
    }

    fn lane(&self) -> Lane {
        Lane::Own
    }
}

#[async_trait]
impl CommandType for Revoke {
    fn name(&self) -> &'static str {
        "token.revoke"
    }

    fn permit(&self, by: &Principal, command: &Command) -> Result<(), Problem> {
        own_or_writer(by, &command.read::<RevokePayload>()?.token_id)
    }

    async fn decide(&self, by: &Principal, command: &Command) -> Result<Plan<Value>, Problem> {
        let RevokePayload { token_id, reason } = command.read()?;
        shown(self.0.plan_revoke(&token_id, reason, by)?)
    }

    fn lane(&self) -> Lane {
        Lane::Own
    }
}
