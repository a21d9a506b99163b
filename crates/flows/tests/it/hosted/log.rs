//! Runs and the log: what begins them, which version they keep, which events they are told.

use std::time::{Duration, Instant};

use nexus_core::store::Store;
use nexus_flows::host::Trigger;
use serde_json::{Value, json};

use super::{life::Life, stand_in::StandIn};

const WAITER: &str = r"
document: { dsl: '1.0.3', namespace: t, name: waiter, version: '1.0.0' }
do:
  - hear:
      listen:
        to:
          one:
            with: { type: answer }
            correlate: { key: { from: .data.key, expect: '${ .key }' } }
  - out: { set: { heard: '${ .[0].key }' } }
";

/// Begins so many runs, each of which waits for its own key, and gives their ids.
pub(super) fn waiting(life: &Life, count: usize) -> Vec<String> {
    life.publish(WAITER);
    let flows = &life.flows;
    let runs = life.run(async {
        let mut runs = Vec::with_capacity(count);
        for n in 0..count {
            let begun = flows.start(super::life::asked("t/waiter", json!({"key": n}), None)).await.expect("begun");
            runs.push(begun.run().to_owned());
        }
        runs
    });
    life.advance(0);
    runs
}

/// Says every answer at once, and gives how long it took until all were heard.
pub(super) fn answer(life: &Life, keys: std::ops::Range<usize>, runs: &[String]) -> Duration {
    let began = Instant::now();
    life.run(async {
        for n in keys.clone() {
            let event = super::life::event(&life.hub, "answer", json!({"key": n}), None);
            life.hub.publish(event).await.expect("accepted");
        }
    });
    for n in keys {
        let view = life.until(&runs[n], "completed");
        assert_eq!(view.output, Some(json!({"heard": n})));
    }
    began.elapsed()
}

#[test]
fn each_of_two_thousand_waiting_runs_is_told_only_its_own_event_also_after_a_restart() {
    let life = Life::new();
    let runs = waiting(&life, 2_000);
    answer(&life, 0..40, &runs);
    let life = life.again();
    answer(&life, 40..80, &runs);
    let answered = life.runs("t/waiter").iter().filter(|run| run.status == "completed").count();
    assert_eq!(answered, 80, "nobody heard what was for another");
    // Told one event each: the run document was written when it began and when it heard.
    let document =
        life.run(life.plug.get(<nexus_flows::host::Run as nexus_core::record::Record>::COLLECTION, &runs[100]));
    assert_eq!(document.expect("readable").expect("there").version, 1);
}

/// S-021
#[test]
fn a_flow_published_anew_keeps_its_old_runs_on_the_old_version() {
    let life = Life::new();
    let text = |version: &str, says: &str| {
        format!(
            "document: {{ dsl: '1.0.3', namespace: t, name: versions, version: '{version}' }}\ndo:\n  - pause: {{ wait: PT1H }}\n  - out: {{ set: {{ says: {says} }} }}\n"
        )
    };
    life.publish(&text("1.0.0", "old"));
    let old = life.start("t/versions", Value::Null);
    life.publish(&text("1.1.0", "new"));
    let new = life.start("t/versions", Value::Null);
    let problem = life.try_publish(&text("1.1.0", "other"), &nexus_core::access::Principal::admin("test")).unwrap_err();
    assert!(problem.message.contains("versions never change"), "{}", problem.message);
    let life = life.again();
    life.advance(3_700);
    let (old, new) = (life.until(&old, "completed"), life.until(&new, "completed"));
    assert_eq!((old.version.as_str(), old.output), ("1.0.0", Some(json!({"says": "old"}))));
    assert_eq!((new.version.as_str(), new.output), ("1.1.0", Some(json!({"says": "new"}))));
}

/// S-022, S-133
#[test]
fn a_run_names_the_event_that_fired_it_and_its_effect_is_seen() {
    let stand_in = StandIn::new();
    let life = Life::new();
    life.publish(
        &r"
document: { dsl: '1.0.3', namespace: t, name: fired, version: '1.0.0' }
schedule: { on: { one: { with: { type: order.paid } } } }
do:
  - book: { call: http, with: { method: post, endpoint: URL/book, body: { cents: '${ .[0].data.euros * 100 }' } } }
  - told: { emit: { event: { with: { source: 'https://shop.example', type: order.booked, data: { ok: true } } } } }
"
        .replace("URL", &stand_in.url),
    );
    let event = life.event("order.paid", json!({"euros": 5}));
    let run = life.wait_for("the run", || life.runs("t/fired").pop().ok_or_else(String::new));
    let run = life.until(&run.id, "completed");
    let Trigger::Event { id, seq, topic } = &run.trigger else { panic!("{:?}", run.trigger) };
    assert_eq!((*id, *seq, topic.as_str()), (event.id, event.seq, "order.paid"));
    assert_eq!(run.causation, Some(event.id));
    assert_eq!(stand_in.done(), [("/book".to_owned(), json!({"cents": 500}))]);
    let booked = life.log().into_iter().find(|e| e.topic.as_str() == "order.booked").expect("emitted");
    assert_eq!((booked.causation, booked.depth), (Some(event.id), 1));
    assert_eq!(booked.correlation_id(), event.id.to_string());
}

#[test]
fn an_event_that_came_between_trigger_and_listen_is_heard_also_when_the_hub_ends_in_between() {
    let stand_in = StandIn::new();
    stand_in.silence("/slow");
    let life = Life::new();
    life.publish(
        &r"
document: { dsl: '1.0.3', namespace: t, name: late, version: '1.0.0' }
schedule: { on: { one: { with: { type: begin } } } }
do:
  - guarded:
      try: [ { slow: { call: http, with: { method: post, endpoint: URL/slow, body: {} }, timeout: { after: PT1M } } } ]
      catch: { do: [ { on: { set: { ok: true } } } ] }
  - hear: { listen: { to: { one: { with: { type: sign } } } } }
"
        .replace("URL", &stand_in.url),
    );
    life.event("sign", json!(1));
    life.event("begin", json!(null));
    life.event("sign", json!(2));
    life.advance(2);
    let life = life.again();
    life.advance(120);
    let run = life.runs("t/late").pop().expect("a run");
    assert_eq!(life.until(&run.id, "completed").output, Some(json!([2])));
}
