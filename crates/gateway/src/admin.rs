//! Administration over HTTP: parse, ask the service, answer. Nothing is decided here.

use nexus_core::{problem::Problem, time::Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::answer::{Answer, render};

pub(crate) mod commands;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod log;
pub(crate) mod replays;
pub(crate) mod sources;
pub(crate) mod state;
pub(crate) mod subscriptions;
pub(crate) mod tokens;

/// A record as it is shown: its times, which are stored as microseconds, in ISO 8601.
fn shown<T: Serialize>(record: &T) -> Result<Value, Problem> {
    let mut value: Value = serde_json::from_str(&render(record)?)
        .map_err(|_| Problem::new(nexus_core::problem::Code::Internal, "unreadable"))?;
    write_times(&mut value);
    Ok(value)
}

fn write_times(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(write_times),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let is_time = name.ends_with("_at") || matches!(name.as_str(), "at" | "since" | "time");
                match field.as_i64() {
                    Some(micros) if is_time => *field = Timestamp::from_micros(micros).to_string().into(),
                    _ if name == "schemas" || name == "detail" => {}
                    _ => write_times(field),
                }
            }
        }
        _ => {}
    }
}

/// A record, as data.
fn one<T: Serialize>(record: &T) -> Result<Answer, Problem> {
    Answer::data(&shown(record)?)
}

/// Records, as data, with where they go on.
fn many<T: Serialize>(records: &[T], next: Option<&str>) -> Result<Answer, Problem> {
    let shown = records.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    Answer::page(&shown, next)
}

/// A record with one more field, where there is something for it: a secret that is shown this once.
fn with<T: Serialize>(record: &T, name: &str, secret: Option<String>) -> Result<Answer, Problem> {
    let mut value = shown(record)?;
    if let (Value::Object(fields), Some(secret)) = (&mut value, secret) {
        fields.insert(name.to_owned(), secret.into());
    }
    Answer::data(&value)
}

/// `{"<name>": n}`.
fn count(name: &str, n: u64) -> Result<Answer, Problem> {
    Answer::data(&Map::from_iter([(name.to_owned(), Value::from(n))]))
}

/// What was removed.
fn removed(name: &str, value: &str) -> Result<Answer, Problem> {
    Answer::data(&Map::from_iter([(name.to_owned(), value.into()), ("status".to_owned(), "removed".into())]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_shown_as_iso_8601_and_nothing_else_is_touched() {
        let record = json!({
            "created_at": 1_767_323_045_678_000_i64, "since_seq": 7, "timeout_ms": 15_000,
            "activity": {"state": "paused", "since": 1_767_323_045_678_000_i64},
            "schemas": {"a.b": {"properties": {"at": {"const": 5}}}},
        });
        assert_eq!(
            shown(&record).expect("shown"),
            json!({
                "created_at": "2026-01-02T03:04:05.678Z", "since_seq": 7, "timeout_ms": 15_000,
                "activity": {"state": "paused", "since": "2026-01-02T03:04:05.678Z"},
                "schemas": {"a.b": {"properties": {"at": {"const": 5}}}},
            })
        );
    }
}
