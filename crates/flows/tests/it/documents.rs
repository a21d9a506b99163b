//! Documents are read whole, given back as they were, and refused with words that help.

use nexus_flows::{model::Workflow, problem::Problems, yaml};

use crate::specs;

fn round_trip(name: &str, text: &str) {
    let source = yaml::parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut problems = Problems::default();
    let read = Workflow::from_value(&source.value, &mut problems);
    let read = read.unwrap_or_else(|| panic!("{name}:\n{problems}"));
    assert!(problems.is_empty(), "{name}: {problems}");
    let written = serde_json::to_value(&read).expect("it can be written");
    assert_eq!(written, source.value, "{name}");
}

#[test]
fn every_published_example_comes_back_as_it_was() {
    let Some(folder) = specs::folder("v1.0.3/examples") else { return };
    let files = specs::files(&folder, ".yaml");
    assert!(files.len() >= 60, "{} examples", files.len());
    for (name, text) in files {
        round_trip(&name, &text);
    }
}

#[test]
fn every_document_of_the_test_kit_comes_back_as_it_was() {
    let Some(folder) = specs::folder("v1.0.3/ctk/features") else { return };
    let mut documents = 0;
    for (name, text) in specs::files(&folder, ".feature") {
        for part in text.split("\"\"\"yaml").skip(1) {
            let document = part.split("\"\"\"").next().unwrap_or_default();
            if document.contains("dsl:") {
                documents += 1;
                round_trip(&name, document);
            }
        }
    }
    assert_eq!(documents, 21);
}

#[test]
fn published_invalid_documents_are_refused() {
    let Some(folder) = specs::folder("v1.0.3/fixtures/invalid") else { return };
    for (name, text) in specs::files(&folder, ".yaml") {
        let mut problems = Problems::default();
        let refused = match yaml::parse(&text) {
            Err(_) => true,
            Ok(source) => Workflow::from_value(&source.value, &mut problems).is_none() || !problems.is_empty(),
        };
        assert!(refused, "{name}");
    }
}

fn refusal(text: &str) -> String {
    let source = match yaml::parse(text) {
        Ok(source) => source,
        Err(error) => return error.to_string(),
    };
    let mut problems = Problems::default();
    let _ = Workflow::from_value(&source.value, &mut problems);
    problems.located(|path| source.line(path)).to_string()
}

#[test]
fn a_refusal_names_the_place_and_what_would_be_right() {
    let head = "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\ndo:\n";
    for (tasks, words) in [
        ("- a:\n    cal: http\n", vec!["/do/0/a (line 4)", "this is no task", "did you mean \"call\""]),
        (
            "- a:\n    call: http\n    with: {method: get, endpont: x}\n",
            vec!["/do/0/a/with/endpont", "did you mean \"endpoint\"", "\"endpoint\" is missing"],
        ),
        ("- a:\n    set: {x: 1}\n    wait: PT1S\n", vec!["does one thing, not set and wait"]),
        ("- a: {set: {x: 1}}\n  b: {set: {x: 1}}\n", vec!["/do/0", "one name is expected here, not 2 (a, b)"]),
        ("- a:\n    wait: {minuts: 5}\n", vec!["/do/0/a/wait/minuts", "did you mean \"minutes\""]),
        ("- a: {set: {x: 1}, if: true}\n", vec!["/do/0/a/if", "text is expected here, not true or false"]),
        ("- a: {listen: {to: {one: {with: {type: x}}, until: '.'}}}\n", vec!["`until` belongs to `any` only"]),
        ("- a: {listen: {to: {any: [], until: {any: [], until: '.'}}}}\n", vec!["may not have an `until` of its own"]),
    ] {
        let refusal = refusal(&format!("{head}{tasks}"));
        for word in words {
            assert!(refusal.contains(word), "{tasks}\n{refusal}\nlacks {word}");
        }
    }
    assert!(
        refusal("document: {dsl: 1.0, namespace: a, name: b, version: '1'}\ndo: []\n").contains("write it in quotes")
    );
}

#[test]
fn yaml_that_could_grow_or_mislead_is_refused() {
    let bomb = format!(
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n{}",
        ('b'..='k').map(|c| {
            let before = char::from(c as u8 - 1);
            format!("{c}: &{c} [*{before},*{before},*{before},*{before},*{before},*{before},*{before},*{before},*{before},*{before}]\n")
        }).collect::<String>()
    );
    let deep = "[".repeat(100);
    let deeper = "[".repeat(100_000);
    for (text, words) in [
        (bomb.as_str(), "more than 50000 values"),
        (&deep, "nests deeper"),
        (&deeper, "recursion limit"),
        ("a: 1\na: 2\n", "stands twice"),
        ("<<: {a: 1}\n", "merge keys"),
        ("a: !!str 1\n", "tags"),
        ("a: &a [*a]\n", "alias"),
        ("? [a]\n: b\n", "key must be text"),
        ("---\na: 1\n---\nb: 1\n", "second document"),
        ("", "empty"),
        ("a: [", "not YAML"),
        ("a: 'x\n", "not YAML"),
    ] {
        let error =
            yaml::parse(text).map(|s| s.value.to_string()).expect_err(&text.chars().take(40).collect::<String>());
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(yaml::parse(&"a".repeat(300_000)).is_err());
}

#[test]
fn numbers_and_texts_stay_what_they_are() {
    let text = "a: on\nb: yes\nc: 012\nd: 1.10\ne: 18446744073709551615\nf: 1.0.3\ng: '1'\nh: 0x1F\ni: 2024-01-01\nj: ~\nk: .5\nl: -3\nm: 1e3\nn: 99999999999999999999999\no: .inf\np: |\n  two\n  lines\n";
    let value = yaml::parse(text).unwrap().value;
    let expected = serde_json::json!({
        "a": "on", "b": "yes", "c": 12, "d": 1.1, "e": 18_446_744_073_709_551_615_u64, "f": "1.0.3", "g": "1", "h": 31,
        "i": "2024-01-01", "j": null, "k": 0.5, "l": -3, "m": 1000.0, "n": "99999999999999999999999", "o": ".inf",
        "p": "two\nlines\n",
    });
    assert_eq!(value, expected);
}

/// What v1 runs is accepted, everything else is refused by its name and for nothing else.
#[test]
fn published_examples_are_accepted_or_refused_by_name() {
    let Some(folder) = specs::folder("v1.0.3/examples") else { return };
    let mut accepted = 0;
    for (name, text) in specs::files(&folder, ".yaml") {
        match nexus_flows::publish(&text) {
            Ok(_) => accepted += 1,
            Err(problems) => {
                for problem in problems.list() {
                    let known = ["not supported", "retry for ever"].iter().any(|word| problem.message.contains(word));
                    assert!(known, "{name}: {problem}");
                }
            }
        }
    }
    println!("{accepted} examples are accepted");
    assert!(accepted >= 35, "{accepted}");
}

#[test]
fn examples_of_what_the_hub_is_for_are_accepted() {
    let Some(folder) = specs::folder("nexus-examples") else { return };
    for (name, text) in specs::files(&folder, ".yaml") {
        if let Err(problems) = nexus_flows::publish(&text) {
            panic!("{name}:\n{problems}");
        }
    }
}

#[test]
fn flows_that_run_each_other_in_a_circle_are_refused() {
    let flow = |name: &str, runs: &str| {
        nexus_flows::publish(&format!(
            "document: {{dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0'}}\ndo:\n- r: {{run: {{workflow: {{namespace: t, name: {runs}, version: latest}}}}}}\n"
        ))
        .expect("each is fine by itself")
    };
    let (a, b, c) = (flow("a", "b"), flow("b", "c"), flow("c", "a"));
    assert_eq!(nexus_flows::validate::check_circles([&a, &b]), Ok(()));
    let circle = nexus_flows::validate::check_circles([&a, &b, &c]).unwrap_err();
    assert!(circle.contains("t/a@1.0.0 -> t/b@1.0.0 -> t/c@1.0.0 -> t/a@1.0.0"), "{circle}");
}

#[test]
fn all_that_is_wrong_with_a_document_is_told_at_once_and_nothing_that_is_not() {
    let text = "document: { dsl: '1.0.3', namespace: t, name: n, version: 1.0 }
use:
  secrets: key
  functions: { greet: { set: { hi: '${ $secrets.key }' } } }
schedule: { cron: 7 }
do:
  - first: { set: { a: '${ .a ' }, unknown: 1, then: second }
  - second: { wait: PT1S, set: { b: 1 } }
  - third:
      do:
        - inner: { call: http, with: { method: gett, endpoint: 'https://a.example' } }
        - broken: { listen: { to: { any: [ 7 ] } } }
        - last: { set: { x: '${ nothing_known }' }, then: broken }
  - fourth: { set: { c: 1 }, then: nowhere }
  - { a: { set: { d: 1 } }, b: { set: { d: 2 } } }
  - sixth: { switch: [ { one: { when: '.a ==', then: first } }, { two: { when: '.b ==', then: fift } } ] }
";
    let problems = nexus_flows::publish(text).map(|_| ()).expect_err("refused");
    let found: Vec<&str> = problems.list().iter().map(|problem| problem.path.as_str()).collect();
    let expected = [
        "/document/version",
        "/use/secrets",
        "/schedule/cron",
        "/do/0/first/unknown",
        "/do/0/first/set/a",
        "/do/1/second",
        "/do/2/third/do/0/inner/with/method",
        "/do/2/third/do/1/broken/listen/to/any/0",
        "/do/2/third/do/2/last/set/x",
        "/do/4",
        "/do/5/sixth/switch/0/one/when",
        "/do/5/sixth/switch/1/two/when",
    ];
    assert_eq!(found, expected, "{problems}");
    let lines: Vec<Option<usize>> = problems.list().iter().map(|problem| problem.line).collect();
    assert!(lines.is_sorted() && lines.iter().all(Option::is_some), "{lines:?}");
    for text in ["[]", "7", "document: 1", "do: 1", "document: {}\ndo: {}", "a: 1"] {
        assert!(nexus_flows::publish(text).is_err(), "{text}");
    }
}

#[test]
fn every_fault_of_every_place_of_a_document_is_refused_for_that_alone() {
    let text = include_str!("../../templates/retry.yaml");
    let source = yaml::parse(text).expect("a template");
    let mut places = Vec::new();
    collect(&source.value, String::new(), &mut places);
    for place in places {
        let mut broken = source.value.clone();
        *broken.pointer_mut(&place).expect("it is there") = serde_json::json!([[7]]);
        let Err(problems) = nexus_flows::publish(&broken.to_string()) else { continue };
        let beside = |problem: &nexus_flows::problem::Problem| {
            let within = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
            !within(&problem.path, &place) && !within(&place, &problem.path)
        };
        assert!(!problems.list().iter().any(beside), "{place}: {problems}");
    }
}

fn collect(value: &serde_json::Value, at: String, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| collect(field, format!("{at}/{}", name.replace('/', "~1")), found));
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| collect(item, format!("{at}/{n}"), found));
        }
        _ => {}
    }
    if !at.is_empty() {
        found.push(at);
    }
}

#[test]
fn a_text_that_is_no_whole_expression_is_told_what_it_lacks() {
    let head = "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\ndo:\n";
    for (task, words) in [
        ("- a: { set: { x: '${ .name' } }\n", "its } is missing: write ${ .name }"),
        ("- a: { set: { x: '${ {a: 1 }' } }\n", ""),
        ("- a: { set: { x: 1 }, if: '${ .a' }\n", "its } is missing"),
        ("- a: { set: { x: '${ .a } and more' } }\n", "an expression must be the whole text"),
        ("- a: { set: { x: 'Hello ${ .name }' } }\n", "write ${ \"Hello \\(.name)\" } instead"),
    ] {
        let problems = nexus_flows::publish(&format!("{head}{task}")).map(|_| ()).expect_err(task);
        assert!(problems.to_string().contains(words), "{task}{problems}");
    }
    let error = nexus_flows::publish("document:\n  a: [\n").map(|_| ()).expect_err("no YAML");
    let shown = error.to_string();
    assert!(shown.starts_with("/ (line ") && shown.contains("not YAML: "), "{shown}");
    assert_eq!(shown.matches("line").count(), 1, "{shown}");
}
