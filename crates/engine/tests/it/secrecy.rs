//! What nobody is to find any more: data that was redacted, and secrets, wherever they went.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nexus_core::{event::Data, store::Store};
use nexus_engine::{Hub, StartError, clock::SystemClock, deliveries::DeliveryQuery, vault::VaultKey};
use nexus_store::{SqliteOptions, SqliteStore};
use serde_json::json;

use crate::{
    keeping::{admin, against, redact},
    rig::{Endpoint, Reply, Rig},
};

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
fn holding(folder: &Path, mark: &str) -> Vec<PathBuf> {
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
        assert_eq!(holding(folder.path(), mark), Vec::<PathBuf>::new(), "{mark} is still there");
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
    assert_eq!(holding(folder.path(), "hunter2"), Vec::<PathBuf>::new());
}

async fn start(folder: &Path, key: VaultKey) -> Result<Hub, StartError> {
    let clock = Arc::new(SystemClock::new());
    let options = SqliteOptions::default();
    let store = SqliteStore::open(folder, &Hub::collections(), clock.clone(), options).expect("a store");
    let store: Arc<dyn Store> = Arc::new(store);
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
