//! Flows that would harm: circles, private addresses, secrets, missing rights, things too large.

use std::path::Path;

use nexus_core::access::Principal;
use serde_json::{Value, json};

use super::{life::Life, stand_in::StandIn};

fn echo(name: &str, hears: &str, says: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0' }}\nschedule: {{ on: {{ one: {{ with: {{ type: {hears} }} }} }} }}\ndo:\n  - say: {{ emit: {{ event: {{ with: {{ source: 'https://shop.example', type: {says}, data: {{}} }} }} }} }}\n"
    )
}

fn ends_at_sixteen(life: &Life, topics: &[&str]) {
    let before = life.event(topics[0], json!({}));
    life.wait_for("the end of the circle", || {
        if life.data("flow.circle_stopped").is_empty() { Err(String::new()) } else { Ok(()) }
    });
    life.advance(60);
    let depths: Vec<u8> = life.log().iter().filter(|e| topics.contains(&e.topic.as_str())).map(|e| e.depth).collect();
    assert_eq!(depths, (0..=16).collect::<Vec<u8>>());
    let stopped = life.data("flow.circle_stopped");
    assert_eq!(stopped.len(), 1, "{stopped:#?}");
    let chain = stopped[0]["chain"].as_array().expect("a chain");
    assert_eq!((chain.len(), &chain[0]["id"]), (17, &json!(before.id)));
    assert!(stopped[0]["reason"].as_str().is_some_and(|reason| reason.contains("16")), "{}", stopped[0]);
}

#[test]
fn a_flow_that_begins_itself_is_stopped_at_sixteen_with_the_circle_shown() {
    let life = Life::new();
    life.publish(&echo("self", "ping", "ping"));
    ends_at_sixteen(&life, &["ping"]);
}

#[test]
fn two_flows_in_a_circle_are_stopped_at_sixteen_with_the_circle_shown() {
    let life = Life::new();
    life.publish(&echo("one", "ping", "pong"));
    life.publish(&echo("two", "pong", "ping"));
    ends_at_sixteen(&life, &["ping", "pong"]);
}

#[test]
fn a_flow_that_hears_everything_hears_of_its_own_circle_only_so_often() {
    let life = Life::new();
    life.publish(
        "document: { dsl: '1.0.3', namespace: t, name: all, version: '1.0.0' }\nschedule: { on: { any: [] } }\ndo:\n  - nothing: { set: { ok: true } }\n",
    );
    life.advance(60);
    let count = life.log().len();
    life.advance(600);
    assert_eq!(life.log().len(), count, "it has come to rest");
}

#[test]
fn a_flow_calls_private_addresses_only_if_its_publisher_may() {
    let stand_in = StandIn::new();
    let life = Life::new();
    let text = |name: &str| {
        format!(
            "document: {{ dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0' }}\ndo:\n  - ask: {{ call: http, with: {{ method: post, endpoint: {}/in, body: {{}} }} }}\n",
            stand_in.url
        )
    };
    let who = |scopes: &[&str]| Principal::new("token:ci", scopes.iter().map(|s| s.parse().expect("a scope")));
    life.try_publish(&text("outside"), &who(&["flows:publish"])).expect("published");
    life.try_publish(&text("inside"), &who(&["flows:publish", "endpoints:private"])).expect("published");
    let (outside, inside) = (life.start("t/outside", Value::Null), life.start("t/inside", Value::Null));
    life.until(&inside, "completed");
    let error = life.until(&outside, "faulted").error.expect("an error");
    let detail = error.detail.unwrap_or_default();
    assert!(detail.contains("127.0.0.1") && detail.contains("endpoints:private"), "{detail}");
    assert_eq!((error.instance.as_deref(), stand_in.hits().len()), (Some("/do/0/ask"), 1));
}

#[test]
fn what_a_publisher_may_not_do_its_flow_is_refused_for_by_name() {
    let life = Life::new();
    life.secret("api", "k");
    let head = "document: { dsl: '1.0.3', namespace: t, name: x, version: '1.0.0' }\n";
    let who = Principal::new("token:ci", ["flows:publish".parse().expect("a scope")]);
    for (body, scope) in [
        ("use: { secrets: [api] }\ndo:\n  - a: { set: { ok: true } }\n", "secrets:use:api"),
        ("do:\n  - a: { emit: { event: { with: { source: 'https://a.example', type: a } } } }\n", "events:publish"),
        ("do:\n  - a: { run: { workflow: { namespace: t, name: inner, version: '1.0.0' } } }\n", "flows:run:t/inner"),
    ] {
        let problem = life.try_publish(&format!("{head}{body}"), &who).unwrap_err();
        assert!(problem.message.contains(scope) && problem.message.contains("token:ci"), "{}", problem.message);
    }
    let some =
        Principal::new("token:ci", ["flows:publish", "events:publish:other"].map(|s| s.parse().expect("a scope")));
    life.try_publish(
        &format!("{head}do:\n  - a: {{ call: 'publish:1.0.0@default', with: {{ type: '${{ .type }}' }} }}\n"),
        &some,
    )
    .expect("what it publishes is known when it does");
    let error = life.until(&life.start("t/x", json!({"type": "said"})), "faulted").error.expect("an error");
    assert!(error.detail.as_deref().is_some_and(|d| d.contains("events:publish:said")), "{error:?}");
    assert!(life.data("said").is_empty());
}

#[test]
fn a_flow_that_would_begin_all_the_time_is_refused() {
    let life = Life::new();
    for schedule in ["every: PT0S", "every: PT0.001S", "after: { milliseconds: 999 }"] {
        let text = format!(
            "document: {{ dsl: '1.0.3', namespace: t, name: hot, version: '1.0.0' }}\nschedule: {{ {schedule} }}\ndo:\n  - a: {{ set: {{ ok: true }} }}\n"
        );
        let problem = life.try_publish(&text, &Principal::admin("test")).unwrap_err();
        assert!(format!("{problem:?}").contains("at least one second"), "{schedule}: {problem:?}");
    }
}

fn holds(folder: &Path, wanted: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let bytes = if entry.is_file() { std::fs::read(&entry).expect("readable") } else { continue };
        if bytes.windows(wanted.len()).any(|window| window == wanted) {
            found.push(entry.display().to_string());
        }
    }
    found
}

#[test]
fn a_secret_reaches_the_other_side_and_no_file_of_the_hub() {
    const SECRET: &str = "kq7-very-secret-93xz";
    let stand_in = StandIn::new();
    let life = Life::new();
    life.secret("api", SECRET);
    let text = r"
document: { dsl: '1.0.3', namespace: t, name: secret, version: '1.0.0', metadata: { nexus.dev/taskEvents: true } }
use: { secrets: [api] }
do:
  - body: { call: http, with: { method: post, endpoint: URL/body, body: { key: '${ $secrets.api }' }, headers: { x-key: '${ $secrets.api }' } } }
  - bearer: { call: http, with: { method: get, endpoint: { uri: URL/bearer, authentication: { bearer: { token: '${ $secrets.api }' } } } } }
  - said: { emit: { event: { with: { source: 'https://shop.example', type: said, data: { all: '${ . }', key: '${ $secrets.api }' } } } } }
  - gone: { call: http, with: { method: get, endpoint: 'http://127.0.0.1:9/', query: { key: '${ $secrets.api }' } } }
";
    life.publish(&text.replace("URL", &stand_in.url));
    let run = life.start("t/secret", Value::Null);
    let view = life.until(&run, "faulted");
    assert_eq!(view.error.as_ref().and_then(|e| e.instance.as_deref()), Some("/do/3/gone"), "{view:#?}");
    let hits = stand_in.hits();
    assert_eq!((&hits[0].body["key"], hits[0].headers["x-key"].as_str()), (&json!(SECRET), SECRET));
    assert_eq!(hits[1].headers["authorization"], format!("Bearer {SECRET}"));
    let shown = format!("{view:?} {:?} {:?}", life.steps(&run), life.log());
    assert!(!shown.contains(SECRET) && shown.contains("[secret api]"), "{shown}");
    let place = life.crash();
    assert!(
        holds(place.folder.path(), b"[secret api]").len() == 1 || !holds(place.folder.path(), b"secret").is_empty()
    );
    assert_eq!(holds(place.folder.path(), SECRET.as_bytes()), Vec::<String>::new());
}

#[test]
fn what_is_too_large_ends_the_run_with_a_clear_error_and_not_the_hub() {
    let stand_in = StandIn::new();
    let life = Life::new();
    let head =
        |name: &str| format!("document: {{ dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0' }}\ndo:\n");
    let large = "'${ [range(40000)] | map(\"0123456789\") | join(\"\") }'";
    life.publish(&format!(
        "{}  - a: {{ call: http, with: {{ method: get, endpoint: {}/bytes/300000 }} }}\n",
        head("answer"),
        stand_in.url
    ));
    life.publish(&format!("{}  - a: {{ set: {{ text: {large} }} }}\n  - b: {{ wait: PT1S }}\n", head("state")));
    life.publish(&format!(
        "{}  - a: {{ emit: {{ event: {{ with: {{ source: 'https://a.example', type: big, data: {large} }} }} }} }}\n",
        head("event")
    ));
    life.publish(&format!("{}  - a: {{ emit: {{ event: {{ with: {{ source: 'https://a.example', type: '${{ .type }}', data: {{}} }} }} }} }}\n", head("name")));
    for (flow, input, words) in [
        ("t/answer", Value::Null, "204800 bytes"),
        ("t/state", Value::Null, "bytes"),
        ("t/event", Value::Null, "bytes"),
        ("t/name", json!({"type": "no good name!"}), "type"),
    ] {
        let run = life.start(flow, input);
        let error = life.until(&run, "faulted").error.expect("an error");
        assert!(error.detail.as_deref().is_some_and(|detail| detail.contains(words)), "{flow}: {error:?}");
    }
    assert!(life.data("big").is_empty());
    let run = life.start("t/name", json!({"type": "good.name"}));
    life.until(&run, "completed");
}

#[test]
fn flows_run_flows_eight_levels_deep_and_no_deeper() {
    let life = Life::new();
    life.publish("document: { dsl: '1.0.3', namespace: t, name: f9, version: '1.0.0' }\ndo:\n  - last: { set: { deep: true } }\n");
    for n in (0..9).rev() {
        life.publish(&format!("document: {{ dsl: '1.0.3', namespace: t, name: f{n}, version: '1.0.0' }}\ndo:\n  - sub: {{ run: {{ workflow: {{ namespace: t, name: f{}, version: '1.0.0' }} }} }}\n", n + 1));
    }
    let fits = life.start("t/f1", Value::Null);
    assert_eq!(life.until(&fits, "completed").output, Some(json!({"deep": true})));
    let deeper = life.start("t/f0", Value::Null);
    let error = life.until(&deeper, "faulted").error.expect("an error");
    assert!(error.detail.as_deref().is_some_and(|d| d.contains("8 levels") && d.contains("t/f9")), "{error:?}");
    assert_eq!(life.runs("t/f9").len(), 1);
}

#[test]
fn a_flow_is_taken_with_a_warning_where_a_connection_or_an_attribute_is_missing() {
    let life = Life::new();
    life.publish(
        "document: { dsl: '1.0.3', namespace: t, name: warned, version: '1.0.0' }\nschedule:\n  on: { one: { with: { typ: order.paid } } }\ndo:\n  - post:\n      call: connector.slack.message.post:1.0.0@default\n      with: { input: { channel: C1, text: hi } }\n  - ask:\n      call: approval:1.0.0@default\n      with:\n        title: Pay?\n        notify: { connector: discord, operation: message.post, connection: ours }\n  - known: { call: 'connector.slack.message.post:1.0.0@default', with: { connection: '${ .account }', input: { channel: C1, text: hi } } }\n",
    );
    let held = life.flows.held("t/warned").expect("published");
    let found: Vec<String> = life.run(life.flows.warnings(&held)).iter().map(ToString::to_string).collect();
    for (found, words) in found.iter().zip([
        ["/schedule/on/one/with/typ (line 3)", "taken for an extension", "did you mean \"type\"?"],
        ["/do/0/post/with (line 7)", "slack has no connection", "nexus connections add NAME --connector slack"],
        ["/do/1/ask/with/notify (line 12)", "there is no connection \"ours\"", "until then this task fails"],
    ]) {
        assert!(words.iter().all(|word| found.contains(word)), "{found}");
    }
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn a_flow_is_taken_with_a_warning_where_a_secret_is_missing() {
    let life = Life::new();
    life.secret("there", "a-value");
    life.publish(
        "document: { dsl: '1.0.3', namespace: t, name: keys, version: '1.0.0' }\nuse:\n  secrets:\n    - there\n    - apikey\ndo:\n  - a: { set: { x: 1 } }\n",
    );
    let warned = || {
        let held = life.flows.held("t/keys").expect("published");
        life.run(life.flows.warnings(&held)).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let found = warned();
    let [one] = &*found else { panic!("{found:#?}") };
    for words in ["/use/secrets/1 (line 5)", "there is no secret \"apikey\"", "nexus secret set apikey"] {
        assert!(one.contains(words), "{one}");
    }
    life.secret("apikey", "a-value");
    assert!(warned().is_empty());
}

#[test]
fn a_call_of_a_function_that_can_not_succeed_is_refused_with_all_that_is_wrong() {
    let life = Life::new();
    let refused = life
        .try_publish(
            "document: { dsl: '1.0.3', namespace: t, name: wrong, version: '1.0' }\ndo:\n  - a: { call: 'publish:1.0.0@default', with: { typ: x } }\n  - b: { set: { n: '${ .n' }, metadat: 1 }\n  - c: { call: 'notfy:1.0.0@default', with: { text: x } }\n  - d: { call: 'bucket:2.0.0@default', with: { test: t, key: k, variants: [a, 2] } }\n",
            &Principal::admin("test"),
        )
        .expect_err("refused");
    let listed = refused.facts.get("problems").map(ToString::to_string).unwrap_or_default();
    for words in [
        "/document/version",
        "publish takes no",
        "publish needs",
        "/do/1/b/metadat",
        "its } is missing",
        "did you mean \\\"notify\\\"?",
        "has no version 2.0.0",
        "/do/3/d/with/variants/1",
    ] {
        assert!(listed.contains(words), "{words:?} is not in {listed}");
    }
    let refused = life.try_publish("a: [", &Principal::admin("test")).expect_err("no YAML");
    assert_eq!(refused.message.matches("line").count(), 1, "its place is named once: {}", refused.message);
}
