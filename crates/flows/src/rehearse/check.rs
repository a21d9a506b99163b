//! Whether a case holds: it is played, and what came of it is compared with what was expected.

use std::time::Duration;

use nexus_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Called, Others, Rehearsal, Script, Stopped, What,
    case::{Case, Expect},
    complete,
    diff::{brief, changes},
    readable, rehearse,
    stub::like,
};
use crate::{detect::Watch, duration::LONGEST, error::same_kind, plan::Definition, problem::nearest};

/// Differences told of one expectation.
const TOLD: usize = 8;

/// What came of a case.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Which.
    pub name: String,
    /// Whether it holds.
    pub passed: bool,
    /// What is not as expected, one sentence each.
    pub problems: Vec<String>,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Rehearsal>,
}

/// Plays a case.
pub fn check(definition: &Definition, others: &Others<'_>, case: Case) -> Checked {
    let Case { name, trigger, watch, mut script, expect, checks } = case;
    let mut problems = unknown_tasks(definition, others, &script.stubs);
    if let Some(trigger) = &trigger {
        let event = complete(trigger, 0, script.begins);
        if !starts(definition, &event) {
            problems.push(format!("the trigger does not start this flow: {}", why_not(definition, &event)));
        }
        script.input = json!([event]);
    }
    if let Some(watch) = &watch {
        let told = watched(definition, watch, &script, &mut problems);
        let matches: Vec<Value> =
            told.iter().map(|(_, event)| event.get("data").cloned().unwrap_or_default()).collect();
        match &expect.matches {
            Some(wanted) => each("matches", wanted, &matches, &mut problems),
            None if matches.is_empty() => problems.push("nothing matched, so no run began".to_owned()),
            None => {}
        }
        match told.into_iter().next() {
            Some((at, event)) => (script.begins, script.input) = (at, json!([event])),
            // That nothing matches is all there is to see.
            None => return Checked { name, passed: problems.is_empty(), problems, rehearsal: None },
        }
    } else if expect.matches.is_some() {
        problems.push("`matches` are those of `watch`: give the events that the flow's detectors look at there".into());
    }
    if !problems.is_empty() {
        return Checked { name, passed: false, problems, rehearsal: None };
    }
    let rehearsal = rehearse(definition, others, script);
    match &rehearsal.stopped {
        Some(Stopped::WouldCall(called)) => problems.push(unstubbed(called)),
        Some(stopped) => problems.push(stopped.to_string()),
        None => {
            expected(&expect, &rehearsal, &mut problems);
            let whole = whole(&rehearsal);
            for (text, condition) in checks {
                match condition.holds(&whole, &()) {
                    Ok(true) => {}
                    Ok(false) => problems.push(format!("`{text}` does not hold")),
                    Err(error) => problems.push(error.detail.unwrap_or_else(|| format!("`{text}` fails"))),
                }
            }
        }
    }
    Checked { name, passed: problems.is_empty(), problems, rehearsal: Some(rehearsal) }
}

/// The matches of the flow's detectors: when, and the event that each publishes.
fn watched(
    definition: &Definition,
    events: &[(Duration, Value)],
    script: &Script,
    problems: &mut Vec<String>,
) -> Vec<(Timestamp, Value)> {
    if definition.settings.detect.is_empty() {
        problems.push("`watch` needs detectors; the flow declares none under nexus.dev/detect".to_owned());
    }
    let mut watch = Watch::new(definition);
    let mut found = Vec::new();
    for (n, (after, event)) in events.iter().enumerate() {
        let at = script.begins.plus(*after);
        match watch.event(at, &complete(event, n + 1, at)) {
            Ok(told) => found.extend(told),
            Err(error) => problems.push(error.to_string()),
        }
    }
    found.extend(watch.until(script.begins.plus(script.advance.unwrap_or(LONGEST))));
    found.into_iter().map(|(found, event)| (found.at, event)).collect()
}

fn starts(definition: &Definition, event: &Value) -> bool {
    let kind = event.get("type").and_then(Value::as_str);
    definition.starts_on(event) || definition.settings.detect.iter().any(|plan| kind == Some(plan.emit.as_str()))
}

fn why_not(definition: &Definition, event: &Value) -> String {
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    let known: Vec<&str> = definition.trigger_kinds().into_iter().flatten().collect();
    if known.is_empty() && definition.schedule.on.is_none() {
        return "it has no schedule.on; give `input` instead".to_owned();
    }
    if known.contains(&kind) {
        return format!("the type {kind:?} is right, another attribute or the data is not as schedule.on asks");
    }
    format!("{kind:?} is not what schedule.on asks for{}", nearest(kind, known))
}

fn unknown_tasks(definition: &Definition, others: &Others<'_>, stubs: &[super::Stub]) -> Vec<String> {
    let mut names = Vec::new();
    for definition in std::iter::once(definition).chain(others.values().copied()) {
        definition.each_node(&mut |node| names.push((node.name.as_str(), node.pointer.as_str())));
    }
    let mut found = Vec::new();
    for task in stubs.iter().filter_map(|stub| stub.of.task.as_deref()) {
        if !names.iter().any(|(name, pointer)| *name == task || *pointer == task) {
            let hint = nearest(task, names.iter().map(|(name, _)| *name));
            found.push(format!("`calls` answers the task {task:?}, which the flow does not have{hint}"));
        }
    }
    found
}

/// Which call it was, and the lines that would answer it.
fn unstubbed(called: &Called) -> String {
    let reply = match &called.what {
        What::Http { .. } => "answer: { status: 200, body: {} }",
        What::Function { .. } | What::Flow { .. } => "value: {}",
    };
    let whole = serde_json::to_value(&called.what).unwrap_or_default();
    let sent =
        ["body", "with", "input"].iter().find_map(|key| whole.get(*key)).map(|sent| format!(" with {}", brief(sent)));
    format!(
        "the task {} calls {}{}, and nothing answers; add to `calls`: - {{ task: {}, {reply} }}",
        called.task,
        called.what,
        sent.unwrap_or_default(),
        called.name
    )
}

/// The rehearsal as conditions see it.
fn whole(rehearsal: &Rehearsal) -> Value {
    let mut whole = serde_json::to_value(rehearsal).unwrap_or_default();
    whole["output"] = rehearsal.output().cloned().unwrap_or_default();
    whole["error"] = rehearsal.error().unwrap_or_default();
    whole["began"] = json!(rehearsal.began());
    whole
}

fn expected(expect: &Expect, rehearsal: &Rehearsal, problems: &mut Vec<String>) {
    let ended = || match (rehearsal.output(), rehearsal.error()) {
        (Some(output), _) => format!(" with {}", brief(output)),
        (_, Some(error)) => format!(" with {}", brief(&error)),
        _ => waits(rehearsal),
    };
    if let Some(status) = &expect.status
        && *status != rehearsal.status
    {
        problems.push(format!("status: {status} was expected, it is {}{}", rehearsal.status, ended()));
    }
    if let Some(output) = &expect.output {
        match rehearsal.output() {
            None if expect.status.as_ref().is_none_or(|status| *status == rehearsal.status) => {
                problems.push(format!("output: there is none; the run is {}{}", rehearsal.status, ended()));
            }
            None => {}
            Some(found) => differences("output", output, found, problems),
        }
    }
    if let Some(error) = &expect.error {
        match rehearsal.error() {
            None => problems.push(format!("error: there is none; the run is {}{}", rehearsal.status, ended())),
            Some(found) => error_as(error, &found, problems),
        }
    }
    if let Some(events) = &expect.emitted {
        each("emitted", events, &rehearsal.emitted, problems);
    }
    if let Some(calls) = &expect.calls {
        let made: Vec<Value> = rehearsal.calls.iter().map(call_value).collect();
        each("calls", calls, &made, problems);
    }
    if let Some(waiting) = &expect.waiting_for {
        let found: Vec<Value> = rehearsal.waiting.iter().map(readable).collect();
        each("waiting_for", waiting, &found, problems);
    }
    if let Some(steps) = &expect.steps {
        let began = rehearsal.began();
        if *steps != began {
            problems.push(format!("steps: {} was expected, it was {}", steps.join(", "), began.join(", ")));
        }
    }
}

fn waits(rehearsal: &Rehearsal) -> String {
    let tasks: Vec<&str> = rehearsal.waiting.iter().map(|waiting| waiting.task.as_str()).collect();
    if tasks.is_empty() { String::new() } else { format!(", waiting at {}", tasks.join(" and ")) }
}

fn call_value(called: &Called) -> Value {
    serde_json::to_value(called).unwrap_or_default()
}

fn differences(what: &str, wanted: &Value, found: &Value, problems: &mut Vec<String>) {
    for (path, wanted, found) in changes(wanted, found).into_iter().take(TOLD) {
        problems.push(match (wanted, found) {
            (Some(wanted), None) => format!("{what}{path}: {} was expected, it is not there", brief(&wanted)),
            (None, Some(found)) => format!("{what}{path}: {} was not expected", brief(&found)),
            (wanted, found) => {
                let text = |value: Option<Value>| value.as_ref().map(brief).unwrap_or_default();
                format!("{what}{path}: {} was expected, it is {}", text(wanted), text(found))
            }
        });
    }
}

fn error_as(wanted: &Map<String, Value>, found: &Value, problems: &mut Vec<String>) {
    for (key, wanted) in wanted {
        let is = found.get(key);
        let same = match (key.as_str(), wanted.as_str(), is.and_then(Value::as_str)) {
            ("type", Some(a), Some(b)) => same_kind(a, b) || b.rsplit('/').next() == Some(a),
            // A sentence may be told by a part of it.
            ("detail", Some(a), Some(b)) => b.contains(a),
            ("instance", Some(a), Some(b)) => a == b || b.rsplit('/').next() == Some(a),
            _ => is == Some(wanted),
        };
        if !same {
            let is = is.map_or_else(|| "not there".to_owned(), brief);
            problems.push(format!("error/{key}: {} was expected, it is {is}", brief(wanted)));
        }
    }
}

/// As many as expected, in this order, each with at least what is expected of it.
fn each(what: &str, wanted: &[Map<String, Value>], found: &[Value], problems: &mut Vec<String>) {
    for (n, wanted) in wanted.iter().enumerate() {
        match found.get(n) {
            None => problems.push(format!(
                "{what}/{n}: {} was expected, there are {}",
                brief(&wanted.clone().into()),
                found.len()
            )),
            Some(found) => {
                for (key, wanted) in wanted {
                    part(&format!("{what}/{n}/{key}"), key, wanted, found.get(key), problems);
                }
            }
        }
    }
    for (n, more) in found.iter().enumerate().skip(wanted.len()).take(TOLD) {
        problems.push(format!("{what}/{n}: {} was not expected", brief(more)));
    }
}

fn part(at: &str, key: &str, wanted: &Value, found: Option<&Value>, problems: &mut Vec<String>) {
    let same = match (key, wanted, found) {
        ("uri", Value::String(pattern), Some(Value::String(uri))) => like(pattern, uri),
        ("method", Value::String(a), Some(Value::String(b))) => a.eq_ignore_ascii_case(b),
        // By its name or by its pointer.
        ("task", Value::String(a), Some(Value::String(b))) => a == b || b.rsplit('/').next() == Some(a),
        (_, Value::Object(wanted), Some(Value::Object(found))) => {
            for (key, wanted) in wanted {
                part(&format!("{at}/{key}"), key, wanted, found.get(key), problems);
            }
            true
        }
        _ => found == Some(wanted),
    };
    if !same {
        let is = found.map_or_else(|| "not there".to_owned(), brief);
        problems.push(format!("{at}: {} was expected, it is {is}", brief(wanted)));
    }
}
