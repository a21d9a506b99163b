//! What is text on the wire, as the values that a schema speaks of.

use serde_json::{Map, Value};

use super::schema::{property, resolve};

/// Name and value pairs of a query or a form, decoded.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (plain(name), plain(value)))
        .collect()
}

/// Decodes `%20` and `+`.
pub(crate) fn plain(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        match byte {
            b'+' => out.push(b' '),
            b'%' if more.len() >= 2 => {
                let code = std::str::from_utf8(&more[..2]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
                match code {
                    Some(code) => {
                        out.push(code);
                        rest = &more[2..];
                    }
                    None => out.push(b'%'),
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).expect("UTF-8 under the percents")
}

/// A value under `schema`: a list where it wants one, a number where it takes one and the text is one.
pub(super) fn typed(document: &Value, schema: &Value, texts: &[String]) -> Value {
    let schema = resolve(document, schema);
    if takes(document, schema, "array") {
        let items = schema.get("items").unwrap_or(&Value::Null);
        return texts.iter().map(|text| typed(document, items, std::slice::from_ref(text))).collect();
    }
    let [text] = texts else { return texts.iter().cloned().map(Value::from).collect() };
    let scalar = serde_json::from_str::<Value>(text).unwrap_or_default();
    let kind = match &scalar {
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_i64() || n.is_u64() => "integer",
        Value::Number(_) => "number",
        _ => return text.clone().into(),
    };
    let fits = takes(document, schema, kind) || (kind == "integer" && takes(document, schema, "number"));
    if fits { scalar } else { text.clone().into() }
}

fn takes(document: &Value, schema: &Value, kind: &str) -> bool {
    let schema = resolve(document, schema);
    let named = match schema.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    };
    let parts = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
    named || parts.into_iter().any(|part| takes(document, part, kind))
}

/// A form as the object that `schema` describes; where the document nests fields in brackets, so are they here.
pub(super) fn form(document: &Value, schema: &Value, text: &str, nested: bool) -> Value {
    let mut whole = Value::Object(Map::new());
    let mut flat: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in pairs(text) {
        match flat.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => flat.push((name, vec![value])),
        }
    }
    for (name, values) in flat {
        let steps: Vec<&str> =
            if nested { name.split('[').map(|step| step.trim_end_matches(']')).collect() } else { vec![&name] };
        put(document, Some(schema), &mut whole, &steps, &values);
    }
    whole
}

fn put(document: &Value, schema: Option<&Value>, into: &mut Value, steps: &[&str], values: &[String]) {
    let Some((step, rest)) = steps.split_first() else {
        *into = schema.map_or_else(|| typed(document, &Value::Null, values), |schema| typed(document, schema, values));
        return;
    };
    // `a[0][b]` and `a[]` are lists.
    if step.is_empty() || step.bytes().all(|b| b.is_ascii_digit()) {
        if !into.is_array() {
            *into = Value::Array(Vec::new());
        }
        let items = schema.and_then(|schema| resolve(document, schema).get("items"));
        let Value::Array(list) = into else { return };
        if step.is_empty() {
            list.extend(
                values
                    .iter()
                    .map(|v| items.map_or_else(|| v.clone().into(), |i| typed(document, i, std::slice::from_ref(v)))),
            );
            return;
        }
        let at: usize = step.parse().expect("digits");
        assert!(at <= list.len(), "the list {steps:?} has a gap");
        if at == list.len() {
            list.push(Value::Null);
        }
        return put(document, items, &mut list[at], rest, values);
    }
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let below = schema.and_then(|schema| {
        property(document, schema, step)
            .or_else(|| resolve(document, schema).get("additionalProperties").filter(|a| a.is_object()))
    });
    put(document, below, &mut into[*step], rest, values);
}
