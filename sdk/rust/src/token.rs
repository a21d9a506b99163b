//! Tokens for callers, and named secrets for targets.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Client, Error, Page,
    client::{More, Path},
};

const TOKENS: &str = "/api/v1/tokens";
const SECRETS: &str = "/api/v1/secrets";

/// A token as the hub shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// `active`, `expiring`, `revoked`, `expired`.
    #[serde(default)]
    pub status: String,
    /// What it allows.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whatever else was said; `token` or `secret` holds the token itself, once, when it was made.
    #[serde(flatten)]
    pub more: More,
}

impl Token {
    /// The token itself, which only the answer to [`Client::create_token`] has.
    pub fn value(&self) -> Option<&str> {
        ["token", "secret"].iter().find_map(|name| self.more.get(*name)?.as_str())
    }
}

impl Client {
    /// Makes a token (scope `tokens:write`). `expires_at` is RFC 3339.
    pub async fn create_token(&self, name: &str, scopes: &[String], expires_at: Option<&str>) -> Result<Token, Error> {
        let mut body = serde_json::json!({ "name": name, "scopes": scopes });
        if let (Some(map), Some(expires_at)) = (body.as_object_mut(), expires_at) {
            map.insert("expiresAt".into(), expires_at.into());
        }
        self.post(TOKENS, &body).await
    }

    /// All tokens, never their secrets.
    pub async fn tokens(&self) -> Result<Page<Token>, Error> {
        self.page(TOKENS).await
    }

    /// Ends a token at once.
    pub async fn revoke_token(&self, id: &str, reason: Option<&str>) -> Result<Value, Error> {
        let body = reason.map_or_else(|| serde_json::json!({}), |r| serde_json::json!({ "reason": r }));
        self.post(Path::new(TOKENS).segment(id).segment("revoke").as_str(), &body).await
    }

    /// A one-time ticket for a socket, good for a minute.
    pub async fn ticket(&self) -> Result<Value, Error> {
        self.post("/api/v1/tickets", &serde_json::json!({})).await
    }

    /// Sets the secret that targets name as `${secret:NAME}`.
    pub async fn put_secret(&self, name: &str, value: &str) -> Result<Value, Error> {
        let body = serde_json::json!({ "value": value });
        self.call(Method::PUT, Path::new(SECRETS).segment(name).as_str(), Some(&body)).await
    }

    /// Names of the secrets.
    pub async fn secrets(&self) -> Result<Page<Value>, Error> {
        self.page(SECRETS).await
    }

    /// Removes a secret.
    pub async fn remove_secret(&self, name: &str) -> Result<Value, Error> {
        self.delete(Path::new(SECRETS).segment(name).as_str()).await
    }
}
