//! How a manifest says how much its provider takes, and what is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Span;

/// How much the provider takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// All connections of this connector together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub app: Vec<Quota>,
    /// Each connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub account: Vec<Quota>,
    /// What the provider says of it in its answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<LimitHeaders>,
}

impl Limits {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// At most so many requests in any span of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// How many.
    pub requests: u32,
    /// In how long.
    pub per: Span,
}

/// Headers in which a provider says how much is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitHeaders {
    /// How many requests are left.
    pub remaining: String,
    /// When there will be more.
    pub reset: String,
    /// How that is written.
    #[serde(default)]
    pub reset_as: ResetAs,
    /// What it counts.
    #[serde(default)]
    pub per: LimitOf,
}

/// How the time of a reset is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetAs {
    /// Seconds since 1970, also with a fraction.
    #[default]
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
    /// A date and time as ISO 8601 has them.
    Iso,
    /// Seconds from now, also with a fraction.
    Seconds,
    /// As `1m30s` or `250ms`, from now.
    Duration,
}

/// What a limit that the provider tells of counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitOf {
    /// One operation of one connection.
    Operation,
    /// One connection.
    #[default]
    Account,
    /// All connections together.
    App,
}

/// What is tried again, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Requests for one call, the first included.
    pub attempts: u16,
    /// Answers after which it is tried again.
    pub on: Vec<StatusClass>,
    /// Of those, the ones that say that nothing was done: repeating them never does harm.
    pub untaken: Vec<StatusClass>,
    /// Bound of the first wait; it doubles.
    pub base: Span,
    /// Bound of every wait.
    pub cap: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 4,
            on: vec![StatusClass::One(408), StatusClass::One(429), StatusClass::Hundred(5)],
            untaken: vec![StatusClass::One(429), StatusClass::One(503)],
            base: Span(Duration::from_millis(500)),
            cap: Span(Duration::from_secs(30)),
        }
    }
}

impl Retry {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One status (`429`) or a hundred of them (`"5xx"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum StatusClass {
    /// This one.
    One(u16),
    /// All that begin with this digit.
    Hundred(u16),
}

impl StatusClass {
    /// Whether `status` is one of them.
    pub fn has(self, status: u16) -> bool {
        match self {
            Self::One(one) => one == status,
            Self::Hundred(digit) => status / 100 == digit,
        }
    }
}

impl TryFrom<Value> for StatusClass {
    type Error = String;
    fn try_from(value: Value) -> Result<Self, String> {
        let hundred = |text: &str| match text.strip_suffix("xx")?.parse().ok()? {
            digit @ 2..=5 => Some(Self::Hundred(digit)),
            _ => None,
        };
        let one = |n: u64| u16::try_from(n).ok().filter(|n| (200..600).contains(n)).map(Self::One);
        match &value {
            Value::Number(n) => n.as_u64().and_then(one),
            Value::String(text) => hundred(text).or_else(|| one(text.parse().ok()?)),
            _ => None,
        }
        .ok_or_else(|| format!("{value} is no status; write for example 429 or \"5xx\""))
    }
}

impl From<StatusClass> for Value {
    fn from(class: StatusClass) -> Self {
        match class {
            StatusClass::One(one) => one.into(),
            StatusClass::Hundred(digit) => format!("{digit}xx").into(),
        }
    }
}
