//! Routes about the hub itself: health, metrics, the description of the API and its page, the test clock.

use http::Method;

use super::{Audit, Auth, Rate, Route, Shape, json, route};
use crate::{health, pages};

const PAGE: Shape = Shape { media: "text/html; charset=utf-8", schema: "Text" };

/// The routes.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::GET, "/health", "health", |c| Box::pin(health::bare(c)))
        .about("Hub", "Whether it is well; with a token, of which parts")
        .auth(Auth::Open)
        .rate(Rate::Free)
        .bare()
        .gives(json("Health")),
    route(Method::GET, "/api/v1/health", "health_enveloped", |c| Box::pin(health::enveloped(c)))
        .about("Hub", "Whether it is well, and each of its parts")
        .auth(Auth::AnyToken)
        .rate(Rate::Free)
        .gives(json("HealthReport")),
    route(Method::GET, "/metrics", "metrics", |c| Box::pin(pages::metrics(c)))
        .about("Hub", "Figures in the OpenMetrics text format")
        .may("metrics:read")
        .rate(Rate::Free)
        .exempt()
        .gives(Shape { media: pages::OPENMETRICS, schema: "Text" }),
    route(Method::GET, "/openapi.json", "openapi", |c| Box::pin(pages::openapi(c)))
        .about("Hub", "This description")
        .auth(Auth::Open)
        .rate(Rate::Free)
        .bare(),
    route(Method::GET, "/", "page", |c| Box::pin(pages::page(c)))
        .about("Hub", "This description as a page")
        .auth(Auth::Open)
        .rate(Rate::Free)
        .exempt()
        .gives(PAGE),
    route(Method::GET, "/docs", "docs", |c| Box::pin(pages::page(c)))
        .about("Hub", "The same page")
        .auth(Auth::Open)
        .rate(Rate::Free)
        .exempt()
        .gives(PAGE),
    route(Method::POST, "/__clock", "advance_clock", |c| Box::pin(health::advance(c)))
        .about("Hub", "Move the hub's time; only with --dev --test-clock")
        .auth(Auth::TestClock)
        .rate(Rate::Free)
        .bare()
        .audit(Audit::Transient)
        .takes(&[json("Advance")])
        .gives(json("Now")),
];
