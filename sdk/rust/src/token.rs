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
    /// `api_token`, `jwt_key`, `node_secret`, `oauth_connection`, `provider_key`.
    #[serde(default)]
    pub kind: String,
    /// `active`, `expiring`, `rotated`, `revoked`, `expired`.
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

    /// Keeps a key for JSON Web Tokens (scope `admin`): a shared secret (`HS256`), or the public part of a pair as a JSON
    /// Web Key. Without a key a shared secret is made and shown once.
    pub async fn create_jwt_key(&self, name: &str, algorithm: &str, key: Option<&str>) -> Result<Token, Error> {
        let mut body = serde_json::json!({ "name": name, "kind": "jwt_key", "algorithm": algorithm });
        if let (Some(map), Some(key)) = (body.as_object_mut(), key) {
            map.insert("key".into(), key.into());
        }
        self.post(TOKENS, &body).await
    }

    /// One token or other credential.
    pub async fn token_info(&self, id: &str) -> Result<Token, Error> {
        self.get(Path::new(TOKENS).segment(id).as_str()).await
    }

    /// Gives a token other scopes; open sockets are held to them at once.
    pub async fn set_token_scopes(&self, id: &str, scopes: &[String]) -> Result<Token, Error> {
        let body = serde_json::json!({ "scopes": scopes });
        self.call(Method::PATCH, Path::new(TOKENS).segment(id).as_str(), Some(&body)).await
    }

    /// Puts a new one in its place; the old one goes on for `grace_seconds` (60 when absent). `key` is the new value where
    /// the hub can't make it.
    pub async fn rotate_token(&self, id: &str, grace_seconds: Option<u32>, key: Option<&str>) -> Result<Token, Error> {
        let mut body = serde_json::Map::new();
        body.extend(grace_seconds.map(|seconds| ("graceSeconds".to_owned(), Value::from(seconds))));
        body.extend(key.map(|key| ("key".to_owned(), Value::from(key))));
        self.post(Path::new(TOKENS).segment(id).segment("rotate").as_str(), &Value::Object(body)).await
    }

    /// Asks for something to be done, once: the same `correlation_id` gives the same answer for a day.
    pub async fn command(&self, kind: &str, payload: &Value, correlation_id: &str) -> Result<Value, Error> {
        let body = serde_json::json!({ "type": kind, "payload": payload, "correlationId": correlation_id });
        self.post("/api/v1/commands", &body).await
    }

    /// All tokens and other credentials, never their secrets.
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
