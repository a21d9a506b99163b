//! What is kept and what is forgotten: retention, redaction, secrets, tokens, permissions, names and predicates.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nexus_core::{
    access::Principal,
    chain::Checkpoint,
    event::Data,
    problem::Code,
    store::{Appended, Store, StoreError},
    topic::{Topic, TopicFilter},
};
use nexus_engine::{
    Hub, HubConfig, StartError,
    clock::SystemClock,
    deliveries::DeliveryQuery,
    log::{RedactRequest, VerifyRequest},
    retention::{Keeping, RetentionRule},
    tail::{Batch, Start},
    tokens::NewToken,
    vault::VaultKey,
};
use nexus_store::{FaultKind, MemoryStore, SqliteOptions, SqliteStore};
use serde_json::json;

use crate::rig::{Endpoint, PATIENCE, Reply, Rig};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn admin() -> Principal {
    Principal::admin("test")
}

fn redact(json: serde_json::Value) -> RedactRequest {
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

fn against(checkpoint: Checkpoint) -> VerifyRequest {
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

#[tokio::test]
async fn what_is_redacted_is_gone_everywhere_and_the_log_still_verifies() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([Reply::Status(400)]).await;
    rig.subscribe(json!({"name": "sub", "filter": "a.*", "url": endpoint.url, "retry": "1h"})).await;
    let retried = rig.publish("a.one", r#""mark-one""#).await;
    endpoint.wait(1).await;
    rig.hub.subscriptions().pause("sub", None, &admin()).await.expect("paused");
    let mut of_person = Vec::new();
    for _ in 0..3 {
        let mut event = rig.event("a.two", r#""mark-two""#);
        event.subject = Some("person_7".into());
        of_person.push(rig.hub.publish(event).await.expect("accepted"));
    }
    let kept = rig.publish("a.three", r#""mark-three""#).await;
    let checkpoint = rig.hub.log().checkpoint();
    let one = redact(json!({"event_id": retried.id, "reason": "asked"}));
    assert_eq!(rig.hub.log().redact(one, &admin()).await.map(|done| done.redacted), Ok(1));
    let subject = redact(json!({"subject": "person_7", "reason": "asked"}));
    assert_eq!(rig.hub.log().redact(subject, &admin()).await.map(|done| done.redacted), Ok(3));
    assert!(rig.hub.log().redact(redact(json!({"reason": "no one"})), &admin()).await.is_err());
    let report = rig.hub.log().verify(&against(checkpoint)).await.expect("a report");
    assert_eq!((report.ok, report.erased), (true, 4), "{report:?}");
    for event in of_person.iter().chain([&retried]) {
        let stored = rig.hub.event(event.id).await.expect("readable").expect("there");
        assert!(matches!(stored.data, Data::Erased { .. }));
    }
    rig.hub.subscriptions().resume("sub", &admin()).await.expect("resumed");
    rig.hub.advance(Duration::from_secs(3_700)).await.expect("a test clock");
    rig.fate(kept, "delivered").await;
    let bodies: Vec<String> = endpoint.wait(2).await.into_iter().skip(1).map(|r| r.body).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(bodies[0].contains("mark-three"));
    assert_eq!(rig.fate(retried, "erased").await.deliveries[0].state, "erased");
    let folder = Arc::clone(&rig.folder);
    rig.hub.shutdown(Duration::from_secs(5)).await;
    for file in std::fs::read_dir(folder.path()).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
        let found = |mark: &[u8]| bytes.windows(mark.len()).any(|w| w == mark);
        assert!(!found(b"mark-two"), "a redacted subject's data is still in the folder");
    }
}

/// Which of the folder's files hold `mark`.
fn holding(folder: &std::path::Path, mark: &str) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let holds = |bytes: Vec<u8>| bytes.windows(mark.len()).any(|w| w == mark.as_bytes());
    files.filter(|path| std::fs::read(path).is_ok_and(holds)).collect()
}

/// What was kept of attempts lies in memory too, and an answer may come later: neither brings back what was erased.
#[tokio::test]
async fn what_was_kept_of_attempts_does_not_come_back_after_a_redaction() {
    let rig = Rig::new().await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (refusing, slow) = (Endpoint::new([]).await, Endpoint::new([Reply::Gate(Arc::clone(&gate))]).await);
    refusing.answers(Reply::Echo(400));
    let new = json!({"name": "held", "filter": "a.held", "url": refusing.url, "ordered": true, "key": "\"one\"",
        "on_dead": "hold", "max_attempts": 1});
    rig.subscribe(new).await;
    rig.subscribe(json!({"name": "slow", "filter": "a.slow", "url": slow.url, "keep_exchanges": true})).await;
    let dead = rig.publish("a.held", r#""mark-dead""#).await;
    rig.fate(dead, "dead").await;
    let out = rig.publish("a.slow", r#""mark-out""#).await;
    slow.wait(1).await;
    for event in [dead, out] {
        let request = redact(json!({"event_id": event.id, "reason": "asked"}));
        assert_eq!(rig.hub.log().redact(request, &admin()).await.map(|done| done.redacted), Ok(1));
    }
    // Its row is written again, with who waits behind it; and the answer comes.
    let behind = rig.publish("a.held", r#""behind""#).await;
    gate.add_permits(1);
    let rows = async || {
        let query = DeliveryQuery { limit: 100, ..DeliveryQuery::default() };
        rig.hub.deliveries().list(query).await.expect("a list").0
    };
    rig.until("both rows are written anew", async || {
        let rows = rows().await;
        rows.iter().any(|row| row.seq == dead.seq && row.waiting == [behind.seq])
            && rows.iter().any(|row| row.seq == out.seq)
    })
    .await;
    let shown = serde_json::to_string(&rows().await).expect("JSON");
    assert!(!shown.contains("mark-"), "{shown}");
    let folder = rig.end().await;
    for mark in ["mark-dead", "mark-out"] {
        assert_eq!(holding(folder.path(), mark), Vec::<std::path::PathBuf>::new(), "{mark} is still there");
    }
}

/// A secret goes to the endpoint and nowhere else, also when the endpoint repeats it.
#[tokio::test]
async fn a_secret_in_a_url_or_a_header_is_sent_and_shown_to_nobody() {
    const SECRET: &str = "hunter2+hunter2/4711";
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    endpoint.answers(Reply::Echo(400));
    rig.hub.secrets().set_named("API_KEY", SECRET, &admin()).await.expect("kept");
    let target = json!({"kind": "http", "method": "PUT", "url": format!("{}?key=${{secret:API_KEY}}", endpoint.url),
        "headers": {"X-Api-Secret": "v1 ${secret:API_KEY}"}, "body": ".payload"});
    rig.subscribe(json!({"name": "sub", "filter": "a.b", "target": target, "max_attempts": 1, "keep_exchanges": true}))
        .await;
    let event = rig.publish("a.b", r#"{"n":1}"#).await;
    rig.fate(event, "dead").await;
    let received = endpoint.wait(1).await;
    assert_eq!(received[0].header("x-api-secret"), Some(format!("v1 {SECRET}").as_str()));
    let query = DeliveryQuery { limit: 100, ..DeliveryQuery::default() };
    let (rows, _) = rig.hub.deliveries().list(query).await.expect("a list");
    let kept = serde_json::to_string(&rows).expect("JSON");
    let tested = rig.hub.subscriptions().test("sub", None).await.expect("an exchange");
    let tested = serde_json::to_string(&tested).expect("JSON");
    for shown in [&kept, &tested] {
        assert!(shown.contains("?key=[secret API_KEY]"), "{shown}");
        assert!(shown.contains("v1 [secret API_KEY]"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let folder = rig.end().await;
    assert_eq!(holding(folder.path(), "hunter2"), Vec::<std::path::PathBuf>::new());
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

async fn start(folder: &std::path::Path, key: VaultKey) -> Result<Hub, StartError> {
    let clock = Arc::new(SystemClock::new());
    let options = SqliteOptions::default();
    let store = SqliteStore::open(folder, &Hub::collections(), clock.clone(), options).expect("a store");
    let store: Arc<dyn nexus_core::store::Store> = Arc::new(store);
    let hub = Hub::builder(Arc::clone(&store), clock, key).start().await;
    if hub.is_err() {
        store.close().await;
    }
    hub
}

#[tokio::test]
async fn a_new_key_reseals_every_secret_and_a_wrong_one_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (old, new) = ([1; 32], [2; 32]);
    let hub = start(folder.path(), VaultKey::new(old, Vec::new())).await.expect("starts");
    hub.secrets().set_named("API_KEY", "hunter2-hunter2", &admin()).await.expect("kept");
    hub.shutdown(Duration::from_secs(5)).await;
    let wrong = start(folder.path(), VaultKey::new(new, Vec::new())).await.expect_err("the key is wrong");
    let message = wrong.to_string();
    assert!(message.contains("named/API_KEY") && message.contains("key"), "{message}");
    let hub = start(folder.path(), VaultKey::new(new, vec![old])).await.expect("the old key opens");
    assert_eq!(hub.secrets().expand("Bearer ${secret:API_KEY}"), Ok("Bearer hunter2-hunter2".into()));
    hub.shutdown(Duration::from_secs(5)).await;
    let hub = start(folder.path(), VaultKey::new(new, Vec::new())).await.expect("it is sealed under the new one");
    assert_eq!(hub.secrets().expand("${secret:API_KEY}"), Ok("hunter2-hunter2".into()));
    assert!(hub.secrets().expand("${secret:OTHER}").is_err());
    hub.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_token_opens_what_its_scopes_say_until_it_expires_or_is_revoked() {
    let rig = Rig::new().await;
    let tokens = rig.hub.tokens();
    let in_an_hour = rig.hub.clock().now().plus(Duration::from_secs(3_600));
    let new = |name: &str, scope: &str, expires_at| NewToken {
        name: name.into(),
        scopes: vec![scope.parse().expect("a scope")],
        expires_at,
    };
    let made = tokens.create(new("narrow", "events:publish:a.*", Some(in_an_hour)), &admin()).await.expect("made");
    let secret = made.secret.expect("shown once");
    assert!(secret.starts_with("nxs_"));
    let principal = tokens.authenticate(&secret).expect("known");
    assert!(principal.may_for("events:publish", "a.b") && !principal.may_for("events:publish", "b.b"));
    assert!(tokens.authenticate("nxs_other").is_none() && tokens.authenticate("").is_none());
    rig.hub.advance(Duration::from_secs(3_601)).await.expect("a test clock");
    assert!(rig.hub.tokens().authenticate(&secret).is_none(), "it has expired");
    let made = rig.hub.tokens().create(new("lasting", "admin", None), &admin()).await.expect("made");
    let secret = made.secret.expect("shown once");
    assert!(rig.hub.tokens().authenticate(&secret).is_some());
    let last = rig.hub.credentials().revoke(&made.value.id, None, &admin()).await.expect_err("the last way in");
    assert_eq!(last.code, Code::Conflict);
    rig.hub.tokens().create(new("another", "admin", None), &admin()).await.expect("made");
    rig.hub.credentials().revoke(&made.value.id, Some("lost".into()), &admin()).await.expect("revoked");
    assert!(rig.hub.tokens().authenticate(&secret).is_none());
    let rig = rig.restart().await;
    assert!(rig.hub.tokens().authenticate(&secret).is_none(), "also after a restart");
}

#[tokio::test]
async fn permissions_take_hold_over_a_sources_own_list_and_let_go_again() {
    let rig = Rig::new().await;
    let new = json!({"id": "factory", "preset": "factory", "secrets": ["s3cret-s3cret-s3cret"]});
    let new = serde_json::from_value(new).expect("a source");
    rig.hub.sources().create(new, &admin()).await.expect("made");
    let allows = |topic: &str| {
        let set = rig.hub.sources().active();
        set.get("factory").expect("there").may_dispatch(&Topic::parse(topic).expect("a topic"))
    };
    assert!(allows("PAYMENT_RECEIVED") && allows("MINT_CONFIRMED"), "no list is every type");
    let only = vec![TopicFilter::parse("MINT_CONFIRMED").expect("a filter")];
    rig.hub.sources().set_permissions(Some(BTreeMap::from([("factory".to_owned(), only)])));
    assert!(!allows("PAYMENT_RECEIVED") && allows("MINT_CONFIRMED"));
    rig.hub.sources().set_permissions(None);
    assert!(allows("PAYMENT_RECEIVED"));
}

/// X-010, for webhooks: the engine's share of it.
#[tokio::test]
async fn either_name_of_an_event_gets_it_once_under_the_name_asked() {
    let rig = Rig::new().await;
    let endpoints =
        [Endpoint::new([]).await, Endpoint::new([]).await, Endpoint::new([]).await, Endpoint::new([]).await];
    let filters = [
        json!(["lead.captured"]),
        json!(["lead.created"]),
        json!(["lead.created", "lead.captured"]),
        json!(["lead.*"]),
    ];
    for (i, (endpoint, filters)) in endpoints.iter().zip(filters).enumerate() {
        rig.subscribe(json!({"name": format!("s{i}"), "filters": filters, "url": endpoint.url})).await;
    }
    let event = rig.publish("lead.captured", "1").await;
    let fate = rig.fate(event, "delivered").await;
    rig.hub.advance(Duration::from_secs(1)).await.expect("a test clock");
    let mut names = Vec::new();
    for endpoint in &endpoints {
        assert_eq!(endpoint.count(), 1);
        names.push(endpoint.wait(1).await[0].json()["event"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(names, ["lead.captured", "lead.created", "lead.created", "lead.created"]);
    assert_eq!(fate.deliveries.len(), 4);
}

#[tokio::test]
async fn a_predicate_lets_through_what_it_holds_for_and_a_fate_says_what_it_kept_back() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    let new = json!({"name": "sub", "filter": "a.b", "url": endpoint.url, "predicate": ".payload.amount > 100"});
    rig.subscribe(new).await;
    let small = rig.publish("a.b", r#"{"amount": 5}"#).await;
    let odd = rig.publish("a.b", r#"{"amount": {"no": "number"}}"#).await;
    let absent = rig.publish("a.b", "[]").await;
    let large = rig.publish("a.b", r#"{"amount": 500}"#).await;
    rig.fate(large, "delivered").await;
    for event in [small, absent] {
        assert_eq!(rig.fate(event, "unmatched").await.deliveries[0].state, "filtered");
    }
    // jq orders objects after numbers, so this one holds.
    rig.fate(odd, "delivered").await;
    assert_eq!(endpoint.wait(2).await.len(), 2);
}
