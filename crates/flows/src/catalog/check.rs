//! What calls of the hub's functions are given, held against the table: when a flow is published as far as it stands in the
//! document, and in whole when the call is made. No message repeats a value, which may be a secret.

use nexus_core::{event::Priority, topic::Topic};
use serde_json::{Map, Value};

use super::{
    Argument, CONNECTOR, Kind, Signature, VARIANTS, find,
    table::{HOOK, OPERATION, VARIANT},
    time,
};
use crate::{
    expression::inside,
    host::form,
    model::read::kind,
    plan::{Definition, Work},
    pointer::Pointer,
    problem::{Problems, nearest},
};

/// What is wrong with a flow's calls of functions. `known` refuses a name or a version; what is not in the table has its
/// arguments looked at when it is called.
pub fn check_calls(definition: &Definition, known: impl Fn(&str, &str) -> Result<(), String>) -> Problems {
    let mut problems = Problems::default();
    definition.each_node(&mut |node| {
        let Work::Function { name, version, .. } = &node.work else { return };
        let at = Pointer::from_text(&node.defined_at);
        if let Err(what) = known(name, version) {
            problems.add(&at.key("call"), what);
        }
        let Some(signature) = find(name) else { return };
        let none = Map::new();
        let (with, at) = match definition.source.pointer(&node.defined_at).and_then(|task| task.get("with")) {
            Some(Value::Object(with)) => (with, at.key("with")),
            Some(_) => return,
            None => (&none, at),
        };
        let mut check = Check { problems: &mut problems, in_document: true };
        check.call(signature, with, &at);
    });
    problems
}

/// What is wrong with the arguments of a call that is made.
pub fn check_values(name: &str, with: &Value) -> Result<(), String> {
    let Some(signature) = find(name) else { return Ok(()) };
    let mut problems = Problems::default();
    let mut check = Check { problems: &mut problems, in_document: false };
    match with {
        Value::Object(with) => check.fields(name, signature.takes, with, &Pointer::root()),
        other => check.problems.add(&Pointer::root(), format!("a map is expected here, not {}", kind(other))),
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems.list().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    }
}

struct Check<'p> {
    problems: &'p mut Problems,
    /// Expressions stand for what they will give.
    in_document: bool,
}

impl Check<'_> {
    fn call(&mut self, signature: &Signature, with: &Map<String, Value>, at: &Pointer) {
        // What connectors take beside is told with what their operations take.
        if signature.name != CONNECTOR {
            self.fields(signature.name, signature.takes, with, at);
        } else {
            self.kinds(signature.takes, with, at);
        }
        let has = |name: &str| with.get(name).is_some_and(|value| !value.is_null());
        match signature.name {
            "state.set" if !with.contains_key("value") && !has("delete") => {
                self.problems.add(at, "state.set needs \"value\" (what the key is set to), or delete: true");
            }
            "notify" if has("url") && (has("connector") || has("operation")) => {
                self.problems.add(at, "either url, or connector with operation, says where it is sent; not both");
            }
            "notify" if has("connector") != has("operation") => {
                self.problems.add(at, "connector and operation belong together: name both, or neither");
            }
            _ => {}
        }
    }

    /// Every field known, those that are needed there, all of the right kind.
    fn fields(&mut self, what: &str, takes: &[Argument], with: &Map<String, Value>, at: &Pointer) {
        let names = || takes.iter().map(|argument| argument.name);
        let known = || names().collect::<Vec<_>>().join(", ");
        for name in with.keys().filter(|name| names().all(|known| known != name.as_str())) {
            let near = nearest(name, names());
            self.problems.add(&at.key(name), format!("{what} takes no {name:?}; it takes {}{near}", known()));
        }
        for needed in takes.iter().filter(|argument| argument.required && !with.contains_key(argument.name)) {
            let what = format!("{what} needs {:?} ({}, {})", needed.name, needed.kind.words(), needed.about);
            self.problems.add(at, what);
        }
        self.kinds(takes, with, at);
    }

    fn kinds(&mut self, takes: &[Argument], with: &Map<String, Value>, at: &Pointer) {
        for argument in takes {
            match with.get(argument.name) {
                None => {}
                Some(Value::Null) if !argument.required => {}
                Some(value) => self.value(argument, value, &at.key(argument.name)),
            }
        }
    }

    fn value(&mut self, argument: &Argument, value: &Value, at: &Pointer) {
        if self.in_document && value.as_str().is_some_and(|text| inside(text).is_some()) {
            return;
        }
        let text = value.as_str();
        let fits = match argument.kind {
            Kind::Anything => true,
            Kind::Text(most) => {
                if let Some(text) = text
                    && (text.trim().is_empty() || text.chars().count() > most)
                {
                    self.problems.add(at, format!("1 to {most} characters are expected here"));
                    return;
                }
                text.is_some()
            }
            Kind::Free => text.is_some(),
            Kind::Topic => text.is_some_and(|text| Topic::parse(text).is_ok()),
            Kind::Flag => value.is_boolean(),
            Kind::Whole => value.is_u64(),
            Kind::Time => text.is_some_and(|text| time(text).is_ok()),
            Kind::Word(words) => text.is_some_and(|text| words.contains(&text)),
            Kind::Priority => text.is_some_and(|text| text.parse::<Priority>().is_ok()),
            Kind::Map => value.is_object(),
            Kind::Fields(fields) => return self.map(argument, fields, value, at),
            Kind::Variants => return self.variants(argument, value, at),
            Kind::Channel => {
                let fields =
                    if value.get("connector").is_some() || value.get("operation").is_some() { OPERATION } else { HOOK };
                return self.map(argument, fields, value, at);
            }
            Kind::Form => return self.form(value, at),
        };
        if !fits {
            self.unfit(argument, value, at);
        }
    }

    fn unfit(&mut self, argument: &Argument, value: &Value, at: &Pointer) {
        // Text that is no text of this kind: what it should be says enough.
        let not = if value.is_string() { "other text" } else { kind(value) };
        self.problems.add(at, format!("{} is expected here, not {not}", argument.kind.words()));
    }

    fn map(&mut self, argument: &Argument, fields: &[Argument], value: &Value, at: &Pointer) {
        match value {
            Value::Object(map) => self.fields(argument.name, fields, map, at),
            other => self.unfit(argument, other, at),
        }
    }

    fn variants(&mut self, argument: &Argument, value: &Value, at: &Pointer) {
        let Value::Array(items) = value else { return self.unfit(argument, value, at) };
        if items.is_empty() || items.len() > VARIANTS {
            self.problems.add(at, format!("1 to {VARIANTS} variants are expected here, not {}", items.len()));
        }
        for (n, item) in items.iter().enumerate() {
            match item {
                Value::String(_) => {}
                Value::Object(map) => self.fields("a variant", VARIANT, map, &at.index(n)),
                other => {
                    let what = format!("a name, or a map of name and weight, is expected here, not {}", kind(other));
                    self.problems.add(&at.index(n), what);
                }
            }
        }
    }

    fn form(&mut self, value: &Value, at: &Pointer) {
        if self.in_document && holds_expression(value) {
            return;
        }
        if let Err(what) = form::fields(value) {
            self.problems.add(at, format!("{}: {what}", Kind::Form.words()));
        }
    }
}

fn holds_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => inside(text).is_some(),
        Value::Array(items) => items.iter().any(holds_expression),
        Value::Object(fields) => fields.values().any(holds_expression),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::publish;

    fn found(call: &str, with: &Value) -> Vec<String> {
        let document = json!({
            "document": {"dsl": "1.0.3", "namespace": "t", "name": "n", "version": "1.0.0"},
            "do": [{"a": {"call": format!("{call}:1.0.0@default"), "with": with}}],
        });
        let definition = publish(&document.to_string()).unwrap_or_else(|e| panic!("{e}"));
        check_calls(&definition, crate::catalog::known).list().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn calls_that_are_right_or_not_known_yet_pass() {
        for (call, with) in [
            ("publish", json!({"type": "order.paid", "data": 1, "subject": null, "priority": "HIGH"})),
            ("publish", json!({"type": "${ .t }", "priority": "${ .p }"})),
            ("bucket", json!({"test": "t", "key": "${ .id }", "variants": ["a", {"name": "b", "weight": 3}]})),
            ("bucket", json!({"test": "t", "key": 7, "variants": "${ .all }"})),
            ("command", json!({"type": "state.set", "payload": {"key": "k"}})),
            ("state.get", json!({"key": "k", "default": [1]})),
            ("state.set", json!({"key": "k", "value": null, "ttl": "PT1H", "expected_version": 0})),
            ("state.set", json!({"key": "k", "delete": true})),
            ("service.invoke", json!({"service": "s", "body": {}, "timeout": "30s"})),
            (
                "approval",
                json!({"title": "Pay?", "timeout": "2d", "escalate": {"after": "PT1H", "assignee": "${ .boss }"},
                    "notify": {"url": "https://a.example"}, "form": {"type": "object", "properties": {"n": {"type": "number"}}}}),
            ),
            ("notify", json!({"text": "x", "severity": "warning", "connector": "slack", "operation": "message.post"})),
            ("connector.slack.message.post", json!({"input": {}, "patience": "2m", "anything": 1})),
        ] {
            assert_eq!(found(call, &with), [""; 0], "{call} {with}");
        }
    }

    #[test]
    fn calls_that_can_not_succeed_are_told_with_place_and_remedy() {
        for (call, with, part) in [
            ("publish", json!({}), "/do/0/a/with: publish needs \"type\" (the type of an event"),
            (
                "publish",
                json!({"typ": "a"}),
                "/do/0/a/with/typ: publish takes no \"typ\"; it takes type, data, subject, priority; did you mean \"type\"?",
            ),
            (
                "publish",
                json!({"type": 7}),
                "/do/0/a/with/type: the type of an event, such as order.created is expected here, not a number",
            ),
            (
                "publish",
                json!({"type": "a", "priority": "urgent"}),
                "LOW, NORMAL, HIGH, CRITICAL or 0 to 3 is expected here",
            ),
            (
                "bucket",
                json!({"test": "t", "key": 1, "variants": [1]}),
                "/do/0/a/with/variants/0: a name, or a map of name and weight, is expected here, not a number",
            ),
            (
                "bucket",
                json!({"test": "t", "key": 1, "variants": [{"nam": "a"}]}),
                "/do/0/a/with/variants/0/nam: a variant takes no \"nam\"",
            ),
            ("bucket", json!({"test": "t", "key": 1, "variants": []}), "1 to 20 variants are expected here"),
            ("state.set", json!({"key": "k"}), "state.set needs \"value\""),
            (
                "state.set",
                json!({"key": "k", "value": 1, "expected_version": -1}),
                "a whole number, not negative is expected here",
            ),
            (
                "state.set",
                json!({"key": "k", "value": 1, "ttl": "soon"}),
                "a time such as 30s, 2h or PT30S is expected here, not other text",
            ),
            ("approval", json!({"title": "  "}), "/do/0/a/with/title: 1 to 200 characters"),
            (
                "approval",
                json!({"title": "x", "escalate": {"afer": "1h", "assignee": "b"}}),
                "escalate takes no \"afer\"; it takes after, assignee, notify; did you mean \"after\"?",
            ),
            ("approval", json!({"title": "x", "notify": "https://a.example"}), "a map of url, or of connector"),
            ("approval", json!({"title": "x", "form": {"type": "array"}}), "/do/0/a/with/form: a JSON Schema of"),
            ("notify", json!({"text": "x", "severity": "fatal"}), "one of info, warning, critical is expected here"),
            ("notify", json!({"text": "x", "url": "https://a.example", "connector": "slack"}), "not both"),
            ("connector.slack.message.post", json!({"patience": 5}), "/do/0/a/with/patience"),
            (
                "notfy",
                json!({"text": "x"}),
                "/do/0/a/call: the hub has no function \"notfy\"; did you mean \"notify\"?",
            ),
            ("plugin", json!({}), "this hub has no plugins"),
        ] {
            let found = found(call, &with);
            assert!(found.iter().any(|one| one.contains(part)), "{call} {with}: {found:?}");
        }
    }

    #[test]
    fn a_call_that_is_made_is_refused_in_the_same_words_and_without_its_values() {
        assert_eq!(check_values("publish", &json!({"type": "a", "subject": "${ not an expression }"})), Ok(()));
        let refused = check_values("state.set", &json!({"key": "k", "ttl": "s3cret"})).unwrap_err();
        assert!(refused.starts_with("/ttl: a time such as") && !refused.contains("s3cret"), "{refused}");
        assert!(check_values("bucket", &json!(["x"])).unwrap_err().contains("a map is expected here"));
        assert_eq!(check_values("of-somebody-else", &json!(1)), Ok(()));
    }
}
