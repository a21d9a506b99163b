//! The hub inside a program, without any door.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use nexus_core::{access::Principal, topic::TopicFilter};
use nexus_engine::{HubBuilder, embed::Message};
use serde_json::json;
use tokio::sync::mpsc;

use crate::rig::Rig;

fn heard(builder: HubBuilder, filter: &str, to: mpsc::Sender<Message>, failures: &Arc<AtomicU32>) -> HubBuilder {
    let failures = Arc::clone(failures);
    builder.on_event(TopicFilter::parse(filter).expect("a filter"), move |message| {
        let (to, failures) = (to.clone(), Arc::clone(&failures));
        async move {
            let left = failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            if left.is_ok() {
                return Err("not yet".into());
            }
            to.send(message).await.map_err(|e| e.to_string())
        }
    })
}

/// N-038, N-011, N-012
#[tokio::test]
async fn what_is_dispatched_reaches_the_handlers_of_the_same_process_also_after_a_restart() {
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let (to, mut got) = mpsc::channel(8);
    let failures = Arc::new(AtomicU32::new(1));
    let rig = Rig::built(Arc::clone(&folder), |b| heard(b, "PAYMENT_RECEIVED", to.clone(), &failures)).await;
    let event = rig.hub.dispatch("PAYMENT_RECEIVED", &json!({"amount": 5})).await.expect("stored");
    rig.hub.advance(Duration::from_secs(2)).await.expect("a test clock");
    let message = got.recv().await.expect("after one failure");
    assert_eq!((message.event.as_str(), message.id), ("PAYMENT_RECEIVED", event.id));
    assert_eq!(message.payload, json!({"amount": 5}));
    assert!(message.timestamp > 0);
    assert_eq!(rig.fate(event, "delivered").await.deliveries[0].attempt, Some(2));
    rig.hub.subscriptions().pause("on-payment_received", None, &Principal::admin("test")).await.expect("paused");
    let waits = rig.hub.dispatch("payment.received", &json!({"amount": 6})).await.expect("stored");
    rig.hub.shutdown(Duration::from_secs(5)).await;
    drop(rig);

    let rig = Rig::built(folder, |b| heard(b, "PAYMENT_RECEIVED", to, &failures)).await;
    assert_eq!(rig.hub.subscriptions().list().len(), 1, "the same subscription goes on");
    rig.hub.subscriptions().resume("on-payment_received", &Principal::admin("test")).await.expect("resumed");
    let message = got.recv().await.expect("what waited");
    assert_eq!((message.id, message.payload), (waits.id, json!({"amount": 6})));
    assert!(rig.hub.dispatch("not a name", &json!({})).await.is_err());
}
