//! Crash at every node: each script is played once in peace, then once for every commit with the plug pulled before and after
//! it, and once for every commit of a run with its answer lost, or refused. It must come out the same.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use nexus_core::{access::Principal, time::Clock};
use nexus_flows::{
    effect::StepPhase,
    host::{Publishing, RunFilter, record::Listening},
};
use serde_json::{Value, json};

use super::{
    life::{Life, Place, asked, event},
    plug::Trouble,
    stand_in::StandIn,
};

/// One thing that happens. Where a crash cuts it off it is repeated, as a client would.
#[derive(Clone)]
enum Act {
    Start(&'static str, Value),
    Event(&'static str, Value),
    Advance(u64),
    Settle,
    /// So many runs there are, and all have ended.
    Ended(usize),
}

use Act::{Advance, Ended, Event, Settle, Start};

/// A script. `URL` in a flow is the stand-in's.
struct Script {
    flows: Vec<&'static str>,
    acts: Vec<Act>,
    prepare: fn(&StandIn),
    /// Branches may come in any order.
    ordered: bool,
}

impl Script {
    fn new(flows: &[&'static str], acts: &[Act]) -> Self {
        Self { flows: flows.to_vec(), acts: acts.to_vec(), prepare: |_| {}, ordered: true }
    }
}

/// A task, which time, and what happened to it.
type Did = (String, String, StepPhase);

/// How a run ended: flow, status, output, type and detail of its error, steps.
type Run = (String, &'static str, Option<Value>, Option<String>, Vec<Did>);

/// All that can be seen from outside.
#[derive(Debug, PartialEq)]
struct Seen {
    runs: Vec<Run>,
    done: Vec<(String, Value)>,
    emitted: Vec<(String, Value)>,
    lifecycle: BTreeMap<String, usize>,
}

struct Played {
    seen: Seen,
    arrivals: BTreeMap<String, usize>,
    commits: u64,
    of_runs: u64,
}

async fn act(life: &Life, n: usize, act: &Act, target: &RefCell<Option<Duration>>) {
    let quiet = async |by: Duration| {
        life.hub.advance(by).await.expect("a test clock");
    };
    match act {
        Start(flow, input) => {
            let begun = life.flows.start(asked(flow, input.clone(), Some(format!("act-{n}")))).await;
            begun.unwrap_or_else(|problem| panic!("{}", problem.message));
        }
        Event(topic, data) => {
            let new = event(&life.hub, topic, data.clone(), Some(format!("act-{n}")));
            life.hub.publish(new).await.expect("accepted");
        }
        Advance(seconds) => {
            let until = *target.borrow_mut().get_or_insert(life.place.clock.mono() + Duration::from_secs(*seconds));
            quiet(until.saturating_sub(life.place.clock.mono())).await;
            target.replace(None);
        }
        Settle => {
            for _ in 0..3 {
                quiet(Duration::ZERO).await;
            }
        }
        Ended(runs) => {
            let waits = [(10, 0), (30, 1), (30, 60), (60, 1_800)];
            for by in waits.into_iter().flat_map(|(times, by)| std::iter::repeat_n(by, times)) {
                let found = life.flows.runs(&RunFilter::default(), None, 200).await.expect("a page").items;
                if found.len() >= *runs && found.iter().all(|run| run.ended_at.is_some()) {
                    return;
                }
                quiet(Duration::from_secs(by)).await;
            }
            let found = life.flows.runs(&RunFilter::default(), None, 200).await.expect("a page").items;
            panic!("{runs} runs never ended: {found:#?}");
        }
    }
}

fn play(script: &Script, trouble: Option<Trouble>) -> Played {
    println!("{trouble:?}");
    let stand_in = StandIn::new();
    (script.prepare)(&stand_in);
    let mut life = Life::begin(&Place::new(), None);
    life.secret("api", "s3cr3t-value");
    for text in &script.flows {
        let text = text.replace("URL", &stand_in.url);
        let done = life.run(life.flows.publish(&text, Publishing::default(), &Principal::admin("test")));
        done.unwrap_or_else(|problem| panic!("{}\n{text}", problem.message));
    }
    life.advance(0);
    life.plug.set(trouble);
    let mut n = 0;
    let target = RefCell::new(None);
    let mut counted = None;
    while let Some(next) = script.acts.get(n) {
        match life.attempt(act(&life, n, next, &target)) {
            Some(()) => n += 1,
            None => {
                counted.get_or_insert(life.plug.counted());
                life = life.again();
            }
        }
    }
    let (commits, of_runs) = counted.unwrap_or(life.plug.counted());
    // The commit that was chosen may be one that comes after all that was waited for.
    while life.attempt(life.hub.advance(Duration::ZERO)).map(|done| done.expect("a test clock")).is_none() {
        life = life.again();
    }
    life.plug.set(None);
    let seen = look(&life, &stand_in, script.ordered);
    let mut arrivals = BTreeMap::new();
    for hit in stand_in.hits() {
        assert!(!hit.key.is_empty(), "every call carries its key: {hit:?}");
        *arrivals.entry(format!("{} {}", hit.path, hit.body)).or_insert(0) += 1;
    }
    Played { seen, arrivals, commits, of_runs }
}

fn look(life: &Life, stand_in: &StandIn, ordered: bool) -> Seen {
    let mut runs = Vec::new();
    let mut views = life.run(life.flows.runs(&RunFilter::default(), None, 200)).expect("a page").items;
    views.reverse();
    for view in views {
        let mut steps: Vec<Did> =
            life.steps(&view.id).into_iter().map(|step| (step.name, step.iteration, step.phase)).collect();
        if !ordered {
            steps.sort_by_key(|step| format!("{step:?}"));
        }
        let error = view.error.map(|error| format!("{} {}", error.kind, error.detail.unwrap_or_default()));
        runs.push((view.flow, view.status, view.output, error, steps));
    }
    runs.sort_by_key(|run| format!("{} {} {:?} {:?}", run.0, run.1, run.2, run.3));
    let mut emitted = Vec::new();
    let mut lifecycle = BTreeMap::new();
    for event in life.log().iter().filter(|event| event.source.starts_with("flow:")) {
        let topic = event.topic.as_str().to_owned();
        match topic.starts_with("io.serverlessworkflow.") {
            true => *lifecycle.entry(topic).or_insert(0) += 1,
            false => emitted.push((topic, serde_json::from_slice(event.json()).expect("JSON"))),
        }
    }
    let listens = life.run(life.hub.desk().load::<Listening>()).expect("records");
    assert!(listens.is_empty(), "all has ended, and still listens: {listens:?}");
    let due = life.run(life.hub.desk().store.due(life.hub.clock().now().plus(Duration::from_secs(864_000)), 100));
    let timers: Vec<String> =
        due.expect("timers").into_iter().map(|t| t.id).filter(|id| id.starts_with("flow/")).collect();
    assert!(timers.is_empty(), "all has ended, and timers are left: {timers:?}");
    let mut done = stand_in.done();
    if !ordered {
        done.sort_by_key(|done| format!("{done:?}"));
        emitted.sort_by_key(|emitted| format!("{emitted:?}"));
    }
    Seen { runs, done, emitted, lifecycle }
}

/// Plays a script every way there is, and gives what it looks like.
fn prove(name: &str, script: &Script) -> Seen {
    let calm = play(script, None);
    assert!(calm.seen.runs.iter().all(|run| !run.4.is_empty() || run.1 == "cancelled"), "{:#?}", calm.seen);
    let mut troubles = Vec::new();
    for n in 1..=calm.commits {
        troubles.extend([Trouble::Before(n), Trouble::After(n)]);
    }
    for n in 1..=calm.of_runs {
        troubles.extend([Trouble::LostAnswer(n), Trouble::LostQuestion(n), Trouble::Busy(n), Trouble::Conflict(n)]);
    }
    println!("{name}: {} commits, {} of runs, {} plays", calm.commits, calm.of_runs, troubles.len());
    for trouble in troubles {
        let played = play(script, Some(trouble));
        assert_eq!(played.seen, calm.seen, "{name}, {trouble:?}");
        for (what, count) in &played.arrivals {
            let peaceful = calm.arrivals.get(what).copied().unwrap_or_default();
            assert!(*count <= peaceful + 1, "{name}, {trouble:?}: {what} was sent {count} times, {peaceful} in peace");
        }
    }
    calm.seen
}

fn outputs(seen: &Seen) -> Vec<Value> {
    seen.runs.iter().map(|run| run.2.clone().unwrap_or_default()).collect()
}

const CHAIN: &str = r"
document: { dsl: '1.0.3', namespace: t, name: chain, version: '1.0.0' }
use: { secrets: [api] }
do:
  - first: { call: http, with: { method: post, endpoint: URL/first, body: { n: '${ .n }' }, headers: { x-key: '${ $secrets.api }' } } }
  - second: { call: http, with: { method: post, endpoint: URL/second, body: { after: '${ .path }' } } }
  - third: { call: http, with: { method: post, endpoint: URL/third, body: { after: '${ .path }' } } }
output: { as: '{ last: .path }' }
";

#[test]
fn a_chain_of_three_calls_survives_a_crash_at_every_node() {
    let seen = prove("chain", &Script::new(&[CHAIN], &[Start("t/chain", json!({"n": 1})), Ended(1)]));
    assert_eq!(outputs(&seen), [json!({"last": "/third"})]);
    assert_eq!(seen.done.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["/first", "/second", "/third"]);
}

const RETRY: &str = r"
document: { dsl: '1.0.3', namespace: t, name: retry, version: '1.0.0' }
do:
  - guarded:
      try:
        - ask: { call: http, with: { method: post, endpoint: URL/down, body: { a: 1 } } }
      catch:
        errors: { with: { status: 503 } }
        as: problem
        retry: { delay: PT2S, limit: { attempt: { count: 2 } } }
        do:
          - tell: { call: http, with: { method: post, endpoint: URL/told, body: { status: '${ $problem.status }' } } }
";

#[test]
fn retries_and_their_handler_survive_a_crash_at_every_node() {
    let mut script = Script::new(&[RETRY], &[Start("t/retry", Value::Null), Ended(1)]);
    script.prepare = |stand_in| stand_in.down("/down", usize::MAX);
    let seen = prove("retry", &script);
    assert_eq!(seen.done, [("/told".to_owned(), json!({"status": 503}))]);
}

const FORK: &str = r"
document: { dsl: '1.0.3', namespace: t, name: fork, version: '1.0.0' }
do:
  - both:
      fork:
        branches:
          - left: { call: http, with: { method: post, endpoint: URL/left, body: { b: 1 } } }
          - right: { call: http, with: { method: post, endpoint: URL/right, body: { b: 2 } } }
      output: { as: '[ .[] | (.left // .right // .).path ] | sort' }
  - race:
      fork:
        compete: true
        branches:
          - slow: { do: [ { sleep: { wait: PT5H } }, { never: { call: http, with: { method: post, endpoint: URL/never, body: {} } } } ] }
          - quick: { call: http, with: { method: post, endpoint: URL/quick, body: { b: 3 } } }
";

#[test]
fn forks_and_races_survive_a_crash_at_every_node() {
    let mut script = Script::new(&[FORK], &[Start("t/fork", Value::Null), Ended(1)]);
    script.ordered = false;
    let seen = prove("fork", &script);
    let paths: Vec<&str> = seen.done.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/left", "/quick", "/right"]);
}

const LOOP: &str = r"
document: { dsl: '1.0.3', namespace: t, name: loop, version: '1.0.0' }
do:
  - each:
      for: { in: '.items', each: item }
      do:
        - send: { call: http, with: { method: post, endpoint: URL/item, body: { item: '${ $item }' } } }
  - pause: { wait: PT1H }
  - last: { call: http, with: { method: post, endpoint: URL/last, body: {} } }
";

#[test]
fn loops_and_waits_survive_a_crash_at_every_node() {
    let acts = [Start("t/loop", json!({"items": ["a", "b", "c"]})), Settle, Advance(3_700), Ended(1)];
    let seen = prove("loop", &Script::new(&[LOOP], &acts));
    let sent: Vec<&Value> = seen.done.iter().map(|(_, body)| &body["item"]).collect();
    assert_eq!(sent, [&json!("a"), &json!("b"), &json!("c"), &Value::Null]);
}

const LISTEN: &str = r"
document: { dsl: '1.0.3', namespace: t, name: listen, version: '1.0.0' }
schedule: { on: { one: { with: { type: order.created } } } }
do:
  - note: { call: http, with: { method: post, endpoint: URL/note, body: { order: '${ .[0].data.order }' } } }
  - paid:
      listen:
        to:
          one:
            with: { type: order.paid }
            correlate: { order: { from: .data.order, expect: '${ $workflow.input[0].data.order }' } }
      output: { as: '.[0]' }
";

#[test]
fn listens_with_the_event_before_and_after_survive_a_crash_at_every_node() {
    let acts = [
        Event("order.created", json!({"order": "o-1"})),
        Event("order.paid", json!({"order": "o-2", "amount": 0})),
        Event("order.created", json!({"order": "o-2"})),
        // Before the run that waits for it listens.
        Event("order.paid", json!({"order": "o-2", "amount": 2})),
        Settle,
        // When it does.
        Event("order.paid", json!({"order": "o-1", "amount": 1})),
        Ended(2),
    ];
    let mut script = Script::new(&[LISTEN], &acts);
    script.ordered = false;
    let seen = prove("listen", &script);
    assert_eq!(outputs(&seen), [json!({"order": "o-1", "amount": 1}), json!({"order": "o-2", "amount": 2})]);
}

const PARENT: &str = r"
document: { dsl: '1.0.3', namespace: t, name: parent, version: '1.0.0' }
do:
  - child: { run: { workflow: { namespace: t, name: child, version: '1.0.0', input: { n: '${ .n }' } } } }
  - told: { emit: { event: { with: { source: 'https://shop.example', type: parent.done, data: '${ . }' } } } }
  - said: { call: 'publish:1.0.0@default', with: { type: said, data: { n: 7 } }, output: { as: '{ said: true }' } }
";
const CHILD: &str = r"
document: { dsl: '1.0.3', namespace: t, name: child, version: '1.0.0' }
do:
  - ask: { call: http, with: { method: post, endpoint: URL/child, body: { n: '${ .n }' } } }
  - told: { emit: { event: { with: { source: 'https://shop.example', type: child.done, data: { n: '${ .got.n }' } } } } }
  - out: { set: { gave: 42 } }
";

#[test]
fn flows_that_run_flows_emit_and_publish_survive_a_crash_at_every_node() {
    let seen = prove("parent", &Script::new(&[CHILD, PARENT], &[Start("t/parent", json!({"n": 3})), Ended(2)]));
    assert_eq!(outputs(&seen), [json!({"gave": 42}), json!({"said": true})]);
    let emitted: Vec<&str> = seen.emitted.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(emitted, ["child.done", "parent.done", "said"]);
}

const RACING_CHILD: &str = r"
document: { dsl: '1.0.3', namespace: t, name: racing, version: '1.0.0' }
do:
  - race:
      fork:
        compete: true
        branches:
          - sub: { run: { workflow: { namespace: t, name: sleeper, version: '1.0.0' } } }
          - quick: { call: http, with: { method: post, endpoint: URL/quick, body: {} } }
      output: { as: '{ won: true }' }
";
const SLEEPER: &str = r"
document: { dsl: '1.0.3', namespace: t, name: sleeper, version: '1.0.0' }
do:
  - sleep: { wait: PT5H }
  - never: { call: http, with: { method: post, endpoint: URL/never, body: {} } }
";

#[test]
fn a_sub_flow_that_lost_a_race_is_cut_off_whatever_crashes() {
    let mut script = Script::new(&[SLEEPER, RACING_CHILD], &[Start("t/racing", Value::Null), Settle, Ended(2)]);
    script.ordered = false;
    // Cut off before or after its first step: both are right.
    let calm = play(&script, None);
    let mut troubles = Vec::new();
    for n in 1..=calm.commits {
        troubles.extend([Trouble::Before(n), Trouble::After(n)]);
    }
    for trouble in troubles.into_iter().map(Some).chain([None]) {
        let seen = play(&script, trouble).seen;
        let ends: Vec<(&str, &str)> = seen.runs.iter().map(|run| (run.0.as_str(), run.1)).collect();
        assert_eq!(ends, [("t/racing", "completed"), ("t/sleeper", "cancelled")], "{trouble:?}");
        assert_eq!(seen.done, [("/quick".to_owned(), json!({}))], "{trouble:?}");
    }
}

const SKIP: &str = r"
document: { dsl: '1.0.3', namespace: t, name: skip, version: '1.0.0', metadata: { nexus.dev/concurrency: { key: '.[0].data.k', onConflict: skip } } }
schedule: { on: { one: { with: { type: go } } } }
do:
  - pause: { wait: PT1H }
  - call: { call: http, with: { method: post, endpoint: URL/n, body: { n: '${ $workflow.input[0].data.n }' } } }
";

fn three() -> Vec<Act> {
    (1..=3).flat_map(|n| [Event("go", json!({"k": "a", "n": n})), Settle]).collect()
}

fn numbers(seen: &Seen) -> Vec<i64> {
    seen.done.iter().map(|(_, body)| body["n"].as_i64().expect("a number")).collect()
}

#[test]
fn one_run_per_key_that_skips_survives_a_crash_at_every_node() {
    let acts = [three(), vec![Advance(3_700), Ended(1)]].concat();
    assert_eq!(numbers(&prove("skip", &Script::new(&[SKIP], &acts))), [1]);
}

#[test]
fn one_run_per_key_that_queues_survives_a_crash_at_every_node() {
    let text: &'static str = Box::leak(SKIP.replace("skip", "queue").into_boxed_str());
    let acts = [three(), vec![Advance(3_700), Ended(3)]].concat();
    assert_eq!(numbers(&prove("queue", &Script::new(&[text], &acts))), [1, 2, 3]);
}

#[test]
fn one_run_per_key_that_replaces_survives_a_crash_at_every_node() {
    let text: &'static str = Box::leak(SKIP.replace("skip", "replace").into_boxed_str());
    let acts = [three(), vec![Advance(3_700), Ended(3)]].concat();
    let seen = prove("replace", &Script::new(&[text], &acts));
    assert_eq!(numbers(&seen), [3]);
    assert_eq!(seen.runs.iter().map(|run| run.1).collect::<Vec<_>>(), ["cancelled", "cancelled", "completed"]);
}

const EVERY: &str = r"
document: { dsl: '1.0.3', namespace: t, name: every, version: '1.0.0' }
schedule: { every: PT1H }
do:
  - call: { call: http, with: { method: post, endpoint: URL/tick, body: {} } }
";
const CRON: &str = r"
document: { dsl: '1.0.3', namespace: t, name: cron, version: '1.0.0' }
schedule: { cron: '*/30 * * * *' }
do:
  - call: { call: http, with: { method: post, endpoint: URL/tock, body: {} } }
";

#[test]
fn schedules_survive_a_crash_at_every_node() {
    // Four whole half hours lie in two hours, whenever they begin; two whole intervals in two and a bit.
    let seen = prove("every", &Script::new(&[EVERY], &[Advance(7_210), Ended(2)]));
    assert_eq!(seen.done.len(), 2);
    let seen = prove("cron", &Script::new(&[CRON], &[Advance(7_200), Ended(4)]));
    assert_eq!(seen.done.len(), 4);
}

const AFTER: &str = r"
document: { dsl: '1.0.3', namespace: t, name: after, version: '1.0.0' }
schedule: { after: PT1H }
do:
  - note: { set: { ok: true } }
";

#[test]
fn a_flow_that_ends_in_the_commit_that_begins_it_begins_again_wherever_it_is_cut_off() {
    let seen = prove("after", &Script::new(&[AFTER], &[Advance(2 * 3_600 + 300), Ended(3)]));
    assert_eq!(outputs(&seen), [json!({"ok": true}), json!({"ok": true}), json!({"ok": true})]);
}

const TIMEOUT: &str = r"
document: { dsl: '1.0.3', namespace: t, name: timeout, version: '1.0.0' }
do:
  - guarded:
      try:
        - hear:
            listen: { to: { one: { with: { type: never } } } }
            timeout: { after: PT1H }
      catch:
        errors: { with: { status: 408 } }
        do:
          - tell: { call: http, with: { method: post, endpoint: URL/late, body: {} } }
  - on: { listen: { to: { one: { with: { type: never } } } } }
timeout: { after: PT3H }
";

#[test]
fn timeouts_of_tasks_and_flows_survive_a_crash_at_every_node() {
    let acts = [Start("t/timeout", Value::Null), Settle, Advance(3_700), Settle, Advance(7_200), Ended(1)];
    let seen = prove("timeout", &Script::new(&[TIMEOUT], &acts));
    assert_eq!((seen.runs[0].1, seen.done.len()), ("faulted", 1));
    assert!(
        seen.runs[0].3.as_deref().is_some_and(|error| error.contains("longer than it may")),
        "{:?}",
        seen.runs[0].3
    );
}
