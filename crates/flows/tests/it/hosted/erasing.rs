//! A person's data, erased: runs, what they did, what was asked for them, what detectors remember.

use nexus_core::{access::Principal, id::EventId, store::Appended};
use nexus_engine::log::Redacted;
use nexus_flows::host::approval::decide::ApprovalFilter;
use serde_json::{Value, json};

use super::life::{Life, event};

const MARK: &str = "Ada-Lovelace-1815";

fn head(name: &str) -> String {
    format!("document: {{ dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0' }}\n")
}

/// An event about somebody.
fn about(life: &Life, topic: &str, subject: &str, data: Value) -> Appended {
    let mut event = event(&life.hub, topic, data, None);
    event.subject = Some(subject.to_owned());
    life.run(life.hub.publish(event)).expect("accepted")
}

fn redact(life: &Life, request: Value) -> Redacted {
    let request = serde_json::from_value(request).expect("a request");
    life.run(life.hub.log().redact(request, &Principal::admin("test"))).expect("erased")
}

fn of_subject(life: &Life, subject: &str) -> Redacted {
    redact(life, json!({"subject": subject, "reason": "asked"}))
}

fn one(life: &Life, id: EventId) -> Redacted {
    redact(life, json!({"event_id": id, "reason": "asked"}))
}

/// All that is known of a flow's runs and of the log, as text.
fn everything(life: &Life, flows: &[&str]) -> String {
    let mut all = String::new();
    for flow in flows {
        for view in life.runs(flow) {
            all += &format!("{view:?} {:?}", life.steps(&view.id));
        }
    }
    let approvals = life.run(life.flows.approvals(&ApprovalFilter::default(), None, 200)).expect("a page").items;
    for event in life.log() {
        all += &format!("{} {}", event.topic, String::from_utf8_lossy(event.json()));
    }
    format!("{all} {approvals:?}")
}

fn waits(life: &Life, flow: &str) -> String {
    let run = life.wait_for("the run", || life.runs(flow).pop().ok_or_else(String::new));
    life.until(&run.id, "waiting").id
}

#[test]
fn runs_of_an_erased_subject_keep_their_course_and_lose_its_data() {
    let life = Life::new();
    life.publish(&format!(
        "{}schedule: {{ on: {{ one: {{ with: {{ type: joined }} }} }} }}\ndo:\n  - sub: {{ run: {{ workflow: {{ namespace: t, name: greet, version: '1.0.0', input: '${{ .[0].data }}' }} }} }}\n  - check: {{ if: '.told == \"bob\"', raise: {{ error: {{ type: 'https://a.example/no', status: 422, detail: '${{ .told }}' }} }} }}\n",
        head("join")
    ));
    life.publish(&format!(
        "{}do:\n  - say: {{ emit: {{ event: {{ with: {{ source: 'https://a.example', type: greeted, data: {{ who: '${{ .name }}' }} }} }} }} }}\n  - out: {{ set: {{ told: '${{ .data.who }}' }} }}\n",
        head("greet")
    ));
    about(&life, "joined", "person-1", json!({"name": MARK}));
    about(&life, "joined", "person-2", json!({"name": "bob"}));
    life.wait_for("both runs", || {
        let ended = life.runs("t/join").iter().filter(|run| run.ended_at.is_some()).count();
        if ended == 2 { Ok(()) } else { Err(format!("{ended}")) }
    });
    assert!(everything(&life, &["t/join", "t/greet"]).contains(MARK));
    let done = of_subject(&life, "person-1");
    assert_eq!(done.kept.get("runs"), Some(&2), "the run and the one that it began: {done:?}");
    let left = everything(&life, &["t/join", "t/greet"]);
    assert!(!left.contains(MARK), "{left}");
    assert!(left.contains("bob"), "what is another's stays: {left}");
    let run = &life.runs("t/join")[0];
    assert_eq!(
        (run.status, &run.input, run.output.as_ref()),
        ("completed", &json!("[erased]"), Some(&json!("[erased]")))
    );
    assert!(run.erased.is_some_and(|erased| !erased.cut_off) && run.ended_at.is_some());
    let steps = life.steps(&run.id);
    assert!(steps.iter().any(|step| step.name == "sub" && step.data == json!("[erased]")), "{steps:#?}");
    let audit = life.data("audit.log.redacted");
    assert_eq!(audit[0]["detail"]["erased_with_them"]["runs"], 2, "{audit:?}");
    assert!(!audit[0].to_string().contains("person-1"), "the audit does not say of whom");
    let again = of_subject(&life, "person-1");
    assert_eq!((again.redacted, again.kept.get("runs")), (0, None), "asked for again it finds nothing more");
    let retried = life.run(life.flows.retry(&life.runs("t/join")[1].id, None, &Principal::admin("test")));
    assert!(retried.is_ok(), "the other can be tried again: {retried:?}");
    let life = life.again();
    let left = everything(&life, &["t/join", "t/greet"]);
    assert!(!left.contains(MARK), "{left}");
}

#[test]
fn a_live_run_whose_data_is_erased_is_cut_off_with_what_it_asked() {
    let life = Life::new();
    life.publish(&format!(
        "{}schedule: {{ on: {{ one: {{ with: {{ type: asked }} }} }} }}\ndo:\n  - ask: {{ call: 'approval:1.0.0@default', with: {{ title: '${{ \"Pay \\(.[0].data.name)?\" }}', description: '${{ .[0].data.name }}' }} }}\n",
        head("ask")
    ));
    let cause = about(&life, "asked", "person-1", json!({"name": MARK}));
    let run = waits(&life, "t/ask");
    life.wait_for(
        "the question",
        || if life.data("approval.requested").len() == 1 { Ok(()) } else { Err(String::new()) },
    );
    assert!(everything(&life, &["t/ask"]).contains(MARK));
    let done = one(&life, cause.id);
    assert_eq!((done.kept.get("runs"), done.kept.get("approvals")), (Some(&1), Some(&1)), "{done:?}");
    let view = life.view(&run);
    assert_eq!((view.status, view.erased.is_some_and(|erased| erased.cut_off)), ("cancelled", true), "{view:#?}");
    let approvals = life.run(life.flows.approvals(&ApprovalFilter::default(), None, 10)).expect("a page").items;
    let asked = approvals[0].shown();
    assert_eq!((&asked["state"], &asked["title"]), (&json!("withdrawn"), &json!("[erased]")), "{asked}");
    let left = everything(&life, &["t/ask"]);
    assert!(!left.contains(MARK), "{left}");
    let life = life.again();
    life.advance(60);
    assert_eq!(life.view(&run).status, "cancelled");
    assert!(!everything(&life, &["t/ask"]).contains(MARK));
}

#[test]
fn a_run_that_took_an_erased_event_loses_it_whatever_began_the_run() {
    let life = Life::new();
    life.publish(&format!(
        "{}do:\n  - hear: {{ listen: {{ to: {{ any: [ {{ with: {{ type: note }}, correlate: {{ to: {{ from: .data.to, expect: '${{ .to }}' }} }} }} ], until: '. | length > 5' }} }} }}\n",
        head("hear")
    ));
    let (first, second) = (life.start("t/hear", json!({"to": "a"})), life.start("t/hear", json!({"to": "b"})));
    life.until(&first, "waiting");
    life.until(&second, "waiting");
    let noted = about(&life, "note", "person-1", json!({"to": "a", "name": MARK}));
    about(&life, "note", "person-2", json!({"to": "b", "name": "bob"}));
    life.advance(5);
    let life = life.again();
    life.advance(5);
    let done = one(&life, noted.id);
    assert_eq!(done.kept.get("runs"), Some(&1), "{done:?}");
    assert_eq!((life.view(&first).status, life.view(&second).status), ("cancelled", "waiting"));
    assert!(!everything(&life, &["t/hear"]).contains(MARK));
    about(&life, "note", "person-1", json!({"to": "b", "name": MARK}));
    life.advance(5);
    let done = of_subject(&life, "person-1");
    assert_eq!((done.kept.get("runs"), life.view(&second).status), (Some(&1), "cancelled"), "{done:?}");
}

#[test]
fn what_a_detector_remembers_of_an_erased_key_is_forgotten_and_the_match_with_it() {
    let life = Life::new();
    let detect = "metadata: { nexus.dev/detect: [ { name: gone, detect: absence, first: { type: seen }, second: { type: back }, after: PT1H, key: .data.who }, { name: twice, detect: count, first: { type: seen }, count: 2, window: P1D, key: .data.who } ] }";
    life.publish(&format!(
        "document: {{ dsl: '1.0.3', namespace: t, name: watch, version: '1.0.0', {detect} }}\ndo:\n  - note: {{ set: {{ told: '${{ .[0].data.key }}' }} }}\n"
    ));
    about(&life, "seen", "s-1", json!({"who": MARK}));
    let last = about(&life, "seen", "s-2", json!({"who": MARK}));
    life.wait_for("the match", || {
        let ended = life.runs("t/watch").iter().filter(|run| run.status == "completed").count();
        if ended == 1 { Ok(()) } else { Err(format!("{ended}")) }
    });
    assert!(everything(&life, &["t/watch"]).contains(MARK));
    let done = one(&life, last.id);
    assert_eq!((done.kept.get("runs"), done.kept.get("memories")), (Some(&1), Some(&2)), "{done:?}");
    life.advance(7_200);
    assert_eq!(life.runs("t/watch").len(), 1, "nobody is missed any more");
    of_subject(&life, "s-1");
    assert!(!everything(&life, &["t/watch"]).contains(MARK));
}

#[test]
fn a_run_is_erased_by_its_own_id_too() {
    let life = Life::new();
    life.publish(&format!("{}do:\n  - out: {{ set: {{ name: '${{ .name }}' }} }}\n", head("plain")));
    let run = life.start("t/plain", json!({"name": MARK}));
    life.until(&run, "completed");
    let done = of_subject(&life, &run);
    assert_eq!(done.kept.get("runs"), Some(&1), "{done:?}");
    assert!(!everything(&life, &["t/plain"]).contains(MARK));
}
