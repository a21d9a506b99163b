//! Limits and odd moments of runs, step by step.

use nexus_core::time::Timestamp;
use nexus_flows::{
    Definition,
    effect::{Answer, Effect, HttpResponse, Input, Outcome},
    publish,
    run::{
        self, Host, Taken,
        state::{RunState, STATE_BYTES, Status},
    },
    secrets::Secrets,
};
use serde_json::{Value, json};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: test, name: limits, version: '1.0.0' }\n";

fn flow(text: &str) -> Definition {
    publish(&format!("{HEAD}{text}")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn tell(definition: &Definition, state: &mut RunState, input: Input) -> Taken {
    let secrets = Secrets::default();
    let mut random = || 7;
    run::step(
        definition,
        state,
        input,
        &mut Host { now: Timestamp::from_secs(1), random: &mut random, secrets: &secrets, may_emit: &|_| Ok(()) },
    )
}

fn begin(definition: &Definition, input: Value) -> (RunState, Taken) {
    let mut state = RunState::new("r", definition.id.clone(), input, Timestamp::from_secs(1), [1; 16]);
    let taken = tell(definition, &mut state, Input::Start);
    (state, taken)
}

#[test]
fn a_flow_that_goes_in_a_circle_shares_its_turns_and_ends() {
    let definition = flow("do:\n- a: { set: { n: 1 } }\n- b: { if: 'true', set: { n: 2 }, then: a }\n");
    let (mut state, taken) = begin(&definition, Value::Null);
    assert_eq!(taken.effects.last(), Some(&Effect::Continue));
    assert_eq!(state.status, Status::Running);
    assert_eq!(state.open_effects(), [Effect::Continue]);
    let mut turns = 1;
    while tell(&definition, &mut state, Input::Continue).effects.last() == Some(&Effect::Continue) {
        turns += 1;
        assert!(turns < 10_000);
    }
    let Some(Outcome::Faulted { error }) = state.outcome else { panic!("it did not end") };
    assert!(error.detail.unwrap().contains("in a circle"));
}

#[test]
fn a_state_that_grows_beyond_its_limit_faults_and_stays_readable() {
    let definition = flow("do:\n- a: { set: { text: '${ .text + .text }' } }\n- b: { wait: PT1S, then: a }\n");
    let (mut state, _) = begin(&definition, json!({"text": "x".repeat(1_000)}));
    for _ in 0..20 {
        let Some(Effect::SetTimer { id, .. }) = state.open_effects().first().cloned() else { break };
        tell(&definition, &mut state, Input::TimerFired { id });
        assert!(state.encode().len() <= STATE_BYTES);
    }
    let Some(Outcome::Faulted { error }) = &state.outcome else { panic!("it did not end") };
    assert!(error.detail.as_ref().unwrap().contains("keep less"), "{error:?}");
    assert_eq!(RunState::decode(&state.encode()).unwrap(), state);
}

#[test]
fn what_a_run_does_not_wait_for_changes_nothing() {
    let definition = flow("do:\n- a: { call: http, with: { method: get, endpoint: https://a.example } }\n");
    let (mut state, taken) = begin(&definition, Value::Null);
    assert!(taken.effects.iter().any(|effect| matches!(effect, Effect::Call(call) if call.id == 1)));
    let before = state.clone();
    let answer = Answer::Http(HttpResponse { status: 200, ..HttpResponse::default() });
    for input in [
        Input::CallDone { id: 99, answer: answer.clone() },
        Input::TimerFired { id: 2 },
        Input::Resume,
        Input::Start,
        Input::Continue,
        Input::RetryFrom { task: "/do/0/a".into() },
    ] {
        let taken = tell(&definition, &mut state, input);
        assert!(taken.ignored && taken.effects.is_empty());
        assert_eq!(state, before);
    }
    assert!(!tell(&definition, &mut state, Input::CallDone { id: 1, answer: answer.clone() }).ignored);
    assert_eq!(state.status, Status::Completed);
    assert!(tell(&definition, &mut state, Input::CallDone { id: 1, answer }).ignored);
    assert!(tell(&definition, &mut state, Input::Cancel).ignored);
}

#[test]
fn what_a_step_begins_and_ends_itself_is_not_asked_for() {
    let definition = flow("do:\n- a: { set: { n: 1 }, timeout: { after: PT1M } }\ntimeout: { after: PT1H }\n");
    let (_, taken) = begin(&definition, Value::Null);
    let timers = taken.effects.iter().filter(|e| matches!(e, Effect::SetTimer { .. } | Effect::CancelTimer { .. }));
    assert_eq!(timers.count(), 0, "{:?}", taken.effects);
}

#[test]
fn a_cancelled_run_takes_back_all_that_is_open() {
    let definition = flow(
        "timeout: { after: PT1H }\ndo:\n- all:\n    fork:\n      branches:\n      - a: { wait: PT1M }\n      - b: { listen: { to: { one: { with: { type: x } } } }, timeout: { after: PT5M } }\n      - c: { call: http, with: { method: get, endpoint: https://a.example } }\n      - d: { run: { workflow: { namespace: test, name: other, version: latest } } }\n",
    );
    let (mut state, _) = begin(&definition, Value::Null);
    let mut open: Vec<u64> = state
        .open_effects()
        .iter()
        .map(|effect| match effect {
            Effect::SetTimer { id, .. } => *id,
            Effect::Call(call) => call.id,
            Effect::Listen(listen) => listen.id,
            Effect::StartRun(run) => run.id,
            other => panic!("{other:?}"),
        })
        .collect();
    let taken = tell(&definition, &mut state, Input::Cancel);
    let mut cancelled: Vec<u64> = taken
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::CancelTimer { id }
            | Effect::CancelCall { id }
            | Effect::CancelListen { id }
            | Effect::CancelRun { id } => Some(*id),
            _ => None,
        })
        .collect();
    open.sort_unstable();
    cancelled.sort_unstable();
    assert_eq!(open, cancelled);
    assert_eq!(open.len(), 6);
    assert_eq!(state.outcome, Some(Outcome::Cancelled));
}

#[test]
fn a_state_of_a_later_version_is_refused() {
    let definition = flow("do: [ { a: { wait: PT1S } } ]\n");
    let (state, _) = begin(&definition, Value::Null);
    let mut value: Value = serde_json::from_slice(&state.encode()).unwrap();
    value["format"] = json!(999);
    let error = RunState::decode(value.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.contains("use a newer one"), "{error}");
}

#[test]
fn an_expression_that_never_ends_is_an_error_of_its_task() {
    let definition = flow("do:\n- a: { set: { n: '${ last(range(1000000000)) }' } }\n");
    let (state, taken) = begin(&definition, Value::Null);
    let Some(Outcome::Faulted { error }) = state.outcome else { panic!("it did not end") };
    assert_eq!((error.status, error.instance.as_deref()), (400, Some("/do/0/a")));
    assert!(taken.cost > 100_000);
}

#[test]
fn triggers_know_their_events_and_keys() {
    let definition = publish(
        "document: { dsl: '1.0.3', namespace: test, name: t, version: '1.0.0', metadata: { nexus.dev/concurrency: { key: '.[0].data.user', onConflict: skip } } }\nschedule: { on: { any: [ { with: { type: paid, data: '${ .amount > 5 }' } }, { with: { source: https://shop } } ] } }\ndo: [ { a: { wait: PT1S } } ]\n",
    )
    .unwrap();
    assert_eq!(definition.trigger_kinds(), [Some("paid"), None]);
    let event = |kind: &str, source: &str, amount: i64| json!({"type": kind, "source": source, "data": {"amount": amount, "user": "ada"}});
    assert!(definition.starts_on(&event("paid", "https://x", 6)));
    assert!(!definition.starts_on(&event("paid", "https://x", 5)));
    assert!(definition.starts_on(&event("other", "https://shop", 0)));
    let key = definition.concurrency_key(&json!([event("paid", "https://x", 6)])).unwrap();
    assert_eq!(key.map(|(key, _)| key).as_deref(), Some("ada"));
}
