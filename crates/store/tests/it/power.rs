//! Power cuts: a disk that forgets what was not synced, and a sync that fails.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_core::store::{Appended, Commit, CommitError, Entry, Limit, Position, SeqRange, Store};
use nexus_store::{
    SqliteOptions,
    conformance::{ITEMS, Item, event},
    verify,
};
use tokio::task::JoinSet;

use crate::{
    disk::{Disk, Random},
    support::{open, open_with},
};

/// What a task was told is durable.
#[derive(Default)]
struct Told {
    events: Vec<(Appended, String)>,
    documents: Vec<(String, u64)>,
    position: u64,
}

/// Commits of several kinds from several tasks, until the disk fails each of them.
async fn commit_until_it_fails(store: Arc<dyn Store>, random: &mut Random) -> Told {
    let told = Arc::new(Mutex::new(Told::default()));
    let Ok(fence) = store.acquire(0).await else { return Told::default() };
    let mut tasks = JoinSet::new();
    for task in 0..6u64 {
        let (store, told, size) = (store.clone(), told.clone(), random.below(4_000));
        tasks.spawn(async move {
            for n in 0..u64::MAX {
                let data = format!("\"{task} {n} {}\"", "x".repeat(usize::try_from(size).unwrap()));
                if task == 0 {
                    let entries = vec![Entry::Position(Position { sub: 1, lane: 1, next: n })];
                    if store.save(fence, entries).await.is_err() {
                        return;
                    }
                    told.lock().unwrap().position = n;
                    continue;
                }
                let item = Item::new(format!("{task}-{}", n % 5), "o");
                let documents = vec![item.put()];
                let commit =
                    Commit { events: vec![event("a.b", &data), event("c.d", &data)], documents, ..Commit::default() };
                match store.commit(commit).await {
                    Ok(done) => {
                        let mut told = told.lock().unwrap();
                        told.events.extend(done.events.iter().map(|e| (*e, data.clone())));
                        told.documents.push((item.id, done.versions[0]));
                    }
                    Err(CommitError::Unknown | CommitError::Closed) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    Arc::into_inner(told).unwrap().into_inner().unwrap()
}

/// After the power is back, everything that was acknowledged is there, whole, and the chain holds.
async fn check(folder: &Path, told: &Told) {
    let report = verify(folder, None).unwrap();
    let store = open(folder);
    assert_eq!(store.head().seq, report.last);
    assert_eq!(report.last % 2, 0, "two events at a time");
    for (appended, data) in &told.events {
        let range = SeqRange { after: appended.seq - 1, ..SeqRange::default() };
        let found = store.read(range, Limit::items(1)).await.unwrap().pop();
        let found = found.unwrap_or_else(|| panic!("seq {} was acknowledged and is gone", appended.seq));
        assert_eq!((found.id, found.json()), (appended.id, data.as_bytes()));
    }
    for (key, version) in &told.documents {
        assert!(store.get(&ITEMS, key).await.unwrap().is_some_and(|d| d.version >= *version), "{key}");
    }
    let saved = store.positions().await.unwrap().first().map_or(0, |p| p.next);
    assert!(saved >= told.position);
    store.close().await;
}

fn rounds() -> u64 {
    std::env::var("NEXUS_CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_commit_survives_a_power_cut() {
    let mut events = 0;
    for seed in 0..rounds() {
        let mut random = Random(seed);
        let disk = Disk::register(&format!("cut-{seed}"), seed);
        let folder = tempfile::tempdir().unwrap();
        // In most rounds the WAL is moved many times, beside the commits.
        let wal_pages = 8 << random.below(8);
        let options = SqliteOptions { vfs: Some(disk.name()), wal_pages, ..SqliteOptions::default() };
        let store = Arc::new(open_with(folder.path(), options));
        // From a handful of operations to several checkpoints.
        let scale = random.below(10);
        let operations = 10 + random.below(16 << scale);
        disk.cut_after(operations);
        let work = commit_until_it_fails(store.clone(), &mut random);
        let told =
            tokio::time::timeout(Duration::from_secs(60), work).await.unwrap_or_else(|_| panic!("seed {seed} hangs"));
        let reason = tokio::time::timeout(Duration::from_secs(10), store.fatal()).await.unwrap();
        assert!(!reason.is_empty());
        let restored = tempfile::tempdir().unwrap();
        // Every other round some of the unsynced writes reach the disk, torn and in any order.
        disk.write_out(restored.path(), seed % 2 == 1);
        drop(store);
        eprintln!("seed {seed}: cut after {operations} operations, {} events acknowledged", told.events.len());
        events += told.events.len();
        check(restored.path(), &told).await;
    }
    assert!(events > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_sync_the_store_stops_and_what_was_acknowledged_stays() {
    for seed in 100..112 {
        let mut random = Random(seed);
        let disk = Disk::register(&format!("sync-{seed}"), seed);
        let folder = tempfile::tempdir().unwrap();
        // A sync of the thread that moves the WAL may fail while the writer is about to make its own; those are no repetition.
        let moves = seed >= 106;
        let wal_pages = if moves { 8 } else { SqliteOptions::default().wal_pages };
        let options = SqliteOptions { vfs: Some(disk.name()), wal_pages, ..SqliteOptions::default() };
        let store = Arc::new(open_with(folder.path(), options));
        disk.fail_sync_after(3 + random.below(200));
        let work = commit_until_it_fails(store.clone(), &mut random);
        let told = tokio::time::timeout(Duration::from_secs(60), work).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), store.fatal()).await.unwrap();
        assert_eq!(store.commit(Commit::default()).await, Err(CommitError::Closed));
        let after = disk.syncs_after_the_failed_one();
        assert!(after <= if moves { 2 } else { 0 }, "a failed sync is never tried again: {after}");
        let restored = tempfile::tempdir().unwrap();
        disk.write_out(restored.path(), false);
        drop(store);
        assert_eq!(disk.syncs_after_the_failed_one(), after, "nor when the store is closed");
        check(restored.path(), &told).await;
    }
}
