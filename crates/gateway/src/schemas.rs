//! Shapes of bodies, for the description of the API. Records of the engine are described by what their readers rely on.

use serde_json::{Map, Value, json};

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

/// An object with these properties, of which `required` must be there.
fn object(required: &[&str], properties: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> = properties.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

/// All schemas by name.
pub(crate) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    let groups = [
        general(),
        events(),
        services(),
        state(),
        sources(),
        subscriptions(),
        consumers(),
        deliveries(),
        credentials(),
        rest(),
    ];
    for (name, schema) in groups.into_iter().flatten() {
        all.insert(name.to_owned(), schema);
    }
    all
}

fn problem_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("type", text()),
        ("title", text()),
        ("status", whole()),
        ("detail", text()),
        ("instance", text()),
        ("code", text()),
        ("message", text()),
        ("details", json!({"type": "object", "description": "one reason per field, for 422"})),
        ("retryable", yes_no()),
    ]
}

fn general() -> Vec<(&'static str, Value)> {
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
        ("details", json!({"type": "object"})),
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
        ("Count", json!({"type": "object", "additionalProperties": whole()})),
        ("Names", list(text())),
        ("Reason", object(&[], &[("reason", text())])),
    ]
}

fn events() -> Vec<(&'static str, Value)> {
    let priority = json!({"oneOf": [one_of(&["LOW", "NORMAL", "HIGH", "CRITICAL"]), {"type": "integer", "minimum": 0, "maximum": 3}]});
    let neo = [
        ("event", json!({"type": "string", "examples": ["PAYMENT_RECEIVED", "payment.received"]})),
        ("type", json!({"type": "string", "description": "accepted for event"})),
        ("payload", json!({})),
        ("id", json!({"type": ["string", "number"], "description": "makes a repeat harmless"})),
        ("subject", text()),
        ("priority", priority.clone()),
    ];
    let cloud = [
        ("specversion", json!({"const": "1.0"})),
        ("id", text()),
        ("source", text()),
        ("type", text()),
        ("subject", text()),
        ("time", time()),
        ("data", json!({})),
    ];
    let event = [
        ("id", text()),
        ("seq", whole()),
        ("type", text()),
        ("source", text()),
        ("subject", text()),
        ("time", time()),
        ("received", time()),
        ("priority", one_of(&["LOW", "NORMAL", "HIGH", "CRITICAL"])),
        ("correlation_id", text()),
        ("causation_id", text()),
        ("depth", whole()),
        ("attributes", json!({"type": "object"})),
        ("erased", yes_no()),
        ("payload", json!({})),
    ];
    let accepted = [
        ("status", json!({"const": "accepted"})),
        ("event", text()),
        ("id", text()),
        ("seq", whole()),
        ("events", json!({"type": "array", "description": "for a batch", "items": {"type": "object"}})),
        ("count", whole()),
    ];
    let processed =
        [("status", one_of(&["processed", "ignored"])), ("event", text()), ("id", text()), ("reason", text())];
    vec![
        ("NeoEvent", object(&["event", "payload"], &neo)),
        ("CloudEvent", object(&["specversion", "id", "source", "type"], &cloud)),
        ("CloudEventBatch", list(named("CloudEvent"))),
        ("Accepted", object(&["status"], &accepted)),
        (
            "Publish",
            object(
                &["payload"],
                &[("payload", json!({})), ("priority", priority), ("subject", text()), ("id", text())],
            ),
        ),
        (
            "Published",
            object(&["message_id", "topic", "seq"], &[("message_id", text()), ("topic", text()), ("seq", whole())]),
        ),
        ("Processed", object(&["status"], &processed)),
        ("Event", object(&["id", "seq", "type", "source", "time", "payload"], &event)),
        ("EventList", list(named("Event"))),
        ("Fate", json!({"type": "object", "description": "what became of the event, by subscription"})),
    ]
}

fn state() -> Vec<(&'static str, Value)> {
    let whole_version = || json!({"type": "integer", "minimum": 0});
    let version = [
        ("value", json!({"description": "any JSON, as it was written"})),
        ("version", whole_version()),
        ("updated_at", time()),
        ("updated_by", text()),
        ("correlation_id", text()),
        ("reason", text()),
        ("expires_at", time()),
        ("deleted", yes_no()),
    ];
    let mut item = version.to_vec();
    item.push(("key", text()));
    let put = [
        ("value", json!({"description": "any JSON"})),
        (
            "expected_version",
            json!({"type": ["integer", "null"], "minimum": 0, "description": "0: the key must not exist"}),
        ),
        ("ttl_seconds", json!({"type": ["integer", "null"], "minimum": 1, "description": "delete the key after this"})),
    ];
    let next = || ("next_cursor", json!({"type": ["string", "null"]}));
    let written = [
        ("success", json!({"const": true})),
        ("key", text()),
        ("version", whole_version()),
        ("deleted", yes_no()),
        ("merged", yes_no()),
    ];
    let required = ["value", "version", "updated_at", "updated_by"];
    let mut all = state_conflicts();
    all.extend([
        ("State", object(&["key", "value", "version", "updated_at"], &item)),
        ("StateVersion", object(&required, &version)),
        ("PutState", object(&["value"], &put)),
        ("StateWritten", object(&["success", "key", "version"], &written)),
        ("StateList", object(&["items", "next_cursor"], &[("items", list(named("State"))), next()])),
        (
            "StateHistory",
            object(&["key", "history"], &[("key", text()), ("history", list(named("StateVersion"))), next()]),
        ),
    ]);
    all
}

fn state_conflicts() -> Vec<(&'static str, Value)> {
    let any = |about: &str| json!({"description": about});
    let rule = [
        ("prefix", text()),
        ("on_conflict", one_of(&["last_write_wins", "merge", "user_confirmation", "custom"])),
        ("merge", json!({"enum": ["json", "set", "counter", "list", null]})),
        ("resolver", json!({"type": ["string", "null"], "description": "a plugin's"})),
        ("jq", json!({"type": ["string", "null"], "description": "over {key, base, current, wanted}"})),
    ];
    let policy = [("name", text()), ("rule", named("NewStatePolicy")), ("updated_by", text()), ("updated_at", time())];
    let conflict = [
        ("id", text()),
        ("key", text()),
        ("cause", one_of(&["write", "rollback"])),
        ("wanted", any("the value that waits")),
        ("deletes", yes_no()),
        ("base_version", whole()),
        ("current_version", whole()),
        ("by", text()),
        ("parked_at", time()),
        ("correlation_id", text()),
        ("resolved", json!({"type": "object", "description": "choice, by, at, version"})),
    ];
    let change = object(
        &["key"],
        &[
            ("key", text()),
            ("value", any("any JSON; or delete: true")),
            ("delete", yes_no()),
            ("expected_version", json!({"type": ["integer", "null"], "minimum": 0})),
            ("ttl_seconds", json!({"type": ["integer", "null"], "minimum": 1})),
        ],
    );
    let transaction = [
        ("id", json!({"type": "string", "description": "where it is to be confirmed"})),
        ("keys", list(json!({"type": "object", "description": "key, before, existed, version"}))),
        ("state", one_of(&["waiting", "confirmed", "rolled_back"])),
        ("by", text()),
        ("made_at", time()),
        ("confirm_by_at", time()),
        ("ended_at", time()),
        ("reason", text()),
        ("conflicts", list(text())),
        ("lost", list(text())),
    ];
    let new = [
        ("changes", list(change)),
        ("checks", list(json!({"type": "string", "description": "jq over {<key>: <value after it>}"}))),
        ("confirm_within_seconds", json!({"type": ["integer", "null"], "minimum": 1})),
    ];
    let summary = [
        ("conflicts", whole()),
        ("by_outcome", json!({"type": "object"})),
        ("open", whole()),
        ("last_conflict", json!({"type": ["object", "null"]})),
    ];
    let choice = [("choice", one_of(&["current", "wanted", "value"])), ("value", any("with the choice value"))];
    vec![
        ("NewStatePolicy", object(&["prefix", "on_conflict"], &rule)),
        ("StatePolicy", object(&["name", "rule"], &policy)),
        ("StatePolicyList", list(named("StatePolicy"))),
        ("StateConflict", object(&["id", "key", "cause", "wanted", "base_version", "current_version"], &conflict)),
        ("StateConflictList", list(named("StateConflict"))),
        ("ResolveStateConflict", object(&["choice"], &choice)),
        ("NewTransaction", object(&["changes"], &new)),
        ("Transaction", object(&["keys"], &transaction)),
        ("RollBack", object(&[], &[("reason", json!({"type": ["string", "null"]}))])),
        ("StateSummary", object(&["conflicts", "by_outcome", "open", "last_conflict"], &summary)),
    ]
}

fn services() -> Vec<(&'static str, Value)> {
    let number = || json!({"type": "number"});
    let said = || {
        vec![
            ("id", text()),
            ("name", text()),
            ("version", text()),
            ("host", text()),
            ("port", json!({"type": "integer", "minimum": 1, "maximum": 65_535})),
            ("protocol", one_of(&["http", "https"])),
            ("capabilities", list(text())),
            (
                "health_check_url",
                json!({"type": ["string", "null"], "description": "a path or a URL; none = its port is knocked at"}),
            ),
            ("metadata", json!({"type": "object", "description": "weight and strategy are read by the choice"})),
            ("load", number()),
            ("ttl_seconds", whole()),
        ]
    };
    let mut shown = said();
    shown.extend([
        ("status", one_of(&["healthy", "degraded", "unhealthy", "expired"])),
        ("status_reason", text()),
        ("in_flight", whole()),
        ("breaker", one_of(&["closed", "open", "half_open"])),
        ("last_heartbeat", json!({"type": "number", "description": "epoch seconds"})),
        ("last_check", json!({"type": "number", "description": "epoch seconds"})),
        ("registered_at", json!({"type": "number", "description": "epoch seconds"})),
    ]);
    let required =
        ["id", "name", "version", "status", "host", "port", "protocol", "capabilities", "health_check_url", "load"];
    let service = object(&required, &shown);
    let mut found = shown;
    found.push(("services", list(named("Service"))));
    vec![
        ("NewService", object(&["id", "host", "port"], &said())),
        ("Service", service),
        ("FoundService", object(&[&required[..], &["services"]].concat(), &found)),
        ("ServiceList", object(&["services"], &[("services", list(named("Service")))])),
        ("Heartbeat", object(&[], &[("load", number())])),
    ]
}

fn sources() -> Vec<(&'static str, Value)> {
    let common = || {
        vec![
            ("preset", text()),
            (
                "allow",
                json!({"type": "array", "items": text(), "description": "topics it may dispatch; empty = every one"}),
            ),
            ("closed", yes_no()),
            ("schemas", json!({"type": "object", "description": "JSON Schema per event type"})),
            ("on_violation", one_of(&["refuse", "flag"])),
            ("rate_limit", json!({"type": "string", "examples": ["10/s", "off"]})),
            (
                "idempotency_window",
                json!({"type": "string", "examples": ["2h"], "description": "how long an event's key is remembered; absent = 24h"}),
            ),
            ("mapping", json!({"type": "string", "description": "screened jq from the body to {event, payload}"})),
        ]
    };
    let mut new = common();
    new.extend([("id", text()), ("secrets", list(text()))]);
    let mut patch = common();
    patch.push(("enabled", yes_no()));
    let mut full = common();
    full.retain(|(name, _)| *name != "rate_limit");
    full.extend([
        ("id", text()),
        ("rate_limit", json!({})),
        ("enabled", yes_no()),
        (
            "secrets",
            list(object(&["name", "created_at"], &[("name", text()), ("created_at", time()), ("expires_at", time())])),
        ),
        ("secret", json!({"type": "string", "description": "shown once, when the hub made it"})),
        ("created_at", time()),
        ("updated_at", time()),
    ]);
    vec![
        ("NewSource", object(&["id"], &new)),
        ("SourcePatch", object(&[], &patch)),
        ("Source", object(&["id", "preset"], &full)),
        ("SourceList", list(named("Source"))),
        ("NewSecret", object(&[], &[("secret", text()), ("overlap_seconds", whole())])),
    ]
}

fn subscriptions() -> Vec<(&'static str, Value)> {
    let common = || {
        vec![
            ("filters", list(text())),
            ("predicate", json!({"type": "string", "description": "screened jq, true for what is wanted"})),
            (
                "target",
                json!({"type": "object", "description": "{kind: webhook|http|handler|consumer, url, method, headers, body}"}),
            ),
            ("on_dead", one_of(&["continue", "hold"])),
            ("concurrency", whole()),
            ("retry", json!({"description": "\"1s,5s,30s\" or a schedule"})),
            ("max_attempts", whole()),
            ("timeout_ms", whole()),
            ("keep_exchanges", yes_no()),
        ]
    };
    let mut new = common();
    new.extend([
        ("name", text()),
        ("filter", text()),
        ("url", text()),
        ("secret", text()),
        ("ordered", yes_no()),
        ("key", text()),
        ("since", whole()),
        ("active", yes_no()),
    ]);
    let mut patch = common();
    patch.extend([("url", text()), ("secret", text())]);
    let mut full = common();
    full.extend([
        ("name", text()),
        ("activity", json!({"type": "object"})),
        ("signed", yes_no()),
        ("secret", json!({"type": "string", "description": "shown once, when the hub made it"})),
        ("created_at", time()),
        ("updated_at", time()),
    ]);
    vec![
        ("NewSubscription", object(&["name"], &new)),
        ("EnsuredSubscription", object(&[], &new)),
        ("SubscriptionPatch", object(&[], &patch)),
        ("Subscription", object(&["name"], &full)),
        ("SubscriptionList", list(named("Subscription"))),
        ("SubscriptionStatus", json!({"type": "object"})),
        ("Sample", object(&[], &[("payload", json!({}))])),
        ("Exchange", json!({"type": "object", "description": "request, response or error, latency_ms"})),
        ("EndpointList", list(json!({"type": "object"}))),
    ]
}

fn consumers() -> Vec<(&'static str, Value)> {
    let delivery = [
        ("subscription", text()),
        ("lease", json!({"type": "string", "description": "settle it with this"})),
        ("lease_ms", json!({"type": "integer", "description": "how long the lease lasts from when it was taken"})),
        ("delivery_id", json!({"type": "string", "description": "the same at every attempt"})),
        ("attempt", json!({"type": "integer", "minimum": 1})),
        ("event", json!({"type": "string", "description": "the name in the form that the subscription asked for"})),
        ("topic", text()),
        ("payload", json!({})),
        ("id", text()),
        ("seq", whole()),
        ("timestamp", time()),
        ("source", text()),
        ("subject", text()),
        ("correlation_id", text()),
        ("replay", json!({"type": "integer", "description": "the replay that it belongs to, if any"})),
    ];
    let required = [
        "subscription",
        "lease",
        "lease_ms",
        "delivery_id",
        "attempt",
        "event",
        "topic",
        "payload",
        "id",
        "seq",
        "timestamp",
    ];
    let most = json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 10});
    let wait = json!({"type": "integer", "minimum": 0, "maximum": 60_000, "default": 0});
    let delay = json!({"type": "integer", "minimum": 0, "description": "absent: as the retry schedule says"});
    let more =
        json!({"type": "integer", "minimum": 0, "maximum": 43_200_000, "description": "absent: timeout_ms again"});
    let unheld =
        json!({"type": "array", "items": {"type": "string"}, "description": "leases that are not held any more"});
    vec![
        ("Pull", object(&[], &[("max", most), ("wait_ms", wait)])),
        ("ConsumerDelivery", object(&required, &delivery)),
        ("Pulled", list(named("ConsumerDelivery"))),
        (
            "Ack",
            object(
                &["leases"],
                &[("leases", json!({"type": "array", "items": text(), "minItems": 1, "maxItems": 1000}))],
            ),
        ),
        ("Acked", object(&["acked", "unheld"], &[("acked", whole()), ("unheld", unheld)])),
        ("Nack", object(&["lease"], &[("lease", text()), ("delay_ms", delay), ("reason", text())])),
        ("Extend", object(&["lease"], &[("lease", text()), ("ms", more)])),
        ("Extended", object(&["lease", "extended_ms"], &[("lease", text()), ("extended_ms", whole())])),
    ]
}

fn deliveries() -> Vec<(&'static str, Value)> {
    let delivery = [
        ("id", text()),
        ("subscription", text()),
        ("event_id", text()),
        ("event", text()),
        ("seq", whole()),
        ("state", one_of(&["retrying", "dead", "delivered"])),
        ("attempts", list(json!({"type": "object"}))),
        ("next_at", time()),
    ];
    let replay = [
        ("id", whole()),
        ("subscription", text()),
        ("from_seq", whole()),
        ("to_seq", whole()),
        ("state", text()),
        ("position", whole()),
        ("events", json!({"type": "integer", "description": "for a dry run"})),
    ];
    let place = json!({"description": "a seq, or a time in RFC 3339"});
    vec![
        ("Delivery", object(&["id", "subscription", "event_id", "state"], &delivery)),
        ("DeliveryList", list(named("Delivery"))),
        ("Select", object(&[], &[("id", text()), ("subscription", text()), ("all", yes_no())])),
        (
            "NewReplay",
            object(
                &["subscription"],
                &[("subscription", text()), ("from", place.clone()), ("to", place), ("dry_run", yes_no())],
            ),
        ),
        ("Replay", object(&[], &replay)),
        ("ReplayList", list(named("Replay"))),
    ]
}

fn credentials() -> Vec<(&'static str, Value)> {
    let token = [
        ("id", text()),
        ("name", text()),
        ("kind", one_of(&["api_token", "jwt_key", "node_secret", "oauth_connection", "provider_key"])),
        ("status", one_of(&["active", "expiring", "rotated", "revoked", "expired"])),
        ("scopes", list(text())),
        ("createdAt", time()),
        ("expiresAt", time()),
        ("lastUsedAt", time()),
        ("rotatedFrom", text()),
        ("rotatedTo", text()),
        ("algorithm", text()),
        ("owner", json!({"type": "string", "description": "the source of a node secret"})),
        ("token", json!({"type": "string", "description": "shown once, when it is made"})),
    ];
    vec![
        (
            "NewToken",
            object(
                &["name"],
                &[
                    ("name", text()),
                    ("kind", one_of(&["api_token", "jwt_key"])),
                    ("scopes", list(text())),
                    ("expiresAt", time()),
                    ("algorithm", one_of(&["HS256", "RS256", "ES256", "EdDSA"])),
                    (
                        "key",
                        json!({"type": ["string", "object"], "description": "for jwt_key: a shared secret, or the public part as a JSON Web Key"}),
                    ),
                ],
            ),
        ),
        ("TokenPatch", object(&["scopes"], &[("scopes", list(text()))])),
        (
            "Rotate",
            object(
                &[],
                &[
                    ("graceSeconds", json!({"type": "integer", "minimum": 0, "default": 60})),
                    (
                        "key",
                        json!({"type": ["string", "object"], "description": "the new value, where the hub can't make it"}),
                    ),
                ],
            ),
        ),
        (
            "Command",
            object(
                &["type", "correlationId"],
                &[
                    ("type", json!({"type": "string", "examples": ["token.create", "token.rotate", "token.revoke"]})),
                    ("payload", json!({"type": "object"})),
                    ("correlationId", json!({"type": "string", "minLength": 1, "maxLength": 256})),
                    ("timestamp", time()),
                ],
            ),
        ),
        ("Token", object(&["id", "name", "kind", "status", "scopes", "createdAt"], &token)),
        ("TokenList", list(named("Token"))),
        ("Ticket", object(&["ticket", "expiresAt"], &[("ticket", text()), ("expiresAt", time())])),
    ]
}

fn rest() -> Vec<(&'static str, Value)> {
    let health = [
        ("status", one_of(&["healthy", "degraded", "unhealthy"])),
        ("timestamp", json!({"type": "number", "description": "epoch seconds"})),
        ("services", json!({"type": "object"})),
        ("stats", json!({"type": "object"})),
        ("checks", json!({"type": "object"})),
        ("version", text()),
        ("uptime_seconds", json!({"type": "number"})),
    ];
    let report = [
        ("status", one_of(&["healthy", "degraded", "unhealthy"])),
        ("services", list(json!({"type": "object"}))),
        ("lastCheck", time()),
        ("checks", json!({"type": "object"})),
        ("version", text()),
        ("uptime_seconds", json!({"type": "number"})),
    ];
    vec![
        ("SecretValue", object(&["value"], &[("value", text())])),
        ("Health", object(&["status", "timestamp", "version", "uptime_seconds"], &health)),
        ("HealthReport", object(&["status", "services", "lastCheck"], &report)),
        ("Advance", object(&["advance"], &[("advance", json!({"type": "string", "examples": ["7d", "1h30m"]}))])),
        ("Now", object(&["now"], &[("now", time())])),
        ("Head", json!({"type": "object", "description": "epoch, seq, first, hash, time"})),
        (
            "VerifyRequest",
            object(&[], &[("against", named("Checkpoint")), ("after", named("Place")), ("limit", whole())]),
        ),
        (
            "VerifyReport",
            json!({"type": "object", "description": "ok, events, first, last, head, erased, epoch, compared, cut, next, bad_seq, problem"}),
        ),
        ("Place", object(&["seq", "hash"], &[("seq", whole()), ("hash", text())])),
        ("Checkpoint", json!({"type": "object", "description": "epoch, seq, hash, time, public_key, signature"})),
        ("RedactRequest", object(&["reason"], &[("event_id", text()), ("subject", text()), ("reason", text())])),
        ("ExportLine", json!({"type": "object", "description": "one event per line"})),
        ("ImportReport", json!({"type": "object"})),
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
                    ("locations", list(json!({"type": "object"}))),
                    ("path", list(json!({"type": ["string", "integer"]}))),
                    ("extensions", object(&["code", "retryable"], &[("code", text()), ("retryable", yes_no())])),
                ],
            ),
        ),
    ]
}
