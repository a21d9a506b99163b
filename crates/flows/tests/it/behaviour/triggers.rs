//! What detectors find begins runs.

use std::time::Duration;

use nexus_core::time::Timestamp;
use serde_json::{Value, json};

use super::rig::Rig;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A flow with one detector, which notes what it is begun by.
pub(super) fn flow(name: &str, version: &str, detect: &str) -> String {
    format!(
        "
document:
  dsl: '1.0.3'
  namespace: t
  name: {name}
  version: '{version}'
  metadata:
    nexus.dev/detect: [ {detect} ]
do:
  - note: {{ set: {{ detector: '${{ .[0].data.detector }}', key: '${{ .[0].data.key }}', data: '${{ .[0].data }}', source: '${{ .[0].source }}' }} }}
"
    )
}

fn keys(rig: &Rig, flow: &str, count: usize) -> Vec<Value> {
    rig.ended(flow, count).into_iter().map(|run| run.output.expect("an output")["key"].clone()).collect()
}

const LIKES: &str =
    "{ name: likes, detect: count, first: { type: post.liked }, count: 100, window: P365D, key: .data.post }";

/// S-095
#[test]
fn the_hundredth_like_begins_a_run_once_and_not_the_next_one() {
    let rig = Rig::new();
    rig.publish(&flow("likes", "1.0.0", LIKES));
    for _ in 0..99 {
        rig.send("post.liked", json!({"post": "p-1"}));
    }
    rig.event("post.liked", json!({"post": "p-2"}));
    assert_eq!(rig.runs("t/likes").len(), 0);
    let hundredth = rig.event("post.liked", json!({"post": "p-1"}));
    let [run] = rig.ended("t/likes", 1).try_into().expect("one run");
    let output = run.output.expect("an output");
    assert_eq!((&output["key"], &output["data"]["count"]), (&json!("p-1"), &json!(100)));
    assert_eq!(output["data"]["event"]["id"], json!(hundredth.id));
    assert_eq!(output["source"], "/flows/t/likes");
    rig.event("post.liked", json!({"post": "p-1"}));
    rig.deliver_again(hundredth.seq, "t/likes");
    assert_eq!(rig.ended("t/likes", 1).len(), 1);
    let matches = rig.of_type("dev.nexus.pattern.matched.v1");
    let [found] = matches.as_slice() else { panic!("{matches:?}") };
    let liked = rig.log().into_iter().find(|event| event.id == hundredth.id).expect("in the log");
    assert_eq!((found.causation, found.depth), (Some(liked.id), liked.depth));
    assert_eq!(found.correlation_id(), liked.correlation_id());
    assert_eq!(run.causation, Some(found.id));
    rig.begin_again(found, "t/likes");
    rig.ended("t/likes", 1);
}

#[test]
fn likes_before_and_after_a_crash_are_counted_together() {
    let mut rig = Rig::new();
    rig.publish(&flow("likes", "1.0.0", &LIKES.replace("100", "10")));
    let mut sent = Vec::new();
    for n in 0..25 {
        // Every third is on disk and was looked at by nobody when everything stops.
        sent.push(rig.send("post.liked", json!({"post": "p-1"})).seq);
        if n % 3 == 0 {
            rig = rig.crash(Duration::from_secs(1));
        }
    }
    rig.settle();
    assert_eq!(keys(&rig, "t/likes", 2), [json!("p-1"), json!("p-1")]);
    for seq in sent {
        rig.deliver_again(seq, "t/likes");
    }
    rig.ended("t/likes", 2);
    assert_eq!(rig.of_type("dev.nexus.pattern.matched.v1").len(), 2);
}

/// S-098
#[test]
fn three_likes_within_seven_days_begin_a_run() {
    let rig = Rig::new();
    let detect = "{ name: fans, detect: count, first: { type: post.liked }, count: 3, window: P7D, key: .data.user }";
    rig.publish(&flow("fans", "1.0.0", detect));
    for user in ["ada", "bob", "ada"] {
        rig.event("post.liked", json!({"user": user}));
    }
    rig.advance(DAY * 3);
    rig.event("post.liked", json!({"user": "bob"}));
    rig.advance(DAY * 5);
    // The first of ada's and bob's are older than seven days by now.
    rig.event("post.liked", json!({"user": "ada"}));
    rig.event("post.liked", json!({"user": "bob"}));
    rig.ended("t/fans", 0);
    let rig = rig.crash(HOUR);
    rig.event("post.liked", json!({"user": "bob"}));
    assert_eq!(keys(&rig, "t/fans", 1), [json!("bob")]);
}

/// S-099
#[test]
fn a_member_whose_level_changes_begins_a_run_at_each_crossing() {
    let rig = Rig::new();
    let detect = "{ name: up, detect: threshold, first: { type: member.scored }, number: .data.score, limit: 50, key: .data.member },
      { name: down, detect: threshold, first: { type: member.scored }, number: .data.score, limit: 49, falling: true, key: .data.member, emit: member.fell.v1 }";
    rig.publish(&flow("level", "1.0.0", detect));
    let mut scores = [60, 70, 40, 30, 55].into_iter();
    let mut next = |rig: &Rig| {
        let score = scores.next().expect("a score");
        rig.event("member.scored", json!({"member": "ada", "score": score}))
    };
    next(&rig);
    let again = next(&rig);
    rig.deliver_again(again.seq, "t/level");
    let rig = rig.crash(HOUR);
    next(&rig);
    next(&rig);
    next(&rig);
    let runs = rig.ended("t/level", 3);
    let told: Vec<(Value, Value)> = runs
        .into_iter()
        .map(|run| run.output.expect("an output"))
        .map(|output| (output["detector"].clone(), output["data"]["number"].clone()))
        .collect();
    assert_eq!(told, [(json!("up"), json!(60.0)), (json!("down"), json!(40.0)), (json!("up"), json!(55.0))]);
    assert_eq!(rig.of_type("member.fell.v1").len(), 1);
}

const FUNNEL: &str = "{ name: stuck, detect: absence, first: { type: funnel.step2 }, second: { type: funnel.step3 }, after: PT48H, key: .data.customer }";

/// S-100
#[test]
fn step_two_without_step_three_in_48_hours_begins_a_run() {
    let rig = Rig::new();
    rig.publish(&flow("funnel", "1.0.0", FUNNEL));
    let second = rig.event("funnel.step2", json!({"customer": "ada"}));
    rig.event("funnel.step2", json!({"customer": "bob"}));
    rig.advance(HOUR * 47);
    rig.event("funnel.step3", json!({"customer": "bob"}));
    // Repeating step 2 puts nothing off.
    rig.event("funnel.step2", json!({"customer": "ada"}));
    rig.ended("t/funnel", 0);
    rig.advance(HOUR);
    let [run] = rig.ended("t/funnel", 1).try_into().expect("one run");
    assert_eq!(run.output.as_ref().expect("an output")["key"], "ada");
    // What it belongs to is what began the wait.
    let found = rig.of_type("dev.nexus.pattern.matched.v1");
    assert_eq!((found.len(), found[0].causation), (1, Some(second.id)));
    rig.deliver_again(second.seq, "t/funnel");
    rig.advance(HOUR * 100);
    rig.ended("t/funnel", 1);
}

#[test]
fn an_absence_that_ended_while_nothing_ran_is_told_once_and_not_where_its_event_had_come() {
    let rig = Rig::new();
    rig.publish(&flow("funnel", "1.0.0", FUNNEL));
    rig.event("funnel.step2", json!({"customer": "ada"}));
    rig.event("funnel.step2", json!({"customer": "bob"}));
    rig.advance(HOUR * 20);
    // On disk, in time, and looked at by nobody when everything stops.
    rig.send("funnel.step3", json!({"customer": "bob"}));
    let rig = rig.crash(HOUR * 60);
    rig.advance(HOUR);
    assert_eq!(keys(&rig, "t/funnel", 1), [json!("ada")]);
    let rig = rig.crash(HOUR);
    rig.advance(HOUR * 100);
    rig.ended("t/funnel", 1);
    let found = rig.of_type("dev.nexus.pattern.matched.v1");
    let data: Value = serde_json::from_slice(found[0].json()).expect("JSON");
    let at = Timestamp::parse(data["at"].as_str().expect("a text")).expect("a time");
    let since = Timestamp::parse(data["since"].as_str().expect("a text")).expect("a time");
    assert_eq!(at.since(since), HOUR * 48);
}

/// S-101
#[test]
fn two_tickets_in_seven_days_begin_a_run() {
    let rig = Rig::new();
    let detect =
        "{ name: tickets, detect: count, first: { type: ticket.opened }, count: 2, window: P7D, key: .data.customer }";
    rig.publish(&flow("tickets", "1.0.0", detect));
    rig.event("ticket.opened", json!({"customer": "eve"}));
    let first = rig.event("ticket.opened", json!({"customer": "ada"}));
    rig.deliver_again(first.seq, "t/tickets");
    rig.ended("t/tickets", 0);
    let rig = rig.crash(DAY * 6);
    rig.event("ticket.opened", json!({"customer": "ada"}));
    assert_eq!(keys(&rig, "t/tickets", 1), [json!("ada")]);
    rig.advance(DAY * 2);
    rig.event("ticket.opened", json!({"customer": "eve"}));
    rig.ended("t/tickets", 1);
}

#[test]
fn a_sequence_is_seen_in_the_order_of_the_log() {
    let rig = Rig::new();
    let detect = "{ name: direct, detect: sequence, first: { type: cart.filled }, second: { type: order.placed }, breaking: { type: help.asked }, within: PT1H, key: .data.user }";
    rig.publish(&flow("direct", "1.0.0", detect));
    // All at once: nobody has looked at the first when the last is there.
    for (kind, user) in [
        ("cart.filled", "ada"),
        ("cart.filled", "bob"),
        ("help.asked", "bob"),
        ("order.placed", "ada"),
        ("order.placed", "bob"),
        ("order.placed", "ada"),
    ] {
        rig.send(kind, json!({"user": user}));
    }
    let rig = rig.crash(Duration::from_secs(5));
    rig.settle();
    assert_eq!(keys(&rig, "t/direct", 1), [json!("ada")]);
}

#[test]
fn a_flow_that_brings_about_its_own_pattern_is_stopped() {
    let rig = Rig::new();
    let text = flow("circle", "1.0.0", "{ name: c, detect: count, first: { type: ping }, count: 1, window: PT1H }")
        + "  - again: { emit: { event: { with: { source: 'https://t.example', type: ping, data: { n: 1 } } } } }\n";
    rig.publish(&text);
    rig.event("ping", json!({"n": 0}));
    let since = std::time::Instant::now();
    while rig.of_type("flow.circle_stopped").is_empty() {
        assert!(since.elapsed() < Duration::from_secs(60), "it goes on and on");
        rig.settle();
    }
    rig.settle();
    assert_eq!(rig.of_type("flow.circle_stopped").len(), 1);
    assert!(rig.runs("t/circle").len() <= 17);
}
