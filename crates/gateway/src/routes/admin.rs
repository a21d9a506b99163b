//! Routes that administer sources, subscriptions, deliveries, replays and secrets.

use http::Method;

use super::{Audit, Param, Route, json, route};
use crate::admin::{deliveries, replays, sources, subscriptions, tokens};

const CURSOR: Param = Param { name: "cursor", about: "next_cursor of the page before" };
const LIMIT: Param = Param { name: "limit", about: "at most so many; 1 to 500, default 50" };

const DELIVERIES: &[Param] = &[
    Param { name: "subscription", about: "of this subscription" },
    Param { name: "event", about: "of this event id" },
    Param { name: "state", about: "retrying, dead or delivered" },
    CURSOR,
    LIMIT,
];
const DEAD: &[Param] = &[Param { name: "subscription", about: "of this subscription" }, CURSOR, LIMIT];
const DEAD_DELETE: &[Param] = &[
    Param { name: "subscription", about: "all of this subscription" },
    Param { name: "all", about: "true: all there are" },
];

/// The routes.
pub(crate) static ROUTES: &[Route] = &[
    route(Method::GET, "/api/v1/sources", "list_sources", |c| Box::pin(sources::list(c)))
        .about("Sources", "List sources, never their secrets")
        .may("sources:read")
        .gives(json("SourceList")),
    route(Method::POST, "/api/v1/sources", "create_source", |c| Box::pin(sources::create(c)))
        .about("Sources", "Add a source; without a secret it gets one, shown this once")
        .may("sources:write")
        .audit(Audit::Writes("source.created"))
        .takes(&[json("NewSource")])
        .gives(json("Source"))
        .creates(),
    route(Method::GET, "/api/v1/sources/{id}", "get_source", |c| Box::pin(sources::get(c)))
        .about("Sources", "One source")
        .may("sources:read")
        .gives(json("Source")),
    route(Method::PATCH, "/api/v1/sources/{id}", "update_source", |c| Box::pin(sources::update(c)))
        .about("Sources", "Change a source; absent fields stay")
        .may("sources:write")
        .audit(Audit::Writes("source.updated"))
        .takes(&[json("SourcePatch")])
        .gives(json("Source")),
    route(Method::DELETE, "/api/v1/sources/{id}", "delete_source", |c| Box::pin(sources::delete(c)))
        .about("Sources", "Remove a source with its secrets")
        .may("sources:write")
        .audit(Audit::Writes("source.removed"))
        .gives(json("Removed")),
    route(Method::POST, "/api/v1/sources/{id}/secrets", "add_source_secret", |c| Box::pin(sources::add_secret(c)))
        .about("Sources", "Add a secret; the older ones go on for overlap_seconds, or until removed")
        .may("sources:write")
        .audit(Audit::Writes("source.secret_added"))
        .takes(&[json("NewSecret")])
        .gives(json("Source"))
        .creates(),
    route(Method::DELETE, "/api/v1/sources/{id}/secrets/{name}", "remove_source_secret", |c| {
        Box::pin(sources::remove_secret(c))
    })
    .about("Sources", "Remove a secret at once")
    .may("sources:write")
    .audit(Audit::Writes("source.secret_removed"))
    .gives(json("Source")),
    route(Method::GET, "/api/v1/subscriptions", "list_subscriptions", |c| Box::pin(subscriptions::list(c)))
        .about("Subscriptions", "List subscriptions")
        .may("subscriptions:read")
        .gives(json("SubscriptionList")),
    route(Method::POST, "/api/v1/subscriptions", "create_subscription", |c| Box::pin(subscriptions::create(c)))
        .about("Subscriptions", "Deliver matching events to an endpoint")
        .may("subscriptions:write")
        .audit(Audit::Writes("subscription.created"))
        .takes(&[json("NewSubscription")])
        .gives(json("Subscription"))
        .creates(),
    route(Method::GET, "/api/v1/subscriptions/{name}", "get_subscription", |c| Box::pin(subscriptions::get(c)))
        .about("Subscriptions", "One subscription")
        .may("subscriptions:read")
        .gives(json("Subscription")),
    route(Method::PUT, "/api/v1/subscriptions/{name}", "ensure_subscription", |c| Box::pin(subscriptions::ensure(c)))
        .about("Subscriptions", "Make a subscription where there is none of this name; 409 where one differs")
        .may("subscriptions:write")
        .audit(Audit::Writes("subscription.created"))
        .takes(&[json("EnsuredSubscription")])
        .gives(json("Subscription")),
    route(Method::PATCH, "/api/v1/subscriptions/{name}", "update_subscription", |c| Box::pin(subscriptions::update(c)))
        .about("Subscriptions", "Change a subscription; absent fields stay")
        .may("subscriptions:write")
        .audit(Audit::Writes("subscription.updated"))
        .takes(&[json("SubscriptionPatch")])
        .gives(json("Subscription")),
    route(Method::DELETE, "/api/v1/subscriptions/{name}", "delete_subscription", |c| {
        Box::pin(subscriptions::delete(c))
    })
    .about("Subscriptions", "Remove a subscription")
    .may("subscriptions:write")
    .audit(Audit::Writes("subscription.removed"))
    .gives(json("Removed")),
    route(Method::GET, "/api/v1/subscriptions/{name}/status", "subscription_status", |c| {
        Box::pin(subscriptions::status(c))
    })
    .about("Subscriptions", "Lag, retries, dead letters, breaker, and what it waits for")
    .may("subscriptions:read")
    .gives(json("SubscriptionStatus")),
    route(Method::POST, "/api/v1/subscriptions/{name}/pause", "pause_subscription", |c| {
        Box::pin(subscriptions::pause(c))
    })
    .about("Subscriptions", "Stop delivering; events wait in the log")
    .may("subscriptions:write")
    .audit(Audit::Writes("subscription.paused"))
    .takes(&[json("Reason")])
    .gives(json("Subscription")),
    route(Method::POST, "/api/v1/subscriptions/{name}/resume", "resume_subscription", |c| {
        Box::pin(subscriptions::resume(c))
    })
    .about("Subscriptions", "Deliver again, from where it stopped")
    .may("subscriptions:write")
    .audit(Audit::Writes("subscription.resumed"))
    .gives(json("Subscription")),
    route(Method::POST, "/api/v1/subscriptions/{name}/test", "test_subscription", |c| Box::pin(subscriptions::test(c)))
        .about("Subscriptions", "Send a sample and show the full exchange")
        .may("subscriptions:write")
        .takes(&[json("Sample")])
        .gives(json("Exchange")),
    route(Method::GET, "/api/v1/endpoints", "list_endpoints", |c| Box::pin(subscriptions::endpoints(c)))
        .about("Subscriptions", "Endpoints with the state of their breakers")
        .may("subscriptions:read")
        .gives(json("EndpointList")),
    route(Method::GET, "/api/v1/deliveries", "list_deliveries", |c| Box::pin(deliveries::list(c)))
        .about("Deliveries", "Deliveries out of the ordinary: retrying, dead, or kept with their exchange")
        .may("subscriptions:read")
        .query(DELIVERIES)
        .gives(json("DeliveryList")),
    route(Method::GET, "/api/v1/deliveries/{id}", "get_delivery", |c| Box::pin(deliveries::get(c)))
        .about("Deliveries", "One delivery with all its attempts")
        .may("subscriptions:read")
        .gives(json("Delivery")),
    route(Method::GET, "/api/v1/dead-letters", "list_dead_letters", |c| Box::pin(deliveries::dead(c)))
        .about("Deliveries", "Dead letters")
        .may("subscriptions:read")
        .query(DEAD)
        .gives(json("DeliveryList")),
    route(Method::DELETE, "/api/v1/dead-letters", "delete_dead_letters", |c| Box::pin(deliveries::delete_many(c)))
        .about("Deliveries", "Give up the dead letters of a subscription, or all")
        .may("subscriptions:write")
        .query(DEAD_DELETE)
        .audit(Audit::Writes("deadletter.deleted"))
        .gives(json("Count")),
    route(Method::POST, "/api/v1/dead-letters/redrive", "redrive_dead_letters", |c| {
        Box::pin(deliveries::redrive_many(c))
    })
    .about("Deliveries", "Try dead letters again: one, those of a subscription, or all")
    .may("subscriptions:write")
    .audit(Audit::Writes("deadletter.redriven"))
    .takes(&[json("Select")])
    .gives(json("Count")),
    route(Method::GET, "/api/v1/dead-letters/{id}", "get_dead_letter", |c| Box::pin(deliveries::get(c)))
        .about("Deliveries", "One dead letter with all its attempts")
        .may("subscriptions:read")
        .gives(json("Delivery")),
    route(Method::DELETE, "/api/v1/dead-letters/{id}", "delete_dead_letter", |c| Box::pin(deliveries::delete_one(c)))
        .about("Deliveries", "Give up one dead letter")
        .may("subscriptions:write")
        .audit(Audit::Writes("deadletter.deleted"))
        .gives(json("Count")),
    route(Method::POST, "/api/v1/dead-letters/{id}/redrive", "redrive_dead_letter", |c| {
        Box::pin(deliveries::redrive_one(c))
    })
    .about("Deliveries", "Try one dead letter again")
    .may("subscriptions:write")
    .audit(Audit::Writes("deadletter.redriven"))
    .gives(json("Count")),
    route(Method::POST, "/api/v1/replays", "start_replay", |c| Box::pin(replays::start(c)))
        .about("Replays", "Deliver old events to a subscription again, marked as a replay; dry_run counts them")
        .may("subscriptions:write")
        .audit(Audit::Writes("replay.started"))
        .takes(&[json("NewReplay")])
        .gives(json("Replay"))
        .creates_or_finds(),
    route(Method::GET, "/api/v1/replays", "list_replays", |c| Box::pin(replays::list(c)))
        .about("Replays", "Replays with their progress")
        .may("subscriptions:read")
        .gives(json("ReplayList")),
    route(Method::GET, "/api/v1/replays/{id}", "get_replay", |c| Box::pin(replays::get(c)))
        .about("Replays", "One replay")
        .may("subscriptions:read")
        .gives(json("Replay")),
    route(Method::POST, "/api/v1/replays/{id}/cancel", "cancel_replay", |c| Box::pin(replays::cancel(c)))
        .about("Replays", "Stop a replay where it is")
        .may("subscriptions:write")
        .audit(Audit::Writes("replay.cancelled"))
        .gives(json("Replay")),
    route(Method::GET, "/api/v1/secrets", "list_secrets", |c| Box::pin(tokens::secrets(c)))
        .about("Secrets", "Names of the secrets for ${secret:NAME}")
        .may("secrets:write")
        .gives(json("Names")),
    route(Method::PUT, "/api/v1/secrets/{name}", "put_secret", |c| Box::pin(tokens::put_secret(c)))
        .about("Secrets", "Set a named secret")
        .may("secrets:write")
        .audit(Audit::Writes("secret.set"))
        .takes(&[json("SecretValue")])
        .gives(json("Removed")),
    route(Method::DELETE, "/api/v1/secrets/{name}", "delete_secret", |c| Box::pin(tokens::delete_secret(c)))
        .about("Secrets", "Remove a named secret")
        .may("secrets:write")
        .audit(Audit::Writes("secret.removed"))
        .gives(json("Removed")),
];
