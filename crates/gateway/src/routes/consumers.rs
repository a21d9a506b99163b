//! Routes of remote consumers.

use http::Method;

use super::{Audit, Route, json, route};
use crate::consume;

/// The routes.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::POST, "/api/v1/consumers/{subscription}/pull", "pull", |c| Box::pin(consume::pull(c)))
        .about("Consumers", "Take deliveries under leases; waits for the first up to wait_ms")
        .may(consume::SCOPE)
        .audit(Audit::Transient)
        .takes(&[json("Pull")])
        .gives(json("Pulled")),
    route(Method::POST, "/api/v1/consumers/{subscription}/ack", "ack", |c| Box::pin(consume::ack(c)))
        .about("Consumers", "Acknowledge deliveries; leases that are not held any more are named")
        .may(consume::SCOPE)
        .audit(Audit::Transient)
        .takes(&[json("Ack")])
        .gives(json("Acked")),
    route(Method::POST, "/api/v1/consumers/{subscription}/nack", "nack", |c| Box::pin(consume::nack(c)))
        .about("Consumers", "Refuse a delivery: tried again after delay_ms, or by the retry schedule")
        .may(consume::SCOPE)
        .audit(Audit::Transient)
        .takes(&[json("Nack")])
        .gives(json("Count")),
    route(Method::POST, "/api/v1/consumers/{subscription}/extend", "extend", |c| Box::pin(consume::extend(c)))
        .about("Consumers", "Move the end of a lease to ms from now")
        .may(consume::SCOPE)
        .audit(Audit::Transient)
        .takes(&[json("Extend")])
        .gives(json("Extended")),
];
