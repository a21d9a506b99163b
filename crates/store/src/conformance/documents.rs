//! Documents: versions, guards, indexes and what they keep, pages.

use std::collections::HashSet;

use nexus_core::{
    record::{Document, Value},
    store::{Commit, CommitError, Guard, IndexQuery, Key, Range, Write},
};
use tokio::task::JoinSet;

use super::rig::{ITEMS, Item, Rig, event, items, query};

const UNIQUE: CommitError = CommitError::Unique { collection: "items", index: "email" };
const OVERLAP: CommitError = CommitError::Overlap { collection: "items", index: "busy" };

fn int(n: i64) -> Value {
    Value::Int(n)
}

fn delete(key: &str) -> Write {
    Write::Delete(Key::of::<Item>(key))
}

/// Versions count writes; a deleted key begins again.
pub(super) async fn versions_count_the_writes_of_a_key(rig: Rig) {
    let item = Item { score: 1.5, rank: Some(-3), active: true, ..Item::new("ä key", "o") };
    assert_eq!(rig.write(vec![item.put(), item.put(), Item::new("b", "o").put()]).await, Ok(vec![1, 2, 1]));
    let document: Document = rig.store.get(&ITEMS, "ä key").await.expect("read").expect("there");
    assert_eq!((document.version, Item::of(&document)), (2, item.clone()));
    assert_eq!(rig.write(vec![delete("ä key"), delete("never there")]).await, Ok(vec![0, 0]));
    assert_eq!(rig.store.get(&ITEMS, "ä key").await, Ok(None));
    assert_eq!(rig.write(vec![item.put()]).await, Ok(vec![1]));
}

/// A write whose document a guard has looked up counts like any other, also after other writes of the same commit.
pub(super) async fn a_guarded_write_counts_like_any_other(rig: Rig) {
    let put = |rank| Item { rank: Some(rank), ..Item::new("a", "o") }.put();
    let guarded = |guard, documents| Commit { guards: vec![guard], documents, ..Commit::default() };
    let at = |version| Guard::Version(Key::of::<Item>("a"), version);
    let cases = [
        (Guard::Absent(Key::of::<Item>("a")), vec![put(1)], vec![1]),
        (at(1), vec![put(2)], vec![2]),
        (at(2), vec![put(3), Item::new("b", "o").put(), put(4)], vec![3, 1, 4]),
        (at(4), vec![delete("a"), put(5)], vec![0, 1]),
        (at(1), vec![Item::new("c", "o").put(), put(6)], vec![1, 2]),
    ];
    for (rank, (guard, documents, versions)) in [1, 2, 4, 5, 6].into_iter().zip(cases) {
        let done = rig.store.commit(guarded(guard, documents)).await.expect("written");
        assert_eq!(done.versions, versions);
        let document = rig.store.get(&ITEMS, "a").await.expect("read").expect("there");
        assert_eq!((Some(&document.version), Item::of(&document).rank), (versions.last(), Some(rank)));
    }
    let found = rig.store.list(query(items("rank", vec!["o".into()]), 9)).await.expect("listed").items;
    let keys: Vec<&str> = found.iter().map(|d| d.key.as_str()).collect();
    assert_eq!(keys, ["b", "c", "a"]);
}

/// Each guard holds and fails as its words say, and the failing one is named.
pub(super) async fn a_guard_that_fails_is_named(rig: Rig) {
    let ranked = |id: &str, rank| Item { rank, active: rank == Some(2), ..Item::new(id, "o") };
    rig.write(vec![ranked("a", Some(1)).put(), ranked("b", Some(2)).put(), ranked("c", None).put()])
        .await
        .expect("written");
    rig.append(vec![event("a.b", "1")]).await;
    let from = |from: i64| Range { from: Some(from.into()), ..items("rank", vec!["o".into()]) };
    let until = |until: i64| Range { until: Some(until.into()), ..items("rank", vec!["o".into()]) };
    let good = vec![
        Guard::Version(Key::of::<Item>("a"), 1),
        Guard::Absent(Key::of::<Item>("z")),
        Guard::Empty(from(3)),
        Guard::Empty(until(1)),
        Guard::Empty(items("rank", vec!["nobody".into()])),
        Guard::AtMost(items("rank", vec!["o".into()]), 3),
        Guard::AtMost(until(9), 2),
        Guard::AtMost(items("rank", vec!["o".into(), Value::Null]), 1),
        Guard::AtMost(items("active", vec!["o".into()]), 1),
        Guard::AtMost(Range { from: Some("b".into()), ..items("", vec![]) }, 2),
        Guard::Head(1),
    ];
    let bad = [
        Guard::Version(Key::of::<Item>("a"), 2),
        Guard::Version(Key::of::<Item>("z"), 0),
        Guard::Absent(Key::of::<Item>("a")),
        Guard::Empty(from(2)),
        Guard::Empty(items("rank", vec!["o".into(), Value::Null])),
        Guard::AtMost(items("rank", vec!["o".into()]), 2),
        Guard::AtMost(until(9), 1),
        Guard::AtMost(items("", vec![]), 2),
        Guard::Head(0),
    ];
    rig.store.commit(Commit { guards: good.clone(), ..Commit::default() }).await.expect("all guards hold");
    for guard in bad {
        let mut guards = good.clone();
        guards.push(guard.clone());
        let refused = rig.store.commit(Commit { guards, ..Commit::default() }).await;
        assert_eq!(refused, Err(CommitError::Conflict { guard: 11 }), "{guard:?}");
    }
}

/// Uniqueness holds at the end of a commit, whatever the order of its writes; absent values are not compared.
pub(super) async fn a_unique_index_is_checked_at_the_commits_end(rig: Rig) {
    let mail = |id: &str, email: &str| Item { email: Some(email.into()), ..Item::new(id, "o") };
    rig.write(vec![mail("a", "x").put(), mail("b", "y").put()]).await.expect("written");
    rig.write(vec![Item::new("c", "o").put(), Item::new("d", "o").put()]).await.expect("nulls differ");
    assert_eq!(rig.write(vec![mail("e", "x").put()]).await, Err(UNIQUE));
    rig.write(vec![mail("a", "y").put(), mail("b", "x").put()]).await.expect("swapped");
    rig.write(vec![delete("a"), mail("f", "y").put()]).await.expect("deleted before");
    rig.write(vec![mail("g", "y").put(), delete("f")]).await.expect("deleted after");
    assert_eq!(rig.write(vec![mail("h", "new").put(), mail("i", "new").put()]).await, Err(UNIQUE));
    rig.write(vec![mail("h", "x").put(), mail("h", "free").put()]).await.expect("the last write counts");
}

fn busy(id: &str, owner: &str, starts: i64, ends: i64) -> Item {
    Item { starts: Some(starts), ends: Some(ends), ..Item::new(id, owner) }
}

/// Half-open intervals of one owner do not overlap; touching ones, other owners' and empty ones are fine.
pub(super) async fn an_exclusive_index_refuses_overlaps(rig: Rig) {
    rig.write(vec![busy("a", "o", 10, 20).put(), busy("far", "o", 100, 200).put()]).await.expect("written");
    rig.write(vec![busy("b", "o", 20, 30).put(), busy("c", "o", 0, 10).put(), busy("d", "p", 5, 25).put()])
        .await
        .expect("touching");
    for (starts, ends) in [(19, 21), (5, 6), (-5, 1), (0, 40), (29, 31), (12, 13), (50, 101), (199, 300), (-9, 900)] {
        assert_eq!(rig.write(vec![busy("x", "o", starts, ends).put()]).await, Err(OVERLAP), "{starts}..{ends}");
    }
    rig.write(vec![busy("a", "o", 12, 18).put()]).await.expect("its own place");
    rig.write(vec![busy("empty", "o", 14, 14).put()]).await.expect("an empty interval holds nothing");
    rig.write(vec![busy("moved", "o", 11, 19).put(), delete("a")]).await.expect("the old one goes in the same commit");
    rig.write(vec![delete("moved"), busy("e", "o", 10, 20).put()]).await.expect("deletes before puts");
    assert_eq!(rig.write(vec![busy("f", "q", 0, 50).put(), busy("g", "q", 10, 20).put()]).await, Err(OVERLAP));
    assert_eq!(rig.write(vec![busy("g", "q", 10, 20).put(), busy("f", "q", 0, 50).put()]).await, Err(OVERLAP));
    let open = Item { starts: Some(0), ends: None, ..Item::new("open", "o") };
    rig.write(vec![open.put()]).await.expect("an absent end does not count");
}

/// Of 64 writers who want overlapping times, those who got one do not overlap.
pub(super) async fn no_two_of_64_writers_get_overlapping_times(rig: Rig) {
    let mut tasks = JoinSet::new();
    for n in 0..64i64 {
        let rig = rig.clone();
        tasks.spawn(async move {
            let item = busy(&format!("w{n}"), "room", (n * 7) % 40, (n * 7) % 40 + 5 + n % 3);
            rig.write(vec![item.put()]).await.map(|_| item)
        });
    }
    let mut won = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done.expect("a task") {
            Ok(item) => won.push(item),
            Err(error) => assert_eq!(error, OVERLAP),
        }
    }
    won.sort_by_key(|item| item.starts);
    assert!(won.len() > 1);
    assert!(won.windows(2).all(|pair| pair[0].ends <= pair[1].starts));
    assert_eq!(rig.walk(query(items("", vec![]), 7)).await.len(), won.len());
}

/// Two decisions that each read what the other writes: the guard on the range lets only one through.
pub(super) async fn of_two_decisions_on_one_range_only_one_is_taken(rig: Rig) {
    for round in 0..20 {
        let owner = format!("o{round}");
        let attempt = |id: &str| Commit {
            guards: vec![Guard::Empty(items("rank", vec![owner.as_str().into()]))],
            documents: vec![Item::new(format!("{round}-{id}"), &owner).put()],
            ..Commit::default()
        };
        let (a, b) = tokio::join!(rig.store.commit(attempt("a")), rig.store.commit(attempt("b")));
        assert_ne!(a.is_ok(), b.is_ok());
        assert_eq!(a.err().or(b.err()), Some(CommitError::Conflict { guard: 0 }));
    }
}

/// Absent first, text by bytes, both ways, whatever the page size.
pub(super) async fn pages_come_in_the_indexs_order(rig: Rig) {
    let owners = ["", "B", "a", "a\u{e9}", "b", "\u{10000}", "\u{ffff}"];
    let mut all = Vec::new();
    for (n, owner) in owners.iter().enumerate() {
        for rank in [None, Some(i64::MIN), Some(-1), Some(-1), Some(0), Some(7)] {
            let id = format!("k{}-{n}", all.len() % 13);
            let id = if all.iter().any(|i: &Item| i.id == id) { format!("{id}-{}", all.len()) } else { id };
            all.push(Item { rank, ..Item::new(id, owner) });
        }
    }
    rig.write(all.iter().map(Item::put).collect()).await.expect("written");
    let mut wanted = all.clone();
    wanted.sort_by(|a, b| (a.owner.as_bytes(), a.rank, &a.id).cmp(&(b.owner.as_bytes(), b.rank, &b.id)));
    let ids = |items: &[&Item]| items.iter().map(|i| i.id.clone()).collect::<Vec<_>>();
    for limit in [1, 2, 5, 1_000] {
        let up = query(items("rank", vec![]), limit);
        assert_eq!(rig.walk(up.clone()).await, ids(&wanted.iter().collect::<Vec<_>>()));
        let down = IndexQuery { descending: true, ..up };
        assert_eq!(rig.walk(down).await, ids(&wanted.iter().rev().collect::<Vec<_>>()));
        let one: Vec<&Item> = wanted.iter().filter(|i| i.owner == "a").collect();
        let of_one = query(items("rank", vec!["a".into()]), limit);
        assert_eq!(rig.walk(of_one.clone()).await, ids(&one));
        let bounded = Range { from: Some(int(-1)), until: Some(int(7)), ..of_one.range };
        let inside: Vec<&Item> = one.into_iter().filter(|i| i.rank.is_some_and(|r| (-1..7).contains(&r))).collect();
        let down = IndexQuery { range: bounded, descending: true, filters: vec![], after: None, limit };
        assert_eq!(rig.walk(down).await, ids(&inside.into_iter().rev().collect::<Vec<_>>()));
        let below = Range { until: Some(int(0)), ..items("rank", vec!["b".into()]) };
        let below_wanted: Vec<&Item> =
            wanted.iter().filter(|i| i.owner == "b" && i.rank.is_some_and(|r| r < 0)).collect();
        assert_eq!(rig.walk(query(below.clone(), limit)).await, ids(&below_wanted), "a bound leaves absent values out");
        let down = IndexQuery { descending: true, ..query(below, limit) };
        assert_eq!(rig.walk(down).await, ids(&below_wanted.into_iter().rev().collect::<Vec<_>>()));
    }
}

/// Filters that no index serves give every match, over short pages; a partial index holds only what it says.
pub(super) async fn filters_and_partial_indexes_find_their_documents(rig: Rig) {
    let all: Vec<Item> = (0..3_000)
        .map(|n| Item {
            rank: Some(n),
            active: n % 3 == 0,
            score: (n % 1_500) as f64,
            ..Item::new(format!("{n:05}"), "o")
        })
        .collect();
    for chunk in all.chunks(500) {
        rig.write(chunk.iter().map(Item::put).collect()).await.expect("written");
    }
    let rare = IndexQuery {
        filters: vec![("score", 1_499.0.into()), ("active", false.into())],
        ..query(items("rank", vec!["o".into()]), 10)
    };
    assert_eq!(rig.walk(rare.clone()).await, ["01499", "02999"]);
    assert_eq!(rig.walk(IndexQuery { descending: true, ..rare }).await, ["02999", "01499"]);
    let active = rig.walk(query(items("active", vec!["o".into()]), 300)).await;
    assert_eq!(active.len(), 1_000);
    let mut scan = IndexQuery {
        range: Range { from: Some(int(10)), until: Some(int(13)), ..items("rank", vec!["o".into()]) },
        ..query(items("rank", vec![]), 2)
    };
    let page = rig.store.scan(scan.clone()).await.expect("scanned");
    assert_eq!(page.items[0].0, "00010");
    assert_eq!(page.items[0].1[1..4], [Value::Int(10), Value::Float(10.0), Value::Bool(false)]);
    scan.after = page.next;
    let rest = rig.store.scan(scan).await.expect("scanned");
    assert_eq!((rest.items.len(), rest.next), (1, None));
}

/// While others write, insert and delete, a walk meets every document that was left alone exactly once.
pub(super) async fn a_walk_under_writes_neither_repeats_nor_skips(rig: Rig) {
    let fixed: Vec<Item> =
        (0..400).map(|n| Item { rank: Some(n / 4), ..Item::new(format!("fixed{n:04}"), "o") }).collect();
    rig.write(fixed.iter().map(Item::put).collect()).await.expect("written");
    let writer = rig.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for n in 0..300i64 {
            let moving = Item { rank: Some((n * 37) % 100), ..Item::new(format!("moving{}", n % 20), "o") };
            writer.write(vec![moving.put(), delete(&format!("moving{}", (n + 5) % 20))]).await.expect("written");
        }
    });
    for descending in [false, true, false, true] {
        let walked = rig.walk(IndexQuery { descending, ..query(items("rank", vec!["o".into()]), 7) }).await;
        let found: Vec<&String> = walked.iter().filter(|id| id.starts_with("fixed")).collect();
        assert_eq!(found.len(), 400);
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 400);
    }
    tasks.join_next().await.expect("one task").expect("done");
}
