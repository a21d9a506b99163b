//! What is kept and what is forgotten: retention, redaction, secrets, tokens, permissions, names and predicates.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nexus_core::{
    access::Principal,
    event::Data,
    topic::{Topic, TopicFilter},
};
use nexus_engine::{
    Hub, HubConfig, StartError, clock::SystemClock, log::RedactRequest, retention::RetentionRule, tokens::NewToken,
    vault::VaultKey,
};
use nexus_store::{SqliteOptions, SqliteStore};
use serde_json::json;

use crate::rig::{Endpoint, Reply, Rig};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn admin() -> Principal {
    Principal::admin("test")
}

fn redact(json: serde_json::Value) -> RedactRequest {
    serde_json::from_value(json).expect("a request")
}

#[tokio::test]
async fn retention_waits_for_who_is_behind_up_to_its_cap_and_then_says_what_is_lost() {
    let rule = RetentionRule { filter: TopicFilter::parse("a.*").expect("a filter"), max_age: DAY, grace: DAY * 2 };
    let rig = Rig::with(HubConfig { retention: vec![rule], ..HubConfig::default() }).await;
    let endpoint = Endpoint::new([]).await;
    rig.subscribe(json!({"name": "late", "filter": "a.b", "url": endpoint.url})).await;
    rig.hub.subscriptions().pause("late", None, &admin()).await.expect("paused");
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
    assert!(rig.hub.log().verify(None).await.expect("a report").ok);
    assert_eq!(endpoint.count(), 1);
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
    assert_eq!(rig.hub.log().redact(one, &admin()).await, Ok(1));
    let subject = redact(json!({"subject": "person_7", "reason": "asked"}));
    assert_eq!(rig.hub.log().redact(subject, &admin()).await, Ok(3));
    assert!(rig.hub.log().redact(redact(json!({"reason": "no one"})), &admin()).await.is_err());
    let report = rig.hub.log().verify(Some(checkpoint)).await.expect("a report");
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
    rig.hub.tokens().revoke(&made.value.id, Some("lost".into()), &admin()).await.expect("revoked");
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
