//! Shared state: keys with versions, read, written and watched.

use std::sync::Arc;

use async_graphql::{Context, Error, Object, Result, SimpleObject, Subscription};
use futures_util::{Stream, StreamExt};
use nexus_core::{
    event::StoredEvent,
    json,
    limits::JSON_DEPTH,
    problem::{Code, Problem},
};
use nexus_engine::tail::{Batch, Start};
use nexus_services::state::{Change, Expect, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    ask::{Ask, refusal},
    live::gap,
    objects::PageInfo,
    query::limit,
    scalars::{Place, Time},
};
use crate::{
    ingress::Lineage,
    state::permitted,
    stream::{Sight, parse_since, since_form},
};

/// The topic that tells every change of a key.
const CHANGED: &str = "state.changed";

/// A key of the state.
#[derive(SimpleObject)]
struct State {
    key: String,
    /// Its value as JSON text.
    value: String,
    /// 1 at first, then one more with every change.
    version: Place,
    updated_at: Time,
    updated_by: String,
    /// When it will be deleted by itself.
    expires_at: Option<Time>,
}

impl State {
    fn of(key: String, version: Version) -> Self {
        Self {
            key,
            value: version.value.get().to_owned(),
            version: Place(version.version),
            updated_at: Time(version.updated_at),
            updated_by: version.updated_by,
            expires_at: version.expires_at.map(Time),
        }
    }
}

/// A page of keys.
#[derive(SimpleObject)]
struct StateConnection {
    /// Keys with their present values.
    nodes: Vec<State>,
    /// Where it goes on.
    page_info: PageInfo,
}

/// Questions about the state.
#[derive(Default)]
pub(crate) struct StateQuery;

#[Object]
impl StateQuery {
    /// The present value of a key; null when there is none.
    async fn state(&self, ctx: &Context<'_>, key: String) -> Result<Option<State>> {
        let ask = Ask::may(ctx, "state:read")?;
        let key = permitted(key, &ask.who.principal, "state:read").map_err(|p| refusal(&p))?;
        match ask.gate.state.get(&key).await {
            Ok(version) => Ok(Some(State::of(key, version))),
            Err(error) if error.problem.code == Code::NotFound => Ok(None),
            Err(error) => Err(refusal(&error.problem)),
        }
    }

    /// Keys with their values, a page at a time.
    #[graphql(complexity = "5 + (first.unwrap_or(50).clamp(0, 1000) as usize) * child_complexity / 2")]
    async fn states(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Keys that begin with this", default)] prefix: String,
        #[graphql(desc = "At most so many: 1 to 200, default 50")] first: Option<i32>,
        #[graphql(desc = "endCursor of the page before")] after: Option<String>,
    ) -> Result<StateConnection> {
        let ask = Ask::may(ctx, "state:read")?;
        let may = |key: &str| ask.who.principal.may_for("state:read", key);
        let page = ask.gate.state.list(&prefix, after.as_deref(), limit(first)?, may).await;
        let page = page.map_err(|e| refusal(&e.problem))?;
        let nodes = page.items.into_iter().map(|(key, version)| State::of(key, version)).collect();
        Ok(StateConnection { nodes, page_info: PageInfo { has_next_page: page.next.is_some(), end_cursor: page.next } })
    }
}

/// The answer to a change of a key that is on disk.
#[derive(SimpleObject)]
struct StateWritten {
    /// Always true: a refusal is an error, with the present version as `extensions.version`.
    success: bool,
    key: String,
    version: Place,
    /// It was merged with what others had written meanwhile.
    merged: bool,
}

/// Changes of the state.
#[derive(Default)]
pub(crate) struct StateMutation;

#[Object]
impl StateMutation {
    /// Sets a key.
    #[graphql(complexity = "20 + child_complexity")]
    async fn set_state(
        &self,
        ctx: &Context<'_>,
        key: String,
        #[graphql(desc = "JSON text; what is not JSON is refused")] value: String,
        #[graphql(desc = "Only if this is the present version; 0 = only if there is none")] expected_version: Option<
            Place,
        >,
    ) -> Result<StateWritten> {
        let value = read_value(value).map_err(|p| refusal(&p))?;
        write(ctx, key, Some(value), expected_version).await
    }

    /// Deletes a key; its history stays.
    #[graphql(complexity = "20 + child_complexity")]
    async fn delete_state(
        &self,
        ctx: &Context<'_>,
        key: String,
        #[graphql(desc = "Only if this is the present version")] expected_version: Option<Place>,
    ) -> Result<StateWritten> {
        write(ctx, key, None, expected_version).await
    }
}

async fn write(
    ctx: &Context<'_>,
    key: String,
    value: Option<Box<RawValue>>,
    expected: Option<Place>,
) -> Result<StateWritten> {
    let ask = Ask::may(ctx, "state:write")?;
    let key = permitted(key, &ask.who.principal, "state:write").map_err(|p| refusal(&p))?;
    let expect = expected.map_or(Expect::Anything, |n| Expect::Version(n.0));
    let change = Change { key: key.clone(), value, expect, strict: false, ttl: None };
    let origin = Lineage::default().origin(&ask.who.principal.name);
    let written = ask.gate.state.write(change, &origin).await.map_err(|error| {
        let mut refused: Error = refusal(&error.problem);
        if let Some(values) = &mut refused.extensions {
            if let Some(version) = error.version {
                values.set("version", version);
            }
            if let Some(conflict) = error.conflict {
                values.set("conflictId", String::from(conflict));
            }
        }
        refused
    })?;
    Ok(StateWritten { success: true, key, version: Place(written.version), merged: written.merged })
}

fn read_value(text: String) -> Result<Box<RawValue>, Problem> {
    json::check(text.as_bytes(), JSON_DEPTH)?;
    RawValue::from_string(text).map_err(|error| Problem::field("value", format!("is not JSON: {error}")))
}

/// A change of a key.
#[derive(SimpleObject)]
struct StateChange {
    key: String,
    /// The new value as JSON text; null when it was deleted.
    value: Option<String>,
    /// The value before, as JSON text; null when there was none.
    old_value: Option<String>,
    version: Place,
    /// The event that tells it.
    event_id: async_graphql::ID,
    seq: Place,
    time: Time,
}

#[derive(Deserialize)]
struct Told<'a> {
    key: String,
    #[serde(borrow)]
    old: Option<&'a RawValue>,
    #[serde(borrow)]
    new: Option<&'a RawValue>,
    version: u64,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    deleted: bool,
}

impl StateChange {
    /// Of the event of a change; `None` when its data was erased.
    fn of(event: &StoredEvent) -> Option<Self> {
        let told: Told<'_> = serde_json::from_slice(event.json()).ok()?;
        let text = |value: Option<&RawValue>| Some(value.map_or("null", RawValue::get).to_owned());
        Some(Self {
            value: if told.deleted { None } else { text(told.new) },
            old_value: if told.created { None } else { text(told.old) },
            key: told.key,
            version: Place(told.version),
            event_id: event.id.to_string().into(),
            seq: Place(event.seq),
            time: Time(event.time),
        })
    }
}

/// Changes of the state, as they are made.
#[derive(Default)]
pub(crate) struct StateLive;

#[Subscription]
impl StateLive {
    /// Changes of one key, or of all that begin with a prefix, in the order of the log.
    async fn state_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "This key")] key: Option<String>,
        #[graphql(desc = "Keys that begin with this")] prefix: Option<String>,
        #[graphql(desc = "Go on after this position: a seq, or epoch:seq")] since: Option<String>,
    ) -> Result<impl Stream<Item = Result<StateChange>>> {
        let ask = Ask::may(ctx, "state:read")?;
        if key.is_some() && prefix.is_some() {
            return Err(refusal(&Problem::field("key", "give key or prefix, not both")));
        }
        let start = match since.as_deref() {
            Some(text) => parse_since(text).ok_or_else(|| refusal(&since_form("since")))?,
            None => Start::Now,
        };
        if let Some(key) = &key {
            permitted(key.clone(), &ask.who.principal, "state:read").map_err(|p| refusal(&p))?;
        }
        let sight = Sight::of(&ask.who.principal);
        let gate = Arc::clone(&ask.gate);
        let wanted = move |event: &StoredEvent| {
            let subject = event.subject.as_deref().unwrap_or_default();
            event.topic.as_str() == CHANGED
                && key.as_deref().is_none_or(|key| key == subject)
                && prefix.as_deref().is_none_or(|prefix| subject.starts_with(prefix))
                && sight.sees_key(event)
        };
        let follower = ask.hub().tail().follow(start);
        let batches = futures_util::stream::unfold(follower, |mut follower| async move {
            follower.next().await.map(|batch| (batch, follower))
        });
        Ok(batches.flat_map(move |batch| {
            let items: Vec<Result<StateChange>> = match batch {
                Batch::Events(entries) => {
                    let events = entries.iter().filter(|e| wanted(&e.event));
                    events.filter_map(|e| StateChange::of(&e.event)).map(Ok).collect()
                }
                Batch::Gap { from, to, reason } => {
                    gate.metrics.gap();
                    vec![Err(gap(from, to, &reason))]
                }
            };
            futures_util::stream::iter(items)
        }))
    }
}
