//! Routes of tokens and other credentials, of tickets, and of commands.

use http::Method;

use super::{Audit, Auth, Rate, Route, json, route};
use crate::admin::{commands, tokens};

/// The routes.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::GET, "/api/v1/tokens", "list_tokens", |c| Box::pin(tokens::list(c)))
        .about("Tokens", "List tokens and all other credentials (keys, node secrets, named secrets), never a secret")
        .may("tokens:read")
        .gives(json("TokenList")),
    route(Method::POST, "/api/v1/tokens", "create_token", |c| Box::pin(tokens::create(c)))
        .about(
            "Tokens",
            "Make a token with scopes you hold yourself, or keep a key for JSON Web Tokens; shown this once",
        )
        .may("tokens:write")
        .audit(Audit::Writes("token.created"))
        .takes(&[json("NewToken")])
        .gives(json("Token"))
        .creates(),
    route(Method::GET, "/api/v1/tokens/{id}", "get_token", |c| Box::pin(tokens::get(c)))
        .about("Tokens", "One token; a token may look at itself")
        .auth(Auth::OwnOr("tokens:read"))
        .gives(json("Token")),
    route(Method::PATCH, "/api/v1/tokens/{id}", "update_token", |c| Box::pin(tokens::update(c)))
        .about("Tokens", "Give a token other scopes; open sockets are held to them at once")
        .may("tokens:write")
        .audit(Audit::Writes("token.updated"))
        .takes(&[json("TokenPatch")])
        .gives(json("Token")),
    route(Method::POST, "/api/v1/tokens/{id}/rotate", "rotate_token", |c| Box::pin(tokens::rotate(c)))
        .about("Tokens", "Put a new one in its place; the old one goes on for graceSeconds. A token may rotate itself")
        .auth(Auth::OwnOr("tokens:write"))
        .audit(Audit::Writes("token.rotated"))
        .takes(&[json("Rotate")])
        .gives(json("Token")),
    route(Method::POST, "/api/v1/tokens/{id}/revoke", "revoke_token", |c| Box::pin(tokens::revoke(c)))
        .about("Tokens", "End it at once, with every socket and stream opened with it. A token may revoke itself")
        .auth(Auth::OwnOr("tokens:write"))
        .audit(Audit::Writes("token.revoked"))
        .takes(&[json("Reason")])
        .gives(json("Token")),
    route(Method::POST, "/api/v1/tickets", "create_ticket", |c| Box::pin(tokens::ticket(c)))
        .about("Tokens", "Trade a token for a one-time ticket that opens a socket within 60 s")
        .auth(Auth::AnyToken)
        .rate(Rate::Api)
        .audit(Audit::Transient)
        .gives(json("Ticket"))
        .creates(),
    route(Method::POST, "/api/v1/commands", "command", |c| Box::pin(commands::execute(c)))
        .about("Commands", "Ask for something to be done, once: the same correlationId gives the same answer for a day")
        .auth(Auth::OwnOr("commands"))
        .audit(Audit::Commands)
        .takes(&[json("Command")]),
];
