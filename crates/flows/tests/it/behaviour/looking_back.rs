//! What a flow would have done.

use std::time::Duration;

use nexus_core::access::Principal;
use nexus_flows::host::{At, LookBack, Rehearse};
use serde_json::{Value, json};

use super::{rig::Rig, triggers::flow};

const LEFT: &str = "{ name: left, detect: absence, first: { type: cart.filled }, second: { type: order.placed }, after: PT1H, key: .data.user },
      { name: keen, detect: count, first: { type: cart.filled }, count: 2, window: P1D, key: .data.user }";

#[test]
fn looking_back_finds_what_was_told_live_with_the_same_ids() {
    let rig = Rig::new();
    let text = flow("left", "1.0.0", LEFT);
    rig.publish(&text);
    for user in ["ada", "bob", "ada"] {
        rig.event("cart.filled", json!({"user": user}));
        rig.advance(Duration::from_secs(1_200));
    }
    rig.event("order.placed", json!({"user": "bob"}));
    rig.advance(Duration::from_secs(7_200));
    let live: Vec<String> =
        rig.of_type("dev.nexus.pattern.matched.v1").iter().map(|event| event.id.to_string()).collect();
    assert_eq!(live.len(), 2);
    rig.ended("t/left", 2);
    let before = rig.log().len();
    let admin = Principal::admin("test");
    let found = rig.run(rig.flows.backtest_text(&text, LookBack::default(), &admin)).expect("looked back");
    assert_eq!(found.found.iter().map(|found| found.id.clone()).collect::<Vec<_>>(), live);
    let told: Vec<(Option<&str>, Option<&str>)> =
        found.found.iter().map(|found| (found.detector.as_deref(), found.key.as_deref())).collect();
    assert_eq!(told, [(Some("keen"), Some("ada")), (Some("left"), Some("ada"))]);
    assert_eq!((found.looked_at, found.next.is_none()), (4, true));
    // Bob filled his cart after this and ordered in time; ada's second is the only one that is left.
    let cut = LookBack { from: Some(At::Seq(found.found[0].seq.expect("a seq"))), ..LookBack::default() };
    let found = rig.run(rig.flows.backtest_flow("t/left", cut, &admin)).expect("looked back");
    let told: Vec<(Option<&str>, Option<u64>)> =
        found.found.iter().map(|found| (found.detector.as_deref(), found.seq)).collect();
    assert_eq!(told, [(Some("left"), None)]);
    assert_eq!(rig.log().len(), before, "looking back leaves nothing behind");
    assert_eq!(rig.runs("t/left").len(), 2);
}

#[test]
fn looking_back_over_much_goes_on_where_it_ended() {
    let rig = Rig::new();
    let every_third = "{ name: third, detect: count, first: { type: tick }, count: 3, window: P1D }";
    for _ in 0..3_700 {
        rig.send("tick", json!({}));
    }
    let (text, admin) = (flow("ticks", "1.0.0", every_third), Principal::admin("test"));
    let mut found = Vec::new();
    let mut back = LookBack::default();
    let mut answers = 0;
    loop {
        let answer = rig.run(rig.flows.backtest_text(&text, back.clone(), &admin)).expect("looked back");
        found.extend(answer.found);
        answers += 1;
        match answer.next {
            Some(next) => back.next = Some(next),
            None => break,
        }
    }
    assert_eq!((found.len(), answers), (1_233, 2));
    let other = text.replace("name: ticks", "name: other");
    let problem = rig.run(rig.flows.backtest_text(&other, back, &admin)).expect_err("another flow");
    assert!(problem.message.contains("it was for t/ticks@1.0.0"), "{}", problem.message);
}

#[test]
fn looking_back_shows_nobody_what_they_may_not_read() {
    let rig = Rig::new();
    let text = flow("left", "1.0.0", LEFT);
    let by = |scopes: &[&str]| Principal::new("t", scopes.iter().map(|scope| scope.parse().expect("a scope")));
    let ask = |by: &Principal| rig.run(rig.flows.backtest_text(&text, LookBack::default(), by));
    let problem = ask(&by(&["flows:read", "events:read:cart.*"])).expect_err("not allowed");
    assert!(problem.message.contains("lacks the scope events:read:order.placed"), "{}", problem.message);
    ask(&by(&["events:read:cart.*", "events:read:order.placed"])).expect("allowed");
    let none = "document: { dsl: '1.0.3', namespace: t, name: n, version: '1.0.0' }\ndo:\n  - a: { set: { a: 1 } }\n";
    let problem = rig.run(rig.flows.backtest_text(none, LookBack::default(), &by(&["admin"]))).expect_err("nothing");
    assert!(problem.message.contains("neither schedule.on nor nexus.dev/detect"), "{}", problem.message);
}

const ORDER: &str = "
document: { dsl: '1.0.3', namespace: t, name: order, version: '1.0.0' }
schedule: { on: { one: { with: { type: order.created } } } }
do:
  - size:
      switch:
        - large: { when: '.[0].data.amount > LIMIT', then: big }
        - other: { then: small }
  - big: { set: { kind: big }, then: told }
  - small: { set: { kind: small } }
  - told: { emit: { event: { with: { source: 'https://t.example', type: order.sized, data: { kind: '${ .kind }' } } } } }
  - paid: { listen: { to: { one: { with: { type: order.paid } } } }, output: { as: '.[0].amount' } }
output: { as: '{ paid: . }' }
";

#[test]
fn past_runs_show_what_a_new_version_would_have_done() {
    let rig = Rig::new();
    let first = ORDER.replace("LIMIT", "100");
    rig.publish(&first);
    for amount in [50, 150, 500] {
        rig.event("order.created", json!({"amount": amount}));
        rig.event("order.paid", json!({"amount": amount}));
        rig.settle();
    }
    rig.ended("t/order", 3);
    let before = rig.log().len();
    let admin = Principal::admin("test");
    let ask = |text: &str, runs| rig.run(rig.flows.rehearse(&Rehearse::Document(text.to_owned()), runs, &admin));
    let same = ask(&first, 10).expect("played");
    assert_eq!((same.same, same.different), (3, 0), "{same:#?}");
    assert!(same.runs.iter().all(|run| run.unsure.is_none() && run.would == "completed"), "{same:#?}");
    let second = ORDER.replace("LIMIT", "200").replace("version: '1.0.0'", "version: '2.0.0'");
    let other = ask(&second, 10).expect("played");
    assert_eq!((other.flow.as_str(), other.same, other.different), ("t/order@2.0.0", 2, 1));
    let changed = other.runs.iter().find(|run| !run.differences.is_empty()).expect("the one of 150");
    let event = changed.differences.iter().find(|difference| difference.of == "event").expect("an event differs");
    assert_eq!(
        (event.path.as_str(), &event.before, &event.after),
        ("/data/kind", &Some(json!("big")), &Some(json!("small")))
    );
    let newest = ask(&second, 1).expect("played");
    assert_eq!(newest.runs.len(), 1);
    assert_eq!(rig.log().len(), before, "nothing is left behind");
    assert_eq!(rig.runs("t/order").len(), 3);
    let none = rig.run(rig.flows.rehearse(&Rehearse::Flow("t/none".into()), 1, &admin)).expect_err("no such flow");
    assert!(none.message.contains("there is no flow"), "{}", none.message);
    let bad = ask(&second, 101).expect_err("too many");
    assert!(bad.message.contains("1 to 100"), "{}", bad.message);
}

#[test]
fn a_call_whose_answer_is_not_kept_is_said_and_not_made() {
    let rig = Rig::new();
    let text = |version: &str, task: &str| {
        format!("document: {{ dsl: '1.0.3', namespace: t, name: said, version: '{version}' }}\ndo:\n  - said: {task}\n")
    };
    let publish = "{ call: 'publish:1.0.0@default', with: { type: said, data: { n: 7 } }";
    rig.publish(&text("1.0.0", &format!("{publish} }}")));
    let run = rig.run(rig.flows.start(asked("t/said"))).expect("begun");
    rig.ended("t/said", 1);
    let log = rig.log().len();
    let admin = Principal::admin("test");
    let ask = |text: String| rig.run(rig.flows.rehearse(&Rehearse::Document(text), 10, &admin)).expect("played");
    let again = ask(text("1.0.0", &format!("{publish} }}")));
    assert_eq!((again.same, again.runs[0].run.as_str()), (1, run.run()), "{again:#?}");
    let more = ask(text("2.0.0", &format!("{publish} }}\n  - more: {publish} }}")));
    assert_eq!(more.runs[0].would, "stopped");
    let stopped = more.runs[0]
        .differences
        .iter()
        .any(|d| d.after.as_ref().is_some_and(|v: &Value| v.to_string().contains("would call")));
    assert!(stopped, "{more:#?}");
    assert_eq!(rig.log().len(), log);
}

fn asked(flow: &str) -> nexus_flows::host::Asked {
    nexus_flows::host::Asked {
        flow: flow.to_owned(),
        input: Value::Null,
        trigger: nexus_flows::host::Trigger::Manual { by: "test".into() },
        idempotency_key: None,
        lineage: nexus_flows::host::Lineage::default(),
    }
}
