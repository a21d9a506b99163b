//! Schemas of a description as a manifest has them: each that has a name once for an operation, under `$defs`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Import, short, text};

/// Values in one operation's schemas; what comes after may be anything.
const VALUES: usize = 2_000;
/// Levels of one schema, without those that have names; what lies deeper may be anything.
const DEPTH: usize = 12;

/// The schemas of one operation.
pub(super) struct Schemas<'d> {
    /// The names under which those of the description stand, by their pointers there.
    names: BTreeMap<&'d str, String>,
    shared: Map<String, Value>,
    /// Values that may still be written.
    left: usize,
    is_cut: bool,
    /// References that lead nowhere.
    unknown: Vec<String>,
}

impl Default for Schemas<'_> {
    fn default() -> Self {
        Self { names: BTreeMap::new(), shared: Map::new(), left: VALUES, is_cut: false, unknown: Vec::new() }
    }
}

impl<'d> Schemas<'d> {
    /// What is to be put under `$defs`.
    pub(super) fn into_shared(self) -> Map<String, Value> {
        self.shared
    }

    /// What the operation's schemas do not say.
    pub(super) fn notes(&self, id: &str) -> Vec<String> {
        let cut = self.is_cut.then(|| format!("{id}: its input is large; parts of it are not checked"));
        let unknown =
            self.unknown.iter().map(|to| format!("{id}: {to} is not in the description, so it may be anything"));
        cut.into_iter().chain(unknown).collect()
    }

    /// A name of its own for what a pointer means; its last part, as far as that is free.
    fn name(&mut self, pointer: &'d str) -> String {
        let last = pointer.rsplit('/').next().unwrap_or_default();
        let last: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let mut name = last.clone();
        let mut number = 1;
        while self.shared.contains_key(&name) {
            number += 1;
            name = format!("{last}_{number}");
        }
        self.names.insert(pointer, name.clone());
        // The place is taken before the schema is made, which may refer to itself.
        self.shared.insert(name.clone(), Value::Null);
        name
    }
}

impl<'d> Import<'d> {
    /// A schema; those that it refers to are put beside it.
    pub(super) fn schema(&self, schema: &'d Value, all: &mut Schemas<'d>) -> Value {
        self.levels(schema, DEPTH, all)
    }

    fn levels(&self, schema: &'d Value, depth: usize, all: &mut Schemas<'d>) -> Value {
        let (schema, pointer) = self.named(schema);
        if let Some(to) = text(schema, "$ref") {
            let to = to.to_owned();
            if !all.unknown.contains(&to) {
                all.unknown.push(to);
            }
            return json!({});
        }
        match pointer {
            Some(pointer) if is_shared(schema) => self.shared(pointer, schema, all),
            _ => self.written(schema, depth, all),
        }
    }

    fn shared(&self, pointer: &'d str, schema: &'d Value, all: &mut Schemas<'d>) -> Value {
        let name = match all.names.get(pointer) {
            Some(name) => name.clone(),
            None => {
                let name = all.name(pointer);
                let written = self.written(schema, DEPTH, all);
                all.shared.insert(name.clone(), written);
                name
            }
        };
        json!({"$ref": format!("#/$defs/{name}")})
    }

    fn written(&self, schema: &'d Value, depth: usize, all: &mut Schemas<'d>) -> Value {
        let Some(fields) = schema.as_object() else { return schema.clone() };
        let (Some(depth), Some(left)) = (depth.checked_sub(1), all.left.checked_sub(1)) else {
            all.is_cut = true;
            return json!({});
        };
        all.left = left;
        let nullable = fields.get("nullable") == Some(&Value::Bool(true));
        let mut out = Map::new();
        for (name, value) in fields {
            let value = match name.as_str() {
                "type" if nullable => json!([value, "null"]),
                "enum" if nullable => match value.as_array() {
                    Some(all) => all.iter().cloned().chain([Value::Null]).collect(),
                    None => continue,
                },
                "type" | "enum" | "const" | "required" | "minLength" | "maxLength" | "minItems" | "maxItems"
                | "minimum" | "maximum" | "uniqueItems" => value.clone(),
                "description" => Value::String(value.as_str().map(short).unwrap_or_default()),
                "properties" => value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, field)| (name.clone(), self.levels(field, depth, all)))
                    .collect::<Map<_, _>>()
                    .into(),
                "items" | "additionalProperties" => self.levels(value, depth, all),
                "allOf" | "anyOf" | "oneOf" => {
                    value.as_array().into_iter().flatten().map(|one| self.levels(one, depth, all)).collect()
                }
                _ => continue,
            };
            out.insert(name.clone(), value);
        }
        // In version 3.0 `required: true` may stand at a property; a schema has a list there.
        if out.get("required").is_some_and(|r| !r.is_array()) {
            out.remove("required");
        }
        Value::Object(out)
    }
}

/// Whether a schema is large enough to stand by itself, or could return to itself.
fn is_shared(schema: &Value) -> bool {
    let parts = ["properties", "items", "additionalProperties", "allOf", "anyOf", "oneOf", "enum"];
    parts.iter().any(|part| schema.get(*part).is_some_and(|part| part.is_array() || part.is_object()))
}

/// What a parameter of Swagger 2 says of its type.
pub(super) fn plain_schema(parameter: &Value) -> Value {
    let mut schema = Map::new();
    for name in ["type", "enum", "items"] {
        if let Some(value) = parameter.get(name).filter(|value| **value != json!("file")) {
            schema.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(items) = schema.remove("items").and_then(|items| Some(json!({"type": items.get("type")?}))) {
        schema.insert("items".into(), items);
    }
    Value::Object(schema)
}

pub(super) fn described(mut schema: Value, parameter: &Value) -> Value {
    if let (Value::Object(fields), Some(about)) = (&mut schema, text(parameter, "description")) {
        fields.insert("description".into(), short(about).into());
    }
    schema
}
