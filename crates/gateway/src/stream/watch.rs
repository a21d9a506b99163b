//! Watches: the changes of one key of the state, or of the keys that begin alike.

use nexus_core::{
    event::StoredEvent,
    problem::{Code, Problem},
};
use nexus_services::state::{CHANGED, check_key};

use super::{Sight, sse};
use crate::{answer::Answer, call::Call};

/// Whose changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Of this key.
    One(String),
    /// Of the keys that begin so.
    Prefix(String),
}

impl Keys {
    /// From what was asked: either a key or a prefix.
    pub(crate) fn of(key: Option<String>, prefix: Option<String>) -> Result<Self, Problem> {
        match (key, prefix) {
            (Some(key), None) => check_key(&key).map(|()| Self::One(key)),
            (None, Some(prefix)) => Ok(Self::Prefix(prefix)),
            _ => Err(Problem::field("key", "name a key or a prefix, one of them")),
        }
    }

    /// Whether an event is such a change.
    pub(crate) fn matches(&self, event: &StoredEvent) -> bool {
        let Some(subject) = event.subject.as_deref() else { return false };
        event.topic.as_str() == CHANGED
            && match self {
                Self::One(key) => subject == key,
                Self::Prefix(prefix) => subject.starts_with(prefix),
            }
    }

    /// 403 unless the key may be read. Of a prefix only those keys are shown that may be.
    pub(crate) fn permit(&self, sight: &Sight) -> Result<(), Problem> {
        let (permitted, what) = match self {
            Self::One(key) => (sight.may_read_key(key), format!(" for {key:?}")),
            Self::Prefix(_) => (sight.may_read_some_keys(), String::new()),
        };
        if permitted {
            return Ok(());
        }
        let message = format!("{} lacks the scope state:read{what}", sight.name());
        Err(Problem::new(Code::Forbidden, message))
    }
}

/// `GET /api/v1/state/watch`.
pub(crate) async fn open(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    // Every key is a prefix too, so an empty one has to be said.
    let asked = |name: &str| query.given(name).map(str::to_owned);
    let keys = Keys::of(asked("key"), asked("prefix"))?;
    sse::start(call, &query, sse::Wants::Changes(keys))
}
