//! How flows and runs are shown to people.

use std::io::IsTerminal;

use nexus_client::flow::{Flow, Run};
use serde_json::Value;

use crate::output::{pairs, plain, table};

/// Characters of a step's data that a screen shows.
const DATA: usize = 100;

/// A field as a person reads it; empty where it is not there.
fn text(of: &Value, name: &str) -> String {
    of.get(name).map(plain).unwrap_or_default()
}

/// A value in whole, also where it is a list of records.
fn whole(value: &Value) -> String {
    if value.is_array() { value.to_string() } else { plain(value) }
}

/// A table of flows.
pub(super) fn listed(flows: &[Flow]) -> String {
    let rows: Vec<Vec<String>> = flows
        .iter()
        .map(|flow| {
            let on = if flow.enabled { "on" } else { "off" };
            vec![flow.name.clone(), flow.version.clone(), on.to_owned(), flow.origin.clone(), begun_by(flow)]
        })
        .collect();
    table(&["flow", "version", "", "from", "begun by"], &rows, "no flows; publish one with `nexus flows publish FILE`")
}

/// What begins a flow's runs, in words.
fn begun_by(flow: &Flow) -> String {
    let given = |name: &str| flow.more.get(name).filter(|value| !value.is_null());
    let mut ways = Vec::new();
    if let Some(webhook) = given("webhook") {
        ways.push(plain(webhook));
    }
    for (way, value) in given("schedule").and_then(Value::as_object).into_iter().flatten() {
        match way.as_str() {
            "on" => {
                let one = value.get("one");
                let any = value.get("any").and_then(Value::as_array);
                let types = one.into_iter().chain(any.into_iter().flatten());
                let types = types.map(|filter| filter.pointer("/with/type").map_or("any event".to_owned(), plain));
                ways.push(format!("event {}", types.collect::<Vec<_>>().join(" or ")));
            }
            other => ways.push(format!("{other} {}", plain(value))),
        }
    }
    if let Some(detectors) = given("detectors").map(plain).filter(|names| !names.is_empty()) {
        ways.push(format!("behaviour {detectors}"));
    }
    if ways.is_empty() { "whoever asks for it".to_owned() } else { ways.join(", ") }
}

/// A flow, and its document as it was published.
pub(super) fn shown_flow(flow: &Flow) -> String {
    let more = |name: &str| flow.more.get(name).map(plain).unwrap_or_default();
    let by_time = flow
        .more
        .get("schedule")
        .and_then(Value::as_object)
        .is_some_and(|schedule| ["cron", "every", "after"].iter().any(|way| schedule.contains_key(*way)));
    let next = match more("next") {
        none if none.is_empty() && by_time && flow.enabled => "when the run that is under way has ended".to_owned(),
        next => next,
    };
    let head = pairs(&[
        ("flow", flow.name.clone()),
        ("title", more("title")),
        ("version", flow.version.clone()),
        ("versions", more("versions")),
        ("triggers", if flow.enabled { "on" } else { "off" }.to_owned()),
        ("from", flow.origin.clone()),
        ("begun by", begun_by(flow)),
        ("next", next),
        ("form", flow.more.get("form").and_then(Value::as_array).map(|fields| form(fields)).unwrap_or_default()),
        ("created", more("created_at")),
        ("updated", more("updated_at")),
    ]);
    // A hub of an earlier version gives only what it read.
    let document = match more("text") {
        none if none.is_empty() => flow.more.get("document").map(|read| format!("{read:#}")).unwrap_or_default(),
        text => text,
    };
    format!("{head}\n{}\n", document.trim_end())
}

/// The fields of a form by name.
fn form(fields: &[Value]) -> String {
    fields.iter().map(|field| text(field, "name")).collect::<Vec<_>>().join(", ")
}

/// Why a run faulted.
pub(super) fn reason(run: &Run) -> String {
    let error = run.more.get("error").cloned().unwrap_or_default();
    let text = |name: &str| error.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    // A flow's own error may say no more than its type.
    let mut said = [text("title"), text("detail")].into_iter().flatten().collect::<Vec<_>>().join(": ");
    if said.is_empty() {
        said = text("type").unwrap_or("it failed").to_owned();
    }
    match text("instance") {
        Some(place) => format!("{said} (at {place})"),
        None => said,
    }
}

fn waits(run: &Run) -> String {
    let one = |waiting: &Value| {
        let text = |name: &str| text(waiting, name);
        let what = match text("for").as_str() {
            "call" => match text("because") {
                none if none.is_empty() => format!("an answer of {}", text("from")),
                why => format!("{} ({why})", text("from")),
            },
            "flow" => format!("flow {}", text("flow")),
            "retry" => format!("try {} again", text("attempts")),
            "resume" => "somebody to resume it".to_owned(),
            "turn" => turn(waiting),
            "approval" => match text("assignee").as_str() {
                "" => format!("somebody to decide {:?}", text("title")),
                who => format!("{who} to decide {:?}", text("title")),
            },
            "events" => format!("event {}", events(waiting)),
            other => other.to_owned(),
        };
        let until = waiting.get("until").map(|until| format!(" until {}", plain(until))).unwrap_or_default();
        format!("{what}{until} at {}", text("task"))
    };
    run.waiting_for.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The run whose end a queued one waits for.
fn turn(waiting: &Value) -> String {
    let run = match text(waiting, "run") {
        none if none.is_empty() => "its turn".to_owned(),
        run => format!("run {run} of the same key"),
    };
    format!("{run} since {}", text(waiting, "since"))
}

/// A run as a row.
pub(super) fn row(run: &Run) -> Vec<String> {
    let waits = match run.status.as_str() {
        "faulted" | "unreadable" => reason(run),
        _ => waits(run),
    };
    vec![
        run.id.clone(),
        run.flow.clone(),
        run.status.clone(),
        run.created_at.clone(),
        run.duration_ms.to_string(),
        waits,
    ]
}

/// The types of the events that a run waits for, with what they must hold.
fn events(waiting: &Value) -> String {
    let one = |filter: &Value| {
        let kind = filter.get("kind").filter(|kind| !kind.is_null()).map_or("of any type".to_owned(), plain);
        let expect = filter.get("expect").and_then(Value::as_object).into_iter().flatten();
        let expect: Vec<String> = expect.map(|(name, value)| format!("{name} {}", plain(value))).collect();
        if expect.is_empty() { kind } else { format!("{kind} ({})", expect.join(", ")) }
    };
    let filters = waiting.get("filters").and_then(Value::as_array);
    filters.into_iter().flatten().map(one).collect::<Vec<_>>().join(" or ")
}

/// What began a run, in words.
fn trigger(of: &Value) -> String {
    match (text(of, "kind").as_str(), text(of, "type"), text(of, "id")) {
        ("event", kind, id) if !id.is_empty() => format!("event {kind} {id}, seq {}", text(of, "seq")),
        _ => plain(of),
    }
}

/// A run and what its tasks did.
pub(super) fn shown_run(run: &Run, steps: &[Value]) -> String {
    let more = |name: &str| run.more.get(name).map(whole).unwrap_or_default();
    let mut shown = vec![
        ("run", run.id.clone()),
        ("flow", format!("{}@{}", run.flow, run.version)),
        ("status", run.status.clone()),
        ("began", format!("{} by {}", run.created_at, run.more.get("trigger").map(trigger).unwrap_or_default())),
        ("correlation", more("correlation")),
        ("input", more("input")),
    ];
    if !run.waiting_for.is_empty() {
        shown.push(("waits for", waits(run)));
    }
    if run.more.contains_key("output") {
        shown.push(("output", more("output")));
    }
    if matches!(run.status.as_str(), "faulted" | "unreadable") {
        shown.push(("error", reason(run)));
    }
    if let Some(erased) = run.more.get("erased") {
        let cut_off = erased.get("cut_off").and_then(Value::as_bool) == Some(true);
        let how = if cut_off { "; the run had not ended and was cut off" } else { "" };
        shown.push(("erased", format!("{}{how}", text(erased, "at"))));
    }
    let rows: Vec<Vec<String>> = steps.iter().map(step_row).collect();
    format!("{}\n{}", pairs(&shown), table(&["at", "task", "", "data"], &rows, "no steps yet"))
}

fn step_row(step: &Value) -> Vec<String> {
    let text = |name: &str| text(step, name);
    let data = step.get("data").map(whole).unwrap_or_default();
    let short: String = data.chars().take(DATA).collect();
    let dots = if short.len() < data.len() && std::io::stdout().is_terminal() { "…" } else { "" };
    let data = if dots.is_empty() { data } else { format!("{short}{dots}") };
    let iteration = text("iteration");
    let task = if iteration.is_empty() { text("task") } else { format!("{} [{iteration}]", text("task")) };
    vec![text("at"), task, text("phase"), data]
}

/// How the newest runs of a flow went.
pub(super) fn shown_report(report: &Value) -> String {
    let at = |path: &str| report.pointer(path).map(plain).unwrap_or_default();
    let rate = report.get("success_rate").and_then(Value::as_f64);
    let rate = rate.map_or_else(|| "no run has ended".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    let takes = match at("/run/p50_ms") {
        none if none.is_empty() => none,
        p50 => format!("p50 {p50} ms, p95 {} ms", at("/run/p95_ms")),
    };
    let head = pairs(&[
        ("flow", at("/flow")),
        ("runs", format!("{} ({})", at("/runs"), at("/by_status"))),
        ("success", rate),
        ("a run takes", takes),
    ]);
    let tasks = report.get("tasks").and_then(Value::as_object).cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> = tasks
        .iter()
        .map(|(task, times)| {
            let text = |name: &str| times.get(name).map(plain).unwrap_or_default();
            vec![task.clone(), text("count"), text("p50_ms"), text("p95_ms")]
        })
        .collect();
    format!("{head}\n{}", table(&["task", "times", "p50 ms", "p95 ms"], &rows, "no tasks yet"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reason_says_what_there_is_and_nothing_empty() {
        let of = |error: Value| {
            let run = json!({"id": "r", "flow": "t/n", "version": "1.0.0", "status": "faulted", "error": error});
            reason(&serde_json::from_value(run).unwrap())
        };
        assert_eq!(of(json!({"type": "t", "status": 500, "instance": "/do/0/a"})), "t (at /do/0/a)");
        assert_eq!(of(json!({"type": "t", "title": "Sold out", "instance": "/do/0/a"})), "Sold out (at /do/0/a)");
        assert_eq!(of(json!({"title": "Timeout", "detail": "too long"})), "Timeout: too long");
        assert_eq!(of(json!({})), "it failed");
    }
}
