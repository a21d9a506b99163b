//! The parts that tasks and the document share: data flow, durations, timeouts, retries, errors, authentication.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use super::read::{Fields, Read, expected, record};
use crate::{pointer::Pointer, problem::Problems};

/// Something with a name of its own: `- name: {…}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<T> {
    /// Its name.
    pub name: String,
    /// What it names.
    pub value: T,
}

impl<T: Serialize> Serialize for Item<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.name, &self.value)?;
        map.end()
    }
}

impl<T: Read> Read for Item<T> {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        let Value::Object(map) = value else { return expected("a map with one name", value, at, problems) };
        let mut entries = map.iter();
        match (entries.next(), entries.next()) {
            (Some((name, inner)), None) => {
                T::read(inner, &at.key(name), problems).map(|value| Self { name: name.clone(), value })
            }
            (None, _) => {
                problems.add(at, "a map with one name is expected here, this one is empty");
                None
            }
            (Some(_), Some(_)) => {
                let names: Vec<&str> = map.keys().map(String::as_str).collect();
                problems.add(
                    at,
                    format!(
                        "one name is expected here, not {} ({}); begin each with a `-` of its own, or indent what belongs to the first",
                        names.len(),
                        names.join(", ")
                    ),
                );
                None
            }
        }
    }
}

/// Given in place, or the name of one under `use`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Given<T> {
    /// The name of a reusable one.
    Named(String),
    /// In place.
    Inline(T),
}

impl<T: Read> Read for Given<T> {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        match value {
            Value::String(name) => Some(Self::Named(name.clone())),
            other => T::read(other, at, problems).map(Self::Inline),
        }
    }
}

record! {
    /// `input`.
    Input: "the input" {
        optional {
            /// What is validated.
            schema "schema": Schema,
            /// What is handed on.
            from "from": Value,
        }
    }
}

record! {
    /// `output` and `export`.
    Output: "the output" {
        optional {
            /// What is validated.
            schema "schema": Schema,
            /// What is handed on.
            as_ "as": Value,
        }
    }
}

record! {
    /// A schema for data.
    Schema: "the schema" {
        optional {
            /// `json`, or nothing.
            format "format": String,
            /// The schema in place.
            document "document": Value,
            /// Where the schema lies.
            resource "resource": ExternalResource,
        }
    }
}

record! {
    /// Something that lies elsewhere.
    ExternalResource: "the resource" {
        required {
            /// Where.
            endpoint "endpoint": Endpoint,
        }
        optional {
            /// Its name.
            name "name": String,
        }
    }
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Endpoint {
    /// Only a URI, a template or an expression.
    Uri(String),
    /// With how to prove who calls.
    Config(EndpointConfig),
}

record! {
    /// An endpoint with its authentication.
    EndpointConfig: "the endpoint" {
        required {
            /// A URI, a template or an expression.
            uri "uri": String,
        }
        optional {
            /// How to prove who calls.
            authentication "authentication": Authentication,
        }
    }
}

impl Read for Endpoint {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        match value {
            Value::String(uri) => Some(Self::Uri(uri.clone())),
            Value::Object(_) => EndpointConfig::read(value, at, problems).map(Self::Config),
            other => expected("a URI, or a map with `uri`,", other, at, problems),
        }
    }
}

/// How to prove who calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// One of `use.authentications`.
    Use(String),
    /// User and password.
    Basic(Scheme),
    /// A token.
    Bearer(Scheme),
    /// User and password, hashed.
    Digest(Scheme),
    /// A token that is asked for.
    OAuth2(Scheme),
    /// A token that is asked for, from an issuer that describes itself.
    Oidc(Scheme),
    /// A client certificate.
    Certificate(Value),
}

/// The parameters of an authentication: in place, or all of them from one secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Scheme {
    /// The name of a secret that holds them.
    Secret {
        /// Its name.
        #[serde(rename = "use")]
        secret: String,
    },
    /// In place.
    Inline(Map<String, Value>),
}

impl Read for Scheme {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        let map = Map::read(value, at, problems)?;
        match map.get("use") {
            None => Some(Self::Inline(map)),
            Some(Value::String(secret)) if map.len() == 1 => Some(Self::Secret { secret: secret.clone() }),
            Some(_) => {
                problems.add(at, "`use` names a secret that holds everything; it stands alone");
                None
            }
        }
    }
}

impl Read for Authentication {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(value, at, "the authentication", problems)?;
        let named = fields.optional("use")?.map(Self::Use);
        let basic = fields.optional("basic")?.map(Self::Basic);
        let bearer = fields.optional("bearer")?.map(Self::Bearer);
        let digest = fields.optional("digest")?.map(Self::Digest);
        let oauth2 = fields.optional("oauth2")?.map(Self::OAuth2);
        let oidc = fields.optional("oidc")?.map(Self::Oidc);
        let certificate = fields.optional("certificate")?.map(Self::Certificate);
        fields.close();
        let mut given = [named, basic, bearer, digest, oauth2, oidc, certificate].into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(one), None) => Some(one),
            _ => {
                problems.add(at, "one of use, basic, bearer, digest, oauth2, oidc or certificate is expected here");
                None
            }
        }
    }
}

/// A length of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum DurationText {
    /// ISO 8601, or an expression that gives it.
    Text(String),
    /// In its parts.
    Parts(DurationParts),
}

record! {
    /// A length of time in its parts.
    DurationParts: "the duration" {
        optional {
            /// Days of 24 hours.
            days "days": u32,
            /// Hours.
            hours "hours": u32,
            /// Minutes.
            minutes "minutes": u32,
            /// Seconds.
            seconds "seconds": u32,
            /// Milliseconds.
            milliseconds "milliseconds": u32,
        }
    }
}

impl Read for DurationText {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Object(_) => DurationParts::read(value, at, problems).map(Self::Parts),
            other => expected("a duration such as PT30S or `seconds: 30`", other, at, problems),
        }
    }
}

record! {
    /// `timeout`.
    Timeout: "the timeout" {
        required {
            /// After how long.
            after "after": DurationText,
        }
    }
}

record! {
    /// A retry policy.
    Retry: "the retry policy" {
        optional {
            /// Only when this holds.
            when "when": String,
            /// Unless this holds.
            except_when "exceptWhen": String,
            /// The first wait.
            delay "delay": DurationText,
            /// How waits grow.
            backoff "backoff": Backoff,
            /// What is added to each wait.
            jitter "jitter": Jitter,
            /// When to give up.
            limit "limit": RetryLimit,
        }
    }
}

record! {
    /// How waits grow.
    Backoff: "the backoff" {
        optional {
            /// They don't.
            constant "constant": Map<String, Value>,
            /// They double.
            exponential "exponential": Map<String, Value>,
            /// They grow by the first wait.
            linear "linear": Map<String, Value>,
        }
    }
}

record! {
    /// A random addition to each wait.
    Jitter: "the jitter" {
        required {
            /// At least.
            from "from": DurationText,
            /// At most.
            to "to": DurationText,
        }
    }
}

record! {
    /// When to give up.
    RetryLimit: "the retry limit" {
        optional {
            /// Per attempt.
            attempt "attempt": RetryLimitAttempt,
            /// Of all attempts together.
            duration "duration": DurationText,
        }
    }
}

record! {
    /// Limits of attempts.
    RetryLimitAttempt: "the attempt limit" {
        optional {
            /// How many.
            count "count": u32,
            /// How long each may take.
            duration "duration": DurationText,
        }
    }
}

record! {
    /// An error to raise.
    ErrorDefinition: "the error" {
        required {
            /// A URI.
            type_ "type": String,
            /// Like an HTTP status.
            status "status": u32,
        }
        optional {
            /// Set by the runtime; read for completeness.
            instance "instance": String,
            /// In a few words.
            title "title": String,
            /// In a sentence.
            detail "detail": String,
        }
    }
}

record! {
    /// How expressions are evaluated.
    Evaluate: "the evaluation" {
        optional {
            /// `jq`.
            language "language": String,
            /// `strict` or `loose`.
            mode "mode": String,
        }
    }
}

record! {
    /// A catalog of functions.
    Catalog: "the catalog" {
        required {
            /// Where it lies.
            endpoint "endpoint": Endpoint,
        }
    }
}

record! {
    /// One set of events to wait for.
    EventFilter: "the event filter" {
        required {
            /// What their attributes must be.
            with "with": Map<String, Value>,
        }
        optional {
            /// What links them to this run.
            correlate "correlate": BTreeMap<String, Correlation>,
        }
    }
}

record! {
    /// A link between events and a run.
    Correlation: "the correlation" {
        required {
            /// What to take from the event.
            from "from": String,
        }
        optional {
            /// What it must be.
            expect "expect": String,
        }
    }
}

/// Which events to wait for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Strategy {
    /// One event.
    One {
        /// Which.
        one: EventFilter,
    },
    /// Any of several, once or until something.
    Any {
        /// Which; empty means every event.
        any: Vec<EventFilter>,
        /// When to stop.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Until>,
    },
    /// Each of several.
    All {
        /// Which.
        all: Vec<EventFilter>,
    },
}

/// When `any` stops.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Until {
    /// When this holds of what was consumed.
    Condition(String),
    /// When these events came.
    Events(Box<Strategy>),
}

impl Read for Strategy {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(value, at, "one, any or all", problems)?;
        let one = fields.optional("one")?;
        let any = fields.optional("any")?;
        let all = fields.optional("all")?;
        let until = fields.optional("until")?;
        fields.close();
        let message = match (one, any, all, until) {
            (Some(one), None, None, None) => return Some(Self::One { one }),
            (None, Some(any), None, until) => return Some(Self::Any { any, until }),
            (None, None, Some(all), None) => return Some(Self::All { all }),
            (Some(_), None, None, Some(_)) | (None, None, Some(_), Some(_)) => "`until` belongs to `any` only",
            _ => "exactly one of `one`, `any` and `all` is expected here",
        };
        problems.add(at, message);
        None
    }
}

impl Read for Until {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        if let Value::String(condition) = value {
            return Some(Self::Condition(condition.clone()));
        }
        let strategy = Strategy::read(value, at, problems)?;
        if matches!(strategy, Strategy::Any { until: Some(_), .. }) {
            problems.add(at, "an `until` may not have an `until` of its own");
            return None;
        }
        Some(Self::Events(Box::new(strategy)))
    }
}
