//! The log: order, times, repeats, queries.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_core::{
    chain,
    event::{Attributes, NewEvent, Once, Priority, StoredEvent},
    id::EventId,
    limits::{DICTIONARY_ENTRIES, DOCUMENT_BYTES, EVENT_DATA_BYTES},
    record::{Record, Value},
    store::{
        Appended, Commit, CommitError, EventQuery, Guard, Head, IndexQuery, Key, Limit, Redact, SeqRange, TimerWrite,
        Write,
    },
    time::{Clock, Timestamp},
    topic::Topic,
};
use tokio::task::JoinSet;

use super::rig::{ITEMS, Item, Rig, event, items, query};

/// Everything handed in comes back, chained, in commit order.
pub(super) async fn commits_append_in_order_without_gaps(rig: Rig) {
    let mut first = event("order.created", r#"{"n": 1}"#);
    first.subject = Some("s-1".into());
    first.correlation = Some("c-1".into());
    first.priority = Priority::High;
    first.attributes = Attributes { dataschema: Some("x".into()), ..Attributes::default() };
    let appended = rig.append(vec![first.clone(), event("order.paid", "2")]).await;
    assert_eq!(appended.iter().map(|a| a.seq).collect::<Vec<_>>(), [1, 2]);
    let cause = rig.store.event(appended[0].id).await.expect("read").expect("there");
    let third = event("order.shipped", "3").caused_by(&cause);
    rig.store.commit(Commit { events: vec![third], ..Commit::default() }).await.expect("appended");
    let events = rig.store.read(SeqRange::default(), Limit::items(10)).await.expect("read");
    assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(events.iter().map(|e| e.id).collect::<HashSet<_>>().len(), 3);
    assert_eq!(events[0].json(), br#"{"n": 1}"#);
    assert_eq!((events[0].topic.as_str(), events[0].source.as_ref()), ("order.created", "test"));
    assert_eq!(events[0].subject.as_deref(), Some("s-1"));
    assert_eq!(events[0].received, first.received);
    assert_eq!(events[0].priority, Priority::High);
    assert_eq!(events[0].attributes(), first.attributes);
    assert_eq!((events[2].causation, events[2].depth), (Some(cause.id), 1));
    assert_eq!(events[2].correlation.as_deref(), Some("c-1"));
    let mut hash = chain::genesis(rig.store.head().epoch);
    for event in &events {
        hash = chain::link(&hash, event);
        assert_eq!(event.hash, hash);
    }
    let head = rig.store.head();
    assert_eq!((head.seq, head.first, head.hash, head.time), (3, 1, hash, events[2].time));
}

/// Commits from many tasks: the log has no gap, each commit's events lie together, the hook sees all of it in order.
pub(super) async fn concurrent_commits_leave_no_gap_and_the_hook_sees_them_in_order(rig: Rig) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&seen);
    rig.store.on_commit(Arc::new(move |events| hook.lock().unwrap().extend(events.iter().map(|e| e.seq))));
    let mut tasks = JoinSet::new();
    for task in 0..32 {
        let rig = rig.clone();
        tasks.spawn(async move {
            for n in 0..10 {
                let data = format!("[{task},{n}]");
                let appended = rig.append(vec![event("load.first", &data), event("load.second", &data)]).await;
                assert_eq!(appended[0].seq + 1, appended[1].seq);
                // Acknowledged means visible.
                let read =
                    rig.store.read(SeqRange { after: appended[0].seq - 1, ..SeqRange::default() }, Limit::items(1));
                assert_eq!(read.await.expect("read")[0].json(), data.as_bytes());
                assert!(rig.store.head().seq >= appended[1].seq);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a task");
    }
    let events = rig.all().await;
    assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), (1..=640).collect::<Vec<_>>());
    assert_eq!(*seen.lock().unwrap(), (1..=640).collect::<Vec<_>>());
    assert!(events.windows(2).all(|pair| pair[0].time <= pair[1].time && pair[0].id < pair[1].id));
    rig.check_chain().await;
}

/// A clock that was set back does not make the log's times go back.
pub(super) async fn times_in_the_log_never_go_back(rig: Rig) {
    rig.append(vec![event("a.b", "1")]).await;
    rig.clock.step_back(Duration::from_secs(3600));
    rig.append(vec![event("a.b", "2")]).await;
    let events = rig.all().await;
    assert_eq!(events[0].time, events[1].time);
    assert!(events[0].id < events[1].id);
}

fn once(event: NewEvent, key: &str, digest: u8, strict: bool) -> NewEvent {
    let window = Duration::from_secs(60);
    NewEvent {
        once: Some(Once { scope: "src".into(), key: key.into(), digest: [digest; 16], strict, window }),
        ..event
    }
}

/// A key is remembered for its window: repeats give the first event back, a strict reuse is refused.
pub(super) async fn a_repeat_under_its_key_is_stored_once(rig: Rig) {
    let first = rig.append(vec![once(event("a.b", "1"), "k", 1, false)]).await[0];
    assert!(!first.repeat);
    let repeat = rig.append(vec![once(event("a.b", "other"), "k", 2, false)]).await[0];
    assert_eq!(repeat, Appended { repeat: true, ..first });
    let reuse = Commit { events: vec![once(event("a.b", "2"), "k", 2, true)], ..Commit::default() };
    assert_eq!(rig.store.commit(reuse).await, Err(CommitError::KeyReused { id: first.id, seq: 1 }));
    let same = rig.append(vec![once(event("a.b", "1"), "k", 1, true)]).await[0];
    assert!(same.repeat);
    let twice =
        rig.append(vec![once(event("a.b", "x"), "new", 3, true), once(event("a.b", "x"), "new", 3, true)]).await;
    assert_eq!((twice[0].repeat, twice[1].repeat, twice[0].seq), (false, true, twice[1].seq));
    assert_eq!(rig.store.head().seq, 2);
    rig.clock.advance(Duration::from_secs(61));
    let later = rig.append(vec![once(event("a.b", "3"), "k", 9, true)]).await[0];
    assert_eq!((later.repeat, later.seq), (false, 3));
    let again = rig.append(vec![once(event("a.b", "3"), "k", 9, true)]).await[0];
    assert_eq!((again.repeat, again.seq), (true, 3));
}

/// Where the data is erased nothing tells one body from another: a repeat is one, and nothing is stored anew.
pub(super) async fn a_key_outlives_the_data_it_was_used_for(rig: Rig) {
    let first = rig.append(vec![once(event("a.b", "1"), "k", 1, true)]).await[0];
    let other = || Commit { events: vec![once(event("a.b", "2"), "k", 2, true)], ..Commit::default() };
    assert_eq!(rig.store.commit(other()).await, Err(CommitError::KeyReused { id: first.id, seq: 1 }));
    rig.store.redact(Redact::Event(first.id)).await.expect("erased");
    let repeat = rig.store.commit(other()).await.expect("a repeat").events[0];
    assert_eq!(repeat, Appended { repeat: true, ..first });
    assert_eq!(rig.store.head().seq, 1);
}

/// Importing an event again does not store it again.
pub(super) async fn an_id_that_is_in_the_log_is_a_repeat(rig: Rig) {
    let id: EventId = "0190a6f0-5c1e-7cc0-8000-3f6b3f2a9c11".parse().expect("an id");
    let with_id = || NewEvent { id: Some(id), ..event("a.b", "1") };
    let both = rig.append(vec![with_id(), with_id()]).await;
    assert_eq!((both[0].id, both[0].seq, both[0].repeat), (id, 1, false));
    assert_eq!((both[1].seq, both[1].repeat), (1, true));
    let repeat = rig.append(vec![with_id(), event("a.b", "2")]).await;
    assert_eq!((repeat[0].repeat, repeat[0].seq, repeat[1].seq), (true, 1, 2));
}

/// A commit whose events are all repeats does nothing else, whatever its guards say by now.
pub(super) async fn a_commit_of_repeats_changes_no_document(rig: Rig) {
    let item = Item::new("a", "o");
    let commit = Commit {
        guards: vec![Guard::Absent(Key::of::<Item>("a"))],
        events: vec![once(event("a.b", "1"), "k", 1, true)],
        documents: vec![item.put()],
        ..Commit::default()
    };
    let first = rig.store.commit(commit.clone()).await.expect("applied");
    assert_eq!(first.versions, [1]);
    let second = rig.store.commit(commit).await.expect("a repeat");
    assert!(second.events[0].repeat && second.versions.is_empty());
    assert_eq!(rig.store.get(&ITEMS, "a").await.expect("read").expect("there").version, 1);
}

/// A commit that is refused leaves no event, no document and no timer, and the next one takes its place.
pub(super) async fn a_refused_commit_leaves_nothing(rig: Rig) {
    let taken = Item { email: Some("x".into()), ..Item::new("taken", "o") };
    rig.write(vec![taken.put()]).await.expect("written");
    let whole = |documents, guards| Commit {
        guards,
        events: vec![event("never.seen", "1"), once(event("never.seen", "2"), "k", 1, true)],
        documents,
        timers: vec![TimerWrite::Set {
            id: "t".into(),
            due: Timestamp::from_secs(1),
            kind: "k".into(),
            body: "{}".into(),
        }],
        ..Commit::default()
    };
    let clash = vec![Item::new("free", "o").put(), Item { id: "other".into(), ..taken.clone() }.put()];
    let refused = rig.store.commit(whole(clash, vec![])).await;
    assert_eq!(refused, Err(CommitError::Unique { collection: "items", index: "email" }));
    let guards = vec![Guard::Absent(Key::of::<Item>("free")), Guard::Version(Key::of::<Item>("taken"), 7)];
    let refused = rig.store.commit(whole(vec![Item::new("free", "o").put()], guards)).await;
    assert_eq!(refused, Err(CommitError::Conflict { guard: 1 }));
    let mut fire = whole(vec![Item::new("free", "o").put()], vec![]);
    fire.timers.push(TimerWrite::Fire { id: "none".into(), version: 1 });
    assert_eq!(rig.store.commit(fire).await, Err(CommitError::Timer("none".into())));
    assert_eq!(rig.store.head().seq, 0);
    assert_eq!(rig.store.get(&ITEMS, "free").await, Ok(None));
    assert_eq!(rig.store.next_due().await, Ok(None));
    let next = rig.append(vec![once(event("first.seen", "3"), "k", 2, true)]).await[0];
    assert_eq!((next.seq, next.repeat), (1, false));
    rig.check_chain().await;
}

/// A page of the log ends at its limits; a rare priority is found among many others.
pub(super) async fn reading_keeps_to_its_limits(rig: Rig) {
    for n in 0..30u8 {
        let priority = if n % 10 == 3 { Priority::Critical } else { Priority::Normal };
        rig.append(vec![NewEvent { priority, ..event("a.b", &format!("\"{}\"", "x".repeat(1_000))) }]).await;
    }
    let read = |range, limit| rig.store.read(range, limit);
    let page = read(SeqRange::default(), Limit { items: 100, bytes: 3_000 }).await.expect("read");
    assert!((2..=3).contains(&page.len()), "{}", page.len());
    let page = read(SeqRange { after: 5, until: Some(8), priority: None }, Limit::items(100)).await.expect("read");
    assert_eq!(page.iter().map(|e| e.seq).collect::<Vec<_>>(), [6, 7, 8]);
    let critical = SeqRange { after: 4, priority: Some(Priority::Critical), ..SeqRange::default() };
    let page = read(critical, Limit::items(100)).await.expect("read");
    assert_eq!(page.iter().map(|e| e.seq).collect::<Vec<_>>(), [14, 24]);
    let normal = SeqRange { after: 2, priority: Some(Priority::Normal), ..SeqRange::default() };
    assert_eq!(read(normal, Limit::items(2)).await.expect("read").iter().map(|e| e.seq).collect::<Vec<_>>(), [3, 5]);
}

async fn find(rig: &Rig, mut query: EventQuery, limit: usize) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let page = rig.store.query(query.clone(), limit).await.expect("queried");
        assert!(page.events.len() <= limit);
        found.extend(page.events.iter().map(|e| e.seq));
        match page.next {
            Some(next) if query.newest_first => query.before = Some(next),
            Some(next) => query.after = Some(next),
            None => return found,
        }
    }
}

/// Each header condition finds what a look at every event finds, page by page and from both ends.
pub(super) async fn queries_find_what_a_look_at_every_event_finds(rig: Rig) {
    let mut own = None;
    for n in 0..60u64 {
        let mut e = event(["a.x", "a.y", "b.z"][(n % 3) as usize], &n.to_string());
        e.source = ["one", "two"][(n % 2) as usize].into();
        e.subject = n.is_multiple_of(5).then(|| format!("s{}", n % 10));
        e.correlation = (n % 7 == 3).then(|| own.map_or_else(|| "none".to_owned(), |id: EventId| id.to_string()));
        let appended = rig.append(vec![e]).await[0];
        if n == 1 {
            own = Some(appended.id);
        }
        rig.clock.advance(Duration::from_secs(1));
    }
    let all = rig.all().await;
    let correlation = own.map(|id| id.to_string());
    let base = EventQuery::default;
    let queries = [
        base(),
        EventQuery { types: vec!["a.x".into()], ..base() },
        EventQuery {
            types: vec!["a.x".into(), "b.z".into(), "unknown.type".into()],
            source: Some("two".into()),
            ..base()
        },
        EventQuery { types: vec!["unknown.type".into()], ..base() },
        EventQuery { source: Some("nobody".into()), ..base() },
        EventQuery { subject: Some("s5".into()), ..base() },
        EventQuery { correlation, ..base() },
        EventQuery { from: Some(all[9].time), until: Some(all[40].time), ..base() },
        EventQuery { after: Some(7), before: Some(19), source: Some("one".into()), ..base() },
        EventQuery { from: Some(rig.clock.now().plus(Duration::from_secs(9))), ..base() },
    ];
    for query in queries {
        let wanted: Vec<u64> = all.iter().filter(|e| matches(&query, e)).map(|e| e.seq).collect();
        for limit in [1, 4, 100] {
            assert_eq!(find(&rig, query.clone(), limit).await, wanted, "{query:?}");
            let newest = EventQuery { newest_first: true, ..query.clone() };
            let reversed: Vec<u64> = wanted.iter().rev().copied().collect();
            assert_eq!(find(&rig, newest, limit).await, reversed, "{query:?}");
        }
    }
    assert_eq!(rig.store.seq_at(all[9].time).await, Ok(10));
    assert_eq!(rig.store.seq_at(Timestamp::from_secs(0)).await, Ok(1));
    assert_eq!(rig.store.seq_at(rig.clock.now().plus(Duration::from_secs(9))).await, Ok(61));
}

fn matches(query: &EventQuery, e: &StoredEvent) -> bool {
    (query.types.is_empty() || query.types.iter().any(|t| t == e.topic.as_str()))
        && query.source.as_deref().is_none_or(|s| *s == *e.source)
        && query.subject.as_deref().is_none_or(|s| e.subject.as_deref() == Some(s))
        && query.correlation.as_deref().is_none_or(|c| e.correlation.as_deref() == Some(c) || e.id.to_string() == c)
        && query.from.is_none_or(|t| e.time >= t)
        && query.until.is_none_or(|t| e.time < t)
        && query.after.is_none_or(|s| e.seq > s)
        && query.before.is_none_or(|s| e.seq < s)
}

/// New types are refused once the dictionary is full; known ones go on.
pub(super) async fn the_dictionary_has_a_limit(rig: Rig) {
    let mut next = 0;
    while next < DICTIONARY_ENTRIES {
        let until = (next + 4_096).min(DICTIONARY_ENTRIES);
        let named =
            |n: usize| NewEvent::new(Topic::from_canonical(format!("t.n{n}")), "s", "1", Timestamp::from_secs(1));
        rig.append((next..until).map(named).collect()).await;
        next = until;
    }
    let fresh = Commit { events: vec![event("t.n1", "1"), event("one.more", "1")], ..Commit::default() };
    assert_eq!(rig.store.commit(fresh).await, Err(CommitError::Names(DICTIONARY_ENTRIES)));
    assert_eq!(rig.store.head().seq, DICTIONARY_ENTRIES as u64);
    rig.append(vec![event("t.n5", "1")]).await;
}

/// An epoch is later than every one named; the log goes on in it as it was.
pub(super) async fn a_new_epoch_is_later_and_stays(rig: Rig) {
    rig.append(vec![event("a.b", "1")]).await;
    let before = rig.store.head();
    assert_eq!(rig.store.begin_epoch(0).await.expect("begun").epoch, 2);
    assert_eq!(rig.store.begin_epoch(7).await.expect("begun").epoch, 8);
    assert_eq!(rig.store.head(), Head { epoch: 8, ..before });
    assert_eq!(rig.append(vec![event("a.b", "2")]).await[0].seq, 2);
    assert_eq!(rig.store.head().epoch, 8);
    let events = rig.all().await;
    assert_eq!(chain::link(&chain::genesis(1), &events[0]), events[0].hash);
    assert_eq!(chain::link(&events[0].hash, &events[1]), events[1].hash);
}

/// Limits and declarations are kept by the store itself.
pub(super) async fn what_is_too_large_or_undeclared_is_refused(rig: Rig) {
    let large = Commit { events: vec![event("a.b", &"1".repeat(EVENT_DATA_BYTES + 1))], ..Commit::default() };
    assert!(matches!(rig.store.commit(large).await, Err(CommitError::TooLarge(_))));
    let put = |columns, body: &str| vec![Write::Put { key: Key::of::<Item>("a"), columns, body: body.to_owned() }];
    let whole = Item::new("a", "o").columns();
    let refused = rig.write(put(whole.clone(), &"x".repeat(DOCUMENT_BYTES + 1))).await;
    assert!(matches!(refused, Err(CommitError::TooLarge(_))));
    assert!(matches!(rig.write(put(vec![], "{}")).await, Err(CommitError::Broken(_))));
    let mut wrong = whole;
    wrong[0] = Value::Int(1);
    assert!(matches!(rig.write(put(wrong, "{}")).await, Err(CommitError::Broken(_))));
    let guards = vec![Guard::Empty(items("no_such_index", vec![]))];
    assert!(matches!(rig.store.commit(Commit { guards, ..Commit::default() }).await, Err(CommitError::Broken(_))));
    assert!(rig.store.list(query(items("no_such_index", vec![]), 1)).await.is_err());
    let stale = IndexQuery { after: Some("!".into()), ..query(items("rank", vec![]), 1) };
    assert!(rig.store.list(stale).await.is_err());
}
