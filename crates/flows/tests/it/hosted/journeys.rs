//! Sequences of three steps, each with a service of its own: in order, stopped by a failure, resumed where they stopped.

use std::collections::BTreeMap;

use nexus_core::access::Principal;
use serde_json::{Value, json};

use super::{life::Life, stand_in::StandIn};

fn sequence(steps: [&str; 3]) {
    let stand_in = StandIn::new();
    let life = Life::new();
    let mut text = "document: { dsl: '1.0.3', namespace: t, name: sequence, version: '1.0.0' }\ndo:\n".to_owned();
    for step in steps {
        text += &format!(
            "  - {step}: {{ call: http, with: {{ method: post, endpoint: {}/{step}, body: {{ before: '${{ .path }}' }} }} }}\n",
            stand_in.url
        );
    }
    life.publish(&text);
    let paths: Vec<String> = steps.iter().map(|step| format!("/{step}")).collect();
    life.until(&life.start("t/sequence", Value::Null), "completed");
    assert_eq!(stand_in.paths(), paths);
    let before: Vec<Value> = stand_in.done().into_iter().map(|(_, body)| body["before"].clone()).collect();
    assert_eq!(before, [json!(null), json!(paths[0]), json!(paths[1])]);

    stand_in.down(&paths[1], 1);
    let run = life.start("t/sequence", Value::Null);
    let error = life.until(&run, "faulted").error.expect("an error");
    assert_eq!((error.status, error.instance), (503, Some(format!("/do/1/{}", steps[1]))));
    life.advance(60);
    assert_eq!(stand_in.paths().len(), 4, "the third was not reached");
    let life = life.again();
    life.run(life.flows.retry(&run, None, &Principal::admin("test"))).expect("resumed");
    life.until(&run, "completed");
    assert_eq!(stand_in.paths()[3..], paths, "the first was not done again");
}

/// S-106
#[test]
fn content_is_made_then_spread_then_measured() {
    sequence(["create", "distribute", "engage"]);
}

/// S-107
#[test]
fn a_lead_is_captured_then_nurtured_then_won() {
    sequence(["capture", "nurture", "convert"]);
}

/// S-108
#[test]
fn a_member_joins_then_is_welcomed_then_pays() {
    sequence(["join", "onboard", "monetize"]);
}

/// S-109
#[test]
fn a_customer_succeeds_then_stays_then_grows() {
    sequence(["success", "retention", "expansion"]);
}

/// S-112
#[test]
fn each_key_has_one_run_at_a_time_and_the_next_begins_as_soon_as_it_ends() {
    let stand_in = StandIn::new();
    let life = Life::new();
    life.publish(
        &r"
document: { dsl: '1.0.3', namespace: t, name: limited, version: '1.0.0', metadata: { nexus.dev/concurrency: { key: '.[0].data.team', onConflict: queue } } }
schedule: { on: { one: { with: { type: work } } } }
do:
  - pause: { wait: PT1M }
  - work: { call: http, with: { method: post, endpoint: URL/work, body: { team: '${ $workflow.input[0].data.team }' } } }
"
        .replace("URL", &stand_in.url),
    );
    for team in ["a", "a", "a", "b", "c", "b"] {
        life.event("work", json!({"team": team}));
    }
    life.wait_for("all runs", || if life.runs("t/limited").len() == 6 { Ok(()) } else { Err(String::new()) });
    for done in [3, 5, 6] {
        let mut active: BTreeMap<Option<String>, usize> = BTreeMap::new();
        for run in life.runs("t/limited").into_iter().filter(|run| run.status == "waiting") {
            *active.entry(run.key).or_default() += 1;
        }
        assert!(active.values().all(|count| *count == 1), "{active:?}");
        life.advance(62);
        life.wait_for("the next round", || {
            let count = stand_in.done().len();
            if count == done { Ok(()) } else { Err(count.to_string()) }
        });
    }
}
