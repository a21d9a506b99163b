//! A schema out of an OpenAPI document, made to stand alone: only what it refers to, as JSON Schema 2020-12.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// Words that say nothing about what is refused.
const PROSE: [&str; 10] = [
    "default",
    "deprecated",
    "description",
    "discriminator",
    "example",
    "examples",
    "externalDocs",
    "nullable",
    "title",
    "xml",
];
/// Words whose value is a map of schemas under names that mean nothing to a schema.
const NAMED: [&str; 4] = ["properties", "patternProperties", "dependentSchemas", "$defs"];
/// Words whose value is data.
const DATA: [&str; 4] = ["enum", "const", "required", "pattern"];

/// Compiles `schema` of `document`; `closed` also refuses fields of the outermost object that no part of it names.
pub(super) fn compile(document: &Value, schema: &Value, closed: bool) -> Validator {
    let whole = bundle(document, schema, closed);
    jsonschema::options().should_validate_formats(true).build(&whole).expect("the document's schemas are JSON Schema")
}

/// Follows references until something is there.
pub(super) fn resolve<'d>(document: &'d Value, mut value: &'d Value) -> &'d Value {
    for _ in 0..16 {
        let Some(pointer) = value.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) else { break };
        value = document.pointer(pointer).expect("the reference leads somewhere");
    }
    value
}

/// The schema of a field, wherever in the parts of `schema` it is named.
pub(super) fn property<'d>(document: &'d Value, schema: &'d Value, name: &str) -> Option<&'d Value> {
    let schema = resolve(document, schema);
    if let Some(found) = schema.get("properties").and_then(|p| p.get(name)) {
        return Some(resolve(document, found));
    }
    let parts = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
    parts.into_iter().find_map(|part| property(document, part, name))
}

fn bundle(document: &Value, schema: &Value, closed: bool) -> Value {
    let old = document["openapi"].as_str().is_some_and(|version| version.starts_with("3.0"));
    let mut walk = Walk { old, wanted: Vec::new(), seen: BTreeSet::new() };
    let mut whole = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [walk.schema(schema)]});
    let mut defs = Map::new();
    while let Some(pointer) = walk.wanted.pop() {
        let found = document.pointer(&pointer).expect("the reference leads somewhere");
        defs.insert(name(&pointer), walk.schema(found));
    }
    whole["$defs"] = defs.into();
    if closed {
        whole["unevaluatedProperties"] = false.into();
    }
    whole
}

/// A pointer as one plain word.
fn name(pointer: &str) -> String {
    pointer.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

struct Walk {
    /// 3.0, where `nullable` and a true `exclusiveMinimum` are words.
    old: bool,
    wanted: Vec<String>,
    seen: BTreeSet<String>,
}

impl Walk {
    fn schema(&mut self, schema: &Value) -> Value {
        let Value::Object(fields) = schema else { return schema.clone() };
        if let Some(pointer) = fields.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) {
            if self.seen.insert(pointer.to_owned()) {
                self.wanted.push(pointer.to_owned());
            }
            let there = json!({"$ref": format!("#/$defs/{}", name(pointer))});
            let mut rest = fields.clone();
            rest.remove("$ref");
            // In 3.0 nothing beside a reference counts.
            return if self.old || rest.is_empty() {
                there
            } else {
                json!({"allOf": [there, self.schema(&rest.into())]})
            };
        }
        let mut out = Map::new();
        for (word, value) in fields {
            if PROSE.contains(&word.as_str()) || word.starts_with("x-") {
                continue;
            }
            let value = match value {
                value if DATA.contains(&word.as_str()) => value.clone(),
                Value::Object(named) if NAMED.contains(&word.as_str()) => {
                    named.iter().map(|(name, schema)| (name.clone(), self.schema(schema))).collect()
                }
                Value::Array(items) => items.iter().map(|item| self.schema(item)).collect(),
                other => self.schema(other),
            };
            out.insert(word.clone(), value);
        }
        if self.old { modern(fields, out) } else { out.into() }
    }
}

/// The words of 3.0 that JSON Schema says otherwise.
fn modern(fields: &Map<String, Value>, mut out: Map<String, Value>) -> Value {
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        match out.remove(exclusive) {
            Some(Value::Bool(true)) => {
                let bound = out.remove(bound).unwrap_or_default();
                out.insert(exclusive.into(), bound);
            }
            Some(Value::Bool(false)) | None => {}
            Some(other) => drop(out.insert(exclusive.into(), other)),
        }
    }
    if fields.get("nullable") == Some(&Value::Bool(true)) {
        json!({"anyOf": [out, {"type": "null"}]})
    } else {
        out.into()
    }
}
