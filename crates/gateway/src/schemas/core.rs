//! Bodies of services, state, tokens and commands.

use nexus_engine::tokens::Grace;
use nexus_services::{
    registry::LONGEST_TTL,
    state::{CONFIRM_WITHIN_SECONDS, LONGEST_TTL_SECONDS},
};
use serde_json::{Value, json};

use super::{list, map, named, object, one_of, text, time, whole, yes_no};

pub(super) fn services() -> Vec<(&'static str, Value)> {
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
            (
                "metadata",
                json!({"type": "object", "description": "weight and strategy are read by the choice", "additionalProperties": true}),
            ),
            ("load", number()),
            ("ttl_seconds", json!({"type": "integer", "minimum": 1, "maximum": LONGEST_TTL})),
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

pub(super) fn state() -> Vec<(&'static str, Value)> {
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
        ("ttl_seconds", ttl()),
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
    all.extend(transactions());
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

fn ttl() -> Value {
    json!({"type": ["integer", "null"], "minimum": 1, "maximum": LONGEST_TTL_SECONDS, "description": "delete the key after this"})
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
    let resolution = [
        ("choice", one_of(&["current", "wanted", "value"])),
        ("by", text()),
        ("at", time()),
        ("version", json!({"type": ["integer", "null"]})),
    ];
    let conflict = [
        ("id", text()),
        ("key", text()),
        ("cause", one_of(&["write", "rollback"])),
        ("wanted", any("the value that waits")),
        ("deletes", yes_no()),
        ("base_version", whole()),
        (
            "current_version",
            json!({"type": "integer", "minimum": 0, "description": "the present one; once resolved, the one it was resolved against"}),
        ),
        (
            "parked_version",
            json!({"type": "integer", "minimum": 0, "description": "the one that stood when it was parked"}),
        ),
        ("by", text()),
        ("parked_at", time()),
        ("correlation_id", text()),
        ("resolved", json!({"anyOf": [object(&["choice", "by", "at"], &resolution), {"type": "null"}]})),
    ];
    let summary = [
        ("conflicts", whole()),
        ("by_outcome", map(whole())),
        ("open", whole()),
        ("last_conflict", json!({"type": ["object", "null"]})),
    ];
    let choice = [
        ("choice", one_of(&["current", "wanted", "value"])),
        ("value", any("with the choice value")),
        (
            "expected_version",
            json!({"type": ["integer", "null"], "minimum": 0,
                   "description": "the present version as the chooser saw it; absent: the one that stood when it was parked"}),
        ),
    ];
    vec![
        ("NewStatePolicy", object(&["prefix", "on_conflict"], &rule)),
        ("StatePolicy", object(&["name", "rule"], &policy)),
        ("StatePolicyList", list(named("StatePolicy"))),
        ("StateConflict", object(&["id", "key", "cause", "wanted", "base_version", "current_version"], &conflict)),
        ("StateConflictList", list(named("StateConflict"))),
        ("ResolveStateConflict", object(&["choice"], &choice)),
        ("StateSummary", object(&["conflicts", "by_outcome", "open", "last_conflict"], &summary)),
    ]
}

fn transactions() -> Vec<(&'static str, Value)> {
    let moved = [("key", text()), ("before", whole()), ("existed", yes_no()), ("version", whole())];
    let change = object(
        &["key"],
        &[
            ("key", text()),
            ("value", json!({"description": "any JSON; or delete: true"})),
            ("delete", yes_no()),
            ("expected_version", json!({"type": ["integer", "null"], "minimum": 0})),
            ("ttl_seconds", ttl()),
        ],
    );
    let transaction = [
        ("id", json!({"type": "string", "description": "where it is to be confirmed"})),
        ("keys", list(object(&["key", "before", "existed", "version"], &moved))),
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
        (
            "confirm_within_seconds",
            json!({"type": ["integer", "null"], "minimum": 1, "maximum": CONFIRM_WITHIN_SECONDS}),
        ),
    ];
    vec![
        ("NewTransaction", object(&["changes"], &new)),
        ("Transaction", object(&["keys"], &transaction)),
        ("RollBack", object(&[], &[("reason", json!({"type": ["string", "null"]}))])),
    ]
}

fn rotate() -> Value {
    let grace = json!({"type": "integer", "minimum": 0, "maximum": Grace::MOST_SECONDS, "default": 60,
        "description": "how long the old one goes on"});
    let key = json!({"type": ["string", "object"], "description": "the new value, where the hub can't make it"});
    object(&[], &[("graceSeconds", grace), ("key", key)])
}

pub(super) fn credentials() -> Vec<(&'static str, Value)> {
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
        (
            "owner",
            json!({"type": "string", "description": "the source of a node secret, the connector of a connection"}),
        ),
        (
            "origin",
            json!({"type": "string", "enum": ["environment", "key set"], "description": "where it is kept and changed, if not in the hub"}),
        ),
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
                        json!({"type": ["string", "object"], "description": "for jwt_key: a shared secret, or the public part as a JSON Web Key or as PEM"}),
                    ),
                ],
            ),
        ),
        ("TokenPatch", object(&["scopes"], &[("scopes", list(text()))])),
        ("Rotate", rotate()),
        (
            "Command",
            object(
                &["type", "correlationId"],
                &[
                    ("type", json!({"type": "string", "examples": ["token.create", "token.rotate", "token.revoke"]})),
                    ("payload", json!({"type": "object", "additionalProperties": true})),
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
