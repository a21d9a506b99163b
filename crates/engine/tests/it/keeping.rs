//! How long events are kept: retention by age and by size, the cut that it leaves, and the epochs of a log.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    access::Principal,
    chain::Checkpoint,
    event::Data,
    store::{Appended, Store, StoreError},
    topic::TopicFilter,
};
use nexus_engine::{
    Hub, HubConfig,
    clock::SystemClock,
    log::{RedactRequest, VerifyRequest},
    retention::{Keeping, RetentionRule},
    tail::{Batch, Start},
    vault::VaultKey,
};
use nexus_store::{FaultKind, MemoryStore, SqliteOptions, SqliteStore};
use serde_json::json;

use crate::rig::{Endpoint, PATIENCE, Rig};

const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(crate) fn admin() -> Principal {
    Principal::admin("test")
}

pub(crate) fn redact(json: serde_json::Value) -> RedactRequest {
    serde_json::from_value(json).expect("a request")
}

fn rule(filter: &str, max_age: Option<Duration>, max_bytes: Option<u64>, grace: Duration) -> RetentionRule {
    RetentionRule { filter: TopicFilter::parse(filter).expect("a filter"), max_age, max_bytes, grace }
}

fn keeping(rules: Vec<RetentionRule>) -> HubConfig {
    HubConfig { keeping: Keeping { rules, ..Keeping::default() }, ..HubConfig::default() }
}

#[tokio::test]
async fn retention_waits_for_who_is_behind_up_to_its_cap_and_then_says_what_is_lost() {
    let rule = rule("a.*", Some(DAY), None, DAY * 2);
    let rig = Rig::with(keeping(vec![rule])).await;
    let endpoint = Endpoint::new([]).await;
    rig.subscribe(json!({"name": "late", "filter": "a.b", "url": endpoint.url})).await;
    // As far behind, and of another topic: it loses nothing.
    rig.subscribe(json!({"name": "elsewhere", "filter": "c.*", "url": endpoint.url})).await;
    for name in ["late", "elsewhere"] {
        rig.hub.subscriptions().pause(name, None, &admin()).await.expect("paused");
    }
    let old = rig.publish("a.b", r#""old""#).await;
    let other = rig.publish("b.b", r#""kept""#).await;
    let erased = async |id| {
        let event = rig.hub.event(id).await.expect("readable").expect("there");
        matches!(event.data, Data::Erased { .. })
    };
    rig.hub.advance(DAY + DAY / 2).await.expect("a test clock");
    assert!(!erased(old.id).await, "someone still waits for it");
    let fresh = rig.publish("a.b", r#""fresh""#).await;
    rig.hub.advance(DAY * 2).await.expect("a test clock");
    rig.until("it is erased", async || erased(old.id).await).await;
    assert!(!erased(other.id).await, "no rule names it");
    let gaps = async || !rig.stored("subscription.gap").await.is_empty();
    rig.until("the gap is told", gaps).await;
    let gaps = rig.stored("subscription.gap").await;
    let gap: serde_json::Value = serde_json::from_slice(gaps[0].json()).expect("JSON");
    assert_eq!((gap["subscription"].as_str(), gaps.len()), (Some("late"), 1));
    assert!(gap["from_seq"].as_u64() <= Some(old.seq) && gap["to_seq"].as_u64() >= Some(old.seq), "{gap}");
    rig.hub.subscriptions().resume("late", &admin()).await.expect("resumed");
    rig.fate(fresh, "delivered").await;
    assert_eq!(rig.fate(old, "erased").await.deliveries[0].state, "erased");
    assert!(rig.hub.log().verify(&VerifyRequest::default()).await.expect("a report").ok);
    assert_eq!(endpoint.count(), 1);
}

pub(crate) fn against(checkpoint: Checkpoint) -> VerifyRequest {
    VerifyRequest { against: Some(checkpoint), ..VerifyRequest::default() }
}

/// Publishes `count` events of a type, each with so many bytes of data.
async fn fill(rig: &Rig, topic: &str, count: u64, bytes: usize) -> Vec<Appended> {
    let mut appended = Vec::new();
    for _ in 0..count {
        appended.push(rig.publish(topic, &format!("\"{}\"", "x".repeat(bytes - 2))).await);
    }
    appended
}

/// The seqs of these events whose data is still there.
async fn there(rig: &Rig, events: &[Appended]) -> Vec<u64> {
    let mut found = Vec::new();
    for event in events {
        let stored = rig.hub.event(event.id).await.expect("readable");
        if stored.is_some_and(|e| matches!(e.data, Data::Present { .. })) {
            found.push(event.seq);
        }
    }
    found
}

fn seqs(events: &[Appended]) -> Vec<u64> {
    events.iter().map(|e| e.seq).collect()
}

#[tokio::test]
async fn the_oldest_events_beyond_a_budget_go_and_the_cut_is_signed() {
    let rig =
        Rig::with(keeping(vec![rule("a.*", None, Some(5_000), DAY), rule(">", Some(DAY * 365), None, DAY)])).await;
    let other = fill(&rig, "b.b", 3, 1_000).await;
    let first = fill(&rig, "a.b", 4, 1_000).await;
    rig.hub.advance(Duration::from_secs(120)).await.expect("a test clock");
    assert_eq!(there(&rig, &first).await, seqs(&first), "the budget is not used up");
    let second = fill(&rig, "a.c", 3, 1_000).await;
    let gone = async || there(&rig, &first).await == seqs(&first[2..]);
    rig.hub.advance(Duration::from_secs(60)).await.expect("a test clock");
    rig.until("the two oldest of seven are gone", gone).await;
    assert_eq!((there(&rig, &second).await, there(&rig, &other).await), (seqs(&second), seqs(&other)));
    // What is erased by a person leaves room: nothing has to go for it.
    let one = redact(json!({"event_id": second[0].id, "reason": "asked"}));
    rig.hub.log().redact(one, &admin()).await.expect("erased");
    let third = fill(&rig, "a.b", 1, 1_000).await;
    rig.hub.advance(Duration::from_secs(120)).await.expect("a test clock");
    assert_eq!(there(&rig, &first).await, seqs(&first[2..]));
    assert_eq!(there(&rig, &third).await, seqs(&third));
    let report = rig.hub.log().verify(&VerifyRequest::default()).await.expect("a report");
    assert!(report.ok && report.cut.is_none(), "what no rule names stands before it: {report:?}");
}

#[tokio::test]
async fn a_budget_waits_for_who_is_behind_up_to_its_grace() {
    let rig = Rig::with(keeping(vec![rule("a.*", None, Some(2_000), DAY)])).await;
    let endpoint = Endpoint::new([]).await;
    rig.subscribe(json!({"name": "late", "filter": "a.b", "url": endpoint.url})).await;
    rig.hub.subscriptions().pause("late", None, &admin()).await.expect("paused");
    let events = fill(&rig, "a.b", 4, 1_000).await;
    rig.hub.advance(DAY / 2).await.expect("a test clock");
    assert_eq!(there(&rig, &events).await, seqs(&events), "someone still waits for them");
    rig.hub.advance(DAY).await.expect("a test clock");
    rig.until("the oldest are gone", async || there(&rig, &events).await == seqs(&events[2..])).await;
    rig.until("the gap is told", async || !rig.stored("subscription.gap").await.is_empty()).await;
    let gap: serde_json::Value = serde_json::from_slice(rig.stored("subscription.gap").await[0].json()).expect("JSON");
    assert_eq!((gap["subscription"].as_str(), gap["to_seq"].as_u64()), (Some("late"), Some(events[1].seq)), "{gap}");
}

#[tokio::test]
async fn a_trimmed_log_verifies_in_parts_from_its_signed_cut() {
    let rig = Rig::with(keeping(vec![rule(">", Some(DAY), None, Duration::ZERO)])).await;
    fill(&rig, "a.b", 20, 100).await;
    let early = rig.hub.log().checkpoint();
    fill(&rig, "a.b", 30, 100).await;
    rig.hub.advance(DAY * 2).await.expect("a test clock");
    rig.until("the log is cut", async || rig.hub.log().head().first > 50).await;
    fill(&rig, "a.b", 25, 100).await;
    let late = rig.hub.log().checkpoint();
    let whole = rig.hub.log().verify(&against(late.clone())).await.expect("a report");
    let cut = whole.cut.clone().expect("a cut");
    assert!(whole.ok && whole.compared == Some(true), "{whole:?}");
    assert_eq!((cut.seq + 1, cut.public_key), (rig.hub.log().head().first, late.public_key.clone()));
    let (mut events, mut parts, mut compared) = (0, 0, false);
    let mut after = None;
    loop {
        let request = VerifyRequest { against: Some(late.clone()), after: after.clone(), limit: Some(7) };
        let part = rig.hub.log().verify(&request).await.expect("a report");
        assert!(part.ok, "{part:?}");
        (events, parts, compared) = (events + part.events, parts + 1, compared || part.compared == Some(true));
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((events, compared), (whole.events, true));
    assert!(parts > 3);
    let before_the_cut = rig.hub.log().verify(&against(early)).await.expect("a report");
    assert!(before_the_cut.ok && before_the_cut.compared == Some(false), "{before_the_cut:?}");
}

/// A cut that was signed under an earlier key is signed anew under the present one; a stranger's stays what it is.
#[tokio::test]
async fn a_cut_outlives_the_rotation_of_the_key_and_a_strangers_is_found() {
    let config = || keeping(vec![rule(">", Some(DAY), None, Duration::ZERO)]);
    let rig = Rig::with(config()).await;
    fill(&rig, "a.b", 5, 100).await;
    rig.hub.advance(DAY * 2).await.expect("a test clock");
    rig.until("the log is cut", async || rig.hub.log().head().first > 5).await;
    rig.hub.shutdown(DAY).await;
    let open = async |key| {
        let clock = SystemClock::new();
        let collections = Hub::collections();
        let options = SqliteOptions::default();
        let store =
            SqliteStore::open(rig.folder.path(), &collections, Arc::new(clock.clone()), options).expect("opened");
        Hub::builder(Arc::new(store), Arc::new(clock), key).start().await
    };
    let rotated = open(VaultKey::new([8; 32], vec![[7; 32]])).await.expect("started");
    let report = rotated.log().verify(&VerifyRequest::default()).await.expect("a report");
    assert_eq!(report.cut.expect("a cut").public_key, rotated.log().checkpoint().public_key);
    rotated.shutdown(DAY).await;
    let only_new = open(VaultKey::new([8; 32], Vec::new())).await.expect("started");
    assert!(only_new.log().verify(&VerifyRequest::default()).await.expect("a report").ok);
    only_new.shutdown(DAY).await;
    let stranger = open(VaultKey::new([9; 32], Vec::new())).await.expect("it holds no secret that would not open");
    let report = stranger.log().verify(&VerifyRequest::default()).await.expect("a report");
    assert!(!report.ok && report.problem.is_some_and(|p| p.contains("no key of this hub")));
}

/// To whoever has a position of the exported log the importing hub says that it is another one.
#[tokio::test]
async fn an_import_into_an_empty_hub_begins_a_new_epoch_and_any_other_does_not() {
    let from = Rig::new().await;
    let events = fill(&from, "a.b", 20, 100).await;
    let lines = async || from.hub.log().export(0, 1_000).await.expect("lines");
    let into = Rig::new().await;
    let before = into.hub.tail().position();
    let mut live = into.hub.tail().follow(Start::Now);
    let first = lines().await.into_iter().take(10).collect();
    let report = into.hub.log().import(first, &admin()).await.expect("imported");
    assert_eq!((report.stored, report.epoch), (10, Some(2)));
    let report = into.hub.log().import(lines().await, &admin()).await.expect("imported");
    assert_eq!((report.repeated, report.epoch), (10, None), "a later part goes on in it");
    assert_eq!((before.0, into.hub.tail().position().0, into.hub.log().head().epoch), (1, 2, 2));
    let mut old = into.hub.tail().follow(Start::At { epoch: 1, seq: events[19].seq });
    let gap = tokio::time::timeout(PATIENCE, old.next()).await.expect("in time");
    assert!(matches!(gap, Some(Batch::Gap { .. })), "{gap:?}");
    let went_on = tokio::time::timeout(PATIENCE, live.next()).await.expect("in time");
    assert!(matches!(went_on, Some(Batch::Events(_))), "who follows misses nothing: {went_on:?}");
    assert!(into.hub.log().verify(&VerifyRequest::default()).await.expect("a report").ok);
    let into = into.restart().await;
    assert_eq!(into.hub.tail().position().0, 2);
    // One that has events of its own goes on as it was; one that is later than the exported log stays later.
    let used = Rig::new().await;
    used.publish("c.d", "1").await;
    assert_eq!(used.hub.log().import(lines().await, &admin()).await.expect("imported").epoch, None);
    let third = Rig::new().await;
    let exported = into.hub.log().export(0, 1_000).await.expect("lines");
    assert_eq!(third.hub.log().import(exported, &admin()).await.expect("imported").epoch, Some(3));
}

/// If the process ends between the two, an event is lost that somebody was told of, and not the other way round.
#[tokio::test]
async fn a_gap_is_told_before_anything_is_lost() {
    let clock = SystemClock::new();
    let store = Arc::new(MemoryStore::new(&Hub::collections(), Arc::new(clock.clone()), 7).expect("a store"));
    let key = VaultKey::new([7; 32], Vec::new());
    let config = keeping(vec![rule("a.*", Some(DAY), None, DAY)]);
    let hub = Hub::builder(Arc::clone(&store) as Arc<dyn Store>, Arc::new(clock.clone()), key)
        .config(config)
        .test_clock(clock)
        .start()
        .await
        .expect("the hub starts");
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let rig = Rig { hub, folder, store: Arc::clone(&store) as Arc<dyn Store> };
    let new = json!({"name": "late", "filter": "a.b", "url": "http://127.0.0.1:9/", "active": false});
    rig.subscribe(new).await;
    let lost = rig.publish("a.b", "1").await;
    for _ in 0..2 * 24 * 60 {
        store.fail_next(FaultKind::TrimFails(StoreError::Broken("the disk is gone".into())));
    }
    rig.hub.advance(DAY * 2 + DAY / 4).await.expect("a test clock");
    rig.until("the gap is told", async || !rig.stored("subscription.gap").await.is_empty()).await;
    assert_eq!(there(&rig, &[lost]).await, [lost.seq], "nothing is erased yet");
    let gaps = rig.stored("subscription.gap").await;
    let gap: serde_json::Value = serde_json::from_slice(gaps[0].json()).expect("JSON");
    assert_eq!((gaps.len(), gap["subscription"].as_str(), gap["from_seq"].as_u64()), (1, Some("late"), Some(lost.seq)));
    rig.hub.shutdown(DAY).await;
}
