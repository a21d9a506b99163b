//! The subscriptions of flows: one that begins runs, one by which detectors look at the log.

use std::collections::BTreeSet;

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    record::Record,
    topic::{Topic, TopicFilter},
};
use nexus_engine::{
    desk::unreadable,
    subscription::{NewSubscription, SubscriptionPatch, Target},
};
use ring::digest;
use serde_json::json;

use super::{Flows, HANDLER, behaviour::ARGUMENT, record::Flow, shelf::Held};
use crate::plan::Definition;

/// Runs of one flow that events begin at the same time.
const STARTS: u16 = 64;
/// The one key of what is looked at in order.
const IN_ORDER: &str = "\"flow\"";
/// How often an event is shown to detectors that can't take it, before it counts for nobody.
const LOOKS: u16 = 100;

/// The name of the subscription that begins a flow's runs.
pub(super) fn subscription_name(flow: &str) -> String {
    named("flow", flow)
}

/// The name of the subscription by which a flow's detectors look at the log.
pub(super) fn detecting(flow: &str) -> String {
    named("detect", flow)
}

fn named(what: &str, flow: &str) -> String {
    let plain = format!("{what}.{}", flow.replace('/', ".")).to_ascii_lowercase();
    if plain.len() <= 64 {
        return plain;
    }
    let digest = digest::digest(&digest::SHA256, flow.as_bytes());
    let hex = data_encoding::HEXLOWER.encode(digest.as_ref().get(..8).unwrap_or_default());
    format!("{}.{hex}", plain.get(..47).unwrap_or(what))
}

/// The filters of the events that may begin a run; empty: none may.
pub(super) fn filters(definition: &Definition) -> Result<Vec<TopicFilter>, Problem> {
    let detect = &definition.settings.detect;
    for plan in detect.iter() {
        Topic::parse(&plan.emit).map_err(|error| {
            Problem::field(
                "nexus.dev/detect",
                format!("the type {:?} of {} can't be published: {error}", plan.emit, plan.name),
            )
        })?;
    }
    let emitted = detect.iter().map(|plan| Some(plan.emit.as_str()));
    parsed(definition.trigger_kinds().into_iter().chain(emitted), "schedule.on")
}

/// The filters of the events that its detectors look at.
pub(super) fn looked_at(definition: &Definition) -> Result<Vec<TopicFilter>, Problem> {
    parsed(definition.detector_kinds(), "nexus.dev/detect")
}

fn parsed<'d>(kinds: impl IntoIterator<Item = Option<&'d str>>, field: &str) -> Result<Vec<TopicFilter>, Problem> {
    let kinds: BTreeSet<&str> = kinds.into_iter().map(|kind| kind.unwrap_or(">")).collect();
    kinds
        .into_iter()
        .map(|kind| {
            TopicFilter::parse(kind)
                .map_err(|error| Problem::field(field, format!("the type {kind:?} can't be subscribed to: {error}")))
        })
        .collect()
}

impl Flows {
    /// Makes the flow's subscriptions what its triggers ask for. Repeated at each start, as it is a commit of its own.
    pub(super) async fn sync_subscription(&self, held: &Held) -> Result<(), Problem> {
        let (flow, definition) = (&held.flow.name, &held.current.definition);
        let begins = json!({
            "name": subscription_name(flow), "concurrency": STARTS,
            "target": {"kind": "handler", "name": HANDLER, "argument": flow},
        });
        self.sync_one(held, begins, filters(definition)?).await?;
        // One event after the other: what came first counts first, for every key.
        let looks = json!({
            "name": detecting(flow), "ordered": true, "key": IN_ORDER, "max_attempts": LOOKS,
            "target": {"kind": "handler", "name": HANDLER, "argument": format!("{ARGUMENT}{flow}")},
        });
        self.sync_one(held, looks, looked_at(definition)?).await
    }

    async fn sync_one(
        &self,
        held: &Held,
        mut new: serde_json::Value,
        filters: Vec<TopicFilter>,
    ) -> Result<(), Problem> {
        let by = Principal::admin("flows");
        let subscriptions = self.inner.hub.subscriptions();
        let name = new["name"].as_str().unwrap_or_default().to_owned();
        let found = subscriptions.get(&name).ok();
        match found {
            None if filters.is_empty() || !held.flow.enabled => Ok(()),
            None => {
                new["filters"] = json!(filters);
                let new: NewSubscription =
                    serde_json::from_value(new).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
                subscriptions.create(new, &by).await.map(|_| ())
            }
            // What is off is taken away, so that nothing waits for it in the log: turned on, it begins with what comes then.
            Some(_) if filters.is_empty() || !held.flow.enabled => subscriptions.delete(&name, &by).await,
            Some(found) if found.filters == filters => Ok(()),
            Some(_) => {
                let patch = SubscriptionPatch { filters: Some(filters), ..SubscriptionPatch::default() };
                subscriptions.update(&name, patch, &by).await.map(|_| ())
            }
        }
    }

    /// Takes the subscriptions of a flow away.
    pub(super) async fn unsubscribe(&self, flow: &str, by: &Principal) -> Result<(), Problem> {
        let subscriptions = self.inner.hub.subscriptions();
        for subscription in [subscription_name(flow), detecting(flow)] {
            if subscriptions.get(&subscription).is_ok() {
                subscriptions.delete(&subscription, by).await?;
            }
        }
        Ok(())
    }

    /// Takes away the subscriptions of flows that are gone: the process ended between the two. A flow that is there and
    /// can't be run by this version of the hub keeps its own, so that nothing it would begin with is lost.
    pub(super) async fn unsubscribe_removed(&self) -> Result<(), Problem> {
        let mut gone = BTreeSet::new();
        for subscription in self.inner.hub.subscriptions().list() {
            let Target::Handler { name, argument: Some(argument) } = &subscription.target else { continue };
            if name != HANDLER {
                continue;
            }
            let flow = argument.strip_prefix(ARGUMENT).unwrap_or(argument);
            let ours = [subscription_name(flow), detecting(flow)].contains(&subscription.name);
            if ours
                && self.inner.shelf.find(flow).is_none()
                && self.desk().store.get(Flow::COLLECTION, flow).await.map_err(unreadable)?.is_none()
            {
                gone.insert(flow.to_owned());
            }
        }
        for flow in gone {
            tracing::info!(flow, "the flow was removed before its subscriptions were; they go now");
            self.unsubscribe(&flow, &Principal::admin("flows")).await?;
        }
        Ok(())
    }
}
