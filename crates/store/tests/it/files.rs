//! The file and its folder: locks, formats, full disks, damage, reopening.

use std::{process::Command, sync::Arc};

use nexus_core::{
    event::{NewEvent, Once},
    record::{Collection, Column, ColumnType, Index, IndexKind, Value},
    store::{Commit, CommitError, Entry, Key, Lane, Limit, Position, SeqRange, Store, StoreError, TimerWrite, Write},
    time::Timestamp,
};
use nexus_store::{
    OpenError, SqliteOptions, SqliteStore,
    conformance::{ITEMS, Item, ManualClock, event, items, query, signer},
    verify,
};

use crate::support::{append, edit, folder_with, open, open_with};

fn try_open(folder: &std::path::Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(folder, &[&ITEMS], ManualClock::new(), SqliteOptions::default())
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, "1").await;
    let timers =
        vec![TimerWrite::Set { id: "t".into(), due: Timestamp::from_secs(9), kind: "k".into(), body: "{}".into() }];
    let documents = vec![Item::new("a", "o").put()];
    let commit = Commit { timers, documents, events: vec![event("c.d", "2")], ..Commit::default() };
    store.commit(commit).await.unwrap();
    let fence = store.acquire(3).await.unwrap();
    let position = Position { sub: 1, lane: 2, next: 3 };
    store.save(fence, vec![Entry::Position(position)]).await.unwrap();
    let head = store.head();
    // Dropped, not closed.
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.head(), head);
    assert_eq!(store.read(SeqRange::default(), Limit::items(9)).await.unwrap().len(), 2);
    assert_eq!(store.get(&ITEMS, "a").await.unwrap().unwrap().version, 1);
    assert_eq!(store.next_due().await, Ok(Some(Timestamp::from_secs(9))));
    assert_eq!(store.positions().await, Ok(vec![position]));
    store.save(fence, vec![]).await.unwrap();
    assert_eq!(append(&store, "3").await.seq, 3);
    store.close().await;
    assert_eq!(store.commit(Commit::default()).await, Err(CommitError::Closed));
    assert_eq!(store.get(&ITEMS, "a").await, Err(StoreError::Closed));
    assert!(!folder.path().join("nexus.db-wal").exists(), "closing leaves one file");
}

/// The clock of every opening begins at the same time.
#[tokio::test]
async fn restarts_with_a_clock_behind_the_log_give_every_event_an_id_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut newest = None;
    for _ in 0..4 {
        let store = open(folder.path());
        for _ in 0..3 {
            let id = append(&store, "1").await.id;
            assert!(newest.is_none_or(|newest| id > newest), "{id} after {newest:?}");
            newest = Some(id);
        }
        store.close().await;
    }
}

#[tokio::test]
async fn a_second_opener_is_refused_with_the_pid_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let refused = try_open(folder.path());
    assert!(matches!(refused, Err(OpenError::Held { pid }) if pid == std::process::id()), "{refused:?}");
    store.close().await;
    try_open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_newer_database_and_a_strangers_are_refused() {
    let folder = folder_with(1).await;
    edit(folder.path(), "PRAGMA user_version = 99");
    assert!(matches!(try_open(folder.path()), Err(OpenError::Newer { found: 99, known: 1 })));
    let folder = tempfile::tempdir().unwrap();
    edit(folder.path(), "CREATE TABLE theirs(x)");
    assert!(matches!(try_open(folder.path()), Err(OpenError::Foreign { .. })));
    std::fs::write(
        folder.path().join("nexus.db"),
        "this is no database, but it is long enough to be looked at".repeat(99),
    )
    .unwrap();
    assert!(matches!(try_open(folder.path()), Err(OpenError::Database { .. })));
}

#[tokio::test]
async fn a_folder_that_can_not_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for place in [file.join("data"), "/proc/nexus-data".into()] {
        let refused = try_open(&place);
        assert!(matches!(&refused, Err(OpenError::Io { path, .. }) if *path == place), "{refused:?}");
    }
    // As root a read-only folder is writable, so only an immutable one would refuse; others see this.
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    let immutable = Command::new("chattr").arg("+i").arg(&locked).status().is_ok_and(|s| s.success());
    if immutable {
        let refused = try_open(&locked);
        Command::new("chattr").arg("-i").arg(&locked).status().unwrap();
        assert!(matches!(refused, Err(OpenError::Io { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_whole_commits_and_the_store_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let limited = SqliteOptions { page_limit: Some(160), ..SqliteOptions::default() };
    let store = open_with(folder.path(), limited);
    let big = format!("\"{}\"", "x".repeat(20_000));
    let both = |n: usize| Commit {
        events: vec![event("a.b", "1"), event("a.b", &big)],
        documents: vec![Item::new(format!("k{n}"), "o").put()],
        ..Commit::default()
    };
    let mut kept = 0;
    let refused = loop {
        match store.commit(both(kept)).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100);
    };
    assert_eq!(refused, CommitError::Full);
    assert!(kept > 3);
    assert_eq!(store.head().seq, 2 * kept as u64, "nothing half-done");
    assert_eq!(store.get(&ITEMS, &format!("k{kept}")).await, Ok(None));
    // In one group, those that fit are stored though another does not.
    let small = || Commit { events: vec![event("a.b", "2")], ..Commit::default() };
    let (a, b, c) = tokio::join!(store.commit(small()), store.commit(both(999)), store.commit(small()));
    assert_eq!((a.is_ok(), b, c.is_ok()), (true, Err(CommitError::Full), true));
    let trim = nexus_core::store::Trim {
        erase_before: u64::MAX,
        types: vec![],
        drop_before: 9,
        limit: 1_000,
        signer: signer(),
    };
    store.trim(trim).await.unwrap();
    store.commit(both(1_000)).await.unwrap();
    store.close().await;
    verify(folder.path(), None).unwrap();
}

#[tokio::test]
async fn below_the_disk_reserve_doors_are_refused_and_the_hubs_own_work_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { disk_reserve_bytes: u64::MAX, ..SqliteOptions::default() };
    let store = open_with(folder.path(), options);
    let commit = |lane| Commit { events: vec![event("a.b", "1")], lane, ..Commit::default() };
    assert_eq!(store.commit(commit(Lane::Door)).await, Err(CommitError::Full));
    store.commit(commit(Lane::Own)).await.unwrap();
}

#[tokio::test]
async fn a_damaged_page_is_an_error_and_no_panic() {
    let folder = folder_with(2_000).await;
    let file = folder.path().join("nexus.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() / 4_096;
    for page in 20..last.min(60) {
        bytes[page * 4_096..page * 4_096 + 4_096].fill(0xA5);
    }
    std::fs::write(&file, bytes).unwrap();
    assert!(verify(folder.path(), None).is_err());
    let Ok(store) = try_open(folder.path()) else { return };
    let mut after = 0;
    let failed = loop {
        match store.read(SeqRange { after, ..SeqRange::default() }, Limit::items(100)).await {
            Ok(page) if page.is_empty() => break None,
            Ok(page) => after = page[page.len() - 1].seq,
            Err(error) => break Some(error),
        }
    };
    assert!(matches!(failed, Some(StoreError::Broken(_))), "{failed:?}");
}

static WIDER: Collection = Collection {
    name: "items",
    columns: &[
        Column { name: "owner", kind: ColumnType::Text },
        Column { name: "rank", kind: ColumnType::Int },
        Column { name: "score", kind: ColumnType::Float },
        Column { name: "active", kind: ColumnType::Bool },
        Column { name: "email", kind: ColumnType::Text },
        Column { name: "starts", kind: ColumnType::Int },
        Column { name: "ends", kind: ColumnType::Int },
        Column { name: "colour", kind: ColumnType::Text },
    ],
    indexes: &[
        Index { name: "rank", columns: &["owner", "rank"], kind: IndexKind::Plain, only: None },
        Index { name: "colour", columns: &["colour"], kind: IndexKind::Plain, only: None },
    ],
};

#[tokio::test]
async fn a_collection_can_gain_columns_and_change_its_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.commit(Commit { documents: vec![Item::new("a", "o").put()], ..Commit::default() }).await.unwrap();
    store.close().await;
    let store = SqliteStore::open(folder.path(), &[&WIDER], ManualClock::new(), SqliteOptions::default()).unwrap();
    let mut columns = nexus_core::record::Record::columns(&Item::new("b", "o"));
    columns.push(Value::from("red"));
    let key = Key { collection: &WIDER, key: "b".into() };
    let documents = vec![Write::Put { key, columns, body: "{}".into() }];
    store.commit(Commit { documents, ..Commit::default() }).await.unwrap();
    let mut range = items("colour", vec![]);
    range.collection = &WIDER;
    let page = store.scan(query(range, 9)).await.unwrap();
    let colours: Vec<Value> = page.items.into_iter().map(|(_, mut columns)| columns.remove(7)).collect();
    assert_eq!(colours, [Value::Null, Value::from("red")]);
    store.close().await;
    let conn = rusqlite::Connection::open(folder.path().join("nexus.db")).unwrap();
    let indexes: i64 = conn
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('doc_items__email', 'doc_items__busy')",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(indexes, 0, "indexes that are declared no more are gone");
}

#[tokio::test]
async fn the_views_show_what_a_person_wants() {
    let folder = folder_with(1).await;
    let store = open(folder.path());
    store.commit(Commit { documents: vec![Item::new("a", "o").put()], ..Commit::default() }).await.unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("nexus.db")).unwrap();
    let row: (String, String, String, String, String) = conn
        .query_row("SELECT id, type, time, priority, data FROM events_v", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
        })
        .unwrap();
    let stored = store.read(SeqRange::default(), Limit::items(1)).await.unwrap().remove(0);
    assert_eq!(
        row,
        (stored.id.to_string(), "a.b".into(), stored.time.to_string(), "NORMAL".into(), "{\"n\":0}".into())
    );
    let item: (String, String, String) = conn
        .query_row("SELECT key, updated_at, owner FROM items_v", [], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .unwrap();
    assert_eq!(item, ("a".into(), stored.time.to_string(), "o".into()));
    for view in ["deliveries_v", "positions_v", "receipts_v"] {
        conn.execute_batch(&format!("SELECT * FROM {view}")).unwrap();
    }
    append(&store, "2").await;
    let ends = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(5)?));
    type Ends = (u32, u64, u64, Option<u64>, Option<String>);
    let now = || -> Ends { conn.query_row("SELECT * FROM log_v", [], ends).unwrap() };
    assert_eq!(now(), (1, 1, 2, None, None));
    let trim = nexus_core::store::Trim { erase_before: 2, types: vec![], drop_before: 2, limit: 9, signer: signer() };
    store.trim(trim).await.unwrap();
    assert_eq!(now(), (1, 2, 2, Some(1), Some(signer().public_key())));
    let at: String = conn.query_row("SELECT cut_at FROM log_v", [], |row| row.get(0)).unwrap();
    assert_eq!(at, stored.time.to_string());
}

/// A bare digest of a short body can be guessed from, as long as the key is remembered.
#[tokio::test]
async fn no_bare_digest_of_a_body_is_kept_beside_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let keyed = |data: &str, digest| {
        let window = std::time::Duration::from_secs(60);
        let once = Once { scope: "src".into(), key: "k".into(), digest: [digest; 16], strict: true, window };
        Commit { events: vec![NewEvent { once: Some(once), ..event("a.b", data) }], ..Commit::default() }
    };
    let first = store.commit(keyed("1", 7)).await.unwrap().events[0];
    let conn = rusqlite::Connection::open(folder.path().join("nexus.db")).unwrap();
    let kept: Vec<u8> = conn.query_row("SELECT digest FROM once", [], |row| row.get(0)).unwrap();
    assert_ne!(kept, [7; 16]);
    assert!(store.commit(keyed("1", 7)).await.unwrap().events[0].repeat);
    assert_eq!(store.commit(keyed("2", 8)).await, Err(CommitError::KeyReused { id: first.id, seq: first.seq }));
}

#[tokio::test]
async fn a_flood_at_the_doors_is_told_to_wait_while_own_work_goes_through() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    // The hook holds the writer until the flood has been counted.
    let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
    let held = std::sync::Mutex::new(held);
    store.on_commit(Arc::new(move |events| {
        if events[0].seq == 1 {
            held.lock().unwrap().recv_timeout(std::time::Duration::from_secs(30)).unwrap();
        }
    }));
    let mut tasks = tokio::task::JoinSet::new();
    // More than the queue and the group that the writer holds.
    for _ in 0..12_000 {
        let store = store.clone();
        tasks.spawn(async move { store.commit(Commit { events: vec![event("a.b", "1")], ..Commit::default() }).await });
    }
    let own = Commit { events: vec![event("own.work", "1")], lane: Lane::Own, ..Commit::default() };
    let own = store.commit(own);
    let mut own = std::pin::pin!(own);
    let mut busy = 0;
    loop {
        tokio::select! {
            biased;
            Some(done) = tasks.join_next() => match done.unwrap() {
                Err(CommitError::Busy { retry_after }) => {
                    busy += 1;
                    assert!(!retry_after.is_zero());
                    if busy == 1 {
                        release.send(()).unwrap();
                    }
                }
                done => assert!(done.is_ok(), "{done:?}"),
            },
            done = &mut own => {
                assert!(done.is_ok());
                break;
            }
        }
    }
    while let Some(done) = tasks.join_next().await {
        assert!(!matches!(done.unwrap(), Err(CommitError::Closed)));
    }
    assert!(busy > 0);
}

#[tokio::test]
async fn the_largest_limits_and_seqs_are_no_error() {
    let folder = folder_with(3).await;
    let store = open(folder.path());
    let all = Limit { items: usize::MAX, bytes: usize::MAX };
    assert_eq!(store.read(SeqRange { until: Some(u64::MAX), ..SeqRange::default() }, all).await.unwrap().len(), 3);
    assert!(store.read(SeqRange { after: u64::MAX, ..SeqRange::default() }, all).await.unwrap().is_empty());
    let query = nexus_core::store::EventQuery { before: Some(u64::MAX), after: Some(0), ..Default::default() };
    assert_eq!(store.query(query, usize::MAX).await.unwrap().events.len(), 3);
    let beyond = nexus_core::store::EventQuery { after: Some(u64::MAX), ..Default::default() };
    assert!(store.query(beyond, usize::MAX).await.unwrap().events.is_empty());
    let exceptions = nexus_core::store::ExceptionQuery { limit: usize::MAX, ..Default::default() };
    assert!(store.exceptions(exceptions).await.unwrap().is_empty());
    assert!(store.receipts(0, Some(u64::MAX), usize::MAX).await.unwrap().is_empty());
    assert!(store.due(Timestamp::from_micros(i64::MAX), usize::MAX).await.unwrap().is_empty());
    assert_eq!(store.seq_at(Timestamp::from_micros(i64::MAX)).await, Ok(4));
}

/// Names cost a row each and are never forgotten; a log with very many of them opens, is read, queried and verified as any.
#[tokio::test]
async fn a_log_with_a_hundred_thousand_types_opens_and_goes_on() {
    const TYPES: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for first in (0..TYPES).step_by(1_000) {
        let events = (first..first + 1_000).map(|n| event(&format!("kind.n{n}"), "1")).collect();
        store.commit(Commit { events, ..Commit::default() }).await.unwrap();
    }
    store.close().await;
    let store = open(folder.path());
    assert_eq!(store.topics().await.unwrap().len(), TYPES);
    let query = nexus_core::store::EventQuery { types: vec!["kind.n77777".into()], ..Default::default() };
    assert_eq!(store.query(query, 9).await.unwrap().events[0].seq, 77_778);
    let fresh = Commit { events: vec![event("one.more", "1")], ..Commit::default() };
    assert_eq!(store.commit(fresh).await.unwrap().events[0].seq, TYPES as u64 + 1);
    store.close().await;
    assert_eq!(verify(folder.path(), None).unwrap().present, TYPES as u64 + 1);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_files_of_a_new_log() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, "1").await;
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap()).collect();
    let logs = files.iter().filter(|file| file.file_name().to_string_lossy().starts_with("nexus.db"));
    let modes: Vec<u32> = logs.map(|file| file.metadata().unwrap().permissions().mode() & 0o777).collect();
    assert_eq!(modes, [0o600, 0o600, 0o600], "the file, its WAL and its index");
}
