//! What becomes of a write that met another: by the rule for its key.

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
                let read = self.find_version(&change.key, expected).await?;
                let kind = rule.policy.rule.merge.unwrap_or_default();
                let base = read.as_ref().and_then(Version::live).map(RawValue::get);
                merge(kind, base, current.value.get(), wanted.get())
                    .map(|text| (text, format!("merged with version {}", current.version), "merged"))
                    .map_err(|e| e.to_string())
            }
            (OnConflict::Custom, Some(wanted), Some(current)) => {
                let read = self.find_version(&change.key, expected).await?;
                let base = read.as_ref().and_then(Version::live);
                self.ask_resolver(&rule, &change.key, base, &current.value, wanted).await.map(|text| {
                    let reason = format!("resolved with version {} by {}", current.version, rule.policy.name);
                    (text, reason, "resolved")
                })
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
