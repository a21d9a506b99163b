//! The description of the API in OpenAPI 3.1, generated from the table of routes.

use http::Method;
use serde_json::{Map, Value, json};

use crate::{
    error,
    routes::{self, Audit, Auth, Envelope, Rate, Route, Shape, param_names},
    schemas,
};

/// The description of every route.
pub fn openapi() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes::all() {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        methods[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nexus",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Receives signed events, remembers them in a durable log, reacts and delivers.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": groups().into_iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "responses": {
                "Problem": {
                    "description": "Refused; `code` and `message` say why, on every route at the top level and under `error`",
                    "headers": {"X-Request-ID": {"schema": {"type": "string"}}},
                    "content": {"application/problem+json": {"schema": reference("Problem")}},
                },
                "EnvelopedProblem": {
                    "description": "Refused; `code` and `message` say why, on every route at the top level and under `error`",
                    "headers": {"X-Request-ID": {"schema": {"type": "string"}}},
                    "content": {"application/json": {"schema": reference("EnvelopedProblem")}},
                },
            },
            "securitySchemes": security_schemes(),
        },
        "x-error-codes": error::CODES.iter().map(|code| json!({
            "code": code.as_str(),
            "status": error::status(*code).as_u16(),
            "title": error::title(*code),
            "retryable": error::retryable(*code),
        })).collect::<Vec<_>>(),
    })
}

/// The groups in the order of the table.
fn groups() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for route in routes::all() {
        if !names.contains(&route.group) {
            names.push(route.group);
        }
    }
    names
}

fn security_schemes() -> Value {
    json!({
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API token (nxs_…) or a JSON Web Token"},
        "token": {"type": "apiKey", "in": "query", "name": "token", "description": "An API token, for sockets and streams"},
        "ticket": {"type": "apiKey", "in": "query", "name": "ticket",
                   "description": "A one-time ticket of POST /api/v1/tickets, for sockets and streams"},
        "signature": {"type": "apiKey", "in": "header", "name": "X-Nexus-Signature",
                      "description": "Lower-case hex HMAC-SHA256 of the raw body with the source's secret; \
                                      with X-Nexus-Timestamp over {timestamp}.{body}. Webhooks of providers carry the \
                                      provider's own signature instead."},
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "tags": [route.group],
        "summary": route.summary,
        "responses": responses(route),
        "x-auth": auth(route.auth),
        "x-rate-class": rate(route.rate),
        "x-audit": audit(route.audit),
    });
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if !route.takes.is_empty() {
        let content: Map<String, Value> = route.takes.iter().map(|s| (s.media.to_owned(), content(s))).collect();
        operation["requestBody"] = json!({"required": route.method != Method::GET, "content": content});
    }
    operation["security"] = security(route.auth);
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = param_names(route.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    // Proofs of sockets are security schemes, not parameters.
    let in_query = route
        .query
        .iter()
        .filter(|p| !(matches!(route.auth, Auth::Socket | Auth::Watch) && ["token", "ticket"].contains(&p.name)))
        .map(|p| json!({"name": p.name, "in": "query", "description": p.about, "schema": {"type": "string"}}));
    let in_header = route
        .headers
        .iter()
        .map(|p| json!({"name": p.name, "in": "header", "description": p.about, "schema": {"type": "string"}}));
    in_path.chain(in_query).chain(in_header).collect()
}

fn responses(route: &Route) -> Value {
    let mut all = Map::new();
    let good = match route.envelope {
        Envelope::Enveloped => json!({
            "allOf": [reference("Envelope"), {"type": "object", "properties": {"data": reference(route.gives.schema)}}],
        }),
        Envelope::Bare | Envelope::Exempt => reference(route.gives.schema),
    };
    let socket = route.auth == Auth::Socket && route.gives.media == "application/json";
    if socket {
        all.insert("101".into(), json!({"description": "A WebSocket"}));
    } else {
        let mut body = json!({"description": "Done", "content": {route.gives.media: {"schema": good}}});
        for other in route.also {
            body["content"][other.media] = content(other);
        }
        if route.creates {
            all.insert("201".into(), json!({"description": "Stored", "content": body["content"].clone()}));
        }
        if route.again {
            body["description"] = "Nothing new was stored".into();
        }
        if !route.creates || route.again {
            all.insert("200".into(), body);
        }
    }
    if route.method == Method::GET && route.headers.iter().any(|p| p.name == "If-None-Match") {
        let tag = json!({"schema": {"type": "string"}, "description": "The version, for If-Match and If-None-Match"});
        if let Some(done) = all.get_mut("200") {
            done["headers"] = json!({"ETag": tag.clone()});
        }
        all.insert("304".into(), json!({"description": "It is what the caller has", "headers": {"ETag": tag}}));
    }
    let refusal = match route.envelope {
        Envelope::Enveloped => "#/components/responses/EnvelopedProblem",
        Envelope::Bare | Envelope::Exempt => "#/components/responses/Problem",
    };
    let refused = if route.gives.media.starts_with("text/html") {
        // Who is shown a page is refused by one.
        let problem = json!({"schema": reference("Problem")});
        json!({"description": "Refused", "content": {route.gives.media: content(&route.gives), "application/problem+json": problem}})
    } else {
        json!({"$ref": refusal})
    };
    all.insert("default".into(), refused);
    Value::Object(all)
}

fn content(shape: &Shape) -> Value {
    json!({"schema": reference(shape.schema)})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn security(auth: Auth) -> Value {
    match auth {
        Auth::Open => json!([{}, {"bearer": []}]),
        Auth::Bearer(_) | Auth::OwnOr(_) | Auth::AnyToken | Auth::TestClock => json!([{"bearer": []}]),
        Auth::Signature => json!([{"signature": []}]),
        Auth::Link => json!([{}]),
        Auth::Flow => json!([{"bearer": []}, {"signature": []}]),
        Auth::Socket | Auth::Watch => json!([{"bearer": []}, {"token": []}, {"ticket": []}]),
    }
}

fn auth(auth: Auth) -> String {
    match auth {
        Auth::Open => "open".to_owned(),
        Auth::Bearer(scope) => format!("scope {scope}"),
        Auth::OwnOr(scope) => format!("the token itself, or scope {scope}"),
        Auth::AnyToken => "any token".to_owned(),
        Auth::Signature => "signature".to_owned(),
        Auth::Flow => "scope flows:run, or a signature, as the flow says".to_owned(),
        Auth::Link => "link".to_owned(),
        Auth::Socket => "scope events:read, events:publish, state:read or subscriptions:consume".to_owned(),
        Auth::Watch => "scope state:read".to_owned(),
        Auth::TestClock => "scope admin, with the test clock".to_owned(),
    }
}

fn rate(rate: Rate) -> &'static str {
    match rate {
        Rate::Free => "free",
        Rate::Ingress => "ingress",
        Rate::Publish => "publish",
        Rate::Api => "api",
        Rate::Stream => "stream",
    }
}

fn audit(audit: Audit) -> String {
    match audit {
        Audit::Reads => "reads".to_owned(),
        Audit::Event => "stores an event".to_owned(),
        Audit::Writes(action) => format!("audit.{action}"),
        Audit::Commands => "each type writes its own".to_owned(),
        Audit::Transient => "transient".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                    found.extend(name.strip_prefix("#/components/schemas/").map(str::to_owned));
                }
                fields.values().for_each(|v| references(v, found));
            }
            Value::Array(items) => items.iter().for_each(|v| references(v, found)),
            _ => {}
        }
    }

    #[test]
    fn every_schema_that_is_named_exists_and_every_schema_is_named() {
        let mut named = BTreeSet::new();
        references(&openapi(), &mut named);
        let known: BTreeSet<String> = schemas::all().keys().cloned().collect();
        assert_eq!(named, known);
    }

    #[test]
    fn the_committed_description_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api/openapi.json");
        let generated = serde_json::to_string_pretty(&openapi()).expect("JSON") + "\n";
        if std::env::var_os("UPDATE_API").is_some() {
            std::fs::write(path, &generated).expect("api/openapi.json can be written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == generated,
            "api/openapi.json is stale: run UPDATE_API=1 cargo nextest run -p nexus-gateway"
        );
    }
}
