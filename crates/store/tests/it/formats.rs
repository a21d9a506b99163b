//! Files written by earlier versions open and go on. When the format changes, write the new version's file with
//! `cargo nextest run -p nexus-store --run-ignored only write_the_fixture` and keep the old ones.

use std::{path::PathBuf, time::Duration};

use nexus_core::{
    event::{Attributes, NewEvent, Once, Priority},
    store::{
        Commit, CommitError, Entry, Exception, ExceptionQuery, ExceptionState, Position, ReceiptBlock, Redact, Store,
        TimerWrite,
    },
    time::Timestamp,
};
use nexus_store::{
    conformance::{ITEMS, Item, event, items, query},
    verify,
};

use crate::support::{append, open};

fn fixture(format: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v{format}.db"))
}

fn keyed() -> NewEvent {
    let once = Once {
        scope: "src".into(),
        key: "k".into(),
        digest: [7; 16],
        strict: true,
        window: Duration::from_secs(100 * 365 * 24 * 3600),
    };
    let attributes = Attributes { occurred: Some("2026-01-01T00:00:00Z".into()), ..Attributes::default() };
    NewEvent {
        subject: Some("s-1".into()),
        correlation: Some("c-1".into()),
        priority: Priority::Critical,
        attributes,
        once: Some(once),
        ..event("order.created", "{\"n\":1}")
    }
}

#[tokio::test]
#[ignore = "writes the file that the next test reads"]
async fn write_the_fixture_of_this_format() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let timers =
        vec![TimerWrite::Set { id: "t".into(), due: Timestamp::from_secs(9), kind: "k".into(), body: "{}".into() }];
    let documents = vec![Item { email: Some("x".into()), rank: Some(3), active: true, ..Item::new("a", "o") }.put()];
    let first = store.commit(Commit { events: vec![keyed()], documents, timers, ..Commit::default() }).await.unwrap();
    let cause = store.event(first.events[0].id).await.unwrap().unwrap();
    let caused = event("order.paid", "2").caused_by(&cause);
    let erased = store.commit(Commit { events: vec![caused, event("a.b", "3")], ..Commit::default() }).await.unwrap();
    store.redact(Redact::Event(erased.events[1].id)).await.unwrap();
    let fence = store.acquire(0).await.unwrap();
    let exception = Exception {
        sub: 1,
        seq: 2,
        generation: 0,
        lane: 4,
        state: ExceptionState::Retrying,
        attempts: 2,
        next_at: Timestamp::from_secs(50),
        key: Some("key".into()),
        waiting: vec![3],
        log: "[]".into(),
        updated_at: Timestamp::from_secs(40),
    };
    let block =
        ReceiptBlock { scope: 0, first: 1, last: 2, at: Timestamp::from_secs(1), block: vec![1u8, 2, 3].into() };
    let entries = vec![
        Entry::Position(Position { sub: 0, lane: 1, next: 3 }),
        Entry::Receipts(block),
        Entry::Exception(exception),
    ];
    store.save(fence, entries).await.unwrap();
    store.close().await;
    std::fs::copy(folder.path().join("nexus.db"), fixture(1)).unwrap();
}

#[tokio::test]
async fn a_file_of_each_earlier_format_opens_and_goes_on() {
    for format in [1] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(fixture(format), folder.path().join("nexus.db")).unwrap();
        verify(folder.path(), None).unwrap();
        let store = open(folder.path());
        assert_eq!((store.head().seq, store.head().epoch), (3, 1));
        let events = store.read(Default::default(), nexus_core::store::Limit::items(9)).await.unwrap();
        assert_eq!((events[0].subject.as_deref(), events[0].priority), (Some("s-1"), Priority::Critical));
        assert_eq!((events[1].causation, events[1].depth), (Some(events[0].id), 1));
        assert_eq!((events[1].json(), events[2].json()), (&b"2"[..], &b"null"[..]));
        let repeat = store.commit(Commit { events: vec![keyed()], ..Commit::default() }).await.unwrap();
        assert!(repeat.events[0].repeat);
        let clash = Commit {
            documents: vec![Item { email: Some("x".into()), ..Item::new("b", "o") }.put()],
            ..Commit::default()
        };
        assert!(matches!(store.commit(clash).await, Err(CommitError::Unique { .. })));
        let due = store.due(Timestamp::from_secs(9), 9).await.unwrap();
        let timers = vec![TimerWrite::Fire { id: "t".into(), version: due[0].version }];
        store.commit(Commit { timers, ..Commit::default() }).await.unwrap();
        assert_eq!(store.list(query(items("active", vec!["o".into()]), 9)).await.unwrap().items[0].version, 1);
        assert_eq!(store.get(&ITEMS, "a").await.unwrap().map(|d| Item::of(&d).rank), Some(Some(3)));
        assert_eq!(store.positions().await.unwrap()[0].next, 3);
        assert_eq!(store.receipts(0, Some(2), 9).await.unwrap()[0].block.as_ref(), [1, 2, 3]);
        let found = store.exceptions(ExceptionQuery { limit: 9, ..ExceptionQuery::default() }).await.unwrap();
        assert_eq!((found[0].waiting.as_slice(), found[0].key.as_deref()), (&[3][..], Some("key")));
        assert_eq!(append(&store, "4").await.seq, 4);
        store.close().await;
        verify(folder.path(), None).unwrap();
    }
}
