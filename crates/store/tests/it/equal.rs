//! Both backends, given the same commits, give the same answers and the same pages.

use nexus_core::{
    record::Value,
    store::{Commit, Guard, IndexQuery, Key, Range, Store, TimerWrite, Write},
    time::Timestamp,
};
use nexus_store::{
    MemoryStore, SqliteOptions, SqliteStore,
    conformance::{ITEMS, Item, ManualClock, items},
};
use proptest::prelude::*;

fn owner() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("a".to_owned()), Just("B".to_owned()), Just("é".to_owned())]
}

fn small() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![Just(None), (-3i64..6).prop_map(Some)]
}

fn item() -> impl Strategy<Value = Item> {
    let email = prop_oneof![3 => Just(None), 1 => Just(Some("x".to_owned())), 1 => Just(Some("y".to_owned()))];
    (0..8u8, owner(), small(), -2..2i8, any::<bool>(), email, small(), small()).prop_map(
        |(id, owner, rank, score, active, email, starts, ends)| Item {
            id: format!("k{id}"),
            owner,
            rank,
            score: f64::from(score) / 2.0,
            active,
            email,
            starts,
            ends,
        },
    )
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => item().prop_map(|i| i.put()),
        1 => (0..8u8).prop_map(|id| Write::Delete(Key::of::<Item>(format!("k{id}")))),
    ]
}

fn range() -> impl Strategy<Value = Range> {
    let bound =
        prop_oneof![2 => Just(None), 1 => Just(Some(Value::Null)), 3 => (-3i64..6).prop_map(|n| Some(Value::Int(n)))];
    let text = prop_oneof![1 => Just(None), 2 => owner().prop_map(|o| Some(Value::Text(o)))];
    prop_oneof![
        (owner(), bound.clone(), bound.clone()).prop_map(|(owner, from, until)| Range {
            from,
            until,
            ..items("rank", vec![owner.into()])
        }),
        (owner(), small()).prop_map(|(owner, rank)| items("rank", vec![owner.into(), rank.into()])),
        (text.clone(), text.clone()).prop_map(|(from, until)| Range { from, until, ..items("rank", vec![]) }),
        (text.clone(), text.clone()).prop_map(|(from, until)| Range { from, until, ..items("email", vec![]) }),
        (text.clone(), text).prop_map(|(from, until)| Range { from, until, ..items("active", vec![]) }),
        (owner(), bound.clone(), bound).prop_map(|(owner, from, until)| Range {
            from,
            until,
            ..items("busy", vec![owner.into()])
        }),
        Just(items("score", vec![])),
        Just(items("", vec![])),
    ]
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        (0..8u8, 0..3u64).prop_map(|(id, version)| Guard::Version(Key::of::<Item>(format!("k{id}")), version)),
        (0..8u8).prop_map(|id| Guard::Absent(Key::of::<Item>(format!("k{id}")))),
        range().prop_map(Guard::Empty),
        (range(), 0..4u32).prop_map(|(range, most)| Guard::AtMost(range, most)),
    ]
}

fn timer() -> impl Strategy<Value = TimerWrite> {
    prop_oneof![
        (0..3u8, 0..9i64).prop_map(|(id, due)| TimerWrite::Set {
            id: id.to_string(),
            due: Timestamp::from_secs(due),
            kind: "k".into(),
            body: "{}".into()
        }),
        (0..3u8).prop_map(|id| TimerWrite::Cancel(id.to_string())),
        (0..3u8, 0..9u64).prop_map(|(id, version)| TimerWrite::Fire { id: id.to_string(), version }),
    ]
}

fn commit() -> impl Strategy<Value = Commit> {
    let guards = prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(guard(), 1..3)];
    (guards, prop::collection::vec(write(), 0..4), prop::collection::vec(timer(), 0..2))
        .prop_map(|(guards, documents, timers)| Commit { guards, documents, timers, ..Commit::default() })
}

fn page() -> impl Strategy<Value = IndexQuery> {
    let filters = prop_oneof![
        3 => Just(vec![]),
        1 => any::<bool>().prop_map(|b| vec![("active", Value::Bool(b))]),
        1 => small().prop_map(|n| vec![("rank", n.into())]),
    ];
    (range(), any::<bool>(), filters, 1..5usize).prop_map(|(range, descending, filters, limit)| IndexQuery {
        range,
        descending,
        filters,
        after: None,
        limit,
    })
}

async fn compare(commits: Vec<Commit>, pages: Vec<IndexQuery>) {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let sqlite = SqliteStore::open(folder.path(), &[&ITEMS], clock.clone(), SqliteOptions::default()).unwrap();
    let memory = MemoryStore::new(&[&ITEMS], clock, 1).unwrap();
    for commit in commits {
        assert_eq!(sqlite.commit(commit.clone()).await, memory.commit(commit.clone()).await, "{commit:?}");
    }
    let now = Timestamp::from_secs(99);
    assert_eq!(sqlite.due(now, 9).await.unwrap().len(), memory.due(now, 9).await.unwrap().len());
    for mut query in pages {
        loop {
            let (a, b) = (sqlite.list(query.clone()).await.unwrap(), memory.list(query.clone()).await.unwrap());
            assert_eq!((&a.items, &a.next), (&b.items, &b.next), "{query:?}");
            let (c, d) = (sqlite.scan(query.clone()).await.unwrap(), memory.scan(query.clone()).await.unwrap());
            assert_eq!((&c.items, &c.next), (&d.items, &d.next), "{query:?}");
            match a.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("NEXUS_EQUAL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(96), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn both_backends_give_the_same_answers(
        commits in prop::collection::vec(commit(), 0..25),
        pages in prop::collection::vec(page(), 1..12),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(compare(commits, pages));
    }
}
