//! Runs that people have go back: to which tasks, with what, and what is said where they can't.

use nexus_core::{access::Principal, problem::Code};
use serde_json::json;

use super::{life::Life, stand_in::StandIn};

const THREE: &str = r"
document: { dsl: '1.0.3', namespace: t, name: three, version: '1.0.0' }
do:
  - price: { call: http, with: { method: post, endpoint: URL/price, body: { n: '${ .n }' } }, output: { as: '{ n: .got.n }' } }
  - note: { set: { n: '${ .n }', seen: '${ $context }' }, export: { as: '{ noted: .n }' } }
  - pay: { call: http, with: { method: post, endpoint: URL/pay, body: { n: '${ .n }', seen: '${ .seen }' } }, output: { as: .got } }
";

#[test]
fn a_run_goes_back_to_an_earlier_task_by_its_name_also_after_a_restart() {
    let stand_in = StandIn::new();
    let life = Life::new();
    life.publish(&THREE.replace("URL", &stand_in.url));
    stand_in.down("/pay", 2);
    let run = life.start("t/three", json!({"n": 7}));
    life.until(&run, "faulted");
    let by = Principal::admin("test");
    let again = |life: &Life, task: &str| life.run(life.flows.retry(&run, Some(task.to_owned()), &by));
    for (task, code, words) in [
        (
            "pya",
            Code::Invalid,
            "has no task \"pya\"; did you mean \"pay\"?; its tasks are price (/do/0/price), note (/do/1/note), pay (/do/2/pay); the run failed at /do/2/pay",
        ),
        ("/do/5/later", Code::Invalid, "has no task \"/do/5/later\""),
    ] {
        let refused = again(&life, task).expect_err(task);
        assert_eq!((refused.code, refused.message.contains(words)), (code, true), "{}", refused.message);
    }
    again(&life, "note").expect("it can be done again");
    life.until(&run, "faulted");
    let life = life.again();
    again(&life, "price").expect("also after a restart");
    let view = life.until(&run, "completed");
    assert_eq!(view.output, Some(json!({"n": 7, "seen": null})), "the context was what it had been");
    let asked = stand_in.hits().iter().filter(|hit| hit.path == "/price").count();
    let done = stand_in.paths().iter().filter(|path| *path == "/price").count();
    assert_eq!((asked, done), (2, 1), "asked for again under the same key, and not done twice");
    let names: Vec<String> = life.steps(&run).into_iter().map(|step| step.name).collect();
    assert_eq!(names.iter().filter(|name| *name == "note").count(), 6, "began and ended three times: {names:?}");
    let done = again(&life, "price").expect_err("it is done");
    assert_eq!(done.code, Code::Conflict);
    assert!(done.message.contains("only a faulted one can be tried again"), "{}", done.message);
}

#[test]
fn what_is_too_large_to_be_kept_is_said_and_the_run_goes_on() {
    let stand_in = StandIn::new();
    let life = Life::new();
    life.publish(
        &THREE.replace("URL", &stand_in.url).replace("seen: '${ $context }'", "seen: '${ $workflow.input.text }'"),
    );
    stand_in.down("/pay", 1);
    let run = life.start("t/three", json!({"n": 1, "text": "x".repeat(40_000)}));
    life.until(&run, "faulted");
    let by = Principal::admin("test");
    let refused = life.run(life.flows.retry(&run, Some("price".to_owned()), &by)).expect_err("its input is not kept");
    assert_eq!(refused.code, Code::Conflict);
    let words = ["is no longer kept", "it can be tried again from note (/do/1/note), pay (/do/2/pay)"];
    assert!(words.iter().all(|word| refused.message.contains(word)), "{}", refused.message);
    life.run(life.flows.retry(&run, Some("note".to_owned()), &by)).expect("a small input is kept");
    life.until(&run, "completed");
}
