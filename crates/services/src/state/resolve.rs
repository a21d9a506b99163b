//! What becomes of a write that met another: by the rule for its key.

use std::fmt;

use nexus_core::{plugin::StateConflict, problem::Problem};
use serde_json::value::RawValue;

use super::{
    StateStore,
    change::{Change, Expect, StateError, VALUE_BYTES, number},
    conflict::Cause,
    merge::merge,
    policy::{OnConflict, Rule},
    version::{Origin, Version},
    write::Base,
};

/// A value to write in place of the one that was wanted, and why it is that one.
pub(super) struct Joined {
    pub(super) value: Box<RawValue>,
    pub(super) reason: String,
    /// `merged` or `resolved`.
    pub(super) outcome: &'static str,
}

/// Why what the writer had read is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// The key never came to that version.
    Ahead { expected: u64, last: u64 },
    /// It did, but the history does not go back to it.
    Gone(u64),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ahead { expected, last } => {
                write!(f, "nobody can have read version {expected}, as {last} is the last that the key has had")
            }
            Self::Gone(expected) => write!(f, "version {expected}, which the writer had read, is no longer kept"),
        }
    }
}

/// What the writer had read: the value of the version that it expected, or that there was none. `found` is that version
/// as far as the history has it, `last` the present one.
fn had_read(expected: u64, last: u64, found: Option<&Version>) -> Result<Option<&RawValue>, Unread> {
    match found {
        _ if expected == 0 => Ok(None),
        _ if expected > last => Err(Unread::Ahead { expected, last }),
        Some(version) => Ok(version.live()),
        None => Err(Unread::Gone(expected)),
    }
}

impl StateStore {
    /// The value that joins the write with what stands; or the refusal, and maybe a conflict that waits. `base` was
    /// read from the store.
    pub(super) async fn join(&self, change: &Change, base: &Base, origin: &Origin) -> Result<Joined, StateError> {
        let refuse = |outcome: &'static str, why: Option<String>| {
            let mut error = StateError::stale(&change.key, change.expect, base.version());
            if let Some(why) = why {
                error.problem.message = format!("{}; {why}", error.problem.message);
            }
            self.met(outcome, change, base, origin);
            error
        };
        let rule = self.inner.policies.find(&change.key);
        let (Expect::Version(expected), false, Some(rule)) = (change.expect, change.strict, rule) else {
            return Err(refuse("refused", None));
        };
        let current = base.version().filter(|v| !v.deleted);
        let joined = match (rule.policy.rule.on_conflict, &change.value, current) {
            (OnConflict::LastWriteWins, ..) => return Err(refuse("refused", None)),
            (OnConflict::UserConfirmation, ..) => {
                let parked = (expected, base.held.as_deref());
                let parked = self.parked(&change.key, change.value.clone(), parked, Cause::Write, origin);
                if !self.park(&parked, origin).await? {
                    return Err(refuse("refused", Some("too many conflicts wait already".into())));
                }
                let why = format!("it waits as conflict {} for somebody's choice", parked.id);
                let mut error = refuse("parked", Some(why));
                error.conflict = Some(parked.id.into());
                return Err(error);
            }
            // A deletion, or a key that was deleted, leaves nothing to join.
            (_, None, _) | (_, _, None) => return Err(refuse("refused", None)),
            (OnConflict::Merge, Some(wanted), Some(current)) => {
                let found = self.find_version(&change.key, expected).await?;
                let kind = rule.policy.rule.merge.unwrap_or_default();
                had_read(expected, current.version, found.as_ref())
                    .map_err(|e| e.to_string())
                    .and_then(|base| {
                        merge(kind, base.map(RawValue::get), current.value.get(), wanted.get())
                            .map_err(|e| e.to_string())
                    })
                    .map(|text| (text, format!("merged with version {}", current.version), "merged"))
            }
            (OnConflict::Custom, Some(wanted), Some(current)) => {
                let found = self.find_version(&change.key, expected).await?;
                match had_read(expected, current.version, found.as_ref()) {
                    Err(ahead @ Unread::Ahead { .. }) => Err(ahead.to_string()),
                    // A resolver may do without what is no longer kept.
                    read => {
                        let base = read.ok().flatten();
                        self.ask_resolver(&rule, &change.key, base, &current.value, wanted).await.map(|text| {
                            let reason = format!("resolved with version {} by {}", current.version, rule.policy.name);
                            (text, reason, "resolved")
                        })
                    }
                }
            }
        };
        let fits = |(text, reason, outcome): (String, String, &'static str)| {
            if text.len() > VALUE_BYTES {
                return Err(format!("together they have more than {VALUE_BYTES} bytes"));
            }
            let value = RawValue::from_string(text).map_err(|e| format!("the result is no JSON: {e}"))?;
            Ok(Joined { value, reason, outcome })
        };
        joined.and_then(fits).map_err(|why| refuse("refused", Some(format!("they can't be joined: {why}"))))
    }

    async fn ask_resolver(
        &self,
        rule: &Rule,
        key: &str,
        base: Option<&RawValue>,
        current: &RawValue,
        wanted: &RawValue,
    ) -> Result<String, String> {
        if let Some(jq) = &rule.jq {
            let (base, key) = (base.map_or("null", RawValue::get), serde_json::Value::from(key));
            let (current, wanted) = (current.get(), wanted.get());
            let input = format!(r#"{{"key":{key},"base":{base},"current":{current},"wanted":{wanted}}}"#);
            return jq.run(input.as_bytes()).map(|value| value.to_string()).map_err(|e| e.to_string());
        }
        let name = rule.policy.rule.resolver.as_deref().unwrap_or_default();
        let value = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_default();
        let conflict = StateConflict {
            key: key.to_owned(),
            base: base.map(value),
            current: Some(value(current)),
            wanted: value(wanted),
        };
        match self.inner.plugins.resolve_conflict(name, &conflict).await {
            Ok(Some(value)) => Ok(value.to_string()),
            Ok(None) => Err(format!("there is no resolver {name:?}")),
            Err(Problem { message, .. }) => Err(format!("resolver {name:?} refused: {message}")),
        }
    }

    /// Counts a conflict and remembers it as the last.
    pub(super) fn met(&self, outcome: &'static str, change: &Change, base: &Base, origin: &Origin) {
        let expected = if let Expect::Version(n) = change.expect { Some(n) } else { None };
        self.inner.metrics.conflict(super::metrics::LastConflict {
            key: change.key.clone(),
            outcome,
            expected_version: expected,
            current_version: number(base.version()),
            by: origin.by.clone(),
            at: self.desk().now(),
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(number: u64, deleted: bool) -> Version {
        let value = if deleted { "null" } else { "7" };
        let value = RawValue::from_string(value.to_owned()).expect("JSON");
        Version {
            version: number,
            deleted,
            value,
            updated_at: nexus_core::time::Timestamp::default(),
            updated_by: "x".into(),
            correlation_id: None,
            reason: None,
            expires_at: None,
        }
    }

    proptest! {
        #[test]
        fn only_what_was_there_to_be_read_is_a_base(expected in 0..12_u64, last in 1..9_u64, kept in 1..9_u64, deleted: bool) {
            // The history has the versions from `kept` on.
            let found = (expected >= kept && expected <= last).then(|| version(expected, deleted));
            let read = had_read(expected, last, found.as_ref()).map(|base| base.map(RawValue::get));
            let right = if expected == 0 {
                Ok(None)
            } else if expected > last {
                Err(Unread::Ahead { expected, last })
            } else if expected < kept {
                Err(Unread::Gone(expected))
            } else {
                Ok((!deleted).then_some("7"))
            };
            prop_assert_eq!(read, right);
        }
    }
}
