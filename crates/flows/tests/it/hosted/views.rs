//! What is seen of runs, and what people may do with them.

use nexus_core::access::Principal;
use nexus_flows::{effect::StepPhase, host::Begun};
use serde_json::{Value, json};

use super::{life::Life, stand_in::StandIn};

const TWO: &str = r"
document: { dsl: '1.0.3', namespace: t, name: two, version: '1.0.0' }
do:
  - ask: { call: http, with: { method: post, endpoint: URL/ask, body: { n: '${ .n }' } } }
  - check: { if: '.got.n > 5', raise: { error: { type: 'https://shop.example/too-many', status: 422, detail: too many } } }
  - pause: { wait: PT10S }
";

/// S-023, S-024, S-110
#[test]
fn steps_have_input_output_and_error_and_a_report_tells_times_and_successes() {
    let stand_in = StandIn::new();
    let life = Life::new();
    life.publish(&TWO.replace("URL", &stand_in.url));
    let good: Vec<String> = (0..3).map(|n| life.start("t/two", json!({"n": n}))).collect();
    let bad = life.start("t/two", json!({"n": 6}));
    for run in &good {
        life.until(run, "waiting");
    }
    life.wait_for("the pauses", || {
        let paused = |run: &String| life.view(run).waiting_for.iter().any(|w| w.task.ends_with("pause"));
        if good.iter().all(paused) { Ok(()) } else { Err(String::new()) }
    });
    life.advance(11);
    for run in &good {
        life.until(run, "completed");
    }
    life.until(&bad, "faulted");
    let steps = life.steps(&good[1]);
    let of = |name: &str, phase| steps.iter().find(|s| s.name == name && s.phase == phase).map(|s| s.data.clone());
    assert_eq!(of("ask", StepPhase::Started), Some(json!({"n": 1})));
    assert_eq!(of("ask", StepPhase::Completed), Some(json!({"path": "/ask", "got": {"n": 1}})));
    let failed = life.steps(&bad).into_iter().find(|s| s.phase == StepPhase::Faulted).expect("a failed step");
    assert_eq!((failed.name.as_str(), &failed.data["detail"]), ("check", &json!("too many")));
    let report = life.run(life.flows.report("t/two", 100)).expect("a report");
    assert_eq!((report.runs, report.success_rate), (4, Some(0.75)));
    assert_eq!(report.by_status.get("faulted"), Some(&1));
    let pause = &report.tasks["/do/2/pause"];
    assert_eq!(pause.count, 3);
    for time in [pause.p50_ms, pause.p95_ms, report.run.p95_ms] {
        assert!(time.is_some_and(|ms| (10_000..60_000).contains(&ms)), "{report:?}");
    }
    assert_eq!(report.tasks["/do/0/ask"].count, 4);
}

#[test]
fn a_run_that_is_cut_off_takes_the_runs_it_began_with_it() {
    let life = Life::new();
    let head =
        |name: &str| format!("document: {{ dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0' }}\ndo:\n");
    life.publish(&format!("{}  - sleep: {{ wait: P1D }}\n", head("low")));
    for (name, runs) in [("mid", "low"), ("top", "mid")] {
        let task = format!("  - sub: {{ run: {{ workflow: {{ namespace: t, name: {runs}, version: '1.0.0' }} }} }}\n");
        life.publish(&format!("{}{task}", head(name)));
    }
    let top = life.start("t/top", Value::Null);
    let low = life.wait_for("the lowest", || life.runs("t/low").pop().ok_or_else(String::new));
    life.until(&low.id, "waiting");
    life.run(life.flows.cancel(&top, &Principal::admin("test"))).expect("cancelled");
    for flow in ["t/top", "t/mid", "t/low"] {
        life.until(&life.runs(flow)[0].id, "cancelled");
    }
    assert!(life.run(life.flows.cancel(&top, &Principal::admin("test"))).is_err(), "it has ended");
}

#[test]
fn a_halted_run_does_nothing_and_hears_on_resuming_what_came_meanwhile() {
    let life = Life::new();
    life.publish(
        r"
document: { dsl: '1.0.3', namespace: t, name: halted, version: '1.0.0' }
do:
  - hear: { listen: { to: { one: { with: { type: sign } } } } }
  - told: { emit: { event: { with: { source: 'https://shop.example', type: heard, data: { n: '${ .[0] }' } } } } }
",
    );
    let run = life.start("t/halted", Value::Null);
    life.until(&run, "waiting");
    life.run(life.flows.suspend(&run, &Principal::admin("test"))).expect("halted");
    life.event("sign", json!(7));
    life.advance(5);
    assert_eq!((life.view(&run).status, life.data("heard").len()), ("suspended", 0));
    let life = life.again();
    life.advance(5);
    assert_eq!(life.view(&run).status, "suspended");
    life.run(life.flows.resume(&run, &Principal::admin("test"))).expect("resumed");
    life.until(&run, "completed");
    assert_eq!(life.data("heard"), [json!({"n": 7})]);
}

#[test]
fn a_queue_of_runs_has_an_end_and_says_so() {
    let life = Life::new();
    life.publish(
        r"
document: { dsl: '1.0.3', namespace: t, name: queue, version: '1.0.0', metadata: { nexus.dev/concurrency: { key: .k, onConflict: queue } } }
do:
  - pause: { wait: PT1H }
",
    );
    let first = life.begin_run("t/queue", json!({"k": "a"})).expect("begun");
    assert!(matches!(first, Begun::Started(_)), "{first:?}");
    let refused = life.run(async {
        for _ in 0..1_000 {
            let begun = life.flows.start(super::life::asked("t/queue", json!({"k": "a"}), None)).await.expect("queued");
            assert!(matches!(begun, Begun::Queued(_)), "{begun:?}");
        }
        life.flows.start(super::life::asked("t/queue", json!({"k": "a"}), None)).await.unwrap_err()
    });
    assert!(refused.message.contains("1000 runs of flow t/queue wait for key \"a\""), "{}", refused.message);
    let other = life.begin_run("t/queue", json!({"k": "b"})).expect("begun");
    assert!(matches!(other, Begun::Started(_)), "other keys are free: {other:?}");
}

#[test]
fn a_queued_run_says_which_run_it_waits_for_and_since_when() {
    let life = Life::new();
    life.publish(
        "document: { dsl: '1.0.3', namespace: t, name: one, version: '1.0.0', metadata: { nexus.dev/concurrency: { key: .k, onConflict: queue } } }\ndo:\n  - pause: { wait: P1D }\n",
    );
    let first = life.start("t/one", json!({"k": "a"}));
    let second = match life.begin_run("t/one", json!({"k": "a"})).expect("begun") {
        Begun::Queued(run) => run,
        other => panic!("{other:?}"),
    };
    let view = life.view(&second);
    assert_eq!(view.status, "queued");
    let shown = json!(view.waiting_for);
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!((&shown[0]["for"], &shown[0]["run"], &shown[0]["key"]), (&json!("turn"), &json!(first), &json!("a")));
    assert_eq!(shown[0]["since"], json!(view.created_at));
    life.run(life.flows.cancel(&first, &Principal::admin("test"))).expect("cut off");
    let view = life.until(&second, "waiting");
    assert!(json!(view.waiting_for)[0]["for"] != "turn", "{view:?}");
}
