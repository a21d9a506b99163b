//! Runs feature files over the interpreter: the published test kit, unedited, and our own in the same style.

use std::{cell::RefCell, path::Path, rc::Rc};

use nexus_flows::{
    effect::{HttpResponse, Input, Outcome, Outgoing},
    error::{FlowError, Standard, same_kind},
    publish,
    run::{RetryError, choose},
    yaml,
};
use serde_json::{Value, json};

use crate::{
    driver::{World, json_answer},
    gherkin::{self, Scenario, Step},
    specs,
};

/// The pets that the test kit asks for, and the login it tries; everything else answers as its path says.
fn outside(request: &Outgoing) -> Result<HttpResponse, FlowError> {
    let rest = request.uri.split_once("://").map_or(request.uri.as_str(), |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments: Vec<&str> = path.split('/').collect();
    let pet = |id: u32| json!({"id": id, "name": format!("pet-{id}"), "status": "available"});
    Ok(match (host, segments.as_slice()) {
        ("petstore.swagger.io", ["v2", "pet", "findByStatus"]) if query == "status=available" => {
            json_answer(200, &json!([pet(1), pet(2)]))
        }
        ("petstore.swagger.io", ["v2", "pet", "1"]) => json_answer(200, &pet(1)),
        ("petstore.swagger.io", ["v2", "pet", "2"]) => json_answer(200, &pet(2)),
        ("petstore.swagger.io", ["v2", "swagger.json"]) => json_answer(200, &petstore()),
        ("httpbin.org", ["basic-auth", user, password]) => {
            let given = request.authentication.as_ref().map(|a| a.parameters.clone()).unwrap_or_default();
            if given == json!({"username": user, "password": password}) {
                json_answer(200, &json!({"authenticated": true}))
            } else {
                json_answer(401, &json!({}))
            }
        }
        ("test.example", ["status", status]) => json_answer(status.parse().unwrap_or(500), &json!({"status": status})),
        ("test.example", ["echo"]) => {
            let body: Value = request.body.as_deref().and_then(|b| serde_json::from_slice(b).ok()).unwrap_or_default();
            json_answer(
                200,
                &json!({"method": request.method, "headers": request.headers, "query": query, "body": body,
                "authentication": request.authentication.as_ref().map(|a| a.parameters.clone())}),
            )
        }
        ("unreachable.example", _) => {
            return Err(FlowError::new(Standard::Communication, "could not connect").with_status(503));
        }
        _ => json_answer(404, &json!({"message": "not found"})),
    })
}

fn petstore() -> Value {
    let query =
        json!([{"name": "status", "in": "query", "required": true, "type": "array", "collectionFormat": "multi"}]);
    let path = json!([{"name": "petId", "in": "path", "required": true, "type": "integer"}]);
    json!({
        "swagger": "2.0", "host": "petstore.swagger.io", "basePath": "/v2", "schemes": ["https", "http"],
        "paths": {
            "/pet/findByStatus": {"get": {"operationId": "findPetsByStatus", "parameters": query}},
            "/pet/{petId}": {"get": {"operationId": "getPetById", "parameters": path}},
        }
    })
}

/// Where a scenario stands.
struct Scene {
    world: World,
    flow: Option<String>,
    refused: Option<String>,
    input: Value,
    run: String,
    /// Answers that come before those of `outside`, per path.
    queued: Rc<RefCell<Vec<(String, u16, Value)>>>,
}

fn doc(step: &Step) -> Value {
    let text = step.doc.as_deref().expect("a doc string");
    yaml::parse(text).map(|source| source.value).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The texts between quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('\'').skip(1).step_by(2).collect()
}

fn at_path<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |at, key| match at {
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        other => other.get(key),
    })
}

fn millis(text: &str) -> i64 {
    i64::try_from(nexus_flows::duration::parse(text).expect("a duration").as_millis()).expect("small")
}

impl Scene {
    fn new(crash: Option<Box<dyn FnMut() -> bool>>) -> Self {
        let queued: Rc<RefCell<Vec<(String, u16, Value)>>> = Rc::default();
        let answers = Rc::clone(&queued);
        let mut world = World::new(Box::new(move |request, _| {
            let mut answers = answers.borrow_mut();
            match answers.iter().position(|(path, ..)| request.uri.contains(path.as_str())) {
                Some(n) => {
                    let (_, status, body) = answers.remove(n);
                    Ok(json_answer(status, &body))
                }
                None => outside(request),
            }
        }));
        if let Some(crash) = crash {
            world = world.crashing(crash);
        }
        Self { world, flow: None, refused: None, input: Value::Null, run: String::new(), queued }
    }

    fn output(&self) -> Value {
        match self.world.outcome(&self.run) {
            Some(Outcome::Completed { output }) => output,
            other => panic!("not completed: {other:?}, waiting for {:?}", self.world.waiting(&self.run)),
        }
    }

    fn error(&self) -> FlowError {
        match self.world.outcome(&self.run) {
            Some(Outcome::Faulted { error }) => error,
            other => panic!("not faulted: {other:?}"),
        }
    }

    fn step(&mut self, step: &Step) {
        let text = step.text.trim_end_matches(':').trim();
        if !(self.given(text, step)
            || self.acts(text, step)
            || self.then_output(text, step)
            || self.then_run(text, step))
        {
            panic!("no such step: {}", step.text);
        }
    }

    fn given(&mut self, text: &str, step: &Step) -> bool {
        match text {
            "a workflow with definition" => {
                let document = step.doc.as_deref().expect("a document");
                match publish(document) {
                    Ok(_) => {
                        let name = self.world.publish(document);
                        // The last one given is the one that is executed.
                        self.flow = Some(name);
                    }
                    Err(problems) => self.refused = Some(problems.to_string()),
                }
            }
            "given the workflow input is" | "the workflow input is" => self.input = doc(step),
            "the secrets are" => {
                let Value::Object(map) = doc(step) else { panic!("a map of secrets") };
                self.world.secrets = map.into_iter().collect();
            }
            _ if text.ends_with("answers once with") || text.contains("' answers ") => {
                let [path, status] = quoted(text)[..] else { panic!("a path and a status") };
                let body = step.doc.as_ref().map(|_| doc(step)).unwrap_or_default();
                self.queued.borrow_mut().push((path.to_owned(), status.parse().expect("a status"), body));
            }
            _ => return false,
        }
        true
    }

    fn acts(&mut self, text: &str, step: &Step) -> bool {
        match text {
            "the workflow is executed" => {
                let flow = self.flow.clone().unwrap_or_else(|| panic!("refused: {:?}", self.refused));
                self.run = self.world.start(&flow, self.input.clone());
                // As the test kit has it: to its end, unless it waits for something that does not come by itself.
                if !self.world.state(&self.run).status.has_ended() && self.world.waiting(&self.run).is_empty() {
                    self.world.finish(&self.run);
                }
            }
            "the event comes" => self.world.event(doc(step)),
            "the workflow is cancelled" => self.tell(Input::Cancel),
            "the workflow is suspended" => self.tell(Input::Suspend),
            "the workflow is resumed" => self.tell(Input::Resume),
            "the hub restarts" => self.world.restart(),
            "it runs to its end" => self.world.finish(&self.run),
            _ if text.ends_with(" passes") => self.world.pass(millis(text.trim_end_matches(" passes"))),
            _ if text.starts_with("it is retried from ") => {
                let task = self.choose(quoted(text)[0]).unwrap_or_else(|error| panic!("{error}"));
                self.tell(Input::RetryFrom { task });
            }
            _ => return false,
        }
        true
    }

    fn choose(&self, asked: &str) -> Result<String, RetryError> {
        let state = self.world.state(&self.run);
        choose(&self.world.definitions[&state.flow.to_string()], &state, Some(asked).filter(|asked| !asked.is_empty()))
    }

    fn tell(&mut self, input: Input) {
        let run = self.run.clone();
        assert!(self.world.tell(&run, input), "it was ignored");
        self.world.settle();
    }

    fn then_output(&mut self, text: &str, step: &Step) -> bool {
        if text == "the workflow should complete" {
            self.output();
        } else if text == "the workflow should complete with output" {
            assert_eq!(self.output(), doc(step));
        } else if text.starts_with("the workflow output should have properties") {
            let output = self.output();
            for path in quoted(text) {
                assert!(at_path(&output, path).is_some(), "{path} is not in {output}");
            }
        } else if text.starts_with("the workflow output should have a '") && text.ends_with("with value") {
            let output = self.output();
            assert_eq!(at_path(&output, quoted(text)[0]), Some(&doc(step)), "{output}");
        } else if text.starts_with("the workflow output should have a '") && text.ends_with(" items") {
            let output = self.output();
            let count: usize = text.split(' ').rev().nth(1).and_then(|n| n.parse().ok()).expect("a number");
            let items = at_path(&output, quoted(text)[0]).and_then(Value::as_array).map(Vec::len);
            assert_eq!(items, Some(count), "{output}");
        } else {
            return false;
        }
        true
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each sentence of the language")]
    fn then_run(&mut self, text: &str, step: &Step) -> bool {
        let words: Vec<&str> = text.split(' ').collect();
        let began = self.world.began();
        let at =
            |name: &str| began.iter().position(|began| *began == name).unwrap_or_else(|| panic!("{name} did not run"));
        match (text, words.as_slice()) {
            ("the workflow should fault", _) => {
                self.error();
            }
            ("the workflow should fault with error", _) => {
                let error = self.error().to_value();
                for (key, value) in doc(step).as_object().expect("a map") {
                    let same = match (key.as_str(), error["type"].as_str(), value.as_str()) {
                        ("type", Some(a), Some(b)) => same_kind(a, b),
                        _ => &error[key] == value,
                    };
                    assert!(same, "{key}: {value} is not in {error}");
                }
            }
            ("the workflow should be cancelled", _) => {
                assert_eq!(self.world.outcome(&self.run), Some(Outcome::Cancelled));
            }
            ("the workflow should still wait", _) => {
                assert!(!self.world.waiting(&self.run).is_empty());
                assert_eq!(self.world.outcome(&self.run), None);
            }
            ("the workflow should wait for", _) => {
                let waiting = serde_json::to_value(self.world.waiting(&self.run)).expect("JSON");
                let wanted = doc(step);
                assert!(contains(&waiting, &wanted), "{wanted} is not in {waiting}");
            }
            ("the definition should be refused with", _) => {
                let refused = self.refused.clone().expect("it was accepted");
                for line in step.doc.as_deref().expect("words").lines() {
                    assert!(refused.contains(line.trim()), "{line:?} is not in:\n{refused}");
                }
            }
            (_, ["retrying", "it", "from", ..]) => {
                let refused = self.choose(quoted(text)[0]).expect_err("it can be done again").to_string();
                for line in step.doc.as_deref().expect("words").lines() {
                    assert!(refused.contains(line.trim()), "{line:?} is not in: {refused}");
                }
            }
            ("the events published should be", _) => {
                let published: Vec<Value> = self.world.log.clone();
                let wanted = doc(step);
                assert!(contains(&Value::Array(published.clone()), &wanted), "{wanted} is not in {published:?}");
                assert_eq!(published.len(), wanted.as_array().map_or(0, Vec::len), "{published:?}");
            }
            ("nothing stored, published or shown should hold", _) => {
                self.holds_nowhere(step.doc.as_deref().expect("a text").trim());
            }
            (_, [name, "should", "run", "first"]) => assert_eq!(at(name), 0, "{began:?}"),
            (_, [name, "should", "run", "last"]) => assert_eq!(began.last(), Some(name), "{began:?}"),
            (_, [name, "should", "run", "after", other]) => assert!(at(name) > at(other), "{began:?}"),
            (_, [name, "should", "run", "before", other]) => assert!(at(name) < at(other), "{began:?}"),
            (_, [name, "should", "not", "run"]) => assert!(!began.contains(name), "{began:?}"),
            (_, [name, "should", "run", count, "times"]) => {
                let times = began.iter().filter(|began| *began == name).count();
                assert_eq!(times.to_string(), *count, "{began:?}");
            }
            (_, [count, "requests", "should", "have", "been", "made"]) => {
                assert_eq!(self.world.performed.len().to_string(), *count);
            }
            (_, ["all", "requests", "should", "carry", "one", "key"]) => {
                let first = &self.world.performed[0].0;
                assert!(self.world.performed.iter().all(|(key, _)| key == first));
            }
            (_, ["all", "requests", "should", "carry", "different", "keys"]) => {
                let keys: std::collections::BTreeSet<&String> =
                    self.world.performed.iter().map(|(key, _)| key).collect();
                assert_eq!(keys.len(), self.world.performed.len());
            }
            (_, ["the", "lifecycle", "should", "be", ..]) => {
                let kinds: Vec<&str> = self.world.lifecycle.iter().map(|(kind, _)| kind.as_str()).collect();
                let short: Vec<String> = kinds
                    .iter()
                    .map(|kind| kind.trim_start_matches("io.serverlessworkflow.").trim_end_matches(".v1").to_owned())
                    .collect();
                assert_eq!(short, quoted(text));
            }
            _ => return false,
        }
        true
    }

    fn holds_nowhere(&self, secret: &str) {
        let state = serde_json::to_string(&self.world.state(&self.run)).expect("JSON");
        let published = format!("{:?} {:?} {:?}", self.world.log, self.world.lifecycle, self.world.steps);
        for (what, text) in [("the state", state), ("what was published", published)] {
            assert!(!text.contains(secret), "{secret} is in {what}: {text}");
        }
    }
}

/// True when everything in `wanted` is in `value`; lists by position.
fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| value.get(key).is_some_and(|value| contains(value, wanted)))
        }
        (Value::Array(value), Value::Array(wanted)) => {
            value.len() >= wanted.len() && wanted.iter().zip(value).all(|(wanted, value)| contains(value, wanted))
        }
        _ => value == wanted,
    }
}

fn play(scenario: &Scenario, crash: Option<Box<dyn FnMut() -> bool>>) -> Scene {
    let mut scene = Scene::new(crash);
    for step in &scenario.steps {
        scene.step(step);
    }
    scene
}

/// Runs every scenario of a folder; says how many passed, and fails with the names of the others.
fn run(folder: &Path, crash: impl Fn() -> Option<Box<dyn FnMut() -> bool>>) -> usize {
    let mut failed = Vec::new();
    let mut passed = 0;
    for (file, text) in specs::files(folder, ".feature") {
        for scenario in gherkin::parse(&text) {
            let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(&scenario, crash())));
            match played {
                Ok(_) => passed += 1,
                Err(panic) => {
                    let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    failed.push(format!("{file}: {} / {}: {words}", scenario.feature, scenario.name));
                }
            }
        }
    }
    println!("{} scenarios ({passed} passed)", passed + failed.len());
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    passed
}

fn own() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/features")
}

#[test]
fn ctk_every_scenario_of_the_published_test_kit_passes() {
    let folder = match std::env::var_os("CTK") {
        Some(folder) => Some(folder.into()),
        None => specs::folder("v1.0.3/ctk/features"),
    };
    let Some(folder) = folder else { return };
    assert_eq!(run(&folder, || None), 21);
}

#[test]
fn ctk_passes_when_the_hub_restarts_after_every_step() {
    let Some(folder) = specs::folder("v1.0.3/ctk/features") else { return };
    assert_eq!(run(&folder, || Some(Box::new(|| true))), 21);
}

#[test]
fn our_own_scenarios_pass() {
    assert!(run(&own(), || None) >= 30);
}

#[test]
fn our_own_scenarios_pass_when_the_hub_restarts_after_every_step() {
    run(&own(), || Some(Box::new(|| true)));
}

/// For every scenario and every step of it: the hub dies right after it, once, and the scenario still holds.
#[test]
fn our_own_scenarios_pass_with_a_crash_at_every_node() {
    let mut crashes = 0;
    for n in 0..200 {
        let reached = Rc::new(RefCell::new(false));
        for (_, text) in specs::files(&own(), ".feature") {
            for scenario in gherkin::parse(&text) {
                let seen = Rc::clone(&reached);
                let mut at = 0;
                play(
                    &scenario,
                    Some(Box::new(move || {
                        at += 1;
                        *seen.borrow_mut() |= at == n + 1;
                        at == n + 1
                    })),
                );
            }
        }
        if !*reached.borrow() {
            break;
        }
        crashes += 1;
    }
    println!("crashed after each of up to {crashes} steps");
    assert!(crashes > 5);
}
