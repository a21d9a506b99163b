//! A source: who may send events in, how it proves itself, and what it may say.

use std::{collections::BTreeMap, sync::Arc};

use nexus_core::{
    bucket::Rate,
    record::{Collection, Column, ColumnType, Record, Value},
    time::Timestamp,
    topic::{Topic, TopicFilter},
};
use serde::{Deserialize, Serialize};

/// What happens to an event that does not fit its type's JSON Schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnViolation {
    /// 422 with the path; nothing is stored.
    #[default]
    Refuse,
    /// Stored with `schema_violation` among its attributes.
    Flag,
}

/// How fast one client address may post as this source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceRate {
    /// The hub's default for signed ingress (10/s).
    #[default]
    Default,
    /// No limit.
    Off,
    /// This one.
    Limit(Rate),
}

/// A secret's place in the vault and its times; never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInfo {
    /// Name of the sealed secret in the vault.
    pub name: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when it is accepted (rotation with overlap); `None` = until removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A source as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// `[a-z0-9_-]{1,64}`.
    pub id: String,
    /// Verification preset, by name; the gateway knows them.
    pub preset: String,
    /// Event types it may dispatch; empty = every type (`nexus doctor` says so).
    #[serde(default)]
    pub allow: Vec<TopicFilter>,
    /// Refuse (400) event types that are neither built in nor named exactly in `allow` or `schemas`.
    #[serde(default)]
    pub closed: bool,
    /// JSON Schema per event type.
    #[serde(default)]
    pub schemas: BTreeMap<Topic, serde_json::Value>,
    /// What a violation of a schema means.
    #[serde(default)]
    pub on_violation: OnViolation,
    /// Rate limit per client address.
    #[serde(default)]
    pub rate_limit: SourceRate,
    /// How long an event's key is remembered, for example `2h`: in this time a repeat is not stored again. Absent: 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_window: Option<String>,
    /// Screened jq from the parsed body to `{event, payload, subject?}` or an array of them, instead of the preset's mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<String>,
    /// Its secrets, newest first.
    #[serde(default)]
    pub secrets: Vec<SecretInfo>,
    /// Off: every request is refused.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Made at.
    pub created_at: Timestamp,
    /// Changed at.
    pub updated_at: Timestamp,
}

pub(crate) fn yes() -> bool {
    true
}

static SOURCES: Collection = Collection {
    name: "sources",
    columns: &[Column { name: "preset", kind: ColumnType::Text }, Column { name: "enabled", kind: ColumnType::Bool }],
    indexes: &[],
};

impl Record for Source {
    const COLLECTION: &'static Collection = &SOURCES;
    fn key(&self) -> String {
        self.id.clone()
    }
    fn columns(&self) -> Vec<Value> {
        vec![self.preset.as_str().into(), self.enabled.into()]
    }
}

/// What a caller may say of a new source; everything but `id` has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSource {
    /// Its id.
    pub id: String,
    /// Preset; `nexus` when absent.
    #[serde(default)]
    pub preset: Option<String>,
    /// Secrets; when none is given, one is made and returned once.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// See [`Source::allow`].
    #[serde(default)]
    pub allow: Vec<TopicFilter>,
    /// See [`Source::closed`].
    #[serde(default)]
    pub closed: bool,
    /// See [`Source::schemas`].
    #[serde(default)]
    pub schemas: BTreeMap<Topic, serde_json::Value>,
    /// See [`Source::on_violation`].
    #[serde(default)]
    pub on_violation: OnViolation,
    /// `"10/s"`, `"off"`; absent = default.
    #[serde(default)]
    pub rate_limit: Option<String>,
    /// See [`Source::idempotency_window`]; a second to 30 days.
    #[serde(default)]
    pub idempotency_window: Option<String>,
    /// See [`Source::mapping`].
    #[serde(default)]
    pub mapping: Option<String>,
}

/// A change of a source; absent fields stay.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePatch {
    /// See [`Source::preset`].
    pub preset: Option<String>,
    /// See [`Source::allow`].
    pub allow: Option<Vec<TopicFilter>>,
    /// See [`Source::closed`].
    pub closed: Option<bool>,
    /// See [`Source::schemas`].
    pub schemas: Option<BTreeMap<Topic, serde_json::Value>>,
    /// See [`Source::on_violation`].
    pub on_violation: Option<OnViolation>,
    /// See [`NewSource::rate_limit`].
    pub rate_limit: Option<String>,
    /// See [`NewSource::idempotency_window`]; an empty text means the default.
    pub idempotency_window: Option<String>,
    /// See [`Source::mapping`]; an empty text removes it.
    pub mapping: Option<String>,
    /// See [`Source::enabled`].
    pub enabled: Option<bool>,
}

/// A source in force: what the doors look at for each request.
#[derive(Debug)]
pub struct ActiveSource {
    /// Its id, shared with every event it sends.
    pub id: Arc<str>,
    /// As stored, or as implied by the environment or a built-in.
    pub source: Source,
    /// Opened secrets that are not expired, newest first.
    pub secrets: Vec<nexus_core::sign::Secret>,
    /// What it may dispatch now: the permissions file where it names this source, else `allow`; `None` = every type.
    pub allow: Option<Vec<TopicFilter>>,
    /// How long its events' keys are remembered.
    pub window: std::time::Duration,
    /// The compiled mapping, if it has one.
    pub mapping: Option<crate::jq::Jq>,
}

impl ActiveSource {
    /// Whether it may dispatch `topic`.
    pub fn may_dispatch(&self, topic: &Topic) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.iter().any(|f| f.matches(topic.as_str())))
    }

    /// Whether its vocabulary has `topic`. An open source knows every name.
    pub fn knows(&self, topic: &Topic) -> bool {
        const BUILT_IN: [&str; 5] =
            ["payment.received", "payment.failed", "mint.requested", "mint.confirmed", "mint.failed"];
        !self.source.closed
            || BUILT_IN.contains(&topic.as_str())
            || self.source.schemas.contains_key(topic)
            || self.source.allow.iter().any(|f| f.exact().as_ref() == Some(topic))
    }
}
