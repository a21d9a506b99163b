//! A change that somebody asks for, whether it fits the present version, and why it may not.

use std::time::Duration;

use nexus_core::problem::{Code, Problem};
use nexus_core::store::{CommitError, StoreError};
use nexus_engine::desk::{refused, unreadable};
use serde_json::value::RawValue;

use super::version::Version;

/// Bytes of a value; with what is noted beside it, it stays below the limit of a document. Larger is refused (413).
pub const VALUE_BYTES: usize = 250 << 10;
/// Longest time to live, in seconds: ten years.
pub const LONGEST_TTL_SECONDS: u64 = 10 * 366 * 24 * 3600;
/// The same.
const LONGEST_TTL: Duration = Duration::from_secs(LONGEST_TTL_SECONDS);

/// What the writer relies on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: the last write wins.
    #[default]
    Anything,
    /// That the key exists.
    Existing,
    /// That the present version is this one; 0 = the key does not exist.
    Version(u64),
}

impl Expect {
    /// Whether it is so. A deleted key does not exist; it can be named by 0 or by the version that deleted it.
    pub(super) fn holds(self, current: Option<&Version>) -> bool {
        let exists = current.is_some_and(|c| !c.deleted);
        match self {
            Self::Anything => true,
            Self::Existing => exists,
            Self::Version(0) => !exists,
            Self::Version(n) => number(current) == n,
        }
    }
}

/// The number of the present version; 0 where there never was one.
pub(super) fn number(current: Option<&Version>) -> u64 {
    current.map_or(0, |c| c.version)
}

/// A change to one key.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which key.
    pub key: String,
    /// The new value as JSON text; `None` deletes.
    pub value: Option<Box<RawValue>>,
    /// What the writer relies on.
    pub expect: Expect,
    /// Refuse it when that is not so, whatever the policy of the key says.
    pub strict: bool,
    /// Delete the key by itself after this.
    pub ttl: Option<Duration>,
}

impl Change {
    /// 413 or 422 for what can't be stored.
    pub(super) fn check(&self) -> Result<(), Problem> {
        super::key::check_key(&self.key)?;
        let bytes = self.value.as_ref().map_or(0, |v| v.get().len());
        if bytes > VALUE_BYTES {
            let message = format!("the value has {bytes} bytes; at most {VALUE_BYTES} are allowed");
            return Err(Problem::new(Code::TooLarge, message));
        }
        match self.ttl {
            Some(ttl) if ttl.is_zero() || ttl > LONGEST_TTL => {
                Err(Problem::field("ttl_seconds", format!("must be a whole number from 1 to {LONGEST_TTL_SECONDS}")))
            }
            _ => Ok(()),
        }
    }
}

/// A change that was made.
#[derive(Clone, Debug)]
pub struct Written {
    /// The new version.
    pub version: u64,
    /// It is not quite what was asked for: it was merged with what others had written meanwhile.
    pub merged: bool,
}

/// A change that was not made.
#[derive(Debug)]
pub struct StateError {
    /// Why.
    pub problem: Problem,
    /// The present version, where the change did not fit it.
    pub version: Option<u64>,
    /// The conflict under which it waits for somebody's choice.
    pub conflict: Option<Box<str>>,
    /// What stands, where a choice was not made for it: for those who may read the key.
    pub present: Option<Box<Version>>,
}

impl From<Problem> for StateError {
    fn from(problem: Problem) -> Self {
        Self { problem, version: None, conflict: None, present: None }
    }
}

impl From<StoreError> for StateError {
    fn from(error: StoreError) -> Self {
        unreadable(error).into()
    }
}

impl From<CommitError> for StateError {
    fn from(error: CommitError) -> Self {
        refused(&error).into()
    }
}

impl StateError {
    /// 409 that names the present version.
    pub(super) fn stale(key: &str, expect: Expect, current: Option<&Version>) -> Self {
        let version = number(current);
        let present = match current {
            Some(c) if c.deleted => format!("was deleted by version {version}"),
            Some(_) => format!("has version {version}"),
            None => "does not exist".to_owned(),
        };
        let wanted = match expect {
            Expect::Anything => String::new(),
            Expect::Existing => ", but was expected to exist".to_owned(),
            Expect::Version(0) => ", but was expected not to exist".to_owned(),
            Expect::Version(n) => format!(", not {n}"),
        };
        let message = format!("{key:?} {present}{wanted}; read it again and decide again");
        Self { version: Some(version), ..Problem::new(Code::Conflict, message).into() }
    }

    /// 404 of a key.
    pub(super) fn missing(key: &str) -> Self {
        Problem::new(Code::NotFound, format!("there is no state {key:?}")).into()
    }
}
