//! What is remembered, for how long, and how much of it.

use std::time::Duration;

use nexus_core::{
    access::Principal,
    store::{Commit, Write},
};
use nexus_flows::host::{KEYS, Remembered};
use serde_json::json;

use super::{rig::Rig, triggers::flow};

const COUNT: &str = "{ name: busy, detect: count, first: { type: view }, count: 3, window: PT1H, key: .data.user }";

#[test]
fn a_new_version_keeps_what_unchanged_detectors_remember() {
    let rig = Rig::new();
    rig.publish(&flow("busy", "1.0.0", COUNT));
    rig.event("view", json!({"user": "ada"}));
    rig.event("view", json!({"user": "ada"}));
    // The same detector in another order, telling under another type.
    let same = "{ key: .data.user, window: PT1H, count: 3, emit: seen.much.v1, name: busy, detect: count, first: { type: view } }";
    rig.publish(&flow("busy", "1.1.0", same));
    rig.event("view", json!({"user": "ada"}));
    let runs = rig.ended("t/busy", 1);
    assert_eq!((runs[0].version.as_str(), rig.of_type("seen.much.v1").len()), ("1.1.0", 1));
}

#[test]
fn a_detector_that_changed_begins_anew() {
    let rig = Rig::new();
    rig.publish(&flow("busy", "1.0.0", COUNT));
    rig.event("view", json!({"user": "ada"}));
    rig.event("view", json!({"user": "ada"}));
    rig.publish(&flow("busy", "2.0.0", &COUNT.replace("PT1H", "PT2H")));
    assert_eq!(rig.remembered(), []);
    rig.event("view", json!({"user": "ada"}));
    rig.event("view", json!({"user": "ada"}));
    rig.ended("t/busy", 0);
    rig.event("view", json!({"user": "ada"}));
    rig.ended("t/busy", 1);
}

#[test]
fn a_flow_that_is_off_observes_nothing_and_forgets() {
    let rig = Rig::new();
    let admin = Principal::admin("test");
    let gone =
        "{ name: gone, detect: absence, first: { type: cart }, second: { type: order }, after: PT1H, key: .data.user }";
    rig.publish(&flow("off", "1.0.0", &format!("{COUNT}, {gone}")));
    rig.event("view", json!({"user": "ada"}));
    rig.event("view", json!({"user": "ada"}));
    rig.event("cart", json!({"user": "ada"}));
    rig.run(rig.flows.enable("t/off", false, &admin)).expect("off");
    assert_eq!(rig.remembered(), []);
    rig.event("view", json!({"user": "ada"}));
    let rig = rig.crash(Duration::from_secs(7_200));
    rig.run(rig.flows.enable("t/off", true, &admin)).expect("on");
    rig.event("view", json!({"user": "ada"}));
    rig.advance(Duration::from_secs(7_200));
    rig.ended("t/off", 0);
    assert_eq!(rig.of_type("dev.nexus.pattern.matched.v1").len(), 0);
    rig.run(rig.flows.remove("t/off", &admin)).expect("gone");
    assert_eq!(rig.remembered(), []);
}

#[test]
fn what_leads_to_nothing_any_more_is_forgotten_after_a_while() {
    let rig = Rig::new();
    rig.publish(&flow("busy", "1.0.0", COUNT));
    rig.event("view", json!({"user": "ada"}));
    assert_eq!(rig.remembered().len(), 1);
    let since = std::time::Instant::now();
    while !rig.remembered().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(60), "it is kept for ever");
        rig.advance(Duration::from_secs(3600));
    }
}

/// As many keys as fit, each with a view at the present.
fn fill(rig: &Rig) {
    rig.event("view", json!({"user": "k"}));
    let [model] = rig.remembered().try_into().expect("one");
    let model: Remembered = model;
    let all: Vec<usize> = (1..KEYS).collect();
    for part in all.chunks(2_000) {
        let writes =
            part.iter().map(|n| Write::put(&Remembered { key: format!("k{n}"), ..model.clone() }).expect("JSON"));
        let commit = Commit { documents: writes.collect(), ..Commit::default() };
        rig.run(rig.hub.desk().commit(commit)).expect("stored");
    }
}

#[test]
fn at_the_limit_of_keys_a_new_one_counts_for_nobody_until_an_old_one_is_forgotten() {
    let rig = Rig::new();
    rig.publish(&flow("busy", "1.0.0", &COUNT.replace("count: 3", "count: 2").replace("PT1H", "PT30M")));
    fill(&rig);
    // Counted from the store, not from what this process has seen.
    let rig = rig.crash(Duration::from_secs(60));
    for user in ["new", "new", "other"] {
        rig.event("view", json!({"user": user}));
    }
    rig.ended("t/busy", 0);
    let full = rig.of_type("flow.detector_full");
    assert_eq!(full.len(), 1, "it is said once");
    let said: serde_json::Value = serde_json::from_slice(full[0].json()).expect("JSON");
    assert_eq!((&said["flow"], &said["detector"], &said["limit"]), (&json!("t/busy"), &json!("busy"), &json!(KEYS)));
    // One that is known counts all the same.
    rig.event("view", json!({"user": "k7"}));
    rig.ended("t/busy", 1);
    rig.advance(Duration::from_secs(31 * 60));
    rig.event("view", json!({"user": "new"}));
    rig.event("view", json!({"user": "new"}));
    let runs = rig.ended("t/busy", 2);
    assert_eq!(runs[1].output.as_ref().expect("an output")["key"], "new");
}
