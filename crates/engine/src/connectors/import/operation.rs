//! Operations of a description: where each parameter goes, and what the body is.

use serde_json::{Map, Value, json};

use super::{
    Import,
    schema::{Schemas, described, plain_schema},
    short, text,
};

/// Where the parameters of an operation go, as it is made.
#[derive(Default)]
struct Made<'d> {
    schemas: Schemas<'d>,
    properties: Map<String, Value>,
    required: Vec<Value>,
    query: Map<String, Value>,
    headers: Map<String, Value>,
    form: Map<String, Value>,
    /// `json`, `form` or `text`, and what belongs to it.
    body: Map<String, Value>,
}

impl<'d> Import<'d> {
    /// An operation as a manifest has it; an error says why none can be made of it.
    pub(super) fn operation(
        &mut self,
        path: &str,
        method: &str,
        item: &'d Value,
        operation: &'d Value,
        id: &str,
    ) -> Result<Value, String> {
        let mut made = Made::default();
        let mut url = path.replace('{', "\u{1}").replace('}', "\u{2}");
        let declared = [item.get("parameters"), operation.get("parameters")];
        for parameter in declared.into_iter().flatten().filter_map(Value::as_array).flatten() {
            let parameter = self.resolve(parameter);
            let Some(name) = text(parameter, "name") else { continue };
            match text(parameter, "in").unwrap_or_default() {
                "body" => self.swagger_body(&mut made, parameter, operation)?,
                place => {
                    if let Some(field) = self.parameter(&mut made, name, place, parameter, id)? {
                        url = url.replace(&format!("\u{1}{name}\u{2}"), &format!("{{{field}}}"));
                    }
                }
            }
        }
        if !made.form.is_empty() && self.takes(operation, &["application/x-www-form-urlencoded"]) == Some(false) {
            return Err("its form is sent as multipart, which can't be sent".into());
        }
        if let Some(body) = operation.get("requestBody") {
            let body = self.resolve(body);
            self.request_body(&mut made, body)?;
        }
        let title = text(operation, "summary").or_else(|| text(operation, "description"));
        let title = title.map_or_else(|| id.to_owned(), short);
        let url = url.replace('\u{1}', "{").replace('\u{2}', "}");
        self.notes.extend(made.schemas.notes(id));
        Ok(made.written(&title, method, url))
    }

    /// Takes a parameter over; gives the field that fills the path, where it stands there.
    fn parameter(
        &mut self,
        made: &mut Made<'d>,
        name: &str,
        place: &str,
        parameter: &'d Value,
        id: &str,
    ) -> Result<Option<String>, String> {
        let is_needed = parameter.get("required").and_then(Value::as_bool).unwrap_or(place == "path");
        let field = slug_field(name);
        let from = format!("${{ .{field} }}");
        match place {
            "path" => {}
            "query" => drop(made.query.insert(name.to_owned(), from.into())),
            "header" => drop(made.headers.insert(name.to_owned(), from.into())),
            "formData" if parameter.get("type") == Some(&json!("file")) => {
                return Err(format!("its field {name:?} is a file, which can't be sent"));
            }
            "formData" => drop(made.form.insert(name.to_owned(), from.into())),
            _ => {
                if is_needed {
                    self.notes.push(format!("{id}: the parameter {name:?} in {place:?} can't be sent, and is needed"));
                }
                return Ok(None);
            }
        }
        let schema =
            parameter.get("schema").map_or_else(|| plain_schema(parameter), |s| self.schema(s, &mut made.schemas));
        made.properties.insert(field.clone(), described(schema, parameter));
        if is_needed {
            made.required.push(Value::String(field.clone()));
        }
        Ok((place == "path").then_some(field))
    }

    /// Whether an operation of Swagger 2 takes bodies of one of these kinds, where it says which it takes.
    fn takes(&self, operation: &Value, kinds: &[&str]) -> Option<bool> {
        let said = operation.get("consumes").or_else(|| self.document.get("consumes"))?.as_array()?;
        let fits = |one: &str| one == "*/*" || kinds.iter().any(|kind| one.contains(kind));
        (!said.is_empty()).then(|| said.iter().filter_map(Value::as_str).any(fits))
    }

    fn swagger_body(&self, made: &mut Made<'d>, parameter: &'d Value, operation: &Value) -> Result<(), String> {
        if self.takes(operation, &["json"]) == Some(false) {
            return Err("its body is no JSON".into());
        }
        self.body(made, parameter.get("schema"), parameter, "json");
        Ok(())
    }

    fn request_body(&self, made: &mut Made<'d>, body: &'d Value) -> Result<(), String> {
        let Some(content) = body.get("content").and_then(Value::as_object).filter(|all| !all.is_empty()) else {
            return Ok(());
        };
        let of = |fits: &dyn Fn(&str) -> bool| content.iter().find(|(name, _)| fits(name));
        let json = of(&|name| name.starts_with("application/json")).or_else(|| of(&|name| name.contains("+json")));
        if let Some((_, media)) = json.or_else(|| of(&|name| name == "*/*")) {
            self.body(made, media.get("schema"), body, "json");
        } else if let Some((_, media)) = of(&|name| name.starts_with("application/x-www-form-urlencoded")) {
            self.body(made, media.get("schema"), body, "form");
        } else if let Some((kind, media)) = of(&|name| name.starts_with("text/") && !name.contains('*')) {
            self.body(made, media.get("schema"), body, "text");
            made.body.insert("content_type".into(), kind.as_str().into());
        } else {
            let kinds: Vec<&str> = content.keys().map(String::as_str).collect();
            return Err(format!("its body is {}; JSON, forms and text can be sent", kinds.join(" or ")));
        }
        Ok(())
    }

    /// The body is the input's field `body`.
    fn body(&self, made: &mut Made<'d>, schema: Option<&'d Value>, said: &Value, kind: &str) {
        let schema = schema.map_or_else(|| json!({}), |schema| self.schema(schema, &mut made.schemas));
        made.properties.insert("body".into(), schema);
        if said.get("required").and_then(Value::as_bool).unwrap_or(false) {
            made.required.push("body".into());
        }
        made.body.insert(kind.into(), "${ .body }".into());
    }
}

impl Made<'_> {
    fn written(mut self, title: &str, method: &str, path: String) -> Value {
        let mut operation = Map::new();
        operation.insert("title".into(), title.into());
        operation.insert("method".into(), method.to_ascii_uppercase().into());
        operation.insert("path".into(), path.into());
        operation.append(&mut self.body);
        for (name, map) in [("query", self.query), ("headers", self.headers), ("form", self.form)] {
            if !map.is_empty() {
                operation.insert(name.into(), Value::Object(map));
            }
        }
        let mut input = json!({
            "type": "object", "required": self.required, "properties": self.properties, "additionalProperties": false,
        });
        let shared = self.schemas.into_shared();
        if !shared.is_empty() {
            input["$defs"] = Value::Object(shared);
        }
        operation.insert("input".into(), input);
        Value::Object(operation)
    }
}

/// A name that jq and a path can hold.
fn slug_field(name: &str) -> String {
    let field: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if field.starts_with(|c: char| c.is_ascii_digit()) { format!("_{field}") } else { field }
}
