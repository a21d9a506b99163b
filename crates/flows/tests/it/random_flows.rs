//! Random flows, interrupted anywhere, end as the uninterrupted ones do.

use std::{cell::RefCell, rc::Rc};

use nexus_flows::effect::StepPhase;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::driver::{World, json_answer};

/// A task: its body in the DSL.
fn task(depth: u32) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        (0..5i64).prop_map(|n| json!({"set": {"n": format!("${{ ((.n // 0) + {n}) % 50 }}")}})),
        Just(json!({"wait": "PT1S"})),
        (0..4u32).prop_map(|n| json!({"emit": {"event": {"with": {"source": "https://a.example", "type": format!("t{n}"), "data": {"n": "${ .n }"}}}}, "output": {"as": "$input"}})),
        (0..3u32).prop_map(|n| json!({"call": "http", "with": {"method": "post", "endpoint": format!("https://a.example/{n}"), "body": "${ . }"}})),
        (0..4u32).prop_map(|n| json!({"listen": {"to": {"one": {"with": {"type": format!("t{n}")}}}}, "timeout": {"after": "PT5S"}, "output": {"as": "{n: ((.[0].n // 0) % 50)}"}})),
        (400..404u32).prop_map(|status| json!({"raise": {"error": {"type": "https://a.example/e", "status": status}}})),
        (0..3u32).prop_map(|n| json!({"if": format!("(.n // 0) > {n}"), "set": {"n": 1}, "export": {"as": "{seen: .n}"}})),
        (1..4u32).prop_map(|n| json!({"switch": [{"a": {"when": format!("(.n // 0) % 4 == {n}"), "then": "exit"}}, {"b": {"then": "continue"}}]})),
        Just(json!({"set": {"n": "${ (($context.seen // 1) + (.n // 0)) % 50 }"}, "timeout": {"after": "PT1S"}})),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    prop_oneof![
        4 => leaf,
        1 => list(depth - 1).prop_map(|tasks| json!({"do": tasks})),
        1 => list(depth - 1).prop_map(|tasks| json!({"for": {"in": "[1, 2]"}, "do": tasks})),
        1 => (list(depth - 1), any::<bool>()).prop_map(|(tasks, compete)| {
            json!({"fork": {"branches": tasks, "compete": compete}, "output": {"as": "{n: ([.. | numbers] | add // 0) % 50}"}})
        }),
        1 => (list(depth - 1), list(depth - 1), 0..3u32).prop_map(|(tasks, handler, count)| {
            json!({"try": tasks, "catch": {"retry": {"delay": "PT1S", "jitter": {"from": "PT0S", "to": "PT2S"}, "limit": {"attempt": {"count": count}}}, "do": handler}})
        }),
        1 => list(depth - 1).prop_map(|tasks| json!({"do": tasks, "timeout": {"after": "PT3S"}})),
    ]
    .boxed()
}

fn list(depth: u32) -> BoxedStrategy<Value> {
    prop::collection::vec(task(depth), 1..4)
        .prop_map(|tasks| tasks.into_iter().enumerate().map(|(n, task)| json!({format!("t{n}"): task})).collect())
        .boxed()
}

/// All that can be seen of a run from outside.
#[derive(Debug, PartialEq)]
struct Seen {
    outcome: Option<nexus_flows::effect::Outcome>,
    log: Vec<Value>,
    requests: Vec<(String, String)>,
    steps: Vec<(String, String, StepPhase)>,
}

fn play(document: &str, crash: Option<Box<dyn FnMut() -> bool>>) -> Seen {
    let answers = Rc::new(RefCell::new(0u32));
    let counted = Rc::clone(&answers);
    let mut world = World::new(Box::new(move |request, _| {
        *counted.borrow_mut() += 1;
        let status = if request.uri.ends_with('2') { 503 } else { 200 };
        Ok(json_answer(status, &json!({"n": request.uri.len()})))
    }));
    if let Some(crash) = crash {
        world = world.crashing(crash);
    }
    let flow = world.publish(document);
    let run = world.start(&flow, json!({"n": 1}));
    world.finish(&run);
    Seen {
        outcome: world.outcome(&run),
        requests: world.performed.iter().map(|(key, request)| (key.clone(), request.uri.clone())).collect(),
        steps: world.steps.iter().map(|s| (s.task.clone(), s.iteration.clone(), s.phase)).collect(),
        log: world.log,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn random_flows_end_the_same_however_they_are_interrupted(tasks in list(2), seed in any::<u64>()) {
        let document = json!({
            "document": {"dsl": "1.0.3", "namespace": "test", "name": "random", "version": "1.0.0"},
            "do": tasks,
            "timeout": {"after": "PT1M"},
        });
        let document = document.to_string();
        let calm = play(&document, None);
        prop_assert!(calm.outcome.is_some(), "it did not end: {document}");
        let mut state = seed;
        let crash = Box::new(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 62 == 0
        });
        prop_assert_eq!(&play(&document, Some(crash)), &calm, "{}", &document);
        prop_assert_eq!(&play(&document, Some(Box::new(|| true))), &calm, "{}", &document);
    }
}
