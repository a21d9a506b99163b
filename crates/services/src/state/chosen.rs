//! Ending a conflict by somebody's choice, which is one against what the chooser saw: a write that came since is not lost.

use nexus_core::{
    problem::{Code, Problem},
    store::{Commit, CommitError, Guard, Key, Lane, Write},
};
use serde_json::{json, value::RawValue};

use super::{
    StateStore,
    change::{Expect, StateError, VALUE_BYTES, number},
    conflict::{Choice, Parked, Resolution, notice, wrong},
    key::check_key,
    plan::{RESOLVED, Step},
    version::{Held, Origin, STATE, Version},
    write::{Base, next, overrun},
};

/// Tries of one choice against writers of the same key.
const TRIES: u32 = 64;

/// What somebody chose, and of what.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Which value stays.
    pub choice: Choice,
    /// With [`Choice::Value`]: it.
    pub value: Option<Box<RawValue>>,
    /// The present version as the chooser saw it; absent: the one that stood when the write was parked.
    pub expected_version: Option<u64>,
}

impl Chosen {
    /// 413 or 422 for what can't be chosen.
    fn check(&self) -> Result<(), Problem> {
        if (self.choice == Choice::Value) != self.value.is_some() {
            return Err(Problem::field("value", "goes with the choice \"value\", and only with it"));
        }
        if self.value.as_ref().is_some_and(|v| v.get().len() > VALUE_BYTES) {
            return Err(Problem::new(Code::TooLarge, format!("the value is larger than {VALUE_BYTES} bytes")));
        }
        Ok(())
    }

    /// Whether it was made for the key as it is. What stands may stay whatever it is, as that overwrites nothing; unless
    /// the chooser says what it was.
    fn fits(&self, parked: &Parked, present: Option<&Version>) -> bool {
        match self.expected_version {
            Some(seen) => Expect::Version(seen).holds(present),
            None => self.choice == Choice::Current || number(present) == parked.current_version,
        }
    }
}

/// 409 with what stands, for a choice that was made for something else.
fn moved(parked: &Parked, chosen: &Chosen, present: Option<&Version>) -> StateError {
    let (key, id, version) = (&parked.key, &parked.id, number(present));
    let stands = match present {
        Some(c) if c.deleted => format!("was deleted by version {version}"),
        Some(_) => format!("has version {version}"),
        None => "does not exist".to_owned(),
    };
    let not = match chosen.expected_version {
        Some(seen) => format!("not {seen}"),
        None => format!("not {} as when conflict {id} was parked", parked.current_version),
    };
    let message = format!("{key:?} {stands}, {not}; look at it and choose again with expected_version {version}");
    let present = present.cloned().map(Box::new);
    StateError { version: Some(version), present, ..Problem::new(Code::Conflict, message).into() }
}

impl StateStore {
    /// Ends a conflict by a choice.
    pub async fn resolve(&self, id: &str, chosen: &Chosen, origin: &Origin) -> Result<Parked, StateError> {
        chosen.check()?;
        for attempt in 0..TRIES {
            let (parked, document) = self.conflict_at(id).await?;
            if let Some(done) = &parked.resolved {
                let message = format!("conflict {id} was resolved by {} at {}", done.by, done.at);
                return Err(Problem::new(Code::Conflict, message).into());
            }
            check_key(&parked.key)?;
            let base = self.fresh(&parked.key).await?;
            if !chosen.fits(&parked, base.version()) {
                return Err(moved(&parked, chosen, base.version()));
            }
            let mut commit = Commit { lane: Lane::Door, ..Commit::default() };
            commit.guards.push(Guard::Version(Key::of::<Parked>(id), document));
            let (parked, held) = self.ended(parked, chosen, &base, origin, &mut commit)?;
            match self.desk().try_commit(commit).await {
                Ok(_) => {
                    if let Some(held) = held {
                        self.inner.cache.put(&parked.key, &held);
                    }
                    return Ok(parked);
                }
                Err(CommitError::Conflict { .. }) => self.pause(attempt).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(overrun(id))
    }

    /// Adds the end of a conflict to a commit, with the new version of the key where it gets one.
    fn ended(
        &self,
        parked: Parked,
        chosen: &Chosen,
        base: &Base,
        origin: &Origin,
        commit: &mut Commit,
    ) -> Result<(Parked, Option<std::sync::Arc<Held>>), StateError> {
        let now = self.desk().now();
        let mut version = number(base.version());
        let mut parked = parked.seen(Some(version));
        let held = match written(&parked, chosen, base.version()) {
            Some(value) => {
                let mut next = next(base, value, None, origin, now);
                let choice = json!(chosen.choice);
                next.reason = Some(format!("conflict {} resolved: {}", parked.id, choice.as_str().unwrap_or_default()));
                version = next.version;
                let step = Step { key: &parked.key, current: base.held.as_deref(), next };
                Some(step.add(commit, origin, self.inner.options.history_versions, now).map_err(|e| wrong(&e))?)
            }
            None => {
                if chosen.expected_version.is_some() {
                    commit.guards.push(unmoved(&parked.key, base));
                }
                None
            }
        };
        parked.resolved = Some(Resolution { choice: chosen.choice, by: origin.by.clone(), at: now, version });
        commit.documents.push(Write::put(&parked).map_err(|e| wrong(&e))?);
        commit.events.push(notice(RESOLVED, &parked, origin, now));
        Ok((parked, held))
    }
}

/// What a choice writes: a value, or `Some(None)` for a deletion; `None` where it leaves the key as it is.
fn written(parked: &Parked, chosen: &Chosen, present: Option<&Version>) -> Option<Option<Box<RawValue>>> {
    let wanted = match chosen.choice {
        Choice::Current => return None,
        Choice::Wanted => (!parked.deletes).then(|| parked.wanted.clone()),
        Choice::Value => chosen.value.clone(),
    };
    // Deleting what is not there changes nothing.
    let idle = wanted.is_none() && present.is_none_or(|v| v.deleted);
    (!idle).then_some(wanted)
}

/// That nobody writes the key meanwhile.
fn unmoved(key: &str, base: &Base) -> Guard {
    let key = Key { collection: &STATE, key: key.to_owned() };
    match &base.held {
        Some(held) => Guard::Version(key, held.document),
        None => Guard::Absent(key),
    }
}

#[cfg(test)]
mod tests {
    use nexus_core::time::Timestamp;
    use proptest::prelude::*;

    use super::{super::conflict::Cause, *};

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    fn parked(at: u64, deletes: bool) -> Parked {
        Parked {
            id: "1".into(),
            key: "k".into(),
            cause: Cause::Write,
            wanted: raw(if deletes { "null" } else { "\"wanted\"" }),
            deletes,
            base_version: 1,
            current_version: at,
            parked_version: None,
            by: "x".into(),
            parked_at: Timestamp::default(),
            correlation_id: None,
            resolved: None,
        }
    }

    fn version(number: u64, deleted: bool) -> Version {
        Version {
            version: number,
            deleted,
            value: raw(if deleted { "null" } else { "\"stands\"" }),
            updated_at: Timestamp::default(),
            updated_by: "x".into(),
            correlation_id: None,
            reason: None,
            expires_at: None,
        }
    }

    fn chosen() -> impl Strategy<Value = Chosen> {
        let choice = prop_oneof![Just(Choice::Current), Just(Choice::Wanted), Just(Choice::Value)];
        (choice, proptest::option::of(0..6_u64)).prop_map(|(choice, expected_version)| {
            let value = (choice == Choice::Value).then(|| raw("\"other\""));
            Chosen { choice, value, expected_version }
        })
    }

    proptest! {
        #[test]
        fn a_choice_writes_only_over_what_its_chooser_can_have_seen(
            chosen in chosen(), at in 1..6_u64, now in 1..6_u64, deleted: bool, deletes: bool,
        ) {
            let (parked, present) = (parked(at, deletes), version(now, deleted));
            let writes = written(&parked, &chosen, Some(&present)).is_some();
            if chosen.fits(&parked, Some(&present)) {
                let seen = chosen.expected_version.unwrap_or(at);
                prop_assert!(!writes || seen == now || (seen == 0 && deleted), "over {} with {:?}", now, chosen);
            } else {
                let refused = moved(&parked, &chosen, Some(&present));
                prop_assert_eq!(refused.version, Some(now));
                let stands = refused.present.as_ref().and_then(|p| p.live()).map(RawValue::get);
                prop_assert_eq!(stands, (!deleted).then_some("\"stands\""));
                // What the refusal tells to send goes through.
                let again = Chosen { expected_version: refused.version, ..chosen.clone() };
                prop_assert!(again.fits(&parked, Some(&present)));
            }
            prop_assert!(chosen.choice != Choice::Current || !writes);
        }
    }

    #[test]
    fn a_choice_that_names_no_version_is_one_for_the_key_as_it_was_parked() {
        let plain = |choice| Chosen { choice, value: None, expected_version: None };
        assert!(plain(Choice::Wanted).fits(&parked(2, false), Some(&version(2, false))));
        assert!(!plain(Choice::Wanted).fits(&parked(2, false), Some(&version(3, false))));
        assert!(plain(Choice::Current).fits(&parked(2, false), Some(&version(3, false))), "it overwrites nothing");
        let text = moved(&parked(2, false), &plain(Choice::Wanted), Some(&version(3, true))).problem.message;
        let right = "\"k\" was deleted by version 3, not 2 as when conflict 1 was parked; \
                     look at it and choose again with expected_version 3";
        assert_eq!(text, right);
    }
}
