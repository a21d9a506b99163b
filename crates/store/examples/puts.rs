//! Measures what commits of the shape of a state put cost the SQLite store: a guard, the new version of a document, the
//! version before as a document of its own, an event about both. In groups of 64 over 10,000 keys, as the bench `state`
//! makes them, but without HTTP; repeatable on a busy machine where instructions are counted:
//!
//! `cargo run --release -p nexus-store --features conformance --example puts [groups] [folder]`
//! `valgrind --tool=callgrind target/release/examples/puts 1000`
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
    time::Instant,
};

use nexus_core::{
    event::NewEvent,
    record::{Collection, Column, ColumnType, Index, IndexKind, Value},
    store::{Commit, Guard, Key, Lane, Store, Write},
    time::{Clock, Timestamp},
    topic::Topic,
};
use nexus_store::{SqliteOptions, SqliteStore};
use tokio::task::JoinSet;

use crate::measure::RealClock;

/// Commits of one group.
const CLIENTS: u64 = 64;
/// Different keys.
const KEYS: u64 = 10_000;
/// Versions of a key that stay.
const KEPT: u64 = 100;

static PRESENT: Collection = Collection {
    name: "present",
    columns: &[
        Column { name: "deleted", kind: ColumnType::Bool },
        Column { name: "changed_at", kind: ColumnType::Int },
    ],
    indexes: &[Index {
        name: "present_deleted",
        columns: &["changed_at"],
        kind: IndexKind::Plain,
        only: Some("deleted"),
    }],
};

static PAST: Collection = Collection {
    name: "past",
    columns: &[Column { name: "replaced_at", kind: ColumnType::Int }],
    indexes: &[Index { name: "past_age", columns: &["replaced_at"], kind: IndexKind::Plain, only: None }],
};

/// What the process has used so far.
struct Used {
    user: f64,
    system: f64,
    written: f64,
    writes: f64,
}

impl Used {
    fn now() -> Self {
        let (user, system) = measure::cpu();
        let io = std::fs::read_to_string("/proc/self/io").unwrap();
        let figure = |name: &str| {
            let line = io.lines().find(|l| l.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
        };
        Self { user, system, written: figure("wchar"), writes: figure("syscw") }
    }
}

fn put(number: u64, version: u64, value: &str, now: Timestamp) -> Commit {
    let key = format!("k-{number:05}");
    let body = |version: u64| {
        format!(
            r#"{{"version":{version},"value":{value},"updated_at":"2026-01-02T03:04:05.678Z","updated_by":"token:admin"}}"#
        )
    };
    let at = |collection: &'static Collection, key: String| Key { collection, key };
    let mut commit = Commit { lane: Lane::Door, ..Commit::default() };
    let present = at(&PRESENT, key.clone());
    commit.guards.push(match version {
        1 => Guard::Absent(present.clone()),
        _ => Guard::Version(present.clone(), version - 1),
    });
    commit.documents.push(Write::Put {
        key: present,
        columns: vec![Value::Bool(false), Value::Int(now.micros())],
        body: body(version),
    });
    if version > 1 {
        commit.documents.push(Write::Put {
            key: at(&PAST, format!("{key}\u{1f}{:020}", version - 1)),
            columns: vec![Value::Int(now.micros())],
            body: body(version - 1),
        });
    }
    if version > KEPT {
        commit.documents.push(Write::Delete(at(&PAST, format!("{key}\u{1f}{:020}", version - KEPT))));
    }
    let data = format!(r#"{{"key":"{key}","old":{value},"new":{value},"version":{version}}}"#);
    let mut event = NewEvent::new(Topic::from_canonical("state.changed"), "token:admin", data, now);
    event.subject = Some(key);
    commit.events.push(event);
    commit
}

/// The number after `number`, without a pattern that a store could make use of.
const fn next(number: u64) -> u64 {
    number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 1
}

async fn run(folder: &Path, groups: u64) {
    let clock = Arc::new(RealClock::new());
    let store =
        Arc::new(SqliteStore::open(folder, &[&PRESENT, &PAST], clock.clone(), SqliteOptions::default()).unwrap());
    let value = format!("\"{}\"", "v".repeat(198));
    let mut versions = vec![0u64; usize::try_from(KEYS).unwrap()];
    let mut number = 7;
    let (mut before, mut began) = (Used::now(), Instant::now());
    for group in 0..groups {
        // The second half counts, when most keys have been written.
        if group == groups / 2 {
            (before, began) = (Used::now(), Instant::now());
        }
        let mut tasks = JoinSet::new();
        for _ in 0..CLIENTS {
            number = next(number);
            let version = &mut versions[usize::try_from(number % KEYS).unwrap()];
            *version += 1;
            let (store, commit) = (Arc::clone(&store), put(number % KEYS, *version, &value, clock.now()));
            tasks.spawn(async move { store.commit(commit).await });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
    }
    let (after, puts) = (Used::now(), ((groups - groups / 2) * CLIENTS) as f64);
    let each = |a: f64, b: f64| (b - a) / puts;
    println!(
        "{:.0} puts/s; each {:.1} us CPU ({:.1} user, {:.1} system), {:.0} bytes in {:.2} writes",
        puts / began.elapsed().as_secs_f64(),
        each(before.user + before.system, after.user + after.system) * 1e6,
        each(before.user, after.user) * 1e6,
        each(before.system, after.system) * 1e6,
        each(before.written, after.written),
        each(before.writes, after.writes),
    );
    store.close().await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let groups = arguments.next().map_or(4_000, |n| n.parse().unwrap());
    let kept = arguments.next().map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    run(kept.as_deref().unwrap_or(temporary.path()), groups).await;
}
