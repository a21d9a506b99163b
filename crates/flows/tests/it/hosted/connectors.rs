//! Flows that call connectors, and what is seen of them meanwhile.

use nexus_core::access::Principal;
use nexus_engine::{HubConfig, connectors::Library};
use serde_json::json;

use super::{
    life::{Life, Place},
    stand_in::StandIn,
};

const SLOW: &str = r#"
connector: 1
name: slow
title: Slow
checked: reading
base_url: "{settings.url}"
settings: {url: {title: URL}}
auth: none
limits: {app: [{requests: 1, per: 60s}]}
operations:
  get: {title: Get, method: GET, path: "/things/{id}", input: {type: object, properties: {id: {type: string}}}}
"#;

const FLOW: &str = r"
document: { dsl: '1.0.3', namespace: t, name: asks, version: '1.0.0' }
do:
  - get: { call: 'connector.slow.get:1.0.0@default', with: { input: { id: '${ .id }' }, patience: 300s } }
";

fn life(stand_in: &StandIn) -> Life {
    let library = Library::shipped().with(SLOW).unwrap_or_else(|e| panic!("{e}"));
    let life = Life::with(&Place::new(), None, HubConfig { connectors: Some(library), ..HubConfig::default() });
    let new = json!({"name": "main", "connector": "slow", "settings": {"url": stand_in.url}});
    let new = serde_json::from_value(new).expect("a connection");
    let by = Principal::admin("test");
    life.run(life.hub.connectors().connections().create(new, &by)).expect("made");
    life.publish(FLOW);
    life
}

#[test]
fn a_run_whose_call_has_to_wait_for_its_turn_says_why_and_until_when() {
    let stand_in = StandIn::new();
    let life = life(&stand_in);
    let first = life.start("t/asks", json!({"id": "a"}));
    life.until(&first, "completed");
    let second = life.start("t/asks", json!({"id": "b"}));
    let waiting = life.wait_for("it says why", || {
        let found = serde_json::to_value(life.view(&second).waiting_for).expect("JSON");
        if found[0]["because"].is_string() { Ok(found[0].clone()) } else { Err(found.to_string()) }
    });
    let because = waiting["because"].as_str().expect("a text");
    assert!(because.contains("a limit that the manifest of Slow sets is reached"), "{waiting}");
    assert!(waiting["until"].is_string() || waiting["until"].is_number(), "{waiting}");
    life.advance(61);
    life.until(&second, "completed");
}

#[test]
fn what_a_run_fills_into_a_path_can_not_lead_elsewhere() {
    let stand_in = StandIn::new();
    let life = life(&stand_in);
    let run = life.start("t/asks", json!({"id": ".."}));
    let error = life.until(&run, "faulted").error.expect("an error");
    assert!(error.detail.expect("a detail").contains("/id: would make a segment of the path"));
    assert!(stand_in.hits().is_empty());
}
