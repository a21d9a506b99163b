//! Measures the SQLite store: appends by concurrent committers, replay, opening, lists over many documents.
//!
//! `cargo run --release -p nexus-store --features conformance --example append [folder]`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement, not a product"
)]

mod measure;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use nexus_core::store::{Commit, IndexQuery, Lane, Limit, SeqRange, Store};
use nexus_store::{
    SqliteOptions, SqliteStore,
    conformance::{ITEMS, Item, event, items},
};
use tokio::task::JoinSet;

use crate::measure::RealClock;

fn open(folder: &Path) -> Arc<SqliteStore> {
    let clock = Arc::new(RealClock::new());
    Arc::new(SqliteStore::open(folder, &[&ITEMS], clock, SqliteOptions::default()).unwrap())
}

/// Process CPU seconds.
fn cpu() -> f64 {
    let (user, system) = measure::cpu();
    user + system
}

async fn append(store: &Arc<SqliteStore>, committers: usize, events_each: usize, seconds: u64) {
    let until = Instant::now() + Duration::from_secs(seconds);
    let data = format!("\"{}\"", "x".repeat(498));
    let (before, cpu_before, began) = (store.stats(), cpu(), Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..committers {
        let (store, data) = (store.clone(), data.clone());
        tasks.spawn(async move {
            let mut waits = Vec::new();
            while Instant::now() < until {
                let events = (0..events_each).map(|_| event("order.created", &data)).collect();
                let asked = Instant::now();
                store.commit(Commit { events, lane: Lane::Door, ..Commit::default() }).await.unwrap();
                waits.push(asked.elapsed().as_secs_f64());
            }
            waits
        });
    }
    let mut waits = Vec::new();
    while let Some(done) = tasks.join_next().await {
        waits.extend(done.unwrap());
    }
    waits.sort_by(f64::total_cmp);
    let (after, taken) = (store.stats(), began.elapsed().as_secs_f64());
    let events = (after.events - before.events) as f64;
    let at = |p: f64| waits[((waits.len() - 1) as f64 * p) as usize] * 1e3;
    println!(
        "{committers} committers x {events_each}: {:.0} events/s, p50 {:.2} ms, p99 {:.2} ms, {:.0} events a group, {:.1} us CPU an event",
        events / taken,
        at(0.5),
        at(0.99),
        events / (after.groups - before.groups) as f64,
        (cpu() - cpu_before) / events * 1e6
    );
}

async fn replay(store: &Arc<SqliteStore>) {
    for _ in 0..2 {
        let (began, cpu_before) = (Instant::now(), cpu());
        let (mut after, mut count) = (0, 0usize);
        loop {
            let page = store.read(SeqRange { after, ..SeqRange::default() }, Limit::items(1_000)).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.seq;
            count += page.len();
        }
        let taken = began.elapsed().as_secs_f64();
        println!(
            "replay: {:.0} rows/s, {:.2} us CPU a row",
            count as f64 / taken,
            (cpu() - cpu_before) / count as f64 * 1e6
        );
    }
}

async fn documents(store: &Arc<SqliteStore>) {
    let began = Instant::now();
    for chunk in 0..1_000i64 {
        let item = |n: i64| Item {
            rank: Some((n * 7_919) % 1_000_003),
            active: n % 3 == 0,
            score: (n % 10) as f64,
            ..Item::new(format!("document-{n:07}"), &format!("owner-{}", n % 10))
        };
        let documents = (chunk * 1_000..chunk * 1_000 + 1_000).map(|n| item(n).put()).collect();
        store.commit(Commit { documents, lane: Lane::Own, ..Commit::default() }).await.unwrap();
    }
    println!("documents: {:.0} puts/s with five indexes", 1e6 / began.elapsed().as_secs_f64());
    let filters = vec![("active", true.into()), ("score", 3.0.into())];
    let mut query = IndexQuery {
        filters,
        descending: true,
        ..nexus_store::conformance::query(items("rank", vec!["owner-3".into()]), 50)
    };
    let began = Instant::now();
    let mut pages = 0;
    while pages < 100 {
        query.after = store.list(query.clone()).await.unwrap().next;
        pages += 1;
    }
    println!(
        "list with two filters, sorted, 1M documents: {:.2} ms a page of 50",
        began.elapsed().as_secs_f64() * 1e3 / 100.0
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let kept = std::env::args().nth(1).map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let store = open(folder);
    for (committers, each) in [(1, 1), (64, 1), (256, 1), (64, 1), (256, 1), (4, 1_000)] {
        append(&store, committers, each, 3).await;
    }
    while store.head().seq < 1_000_000 {
        append(&store, 4, 1_000, 2).await;
    }
    let events = store.head().seq;
    replay(&store).await;
    store.close().await;
    drop(store);
    let bytes = std::fs::metadata(folder.join("nexus.db")).unwrap().len();
    println!("{events} events, {:.0} bytes each", bytes as f64 / events as f64);
    let began = Instant::now();
    let store = open(folder);
    println!("open: {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    let began = Instant::now();
    nexus_store::verify_pages(store.as_ref(), &nexus_store::Checks::default()).await.unwrap();
    println!("verify online: {:.0} rows/s", events as f64 / began.elapsed().as_secs_f64());
    documents(&store).await;
    store.close().await;
}
