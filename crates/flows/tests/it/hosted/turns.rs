//! One run per key where events come faster than runs begin: side by side, in any order of their being done, with the plug
//! pulled in between. Who lives, who is left out and who comes next is what the log says.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::event::StoredEvent;
use nexus_flows::host::{RunView, Trigger};
use serde_json::json;

use super::{
    life::{Life, Place, event},
    plug::Trouble,
};

const KEYS: u64 = 12;
const EACH: u64 = 5;

fn flow(on_conflict: &str) -> String {
    format!(
        r"
document: {{ dsl: '1.0.3', namespace: t, name: keyed, version: '1.0.0', metadata: {{ nexus.dev/concurrency: {{ key: '.[0].data.k', onConflict: {on_conflict} }} }} }}
schedule: {{ on: {{ one: {{ with: {{ type: go }} }} }} }}
do:
  - pause: {{ wait: PT1H }}
"
    )
}

/// Key and number of the event that began a run.
fn cause(run: &RunView) -> (u64, u64) {
    let data = &run.input[0]["data"];
    (data["k"].as_u64().expect("a key"), data["n"].as_u64().expect("a number"))
}

/// The numbers of a key's runs that stand like this, in order.
fn standing(life: &Life, status: &str) -> BTreeMap<u64, Vec<u64>> {
    let mut found: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for run in life.runs("t/keyed").iter().filter(|run| run.status == status) {
        let (key, number) = cause(run);
        found.entry(key).or_default().push(number);
    }
    found.values_mut().for_each(|numbers| numbers.sort_unstable());
    found
}

/// The same for every key.
fn each(numbers: &[u64]) -> BTreeMap<u64, Vec<u64>> {
    (0..KEYS).map(|key| (key, numbers.to_vec())).collect()
}

/// Publishes every event of every key, one right after the other, over as many crashes as come, and waits until each has
/// led to something.
fn flood(on_conflict: &str, trouble: Option<Trouble>) -> Life {
    let mut life = Life::begin_with_threads(&Place::new(), None);
    life.publish(&flow(on_conflict));
    life.plug.set(trouble);
    let (mut key, mut number) = (0, 1);
    while key < KEYS {
        let new = event(&life.hub, "go", json!({"k": key, "n": number}), Some(format!("{key} {number}")));
        match life.attempt(life.hub.publish(new)) {
            Some(done) => {
                done.expect("accepted");
                (key, number) = if number == EACH { (key + 1, 1) } else { (key, number + 1) };
            }
            None => life = Life::begin_with_threads(&life.crash(), None),
        }
    }
    let since = std::time::Instant::now();
    loop {
        // The commit that was chosen may be one that comes only now.
        let settled =
            life.attempt(life.hub.advance(std::time::Duration::ZERO)).map(|done| done.map(drop).expect("a test clock"));
        life.plug.set(None);
        if settled.and_then(|()| life.attempt(async {})).is_none() {
            life = Life::begin_with_threads(&life.crash(), None);
            continue;
        }
        let skipped = life.data("flow.run_skipped");
        // An event that is delivered again after a crash is skipped again, and told of again.
        let skipped: BTreeSet<&str> = skipped.iter().filter_map(|notice| notice["trigger"]["id"].as_str()).collect();
        let led = life.runs("t/keyed").len() + skipped.len();
        if led as u64 == KEYS * EACH {
            return life;
        }
        assert!(since.elapsed() < super::life::PATIENCE, "{led} events have led to something");
    }
}

/// Every way a flood is interrupted.
fn troubles() -> Vec<Option<Trouble>> {
    let after = [1, 9, 40, 77].map(|n| Some(Trouble::After(n)));
    let before = [5, 23, 60].map(|n| Some(Trouble::Before(n)));
    [vec![None, None], after.to_vec(), before.to_vec()].concat()
}

#[test]
fn of_events_that_replace_each_other_the_latest_in_the_log_has_the_run_that_lives() {
    for trouble in troubles() {
        let life = flood("replace", trouble);
        assert_eq!(standing(&life, "waiting"), each(&[EACH]), "{trouble:?}");
        assert_eq!(standing(&life, "cancelled"), each(&[1, 2, 3, 4]), "{trouble:?}");
    }
}

#[test]
fn of_events_that_queue_the_earliest_in_the_log_runs_and_the_others_follow_in_order() {
    for trouble in troubles() {
        let life = flood("queue", trouble);
        assert_eq!(standing(&life, "waiting"), each(&[1]), "{trouble:?}");
        assert_eq!(standing(&life, "queued"), each(&[2, 3, 4, 5]), "{trouble:?}");
        for now in 2..=EACH {
            life.advance(3_610);
            life.wait_for("the next of each key", || {
                let found = standing(&life, "waiting");
                if found == each(&[now]) { Ok(()) } else { Err(format!("{trouble:?}: {found:?}")) }
            });
        }
    }
}

#[test]
fn of_events_that_skip_the_earliest_in_the_log_has_the_run() {
    for trouble in troubles() {
        let life = flood("skip", trouble);
        assert_eq!(standing(&life, "waiting"), each(&[1]), "{trouble:?}");
        assert_eq!(life.runs("t/keyed").len() as u64, KEYS, "{trouble:?}");
    }
}

#[test]
fn an_event_that_comes_after_a_later_one_is_replaced_also_when_that_ones_run_has_ended() {
    let life = Life::new();
    life.publish(&flow("replace"));
    let late = life.event("go", json!({"k": 1, "n": 1}));
    let ids = |status: &str| -> Vec<String> {
        let runs = life.runs("t/keyed");
        runs.into_iter().filter(|run| run.status == status).map(|run| run.id).collect()
    };
    life.wait_for("the first", || if ids("waiting").len() == 1 { Ok(()) } else { Err(String::new()) });
    life.event("go", json!({"k": 1, "n": 2}));
    life.wait_for("the second", || if ids("cancelled").len() == 1 { Ok(()) } else { Err(String::new()) });
    let event = life.log().into_iter().find(|event| event.seq == late.seq).expect("the event");
    life.hand("t/keyed", &event, "late");
    assert_eq!((ids("waiting").len(), ids("cancelled").len()), (1, 2), "it took the key from a later one");
    life.advance(3_610);
    life.until(&ids("completed").first().cloned().or(ids("waiting").first().cloned()).expect("a run"), "completed");
    life.hand("t/keyed", &event, "later");
    assert_eq!((ids("completed").len(), ids("cancelled").len(), ids("waiting").len()), (1, 3, 0));
    let told = |event: &StoredEvent| event.topic.as_str().starts_with("io.serverlessworkflow.workflow.cancelled.");
    assert_eq!(life.log().iter().filter(|event| told(event)).count(), 3, "each is told of as any that is replaced");
    // What is asked for now is later than all of them.
    let asked = life.start("t/keyed", json!([{"data": {"k": 1, "n": 3}}]));
    life.until(&asked, "waiting");
    let again = life.start("t/keyed", json!([{"data": {"k": 1, "n": 4}}]));
    life.until(&asked, "cancelled");
    let run = life.until(&again, "waiting");
    assert!(matches!(run.trigger, Trigger::Manual { .. }) && run.input[0]["data"]["n"] == 4);
    assert!(life.hub.clock().now() >= run.created_at);
}
