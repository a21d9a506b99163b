//! Schemas of a description as a manifest has them: with their references written out.

use serde_json::{Map, Value, json};

use super::{Import, short, text};

/// Values in one operation's schema; a larger one is cut to its upper levels.
const VALUES: usize = 2_000;
/// Levels of a schema that are written out; what lies deeper may be anything.
const DEPTH: usize = 12;

impl<'d> Import<'d> {
    /// A schema with its references written out, as far as they go.
    pub(super) fn schema(&self, schema: &'d Value) -> Value {
        let mut left = VALUES;
        self.inlined(schema, DEPTH, &mut left)
    }

    fn inlined(&self, schema: &'d Value, depth: usize, left: &mut usize) -> Value {
        let schema = self.resolve(schema);
        let Some(fields) = schema.as_object() else { return schema.clone() };
        let (Some(depth), Some(rest)) = (depth.checked_sub(1), left.checked_sub(1)) else { return json!({}) };
        *left = rest;
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
                    .map(|(name, field)| (name.clone(), self.inlined(field, depth, left)))
                    .collect::<Map<_, _>>()
                    .into(),
                "items" | "additionalProperties" => self.inlined(value, depth, left),
                "allOf" | "anyOf" | "oneOf" => {
                    value.as_array().into_iter().flatten().map(|one| self.inlined(one, depth, left)).collect()
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
