//! Shapes of bodies, for the description of the API. Records of the engine are described by what their readers rely on.

use serde_json::{Map, Value, json};

mod bus;
mod connectors;
mod core;
mod flows;
mod rest;

fn text() -> Value {
    json!({"type": "string"})
}

fn whole() -> Value {
    json!({"type": "integer"})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn yes_no() -> Value {
    json!({"type": "boolean"})
}

fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

fn named(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn one_of(values: &[&str]) -> Value {
    json!({"type": "string", "enum": values})
}

fn number() -> Value {
    json!({"type": "number"})
}

/// Names and texts, as headers are.
fn texts() -> Value {
    json!({"type": "object", "additionalProperties": text()})
}

/// An object whose values are all of this kind.
fn map(of: Value) -> Value {
    json!({"type": "object", "additionalProperties": of})
}

/// An object with these properties, of which `required` must be there.
fn object(required: &[&str], properties: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> = properties.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

/// All schemas by name.
pub(crate) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    let groups = [
        rest::general(),
        bus::events(),
        bus::fates(),
        core::services(),
        core::state(),
        flows::all(),
        flows::approvals(),
        connectors::all(),
        bus::sources(),
        bus::subscriptions(),
        bus::consumers(),
        bus::deliveries(),
        core::credentials(),
        rest::rest(),
        rest::log(),
        rest::graphql(),
    ];
    for (name, schema) in groups.into_iter().flatten() {
        all.insert(name.to_owned(), schema);
    }
    all
}
