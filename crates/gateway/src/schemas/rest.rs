//! Envelopes, problems, and the bodies of health, the log and GraphQL.

use serde_json::{Value, json};

use super::{list, map, named, object, one_of, text, time, whole, yes_no};

fn problem_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("type", text()),
        ("title", text()),
        ("status", whole()),
        ("detail", text()),
        ("instance", text()),
        ("code", text()),
        ("message", text()),
        (
            "details",
            json!({"type": "object", "description": "one reason per field, for 422", "additionalProperties": true}),
        ),
        ("retryable", yes_no()),
    ]
}

pub(super) fn general() -> Vec<(&'static str, Value)> {
    let required = ["type", "title", "status", "detail", "instance", "code", "message", "retryable"];
    let fields = object(&required, &problem_fields());
    let mut bare = problem_fields();
    bare.extend([("success", json!({"const": false})), ("requestId", text()), ("error", named("ProblemFields"))]);
    let top = [
        ("success", json!({"const": false})),
        ("data", json!({})),
        ("error", named("ProblemFields")),
        ("code", text()),
        ("message", text()),
        ("details", json!({"type": "object", "additionalProperties": true})),
        ("retryable", yes_no()),
        ("timestamp", time()),
        ("requestId", text()),
    ];
    let envelope = [
        ("success", json!({"const": true})),
        ("data", json!({})),
        ("error", json!({"type": "null"})),
        ("next_cursor", json!({"type": ["string", "null"], "description": "beside the data of a list"})),
        ("timestamp", time()),
        ("requestId", text()),
    ];
    vec![
        ("Anything", json!({})),
        ("Text", text()),
        ("Binary", json!({"type": "string", "format": "binary"})),
        ("ProblemFields", fields),
        ("Problem", object(&["success", "code", "message", "requestId", "error"], &bare)),
        ("EnvelopedProblem", object(&["success", "error", "code", "message", "timestamp", "requestId"], &top)),
        ("Envelope", object(&["success", "data", "error", "timestamp", "requestId"], &envelope)),
        ("Removed", object(&["status"], &[("status", text()), ("id", text()), ("name", text())])),
        ("Count", map(whole())),
        ("Names", list(text())),
        ("Reason", object(&[], &[("reason", text())])),
    ]
}

pub(super) fn rest() -> Vec<(&'static str, Value)> {
    let health = [
        ("status", one_of(&["healthy", "degraded", "unhealthy"])),
        ("timestamp", json!({"type": "number", "description": "epoch seconds"})),
        (
            "services",
            json!({"type": "object", "description": "a state by service, and by endpoint as NAME_cb", "additionalProperties": text()}),
        ),
        ("stats", map(whole())),
        ("checks", map(check())),
        ("ready", yes_no()),
        ("version", text()),
        ("uptime_seconds", json!({"type": "number"})),
    ];
    let component = [
        ("name", text()),
        ("status", one_of(&["up", "down", "degraded"])),
        ("lastCheck", json!({"type": ["string", "null"], "format": "date-time"})),
        ("detail", text()),
    ];
    let report = [
        ("status", one_of(&["healthy", "degraded", "unhealthy"])),
        ("services", list(object(&["name", "status"], &component))),
        ("lastCheck", time()),
        ("checks", map(check())),
        ("stats", map(whole())),
        ("breakers", map(one_of(&["closed", "open", "half_open"]))),
        ("version", text()),
        ("uptime_seconds", json!({"type": "number"})),
    ];
    vec![
        ("SecretValue", object(&["value"], &[("value", text())])),
        ("Health", object(&["status", "timestamp", "version", "uptime_seconds"], &health)),
        ("HealthReport", object(&["status", "services", "lastCheck"], &report)),
        ("Advance", object(&["advance"], &[("advance", json!({"type": "string", "examples": ["7d", "1h30m"]}))])),
        ("Now", object(&["now"], &[("now", time())])),
    ]
}

/// The log as an operator sees it.
pub(super) fn log() -> Vec<(&'static str, Value)> {
    vec![
        (
            "Head",
            object(
                &["epoch", "seq", "first", "hash", "time"],
                &[("epoch", whole()), ("seq", whole()), ("first", whole()), ("hash", text()), ("time", time())],
            ),
        ),
        (
            "VerifyRequest",
            object(&[], &[("against", named("Checkpoint")), ("after", named("Place")), ("limit", whole())]),
        ),
        ("VerifyReport", verified()),
        ("Place", object(&["seq", "hash"], &[("seq", whole()), ("hash", text())])),
        ("Checkpoint", checkpoint()),
        ("RedactRequest", object(&["reason"], &[("event_id", text()), ("subject", text()), ("reason", text())])),
        ("ExportLine", export_line()),
        (
            "ImportReport",
            object(
                &["stored", "repeated", "erased"],
                &[("stored", whole()), ("repeated", whole()), ("erased", whole()), ("epoch", whole())],
            ),
        ),
    ]
}

pub(super) fn graphql() -> Vec<(&'static str, Value)> {
    vec![
        (
            "GraphqlRequest",
            object(
                &["query"],
                &[
                    ("query", text()),
                    ("operationName", json!({"type": ["string", "null"]})),
                    ("variables", json!({"type": ["object", "null"]})),
                ],
            ),
        ),
        (
            "GraphqlResponse",
            object(
                &["data"],
                &[("data", json!({"type": ["object", "null"]})), ("errors", list(named("GraphqlError")))],
            ),
        ),
        (
            "GraphqlError",
            object(
                &["message", "extensions"],
                &[
                    ("message", text()),
                    ("locations", list(object(&["line", "column"], &[("line", whole()), ("column", whole())]))),
                    ("path", list(json!({"type": ["string", "integer"]}))),
                    ("extensions", object(&["code", "retryable"], &[("code", text()), ("retryable", yes_no())])),
                ],
            ),
        ),
    ]
}

/// One part of a hub, looked at.
fn check() -> Value {
    let fields = [("status", one_of(&["healthy", "degraded", "unhealthy"])), ("detail", text())];
    object(&["status", "detail"], &fields)
}

fn verified() -> Value {
    let cut = [("seq", whole()), ("time", time()), ("public_key", text())];
    let fields = [
        ("ok", yes_no()),
        ("events", whole()),
        ("first", whole()),
        ("last", whole()),
        ("head", whole()),
        ("erased", whole()),
        ("epoch", whole()),
        ("compared", yes_no()),
        ("cut", object(&["seq", "time", "public_key"], &cut)),
        ("next", named("Place")),
        ("bad_seq", whole()),
        ("problem", text()),
    ];
    object(&["ok", "events", "first", "last", "head", "erased", "epoch"], &fields)
}

fn checkpoint() -> Value {
    let fields = [
        ("epoch", whole()),
        ("seq", whole()),
        ("hash", json!({"type": "string", "description": "lower-case hex"})),
        ("time", json!({"type": "integer", "description": "microseconds: the signature covers this number"})),
        ("public_key", json!({"type": "string", "description": "ed25519, lower-case hex"})),
        ("signature", json!({"type": "string", "description": "lower-case hex"})),
    ];
    object(&["epoch", "seq", "hash", "time", "public_key", "signature"], &fields)
}

fn export_line() -> Value {
    let fields = [
        ("epoch", whole()),
        ("seq", whole()),
        ("id", text()),
        ("type", text()),
        ("source", text()),
        ("subject", text()),
        ("time", json!({"type": "integer", "description": "microseconds"})),
        ("priority", text()),
        ("correlation", text()),
        ("causation", text()),
        ("depth", whole()),
        ("attributes", named("EventAttributes")),
        ("data", json!({"description": "as stored; absent when erased"})),
    ];
    object(&["seq", "id", "type", "source", "time", "priority"], &fields)
}
