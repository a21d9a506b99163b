//! Secrets: a run holds only marks in their place, and what leaves gets the values at the last moment.
//!
//! Inside a run a secret is a mark: `‹` + the run's own nonce + its name and path + `›`. Marks may be passed on (into a header, a body,
//! a text) but not computed with, which publishing checks. [`Secrets::reveal`] puts the values into an outgoing request;
//! [`Secrets::hide`] takes values and marks out of whatever comes in or is shown. State, log and lifecycle events
//! therefore never hold a value, and a mark that someone else writes reveals nothing: the nonce never leaves the run.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

const OPEN: char = '\u{2039}';
const CLOSE: char = '\u{203a}';
/// Shorter values are not searched for in what comes in: they would blot out innocent text.
const SEARCHED_BYTES: usize = 6;

/// The secrets that a flow declares, with their values.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, Value>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(String, Value)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl Secrets {
    /// These, and `others`, which count where both have one.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// True when there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The secret `name` with a mark in place of each value.
    pub fn marked(&self, nonce: &str, name: &str) -> Option<Value> {
        self.0.get(name).map(|value| mark(nonce, name, value))
    }

    /// All secrets as `$secrets`, marked.
    pub fn all_marked(&self, nonce: &str) -> Value {
        let marked: Map<String, Value> =
            self.0.iter().map(|(name, value)| (name.clone(), mark(nonce, name, value))).collect();
        marked.into()
    }

    /// Puts the values where the marks of this run stand; only for what leaves at once.
    pub fn reveal(&self, nonce: &str, text: &str) -> String {
        replace(nonce, text, |place| self.value_at(place).unwrap_or_default())
    }

    /// The same in every text of a value.
    pub fn reveal_value(&self, nonce: &str, value: &mut Value) {
        each_text(value, &mut |text| {
            if text.contains(nonce) {
                *text = self.reveal(nonce, text);
            }
        });
    }

    /// Takes this run's marks, and values that came back, out of what is kept or shown.
    pub fn hide(&self, nonce: &str, value: &mut Value) {
        if self.0.is_empty() {
            return;
        }
        let mut values = Vec::new();
        for (name, secret) in &self.0 {
            leaves(secret, &mut |text| {
                if text.len() >= SEARCHED_BYTES {
                    values.push((text.to_owned(), format!("[secret {name}]")));
                }
            });
        }
        each_text(value, &mut |text| {
            for (secret, shown) in &values {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), shown);
                }
            }
            if text.contains(nonce) {
                *text = without_marks(nonce, text);
            }
        });
    }

    fn value_at(&self, place: &str) -> Option<String> {
        let (name, path) = place.split_once('/').map_or((place, ""), |(name, _)| (name, &place[name.len()..]));
        match self.0.get(name)?.pointer(path)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// Takes this run's marks out of a text; for where no values can be, such as what an expression made.
pub fn without_marks(nonce: &str, text: &str) -> String {
    replace(nonce, text, |place| format!("[secret {}]", place.split('/').next().unwrap_or_default()))
}

/// Takes this run's marks out of all texts in a value.
pub fn hide_marks(nonce: &str, value: &mut Value) {
    each_text(value, &mut |text| {
        if text.contains(nonce) {
            *text = without_marks(nonce, text);
        }
    });
}

fn replace(nonce: &str, text: &str, with: impl Fn(&str) -> String) -> String {
    let start = format!("{OPEN}{nonce}:");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&start) {
        out.push_str(&rest[..at]);
        let body = &rest[at + start.len()..];
        let Some(end) = body.find(CLOSE) else {
            rest = body;
            continue;
        };
        out.push_str(&with(&body[..end]));
        rest = &body[end + CLOSE.len_utf8()..];
    }
    out.push_str(rest);
    out
}

fn mark(nonce: &str, place: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, field)| {
                (key.clone(), mark(nonce, &format!("{place}/{}", key.replace('~', "~0").replace('/', "~1")), field))
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, item)| mark(nonce, &format!("{place}/{n}"), item))
            .collect::<Vec<_>>()
            .into(),
        _ => Value::String(format!("{OPEN}{nonce}:{place}{CLOSE}")),
    }
}

fn leaves(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => found(text),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| leaves(field, found)),
        _ => {}
    }
}

fn each_text(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_text(field, change)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets() -> Secrets {
        [("api".to_owned(), json!("s3cr3t-value")), ("login".to_owned(), json!({"user/name": "ada", "pin": 1234}))]
            .into_iter()
            .collect()
    }

    #[test]
    fn marks_are_revealed_only_with_the_nonce_of_their_run() {
        let secrets = secrets();
        let marked = secrets.all_marked("n1");
        let text =
            format!("Bearer {} {}", marked["api"].as_str().unwrap(), marked["login"]["user/name"].as_str().unwrap());
        assert!(!text.contains("s3cr3t"));
        assert_eq!(secrets.reveal("n1", &text), "Bearer s3cr3t-value ada");
        assert_eq!(secrets.reveal("n2", &text), text);
        assert_eq!(secrets.reveal("n1", marked["login"]["pin"].as_str().unwrap()), "1234");
    }

    #[test]
    fn values_and_marks_are_hidden() {
        let secrets = secrets();
        let mut value = json!({"echo": ["you sent s3cr3t-value"], "mark": secrets.marked("n1", "api")});
        secrets.hide("n1", &mut value);
        assert_eq!(value, json!({"echo": ["you sent [secret api]"], "mark": "[secret api]"}));
    }
}
