//! A connector as its file describes it. This is the form only; [`check`](super::check) says whether it makes sense and
//! compiles it.

mod auth;
mod limits;
mod operation;

use std::{collections::BTreeMap, time::Duration};

use nexus_core::retry::parse_duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    auth::{
        ApiKey, Auth, Basic, Bearer, ClientAuth, Digest, Grant, Hmac, KeyEncoding, OAuth2, Place, SignatureEncoding,
        TimestampAs,
    },
    limits::{LimitHeaders, LimitOf, Limits, Quota, ResetAs, Retry, StatusClass},
    operation::{Batch, FormLists, Idempotency, Operation, Pagination, ResponseRules},
};

/// A manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format: 1.
    pub connector: u32,
    /// `[a-z0-9-]{1,40}`, unique.
    pub name: String,
    /// For people.
    pub title: String,
    /// What it is for, in a sentence or two.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What its requests were checked against.
    pub checked: Checked,
    /// Where its documentation is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// How its requests travel.
    #[serde(default, skip_serializing_if = "Transport::is_default")]
    pub transport: Transport,
    /// What every path begins with; may hold `{settings.x}` and `{secrets.x}`.
    pub base_url: String,
    /// What a connection says of itself, openly.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Field>,
    /// What a connection keeps sealed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Field>,
    /// How a request proves whose it is.
    #[serde(default)]
    pub auth: Auth,
    /// Headers of every request; templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Value>,
    /// How much the provider takes.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
    /// What is tried again.
    #[serde(default, skip_serializing_if = "Retry::is_default")]
    pub retry: Retry,
    /// How answers are read, where an operation does not say otherwise.
    #[serde(default, skip_serializing_if = "ResponseRules::is_default")]
    pub response: ResponseRules,
    /// The preset that verifies its webhooks: `nexus source add --preset …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_preset: Option<String>,
    /// What can be called, by id.
    pub operations: BTreeMap<String, Operation>,
}

/// What the requests of a manifest were checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// The vendor's machine-readable specification.
    Specification,
    /// Examples that the vendor published.
    Example,
    /// Only our reading of the documentation.
    Reading,
}

/// How requests travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// By HTTP.
    #[default]
    Http,
    /// By SMTP: the body is a mail, `base_url` is `starttls://`, `tls://` or `plain://` with host and port, `auth` the login.
    Smtp,
}

impl Transport {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A setting or a secret of a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// For people.
    pub title: String,
    /// What it is when the connection does not say; settings only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// A connection without it can't be made; absent = true unless there is a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Texts it may be; empty = any.
    #[serde(default, rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
}

impl Field {
    /// Whether a connection must say it.
    pub fn is_required(&self) -> bool {
        self.required.unwrap_or(self.default.is_none())
    }
}

/// A span of time as people write it: `250ms`, `30s`, `15m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text).map(Self)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        let millis = span.0.as_millis();
        if millis.is_multiple_of(1_000) { format!("{}s", millis / 1_000) } else { format!("{millis}ms") }
    }
}
