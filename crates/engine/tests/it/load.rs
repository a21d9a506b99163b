//! Many events, many subscriptions, many types.

use std::time::Duration;

use nexus_core::{access::Principal, event::Priority, problem::Code};
use nexus_engine::{
    delivery::{
        machine::{Effect, Machine, Now, Policy},
        spec::Spec,
    },
    subscription::{Revision, Subscription},
};
use serde_json::json;

use crate::rig::{Endpoint, PATIENCE, Rig};

/// S-149
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_critical_event_arrives_within_a_second_while_ten_thousand_low_ones_wait() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    rig.subscribe(json!({"name": "sub", "filter": "p.*", "url": endpoint.url, "active": false})).await;
    for _ in 0..10 {
        let low = (0..1_000).map(|i| {
            let mut event = rig.event("p.low", &i.to_string());
            event.priority = Priority::Low;
            event
        });
        rig.hub.publish_all(low.collect()).await.expect("accepted");
    }
    rig.hub.subscriptions().resume("sub", &Principal::admin("test")).await.expect("resumed");
    endpoint.wait(50).await;
    let mut took = Vec::new();
    // The disk of a machine may stand still for a second, but not three times in a row.
    while took.len() < 3 && took.iter().all(|took| *took >= Duration::from_secs(1)) {
        let mut event = rig.event("p.critical", "true");
        event.priority = Priority::Critical;
        let critical = rig.hub.publish(event).await.expect("accepted");
        let fate = rig.fate(critical, "delivered").await;
        let (at, stored) = (fate.deliveries[0].at.as_deref(), fate.stages[1].at.as_deref());
        let time = |text: Option<&str>| text.and_then(nexus_core::time::Timestamp::parse).expect("a time");
        took.push(time(at).since(time(stored)));
        if took.len() == 1 {
            assert!(endpoint.count() < 5_000, "the low ones still wait");
        }
    }
    assert!(took.iter().any(|took| *took < Duration::from_secs(1)), "{took:?}");
    endpoint.wait(10_000 + took.len()).await;
}

/// N-039
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_burst_of_ten_thousand_events_none_is_lost_and_none_comes_twice() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    rig.subscribe(json!({"name": "sub", "filter": "a.*", "url": endpoint.url, "concurrency": 64})).await;
    let hub = rig.hub.clone();
    let bursts = (0..100).map(|page| {
        let events: Vec<_> = (0..100).map(|i| rig.event("a.b", &(page * 100 + i).to_string())).collect();
        let hub = hub.clone();
        async move {
            loop {
                match hub.publish_all(events.clone()).await {
                    // On a slow machine the writer's queue may be too long: nothing was stored, and it is said again.
                    Err(refused) if refused.code == Code::Unavailable => tokio::task::yield_now().await,
                    done => return done.expect("accepted").len(),
                }
            }
        }
    });
    let all = tokio::time::timeout(PATIENCE, futures_util::future::join_all(bursts)).await.expect("in time");
    assert!(all.into_iter().all(|stored| stored == 100));
    let received = endpoint.wait(10_000).await;
    rig.hub.advance(Duration::from_secs(1)).await.expect("a test clock");
    assert_eq!(endpoint.count(), 10_000);
    let mut numbers: Vec<i64> = received.iter().filter_map(|r| r.json()["payload"].as_i64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10_000).collect::<Vec<_>>());
    let status = rig.hub.subscriptions().status("sub").await.expect("a status");
    assert_eq!((status.mode, status.lag), ("live", 0), "it keeps up again");
}

#[tokio::test]
async fn twenty_thousand_event_types_find_their_subscriptions() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    rig.subscribe(json!({"name": "sub", "filter": "many.*.last", "url": endpoint.url})).await;
    for page in 0..20 {
        let events = (0..1_000).map(|i| {
            let last = if i == 999 { "last" } else { "other" };
            rig.event(&format!("many.t{page}-{i}.{last}"), "1")
        });
        rig.hub.publish_all(events.collect()).await.expect("accepted");
    }
    assert_eq!(endpoint.wait(20).await.len(), 20);
}

fn sub(no: u32) -> (Subscription, Vec<Revision>) {
    let filter = if no.is_multiple_of(100) { format!("t{no}.*") } else { format!("t{no}.exact") };
    let target = json!({"kind": "handler", "name": "none"});
    let subscription: Subscription = serde_json::from_value(json!({
        "name": format!("s{no}"), "no": no, "revision": 1, "filters": [filter], "target": target, "concurrency": 16,
        "retry": {"kind": "explicit", "waits_ms": [1000]}, "max_attempts": 10, "timeout_ms": 1000,
        "activity": {"state": "active"}, "since_seq": 0, "created_at": 0, "updated_at": 0,
    }))
    .expect("a subscription");
    let revision = Revision {
        no,
        name: subscription.name.clone(),
        revision: 1,
        from_seq: 1,
        filters: subscription.filters.clone(),
        predicate: None,
    };
    (subscription, vec![revision])
}

#[tokio::test]
async fn fifty_thousand_idle_subscriptions_cost_no_writes_and_matching_stays_fast() {
    let rig = Rig::new().await;
    rig.publish("t7.exact", "1").await;
    for _ in 0..10 {
        let events = (0..1_000).map(|_| rig.event("t100.some", "1")).collect();
        rig.hub.publish_all(events).await.expect("accepted");
    }
    let range = nexus_core::store::SeqRange { after: 0, until: None, priority: None };
    let events = rig.store.read(range, nexus_core::store::Limit::items(20_000)).await.expect("readable");
    let now = Now { wall: rig.hub.clock().now(), mono: rig.hub.clock().mono() };
    let mut machine = Machine::new(Policy::default(), 0, 1);
    for no in 1..=50_000 {
        let (subscription, revisions) = sub(no);
        machine.add(Spec::compile(subscription, &revisions).expect("a spec").into(), true, 1, now);
    }
    assert!(machine.unsaved(now).len() <= 1, "nothing but the watermark");
    let clock = rig.hub.clock();
    let begun = clock.mono();
    machine.events(&events[..1], now);
    let sent = machine.take_effects();
    assert!(matches!(sent[..], [Effect::Attempt { sub: 7, .. }]), "{sent:?}");
    machine.events(&events[1..], now);
    machine.tick(now);
    let took = clock.mono().saturating_sub(begun);
    assert!(took < Duration::from_secs(30), "10,000 events among 50,000 subscriptions took {took:?}");
    // Only the watermark, and the positions of the two that have something out.
    let entries = machine.unsaved(now);
    assert!(entries.len() <= 9, "{} entries, such as {:?}", entries.len(), entries.first());
}

#[tokio::test]
async fn an_idle_hub_writes_nothing() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::new([]).await;
    for i in 0..100 {
        rig.subscribe(json!({"name": format!("s{i}"), "filter": format!("t{i}.*"), "url": endpoint.url})).await;
    }
    rig.publish("t5.x", "1").await;
    endpoint.wait(1).await;
    rig.hub.advance(Duration::from_secs(2)).await.expect("a test clock");
    let before = rig.store.stats();
    rig.hub.advance(Duration::from_secs(3_600)).await.expect("a test clock");
    let after = rig.store.stats();
    assert_eq!((after.commits, after.groups), (before.commits, before.groups));
    assert!(rig.store.positions().await.expect("readable").iter().all(|p| p.sub == 0), "no position of its own");
}
