//! Routes of connectors: what can be called, with whose account, and calling it.

use http::Method;

use super::{Audit, Auth, Param, Rate, Route, Shape, json, route};
use crate::connectors;

const GROUP: &str = "Connectors";
const LIST: &[Param] = &[Param { name: "connector", about: "of this connector" }];

/// The routes.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::GET, "/api/v1/connectors", "list_connectors", |c| Box::pin(connectors::list(c)))
        .about(GROUP, "Outside services that can be called, with their operations and connections")
        .may("connectors:read")
        .gives(json("ConnectorList")),
    route(Method::GET, "/api/v1/connectors/{name}", "get_connector", |c| Box::pin(connectors::get(c)))
        .about(GROUP, "One connector with its whole manifest")
        .may("connectors:read")
        .gives(json("Connector")),
    route(Method::POST, "/api/v1/connectors/{name}/call", "call_connector", |c| Box::pin(connectors::call(c)))
        .about(GROUP, "Call an operation; Idempotency-Key makes a repeat harmless where the operation knows repeats")
        .may("connectors:call")
        .rate(Rate::Publish)
        .audit(Audit::Transient)
        .takes(&[json("ConnectorCall")])
        .gives(json("ConnectorCalled")),
    route(Method::GET, "/api/v1/connections", "list_connections", |c| Box::pin(connectors::connections(c)))
        .about(GROUP, "Accounts at outside services and how they are, never their secrets")
        .may("connectors:read")
        .query(LIST)
        .gives(json("ConnectionList")),
    route(Method::POST, "/api/v1/connections", "create_connection", |c| Box::pin(connectors::create(c)))
        .about(GROUP, "Make a connection; its secrets may follow later")
        .may("connectors:admin")
        .audit(Audit::Writes("connection.created"))
        .takes(&[json("NewConnection")])
        .gives(json("Connection"))
        .creates(),
    route(Method::GET, "/api/v1/connections/{name}", "get_connection", |c| Box::pin(connectors::connection(c)))
        .about(GROUP, "One connection")
        .may("connectors:read")
        .gives(json("Connection")),
    route(Method::PATCH, "/api/v1/connections/{name}", "update_connection", |c| Box::pin(connectors::update(c)))
        .about(GROUP, "Change settings, secrets or scopes, or switch it off and on")
        .may("connectors:admin")
        .audit(Audit::Writes("connection.updated"))
        .takes(&[json("ConnectionPatch")])
        .gives(json("Connection")),
    route(Method::DELETE, "/api/v1/connections/{name}", "delete_connection", |c| Box::pin(connectors::remove(c)))
        .about(GROUP, "Take a connection out, with its secrets")
        .may("connectors:admin")
        .audit(Audit::Writes("connection.removed"))
        .gives(json("Removed")),
    route(Method::PUT, "/api/v1/connections/{name}/secrets/{secret}", "put_connection_secret", |c| {
        Box::pin(connectors::put_secret(c))
    })
    .about(GROUP, "Set one of its secrets; it can't be read back")
    .may("connectors:admin")
    .audit(Audit::Writes("connection.updated"))
    .takes(&[json("SecretValue")])
    .gives(json("Connection")),
    route(Method::POST, "/api/v1/connections/{name}/authorize", "authorize_connection", |c| {
        Box::pin(connectors::authorize(c))
    })
    .about(GROUP, "The address where a person agrees; good once and for ten minutes")
    .may("connectors:admin")
    .audit(Audit::Transient)
    .takes(&[json("AuthorizeConnection")])
    .gives(json("Authorization")),
    route(Method::GET, "/oauth/callback", "oauth_callback", |c| Box::pin(connectors::callback(c)))
        .about(GROUP, "Where a provider sends the browser back to; the state in it proves what was begun")
        .auth(Auth::Open)
        .rate(Rate::Stream)
        .exempt()
        .audit(Audit::Writes("connection.authorized"))
        .gives(Shape { media: "text/html; charset=utf-8", schema: "Text" }),
];
