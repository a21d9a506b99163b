//! Shapes of connectors and connections.

use serde_json::{Value, json};

use super::{list, named, object, one_of, text, time, whole, yes_no};

fn map_of(of: &Value) -> Value {
    json!({"type": "object", "additionalProperties": of})
}

/// The schemas.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    [connectors(), connections()].concat()
}

fn connectors() -> Vec<(&'static str, Value)> {
    let connector = [
        ("name", text()),
        ("title", text()),
        ("about", text()),
        (
            "checked",
            json!({"type": "string", "enum": ["specification", "example", "reading"],
                "description": "what its requests were checked against"}),
        ),
        ("origin", one_of(&["shipped", "file", "given"])),
        ("webhook_preset", json!({"type": ["string", "null"]})),
        ("operations", list(text())),
        ("connections", list(text())),
        ("manifest", json!({"type": "object", "description": "the whole manifest; not in lists"})),
    ];
    let call = [
        ("operation", text()),
        ("input", json!({"description": "what the operation's schema says; absent = {}"})),
        ("connection", json!({"type": "string", "description": "absent = the connector's only one"})),
        ("priority", json!({"type": ["string", "integer"], "description": "LOW, NORMAL, HIGH or CRITICAL"})),
        (
            "patience",
            json!({"type": "string", "description": "for its turn and between attempts; default 10s, at most 120s"}),
        ),
    ];
    let called = [("output", json!({})), ("connection", text()), ("requests", whole())];
    vec![
        ("Connector", object(&["name", "title", "checked", "origin", "operations", "connections"], &connector)),
        ("ConnectorList", list(named("Connector"))),
        ("ConnectorCall", object(&["operation"], &call)),
        ("ConnectorCalled", object(&["output", "connection", "requests"], &called)),
    ]
}

fn connections() -> Vec<(&'static str, Value)> {
    let health = [
        ("breaker", one_of(&["closed", "open", "half_open"])),
        ("last_success", time()),
        ("last_failure", time()),
        ("last_error", text()),
    ];
    let connection = [
        ("name", text()),
        ("connector", text()),
        ("state", one_of(&["connected", "reconnect_needed", "disabled"])),
        ("reason", text()),
        ("since", time()),
        ("settings", json!({"type": "object"})),
        ("secrets", map_of(&time())),
        ("scopes", list(text())),
        ("token_expires_at", time()),
        ("private", yes_no()),
        ("created_by", text()),
        ("created_at", time()),
        ("updated_at", time()),
        ("last_used_at", time()),
        ("health", object(&["breaker"], &health)),
    ];
    let patch = [
        ("settings", json!({"type": "object"})),
        ("secrets", map_of(&text())),
        ("scopes", list(text())),
        ("enabled", yes_no()),
    ];
    let new = [
        ("name", text()),
        ("connector", text()),
        ("settings", json!({"type": "object"})),
        ("secrets", map_of(&text())),
        ("scopes", list(text())),
    ];
    let shown = ["name", "connector", "state", "since", "settings", "secrets", "private", "created_at", "health"];
    vec![
        ("Connection", object(&shown, &connection)),
        ("ConnectionList", list(named("Connection"))),
        ("NewConnection", object(&["name", "connector"], &new)),
        ("ConnectionPatch", object(&[], &patch)),
        ("AuthorizeConnection", object(&[], &[("callback", text())])),
        (
            "Authorization",
            object(
                &["url", "expires_at", "callback"],
                &[("url", text()), ("expires_at", time()), ("callback", text())],
            ),
        ),
    ]
}
