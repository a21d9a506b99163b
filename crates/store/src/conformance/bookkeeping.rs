//! Timers, fences, positions, receipts, exceptions.

use std::time::Duration;

use nexus_core::{
    store::{
        Commit, CommitError, Entry, Exception, ExceptionQuery, ExceptionState, Position, ReceiptBlock, SaveError,
        TimerWrite,
    },
    time::Timestamp,
};

use super::rig::{Rig, event};

fn set(id: &str, due: i64) -> TimerWrite {
    TimerWrite::Set {
        id: id.into(),
        due: Timestamp::from_secs(due),
        kind: "k".into(),
        body: format!("{{\"due\":{due}}}"),
    }
}

async fn timers(rig: &Rig, timers: Vec<TimerWrite>) -> Result<(), CommitError> {
    rig.store.commit(Commit { timers, ..Commit::default() }).await.map(drop)
}

/// Timers come earliest first, and of many who fire one setting, one succeeds.
pub(super) async fn a_timer_comes_in_order_and_fires_once(rig: Rig) {
    timers(&rig, vec![set("b", 20), set("a", 20), set("late", 99), set("first", 10)]).await.expect("set");
    assert_eq!(rig.store.next_due().await, Ok(Some(Timestamp::from_secs(10))));
    let due = rig.store.due(Timestamp::from_secs(20), 10).await.expect("read");
    assert_eq!(due.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["first", "a", "b"]);
    assert_eq!((due[0].kind.as_str(), due[0].body.as_str()), ("k", r#"{"due":10}"#));
    let fire = TimerWrite::Fire { id: "first".into(), version: due[0].version };
    let attempt = || {
        rig.store.commit(Commit {
            timers: vec![fire.clone()],
            events: vec![event("timer.fired", "1")],
            ..Commit::default()
        })
    };
    let (a, b, c) = tokio::join!(attempt(), attempt(), attempt());
    assert_eq!([&a, &b, &c].iter().filter(|r| r.is_ok()).count(), 1);
    assert!([a, b, c].into_iter().filter_map(Result::err).all(|e| e == CommitError::Timer("first".into())));
    assert_eq!(rig.store.head().seq, 1);
    let old = due[1].version;
    timers(&rig, vec![TimerWrite::Cancel("a".into()), set("a", 20)]).await.expect("set again");
    let stale = TimerWrite::Fire { id: "a".into(), version: old };
    assert_eq!(
        timers(&rig, vec![stale]).await,
        Err(CommitError::Timer("a".into())),
        "another setting of the same name"
    );
    timers(&rig, vec![set("b", 50)]).await.expect("moved");
    let moved = rig.store.timer("b").await.expect("read").map(|timer| timer.due);
    assert_eq!(moved, Some(Timestamp::from_secs(50)));
    assert_eq!(rig.store.timer("never").await, Ok(None));
    let now = rig.store.due(Timestamp::from_secs(20), 10).await.expect("read");
    assert_eq!(now.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert!(now[0].version > old);
    timers(&rig, vec![TimerWrite::Cancel("never".into())]).await.expect("absent is fine");
}

fn position(sub: u32, lane: u8, next: u64) -> Position {
    Position { sub, lane, next }
}

/// A shard that was taken again refuses its earlier owner, whole.
pub(super) async fn an_earlier_owner_can_not_save(rig: Rig) {
    let first = rig.store.acquire(0).await.expect("taken");
    let other = rig.store.acquire(1).await.expect("taken");
    rig.store
        .save(first, vec![Entry::Position(position(1, 0, 5)), Entry::Position(position(0, 1, 2))])
        .await
        .expect("saved");
    let second = rig.store.acquire(0).await.expect("taken");
    assert!(second.epoch > first.epoch);
    assert_eq!(rig.store.save(first, vec![Entry::Position(position(1, 0, 9))]).await, Err(SaveError::Stale(0)));
    rig.store.save(other, vec![]).await.expect("another shard");
    let entries =
        vec![Entry::Position(position(1, 0, 7)), Entry::PositionGone(0, 1), Entry::Position(position(1, 4, 1))];
    rig.store.save(second, entries).await.expect("saved");
    assert_eq!(rig.store.positions().await, Ok(vec![position(1, 0, 7), position(1, 4, 1)]));
}

/// Receipts are found by the seqs they span, however wide, and the newest without a seq.
pub(super) async fn receipts_are_found_by_what_they_span(rig: Rig) {
    let fence = rig.store.acquire(0).await.expect("taken");
    let block = |scope, first, last, at| ReceiptBlock {
        scope,
        first,
        last,
        at: Timestamp::from_secs(at),
        block: format!("{scope}:{first}-{last}").into_bytes().into(),
    };
    let blocks = [
        block(0, 1, 100, 1),
        block(0, 50, 50, 2),
        block(0, 51, 300, 3),
        block(7, 1, 100_000, 4),
        block(0, 301, 302, 5),
    ];
    rig.store.save(fence, blocks.iter().cloned().map(Entry::Receipts).collect()).await.expect("saved");
    let found = |seq| {
        let store = rig.store.clone();
        async move {
            let mut found = store.receipts(0, Some(seq), 10).await.expect("read");
            found.sort_by_key(|b| b.first);
            found
        }
    };
    assert_eq!(found(50).await, [blocks[0].clone(), blocks[1].clone()]);
    assert_eq!(found(51).await, [blocks[0].clone(), blocks[2].clone()]);
    assert_eq!(found(1).await, [blocks[0].clone()]);
    assert_eq!(found(302).await, [blocks[4].clone()]);
    assert_eq!(found(303).await, []);
    assert_eq!(rig.store.receipts(7, Some(99_999), 10).await, Ok(vec![blocks[3].clone()]));
    assert_eq!(rig.store.receipts(0, None, 2).await, Ok(vec![blocks[4].clone(), blocks[2].clone()]));
    assert_eq!(rig.store.receipts(0, Some(50), 1).await.expect("read").len(), 1);
    rig.store.sweep(Timestamp::from_secs(3), Timestamp::from_secs(0)).await.expect("swept");
    assert_eq!(found(60).await, [blocks[2].clone()]);
    assert_eq!(found(50).await, []);
}

fn exception(sub: u32, seq: u64, state: ExceptionState, next_at: i64) -> Exception {
    Exception {
        sub,
        seq,
        generation: 0,
        lane: 1,
        state,
        attempts: 3,
        next_at: Timestamp::from_secs(next_at),
        key: (seq == 2).then(|| "key".into()),
        waiting: if seq == 2 { vec![8, 9] } else { vec![] },
        log: r#"[{"status":500}]"#.into(),
        updated_at: Timestamp::from_secs(100 + next_at),
    }
}

/// Every way to ask for exceptions gives the right ones in the right order.
pub(super) async fn exceptions_are_found_by_each_of_their_headers(rig: Rig) {
    use ExceptionState::{Dead, Delivered, Retrying};
    let fence = rig.store.acquire(0).await.expect("taken");
    let all = [
        exception(1, 2, Retrying, 30),
        exception(1, 3, Dead, 0),
        exception(2, 2, Retrying, 10),
        exception(2, 5, Delivered, 0),
        Exception { generation: 1, ..exception(2, 5, Retrying, 20) },
    ];
    rig.store.save(fence, all.iter().cloned().map(Entry::Exception).collect()).await.expect("saved");
    let ask = |query: ExceptionQuery| rig.store.exceptions(ExceptionQuery { limit: 10, ..query });
    let base = ExceptionQuery::default;
    assert_eq!(ask(base()).await, Ok(all.to_vec()));
    let due = ExceptionQuery { due_before: Some(Timestamp::from_secs(30)), ..base() };
    assert_eq!(ask(due.clone()).await, Ok(vec![all[2].clone(), all[4].clone()]));
    assert_eq!(ask(ExceptionQuery { sub: Some(1), ..due }).await, Ok(vec![]));
    assert_eq!(ask(ExceptionQuery { seq: Some(2), ..base() }).await, Ok(vec![all[0].clone(), all[2].clone()]));
    assert_eq!(ask(ExceptionQuery { state: Some(Dead), ..base() }).await, Ok(vec![all[1].clone()]));
    let of_two = ExceptionQuery { sub: Some(2), state: Some(Retrying), ..base() };
    assert_eq!(ask(of_two).await, Ok(vec![all[2].clone(), all[4].clone()]));
    let after = ExceptionQuery { after: Some((2, 2, 0)), ..base() };
    assert_eq!(ask(after).await, Ok(vec![all[3].clone(), all[4].clone()]));
    let mut counts = rig.store.exception_counts().await.expect("counted");
    counts.sort_by_key(|(sub, state, _)| (*sub, format!("{state:?}")));
    assert_eq!(counts, [(1, Dead, 1), (1, Retrying, 1), (2, Delivered, 1), (2, Retrying, 2)]);
    let done = Exception { state: Delivered, ..all[0].clone() };
    rig.store.save(fence, vec![Entry::Exception(done.clone()), Entry::ExceptionGone(1, 3, 0)]).await.expect("saved");
    assert_eq!(ask(ExceptionQuery { sub: Some(1), ..base() }).await, Ok(vec![done]));
    rig.store.sweep(Timestamp::from_secs(110), Timestamp::from_secs(0)).await.expect("swept");
    let left = ask(base()).await.expect("read");
    assert_eq!(
        left.iter().map(|e| (e.sub, e.seq, e.generation)).collect::<Vec<_>>(),
        [(1, 2, 0), (2, 2, 0), (2, 5, 1)]
    );
    rig.clock.advance(Duration::from_secs(1));
}
