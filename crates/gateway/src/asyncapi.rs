//! What flows beside request and answer, described in AsyncAPI 3: sockets in their dialects, the event stream, GraphQL
//! subscriptions, and the webhooks that the hub sends.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// The description of every channel.
pub fn asyncapi() -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    for channel in CHANNELS {
        let messages: Map<String, Value> = channel
            .hears
            .iter()
            .chain(channel.says)
            .map(|name| ((*name).to_owned(), reference(&format!("#/components/messages/{name}"))))
            .collect();
        let mut described = json!({
            "address": channel.address,
            "title": channel.title,
            "description": channel.about,
            "messages": messages,
        });
        if !channel.query.is_empty() {
            let properties: Map<String, Value> =
                channel.query.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
            described["bindings"] = json!({"ws": {"query": {"type": "object", "properties": properties}}});
        }
        channels.insert(channel.name.to_owned(), described);
        for (action, names) in [("receive", channel.hears), ("send", channel.says)] {
            if names.is_empty() {
                continue;
            }
            let messages: Vec<Value> =
                names.iter().map(|n| reference(&format!("#/channels/{}/messages/{n}", channel.name))).collect();
            let operation = json!({
                "action": action,
                "channel": reference(&format!("#/channels/{}", channel.name)),
                "messages": messages,
            });
            operations.insert(format!("{}{}", channel.name, if action == "send" { "Out" } else { "In" }), operation);
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Nexus",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Live events and frames of the hub. Requests and answers are in openapi.json. One socket may \
                            speak every dialect: a frame chooses its own, and what it subscribes to is answered in it.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"hub": {
            "host": "localhost:8080",
            "protocol": "ws",
            "description": "A hub; the path of each channel is its address",
            "security": [reference("#/components/securitySchemes/bearer"), reference("#/components/securitySchemes/token"),
                         reference("#/components/securitySchemes/ticket")],
        }},
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API token: nxs_…"},
                "token": {"type": "httpApiKey", "in": "query", "name": "token"},
                "ticket": {"type": "httpApiKey", "in": "query", "name": "ticket",
                           "description": "A one-time ticket of POST /api/v1/tickets"},
            },
        },
    })
}

/// The same as YAML. Texts are written in JSON's quotes, which are YAML's as well.
pub fn asyncapi_yaml() -> String {
    let mut text = String::new();
    yaml(&asyncapi(), 0, &mut text);
    text
}

/// One place where messages flow.
struct Channel {
    name: &'static str,
    address: Option<&'static str>,
    title: &'static str,
    about: &'static str,
    /// Of its query.
    query: &'static [&'static str],
    /// Messages that the hub takes.
    hears: &'static [&'static str],
    /// Messages that the hub sends.
    says: &'static [&'static str],
}

const CHANNELS: &[Channel] = &[
    Channel {
        name: "core",
        address: Some("/ws"),
        title: "Core",
        about: "Subscribe, publish and ping in the form of the Integration Core",
        query: &["token", "ticket"],
        hears: &["coreSubscribe", "corePublish", "corePing"],
        says: &["coreSubscribed", "coreEvent", "corePublished", "corePong", "coreGap", "coreError"],
    },
    Channel {
        name: "neo",
        address: Some("/ws"),
        title: "NEO",
        about: "Subscribe in the form of the NEO nodes",
        query: &["token", "ticket"],
        hears: &["neoSubscribe"],
        says: &["neoStatus", "neoEvent"],
    },
    Channel {
        name: "kyros",
        address: Some("/api/v1/events/ws"),
        title: "Kyros",
        about: "Every event that the token may see; frames of the other dialects are taken as well",
        query: &["token", "ticket", "since", "filter"],
        hears: &[],
        says: &["kyrosEvent", "kyrosGap"],
    },
    Channel {
        name: "stream",
        address: Some("/api/v1/events/stream"),
        title: "Server-sent events",
        about: "Over HTTP: data of each event; the id of an event is where Last-Event-ID goes on",
        query: &["token", "ticket", "since", "filter"],
        hears: &[],
        says: &["record", "streamGap"],
    },
    Channel {
        name: "graphql",
        address: Some("/graphql"),
        title: "GraphQL subscriptions",
        about: "The WebSocket protocol graphql-transport-ws; the operations are in schema.graphql",
        query: &["token", "ticket"],
        hears: &["graphqlInit", "graphqlSubscribe", "graphqlComplete", "graphqlPing"],
        says: &["graphqlAck", "graphqlNext", "graphqlError", "graphqlComplete", "graphqlPong"],
    },
    Channel {
        name: "webhook",
        address: None,
        title: "Outgoing webhooks",
        about: "POST to the address of a subscription, signed by Standard Webhooks; any 2xx settles it",
        query: &[],
        hears: &[],
        says: &["delivery"],
    },
];

fn reference(to: &str) -> Value {
    json!({"$ref": to})
}

/// A message whose payload is an object with these required and these other fields.
fn message(title: &str, required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        required.iter().chain(optional).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    json!({"title": title, "payload": {"type": "object", "required": names, "properties": properties}})
}

fn messages() -> Map<String, Value> {
    let all = [core(), neo(), kyros_and_streams(), graphql()].concat();
    all.into_iter().map(|(name, message)| (name.to_owned(), message)).collect()
}

fn text() -> Value {
    json!({"type": "string"})
}

fn whole() -> Value {
    json!({"type": "integer"})
}

fn is(value: &str) -> Value {
    json!({"const": value})
}

fn gap_fields() -> [(&'static str, Value); 2] {
    let told = |what: &str| json!({"type": "integer", "description": what});
    [
        ("from", told("the first event that is not sent; 0 in an empty log")),
        ("to", told("the last one: a position, from which it goes on")),
    ]
}

fn core() -> Vec<(&'static str, Value)> {
    let since = json!({"type": ["string", "integer"], "description": "go on after this position: a seq, or epoch:seq"});
    let [from, to] = gap_fields();
    let priority =
        json!({"description": "0 to 3, or LOW, NORMAL, HIGH, CRITICAL", "type": ["integer", "string", "null"]});
    vec![
        (
            "coreSubscribe",
            message(
                "Subscribe or unsubscribe",
                &[("type", json!({"enum": ["subscribe", "unsubscribe"]}))],
                &[("topic", json!({"type": "string", "examples": ["system.*"]})), ("since", since)],
            ),
        ),
        (
            "corePublish",
            message(
                "Publish",
                &[("type", is("publish")), ("topic", text())],
                &[("payload", json!({})), ("priority", priority)],
            ),
        ),
        ("corePing", message("Ping", &[("type", is("ping"))], &[])),
        (
            "coreSubscribed",
            message("Subscribed or unsubscribed", &[("type", json!({"enum": ["subscribed", "unsubscribed"]}))], &[]),
        ),
        (
            "coreEvent",
            message(
                "Event",
                &[
                    ("type", is("event")),
                    ("topic", text()),
                    ("payload", json!({})),
                    ("timestamp", json!({"type": "number", "description": "epoch seconds"})),
                    ("id", text()),
                    ("seq", whole()),
                ],
                &[],
            ),
        ),
        (
            "corePublished",
            message(
                "Published",
                &[("type", is("published")), ("topic", text()), ("message_id", text()), ("seq", whole())],
                &[],
            ),
        ),
        ("corePong", message("Pong", &[("type", is("pong"))], &[])),
        ("coreGap", message("Gap", &[("type", is("gap")), from, to, ("message", text())], &[])),
        ("coreError", message("Refusal", &[("type", is("error")), ("code", text()), ("message", text())], &[])),
    ]
}

fn neo() -> Vec<(&'static str, Value)> {
    let names = json!({"type": "array", "items": {"type": "string"}, "minItems": 1});
    vec![
        (
            "neoSubscribe",
            message(
                "Subscribe or unsubscribe",
                &[("action", json!({"enum": ["subscribe", "unsubscribe"]})), ("events", names.clone())],
                &[("since", json!({"type": ["string", "integer"]}))],
            ),
        ),
        (
            "neoStatus",
            message(
                "Answer, gap or refusal",
                &[("status", json!({"enum": ["subscribed", "unsubscribed", "gap", "error"]}))],
                &[("events", names), ("from", whole()), ("to", whole()), ("code", text()), ("message", text())],
            ),
        ),
        (
            "neoEvent",
            message(
                "Event",
                &[
                    ("event", json!({"type": "string", "examples": ["PAYMENT_RECEIVED"]})),
                    ("payload", json!({})),
                    ("timestamp", json!({"type": "integer", "description": "epoch milliseconds"})),
                ],
                &[],
            ),
        ),
    ]
}

fn kyros_and_streams() -> Vec<(&'static str, Value)> {
    let [from, to] = gap_fields();
    let record = [
        ("id", text()),
        ("seq", whole()),
        ("type", text()),
        ("source", text()),
        ("time", json!({"type": "string", "format": "date-time"})),
        ("correlation_id", text()),
        ("payload", json!({})),
    ];
    vec![
        (
            "kyrosEvent",
            message(
                "Event",
                &[
                    ("type", text()),
                    ("payload", json!({})),
                    ("timestamp", json!({"type": "string", "format": "date-time"})),
                    ("source", is("backend")),
                    ("id", text()),
                    ("seq", whole()),
                ],
                &[("correlationId", text())],
            ),
        ),
        (
            "kyrosGap",
            message(
                "Gap",
                &[("type", is("stream.gap")), ("payload", json!({"type": "object", "required": ["from", "to"]}))],
                &[],
            ),
        ),
        ("record", message("Event as the log has it", &record, &[])),
        ("streamGap", message("Gap, as the event gap", &[from, to, ("reason", text())], &[])),
        (
            "delivery",
            json!({
                "title": "Delivery",
                "headers": {
                    "type": "object",
                    "required": ["webhook-id", "webhook-timestamp"],
                    "properties": {
                        "webhook-id": text(),
                        "webhook-timestamp": text(),
                        "webhook-signature": {"type": "string", "description": "v1,<base64>; absent without a secret"},
                    },
                },
                "payload": {"type": "object", "description": "the event, in the form that the subscription asks for"},
            }),
        ),
    ]
}

fn graphql() -> Vec<(&'static str, Value)> {
    let id = || ("id", json!({"type": "string", "minLength": 1, "maxLength": 256}));
    let asked = json!({
        "type": "object",
        "required": ["query"],
        "properties": {
            "query": text(),
            "operationName": {"type": ["string", "null"]},
            "variables": {"type": ["object", "null"]},
        },
    });
    let payload = || ("payload", json!({"type": ["object", "null"]}));
    vec![
        ("graphqlInit", message("The first message, with a token", &[("type", is("connection_init"))], &[payload()])),
        ("graphqlAck", message("Open", &[("type", is("connection_ack"))], &[])),
        ("graphqlPing", message("Ping", &[("type", is("ping"))], &[("payload", json!({}))])),
        ("graphqlPong", message("Pong", &[("type", is("pong"))], &[("payload", json!({}))])),
        ("graphqlSubscribe", message("Run", &[("type", is("subscribe")), id(), ("payload", asked)], &[])),
        ("graphqlComplete", message("The end of an operation", &[("type", is("complete")), id()], &[])),
        (
            "graphqlNext",
            message("An answer", &[("type", is("next")), id(), ("payload", json!({"type": "object"}))], &[]),
        ),
        (
            "graphqlError",
            message("A refusal", &[("type", is("error")), id(), ("payload", json!({"type": "array"}))], &[]),
        ),
    ]
}

/// Writes a value that begins on a line of its own.
fn yaml(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
                let name = if plain { name.clone() } else { Value::from(name.as_str()).to_string() };
                let _ = write!(out, "{indent}{name}:");
                below(field, depth, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(out, "{indent}-");
                below(item, depth, out);
            }
        }
        scalar => {
            let _ = writeln!(out, "{indent}{scalar}");
        }
    }
}

/// Writes what follows a name or a dash: on the same line, or below it.
fn below(value: &Value, depth: usize, out: &mut String) {
    let nested = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if nested {
        out.push('\n');
        yaml(value, depth + 1, out);
    } else {
        let _ = writeln!(out, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|v| references(v, found));
            }
            Value::Array(items) => items.iter().for_each(|v| references(v, found)),
            _ => {}
        }
    }

    #[test]
    fn the_document_has_the_structure_of_asyncapi_3() {
        let document = asyncapi();
        assert_eq!(document["asyncapi"], "3.0.0");
        for field in ["title", "version"] {
            assert!(document["info"][field].is_string(), "{field}");
        }
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{}", found.len());
        for to in found {
            let pointer = to.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{to} leads nowhere");
        }
        for (name, operation) in document["operations"].as_object().expect("operations") {
            assert!(["send", "receive"].contains(&operation["action"].as_str().unwrap_or_default()), "{name}");
            let channel = operation["channel"]["$ref"].as_str().expect("a channel");
            for message in operation["messages"].as_array().expect("messages") {
                let to = message["$ref"].as_str().expect("a message");
                assert!(to.starts_with(&format!("{channel}/messages/")), "{name}: {to} is not of its channel");
            }
        }
        for (name, message) in document["components"]["messages"].as_object().expect("messages") {
            jsonschema::meta::validate(&message["payload"]).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        for channel in CHANNELS.iter().filter_map(|channel| channel.address) {
            assert!(crate::routes::all().any(|route| route.path == channel), "{channel} is no route");
        }
    }

    #[test]
    fn yaml_says_the_same_as_json() {
        let value = json!({"a": {"b": [1, {"c": "x: y"}], "$d": [], "e": {}}, "f": null, "g": true});
        let mut text = String::new();
        yaml(&value, 0, &mut text);
        let expected = "a:\n  \"$d\": []\n  b:\n    - 1\n    -\n      c: \"x: y\"\n  e: {}\nf: null\ng: true\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_committed_description_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api/asyncapi.yaml");
        if std::env::var_os("UPDATE_API").is_some() {
            std::fs::write(path, asyncapi_yaml()).expect("api/asyncapi.yaml can be written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == asyncapi_yaml(),
            "api/asyncapi.yaml is stale: run UPDATE_API=1 cargo nextest run -p nexus-gateway"
        );
    }
}
