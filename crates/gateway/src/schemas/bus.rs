//! Bodies of events, sources, subscriptions, consumers and deliveries.

use serde_json::{Value, json};

use super::{list, named, number, object, one_of, text, texts, time, whole, yes_no};

pub(super) fn events() -> Vec<(&'static str, Value)> {
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
        ("attributes", named("EventAttributes")),
        ("erased", yes_no()),
        ("payload", json!({})),
    ];
    let member = object(&["event", "id", "seq"], &[("event", text()), ("id", text()), ("seq", whole())]);
    let accepted = [
        ("status", json!({"const": "accepted"})),
        ("event", text()),
        ("id", text()),
        ("seq", whole()),
        ("events", json!({"type": "array", "description": "for a batch", "items": member})),
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
        ("EventAttributes", attributes()),
    ]
}

fn attributes() -> Value {
    object(
        &[],
        &[
            ("alias", text()),
            ("traceparent", text()),
            ("occurred", json!({"type": "string", "description": "when it happened, by the producer's word"})),
            ("datacontenttype", text()),
            ("dataschema", text()),
            ("schema_violation", text()),
            ("source_id", text()),
            ("binary", yes_no()),
            (
                "extensions",
                json!({"type": "object", "description": "other attributes of CloudEvents", "additionalProperties": true}),
            ),
        ],
    )
}

/// What became of an event, and of each attempt to deliver it.
pub(super) fn fates() -> Vec<(&'static str, Value)> {
    let stage =
        [("stage", one_of(&["received", "committed", "delivered", "erased"])), ("at", time()), ("detail", text())];
    let delivery = [
        ("subscription", text()),
        ("generation", json!({"type": "integer", "description": "0, or the replay's number"})),
        (
            "state",
            json!({"type": "string", "description": "delivered, in_flight, queued, retrying, dead, filtered, waiting_behind_key, removed, expired or erased"}),
        ),
        ("at", time()),
        ("attempt", whole()),
        ("status", whole()),
        ("latency_ms", number()),
        ("next_at", time()),
        ("why", text()),
        ("attempts", list(named("Attempt"))),
    ];
    let fate = [
        ("event_id", text()),
        ("event", text()),
        ("seq", whole()),
        ("source", text()),
        ("correlation", text()),
        ("stages", list(object(&["stage"], &stage))),
        ("verdict", json!({"type": "string", "description": "the worst of the deliveries, or unmatched, or erased"})),
        ("deliveries", list(object(&["subscription", "generation", "state"], &delivery))),
    ];
    let attempt = [
        ("at", time()),
        ("status", whole()),
        ("latency_ms", number()),
        ("error", text()),
        ("request_head", text()),
        ("response_head", text()),
        ("probe", yes_no()),
    ];
    let required = ["event_id", "event", "seq", "source", "correlation", "stages", "verdict", "deliveries"];
    vec![("Fate", object(&required, &fate)), ("Attempt", object(&["at", "latency_ms"], &attempt))]
}

pub(super) fn sources() -> Vec<(&'static str, Value)> {
    let common = || {
        vec![
            ("preset", text()),
            (
                "allow",
                json!({"type": "array", "items": text(), "description": "topics it may dispatch; empty = every one"}),
            ),
            ("closed", yes_no()),
            (
                "schemas",
                json!({"type": "object", "description": "JSON Schema per event type", "additionalProperties": true}),
            ),
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

pub(super) fn subscriptions() -> Vec<(&'static str, Value)> {
    let common = || {
        vec![
            ("filters", list(text())),
            ("predicate", json!({"type": "string", "description": "screened jq, true for what is wanted"})),
            ("target", named("Target")),
            ("on_dead", one_of(&["continue", "hold"])),
            ("concurrency", whole()),
            (
                "retry",
                json!({"anyOf": [{"type": "string", "description": "1s,5s,30s"}, named("RetrySchedule"), {"type": "null"}]}),
            ),
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
        (
            "activity",
            object(
                &["state"],
                &[("state", one_of(&["active", "paused", "disabled"])), ("reason", text()), ("since", time())],
            ),
        ),
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
        ("SubscriptionStatus", standing()),
        ("Target", target()),
        ("RetrySchedule", schedule()),
        ("Sample", object(&[], &[("payload", json!({}))])),
        ("Exchange", exchange()),
        ("EndpointList", list(endpoint())),
    ]
}

fn breaker() -> Value {
    one_of(&["closed", "open", "half_open"])
}

fn target() -> Value {
    let kind = |kind: &str| ("kind", json!({"const": kind}));
    let url = ("url", json!({"type": "string", "description": "${secret:NAME} is replaced when sending"}));
    json!({"oneOf": [
        object(&["kind", "url"], &[kind("webhook"), url.clone(), ("headers", texts())]),
        object(
            &["kind", "url"],
            &[
                kind("http"),
                url,
                ("method", text()),
                ("headers", texts()),
                ("body", json!({"type": ["string", "null"], "description": "screened jq; absent = the payload"})),
            ],
        ),
        object(&["kind", "name"], &[kind("handler"), ("name", text())]),
        object(&["kind"], &[kind("consumer")]),
    ]})
}

fn schedule() -> Value {
    let wait = || json!({"type": "integer", "minimum": 0});
    json!({"oneOf": [
        object(&["kind", "base_ms", "cap_ms"], &[("kind", json!({"const": "exponential"})), ("base_ms", wait()), ("cap_ms", wait())]),
        object(&["kind", "waits_ms"], &[("kind", json!({"const": "explicit"})), ("waits_ms", list(wait()))]),
    ]})
}

fn standing() -> Value {
    let fields = [
        ("name", text()),
        ("state", one_of(&["active", "paused", "disabled"])),
        ("reason", text()),
        ("mode", one_of(&["live", "behind"])),
        ("lag", whole()),
        ("position", whole()),
        ("waiting", whole()),
        ("in_flight", whole()),
        ("retrying", whole()),
        ("dead", whole()),
        ("breaker", breaker()),
        ("waiting_for", text()),
        ("waiting_until", time()),
        ("last_error", text()),
        ("last_success_at", time()),
    ];
    let required = ["name", "state", "mode", "lag", "position", "waiting", "in_flight", "retrying", "dead", "breaker"];
    object(&required, &fields)
}

fn exchange() -> Value {
    let request = [("method", text()), ("url", text()), ("headers", texts()), ("body", text())];
    let response =
        object(&["status", "headers", "body"], &[("status", whole()), ("headers", texts()), ("body", text())]);
    object(
        &["request", "response", "error", "latency_ms"],
        &[
            ("request", object(&["method", "url", "headers", "body"], &request)),
            ("response", json!({"anyOf": [response, {"type": "null"}]})),
            ("error", json!({"type": ["string", "null"]})),
            ("latency_ms", number()),
        ],
    )
}

fn endpoint() -> Value {
    object(
        &["url", "subscriptions", "breaker", "in_flight"],
        &[
            ("url", json!({"type": "string", "description": "or handler:NAME, consumer:SUBSCRIPTION"})),
            ("subscriptions", list(text())),
            ("breaker", breaker()),
            ("in_flight", whole()),
        ],
    )
}

pub(super) fn consumers() -> Vec<(&'static str, Value)> {
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

pub(super) fn deliveries() -> Vec<(&'static str, Value)> {
    let delivery = [
        ("id", text()),
        ("subscription", text()),
        ("event_id", text()),
        ("event", text()),
        ("seq", whole()),
        ("state", one_of(&["retrying", "dead", "delivered"])),
        ("delivery_id", json!({"type": "string", "description": "the same at every attempt"})),
        ("generation", json!({"type": "integer", "description": "0, or the replay's number"})),
        ("attempts_made", whole()),
        ("attempts", list(named("Attempt"))),
        ("next_at", time()),
        ("key", text()),
        ("waiting", list(whole())),
        ("updated_at", time()),
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
