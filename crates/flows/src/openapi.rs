//! A request from an OpenAPI document (3.x, or Swagger 2.0): which method, where, and where each parameter goes.

use serde_json::{Map, Value};

use crate::{
    effect::{Body, HttpRequest},
    error::{FlowError, Standard},
    uri::refuse_elsewhere,
};

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// References followed to find one parameter.
const REFERENCES: usize = 8;

fn wrong(what: impl Into<String>) -> FlowError {
    FlowError::new(Standard::Configuration, what)
}

/// Makes the request for `operation`; `document_uri` is where the document was found, for servers relative to it.
pub fn request(
    document: &Value,
    document_uri: &str,
    operation: &str,
    parameters: &Map<String, Value>,
) -> Result<HttpRequest, FlowError> {
    let (path, method, item, found) = find(document, operation)?;
    let mut request = HttpRequest { method: method.to_ascii_uppercase(), ..HttpRequest::default() };
    let template = path;
    let mut path = path.to_owned();
    let mut used: Vec<&str> = Vec::new();
    let declared =
        item.get("parameters").into_iter().chain(found.get("parameters")).filter_map(Value::as_array).flatten();
    for declared in declared {
        let parameter = resolve(document, declared);
        let Some(name) = parameter.get("name").and_then(Value::as_str) else { continue };
        let place = parameter.get("in").and_then(Value::as_str).unwrap_or_default();
        let Some(value) = parameters.get(name).filter(|value| !value.is_null()) else {
            // One in the path is always needed: without it something else would be called.
            if place == "path" || parameter.get("required").and_then(Value::as_bool).unwrap_or(false) {
                return Err(wrong(format!("the operation {operation:?} needs the parameter {name:?}")));
            }
            continue;
        };
        used.push(name);
        put(&mut request, &mut path, parameter, place, name, value);
    }
    keep_segments(template, &path)?;
    body(&mut request, document, found, parameters, &mut used);
    if let Some(unknown) = parameters.keys().find(|name| !used.contains(&name.as_str())) {
        return Err(wrong(format!("the operation {operation:?} has no parameter {unknown:?}")));
    }
    request.uri = format!("{}{path}", server(document, document_uri)?.trim_end_matches('/'));
    Ok(request)
}

fn find<'d>(document: &'d Value, operation: &str) -> Result<(&'d str, &'d str, &'d Value, &'d Value), FlowError> {
    let paths =
        document.get("paths").and_then(Value::as_object).ok_or_else(|| wrong("the OpenAPI document has no paths"))?;
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().into_iter().flatten().map(move |(method, op)| (path.as_str(), method.as_str(), item, op))
        })
        .find(|(_, method, _, op)| {
            METHODS.contains(method) && op.get("operationId").and_then(Value::as_str) == Some(operation)
        })
        .ok_or_else(|| wrong(format!("the OpenAPI document has no operation {operation:?}")))
}

fn resolve<'d>(document: &'d Value, mut value: &'d Value) -> &'d Value {
    for _ in 0..REFERENCES {
        let Some(pointer) = value.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) else { break };
        match document.pointer(pointer) {
            Some(found) => value = found,
            None => break,
        }
    }
    value
}

fn put(request: &mut HttpRequest, path: &mut String, parameter: &Value, place: &str, name: &str, value: &Value) {
    match place {
        "path" => {
            let mut encoded = String::new();
            crate::uri::encode(&plain(value), &mut encoded);
            *path = path.replace(&format!("{{{name}}}"), &encoded);
        }
        "query" => match value {
            // A list repeats its name, unless the document asks for commas.
            Value::Array(items) => {
                let commas = parameter.get("collectionFormat").is_some_and(|f| f == "csv")
                    || parameter.get("explode").is_some_and(|e| e == false);
                if commas {
                    let joined: Vec<String> = items.iter().map(plain).collect();
                    request.query.push((name.to_owned(), joined.join(",")));
                } else {
                    request.query.extend(items.iter().map(|item| (name.to_owned(), plain(item))));
                }
            }
            other => request.query.push((name.to_owned(), plain(other))),
        },
        "header" => {
            request.headers.insert(name.to_ascii_lowercase(), plain(value));
        }
        "body" => request.body = Some(Body::Json(value.clone())),
        "formData" => match &mut request.body {
            Some(Body::Form(fields)) => fields.push((name.to_owned(), plain(value))),
            _ => request.body = Some(Body::Form(vec![(name.to_owned(), plain(value))])),
        },
        _ => {}
    }
}

/// Refuses a path in which a parameter makes of a segment none. What is filled in is encoded, so that both have as many.
fn keep_segments(template: &str, filled: &str) -> Result<(), FlowError> {
    for (before, after) in template.split('/').zip(filled.split('/')) {
        if let Some((_, rest)) = before.split_once('{') {
            let name = rest.split('}').next().unwrap_or_default();
            refuse_elsewhere(name, after).map_err(|what| FlowError::new(Standard::Expression, what))?;
        }
    }
    Ok(())
}

/// OpenAPI 3: `body` holds the request's body, or the parameters that are not declared are its fields.
fn body<'p>(
    request: &mut HttpRequest,
    document: &Value,
    operation: &Value,
    parameters: &'p Map<String, Value>,
    used: &mut Vec<&'p str>,
) {
    let Some(declared) = operation.get("requestBody").map(|body| resolve(document, body)) else { return };
    if let Some((name, value)) = parameters.get_key_value("body").filter(|(name, _)| !used.contains(&name.as_str())) {
        used.push(name);
        request.body = Some(Body::Json(value.clone()));
        return;
    }
    let fields: Map<String, Value> = parameters
        .iter()
        .filter(|(name, _)| !used.contains(&name.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    used.extend(parameters.keys().map(String::as_str));
    if fields.is_empty() {
        return;
    }
    let form = declared
        .get("content")
        .is_some_and(|c| c.get("application/x-www-form-urlencoded").is_some() && c.get("application/json").is_none());
    request.body = Some(if form {
        Body::Form(fields.iter().map(|(k, v)| (k.clone(), plain(v))).collect())
    } else {
        Body::Json(fields.into())
    });
}

fn server(document: &Value, document_uri: &str) -> Result<String, FlowError> {
    let (scheme, rest) = document_uri.split_once("://").unwrap_or(("https", document_uri));
    let host = rest.split('/').next().unwrap_or_default();
    if document.get("swagger").is_some() {
        let schemes = document.get("schemes").and_then(Value::as_array);
        let wanted = |name: &str| schemes.is_some_and(|s| s.iter().any(|s| s == name));
        let scheme = if wanted("https") {
            "https"
        } else if wanted("http") {
            "http"
        } else {
            scheme
        };
        let host = document.get("host").and_then(Value::as_str).unwrap_or(host);
        let base = document.get("basePath").and_then(Value::as_str).unwrap_or("");
        return Ok(format!("{scheme}://{host}{base}"));
    }
    let server = document.get("servers").and_then(Value::as_array).and_then(|servers| servers.first());
    let Some(server) = server else { return Ok(format!("{scheme}://{host}")) };
    let mut url = server.get("url").and_then(Value::as_str).unwrap_or("/").to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        let default = variable.get("default").map(plain).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), &default);
    }
    if url.contains("://") {
        return Ok(url);
    }
    if url.starts_with('/') {
        return Ok(format!("{scheme}://{host}{url}"));
    }
    Err(wrong(format!("the server {url:?} of the OpenAPI document is no absolute URI")))
}

/// A value as it stands in a URI or a header.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_go_where_the_document_says() {
        let document = json!({
            "openapi": "3.1.0",
            "servers": [{"url": "https://{region}.api.example/v1", "variables": {"region": {"default": "eu"}}}],
            "paths": {"/a/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": true}],
                "post": {
                    "operationId": "make",
                    "parameters": [{"$ref": "#/components/parameters/trace"}, {"name": "tag", "in": "query"}],
                    "requestBody": {"content": {"application/json": {}}}
                }
            }},
            "components": {"parameters": {"trace": {"name": "X-Trace", "in": "header"}}}
        });
        let parameters = json!({"id": "a/b", "tag": ["x", "y"], "X-Trace": 7, "colour": "red"});
        let made =
            request(&document, "https://docs.example/openapi.json", "make", parameters.as_object().unwrap()).unwrap();
        assert_eq!(made.method, "POST");
        assert_eq!(made.shown_url("nonce"), "https://eu.api.example/v1/a/a%2Fb?tag=x&tag=y");
        assert_eq!(made.headers["x-trace"], "7");
        assert_eq!(made.body, Some(Body::Json(json!({"colour": "red"}))));
        let missing = request(&document, "https://docs.example/openapi.json", "make", &Map::new()).unwrap_err();
        assert!(missing.detail.unwrap().contains("needs the parameter \"id\""));
        assert!(request(&document, "https://docs.example/", "other", &Map::new()).is_err());
        for (id, part) in [("..", "{id} would make a segment"), (".", "{id} would make"), ("", "{id} is empty")] {
            let parameters = json!({"id": id, "X-Trace": 7});
            let refused =
                request(&document, "https://docs.example/", "make", parameters.as_object().unwrap()).unwrap_err();
            assert!(refused.detail.as_ref().unwrap().contains(part), "{id}: {refused:?}");
        }
    }
}
