//! Routes where events come in and go out live.

use http::Method;

use super::{Audit, Auth, Param, Rate, Route, Shape, json, route};
use crate::{
    graphql::http as graphql,
    ingress::{self, publish, webhook},
    stream::{socket, sse},
};

const INGRESS: &[Shape] = &[
    json("NeoEvent"),
    Shape { media: "application/cloudevents+json", schema: "CloudEvent" },
    Shape { media: "application/cloudevents-batch+json", schema: "CloudEventBatch" },
];

const PROOF: [Param; 2] = [
    Param { name: "token", about: "an API token, where no header can be set" },
    Param { name: "ticket", about: "a one-time ticket of POST /api/v1/tickets" },
];

const SOCKET: &[Param] = &PROOF;

const STREAM: &[Param] = &[
    PROOF[0],
    PROOF[1],
    Param { name: "since", about: "go on after this position: a seq, or epoch:seq" },
    Param { name: "filter", about: "topic filters, repeated or comma-separated; everything when absent" },
];

const GRAPHQL: &[Param] = &[
    PROOF[0],
    PROOF[1],
    Param { name: "query", about: "a GraphQL document; without it, the page" },
    Param { name: "operationName", about: "which operation of the document" },
    Param { name: "variables", about: "values of its variables, a JSON object" },
];

/// Any provider's body.
const WEBHOOK: &[Shape] = &[Shape { media: "*/*", schema: "Anything" }];

/// The routes.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::POST, "/events", "ingest", |c| Box::pin(ingress::events(c)))
        .about("Events in", "Send a signed event: NEO body, or CloudEvents structured, batch or binary")
        .auth(Auth::Signature)
        .rate(Rate::Ingress)
        .bare()
        .audit(Audit::Event)
        .takes(INGRESS)
        .gives(json("Accepted")),
    route(Method::POST, "/events/{topic}", "publish", |c| Box::pin(publish::topic(c)))
        .about("Events in", "Publish an event with a token")
        .may("events:publish")
        .rate(Rate::Publish)
        .bare()
        .audit(Audit::Event)
        .takes(&[json("Publish")])
        .gives(json("Published")),
    route(Method::POST, "/webhook/{source}", "webhook", |c| Box::pin(webhook::receive(c)))
        .about("Events in", "Receive a provider's webhook, verified by the preset of the source")
        .auth(Auth::Signature)
        .rate(Rate::Ingress)
        .bare()
        .audit(Audit::Event)
        .takes(WEBHOOK)
        .gives(json("Processed")),
    route(Method::GET, "/webhook/{source}", "webhook_challenge", |c| Box::pin(webhook::challenge(c)))
        .about("Events in", "Answer a provider's challenge (X CRC, LinkedIn)")
        .auth(Auth::Signature)
        .rate(Rate::Ingress)
        .bare(),
    route(Method::POST, "/api/webhooks/{source}", "webhook_api", |c| Box::pin(webhook::receive(c)))
        .about("Events in", "The same as POST /webhook/{source}")
        .auth(Auth::Signature)
        .rate(Rate::Ingress)
        .bare()
        .audit(Audit::Event)
        .takes(WEBHOOK)
        .gives(json("Processed")),
    route(Method::GET, "/api/webhooks/{source}", "webhook_api_challenge", |c| Box::pin(webhook::challenge(c)))
        .about("Events in", "The same as GET /webhook/{source}")
        .auth(Auth::Signature)
        .rate(Rate::Ingress)
        .bare(),
    route(Method::GET, "/ws", "socket", |c| Box::pin(socket::open(c)))
        .about("Events out", "WebSocket: subscribe with NEO or Core frames, publish with Core frames")
        .auth(Auth::Socket)
        .rate(Rate::Stream)
        .exempt()
        .query(SOCKET),
    route(Method::GET, "/api/v1/events/ws", "socket_everything", |c| Box::pin(socket::everything(c)))
        .about("Events out", "WebSocket: every event that the token may see")
        .auth(Auth::Socket)
        .rate(Rate::Stream)
        .exempt()
        .query(STREAM),
    route(Method::GET, "/api/v1/events/stream", "stream", |c| Box::pin(sse::open(c)))
        .about("Events out", "Server-sent events; resume with Last-Event-ID")
        .auth(Auth::Socket)
        .rate(Rate::Stream)
        .exempt()
        .query(STREAM)
        .gives(Shape { media: "text/event-stream", schema: "Event" }),
    route(Method::POST, "/graphql", "graphql", |c| Box::pin(graphql::post(c)))
        .about("GraphQL", "Run a GraphQL query or mutation; each field has its scope")
        .auth(Auth::AnyToken)
        .bare()
        .audit(Audit::Event)
        .takes(&[json("GraphqlRequest")])
        .gives(json("GraphqlResponse")),
    route(Method::GET, "/graphql", "graphql_page", |c| Box::pin(graphql::get(c)))
        .about(
            "GraphQL",
            "A page to try GraphQL on; with ?query= and a token its answer; as a WebSocket graphql-transport-ws",
        )
        .auth(Auth::Open)
        .exempt()
        .query(GRAPHQL)
        .gives(Shape { media: "text/html; charset=utf-8", schema: "Text" })
        .also(&[json("GraphqlResponse")]),
];
