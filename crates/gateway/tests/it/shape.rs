//! Whether an answer is as `api/openapi.json` says. Every request of these tests is held against it.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
};

use serde_json::{Value, json};

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api/openapi.json");
        serde_json::from_str(&std::fs::read_to_string(path).expect("the document")).expect("JSON")
    })
}

/// The path of the document that a request's path is of: as many words of its own as possible.
fn template(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    let fits = |template: &str| {
        let (mut asked, mut said) = (path.split('/'), template.split('/'));
        loop {
            match (asked.next(), said.next()) {
                (None, None) => return true,
                (Some(a), Some(s)) if a == s || (s.starts_with('{') && s.ends_with('}') && !a.is_empty()) => {}
                _ => return false,
            }
        }
    };
    let paths = document()["paths"].as_object().expect("paths").keys();
    paths.filter(|t| fits(t)).min_by_key(|t| t.matches('{').count()).map(String::as_str)
}

/// The schema of an answer, as a pointer into the document; none where there is nothing to hold it against.
fn schema(method: &str, path: &str, status: u16, media: &str) -> Option<Value> {
    let operation = &document()["paths"][template(path)?][method.to_ascii_lowercase()];
    let responses = operation["responses"].as_object()?;
    let mut response = responses.get(&status.to_string()).filter(|_| status < 300).or(responses.get("default"))?;
    if let Some(pointer) = response["$ref"].as_str() {
        response = document().pointer(pointer.trim_start_matches('#'))?;
    }
    response["content"].get(media).map(|content| content["schema"].clone())
}

/// Panics unless the body of an answer is as the document says.
pub(crate) fn demand(method: &str, path: &str, status: u16, media: &str, body: &Value) {
    static VALIDATORS: OnceLock<Mutex<HashMap<String, jsonschema::Validator>>> = OnceLock::new();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.ends_with("json") || media.ends_with("ndjson") {
        return;
    }
    let Some(schema) = schema(method, path, status, media) else { return };
    let mut validators = VALIDATORS.get_or_init(Mutex::default).lock().unwrap_or_else(|e| e.into_inner());
    let validator = validators.entry(schema.to_string()).or_insert_with(|| {
        let whole = json!({"allOf": [schema], "components": document()["components"]});
        jsonschema::draft202012::new(&whole).expect("the schemas of the document compile")
    });
    let wrong: Vec<String> =
        validator.iter_errors(body).take(5).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{method} {path} gave {status} {body}, which is not as documented: {wrong:#?}");
}
