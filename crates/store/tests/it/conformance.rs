//! The conformance suite on every backend.

use std::{sync::Arc, time::Duration};

use nexus_store::{
    MemoryStore, SqliteOptions, SqliteStore,
    conformance::{CASES, ITEMS, ManualClock, Rig},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms() {
    for (name, case) in CASES {
        eprintln!("{name}");
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new();
        let store = SqliteStore::open(folder.path(), &[&ITEMS], clock.clone(), SqliteOptions::default()).unwrap();
        let rig = Rig { store: Arc::new(store), clock };
        tokio::time::timeout(Duration::from_secs(60), case(rig)).await.unwrap_or_else(|_| panic!("{name} hangs"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_conforms() {
    for (name, case) in CASES {
        eprintln!("{name}");
        let clock = ManualClock::new();
        let store = MemoryStore::new(&[&ITEMS], clock.clone(), 1).unwrap();
        let rig = Rig { store: Arc::new(store), clock };
        tokio::time::timeout(Duration::from_secs(60), case(rig)).await.unwrap_or_else(|_| panic!("{name} hangs"));
    }
}
