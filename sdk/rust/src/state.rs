//! Shared state: keys with versions, changes that are told, conflicts.

use futures_util::{Stream, StreamExt};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Client, Error, Page,
    client::{More, Path},
    tail::{Tailed, Wanted},
};

const ADMIN: &str = "/api/v1/state";

/// A key as the hub shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct State {
    /// The key.
    #[serde(default)]
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Its version.
    pub version: u64,
    /// When it was written.
    #[serde(default)]
    pub updated_at: String,
    /// By whom.
    #[serde(default)]
    pub updated_by: String,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: More,
}

/// A change that was made.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StateWritten {
    /// The new version.
    pub version: u64,
    /// It was merged with what others had written meanwhile.
    #[serde(default)]
    pub merged: bool,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: More,
}

/// What goes with a write.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PutState {
    /// Refuse it (409; the present version is in [`crate::Problem::version`]) unless this is the present version; 0 =
    /// the key must not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u64>,
    /// Delete the key by itself after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// Keys, and where they go on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StatePage {
    /// The keys.
    pub items: Vec<State>,
    /// Give it back to get the next page.
    pub next_cursor: Option<String>,
}

/// Versions of a key, and where they go on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StateHistory {
    /// The key.
    pub key: String,
    /// Oldest first.
    pub history: Vec<State>,
    /// Give it back to get the next page.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// A change, as it is told.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StateChange {
    /// The key.
    pub key: String,
    /// The value before; `null` where there was none.
    pub old: Value,
    /// The value after; `null` where it was deleted.
    pub new: Value,
    /// The version after.
    pub version: u64,
    /// `created`, `deleted`, `reason` where they apply.
    #[serde(flatten)]
    pub more: More,
}

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// One key.
    Key(String),
    /// The keys that begin so.
    Prefix(String),
}

impl Client {
    /// A key; `None` when it is not there (scope `state:read`).
    pub async fn state(&self, key: &str) -> Result<Option<State>, Error> {
        match self.get(Path::new("/state").segment(key).as_str()).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::Refused(problem)) if problem.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets a key (scope `state:write`).
    pub async fn put_state(&self, key: &str, value: &Value, with: &PutState) -> Result<StateWritten, Error> {
        let mut body = serde_json::to_value(with).map_err(|e| Error::Local(e.to_string()))?;
        body["value"] = value.clone();
        self.call(Method::PUT, Path::new("/state").segment(key).as_str(), Some(&body)).await
    }

    /// Deletes a key; only in this version where one is named.
    pub async fn delete_state(&self, key: &str, expected: Option<u64>) -> Result<StateWritten, Error> {
        self.delete(Path::new("/state").segment(key).query("expected_version", expected).as_str()).await
    }

    /// Keys that begin with `prefix`.
    pub async fn list_state(&self, prefix: &str, cursor: Option<&str>, limit: usize) -> Result<StatePage, Error> {
        let prefix = Some(prefix).filter(|p| !p.is_empty());
        let path = Path::new("/state").query("prefix", prefix).query("cursor", cursor).query("limit", Some(limit));
        self.get(path.as_str()).await
    }

    /// The versions of a key that are kept, oldest first.
    pub async fn state_history(&self, key: &str, cursor: Option<&str>, limit: usize) -> Result<StateHistory, Error> {
        let path = Path::new("/state").segment(key).as_str().to_owned() + "/history";
        self.get(Path::new(&path).query("cursor", cursor).query("limit", Some(limit)).as_str()).await
    }

    /// Changes several keys, all or none; see `POST /api/v1/state/transactions`.
    pub async fn transact_state(&self, transaction: &Value) -> Result<Value, Error> {
        self.post(&format!("{ADMIN}/transactions"), transaction).await
    }

    /// Conflicts that wait for a choice; with `all`, resolved ones too.
    pub async fn state_conflicts(&self, key: Option<&str>, all: bool) -> Result<Page<Value>, Error> {
        let path = Path::new(ADMIN).segment("conflicts").query("key", key).query("all", all.then_some(true));
        self.page(path.as_str()).await
    }

    /// Ends a conflict: `current`, `wanted`, or `value` with another one. `expected` is the present version as the chooser
    /// saw it; without it the one that stood when the write was parked. It is refused (409; the present version is in
    /// [`crate::Problem::version`]) when the key was written since.
    pub async fn resolve_state_conflict(
        &self,
        id: &str,
        choice: &str,
        value: Option<&Value>,
        expected: Option<u64>,
    ) -> Result<Value, Error> {
        let mut body = json!({"choice": choice});
        if let Some(expected) = expected {
            body["expected_version"] = expected.into();
        }
        if let Some(value) = value {
            body["value"] = value.clone();
        }
        self.post(Path::new(ADMIN).segment("conflicts").segment(id).segment("resolve").as_str(), &body).await
    }

    /// Changes as they come, from now on or after `since`; lost connections are made again and lose nothing.
    pub fn watch_state(
        &self,
        watch: &Watch,
        since: Option<&str>,
    ) -> impl Stream<Item = Result<Tailed, Error>> + Send + use<> {
        self.tail_of(Wanted::Changes(watch.clone()), since)
    }

    /// Calls `on_change` once per change, until it fails with an error that another attempt can't mend.
    pub async fn on_state_change(&self, watch: &Watch, mut on_change: impl FnMut(StateChange)) -> Result<(), Error> {
        let mut changes = std::pin::pin!(self.watch_state(watch, None));
        while let Some(next) = changes.next().await {
            if let Tailed::Event(event) = next? {
                on_change(self.read(event.payload)?);
            }
        }
        Ok(())
    }
}
