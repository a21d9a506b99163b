//! What two rehearsals did differently: what a new version of a flow would have done with what an old one was given.
//!
//! Tasks are the same when their names along the way to them are; moving one is no difference. What changes with every run
//! (ids, times, idempotency keys) is none either.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Called, Rehearsal};
use crate::pointer::Pointer;

/// Differences told of one rehearsal; the first ones are the useful ones.
const TOLD: usize = 200;
/// Characters of a value that a line of text shows.
const SHOWN: usize = 120;

/// What is different.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    /// In the order: how it ended, calls, events, tasks, what is waited for.
    pub differences: Vec<Difference>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Of what: `outcome`, `call`, `event`, `task` or `waiting`.
    pub of: &'static str,
    /// Which: the task, the event's type; with its number where there are several.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub which: String,
    /// Where in it, as a JSON pointer; empty for the whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What it was; not there: it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it would be; not there: it would not be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match (self.which.as_str(), self.path.as_str()) {
            ("", path) => path.to_owned(),
            (which, path) => format!("{which}{path}"),
        };
        match (&self.before, &self.after) {
            (None, Some(after)) => write!(f, "+ {} {place}: {}", self.of, brief(after)),
            (Some(before), None) => write!(f, "- {} {place}: {}", self.of, brief(before)),
            (before, after) => {
                let text = |value: &Option<Value>| value.as_ref().map(brief).unwrap_or_default();
                write!(f, "~ {} {place}: {} -> {}", self.of, text(before), text(after))
            }
        }
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.differences.is_empty() {
            return f.write_str("no difference");
        }
        for (n, difference) in self.differences.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{difference}")?;
        }
        Ok(())
    }
}

/// A value in few characters.
pub(crate) fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// What `after` did differently from `before`.
pub fn diff(before: &Rehearsal, after: &Rehearsal) -> Diff {
    let mut found = Vec::new();
    compare("outcome", "", &ending(before), &ending(after), &mut found);
    keyed("call", &calls(before), &calls(after), &mut found);
    keyed("event", &events(before), &events(after), &mut found);
    keyed("task", &tasks(before), &tasks(after), &mut found);
    keyed("waiting", &waiting(before), &waiting(after), &mut found);
    found.truncate(TOLD);
    Diff { differences: found }
}

fn ending(of: &Rehearsal) -> Value {
    let mut ending = json!({"status": of.status});
    if let Some(output) = of.output() {
        ending["output"] = output.clone();
    }
    if let Some(mut error) = of.error() {
        if let Some(instance) = error.get("instance").and_then(Value::as_str).map(way) {
            error["instance"] = instance.into();
        }
        ending["error"] = error;
    }
    if let Some(stopped) = &of.stopped {
        ending["stopped"] = stopped.to_string().into();
    }
    ending
}

type Things = Vec<(String, Value)>;

fn calls(of: &Rehearsal) -> Things {
    let shown = |called: &Called| serde_json::to_value(&called.what).unwrap_or_default();
    numbered(of.calls.iter().map(|called| (way(&called.task), shown(called))))
}

fn events(of: &Rehearsal) -> Things {
    numbered(of.emitted.iter().map(|event| {
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut event = event.clone();
        if let Value::Object(fields) = &mut event {
            fields.retain(|name, _| name != "id" && name != "time");
        }
        (kind, event)
    }))
}

fn tasks(of: &Rehearsal) -> Things {
    let phases = of.steps.iter().map(|step| (way(&step.task), serde_json::to_value(step.phase).unwrap_or_default()));
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut order = Vec::new();
    for (task, phase) in phases {
        let known = found.entry(task.clone()).or_default();
        if known.is_empty() {
            order.push(task);
        }
        known.push(phase);
    }
    order.into_iter().map(|task| (task.clone(), found.remove(&task).unwrap_or_default().into())).collect()
}

fn waiting(of: &Rehearsal) -> Things {
    numbered(of.waiting.iter().map(|waiting| {
        let mut value = super::readable(waiting);
        if let Value::Object(fields) = &mut value {
            fields.retain(|name, _| name != "task" && name != "key");
        }
        (way(&waiting.task), value)
    }))
}

/// The way to a task by the names along it: `/do/0/pay/try/1/charge` is `pay/charge`.
fn way(pointer: &str) -> String {
    let pieces: Vec<&str> = pointer.split('/').collect();
    let named = pieces.windows(2).filter(|pair| pair[0].parse::<usize>().is_ok()).map(|pair| pair[1]);
    let named: Vec<&str> = named.collect();
    if named.is_empty() { pointer.to_owned() } else { named.join("/") }
}

/// The second of the same name is `name #2`.
fn numbered(things: impl Iterator<Item = (String, Value)>) -> Things {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    things
        .map(|(name, value)| {
            let n = seen.entry(name.clone()).or_default();
            *n += 1;
            (if *n == 1 { name } else { format!("{name} #{n}") }, value)
        })
        .collect()
}

fn keyed(of: &'static str, before: &Things, after: &Things, found: &mut Vec<Difference>) {
    let was: BTreeMap<&str, &Value> = before.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let would: BTreeMap<&str, &Value> = after.iter().map(|(name, value)| (name.as_str(), value)).collect();
    for (name, value) in before {
        match would.get(name.as_str()) {
            Some(new) => compare(of, name, value, new, found),
            None => found.push(Difference {
                of,
                which: name.clone(),
                path: String::new(),
                before: Some(value.clone()),
                after: None,
            }),
        }
    }
    for (name, value) in after.iter().filter(|(name, _)| !was.contains_key(name.as_str())) {
        found.push(Difference {
            of,
            which: name.clone(),
            path: String::new(),
            before: None,
            after: Some(value.clone()),
        });
    }
}

fn compare(of: &'static str, which: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    for (path, before, after) in changes(before, after) {
        found.push(Difference { of, which: which.to_owned(), path, before, after });
    }
}

/// Where a value changed, as the JSON pointer and what stood there before and after.
pub fn changes(before: &Value, after: &Value) -> Vec<(String, Option<Value>, Option<Value>)> {
    let mut found = Vec::new();
    walk(&Pointer::root(), before, after, &mut found);
    found
}

fn walk(at: &Pointer, before: &Value, after: &Value, found: &mut Vec<(String, Option<Value>, Option<Value>)>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                match new.get(key) {
                    Some(other) => walk(&at.key(key), value, other, found),
                    None => found.push((at.key(key).into_string(), Some(value.clone()), None)),
                }
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                found.push((at.key(key).into_string(), None, Some(value.clone())));
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for n in 0..old.len().max(new.len()) {
                match (old.get(n), new.get(n)) {
                    (Some(a), Some(b)) => walk(&at.index(n), a, b, found),
                    (a, b) => found.push((at.index(n).into_string(), a.cloned(), b.cloned())),
                }
            }
        }
        _ if before == after => {}
        _ => found.push((at.as_str().to_owned(), Some(before.clone()), Some(after.clone()))),
    }
}
