//! What the log holds: an event as it is handed in, and as it is read back.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{id::EventId, time::Timestamp, topic::Topic};

/// Position in the log: gap-free, in commit order, from 1. Zero stands before the first event.
pub type Seq = u64;

/// How urgent a message is; it decides the delivery lane, never the place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum Priority {
    /// Replays and bulk work; never starved.
    Low = 0,
    /// The default.
    #[default]
    Normal = 1,
    /// Before normal.
    High = 2,
    /// Before everything.
    Critical = 3,
}

impl Priority {
    /// All, lowest first; the index is the wire number.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// From the wire number 0..=3.
    pub fn from_number(n: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(n).ok()?).copied()
    }

    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Normal => "NORMAL",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }
}

impl FromStr for Priority {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|p| p.as_str().eq_ignore_ascii_case(text))
            .or_else(|| text.parse().ok().and_then(Self::from_number))
            .ok_or_else(|| format!("{text:?} is no priority; LOW, NORMAL, HIGH, CRITICAL or 0 to 3"))
    }
}

/// What an event carries beside its header and data: CloudEvents extensions and the few that Nexus reads itself.
/// Covered by the hash chain, kept when data is erased: never put a person's data here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// The second name it was published under (see [`Topic::alias_of`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// W3C trace context of the request that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// When it happened by the producer's word (CloudEvents `time`), as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred: Option<String>,
    /// Media type of `data` where it is not `application/json`; the data is then a JSON string, of base64 when `binary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
    /// The schema that checked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataschema: Option<String>,
    /// Why it was kept although it does not fit its schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_violation: Option<String>,
    /// The id the producer gave it, where it is not a UUID that became the event's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The data is base64 of bytes that were no JSON.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub binary: bool,
    /// Other CloudEvents extensions, as given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, serde_json::Value>,
}

impl Attributes {
    /// Nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Makes a repeat harmless: within `window`, a second event with the same `scope` and `key` is not stored again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Whose key it is, normally the source's id.
    pub scope: Arc<str>,
    /// The key.
    pub key: String,
    /// First bytes of a digest of the body, to tell a repeat from a reuse.
    pub digest: [u8; 16],
    /// Refuse another body under the same key; otherwise the first body stays.
    pub strict: bool,
    /// How long the key is remembered.
    pub window: std::time::Duration,
}

/// An event on its way into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Kept when given (import); otherwise the store makes one. An id that is in the log already is a repeat.
    pub id: Option<EventId>,
    /// Canonical type.
    pub topic: Topic,
    /// Who produced it: a source id, `token:<name>`, `hub`.
    pub source: Arc<str>,
    /// What it is about: an opaque id, never a phone number or an address.
    pub subject: Option<String>,
    /// When a door received it.
    pub received: Timestamp,
    /// Delivery lane.
    pub priority: Priority,
    /// What it belongs to; absent = itself.
    pub correlation: Option<String>,
    /// The event that caused it.
    pub causation: Option<EventId>,
    /// Steps from the first cause.
    pub depth: u8,
    /// Extensions.
    pub attributes: Attributes,
    /// One JSON value, byte for byte as it came.
    pub data: Bytes,
    /// Idempotency.
    pub once: Option<Once>,
}

impl NewEvent {
    /// A plain event of `source`, received `now`.
    pub fn new(topic: Topic, source: impl Into<Arc<str>>, data: impl Into<Bytes>, now: Timestamp) -> Self {
        let mut attributes = Attributes::default();
        let topic = match topic.alias_of() {
            Some(canonical) => {
                attributes.alias = Some(topic.as_str().to_owned());
                canonical
            }
            None => topic,
        };
        Self {
            id: None,
            topic,
            source: source.into(),
            subject: None,
            received: now,
            priority: Priority::default(),
            correlation: None,
            causation: None,
            depth: 0,
            attributes,
            data: data.into(),
            once: None,
        }
    }

    /// Marks this event as an effect of `cause`: same correlation, one step deeper.
    #[must_use]
    pub fn caused_by(mut self, cause: &StoredEvent) -> Self {
        self.correlation = Some(cause.correlation_id());
        self.causation = Some(cause.id);
        self.depth = cause.depth.saturating_add(1);
        self
    }
}

/// The data of a stored event: there, or erased with only its salted digest left.
#[derive(Clone, PartialEq, Eq)]
pub enum Data {
    /// JSON bytes and the salt that goes with them.
    Present {
        /// Random, so that a digest of guessable data can't be guessed.
        salt: [u8; 16],
        /// One JSON value.
        json: Bytes,
    },
    /// Erased by redaction or retention; `SHA-256(salt ‖ data)` remains so that the chain still verifies.
    Erased {
        /// The salted digest.
        digest: [u8; 32],
    },
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present { json, .. } => write!(f, "{}", String::from_utf8_lossy(json)),
            Self::Erased { .. } => f.write_str("<erased>"),
        }
    }
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Place in the log.
    pub seq: Seq,
    /// Identity, ascending with `seq`.
    pub id: EventId,
    /// Canonical type.
    pub topic: Topic,
    /// Who produced it.
    pub source: Arc<str>,
    /// What it is about.
    pub subject: Option<Arc<str>>,
    /// When it was committed; never before the previous event's.
    pub time: Timestamp,
    /// When a door received it.
    pub received: Timestamp,
    /// Delivery lane.
    pub priority: Priority,
    /// What it belongs to; absent = itself.
    pub correlation: Option<Arc<str>>,
    /// The event that caused it.
    pub causation: Option<EventId>,
    /// Steps from the first cause.
    pub depth: u8,
    /// Extensions, as JSON text; `None` when there are none.
    pub attributes: Option<Box<str>>,
    /// Its data.
    pub data: Data,
    /// Chain hash up to and including this event.
    pub hash: [u8; 32],
}

impl StoredEvent {
    /// The correlation id it belongs under: the given one, or its own id.
    pub fn correlation_id(&self) -> String {
        self.correlation.as_deref().map_or_else(|| self.id.to_string(), str::to_owned)
    }

    /// Extensions, parsed. What the log holds was written by us, so an unreadable text reads as none.
    pub fn attributes(&self) -> Attributes {
        self.attributes.as_deref().and_then(|a| serde_json::from_str(a).ok()).unwrap_or_default()
    }

    /// The JSON data, or `null` when erased.
    pub fn json(&self) -> &[u8] {
        match &self.data {
            Data::Present { json, .. } => json,
            Data::Erased { .. } => b"null",
        }
    }

    /// Approximate bytes it takes in memory.
    pub fn weight(&self) -> usize {
        200 + self.json().len() + self.attributes.as_ref().map_or(0, |a| a.len())
    }
}
