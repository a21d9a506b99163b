//! Opening stores in temporary folders.

use std::{path::Path, sync::Arc};

use nexus_core::store::{Appended, Commit, Store};
use nexus_store::{
    SqliteOptions, SqliteStore,
    conformance::{ITEMS, ManualClock, event},
};

pub(crate) fn open(folder: &Path) -> SqliteStore {
    open_with(folder, SqliteOptions::default())
}

pub(crate) fn open_with(folder: &Path, options: SqliteOptions) -> SqliteStore {
    SqliteStore::open(folder, &[&ITEMS], ManualClock::new(), options).unwrap()
}

pub(crate) async fn append(store: &dyn Store, data: &str) -> Appended {
    let commit = Commit { events: vec![event("a.b", data)], ..Commit::default() };
    store.commit(commit).await.unwrap().events[0]
}

/// A closed store with so many events.
pub(crate) async fn folder_with(events: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..events {
        append(&store, &format!("{{\"n\":{n}}}")).await;
    }
    store.close().await;
    folder
}

/// Runs SQL on the file, as someone with a shell would.
pub(crate) fn edit(folder: &Path, sql: &str) {
    rusqlite::Connection::open(folder.join("nexus.db")).unwrap().execute_batch(sql).unwrap();
}

/// Turns a store into what the verifier takes.
pub(crate) fn shared(store: SqliteStore) -> Arc<dyn Store> {
    Arc::new(store)
}
