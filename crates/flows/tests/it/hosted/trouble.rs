//! What goes on in spite of something: runs that can't be read, flows that are half gone, loops through the outside.

use nexus_core::{
    access::Principal,
    problem::Code,
    record::{Record, Value as Cell},
    store::{Commit, Key, Store, Write},
};
use nexus_flows::host::{Begun, Run, Trigger, record::Flow};
use serde_json::{Value, json};

use super::life::{Life, Place, asked, event};

fn head(name: &str) -> String {
    format!("document: {{ dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0' }}\n")
}

/// Writes a run as another version of the hub might have.
fn rewrite(life: &Life, run: &str, change: impl Fn(&str) -> String) {
    let document = life.run(life.plug.get(Run::COLLECTION, run)).expect("readable").expect("there");
    let kept: Run = serde_json::from_str(&document.body).expect("a run");
    let columns: Vec<Cell> = kept.columns();
    let write = Write::Put { key: Key::of::<Run>(run), columns, body: change(&document.body) };
    life.run(life.plug.commit(Commit { documents: vec![write], ..Commit::default() })).expect("written");
}

#[test]
fn a_run_that_cannot_be_read_is_set_aside_and_the_others_go_on() {
    let life = Life::new();
    life.publish(&format!(
        "{}do:\n  - pause: {{ wait: PT10S }}\n  - out: {{ set: {{ done: true }} }}\n",
        head("sleep")
    ));
    life.publish(&format!(
        "{}do:\n  - sub: {{ run: {{ workflow: {{ namespace: t, name: sleep, version: '1.0.0' }} }} }}\n",
        head("top")
    ));
    let runs: Vec<String> = (0..3).map(|_| life.start("t/top", Value::Null)).collect();
    for run in &runs {
        life.until(run, "waiting");
    }
    life.wait_for("their sleep", || {
        let asleep = life.runs("t/sleep").iter().filter(|run| run.status == "waiting").count();
        if asleep == 3 { Ok(()) } else { Err(format!("{asleep}")) }
    });
    rewrite(&life, &runs[0], |body| body.replacen("\"format\":1", "\"format\":9", 1));
    rewrite(&life, &runs[1], |_| "nothing of sense".to_owned());
    let life = life.again();
    life.advance(11);
    assert_eq!(life.until(&runs[2], "completed").output, Some(json!({"done": true})));
    let (newer, broken) = (life.view(&runs[0]), life.view(&runs[1]));
    assert_eq!((newer.status, broken.status, newer.flow.as_str()), ("unreadable", "unreadable", "t/top"));
    let why = newer.error.and_then(|error| error.detail).unwrap_or_default();
    assert!(why.contains("format 9") && why.contains("nexus log redact"), "{why}");
    assert_eq!(life.runs("t/top").len(), 3, "a list shows them with the others");
    assert_eq!(life.flows.unreadable_runs().keys().count(), 2);
    assert_eq!(life.data("flow.run_unreadable").len(), 2);
    let refused = life.run(life.flows.cancel(&runs[1], &Principal::admin("test"))).unwrap_err();
    assert!(refused.message.contains("set aside"), "{}", refused.message);
    let request = json!({"subject": runs[1], "reason": "it can't be read"});
    let request = serde_json::from_value(request).expect("a request");
    life.run(life.hub.log().redact(request, &Principal::admin("test"))).expect("erased");
    assert!(life.run(life.flows.run(&runs[1])).is_err(), "it is gone");
    assert_eq!(life.flows.unreadable_runs().keys().count(), 1);
}

#[test]
fn a_start_takes_away_the_subscriptions_of_a_flow_that_is_gone() {
    let life = Life::new();
    for name in ["left", "stays"] {
        life.publish(&format!(
            "{}schedule: {{ on: {{ one: {{ with: {{ type: ping }} }} }} }}\ndo:\n  - a: {{ set: {{ ok: true }} }}\n",
            head(name)
        ));
    }
    let names = |life: &Life| {
        let list = life.hub.subscriptions().list();
        list.into_iter().map(|subscription| subscription.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&life), ["flow.t.left", "flow.t.stays"]);
    // As far as a removal comes that is cut off after its first commit.
    let gone = vec![Write::Delete(Key::of::<Flow>("t/left"))];
    life.run(life.plug.commit(Commit { documents: gone, ..Commit::default() })).expect("written");
    let life = life.again();
    assert_eq!(names(&life), ["flow.t.stays"]);
    life.event("ping", Value::Null);
    life.wait_for("the other", || if life.runs("t/stays").len() == 1 { Ok(()) } else { Err(String::new()) });
}

const BUDGET: &str = "
document: { dsl: '1.0.3', namespace: t, name: loop, version: '1.0.0', metadata: { nexus.dev/budget: { runs: 3 } } }
schedule: { on: { one: { with: { type: turn } } } }
do:
  - a: { set: { ok: true } }
";

fn turn(life: &Life, subject: &str) {
    let mut event = event(&life.hub, "turn", Value::Null, None);
    event.subject = Some(subject.to_owned());
    life.run(life.hub.publish(event)).expect("accepted");
}

/// How many runs there are, and how many events begin none.
fn settled(life: &Life, all: usize) -> (usize, usize) {
    life.wait_for("an end of each", || {
        let (runs, dead) = (life.runs("t/loop").len(), life.data("delivery.dead").len());
        if runs + dead == all { Ok((runs, dead)) } else { Err(format!("{runs} runs, {dead} dead")) }
    })
}

#[test]
fn a_loop_through_the_outside_ends_at_the_budget_of_its_key_also_after_a_restart() {
    let place = Place::new();
    // At the beginning of a minute, so that the restart falls into the same.
    let into = place_second(&place);
    let life = Life::begin(&place, None);
    life.publish(BUDGET);
    life.advance(60 - into);
    for _ in 0..2 {
        turn(&life, "order-1");
    }
    assert_eq!(settled(&life, 2), (2, 0));
    let life = life.again();
    for _ in 0..3 {
        turn(&life, "order-1");
    }
    turn(&life, "order-2");
    assert_eq!(settled(&life, 6), (4, 2), "three of order-1, one of order-2");
    let told = life.data("flow.budget_spent");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["flow"], &told[0]["key"], &told[0]["runs"]), (&json!("t/loop"), &json!("order-1"), &json!(3)));
    let dead = life.data("delivery.dead");
    assert!(dead.iter().all(|dead| dead.to_string().contains("budget")), "{dead:?}");
    life.advance(60);
    turn(&life, "order-1");
    assert_eq!(settled(&life, 7), (5, 2), "the next minute has its own");
}

fn place_second(place: &Place) -> u64 {
    use nexus_core::time::Clock;
    u64::try_from(place.clock.now().secs().rem_euclid(60)).unwrap_or(0)
}

#[test]
fn what_a_flow_emits_is_held_against_its_publishers_scopes_topic_by_topic() {
    let life = Life::new();
    let by = |scope: &str| Principal::new("token:ci", ["flows:publish", scope].map(|s| s.parse().expect("a scope")));
    let emit = |name: &str, kind: &str| {
        format!(
            "{}do:\n  - say: {{ try: [ {{ it: {{ emit: {{ event: {{ with: {{ source: 'https://a.example', type: '{kind}', data: {{}} }} }} }} }} }} ], catch: {{ as: e, errors: {{ with: {{ type: 'https://serverlessworkflow.io/spec/1.0.0/errors/none' }} }} }} }}\n",
            head(name)
        )
    };
    let orders = by("events:publish:order.*");
    life.try_publish(&emit("fits", "order.paid"), &orders).expect("it may");
    let refused = life.try_publish(&emit("other", "user.made"), &orders).unwrap_err();
    assert!(
        refused.message.contains("events:publish:user.made") && refused.message.contains("/do/0/say/try/0/it"),
        "{}",
        refused.message
    );
    life.try_publish(&emit("later", "${ .type }"), &orders).expect("known when it runs");
    life.try_publish(&emit("never", "${ .type }"), &by("events:read")).expect_err("it may publish nothing");
    let fits = life.start("t/fits", Value::Null);
    life.until(&fits, "completed");
    let fits = life.start("t/later", json!({"type": "order.sent"}));
    life.until(&fits, "completed");
    let other = life.start("t/later", json!({"type": "user.made"}));
    let error = life.until(&other, "faulted").error.expect("an error");
    assert!(error.kind.ends_with("authorization"), "{error:?}");
    assert!(error.detail.as_deref().is_some_and(|d| d.contains("events:publish:user.made")), "{error:?}");
    assert_eq!((life.data("order.paid").len(), life.data("order.sent").len(), life.data("user.made").len()), (1, 1, 0));
    let called =
        format!("{}do:\n  - a: {{ call: 'publish:1.0.0@default', with: {{ type: user.made }} }}\n", head("called"));
    assert!(life.try_publish(&called, &orders).unwrap_err().message.contains("events:publish:user.made"));
    let detects = "document: { dsl: '1.0.3', namespace: t, name: d, version: '1.0.0', metadata: { nexus.dev/detect: [ { name: n, detect: count, first: { type: a }, count: 2, window: PT1M, emit: user.made } ] } }\ndo:\n  - a: { set: { ok: true } }\n";
    assert!(life.try_publish(detects, &orders).unwrap_err().message.contains("events:publish:user.made"));
}

#[test]
fn requests_to_a_flows_own_address_are_counted_by_its_budget_and_a_repeat_is_not() {
    let place = Place::new();
    // At the beginning of a minute, so that the restart falls into the same.
    let into = place_second(&place);
    let life = Life::begin(&place, None);
    life.advance(60 - into);
    life.publish(
        "document: { dsl: '1.0.3', namespace: t, name: door, version: '1.0.0', metadata: { nexus.dev/webhook: {}, nexus.dev/budget: { runs: 2, key: .k } } }\ndo:\n  - a: { set: { b: 1 } }\n",
    );
    let request = |life: &Life, k: &str, key: Option<&str>| {
        let mut asked = asked("t/door", json!({"k": k}), key.map(str::to_owned));
        asked.trigger = Trigger::Webhook { by: "test".into() };
        life.run(life.flows.start(asked))
    };
    let first = request(&life, "a", Some("one")).expect("begun").run().to_owned();
    let repeated = request(&life, "a", Some("one")).expect("answered");
    assert_eq!(repeated, Begun::Already(first.clone()), "and counted once");
    let life = life.again();
    request(&life, "a", Some("two")).expect("the second of the minute");
    let refused = request(&life, "a", Some("three")).expect_err("beyond the budget");
    assert_eq!(refused.code, Code::RateLimited);
    assert!(refused.retry_after.is_some_and(|after| (1..=60).contains(&after.as_secs())), "{refused:?}");
    assert!(refused.message.contains("nexus.dev/budget"), "{}", refused.message);
    assert_eq!(request(&life, "a", Some("one")).expect("it is there"), Begun::Already(first));
    request(&life, "b", None).expect("another key has its own");
    life.start("t/door", json!({"k": "a"}));
    assert_eq!(life.data("flow.budget_spent").len(), 1);
    life.advance(61);
    request(&life, "a", Some("three")).expect("the next minute");
}
