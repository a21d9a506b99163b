//! Secrets that came back: an answer may repeat what it was sent, and a request may be shown. Nothing of a secret goes
//! further than to where it was sent.

use data_encoding::BASE64;
use nexus_core::sign::Secret;
use serde_json::Value;

use crate::connectors::encode;

/// Shorter secrets are not looked for: they would be found everywhere.
const SHORTEST: usize = 4;

/// Knows what to hide. Not printable.
#[derive(Default)]
pub(crate) struct Hider(Vec<(String, String)>);

impl Hider {
    /// Hides `secret`, also where it is encoded.
    pub(crate) fn add(&mut self, name: &str, secret: &Secret) {
        let text = secret.expose();
        if text.len() < SHORTEST {
            return;
        }
        let shown = format!("[secret {name}]");
        for form in [text.to_owned(), encode(text), BASE64.encode(text.as_bytes())] {
            if !self.0.iter().any(|(known, _)| *known == form) {
                self.0.push((form, shown.clone()));
            }
        }
        // The longest first: one may be part of another.
        self.0.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
    }

    /// A text without them.
    pub(crate) fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (form, shown)| {
            if text.contains(form.as_str()) { text.replace(form.as_str(), shown) } else { text }
        })
    }

    /// A value without them, keys included.
    pub(crate) fn value(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(key, field)| (self.text(&key), self.value(field))).collect()
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_hidden_in_each_of_its_forms() {
        let mut hider = Hider::default();
        hider.add("token", &Secret::new("a+b/c=="));
        hider.add("short", &Secret::new("abc"));
        let said = json!({"a+b/c==": ["x a+b/c== y", {"q": "t=a%2Bb%2Fc%3D%3D", "h": BASE64.encode(b"a+b/c==")}], "n": 7, "s": "abc"});
        let hidden = hider.value(said);
        let token = "[secret token]";
        let right =
            json!({token: [format!("x {token} y"), {"q": format!("t={token}"), "h": token}], "n": 7, "s": "abc"});
        assert_eq!(hidden, right);
    }
}
