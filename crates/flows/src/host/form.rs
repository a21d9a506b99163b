//! What a person fills in, an approver or who begins a run: a JSON Schema of simple fields.

use std::collections::BTreeMap;

use nexus_engine::schema::{Schema, Tell};
use serde::Serialize;
use serde_json::{Map, Value};

/// Fields of one form.
pub const FIELDS: usize = 20;
/// Bytes of a form, and of what is filled in.
pub const BYTES: usize = 16 << 10;

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// Yes or no.
    Boolean,
}

/// A field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What stands in it.
    pub kind: Kind,
    /// As people read it.
    pub label: String,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What may stand in it, where that is a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
    /// It must be filled in: by an approver to approve.
    pub required: bool,
    /// What stands in it at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Value>,
}

/// The fields of a form; an error says what is wrong with it.
pub fn fields(form: &Value) -> Result<Vec<Field>, String> {
    let wrong = "a form is a JSON Schema: type object, with properties of type string, number, integer or boolean";
    let schema = form.as_object().ok_or(wrong)?;
    if schema.get("type").is_some_and(|kind| kind != "object") {
        return Err(wrong.to_owned());
    }
    let properties = schema.get("properties").and_then(Value::as_object).ok_or(wrong)?;
    if properties.is_empty() || properties.len() > FIELDS {
        return Err(format!("a form has 1 to {FIELDS} properties, not {}", properties.len()));
    }
    if form.to_string().len() > BYTES {
        return Err(format!("a form has at most {BYTES} bytes"));
    }
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(name) = required.iter().find(|name| !properties.contains_key(**name)) {
        return Err(format!("required: {name:?} is none of the properties"));
    }
    Schema::compile(form)?;
    properties.iter().map(|(name, about)| field(name, about, required.contains(&name.as_str()))).collect()
}

fn field(name: &str, about: &Value, required: bool) -> Result<Field, String> {
    let text = |key: &str| about.get(key).and_then(Value::as_str).map(str::to_owned);
    let choices = about.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
    let kind = match about.get("type").and_then(Value::as_str) {
        Some("string") => Kind::Text,
        Some("number") => Kind::Number,
        Some("integer") => Kind::Integer,
        Some("boolean") => Kind::Boolean,
        None if !choices.is_empty() && choices.iter().all(Value::is_string) => Kind::Text,
        _ => return Err(format!("properties.{name}.type: string, number, integer or boolean is expected")),
    };
    if name.is_empty() || name.len() > 64 {
        return Err(format!("properties: the name {name:?} must have 1 to 64 bytes"));
    }
    Ok(Field {
        name: name.to_owned(),
        kind,
        label: text("title").unwrap_or_else(|| name.to_owned()),
        help: text("description"),
        choices,
        required,
        preset: about.get("default").cloned(),
    })
}

/// Checks what was filled in; what is wrong is said by field. Who rejects need not fill in everything.
pub fn check(form: Option<&Value>, answers: &Map<String, Value>, whole: bool) -> Result<(), BTreeMap<String, String>> {
    let one = |name: &str, what: String| BTreeMap::from([(name.to_owned(), what)]);
    let Some(form) = form else {
        return match answers.keys().next() {
            None => Ok(()),
            Some(name) => Err(one(&format!("answers.{name}"), "this approval has no form to fill in".to_owned())),
        };
    };
    let known = form.get("properties").and_then(Value::as_object);
    if let Some(name) = answers.keys().find(|name| !known.is_some_and(|known| known.contains_key(*name))) {
        return Err(one(&format!("answers.{name}"), "is no field of the form".to_owned()));
    }
    let answers = Value::Object(answers.clone());
    if answers.to_string().len() > BYTES {
        return Err(one("answers", format!("have more than {BYTES} bytes")));
    }
    let mut schema = form.clone();
    if !whole && let Some(fields) = schema.as_object_mut() {
        fields.remove("required");
    }
    let schema = Schema::compile(&schema).map_err(|what| one("answers", what))?;
    let wrong: BTreeMap<String, String> = schema
        .violations(&answers, usize::MAX, Tell::Values)
        .into_iter()
        .map(|wrong| (format!("answers{}", wrong.path.replace('/', ".")), wrong.reason))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// What a browser sent for a field, as a value. Nothing is nothing, except for a box that is not ticked.
pub fn typed(field: &Field, text: Option<&str>) -> Option<Value> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    if !field.choices.is_empty() {
        let text = text?;
        let found = field.choices.iter().find(|choice| crate::openapi::plain(choice) == text);
        return Some(found.cloned().unwrap_or_else(|| text.into()));
    }
    match field.kind {
        Kind::Boolean => Some(text.is_some().into()),
        Kind::Text => text.map(Into::into),
        Kind::Integer | Kind::Number => {
            let text = text?;
            // What is no number stays what it is, so that it is refused as what was written.
            let number = serde_json::from_str::<serde_json::Number>(text);
            Some(number.map_or_else(|_| text.into(), Value::Number))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form() -> Value {
        json!({"type": "object", "required": ["amount"], "properties": {
            "amount": {"type": "number", "minimum": 0, "title": "Amount"},
            "gift": {"type": "boolean"},
            "reason": {"type": "string", "enum": ["late", "broken"]},
            "note": {"type": "string", "maxLength": 5},
        }})
    }

    fn answers(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_filled_in_is_held_to_the_form_and_a_rejection_need_not_be_complete() {
        let form = form();
        assert!(check(Some(&form), &answers(json!({"amount": 5, "reason": "late"})), true).is_ok());
        let wrong = check(Some(&form), &answers(json!({"amount": -1, "reason": "x", "note": "longer"})), true);
        let wrong = wrong.unwrap_err();
        assert_eq!(wrong.keys().collect::<Vec<_>>(), ["answers.amount", "answers.note", "answers.reason"]);
        assert!(check(Some(&form), &Map::new(), true).is_err());
        assert!(check(Some(&form), &Map::new(), false).is_ok());
        assert!(check(Some(&form), &answers(json!({"else": 1})), false).unwrap_err().contains_key("answers.else"));
        assert!(check(None, &answers(json!({"else": 1})), true).is_err());
    }

    #[test]
    fn fields_of_a_browser_become_values_of_their_kind() {
        let fields = fields(&form()).unwrap();
        let of = |name: &str, text: Option<&str>| typed(fields.iter().find(|f| f.name == name).unwrap(), text);
        assert_eq!(of("amount", Some(" 2.50 ")), Some(serde_json::from_str("2.50").unwrap()));
        assert_eq!(of("amount", Some("much")), Some(json!("much")));
        assert_eq!(of("amount", Some("")), None);
        assert_eq!((of("gift", Some("on")), of("gift", None)), (Some(json!(true)), Some(json!(false))));
        assert_eq!(of("reason", Some("late")), Some(json!("late")));
    }

    #[test]
    fn a_form_that_no_page_can_show_is_refused_with_its_place() {
        for (form, place) in [
            (json!("x"), "JSON Schema"),
            (json!({"properties": {}}), "1 to 20"),
            (json!({"properties": {"a": {"type": "array"}}}), "properties.a.type"),
            (json!({"properties": {"a": {"type": "string"}}, "required": ["b"]}), "\"b\""),
            (json!({"properties": {"a": {"type": "string", "maxLength": "x"}}}), ""),
        ] {
            let refused = fields(&form).unwrap_err();
            assert!(refused.contains(place), "{form}: {refused}");
        }
    }
}
