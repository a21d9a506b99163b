//! Routes of shared state.

use http::Method;

use super::{Audit, Param, Rate, Route, json, route};
use crate::state;

const GROUP: &str = "State";

const GET: &[Param] = &[Param { name: "version", about: "this version, as far as the history goes back" }];
const LIST: &[Param] = &[
    Param { name: "prefix", about: "keys that begin so; all when absent" },
    Param { name: "cursor", about: "next_cursor of the page before" },
    Param { name: "limit", about: "at most so many; 1 to 500, default 100" },
];
const DELETE: &[Param] =
    &[Param { name: "expected_version", about: "refuse it (409) when the present version is another" }];
const HISTORY: &[Param] = &[
    Param { name: "cursor", about: "next_cursor of the page before" },
    Param { name: "limit", about: "at most so many; 1 to 1000, default 100" },
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
        .gives(json("State")),
    route(Method::PUT, "/state/{key}", "put_state", |c| Box::pin(state::put(c)))
        .about(GROUP, "Set a key; with expected_version or If-Match only if nobody changed it meanwhile")
        .may("state:write")
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
        .gives(json("StateWritten")),
    route(Method::GET, "/state/{key}/history", "state_history", |c| Box::pin(state::history(c)))
        .about(GROUP, "The versions of a key that are kept, oldest first")
        .may("state:read")
        .rate(Rate::Publish)
        .bare()
        .query(HISTORY)
        .gives(json("StateHistory")),
];
