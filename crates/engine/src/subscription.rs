//! A subscription: which events go where, and how hard to try.

use std::{collections::BTreeMap, time::Duration};

use nexus_core::{
    event::Seq,
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value},
    retry::RetrySchedule,
    store::SubNo,
    time::Timestamp,
    topic::TopicFilter,
};
use serde::{Deserialize, Serialize};

use crate::{delivery::state::log_lanes, source::yes};

/// Where matching events go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// A signed POST of `{event, payload, timestamp, id}`.
    Webhook {
        /// Where.
        url: String,
        /// Further headers; `${secret:NAME}` is replaced when sending.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// A request built by screened jq over `{event, payload, id, seq, time, source, subject, correlation}`.
    Http {
        /// `POST` when absent.
        #[serde(default = "post")]
        method: String,
        /// A URL, or a jq expression when it begins with `=`.
        url: String,
        /// Header values; `${secret:NAME}` is replaced when sending, a value beginning with `=` is jq.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// jq for the JSON body; absent = the event's payload.
        #[serde(default)]
        body: Option<String>,
    },
    /// A function of this process (library mode, customers).
    Handler {
        /// The name it was registered under.
        name: String,
        /// What of it is meant, where it serves several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        argument: Option<String>,
    },
    /// Nobody is called: remote consumers take what is offered, under a lease of one attempt's time.
    Consumer {},
}

fn post() -> String {
    "POST".into()
}

impl Target {
    /// Whether remote consumers take its deliveries.
    pub fn is_consumer(&self) -> bool {
        matches!(self, Self::Consumer {})
    }

    /// The URL that is dialed, where it is fixed.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Webhook { url, .. } => Some(url),
            Self::Http { url, .. } if !url.starts_with('=') => Some(url),
            Self::Http { .. } | Self::Handler { .. } | Self::Consumer {} => None,
        }
    }
}

/// What happens to a key of an ordered subscription when one of its events dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDead {
    /// The key goes on with its next event.
    #[default]
    Continue,
    /// The key waits until the dead letter is redriven or deleted.
    Hold,
}

/// Whether a subscription delivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Activity {
    /// It does.
    Active,
    /// Stopped by a person, or by itself at a limit; events wait in the log.
    Paused {
        /// Why.
        reason: String,
        /// Since.
        since: Timestamp,
    },
    /// Stopped because its endpoint is gone (410) or failed for too long; events wait in the log.
    Disabled {
        /// Why.
        reason: String,
        /// Since.
        since: Timestamp,
    },
}

/// A subscription as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// `[a-z0-9_.-]{1,64}`.
    pub name: String,
    /// Small number that the bookkeeping uses; never given twice.
    pub no: SubNo,
    /// Ascends with each change.
    pub revision: u32,
    /// Any of these.
    pub filters: Vec<TopicFilter>,
    /// And this screened jq, true over `{event, payload, id, seq, time, source, subject, correlation}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Where to.
    pub target: Target,
    /// Vault name of the signing secret.
    #[serde(default, rename = "secret_ref", skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Private addresses may be dialed: a caller with `endpoints:private` named the target.
    #[serde(default)]
    pub private: bool,
    /// Per key in order, instead of by priority.
    #[serde(default)]
    pub ordered: bool,
    /// Screened jq for the key; absent = `subject`, else `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What a dead letter does to its key.
    #[serde(default)]
    pub on_dead: OnDead,
    /// Deliveries in flight at once.
    pub concurrency: u16,
    /// When to try again.
    pub retry: RetrySchedule,
    /// Attempts until it is dead.
    pub max_attempts: u16,
    /// Time for one attempt; a consumer's lease.
    pub timeout_ms: u64,
    /// Keep heads of request and response also for successes.
    #[serde(default)]
    pub keep_exchanges: bool,
    /// State.
    pub activity: Activity,
    /// First seq it gets events from.
    pub since_seq: Seq,
    /// Made at.
    pub created_at: Timestamp,
    /// Changed at.
    pub updated_at: Timestamp,
}

static SUBSCRIPTIONS: Collection = Collection {
    name: "subscriptions",
    columns: &[Column { name: "no", kind: ColumnType::Int }, Column { name: "state", kind: ColumnType::Text }],
    indexes: &[Index { name: "by_no", columns: &["no"], kind: IndexKind::Unique, only: None }],
};

impl Record for Subscription {
    const COLLECTION: &'static Collection = &SUBSCRIPTIONS;
    fn key(&self) -> String {
        self.name.clone()
    }
    fn columns(&self) -> Vec<Value> {
        let state = match self.activity {
            Activity::Active => "active",
            Activity::Paused { .. } => "paused",
            Activity::Disabled { .. } => "disabled",
        };
        vec![self.no.into(), state.into()]
    }
}

impl Subscription {
    /// The lanes in which it follows the log.
    pub fn lanes(&self) -> impl Iterator<Item = u8> + Clone + use<> {
        log_lanes(self.ordered).iter().copied()
    }

    /// The longest wait its retry schedule can ask for.
    pub fn longest_wait(&self) -> Duration {
        Duration::from_millis(match &self.retry {
            RetrySchedule::Exponential { cap_ms, .. } => *cap_ms,
            RetrySchedule::Explicit { waits_ms } => waits_ms.iter().copied().max().unwrap_or_default(),
        })
    }

    /// Time for one attempt.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// What was in force from `from_seq` on; facts, never changed. The fate of an event is told from these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Number of the subscription.
    pub no: SubNo,
    /// Its name.
    pub name: String,
    /// Which revision.
    pub revision: u32,
    /// Holds for events with a seq from this one on.
    pub from_seq: Seq,
    /// Filters; empty = it was deleted.
    pub filters: Vec<TopicFilter>,
    /// Predicate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
}

static REVISIONS: Collection = Collection {
    name: "subscription_revisions",
    columns: &[Column { name: "no", kind: ColumnType::Int }, Column { name: "from_seq", kind: ColumnType::Int }],
    indexes: &[Index { name: "by_no", columns: &["no", "from_seq"], kind: IndexKind::Plain, only: None }],
};

impl Record for Revision {
    const COLLECTION: &'static Collection = &REVISIONS;
    fn key(&self) -> String {
        format!("{}/{}", self.no, self.revision)
    }
    #[expect(clippy::cast_possible_wrap, reason = "a log does not reach 2^63 events")]
    fn columns(&self) -> Vec<Value> {
        vec![self.no.into(), Value::Int(self.from_seq as i64)]
    }
}

/// What a caller may say of a new subscription.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    /// Its name.
    pub name: String,
    /// One filter; `filters` for several.
    #[serde(default)]
    pub filter: Option<TopicFilter>,
    /// Several filters.
    #[serde(default)]
    pub filters: Vec<TopicFilter>,
    /// See [`Subscription::predicate`].
    #[serde(default)]
    pub predicate: Option<String>,
    /// A webhook's URL; `target` for other kinds.
    #[serde(default)]
    pub url: Option<String>,
    /// See [`Subscription::target`].
    #[serde(default)]
    pub target: Option<Target>,
    /// Signing secret; a webhook without one gets a new one, returned once.
    #[serde(default)]
    pub secret: Option<String>,
    /// See [`Subscription::ordered`].
    #[serde(default)]
    pub ordered: bool,
    /// See [`Subscription::key`].
    #[serde(default)]
    pub key: Option<String>,
    /// See [`Subscription::on_dead`].
    #[serde(default)]
    pub on_dead: OnDead,
    /// 1 to 1,024; default 16.
    #[serde(default)]
    pub concurrency: Option<u16>,
    /// `"1s,5s,30s"` or a schedule object; default full-jitter exponential.
    #[serde(default)]
    pub retry: Option<RetryInput>,
    /// 1 to 100; default 10.
    #[serde(default)]
    pub max_attempts: Option<u16>,
    /// 100 to 60,000; default 15,000.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// See [`Subscription::keep_exchanges`].
    #[serde(default)]
    pub keep_exchanges: bool,
    /// Begin with events after this seq instead of the present head.
    #[serde(default)]
    pub since: Option<Seq>,
    /// Begin active.
    #[serde(default = "yes")]
    pub active: bool,
}

/// A retry schedule as a caller writes it.
#[derive(Clone, Debug)]
pub struct RetryInput(pub RetrySchedule);

impl<'de> Deserialize<'de> for RetryInput {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(d)?;
        match value {
            serde_json::Value::String(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
            schedule @ serde_json::Value::Object(_) => {
                serde_json::from_value(schedule).map(Self).map_err(serde::de::Error::custom)
            }
            _ => Err(serde::de::Error::custom("must be a text such as 1s,5s,30s, or a schedule as an object")),
        }
    }
}

/// A change of a subscription; absent fields stay.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionPatch {
    /// See [`Subscription::filters`].
    pub filters: Option<Vec<TopicFilter>>,
    /// See [`Subscription::predicate`]; an empty text removes it.
    pub predicate: Option<String>,
    /// A webhook's URL.
    pub url: Option<String>,
    /// See [`Subscription::target`].
    pub target: Option<Target>,
    /// A new signing secret.
    pub secret: Option<String>,
    /// See [`Subscription::on_dead`].
    pub on_dead: Option<OnDead>,
    /// See [`NewSubscription::concurrency`].
    pub concurrency: Option<u16>,
    /// See [`NewSubscription::retry`].
    pub retry: Option<RetryInput>,
    /// See [`NewSubscription::max_attempts`].
    pub max_attempts: Option<u16>,
    /// See [`NewSubscription::timeout_ms`].
    pub timeout_ms: Option<u64>,
    /// See [`Subscription::keep_exchanges`].
    pub keep_exchanges: Option<bool>,
}
