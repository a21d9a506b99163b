//! A table of cases, as people write it: what happens to a run, and what must come of it.
//!
//! ```yaml
//! cases:
//! - name: a payment is passed on
//!   input: { amount: 5 }                       # or `trigger:`, an event that must start the flow
//!   secrets: { api: k3y }
//!   calls:                                     # what answers, the first that fits
//!   - { task: pass-on, answer: { status: 503 }, times: 1 }
//!   - { match: { method: post, uri: 'https://crm.example.com/*' }, answer: { body: { id: 7 } } }
//!   events:
//!   - { after: PT1M, event: { type: crm.done } }
//!   expect:
//!     status: completed
//!     output: { id: 7 }
//! ```

use std::time::Duration;

use nexus_core::time::Timestamp;
use serde_json::{Map, Value};

use super::{BEGINS, RUN, Reply, Script, Selection, Stub, stub::json_response};
use crate::{
    duration,
    effect::HttpResponse,
    error::{FlowError, Standard},
    expression::{Expression, inside},
    model::{
        part::DurationText,
        read::{Read as _, record},
    },
    pointer::Pointer,
    problem::{Problems, nearest},
    secrets::Secrets,
    yaml,
};

/// Cases of one table.
pub const CASES: usize = 500;
/// How runs stand, as `expect.status` names it.
const STATUSES: [&str; 4] = ["completed", "faulted", "waiting", "running"];

record! {
    /// A table.
    Table: "the table" { required {
        /// Its cases.
        cases "cases": Vec<Row>,
    } }
}

record! {
    /// A case as it is written.
    Row: "the case" {
        required {
            /// What it shows.
            name "name": String,
            /// What must come of it.
            expect "expect": Expect,
        }
        optional {
            /// What the run is given.
            input "input": Value,
            /// The event that starts it.
            trigger "trigger": Map<String, Value>,
            /// Events that the flow's detectors look at; the first match starts it.
            watch "watch": Vec<Coming>,
            /// Secrets with their values.
            secrets "secrets": Map<String, Value>,
            /// What answers calls.
            calls "calls": Vec<Answering>,
            /// What comes meanwhile.
            events "events": Vec<Coming>,
            /// How much time passes.
            advance "advance": DurationText,
            /// When it begins (RFC 3339).
            at "at": String,
        }
    }
}

record! {
    /// What answers a call.
    Answering: "the stand-in" { optional {
        /// The task.
        task "task": String,
        /// What the call must be.
        match_ "match": Matching,
        /// An HTTP response.
        answer "answer": Response,
        /// A value.
        value "value": Value,
        /// A failure without an answer.
        error "error": Map<String, Value>,
        /// No answer, ever.
        timeout "timeout": bool,
        /// How often.
        times "times": u32,
    } }
}

record! {
    /// What a call must be.
    Matching: "the match" { optional {
        /// Its method.
        method "method": String,
        /// Its URI.
        uri "uri": String,
        /// Its function.
        function "function": String,
    } }
}

record! {
    /// An HTTP response.
    Response: "the answer" { optional {
        /// 200 without.
        status "status": u32,
        /// Its headers.
        headers "headers": Map<String, Value>,
        /// Text, or anything else as JSON.
        body "body": Value,
    } }
}

record! {
    /// An event that comes.
    Coming: "the event" {
        required {
            /// It.
            event "event": Map<String, Value>,
        }
        optional {
            /// How long after the beginning.
            after "after": DurationText,
        }
    }
}

record! {
    /// What must come of a case.
    Expect: "what is expected" { optional {
        /// `completed`, `faulted`, `waiting`.
        status "status": String,
        /// Exactly this.
        output "output": Value,
        /// At least these fields.
        error "error": Map<String, Value>,
        /// These events, in this order, each with at least these fields.
        emitted "emitted": Vec<Map<String, Value>>,
        /// These calls, in this order, each with at least these fields.
        calls "calls": Vec<Map<String, Value>>,
        /// These tasks began, in this order.
        steps "steps": Vec<String>,
        /// It waits for these, each with at least these fields.
        waiting_for "waiting_for": Vec<Map<String, Value>>,
        /// These matches of its detectors, in this order, each with at least these fields.
        matches "matches": Vec<Map<String, Value>>,
        /// Conditions in jq over the whole rehearsal.
        check "check": Vec<String>,
    } }
}

/// A case, ready to be played.
#[derive(Debug)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The event that starts the flow; the run's input is then a list of it.
    pub trigger: Option<Value>,
    /// The events that its detectors look at, each so long after the beginning; the first match starts it.
    pub watch: Option<Vec<(Duration, Value)>>,
    /// What happens.
    pub script: Script,
    /// What must come of it.
    pub expect: Expect,
    /// Its conditions, with their texts.
    pub checks: Vec<(String, Expression)>,
}

/// Reads a table; problems name their place and line.
pub fn read(text: &str) -> Result<Vec<Case>, Problems> {
    let source = yaml::parse(text).map_err(|error| {
        let mut problems = Problems::default();
        problems.add(&Pointer::root(), error.to_string());
        problems.located(|_| error.line())
    })?;
    let line_of = |path: &str| source.line(if path == "/" { "" } else { path });
    let mut problems = Problems::default();
    let at = Pointer::root().key("cases");
    let rows = Table::read(&source.value, &Pointer::root(), &mut problems).map(|table| table.cases).unwrap_or_default();
    if problems.is_empty() && (rows.is_empty() || rows.len() > CASES) {
        problems.add(&at, format!("1 to {CASES} cases are expected here, not {}", rows.len()));
    }
    let cases: Vec<Case> =
        rows.into_iter().enumerate().map(|(n, row)| case(row, &at.index(n), &mut problems)).collect();
    if problems.is_empty() { Ok(cases) } else { Err(problems.located(line_of)) }
}

fn case(row: Row, at: &Pointer, problems: &mut Problems) -> Case {
    if [row.input.is_some(), row.trigger.is_some(), row.watch.is_some()].iter().filter(|given| **given).count() > 1 {
        problems.add(
            at,
            "a case has one of `input`, `trigger` and `watch`: an event that starts the flow is, in a list, its input",
        );
    }
    let calls = at.key("calls");
    let stubs = row.calls.unwrap_or_default().into_iter().enumerate();
    let stubs = stubs.filter_map(|(n, answering)| stand_in(answering, &calls.index(n), problems)).collect();
    let events = coming(row.events.unwrap_or_default(), &at.key("events"), problems);
    let watch = row.watch.map(|watch| coming(watch, &at.key("watch"), problems));
    let begins = row.at.map_or(BEGINS, |text| {
        Timestamp::parse(&text).unwrap_or_else(|| {
            problems.add(&at.key("at"), format!("{text:?} is no time; write it as 2026-01-02T03:04:05Z"));
            BEGINS
        })
    });
    let mut advance = row.advance.and_then(|advance| length(&advance, &at.key("advance"), problems));
    let expect = row.expect;
    let waits = expect.waiting_for.is_some() || expect.status.as_deref() == Some("waiting");
    if waits && advance.is_none() {
        // It is looked at as it stands after the last event, not when all its timers are over.
        advance = Some(events.iter().map(|(after, _)| *after).max().unwrap_or_default());
    }
    let checks = checks(&expect, &at.key("expect"), problems);
    Case {
        name: row.name,
        trigger: row.trigger.map(Value::Object),
        watch,
        script: Script {
            input: row.input.unwrap_or_default(),
            secrets: row.secrets.unwrap_or_default().into_iter().collect::<Secrets>(),
            stubs,
            events,
            advance,
            begins,
            run: RUN.to_owned(),
        },
        expect,
        checks,
    }
}

fn coming(rows: Vec<Coming>, at: &Pointer, problems: &mut Problems) -> Vec<(Duration, Value)> {
    let mut events = Vec::new();
    for (n, coming) in rows.into_iter().enumerate() {
        let place = at.index(n);
        if !coming.event.contains_key("type") {
            problems.add(&place.key("event"), "the attribute \"type\" is missing");
        }
        let after = coming.after.and_then(|after| length(&after, &place.key("after"), problems));
        events.push((after.unwrap_or_default(), Value::Object(coming.event)));
    }
    events.sort_by_key(|(after, _)| *after);
    events
}

fn checks(expect: &Expect, at: &Pointer, problems: &mut Problems) -> Vec<(String, Expression)> {
    if let Some(status) = &expect.status
        && !STATUSES.contains(&status.as_str())
    {
        let hint = nearest(status, STATUSES);
        problems.add(&at.key("status"), format!("a run is {}, not {status:?}{hint}", STATUSES.join(", ")));
    }
    let mut found = Vec::new();
    for (n, text) in expect.check.iter().flatten().enumerate() {
        match Expression::compile(inside(text).unwrap_or(text), &[]) {
            Ok(expression) => found.push((text.clone(), expression)),
            Err(error) => problems.add(&at.key("check").index(n), error.to_string()),
        }
    }
    found
}

fn stand_in(answering: Answering, at: &Pointer, problems: &mut Problems) -> Option<Stub> {
    let matching = answering.match_;
    let of = Selection {
        task: answering.task,
        method: matching.as_ref().and_then(|m| m.method.clone()),
        uri: matching.as_ref().and_then(|m| m.uri.clone()),
        function: matching.and_then(|m| m.function),
    };
    if of == Selection::default() {
        problems.add(at, "which call it answers is missing: `task`, or `match` with method, uri or function");
    }
    let timeout = answering.timeout.filter(|silent| *silent).map(|_| Reply::Silence);
    let answer = answering.answer.and_then(|answer| response(answer, &at.key("answer"), problems)).map(Reply::Response);
    let error = answering.error.map(|error| Reply::Error(failure(&error, &at.key("error"), problems)));
    let mut given = [answer, answering.value.map(Reply::Value), error, timeout].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(reply), None) => Some(Stub { of, reply, times: answering.times }),
        _ => {
            problems.add(at, "one of answer, value, error and `timeout: true` is expected here");
            None
        }
    }
}

fn response(answer: Response, at: &Pointer, problems: &mut Problems) -> Option<HttpResponse> {
    let status = u16::try_from(answer.status.unwrap_or(200)).ok().filter(|status| (100..600).contains(status));
    let Some(status) = status else {
        problems.add(&at.key("status"), "a status is a number from 100 to 599");
        return None;
    };
    let mut made = match answer.body {
        Some(Value::String(text)) => HttpResponse {
            status,
            headers: [("content-type".to_owned(), "text/plain".to_owned())].into(),
            body: text.into_bytes(),
        },
        other => json_response(status, &other.unwrap_or_default()),
    };
    for (name, value) in answer.headers.unwrap_or_default() {
        made.headers.insert(name.to_ascii_lowercase(), crate::openapi::plain(&value));
    }
    Some(made)
}

/// `type` may be the last part of a standard one: `communication`, `timeout`.
fn failure(error: &Map<String, Value>, at: &Pointer, problems: &mut Problems) -> FlowError {
    let text = |key: &str| error.get(key).map(crate::openapi::plain);
    for key in error.keys().filter(|key| !["type", "status", "title", "detail"].contains(&key.as_str())) {
        problems.add(&at.key(key), "errors have type, status, title and detail");
    }
    let mut made = FlowError::new(Standard::Communication, text("detail").unwrap_or_else(|| "no answer".to_owned()));
    if let Some(kind) = text("type") {
        let full = if kind.contains(':') { kind.clone() } else { made.kind.replace("communication", &kind) };
        if !kind.contains(':') && crate::error::standard(&full).is_none() {
            problems.add(&at.key("type"), format!("{kind:?} is no standard kind of error; write one, or a whole URI"));
        }
        made.kind = full;
    }
    if let Some(status) = error.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok()) {
        made.status = status;
    }
    if let Some(title) = text("title") {
        made.title = Some(title);
    }
    made
}

fn length(text: &DurationText, at: &Pointer, problems: &mut Problems) -> Option<Duration> {
    let length = match text {
        DurationText::Text(text) => duration::parse(text),
        DurationText::Parts(parts) => {
            let part = |n: Option<u32>, millis: u64| u64::from(n.unwrap_or(0)).saturating_mul(millis);
            let millis = [
                part(parts.days, 86_400_000),
                part(parts.hours, 3_600_000),
                part(parts.minutes, 60_000),
                part(parts.seconds, 1_000),
                part(parts.milliseconds, 1),
            ];
            duration::bounded(Duration::from_millis(millis.iter().fold(0, |sum, n| sum.saturating_add(*n))))
        }
    };
    length.map_err(|error| problems.add(at, error)).ok()
}
