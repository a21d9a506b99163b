//! The memory store's faults and crashes.

use nexus_core::store::{Commit, CommitError, Entry, Position, SaveError, Store, StoreError, Trim};
use nexus_store::{
    FaultKind, MemoryStore,
    conformance::{ITEMS, Item, ManualClock, event, signer},
};

fn store() -> MemoryStore {
    MemoryStore::new(&[&ITEMS], ManualClock::new(), 7).unwrap()
}

fn commit(id: &str) -> Commit {
    Commit { events: vec![event("a.b", "1")], documents: vec![Item::new(id, "o").put()], ..Commit::default() }
}

#[tokio::test]
async fn each_fault_does_what_its_name_says_once() {
    let store = store();
    store.fail_next(FaultKind::CommitRefused(CommitError::Full));
    store.fail_next(FaultKind::CommitUnknownLost);
    store.fail_next(FaultKind::CommitUnknownApplied);
    assert_eq!(store.commit(commit("full")).await, Err(CommitError::Full));
    assert_eq!(store.commit(commit("lost")).await, Err(CommitError::Unknown));
    assert_eq!(store.head().seq, 0);
    assert_eq!(store.commit(commit("applied")).await, Err(CommitError::Unknown));
    assert_eq!(store.head().seq, 1);
    assert!(store.get(&ITEMS, "applied").await.unwrap().is_some());
    assert!(store.get(&ITEMS, "lost").await.unwrap().is_none());
    store.commit(commit("after")).await.unwrap();
    let fence = store.acquire(0).await.unwrap();
    let entries = vec![Entry::Position(Position { sub: 1, lane: 1, next: 2 })];
    store.fail_next(FaultKind::SaveFails(SaveError::Full));
    assert_eq!(store.save(fence, entries.clone()).await, Err(SaveError::Full));
    assert_eq!(store.positions().await, Ok(vec![]));
    store.save(fence, entries).await.unwrap();
    let trim = Trim { erase_before: 2, types: vec![], drop_before: 2, limit: 9, signer: signer() };
    store.fail_next(FaultKind::TrimFails(StoreError::Broken("no".into())));
    assert_eq!(store.trim(trim.clone()).await, Err(StoreError::Broken("no".into())));
    assert_eq!(store.trim(trim).await.unwrap().erased, 1);
}

#[tokio::test]
async fn a_crash_keeps_what_was_acknowledged_and_shuts_the_old_store() {
    let store = store();
    store.commit(commit("kept")).await.unwrap();
    let head = store.head();
    let next = store.crash();
    assert_eq!(store.commit(commit("late")).await, Err(CommitError::Closed));
    assert_eq!(store.get(&ITEMS, "kept").await, Err(StoreError::Closed));
    assert_eq!(next.head(), head);
    let appended = next.commit(commit("next")).await.unwrap();
    assert_eq!(appended.events[0].seq, 2);
    let first = next.read(Default::default(), nexus_core::store::Limit::items(9)).await.unwrap().remove(0);
    assert!(first.id < appended.events[0].id);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_log() {
    let (a, b) = (store(), store());
    for id in ["x", "y"] {
        assert_eq!(a.commit(commit(id)).await, b.commit(commit(id)).await);
    }
    assert_eq!(a.head(), b.head());
}
