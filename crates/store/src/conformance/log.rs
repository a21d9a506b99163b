//! The log: order, times, repeats, queries.

use std::collections::HashSet;

use nexus_core::{
    chain,
    event::{Attributes, Priority},
    store::{Commit, Limit, SeqRange},
};

use super::rig::{Rig, event};

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
