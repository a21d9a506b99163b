//! Routes of the service registry: who is there, and calling them.

use http::Method;

use super::{Audit, Param, Rate, Route, json, route};
use crate::services;

const LIST: &[Param] = &[
    Param { name: "name", about: "instances of this service" },
    Param { name: "capability", about: "that can do this; several with commas, all of which it must have" },
    Param { name: "status", about: "healthy, degraded, unhealthy or expired; several with commas" },
    Param { name: "metadata", about: "key=value that its metadata say; several with commas, all of which must hold" },
];
const INVOKE: &[Param] = &[
    Param { name: "timeout", about: "for the whole call, for example 500ms or 10s" },
    Param { name: "strategy", about: "least_loaded, round_robin, weighted or consistent_hash" },
    Param { name: "key", about: "the same key goes to the same instance (means consistent_hash)" },
    Param { name: "idempotent", about: "true: a repeat does no harm, so that another instance may be tried" },
];
const INVOKE_HEADERS: &[Param] = &[
    Param { name: "X-Nexus-Timeout", about: "as timeout, which comes first" },
    Param { name: "X-Nexus-Strategy", about: "as strategy; it comes first" },
    Param { name: "X-Nexus-Key", about: "as key, which comes first" },
    Param { name: "Idempotency-Key", about: "passed on; a repeat does no harm, so that another instance may be tried" },
    Param { name: "X-Correlation-ID", about: "what the call belongs to, passed on" },
    Param { name: "X-Nexus-Depth", about: "steps of cause and effect so far, 0 to 255; passed on with one more" },
    Param { name: "traceparent", about: "the trace that the call belongs to, passed on" },
];

/// The routes.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::GET, "/services", "list_services", |c| Box::pin(services::list(c)))
        .about("Services", "Registered services and how they are")
        .may("services:read")
        .bare()
        .query(LIST)
        .gives(json("ServiceList")),
    route(Method::POST, "/services", "register_service", |c| Box::pin(services::register(c)))
        .about("Services", "Register an instance of a service; the same id again updates it (200)")
        .may("services:register")
        .bare()
        .audit(Audit::Writes("service.registered"))
        .takes(&[json("NewService")])
        .gives(json("Service"))
        .creates_or_finds(),
    route(Method::GET, "/services/{name}", "get_service", |c| Box::pin(services::get(c)))
        .about("Services", "The best instance of this name (or the one of this id), with all of them")
        .may("services:read")
        .bare()
        .gives(json("FoundService")),
    route(Method::DELETE, "/services/{name}", "deregister_service", |c| Box::pin(services::deregister(c)))
        .about("Services", "Take the instance of this id out")
        .may("services:register")
        .bare()
        .audit(Audit::Writes("service.deregistered"))
        .gives(json("Removed")),
    route(Method::POST, "/services/{name}/heartbeat", "service_heartbeat", |c| Box::pin(services::heartbeat(c)))
        .about("Services", "The instance of this id lives, and is so busy")
        .may("services:register")
        .bare()
        .rate(Rate::Publish)
        .audit(Audit::Transient)
        .takes(&[json("Heartbeat")])
        .gives(json("Service")),
    route(Method::POST, "/services/{name}/invoke", "invoke_service", |c| Box::pin(services::invoke(c)))
        .about("Services", "Call an instance of this service; its status and body are the answer")
        .may("services:invoke")
        .bare()
        .rate(Rate::Publish)
        .audit(Audit::Transient)
        .query(INVOKE)
        .headers(INVOKE_HEADERS)
        .takes(&[json("Anything")])
        .gives(json("Anything")),
];
