//! The state as one JSON file: written now and then for people and other programs, read when there is no state yet.
//!
//! The log is the truth; the file is a copy of it, each key as it was when it was read.

use std::{
    io::{BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nexus_core::{
    problem::{Code, Problem},
    record::{Collection, Record, Value},
    store::{Commit, Lane, Write},
};
use nexus_engine::desk::{refused, unreadable};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::{
    StateStore,
    change::{Change, Expect},
    plan::{CHANGED, Step},
    version::Origin,
    write::next,
};

/// Bytes of a file that is read; a larger one is refused.
const IMPORT_BYTES: u64 = 256 << 20;
/// Keys in one commit of an import.
const BATCH: usize = 64;
/// Keys read at a time for a snapshot.
const PAGE: usize = 500;

static MARKS: Collection = Collection { name: "state_marks", columns: &[], indexes: &[] };

/// How far an import has come, so that one that broke off goes on at the next start.
#[derive(Serialize, Deserialize)]
pub(super) struct Import {
    is_done: bool,
}

impl Record for Import {
    const COLLECTION: &'static Collection = &MARKS;
    fn key(&self) -> String {
        "import".to_owned()
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// The file.
#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    keys: std::collections::BTreeMap<String, Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

/// The keys and values of a file: one that was written here, or a plain object of values, or of `{"value","version"}`.
fn read(text: &str) -> Result<Vec<(String, Box<RawValue>)>, String> {
    if text.contains("\"nexus_state\"")
        && let Ok(file) = serde_json::from_str::<File<'_>>(text)
    {
        return Ok(file.keys.into_iter().map(|(key, entry)| (key, entry.value.to_owned())).collect());
    }
    let plain: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|e| format!("it is no JSON object of keys: {e}"))?;
    let value = |raw: &RawValue| {
        let is_entry = serde_json::from_str::<serde_json::Value>(raw.get())
            .is_ok_and(|v| v.get("value").is_some() && v.get("version").is_some_and(serde_json::Value::is_u64));
        match serde_json::from_str::<Entry<'_>>(raw.get()) {
            Ok(entry) if is_entry => entry.value.to_owned(),
            _ => raw.to_owned(),
        }
    };
    Ok(plain.into_iter().map(|(key, raw)| (key, value(raw))).collect())
}

impl StateStore {
    /// Reads the file where the log has never held any state.
    pub(super) async fn import(&self, file: &Path) -> Result<(), Problem> {
        let mark = self.desk().store.get(&MARKS, "import").await.map_err(unreadable)?;
        let mark: Option<Import> = mark.and_then(|document| serde_json::from_str(&document.body).ok());
        let is_done = match mark {
            Some(mark) => mark.is_done,
            None => self.desk().store.topics().await.map_err(unreadable)?.iter().any(|topic| topic == CHANGED),
        };
        let wrong = |reason: String| {
            let message = format!("the state file {} can't be read: {reason}; move it away or mend it", file.display());
            Problem::new(Code::Invalid, message)
        };
        let length = match std::fs::metadata(file) {
            Ok(found) if !is_done => found.len(),
            // Nothing to read, or nothing to be read any more.
            _ => return Ok(()),
        };
        if length > IMPORT_BYTES {
            return Err(wrong(format!("it has more than {IMPORT_BYTES} bytes")));
        }
        let path = file.to_owned();
        let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let text = text.map_err(|e| wrong(e.to_string()))?.map_err(|e| wrong(e.to_string()))?;
        let found = read(&text).map_err(wrong)?;
        for (key, value) in &found {
            let value = Some(value.clone());
            let change = Change { key: key.clone(), value, expect: Expect::Anything, strict: true, ttl: None };
            change.check().map_err(|e| wrong(format!("{key:?}: {e}")))?;
        }
        if found.is_empty() {
            return Ok(());
        }
        self.mark(false).await?;
        for keys in found.chunks(BATCH) {
            self.import_keys(keys).await?;
        }
        self.mark(true).await?;
        tracing::info!(file = %file.display(), keys = found.len(), "the state file was read");
        Ok(())
    }

    async fn mark(&self, is_done: bool) -> Result<(), Problem> {
        let write = Write::put(&Import { is_done }).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
        self.desk().commit(Commit { documents: vec![write], ..Commit::default() }).await.map(drop)
    }

    async fn import_keys(&self, keys: &[(String, Box<RawValue>)]) -> Result<(), Problem> {
        let (origin, now) = (Origin::hub(), self.desk().now());
        let mut commit = Commit { lane: Lane::Own, ..Commit::default() };
        for (key, value) in keys {
            let base = self.fresh(key).await.map_err(|e| e.problem)?;
            if base.held.is_some() {
                continue;
            }
            let mut next = next(&base, Some(value.clone()), None, &origin, now);
            next.reason = Some("imported from the state file".to_owned());
            Step { key, current: None, next }
                .add(&mut commit, &origin, self.inner.options.history_versions, now)
                .map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
        }
        if commit.events.is_empty() {
            return Ok(());
        }
        self.desk().try_commit(commit).await.map(drop).map_err(|e| refused(&e))
    }

    /// Writes the file whenever something has changed since it was last written: at most so often, and when the hub stops.
    pub(super) async fn keep_snapshots(self, file: PathBuf) {
        // Something may have changed after the last snapshot of the process before.
        let mut written = None;
        let stopping = self.inner.hub.spawn().engine_stopping();
        loop {
            let last = stopping.is_cancelled();
            let head = self.changed_at();
            if written != Some(head) {
                match self.snapshot(&file).await {
                    Ok(()) => written = Some(head),
                    Err(error) => {
                        tracing::warn!(file = %file.display(), %error, "the state file could not be written");
                    }
                }
            }
            if last {
                return;
            }
            tokio::select! {
                () = self.desk().clock.sleep(self.inner.options.snapshot_interval) => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    /// Moves with every change of state.
    fn changed_at(&self) -> u64 {
        self.inner.metrics.writes()
    }

    async fn snapshot(&self, file: &Path) -> Result<(), String> {
        let head = self.desk().store.head();
        let seq = format!("{}:{}", head.epoch, head.seq);
        let beside = file.with_extension("json.new");
        let failed = |e: std::io::Error| e.to_string();
        // For its owner only: it holds what services share.
        let open = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
        let mut out = BufWriter::new(open.map_err(failed)?);
        let time = json!(self.desk().now().to_string());
        write!(out, "{{\"nexus_state\":1,\"seq\":{},\"taken_at\":{time},\"keys\":{{", json!(seq)).map_err(failed)?;
        let (mut after, mut comma) = (None, "");
        loop {
            let page = self.list("", after.as_deref(), PAGE, |_| true).await.map_err(|e| e.problem.message)?;
            for (key, version) in &page.items {
                let (key, by, at) = (json!(key), json!(version.updated_by), json!(version.updated_at.to_string()));
                let (value, version) = (version.value.get(), version.version);
                let entry =
                    format!("{{\"value\":{value},\"version\":{version},\"updated_at\":{at},\"updated_by\":{by}}}");
                write!(out, "{comma}\n{key}:{entry}").map_err(failed)?;
                comma = ",";
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        writeln!(out, "\n}}}}").map_err(failed)?;
        let (out, target) = (out.into_inner().map_err(|e| e.to_string())?, file.to_owned());
        let finish = move || out.sync_all().and_then(|()| std::fs::rename(&beside, &target));
        tokio::task::spawn_blocking(finish).await.map_err(|e| e.to_string())?.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        read(text).expect("readable").into_iter().map(|(key, value)| (key, value.get().to_owned())).collect()
    }

    #[test]
    fn a_file_of_ours_of_values_and_of_versions_is_read() {
        let own = r#"{"nexus_state":1,"seq":"1:5","keys":{"a":{"value":{"x": 1},"version":4}}}"#;
        assert_eq!(found(own), [("a".to_owned(), r#"{"x": 1}"#.to_owned())]);
        let plain = r#"{"a":1,"b":{"value":[2],"version":7},"c":{"value":3}}"#;
        let pairs = [("a", "1"), ("b", "[2]"), ("c", r#"{"value":3}"#)];
        assert_eq!(found(plain), pairs.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert!(read("[1]").is_err());
        assert!(read("").is_err());
    }
}
