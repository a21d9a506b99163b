//! Flow files without a hub, as scripts use them.

use std::path::Path;

use serde_json::Value;

use crate::hub::{run, text};

/// A command that must end with this code: what it printed, and what it complained of.
async fn flows(dir: &Path, args: &[&str], code: i32) -> (String, String) {
    let output = run(dir, &[&["flows"], args].concat()).await;
    let (out, complaint) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{complaint}");
    (out, complaint)
}

async fn json(dir: &Path, args: &[&str], code: i32) -> Value {
    let (out, _) = flows(dir, &[args, &["--json"]].concat(), code).await;
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}: {out}"))
}

fn write(dir: &Path, name: &str, content: &str) {
    std::fs::write(dir.join(name), content).expect("written");
}

#[tokio::test]
async fn a_new_flow_of_every_template_is_valid_and_passes_its_cases() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let listed = json(dir, &["new", "--list"], 0).await;
    let templates: Vec<&str> = listed.as_array().expect("a list").iter().filter_map(|t| t["name"].as_str()).collect();
    assert!(templates.contains(&"webhook-to-http") && templates.contains(&"approval"), "{templates:?}");
    for template in &templates {
        let out = format!("flows/{template}.yaml");
        let made =
            json(dir, &["new", &format!("my-{template}"), "--template", template, "--out", &out, "--cases"], 0).await;
        assert_eq!(made["flow"], format!("main/my-{template}@1.0.0"));
        let tested = json(dir, &["test", &out], 0).await;
        assert_eq!(tested["ok"], true);
        assert!(tested["cases"].as_array().is_some_and(|cases| !cases.is_empty()));
    }
    let checked = json(dir, &["validate", "."], 0).await;
    assert_eq!(checked["files"].as_array().map(Vec::len), Some(templates.len()), "cases are no flows: {checked}");
    let (_, complaint) = flows(dir, &["new", "other", "--out", "flows/retry.yaml"], 2).await;
    assert!(complaint.contains("is there already"), "{complaint}");
    let (_, complaint) = flows(dir, &["new", "other", "--template", "nothing"], 2).await;
    assert!(complaint.contains("there is no template \"nothing\""), "{complaint}");
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told_with_its_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let head = "document: { dsl: '1.0.3', namespace: main, name: a, version: '1.0.0' }\n";
    write(dir, "good.yaml", &format!("{head}do:\n- wait: {{ wait: PT1S }}\n"));
    write(
        dir,
        "bad.yaml",
        &format!("{head}do:\n- wait:\n    wait: soon\n- run:\n    run: {{ shell: {{ command: ls }} }}\n"),
    );
    write(dir, "broken.yaml", "document: [\n");
    let (out, complaint) = flows(dir, &["validate", "good.yaml", "bad.yaml", "broken.yaml"], 1).await;
    assert!(out.contains("good.yaml: main/a@1.0.0 is good"), "{out}");
    assert!(out.contains("bad.yaml:4: /do/0/wait/wait: \"soon\" is no duration"), "{out}");
    assert!(out.contains("bad.yaml:6: /do/1/run/run/shell: shell is not supported"), "{out}");
    assert!(out.contains("broken.yaml:2: /: not YAML: "), "{out}");
    assert!(complaint.contains("3 problems; 2 of 3 files can't be published"), "{complaint}");
    let report = json(dir, &["validate", "bad.yaml"], 1).await;
    assert_eq!((&report["ok"], &report["files"][0]["problems"][0]["line"]), (&Value::Bool(false), &Value::from(4)));
    write(dir, "twin.yaml", &format!("{head}do:\n- wait: {{ wait: PT2S }}\n"));
    let (out, _) = flows(dir, &["validate", "good.yaml", "twin.yaml"], 1).await;
    assert!(out.contains("good.yaml and twin.yaml are both main/a@1.0.0"), "{out}");
    let call = "call: 'connector.smart-factory.mint:1.0.0@default', with: { input: { address: a, amunt: 1 } }";
    write(dir, "calls.yaml", &format!("{head}do:\n- pay: {{ {call} }}\n"));
    let (out, _) = flows(dir, &["validate", "calls.yaml"], 1).await;
    assert!(out.contains("calls.yaml:3: /do/0/pay/with/input/amunt: mint takes no \"amunt\""), "{out}");
    assert!(out.contains("calls.yaml:3: /do/0/pay/with/input: mint needs \"amount\""), "{out}");
    write(dir, "calls.yaml", &format!("{head}do:\n- pay: {{ {} }}\n", call.replace("smart-factory", "smart-factry")));
    let (out, _) = flows(dir, &["validate", "calls.yaml"], 1).await;
    assert!(out.contains("calls.yaml:3: /do/0/pay/call: there is no connector \"smart-factry\""), "{out}");
    assert!(out.contains("did you mean \"smart-factory\"?") && out.contains("--connectors"), "{out}");
    let (_, complaint) = flows(dir, &["validate", "nothing.yaml"], 1).await;
    assert!(complaint.contains("nothing.yaml can't be read"), "{complaint}");
}

#[tokio::test]
async fn a_case_that_fails_says_what_was_expected() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    write(
        dir,
        "pay.yaml",
        "document: { dsl: '1.0.3', namespace: main, name: pay, version: '1.0.0' }\ndo:\n- ask: { call: http, with: { method: get, endpoint: https://pay.example/x } }\n- then-wait: { wait: PT1M }\n",
    );
    write(
        dir,
        "pay.cases.yaml",
        "cases:\n- { name: good, calls: [ { task: ask, answer: { body: { n: 1 } } } ], expect: { output: { n: 1 } } }\n- { name: other, calls: [ { task: ask, answer: { body: { n: 1 } } } ], expect: { output: { n: 2 } } }\n- { name: bare, expect: { status: completed } }\n",
    );
    let (out, complaint) = flows(dir, &["test", "pay.yaml"], 1).await;
    assert!(out.contains("pass  good   completed  PT1M\n"), "{out}");
    assert!(out.contains("output/n: 2 was expected, it is 1"), "{out}");
    assert!(out.contains("nothing answers; add to `calls`: - { task: ask, answer:"), "{out}");
    assert!(complaint.contains("2 of 3 cases failed"), "{complaint}");
    let report = json(dir, &["test", "pay.yaml", "--only", "good"], 0).await;
    assert_eq!(report["cases"][0]["rehearsal"]["calls"][0]["uri"], "https://pay.example/x");
    let (_, complaint) = flows(dir, &["test", "pay.cases.yaml", "pay.cases.yaml"], 1).await;
    assert!(complaint.contains("pay.cases.yaml:1: /"), "{complaint}");
    let (out, _) = flows(dir, &["graph", "pay.yaml"], 0).await;
    assert!(out.contains("n1[\"ask: call GET https://pay.example/x\"]") && out.contains("n1 --> n2"), "{out}");
    let (out, _) = flows(dir, &["graph", "pay.yaml", "--format", "dot"], 0).await;
    assert!(out.starts_with("digraph \"main/pay@1.0.0\" {"), "{out}");
    let graph = json(dir, &["graph", "pay.yaml", "--format", "json"], 0).await;
    assert_eq!(graph["edges"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn the_shipped_flows_are_valid_and_pass_their_cases() {
    let dir = tempfile::tempdir().expect("a folder");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../flows");
    let folder = shipped.to_str().expect("text");
    let checked = json(dir.path(), &["validate", folder], 0).await;
    let files = checked["files"].as_array().expect("files");
    assert_eq!(files.len(), 6, "{checked}");
    for file in files {
        let path = file["file"].as_str().expect("a path");
        let tested = json(dir.path(), &["test", path], 0).await;
        assert!(tested["cases"].as_array().is_some_and(|cases| cases.len() >= 3), "{path} has too few cases: {tested}");
    }
}

#[tokio::test]
async fn the_functions_of_the_hub_are_shown_and_calls_of_them_checked_without_a_hub() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let all = json(dir, &["functions"], 0).await;
    let names: Vec<&str> = all.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(["publish", "state.set", "approval", "connector."].iter().all(|name| names.contains(name)), "{names:?}");
    let (one, _) = flows(dir, &["functions", "state.set"], 0).await;
    assert!(one.contains("state.set:1.0.0@default") && one.contains("expected_version"), "{one}");
    let (_, complaint) = flows(dir, &["functions", "state.put"], 2).await;
    assert!(
        complaint.contains("did you mean \"state.get\"?") || complaint.contains("did you mean \"state.set\"?"),
        "{complaint}"
    );
    write(
        dir,
        "calls.yaml",
        "document: { dsl: '1.0.3', namespace: main, name: calls, version: '1.0.0' }\nschedule: { on: { one: { with: { type: a, sorce: b } } } }\ndo:\n- a: { call: 'state.set:1.0.0@default', with: { key: k, valu: 1 } }\n- b: { call: 'stat.get:1.0.0@default', with: { key: k } }\n",
    );
    let (out, _) = flows(dir, &["validate", "calls.yaml"], 1).await;
    for words in [
        "calls.yaml:4: /do/0/a/with/valu: state.set takes no \"valu\"",
        "did you mean \"value\"?",
        "did you mean \"state.get\"?",
    ] {
        assert!(out.contains(words), "{words} is not in {out}");
    }
    let text = std::fs::read_to_string(dir.join("calls.yaml")).expect("a file");
    write(dir, "calls.yaml", &text.replace("valu:", "value:").replace("stat.get", "state.get"));
    let (out, _) = flows(dir, &["validate", "calls.yaml"], 0).await;
    assert!(
        out.contains("calls.yaml:2: warning: /schedule/on/one/with/sorce: ")
            && out.contains("did you mean \"source\"?"),
        "{out}"
    );
}
