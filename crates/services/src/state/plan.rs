//! What one change of one key writes: the document, the version it replaces, the event, the timer. Pure.

use std::{fmt::Write as _, sync::Arc};

use nexus_core::{
    event::NewEvent,
    record::Value,
    store::{Commit, Guard, Key, TimerWrite, Write},
    time::Timestamp,
    topic::Topic,
};
use serde_json::value::RawValue;

use super::{
    key::history_key,
    version::{HISTORY, Held, Origin, STATE, Version},
};

/// Topic of the event of every change; its subject is the key.
pub const CHANGED: &str = "state.changed";
/// Topic of the event that a write was parked.
pub const CONFLICT: &str = "state.conflict";
/// Topic of the event that somebody chose what becomes of it.
pub const RESOLVED: &str = "state.conflict_resolved";
/// Kind of the timers that delete keys.
pub(super) const TTL: &str = "state.ttl";

/// Whether events of this topic are only ever made here. Whoever reads them needs the right to read their subject, the key.
pub fn is_own_topic(topic: &str) -> bool {
    matches!(topic, CHANGED | CONFLICT | RESOLVED)
}

/// One step of a key from the version it has to the next.
pub(super) struct Step<'a> {
    pub(super) key: &'a str,
    pub(super) current: Option<&'a Held>,
    pub(super) next: Version,
}

/// The name of the timer that deletes a key.
pub(super) fn ttl_timer(key: &str) -> String {
    format!("{TTL}/{key}")
}

impl Step<'_> {
    /// Adds the step to a commit, guarded by the version it starts from; `kept` versions of the key stay, this one
    /// included. What the cache is to hold once it is on its way is given back.
    pub(super) fn add(
        self,
        commit: &mut Commit,
        origin: &Origin,
        kept: u64,
        now: Timestamp,
    ) -> Result<Arc<Held>, serde_json::Error> {
        let Self { key, current, next } = self;
        let at = |key: &str| Key { collection: &STATE, key: key.to_owned() };
        commit.guards.push(match current {
            Some(held) => Guard::Version(at(key), held.document),
            None => Guard::Absent(at(key)),
        });
        commit.documents.push(Write::Put {
            key: at(key),
            columns: vec![Value::Bool(next.deleted), next.updated_at.into()],
            body: serde_json::to_string(&next)?,
        });
        if let Some(held) = current
            && kept > 1
        {
            commit.documents.push(Write::Put {
                key: Key { collection: &HISTORY, key: history_key(key, held.version.version) },
                columns: vec![now.into()],
                body: serde_json::to_string(&held.version)?,
            });
        }
        if let Some(oldest) = next.version.checked_sub(kept).filter(|n| *n > 0) {
            commit.documents.push(Write::Delete(Key { collection: &HISTORY, key: history_key(key, oldest) }));
        }
        match next.expires_at {
            Some(due) => commit.timers.push(TimerWrite::Set {
                id: ttl_timer(key),
                due,
                kind: TTL.to_owned(),
                body: serde_json::to_string(&(key, next.version))?,
            }),
            None if current.is_some_and(|held| held.version.expires_at.is_some()) => {
                commit.timers.push(TimerWrite::Cancel(ttl_timer(key)));
            }
            None => {}
        }
        commit.events.push(event(key, current.map(|held| &held.version), &next, origin, now)?);
        let document = current.map_or(1, |held| held.document + 1);
        Ok(Arc::new(Held { version: next, document }))
    }
}

/// `{"key","old","new","version"}`, and `created`, `deleted`, `reason` where they are so.
fn event(
    key: &str,
    old: Option<&Version>,
    new: &Version,
    origin: &Origin,
    now: Timestamp,
) -> Result<NewEvent, serde_json::Error> {
    let before = old.and_then(Version::live);
    let text = |value: Option<&RawValue>| value.map_or("null".to_owned(), |v| v.get().to_owned());
    let mut data = format!(
        r#"{{"key":{},"old":{},"new":{},"version":{}"#,
        serde_json::to_string(key)?,
        text(before),
        text(new.live()),
        new.version
    );
    if before.is_none() {
        data.push_str(r#","created":true"#);
    }
    if new.deleted {
        data.push_str(r#","deleted":true"#);
    }
    if let Some(reason) = &new.reason {
        // Writing to a String can't fail.
        let _ = write!(data, r#","reason":{}"#, serde_json::to_string(reason)?);
    }
    data.push('}');
    let mut event = NewEvent::new(Topic::from_canonical(CHANGED), origin.by.as_str(), data, now);
    event.subject = Some(key.to_owned());
    origin.mark(&mut event);
    Ok(event)
}
