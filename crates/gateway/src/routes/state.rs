//! Routes of shared state.

use http::Method;

use super::{Audit, Auth, Param, Rate, Route, Shape, json, route};
use crate::{admin::state as admin, state, stream::watch};

const GROUP: &str = "State";

const GET: &[Param] = &[Param { name: "version", about: "this version, as far as the history goes back" }];
const LIST: &[Param] = &[
    Param { name: "prefix", about: "keys that begin so; all when absent" },
    Param { name: "cursor", about: "next_cursor of the page before" },
    Param { name: "limit", about: "at most so many; 1 to 500, default 100" },
];
const GET_HEADERS: &[Param] =
    &[Param { name: "If-None-Match", about: "304 without a body when the ETag is one of these; * for any" }];
const WRITE_HEADERS: &[Param] = &[
    Param {
        name: "If-Match",
        about: "refuse it (409) unless this is the present version, 3 or \"3\"; *: unless it exists",
    },
    Param { name: "If-None-Match", about: "*: refuse it (409) when the key exists" },
];
const DELETE: &[Param] =
    &[Param { name: "expected_version", about: "refuse it (409) when the present version is another" }];
const HISTORY: &[Param] = &[
    Param { name: "cursor", about: "next_cursor of the page before" },
    Param { name: "limit", about: "at most so many; 1 to 1000, default 100" },
];

const CONFLICTS: &[Param] = &[
    Param { name: "key", about: "of this key" },
    Param { name: "all", about: "true: resolved ones too" },
    Param { name: "cursor", about: "next_cursor of the page before" },
    Param { name: "limit", about: "at most so many; 1 to 500, default 50" },
];
const WATCH: &[Param] = &[
    Param { name: "token", about: "an API token, where no header can be set" },
    Param { name: "ticket", about: "a one-time ticket of POST /api/v1/tickets" },
    Param { name: "key", about: "changes of this key" },
    Param { name: "prefix", about: "changes of keys that begin so" },
    Param { name: "since", about: "go on after this position: a seq, or epoch:seq" },
];

/// The routes.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::GET, "/state", "list_state", |c| Box::pin(state::list(c)))
        .about(GROUP, "Keys by prefix, as far as the token may read them")
        .may("state:read")
        .rate(Rate::Publish)
        .bare()
        .query(LIST)
        .gives(json("StateList")),
    route(Method::GET, "/state/{key}", "get_state", |c| Box::pin(state::get(c)))
        .about(GROUP, "The value and version of a key; a key may hold slashes")
        .may("state:read")
        .rate(Rate::Publish)
        .bare()
        .query(GET)
        .headers(GET_HEADERS)
        .gives(json("State")),
    route(Method::PUT, "/state/{key}", "put_state", |c| Box::pin(state::put(c)))
        .about(GROUP, "Set a key; with expected_version or If-Match only if nobody changed it meanwhile")
        .may("state:write")
        .headers(WRITE_HEADERS)
        .rate(Rate::Publish)
        .bare()
        .audit(Audit::Event)
        .takes(&[json("PutState")])
        .gives(json("StateWritten")),
    route(Method::DELETE, "/state/{key}", "delete_state", |c| Box::pin(state::delete(c)))
        .about(GROUP, "Delete a key; its versions go on with the deletion")
        .may("state:write")
        .rate(Rate::Publish)
        .bare()
        .audit(Audit::Event)
        .query(DELETE)
        .headers(WRITE_HEADERS)
        .gives(json("StateWritten")),
    route(Method::GET, "/state/{key}/history", "state_history", |c| Box::pin(state::history(c)))
        .about(GROUP, "The versions of a key that are kept, oldest first")
        .may("state:read")
        .rate(Rate::Publish)
        .bare()
        .query(HISTORY)
        .gives(json("StateHistory")),
    route(Method::GET, "/api/v1/state/watch", "watch_state", |c| Box::pin(watch::open(c)))
        .about(GROUP, "Server-sent events: every change of a key or of a prefix; resume with Last-Event-ID")
        .auth(Auth::Watch)
        .rate(Rate::Stream)
        .exempt()
        .query(WATCH)
        .gives(Shape { media: "text/event-stream", schema: "Event" }),
    route(Method::GET, "/api/v1/state/summary", "state_summary", |c| Box::pin(admin::summary(c)))
        .about(GROUP, "How many conflicts there were, how many wait, and the last one")
        .may("state:read")
        .gives(json("StateSummary")),
    route(Method::POST, "/api/v1/state/transactions", "state_transaction", |c| Box::pin(admin::transact(c)))
        .about(GROUP, "Change several keys, all or none; with checks, and with a time to confirm")
        .may("state:write")
        .rate(Rate::Publish)
        .audit(Audit::Event)
        .takes(&[json("NewTransaction")])
        .gives(json("Transaction")),
    route(Method::GET, "/api/v1/state/transactions/{id}", "get_state_transaction", |c| Box::pin(admin::transaction(c)))
        .about(GROUP, "A transaction that is or was to be confirmed")
        .may("state:read")
        .gives(json("Transaction")),
    route(Method::POST, "/api/v1/state/transactions/{id}/confirm", "confirm_state_transaction", |c| {
        Box::pin(admin::confirm(c))
    })
    .about(GROUP, "Confirm a transaction: it is not undone")
    .may("state:write")
    .audit(Audit::Writes("state.transaction_confirmed"))
    .gives(json("Transaction")),
    route(Method::POST, "/api/v1/state/transactions/{id}/rollback", "roll_back_state_transaction", |c| {
        Box::pin(admin::roll_back(c))
    })
    .about(GROUP, "Undo a transaction that is not confirmed; keys that others changed since become conflicts")
    .may("state:write")
    .audit(Audit::Writes("state.transaction_rolled_back"))
    .takes(&[json("RollBack")])
    .gives(json("Transaction")),
    route(Method::GET, "/api/v1/state/conflicts", "list_state_conflicts", |c| Box::pin(admin::conflicts(c)))
        .about(GROUP, "Conflicts that wait for a choice, as far as the token may read their keys")
        .may("state:read")
        .query(CONFLICTS)
        .gives(json("StateConflictList")),
    route(Method::GET, "/api/v1/state/conflicts/{id}", "get_state_conflict", |c| Box::pin(admin::conflict(c)))
        .about(GROUP, "One conflict")
        .may("state:read")
        .gives(json("StateConflict")),
    route(Method::POST, "/api/v1/state/conflicts/{id}/resolve", "resolve_state_conflict", |c| {
        Box::pin(admin::resolve(c))
    })
    .about(GROUP, "End a conflict: keep what stands, take what was wanted, or write another value")
    .may("state:write")
    .audit(Audit::Event)
    .takes(&[json("ResolveStateConflict")])
    .gives(json("StateConflict")),
    route(Method::GET, "/api/v1/state/policies", "list_state_policies", |c| Box::pin(admin::policies(c)))
        .about(GROUP, "Rules for conflicts, the longest prefix first")
        .may("state:read")
        .gives(json("StatePolicyList")),
    route(Method::PUT, "/api/v1/state/policies/{name}", "set_state_policy", |c| Box::pin(admin::set_policy(c)))
        .about(GROUP, "Set what becomes of conflicts of the keys that begin with a prefix")
        .may("state:write")
        .audit(Audit::Writes("state.policy_set"))
        .takes(&[json("NewStatePolicy")])
        .gives(json("StatePolicy")),
    route(Method::DELETE, "/api/v1/state/policies/{name}", "remove_state_policy", |c| {
        Box::pin(admin::remove_policy(c))
    })
    .about(GROUP, "Remove a rule for conflicts")
    .may("state:write")
    .audit(Audit::Writes("state.policy_removed"))
    .gives(json("Removed")),
];
