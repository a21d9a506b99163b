//! Calls of connectors, as far as they can be judged before they are made: which connector, which operation, which arguments.
//! What an expression will give is not known; which fields an operation takes and needs is.

use nexus_engine::connectors::{Connector, Library};
use serde_json::{Map, Value};

use crate::{
    catalog::{self, CONNECTOR},
    plan::{Definition, Work},
    pointer::Pointer,
    problem::{Problems, nearest},
};

/// `connector.slack.message.post` as connector and operation.
pub(crate) fn parts(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(CONNECTOR)?.split_once('.')
}

/// The connector and the operation that a function's name means; an error says which there are.
pub(crate) fn find<'l, 'n>(library: &'l Library, name: &'n str) -> Result<(&'l Connector, &'n str), String> {
    let Some((connector, operation)) = parts(name) else {
        return Err(format!("{name:?} names no operation; write connector.NAME.OPERATION"));
    };
    let Some(found) = library.get(connector) else {
        let known: Vec<&str> = library.names().collect();
        let near = nearest(connector, known.iter().copied());
        return Err(format!("there is no connector {connector:?}{near}; there are {}", known.join(", ")));
    };
    let known: Vec<&str> = found.operations().collect();
    if known.contains(&operation) {
        return Ok((found, operation));
    }
    let near = nearest(operation, known.iter().copied());
    Err(format!("the connector {connector:?} has no operation {operation:?}{near}; it has {}", known.join(", ")))
}

/// What is wrong with a flow's calls of connectors.
pub fn check_connectors(definition: &Definition, library: &Library) -> Problems {
    let mut problems = Problems::default();
    definition.each_node(&mut |node| {
        if let Work::Function { name, .. } = &node.work
            && name.starts_with(CONNECTOR)
        {
            let at = Pointer::from_text(&node.defined_at);
            match find(library, name) {
                Ok((connector, operation)) => {
                    let with = definition.source.pointer(&node.defined_at).and_then(|task| task.get("with"));
                    arguments(connector, operation, with, &at, &mut problems);
                }
                Err(what) => problems.add(&at.key("call"), what),
            }
        }
    });
    problems
}

fn arguments(connector: &Connector, operation: &str, with: Option<&Value>, at: &Pointer, problems: &mut Problems) {
    let none = Map::new();
    let (with, at) = match with {
        Some(Value::Object(with)) => (with, &at.key("with")),
        Some(_) => return,
        None => (&none, at),
    };
    let takes: Vec<&str> =
        catalog::find(CONNECTOR).into_iter().flat_map(|found| found.takes).map(|argument| argument.name).collect();
    for name in with.keys().filter(|name| !takes.contains(&name.as_str())) {
        let near = nearest(name, takes.iter().copied());
        let known = takes.join(", ");
        problems.add(
            &at.key(name),
            format!("a call of a connector takes {known}; what is called with goes into input{near}"),
        );
    }
    let Some(schema) = connector.manifest.operations.get(operation).map(|operation| &operation.input) else { return };
    let (input, place) = match with.get("input") {
        Some(Value::Object(input)) => (input, at.key("input")),
        None => (&none, at.clone()),
        // An expression, or something that the call itself will refuse.
        Some(_) => return,
    };
    let fields = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let takes =
        || if fields.is_empty() { "nothing".to_owned() } else { fields.keys().cloned().collect::<Vec<_>>().join(", ") };
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        for name in input.keys().filter(|name| !fields.contains_key(*name)) {
            let near = nearest(name, fields.keys().map(String::as_str));
            problems.add(&place.key(name), format!("{operation} takes no {name:?}; it takes {}{near}", takes()));
        }
    }
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str).filter(|name| !input.contains_key(*name)) {
        problems.add(&place, format!("{operation} needs {name:?} in its input; it takes {}", takes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish;

    fn found(task: &str) -> Vec<String> {
        let head = "document: { dsl: '1.0.3', namespace: t, name: n, version: '1.0.0' }\ndo:\n  - a: ";
        let definition = publish(&format!("{head}{task}\n")).unwrap_or_else(|e| panic!("{e}"));
        check_connectors(&definition, &Library::shipped()).list().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_call_that_can_not_succeed_is_found_before_it_is_made() {
        let mint =
            |with: &str| found(&format!("{{ call: 'connector.smart-factory.mint:1.0.0@default', with: {with} }}"));
        assert_eq!(mint("{ key: k, input: { address: '${ .a }', amount: '${ .b }' } }"), [""; 0]);
        assert_eq!(mint("{ input: '${ . }' }"), [""; 0], "what it gives is not known yet");
        for (with, place, part) in [
            ("{ inputs: { address: a, amount: 1 } }", "/do/0/a/with/inputs", "did you mean \"input\"?"),
            ("{ input: { address: a, amunt: 1 } }", "/do/0/a/with/input/amunt", "did you mean \"amount\"?"),
            ("{ input: { address: a } }", "/do/0/a/with/input", "needs \"amount\""),
            ("{ connection: main }", "/do/0/a/with", "needs \"address\""),
        ] {
            let found = mint(with);
            assert!(found.iter().any(|one| one.starts_with(place) && one.contains(part)), "{with}: {found:?}");
        }
        for (name, part) in [
            ("connector.smart-factry.mint", "did you mean \"smart-factory\"?"),
            ("connector.smart-factory.mnt", "did you mean \"mint\"?"),
            ("connector.smart-factory", "write connector.NAME.OPERATION"),
        ] {
            let found = found(&format!("{{ call: '{name}:1.0.0@default', with: {{ input: {{}} }} }}"));
            assert!(found.len() == 1 && found[0].starts_with("/do/0/a/call") && found[0].contains(part), "{found:?}");
        }
    }
}
