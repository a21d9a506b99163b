//! Flows without a hub: templates, tables of cases, differences.

use std::time::Duration;

use nexus_flows::{
    Definition, publish,
    rehearse::{
        Others, Rehearsal, Script, Stopped, case,
        check::{Checked, check},
        diff, recorded, rehearse,
    },
    template::{TEMPLATES, find},
};
use serde_json::{Value, json};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: test, name: flow, version: '1.0.0' }\n";

fn flow(text: &str) -> Definition {
    publish(&format!("{HEAD}{text}")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn table(definition: &Definition, cases: &str) -> Vec<Checked> {
    let cases = case::read(cases).unwrap_or_else(|problems| panic!("{problems}"));
    cases.into_iter().map(|case| check(definition, &Others::new(), case)).collect()
}

fn one(definition: &Definition, case: &str) -> Checked {
    table(definition, &format!("cases: [ {{ name: it, {case} }} ]")).remove(0)
}

fn play(definition: &Definition, input: Value, cases: &str) -> Rehearsal {
    let stubs = case::read(&format!("cases: [ {{ name: it, expect: {{}}, {cases} }} ]"))
        .expect("a table")
        .remove(0)
        .script
        .stubs;
    rehearse(definition, &Others::new(), Script { input, stubs, ..Script::default() })
}

#[test]
fn every_template_is_valid_and_runs_as_its_cases_say() {
    for template in TEMPLATES {
        let (text, definition) =
            template.write("shop", "first-try").unwrap_or_else(|p| panic!("{}: {p}", template.name));
        assert_eq!(definition.id.to_string(), "shop/first-try@1.0.0", "{}", template.name);
        assert!(!text.contains("my-flow") && text.starts_with("# "), "{}", template.name);
        let checked = table(&definition, template.cases());
        for case in &checked {
            assert!(case.passed, "{}: {}: {}", template.name, case.name, case.problems.join("\n"));
        }
        assert!(!checked.is_empty());
    }
    assert!(find("webhook-to-http").is_some() && find("webhook").is_none());
    assert!(find("retry").unwrap().write("shop", "no name").unwrap_err().to_string().contains("is no name"));
}

/// The detectors of the template find what its comments say.
#[test]
fn the_behaviour_of_the_template_is_detected() {
    let (_, definition) = find("behaviour").unwrap().write("shop", "behaviour").unwrap();
    let mut watch = nexus_flows::detect::Watch::new(&definition);
    let at = |minute: i64| nexus_core::time::Timestamp::from_secs(minute * 60);
    let mut found = Vec::new();
    for (minute, kind, customer, amount) in [
        (0, "page.viewed", "ada", 0),
        (1, "page.viewed", "ada", 0),
        (2, "page.viewed", "ada", 0),
        (3, "cart.filled", "ada", 0),
        (4, "cart.filled", "bob", 0),
        (5, "order.placed", "ada", 500),
    ] {
        let event = json!({"type": kind, "data": {"customer": customer, "amount": amount}});
        found.extend(watch.event(at(minute), &event).unwrap());
    }
    found.extend(watch.until(at(120)));
    let names: Vec<(&str, &str)> = found
        .iter()
        .map(|(_, event)| (event["data"]["detector"].as_str().unwrap(), event["data"]["key"].as_str().unwrap()))
        .collect();
    assert_eq!(names, [("engaged", "ada"), ("bought-at-once", "ada"), ("large-order", "ada"), ("cart-left", "bob")]);
}

#[test]
fn a_call_that_nothing_answers_fails_the_case_and_says_what_would_answer_it() {
    let definition = flow(
        "do:\n- pay: { call: http, with: { method: post, endpoint: 'https://pay.example/{id}', body: { n: '${ .id }' } } }\n",
    );
    let checked = one(&definition, "input: { id: 7 }, expect: { status: completed }");
    let expected = "the task /do/0/pay calls POST https://pay.example/7 with {\"n\":7}, and nothing answers; add to `calls`: - { task: pay, answer: { status: 200, body: {} } }";
    assert_eq!(checked.problems, [expected]);
    let rehearsal = checked.rehearsal.unwrap();
    assert_eq!(rehearsal.status, "stopped");
    let Some(stopped @ Stopped::WouldCall(_)) = &rehearsal.stopped else { panic!("{rehearsal:?}") };
    assert_eq!(stopped.to_string(), "/do/0/pay would call POST https://pay.example/7");
}

#[test]
fn what_is_not_as_expected_is_told_with_its_place() {
    let definition = flow(
        "do:\n- a: { set: { n: 1, list: [1, 2], gone: true } }\n- b: { emit: { event: { with: { type: t, source: https://s, data: { x: 1 } } } }, output: { as: '$input' } }\n",
    );
    let problems = |expect: &str| one(&definition, &format!("expect: {expect}")).problems;
    assert_eq!(
        problems(
            "{ status: completed, steps: [a, b], output: { n: 1, list: [1, 2], gone: true }, emitted: [ { type: t } ] }"
        ),
        [""; 0]
    );
    assert_eq!(
        problems("{ output: { n: 2, list: [1], more: 1, gone: true } }"),
        [
            "output/list/1: 2 was not expected",
            "output/more: 1 was expected, it is not there",
            "output/n: 2 was expected, it is 1",
        ]
    );
    assert_eq!(
        problems("{ emitted: [ { type: u, data: { x: 2 } } ] }"),
        ["emitted/0/data/x: 2 was expected, it is 1", "emitted/0/type: \"u\" was expected, it is \"t\""]
    );
    assert_eq!(problems("{ emitted: [] }").len(), 1);
    assert_eq!(problems("{ steps: [b, a] }"), ["steps: b, a was expected, it was a, b"]);
    assert_eq!(problems("{ check: ['.output.n > 1', '.output.n == 1'] }"), ["`.output.n > 1` does not hold"]);
    assert!(problems("{ status: waiting }")[0].starts_with("status: waiting was expected, it is completed with"));
    assert!(problems("{ error: { status: 400 } }")[0].starts_with("error: there is none"));
}

#[test]
fn a_table_that_is_wrong_says_where() {
    for (text, words) in [
        ("cases: []", "1 to 500 cases"),
        ("cases:\n- { name: a, expect: { statsu: x } }", "did you mean \"status\""),
        (
            "cases:\n- { name: a, expect: { status: done } }",
            "a run is completed, faulted, waiting, running, not \"done\"",
        ),
        (
            "cases:\n- { name: a, calls: [ { task: b } ], expect: {} }",
            "/cases/0/calls/0 (line 2): one of answer, value",
        ),
        ("cases:\n- { name: a, calls: [ { value: 1 } ], expect: {} }", "which call it answers is missing"),
        ("cases:\n- { name: a, calls: [ { task: b, answer: { status: 9 } } ], expect: {} }", "100 to 599"),
        ("cases:\n- { name: a, calls: [ { task: b, error: { type: tiemout } } ], expect: {} }", "no standard kind"),
        ("cases:\n- { name: a, input: 1, trigger: { type: x }, expect: {} }", "one of `input`, `trigger` and `watch`"),
        ("cases:\n- { name: a, events: [ { after: soon, event: { type: x } } ], expect: {} }", "is no duration"),
        ("cases:\n- { name: a, expect: { check: ['.a ='] } }", "/cases/0/expect/check/0"),
        ("cases: [", "not YAML"),
    ] {
        let error = case::read(text).map(|_| text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    let definition = flow("do: [ { pay: { wait: PT1S } } ]\n");
    let checked = one(&definition, "calls: [ { task: pai, value: 1 } ], expect: {}");
    assert_eq!(
        checked.problems,
        ["`calls` answers the task \"pai\", which the flow does not have; did you mean \"pay\"?"]
    );
    let checked = one(&definition, "watch: [ { event: { type: x } } ], expect: { matches: [] }");
    assert!(checked.problems[0].contains("the flow declares none under nexus.dev/detect"), "{:?}", checked.problems);
    let checked = one(&definition, "trigger: { type: x }, expect: {}");
    assert!(checked.problems[0].contains("it has no schedule.on; give `input` instead"), "{:?}", checked.problems);
}

#[test]
fn time_passes_only_as_far_as_a_case_says() {
    let definition = flow("do:\n- a: { wait: PT1H }\n- b: { wait: PT1H }\n");
    let checked = one(
        &definition,
        "advance: PT90M, expect: { waiting_for: [ { task: b, for: time, until: '2026-01-01T02:00:00.000Z' } ] }",
    );
    assert_eq!(checked.problems, [""; 0]);
    let checked = one(&definition, "expect: { status: completed, check: ['.took_ms == 7200000'] }");
    assert_eq!(checked.problems, [""; 0]);
}

#[test]
fn flows_at_hand_are_run_and_others_are_answered() {
    let caller = flow(
        "do:\n- sum: { run: { workflow: { namespace: test, name: other, version: latest, input: { n: '${ .n }' } } } }\n",
    );
    let other = publish("document: { dsl: '1.0.3', namespace: test, name: other, version: '1.0.0' }\ndo:\n- wait: { wait: PT1M }\n- double: { set: { n: '${ .n * 2 }' } }\n").unwrap();
    let others: Others<'_> = [(other.id.to_string(), &other)].into();
    let played = rehearse(&caller, &others, Script { input: json!({"n": 4}), ..Script::default() });
    assert_eq!((played.output(), played.took_ms), (Some(&json!({"n": 8})), Duration::from_secs(60)));
    let checked = one(&caller, "input: { n: 4 }, expect: {}");
    assert!(checked.problems[0].contains("calls the flow test/other@latest with {\"n\":4}"), "{:?}", checked.problems);
    let checked =
        one(&caller, "input: { n: 4 }, calls: [ { task: sum, value: { n: 9 } } ], expect: { output: { n: 9 } }");
    assert_eq!(checked.problems, [""; 0]);
}

#[test]
fn a_flow_that_goes_in_a_circle_is_stopped() {
    let definition = flow("do:\n- a: { wait: PT1S }\n- b: { wait: PT1S, then: a }\n");
    let played = rehearse(&definition, &Others::new(), Script::default());
    assert!(played.stopped.unwrap().to_string().contains("circle"));
}

#[test]
fn a_rehearsal_shows_no_secret() {
    let definition = flow(
        "use: { secrets: [key] }\ndo:\n- a: { call: http, with: { method: post, endpoint: { uri: https://a.example, authentication: { bearer: { token: '${ $secrets.key }' } } }, query: { k: '${ $secrets.key }' }, body: { k: '${ $secrets.key }' } } }\n",
    );
    let checked = one(
        &definition,
        "secrets: { key: t0ps3cret }, calls: [ { task: a, answer: { body: { echo: t0ps3cret } } } ], expect: { output: { echo: '[secret key]' } }",
    );
    assert_eq!(checked.problems, [""; 0]);
    let shown = serde_json::to_string(&checked).unwrap();
    assert!(!shown.contains("t0ps3cret") && shown.contains("[secret key]"), "{shown}");
}

#[test]
fn two_versions_are_compared_by_what_they_do() {
    let old = flow(
        "do:\n- pay: { call: http, with: { method: post, endpoint: https://a.example/v1, body: { n: 1 } } }\n- tell: { emit: { event: { with: { type: paid, source: https://s, data: { n: 1 } } } } }\n- end-it: { set: { ok: true } }\n",
    );
    let new = flow(
        "do:\n- check: { set: { n: 2 } }\n- pay: { call: http, with: { method: post, endpoint: https://a.example/v2, body: { n: '${ .n }' } } }\n- tell: { emit: { event: { with: { type: paid, source: https://s, data: { n: 1 } } } } }\n- audit: { emit: { event: { with: { type: audited, source: https://s } } } }\n- end-it: { set: { ok: false } }\n",
    );
    let calls = "calls: [ { task: pay, answer: { body: {} } } ]";
    let (was, would) = (play(&old, Value::Null, calls), play(&new, Value::Null, calls));
    let text = diff(&was, &would).to_string();
    let expected = [
        "~ outcome /output/ok: true -> false",
        "~ call pay/body/n: 1 -> 2",
        "~ call pay/uri: \"https://a.example/v1\" -> \"https://a.example/v2\"",
        "+ event audited: {\"source\":\"https://s\",\"specversion\":\"1.0\",\"type\":\"audited\"}",
        "+ task check: [\"started\",\"completed\"]",
        "+ task audit: [\"started\",\"completed\"]",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert_eq!(diff(&was, &was).to_string(), "no difference");
    let stopped = diff(&was, &play(&new, Value::Null, "advance: PT0S"));
    assert!(stopped.to_string().contains("would call POST https://a.example/v2"), "{stopped}");
}

/// A new version is played over what an old one was answered, without a call.
#[test]
fn what_a_run_was_answered_answers_its_next_version() {
    let version = |limit: u32, more: &str| {
        flow(&format!(
            "do:\n- ask:\n    try: [ {{ get: {{ call: http, with: {{ method: get, endpoint: https://a.example, output: response }} }} }} ]\n    catch: {{ retry: {{ delay: PT1S, limit: {{ attempt: {{ count: 2 }} }} }} }}\n- rate: {{ call: 'rate:1.0.0@default', with: {{ of: '${{ .content.n }}' }} }}\n- judge: {{ set: {{ good: '${{ .rate > {limit} }}' }} }}\n{more}"
        ))
    };
    let old = version(5, "");
    let was = play(
        &old,
        Value::Null,
        "calls: [ { task: get, answer: { status: 503 }, times: 1 }, { task: get, answer: { body: { n: 3 } } }, { task: rate, value: { rate: 7 } } ]",
    );
    assert_eq!((was.output(), was.calls.len()), (Some(&json!({"good": true})), 3));
    let again = |definition: &Definition| {
        let stubs = recorded(&old, &was.steps);
        rehearse(definition, &Others::new(), Script { stubs, ..Script::default() })
    };
    assert_eq!(diff(&was, &again(&old)).to_string(), "no difference");
    assert_eq!(diff(&was, &again(&version(9, ""))).to_string(), "~ outcome /output/good: true -> false");
    let more = version(5, "- tell: { call: http, with: { method: post, endpoint: https://b.example } }\n");
    let stopped = again(&more).stopped.map(|stopped| stopped.to_string());
    assert_eq!(stopped.as_deref(), Some("/do/3/tell would call POST https://b.example"));
}

#[test]
fn a_graph_shows_what_can_come_after_what() {
    let definition = flow(
        "do:\n- ask: { call: http, with: { method: get, endpoint: 'https://a.example/{id}' } }\n- route:\n    switch:\n    - good: { when: '.n > 1', then: wait }\n    - other: { then: end }\n- try-it:\n    try: [ { boom: { raise: { error: { type: https://e, status: 500 } } } } ]\n    catch: { do: [ { note: { set: { x: 1 } } } ] }\n  \n- wait: { wait: PT90S, if: .n == 2 }\n- both: { fork: { branches: [ { a: { set: { x: 1 } } }, { b: { set: { x: 2 } } } ] } }\n- all: { for: { in: .list }, do: [ { item: { set: { x: 1 } } } ], then: ask }\n",
    );
    let graph = definition.graph();
    let edges: Vec<String> = graph
        .edges
        .iter()
        .map(|edge| {
            let name = |id: &str| id.rsplit('/').next().unwrap().to_owned();
            format!("{} -{}-> {}", name(&edge.from), edge.when, name(&edge.to))
        })
        .collect();
    let expected = [
        "start --> ask",
        "ask --> route",
        "route -.n > 1-> wait",
        "try-it --> boom",
        "try-it -error-> note",
        "note --> wait",
        "wait --> both",
        "both -branch-> a",
        "both -branch-> b",
        "a --> all",
        "b --> all",
        "all -each-> item",
        "item --> all",
        "all -done-> ask",
        "route -otherwise-> end",
    ];
    assert_eq!(edges, expected);
    let json = serde_json::to_value(&graph).unwrap();
    assert_eq!(
        json["nodes"][1],
        json!({"id": "/do/0/ask", "name": "ask", "kind": "call", "about": "GET https://a.example/{id}"})
    );
    assert_eq!(json["nodes"][5]["within"], "/do/2/try-it");
}

#[test]
fn a_small_graph_is_drawn_exactly_so() {
    let definition = flow(
        "do:\n- route: { switch: [ { yes: { when: '.a == \"x\"', then: nap } }, { no: { then: end } } ] }\n- nap: { wait: PT90S }\n- box: { do: [ { say: { emit: { event: { with: { type: t, source: https://s } } } } } ] }\n",
    );
    let mermaid = "%% test/flow@1.0.0
flowchart TD
  n0((start))
  n1{\"route: switch\"}
  n2([\"nap: wait PT1M30S\"])
  n3[\"box: do\"]
  subgraph n3s [\"box\"]
    n4[\"say: emit\"]
  end
  n5((end))
  n0 --> n1
  n1 -->|\".a == #quot;x#quot;\"| n2
  n2 --> n3
  n3 --> n4
  n4 --> n5
  n1 -->|\"otherwise\"| n5
";
    assert_eq!(nexus_flows::graph::mermaid(&definition.graph()), mermaid);
    let dot = "digraph \"test/flow@1.0.0\" {
  node [shape=box];
  n0 [label=\"start\", shape=circle];
  n1 [label=\"route: switch\", shape=diamond];
  n2 [label=\"nap: wait PT1M30S\", style=rounded];
  n3 [label=\"box: do\"];
  subgraph cluster_n3 {
    label=\"box\";
    n4 [label=\"say: emit\"];
  }
  n5 [label=\"end\", shape=circle];
  n0 -> n1;
  n1 -> n2 [label=\".a == \\\"x\\\"\"];
  n2 -> n3;
  n3 -> n4;
  n4 -> n5;
  n1 -> n5 [label=\"otherwise\"];
}
";
    assert_eq!(nexus_flows::graph::dot(&definition.graph()), dot);
}
