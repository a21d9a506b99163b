//! What all requests share, and the way of one request: route, identity, rate, handler, answer.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use http::{HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use nexus_core::{
    problem::{Code, Problem},
    time::Timestamp,
};
use nexus_engine::{Hub, supervisor::TaskKind, trace};
use nexus_flows::host::Flows;
use nexus_services::{Registry, StateStore};
use serde_json::Map;

use crate::{
    address,
    answer::{Body, REQUEST_ID, RequestId, RequestIds},
    call::Call,
    config::GatewayConfig,
    cors::{self, Cors},
    error, graphql,
    identity::{self, Presented, Tickets},
    ingress::schema::Schemas,
    metrics::GatewayMetrics,
    rates::{Caller, RateLimits},
    routes::{Audit, Auth, Envelope, Found, Rate, Route, Router},
};

mod shape;

fn nothing_at(path: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is nothing at {path}; /openapi.json lists what there is"))
}

/// What all requests share.
pub(crate) struct Gate {
    /// The hub behind the doors.
    pub(crate) hub: Hub,
    /// Services and the calls between them.
    pub(crate) registry: Registry,
    /// Automations.
    pub(crate) flows: Flows,
    /// Shared state.
    pub(crate) state: StateStore,
    /// Settings.
    pub(crate) config: GatewayConfig,
    /// Figures.
    pub(crate) metrics: Arc<GatewayMetrics>,
    /// Buckets.
    pub(crate) limits: RateLimits,
    /// Open tickets.
    pub(crate) tickets: Tickets,
    /// Compiled schemas of event types.
    pub(crate) schemas: Schemas,
    /// What is made when somebody first asks for it.
    pub(crate) made: Made,
    /// Routes.
    pub(crate) router: Router,
    /// Origins that may read answers.
    pub(crate) cors: Cors,
    /// Request ids.
    pub(crate) ids: RequestIds,
}

/// What takes memory and time to make, and many hubs are never asked for: made once, for whoever asks first.
#[derive(Default)]
pub(crate) struct Made {
    openapi: OnceLock<bytes::Bytes>,
    graphql: OnceLock<graphql::Schema>,
}

impl Made {
    /// The generated description of the API.
    pub(crate) fn openapi(&self) -> bytes::Bytes {
        self.openapi.get_or_init(|| crate::openapi().to_string().into()).clone()
    }

    /// The GraphQL schema with its resolvers.
    pub(crate) fn graphql(&self) -> &graphql::Schema {
        self.graphql.get_or_init(graphql::schema)
    }
}

impl Gate {
    /// Answers one request; never fails, so that the connection goes on.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response<Body>, Infallible> {
        let started = self.hub.clock().mono();
        let (mut parts, body) = request.into_parts();
        let id = RequestId::of(&parts.headers, &self.ids);
        let origin = self.cors.origin(&parts.headers);
        let found = match shape::check(&parts) {
            Ok(()) => self.router.find(&parts.method, parts.uri.path()),
            Err(problem) => Found::Unfit(problem),
        };
        let mut number = None;
        let mut span = None;
        let standing = Arc::new(OnceLock::new());
        let mut response = match found {
            Found::Route(route, n, params) => {
                number = Some(n);
                span = self.begin(route, &mut parts);
                let client = address::client(peer.ip(), &parts.headers, &self.config.trusted_proxies);
                let now = self.hub.clock().now();
                // The path of a link holds its token, which is for nobody's eyes.
                let path = if route.auth == Auth::Link { route.path.to_owned() } else { parts.uri.path().to_owned() };
                let call = Call {
                    gate: Arc::clone(&self),
                    route,
                    parts,
                    body: Some(body),
                    params,
                    id: id.clone(),
                    client,
                    who: None,
                    now,
                    standing: Arc::clone(&standing),
                };
                match self.run(call, peer).await {
                    Ok(answer) => answer.respond(route.envelope, &id, now),
                    Err(problem) => self.refuse(&problem, route.envelope, &path, &id, now),
                }
            }
            Found::Methods(allow) if parts.method == Method::OPTIONS => {
                cors::options(&parts.headers, origin.is_some(), &allow)
            }
            Found::Methods(allow) => self.wrong_method(&parts, &allow, &id),
            Found::Nothing => self.refused_at(&parts, &nothing_at(parts.uri.path()), &id),
            Found::Unfit(problem) => self.refused_at(&parts, &problem, &id),
        };
        response.headers_mut().insert(&REQUEST_ID, id.header());
        if let Some(standing) = standing.get() {
            standing.write(response.headers_mut());
        }
        if let Some(origin) = origin {
            cors::allow(response.headers_mut(), origin);
        }
        let took = self.hub.clock().mono().saturating_sub(started);
        self.metrics.answered(number, response.status().as_u16(), took);
        if let Some(span) = span {
            let status = response.status();
            let attributes = vec![
                ("http.response.status_code", status.as_u16().to_string()),
                ("nexus.request.id", id.as_str().to_owned()),
            ];
            let error = status.is_server_error().then(|| status.to_string());
            self.hub.tracer().end(span, attributes, error);
        }
        Ok(response)
    }

    /// A refusal where no route is known.
    fn refused_at(&self, parts: &http::request::Parts, problem: &Problem, id: &RequestId) -> Response<Body> {
        let path = parts.uri.path();
        self.refuse(problem, Envelope::of_path(path), path, id, self.hub.clock().now())
    }

    /// Begins the span of a request that may bring events. It takes the caller's place in the request's trace context,
    /// so that what is stored, and later delivered, belongs under it.
    fn begin(&self, route: &Route, parts: &mut http::request::Parts) -> Option<trace::Open> {
        if !matches!(route.rate, Rate::Ingress | Rate::Publish) || route.audit == Audit::Reads {
            return None;
        }
        let parent = parts.headers.get("traceparent").and_then(|v| trace::Context::parse(v.to_str().ok()?));
        let span = self.hub.tracer().begin("receive", parent.as_ref(), trace::Kind::Server)?;
        let value = HeaderValue::from_str(&span.context.to_string()).ok()?;
        parts.headers.insert("traceparent", value);
        Some(span)
    }

    async fn run(&self, mut call: Call, peer: SocketAddr) -> Result<crate::answer::Answer, Problem> {
        let route = call.route;
        let who = identity::identify(&self.hub, &self.config, &self.tickets, route.auth, &call.parts, peer.ip()).await;
        // Who could not prove who they are is counted by address, so that secrets can't be tried without end.
        self.count(route, &call, who.as_ref().ok().and_then(Option::as_ref))?;
        call.who = who?;
        if route.query.is_empty() && route.is_exact() {
            // Its handler has no reason to look.
            call.query()?;
        }
        match route.audit {
            Audit::Writes(_) | Audit::Commands => self.finish(call).await,
            Audit::Reads | Audit::Event | Audit::Transient => (route.handler)(call).await,
        }
    }

    /// Runs a handler to its end even if the caller hangs up: an administrative act commits first and then brings what
    /// is in memory up to date, and must not stop between the two.
    async fn finish(&self, call: Call) -> Result<crate::answer::Answer, Problem> {
        let (to, answer) = tokio::sync::oneshot::channel();
        self.hub.spawn().start(TaskKind::Connection, async move {
            // The receiver is gone when the caller is.
            drop(to.send((call.route.handler)(call).await));
        });
        answer.await.unwrap_or_else(|_| Err(Problem::new(Code::Internal, "the request was not finished")))
    }

    /// Takes one token of the route's rate. Signed events are counted where their source is known.
    fn count(&self, route: &Route, call: &Call, who: Option<&Presented>) -> Result<(), Problem> {
        let (class, rate) = match route.rate {
            Rate::Free | Rate::Ingress => return Ok(()),
            Rate::Publish => ("publish", self.config.publish_rate),
            Rate::Api => ("api", self.config.api_rate),
            Rate::Stream => ("stream", self.config.stream_rate),
        };
        let Some(rate) = rate else { return Ok(()) };
        let caller = match who {
            Some(who) if route.rate != Rate::Stream => Caller::Principal(&who.principal.name),
            _ => Caller::Address(address::counted(call.client)),
        };
        call.counted(self.limits.take(class, caller, rate, self.hub.clock().mono()))
    }

    /// A refusal as a response, counted, and logged when it is our fault.
    pub(crate) fn refuse(
        &self,
        problem: &Problem,
        envelope: Envelope,
        path: &str,
        id: &RequestId,
        now: Timestamp,
    ) -> Response<Body> {
        self.metrics.refused(problem.code);
        match problem.code {
            Code::Internal => tracing::error!(request_id = id.as_str(), path, error = %problem, "a request failed"),
            Code::Forbidden => {
                tracing::warn!(request_id = id.as_str(), path, reason = %problem, "a request was refused");
            }
            _ => tracing::debug!(request_id = id.as_str(), path, reason = %problem, "a request was refused"),
        }
        let context = error::Context { envelope, path, request_id: id.as_str(), now };
        error::respond(problem, &context, Map::new())
    }

    fn wrong_method(&self, parts: &http::request::Parts, allow: &str, id: &RequestId) -> Response<Body> {
        let path = parts.uri.path();
        let message = format!("{} is not possible at {path}; {allow} are", parts.method);
        let problem = Problem::new(Code::MethodNotAllowed, message);
        let mut response = self.refuse(&problem, Envelope::of_path(path), path, id, self.hub.clock().now());
        if let Ok(value) = HeaderValue::from_str(allow) {
            response.headers_mut().insert(header::ALLOW, value);
        }
        response
    }
}
