//! Scalars of the schema.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use nexus_core::{event::Seq, time::Timestamp};

/// A place in the log: a whole number, larger than GraphQL's `Int` may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(pub(super) Seq);

#[Scalar(name = "Seq")]
impl ScalarType for Place {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => number.as_u64().map(Self),
            Value::String(text) => text.parse().ok().map(Self),
            _ => None,
        }
        .ok_or_else(|| InputValueError::custom("a seq is a whole number"))
    }

    fn to_value(&self) -> Value {
        Value::from(self.0)
    }
}

/// A point in time, RFC 3339 in UTC: 2026-01-02T03:04:05.678Z.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) Timestamp);

#[Scalar]
impl ScalarType for Time {
    fn parse(value: Value) -> InputValueResult<Self> {
        let parsed = match &value {
            Value::String(text) => Timestamp::parse(text),
            _ => None,
        };
        parsed.map(Self).ok_or_else(|| InputValueError::custom("a time is written in RFC 3339: 2026-01-02T03:04:05Z"))
    }

    fn to_value(&self) -> Value {
        Value::from(self.0.to_string())
    }
}

/// Any JSON value.
#[derive(Clone, Debug)]
pub(super) struct Json(pub(super) Value);

#[Scalar(name = "JSON")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value))
    }

    fn to_value(&self) -> Value {
        self.0.clone()
    }
}

impl Json {
    /// Of JSON text; text that is none, such as a number outside every range, stays text.
    pub(super) fn of_text(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
    }
}
