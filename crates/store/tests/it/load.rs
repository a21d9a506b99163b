//! A store under load: the WAL stays small though readers never pause, and a copy made meanwhile is sound.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use nexus_core::store::{Commit, Limit, SeqRange, Store};
use nexus_store::{SqliteOptions, conformance::event, verify};
use tokio::task::JoinSet;

use crate::support::{open, open_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wal_stays_small_while_two_readers_page_without_pause() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open_with(folder.path(), SqliteOptions { reader_count: 2, ..SqliteOptions::default() }));
    let done = Arc::new(AtomicBool::new(false));
    let largest = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    // More tasks than readers, so that a reader goes from one page straight into the next.
    for _ in 0..6 {
        let (store, done) = (store.clone(), done.clone());
        readers.spawn(async move {
            let mut after = 0;
            while !done.load(Ordering::Relaxed) {
                let page = store.read(SeqRange { after, ..SeqRange::default() }, Limit::items(1_000)).await.unwrap();
                after = page.last().map_or(0, |e| e.seq);
            }
        });
    }
    let data = format!("\"{}\"", "x".repeat(2_000));
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let (store, largest, data) = (store.clone(), largest.clone(), data.clone());
        writers.spawn(async move {
            for _ in 0..120 {
                let events = (0..100).map(|_| event("a.b", &data)).collect();
                store.commit(Commit { events, ..Commit::default() }).await.unwrap();
                largest.fetch_max(store.stats().wal_bytes, Ordering::Relaxed);
            }
        });
    }
    let all = async { while writers.join_next().await.is_some_and(|w| w.is_ok()) {} };
    tokio::time::timeout(Duration::from_secs(100), all).await.unwrap();
    done.store(true, Ordering::Relaxed);
    while readers.join_next().await.is_some_and(|r| r.is_ok()) {}
    assert_eq!(store.head().seq, 48_000);
    let largest = largest.load(Ordering::Relaxed) >> 20;
    eprintln!("largest WAL: {largest} MiB");
    assert!(largest <= 64, "{largest} MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let data = format!("\"{}\"", "x".repeat(3_000));
    let batch = |n: usize| Commit { events: (0..n).map(|_| event("a.b", &data)).collect(), ..Commit::default() };
    for _ in 0..10 {
        store.commit(batch(200)).await.unwrap();
    }
    let begun = store.head().seq;
    let copies = tempfile::tempdir().unwrap();
    let path = copies.path().join("copy.db");
    let done = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let (store, done, batch) = (store.clone(), done.clone(), batch(10));
        writers.spawn(async move {
            let mut count = 0u64;
            while !done.load(Ordering::Relaxed) {
                store.commit(batch.clone()).await.unwrap();
                count += 1;
            }
            count
        });
    }
    tokio::time::timeout(Duration::from_secs(60), store.backup(&path)).await.unwrap().unwrap();
    done.store(true, Ordering::Relaxed);
    let mut commits = 0;
    while let Some(count) = writers.join_next().await {
        commits += count.unwrap();
    }
    assert!(commits > 0);
    let report = verify(&path, None).unwrap();
    assert!(report.last >= begun && report.last <= store.head().seq, "{report:?}");
    assert!(!copies.path().join("copy.db-wal").exists());
}
