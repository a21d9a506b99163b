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
