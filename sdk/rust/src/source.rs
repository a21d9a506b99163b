//! Sources: who may send events in, and how they prove it.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Client, Error, Page,
    client::{More, Path},
};

const SOURCES: &str = "/api/v1/sources";

/// A source as the hub shows it: never with its secrets.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// How it proves itself.
    #[serde(default)]
    pub preset: String,
    /// What it may dispatch; empty = every type.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Off: every request is refused.
    #[serde(default)]
    pub enabled: bool,
    /// Shown once, when the hub made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: More,
}

/// A source to add; everything but `id` may be left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewSource {
    /// `[a-z0-9_-]{1,64}`.
    pub id: String,
    /// `nexus` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Shared secrets; without one the hub makes one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Event types or filters that it may dispatch; none = every type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// `10/s`, `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<String>,
    /// How long an event's key is remembered, for example `2h`; 24 hours when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_window: Option<String>,
    /// Refuse event types that nobody named.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// jq from the parsed body to the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<String>,
}

impl Client {
    /// Adds a source (scope `sources:write`).
    pub async fn add_source(&self, source: &NewSource) -> Result<Source, Error> {
        self.post(SOURCES, source).await
    }

    /// All sources.
    pub async fn sources(&self) -> Result<Page<Source>, Error> {
        self.page(SOURCES).await
    }

    /// One source.
    pub async fn source(&self, id: &str) -> Result<Source, Error> {
        self.get(Path::new(SOURCES).segment(id).as_str()).await
    }

    /// Changes a source; fields absent from `patch` stay.
    pub async fn change_source(&self, id: &str, patch: &Value) -> Result<Source, Error> {
        self.call(Method::PATCH, Path::new(SOURCES).segment(id).as_str(), Some(patch)).await
    }

    /// Removes a source; what it sent stays in the log.
    pub async fn remove_source(&self, id: &str) -> Result<Value, Error> {
        self.delete(Path::new(SOURCES).segment(id).as_str()).await
    }

    /// Adds a secret to a source; the older ones are accepted for `overlap_seconds` more. Without `secret` the hub makes
    /// one and returns it once.
    pub async fn rotate_source(
        &self,
        id: &str,
        secret: Option<&str>,
        overlap_seconds: Option<u64>,
    ) -> Result<Source, Error> {
        let mut body = serde_json::Map::new();
        body.extend(secret.map(|s| ("secret".to_owned(), s.into())));
        body.extend(overlap_seconds.map(|s| ("overlap_seconds".to_owned(), s.into())));
        self.post(Path::new(SOURCES).segment(id).segment("secrets").as_str(), &body).await
    }

    /// Ends one secret of a source at once.
    pub async fn remove_source_secret(&self, id: &str, name: &str) -> Result<Value, Error> {
        self.delete(Path::new(SOURCES).segment(id).segment("secrets").segment(name).as_str()).await
    }
}
