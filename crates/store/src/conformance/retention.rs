//! Erasing and dropping: the chain still verifies, and only what may go is gone.

use nexus_core::{
    chain::Signer,
    event::{Data, NewEvent},
    store::{Entry, Exception, ExceptionQuery, ExceptionState, Redact, Redacted, Trim, Trimmed, Weight},
    time::Timestamp,
};

use super::rig::{Rig, event, signer};

/// Redaction takes the data of an event or a subject, and of its failed deliveries; the chain holds.
pub(super) async fn redacted_data_is_gone_and_the_chain_holds(rig: Rig) {
    for n in 0..10u64 {
        let subject = (n % 2 == 0).then(|| "person".to_owned());
        rig.append(vec![NewEvent { subject, ..event("a.b", &format!("\"secret {n}\"")) }]).await;
    }
    let fence = rig.store.acquire(0).await.expect("taken");
    let failed = Exception {
        sub: 1,
        seq: 3,
        generation: 0,
        lane: 1,
        state: ExceptionState::Dead,
        attempts: 1,
        next_at: Timestamp::from_secs(0),
        key: None,
        waiting: vec![],
        log: r#"["secret"]"#.into(),
        updated_at: Timestamp::from_secs(0),
    };
    rig.store.save(fence, vec![Entry::Exception(failed)]).await.expect("saved");
    let fourth = rig.all().await[3].id;
    let redacted = |erased: &[u64], cleared: &[u64]| Ok(Redacted { erased: erased.into(), cleared: cleared.into() });
    assert_eq!(rig.store.redact(Redact::Event(fourth)).await, redacted(&[4], &[]));
    assert_eq!(rig.store.redact(Redact::Event(fourth)).await, redacted(&[], &[]));
    let person = || Redact::Subject("person".into());
    assert_eq!(rig.store.redact(person()).await, redacted(&[1, 3, 5, 7, 9], &[3]));
    assert_eq!(rig.store.redact(person()).await, redacted(&[], &[]));
    let listed = rig.all().await[..6].iter().map(|event| event.id).collect();
    assert_eq!(rig.store.redact(Redact::Events(listed)).await, redacted(&[2, 6], &[]));
    for event in rig.all().await {
        let erased = matches!(event.data, Data::Erased { .. });
        assert_eq!(erased, event.seq <= 6 || event.seq % 2 == 1, "seq {}", event.seq);
    }
    let exceptions =
        rig.store.exceptions(ExceptionQuery { limit: 9, ..ExceptionQuery::default() }).await.expect("read");
    assert!(!exceptions[0].log.contains("secret"));
    rig.check_chain().await;
}

/// What was kept of requests and answers goes with the event's data, whoever takes that; a redaction finds what is left
/// of a subject also where retention was there first.
pub(super) async fn kept_exchanges_go_with_the_data(rig: Rig) {
    for n in 0..3u64 {
        rig.append(vec![NewEvent { subject: Some("person".into()), ..event("a.b", &n.to_string()) }]).await;
    }
    let fence = rig.store.acquire(0).await.expect("taken");
    let row = |seq| {
        Exception {
        sub: 1,
        seq,
        generation: 0,
        lane: 1,
        state: ExceptionState::Dead,
        attempts: 1,
        next_at: Timestamp::from_secs(0),
        key: None,
        waiting: vec![],
        log: r#"[{"at":"t1","latency_ms":1.5,"request_head":"POST secret","response_head":"secret"},{"at":"t2","status":400}]"#
            .into(),
        updated_at: Timestamp::from_secs(0),
    }
    };
    let rows = (1..=3).map(|seq| Entry::Exception(row(seq))).collect();
    rig.store.save(fence, rows).await.expect("saved");
    let logs = async || {
        let query = ExceptionQuery { limit: 9, ..ExceptionQuery::default() };
        let rows = rig.store.exceptions(query).await.expect("read");
        rows.into_iter().map(|row| row.log).collect::<Vec<_>>()
    };
    let trim = Trim { erase_before: 3, types: vec![], drop_before: 0, limit: 100, signer: signer() };
    assert_eq!(rig.store.trim(trim).await.expect("trimmed").erased, 2);
    let after = logs().await;
    for log in &after[..2] {
        let kept: serde_json::Value = serde_json::from_str(log).expect("JSON");
        assert_eq!(kept, serde_json::json!([{"at": "t1", "latency_ms": 1.5}, {"at": "t2", "status": 400}]));
    }
    assert!(after[2].contains("secret"), "its event is still there");
    let done = rig.store.redact(Redact::Subject("person".into())).await;
    assert_eq!(done, Ok(Redacted { erased: vec![3], cleared: vec![1, 2, 3] }));
    assert_eq!(logs().await, ["[]", "[]", "[]"]);
}

/// Retention erases by type and drops only a prefix of stubs; the log goes on where it was.
pub(super) async fn trimming_keeps_the_chain_and_the_order(rig: Rig) {
    for n in 0..20u64 {
        rig.append(vec![event(if n == 6 { "keep.this" } else { "drop.this" }, &n.to_string())]).await;
    }
    let mut trim =
        Trim { erase_before: 11, types: vec!["drop.this".into()], drop_before: 16, limit: 4, signer: signer() };
    let mut total = Trimmed::default();
    for _ in 0..20 {
        let step = rig.store.trim(trim.clone()).await.expect("trimmed");
        assert!(step.erased + step.dropped <= 4);
        total.erased += step.erased;
        total.dropped += step.dropped;
        if !step.more {
            break;
        }
    }
    assert_eq!((total.erased, total.dropped), (9, 6), "seq 7 is kept and stops the dropping");
    let head = rig.store.head();
    assert_eq!((head.first, head.seq), (7, 20));
    rig.check_chain().await;
    trim = Trim { erase_before: 21, types: vec![], drop_before: 21, limit: 10_000, signer: signer() };
    while rig.store.trim(trim.clone()).await.expect("trimmed").more {}
    let empty = rig.store.head();
    assert_eq!((empty.first, empty.seq, empty.hash), (21, 20, head.hash));
    assert!(rig.all().await.is_empty());
    let next = rig.append(vec![event("a.b", "1")]).await[0];
    assert_eq!(next.seq, 21);
    let first = rig.all().await.remove(0);
    assert_eq!(nexus_core::chain::link(&head.hash, &first), first.hash);
}

/// What is dropped is dropped with a signed statement; only one about the same place may replace it.
pub(super) async fn a_cut_is_signed_and_can_be_signed_anew(rig: Rig) {
    for n in 0..9u64 {
        rig.append(vec![event("a.b", &n.to_string())]).await;
    }
    assert_eq!(rig.store.cut().await, Ok(None));
    let hashes: Vec<_> = rig.all().await.iter().map(|e| e.hash).collect();
    let trim = |before| Trim { erase_before: before, types: vec![], drop_before: before, limit: 100, signer: signer() };
    for before in [4, 7] {
        rig.store.trim(trim(before)).await.expect("trimmed");
        let cut = rig.store.cut().await.expect("read").expect("cut");
        assert!(cut.verifies() && cut.states(before - 1, &hashes[before as usize - 2]), "{cut:?}");
        assert_eq!((cut.public_key, cut.epoch), (signer().public_key(), 1));
    }
    let newer = Signer::from_seed(&[9; 32]).expect("a seed");
    let wrong = newer.checkpoint(1, 5, &hashes[4], Timestamp::from_secs(1));
    assert!(rig.store.resign_cut(wrong).await.is_err());
    let wrong = newer.checkpoint(1, 6, &hashes[4], Timestamp::from_secs(1));
    assert!(rig.store.resign_cut(wrong).await.is_err());
    let right = newer.checkpoint(1, 6, &hashes[5], Timestamp::from_secs(1));
    assert_eq!(rig.store.resign_cut(right.clone()).await, Ok(()));
    assert_eq!(rig.store.cut().await, Ok(Some(right)));
}

/// A budget in bytes is counted over exactly what is still there.
pub(super) async fn weights_are_those_of_the_data_that_is_there(rig: Rig) {
    for n in 0..30usize {
        let topic = if n % 3 == 0 { "a.b" } else { "c.d" };
        rig.append(vec![event(topic, &format!("\"{}\"", "x".repeat(n * 400)))]).await;
    }
    let erase = |types: Vec<String>| Trim { erase_before: 10, types, drop_before: 1, limit: 100, signer: signer() };
    rig.store.trim(erase(vec!["a.b".into()])).await.expect("trimmed");
    let twentieth = rig.all().await[19].id;
    rig.store.redact(Redact::Event(twentieth)).await.expect("redacted");
    let weights = rig.store.weights(2, 29).await.expect("weighed");
    let expected: Vec<_> = rig
        .all()
        .await
        .iter()
        .filter(|e| (2..=29).contains(&e.seq) && matches!(e.data, Data::Present { .. }))
        .map(|e| Weight { seq: e.seq, topic: e.topic.clone(), bytes: e.json().len() as u64 })
        .collect();
    assert_eq!(weights, expected);
    assert_eq!(weights.len(), 25);
    assert_eq!(rig.store.weights(31, u64::MAX).await, Ok(vec![]));
}
