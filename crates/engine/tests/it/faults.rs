//! Endpoints and handlers that misbehave, each in its own way, and what the hub makes of it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use nexus_core::{
    access::Principal,
    event::StoredEvent,
    sign::{Secret, standard_signature},
};
use nexus_engine::{
    HubConfig,
    alerts::AlertTarget,
    delivery::handler::{Handed, Handler, Unhandled},
    delivery::machine::Policy,
};
use serde_json::json;

use crate::rig::{Endpoint, Reply, Rig};

async fn fails_with(reply: Reply, timeout_ms: u64) -> (Rig, Endpoint, nexus_engine::fate::Fate) {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([reply]).await;
    let new = json!({"name": "sub", "filter": "a.b", "url": endpoint.url, "retry": "20ms", "timeout_ms": timeout_ms});
    rig.subscribe(new).await;
    let event = rig.publish("a.b", "1").await;
    let fate = rig.fate(event, "delivered").await;
    (rig, endpoint, fate)
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_given_up_after_its_time_and_tried_again() {
    let (_rig, endpoint, fate) = fails_with(Reply::Hang, 200).await;
    assert_eq!(endpoint.count(), 2);
    let first = &fate.deliveries[0].attempts[0];
    assert!(first.status.is_none() && first.error.is_some(), "{first:?}");
    assert!(first.latency_ms >= 190.0 && first.latency_ms < 5_000.0, "{first:?}");
}

#[tokio::test]
async fn an_endpoint_that_cuts_its_answer_is_tried_again() {
    let (_rig, endpoint, fate) = fails_with(Reply::Cut, 5_000).await;
    assert_eq!(endpoint.count(), 2);
    assert!(fate.deliveries[0].attempts[0].status.is_none());
}

#[tokio::test]
async fn ten_megabytes_of_answer_or_one_that_never_ends_are_answers_all_the_same() {
    for reply in [Reply::Huge(10 << 20), Reply::Drip] {
        let (_rig, endpoint, fate) = fails_with(reply, 1_000).await;
        assert_eq!(endpoint.count(), 1, "a 200 is a 200");
        assert_eq!(fate.deliveries[0].status, Some(200));
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let elsewhere = Endpoint::new([]).await;
    let location: &'static str = Box::leak(format!("location: {}\r\n", elsewhere.url).into_boxed_str());
    let (_rig, endpoint, fate) = fails_with(Reply::Header(307, location), 5_000).await;
    assert_eq!((endpoint.count(), elsewhere.count()), (2, 0));
    assert_eq!(fate.deliveries[0].attempts[0].status, Some(307));
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_until_someone_listens() {
    let rig = Rig::new().await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}/", listener.local_addr().expect("bound"))
    };
    rig.subscribe(json!({"name": "sub", "filter": "a.b", "url": gone, "retry": "1h"})).await;
    let event = rig.publish("a.b", "1").await;
    let refused = async || !rig.hub.fate(event.id).await.expect("a fate").deliveries[0].attempts.is_empty();
    rig.until("the refusal", refused).await;
    let endpoint = Endpoint::new([]).await;
    let patch = serde_json::from_value(json!({"url": endpoint.url})).expect("a patch");
    rig.hub.subscriptions().update("sub", patch, &Principal::admin("test")).await.expect("updated");
    rig.hub.advance(Duration::from_secs(3_601)).await.expect("a test clock");
    rig.fate(event, "delivered").await;
}

#[tokio::test]
async fn a_body_that_cannot_be_built_is_the_events_fault_and_leaves_the_breaker_closed() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    let target = json!({"kind": "http", "url": endpoint.url, "body": ".payload.n + 1"});
    rig.subscribe(json!({"name": "sub", "filter": "a.b", "target": target, "retry": "5ms", "max_attempts": 7})).await;
    let bad = rig.publish("a.b", r#"{"n": "text"}"#).await;
    rig.fate(bad, "dead").await;
    let good = rig.publish("a.b", r#"{"n": 1}"#).await;
    rig.fate(good, "delivered").await;
    let received = endpoint.wait(1).await;
    assert_eq!((received.len(), received[0].body.as_str()), (1, "2"));
    assert!(rig.stored("delivery.breaker_opened").await.is_empty());
}

/// Fails, panics or works, by name; keeps what it was given.
struct Scripted(&'static str, Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Handler for Scripted {
    async fn handle(&self, event: &StoredEvent, _handed: Handed<'_>) -> Result<(), Unhandled> {
        self.1.lock().expect("unpoisoned").push(format!("{} {}", self.0, event.seq));
        match self.0 {
            "fails" => Err("no".into()),
            "panics" => panic!("a handler's own bug"),
            _ => Ok(()),
        }
    }
}

/// C-028
#[tokio::test]
async fn a_handler_that_fails_or_panics_stops_no_other() {
    let calls: Arc<Mutex<Vec<String>>> = Arc::default();
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let rig = Rig::built(folder, |mut builder| {
        for name in ["fails", "panics", "works"] {
            builder = builder.handler(name, Arc::new(Scripted(name, Arc::clone(&calls))));
        }
        builder
    })
    .await;
    for name in ["fails", "panics", "works"] {
        let target = json!({"kind": "handler", "name": name});
        let new = json!({"name": name, "filter": "a.b", "target": target, "retry": "5ms", "max_attempts": 2});
        rig.subscribe(new).await;
    }
    let event = rig.publish("a.b", "1").await;
    let fate = rig.fate(event, "dead").await;
    let settled = async || {
        let fate = rig.hub.fate(event.id).await.expect("a fate");
        fate.deliveries.iter().all(|d| matches!(d.state, "dead" | "delivered"))
    };
    rig.until("all have an end", settled).await;
    let fate = rig.hub.fate(event.id).await.unwrap_or(fate);
    let states: Vec<_> = fate.deliveries.iter().map(|d| (d.subscription.as_str(), d.state)).collect();
    assert_eq!(states, [("fails", "dead"), ("panics", "dead"), ("works", "delivered")]);
    let works = calls.lock().expect("unpoisoned").iter().filter(|c| c.starts_with("works")).count();
    assert_eq!(works, 1);
    assert!(rig.hub.shutdown(Duration::from_secs(5)).await, "nothing hangs");
}

/// N-035
#[tokio::test]
async fn a_dead_critical_event_is_told_once_in_the_log_and_once_to_discord() {
    let discord = Endpoint::new([]).await;
    let alerts = vec![AlertTarget::Discord { url: discord.url.clone() }];
    let rig = Rig::with(HubConfig { alerts, ..HubConfig::default() }).await;
    let endpoint = Endpoint::new([]).await;
    endpoint.answers(Reply::Status(400));
    let new = json!({"name": "sub", "filter": "a.b", "url": endpoint.url, "retry": "5ms", "max_attempts": 2});
    rig.subscribe(new).await;
    for _ in 0..2 {
        let mut event = rig.event("a.b", "1");
        event.priority = nexus_core::event::Priority::Critical;
        let event = rig.hub.publish(event).await.expect("accepted");
        rig.fate(event, "dead").await;
        let told = async || {
            let told = rig.stored("delivery.dead").await;
            told.iter().filter(|e| e.causation == Some(event.id)).count() == 1
        };
        rig.until("the log says so", told).await;
    }
    let received = discord.wait(1).await;
    let body = received[0].json();
    assert!(body["content"].as_str().is_some_and(|c| c.contains("dead_letter") && c.len() <= 2_000), "{body}");
    assert!(body["embeds"][0]["description"].as_str().is_some_and(|d| d.contains("400")), "{body}");
    assert_eq!(body["allowed_mentions"], json!({"parse": []}));
    rig.hub.advance(Duration::from_secs(60)).await.expect("a test clock");
    assert_eq!(discord.count(), 1, "the second is the same alert");
    assert_eq!(rig.stored("delivery.dead").await.len(), 2);
}

/// S-138
#[tokio::test]
async fn a_third_party_gets_signed_posts_and_is_disabled_when_it_only_fails() {
    let policy = Policy { disable_after: Duration::from_secs(3_600), ..Policy::default() };
    let rig = Rig::with(HubConfig { policy, ..HubConfig::default() }).await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let endpoint = Endpoint::new([Reply::Status(500)]).await;
    let new = json!({"name": "third", "filter": "a.b", "url": endpoint.url, "secret": secret, "retry": "20ms"});
    rig.subscribe(new).await;
    let event = rig.publish("a.b", r#"{"n": 1}"#).await;
    rig.fate(event, "delivered").await;
    for one in endpoint.wait(2).await {
        let (id, at) = (one.header("webhook-id").expect("an id"), one.header("webhook-timestamp").expect("a time"));
        let at = at.parse().expect("seconds");
        let signed = standard_signature(&[Secret::new(secret)], id, at, one.body.as_bytes()).expect("a signature");
        assert_eq!(one.header("webhook-signature"), Some(signed.as_str()));
    }
    endpoint.answers(Reply::Status(500));
    let mut last = event;
    for n in 2..16 {
        last = rig.publish("a.b", &n.to_string()).await;
        rig.hub.advance(Duration::from_secs(300)).await.expect("a test clock");
    }
    let disabled = async || rig.hub.subscriptions().status("third").await.expect("a status").state == "disabled";
    rig.until("it is disabled", disabled).await;
    assert_eq!(rig.stored("audit.subscription.disabled").await.len(), 1);
    endpoint.answers(Reply::Status(200));
    rig.hub.subscriptions().resume("third", &Principal::admin("test")).await.expect("resumed");
    let fate = rig.fate(last, "delivered").await;
    assert_eq!(fate.deliveries[0].state, "delivered");
}
