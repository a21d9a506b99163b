//! Questions about the log, its deliveries and the hub itself.

use async_graphql::{Context, Error, ID, Object, Result};
use nexus_core::{
    access::Principal,
    event::StoredEvent,
    problem::{Code, Problem},
    store::EventQuery,
};
use nexus_engine::deliveries::DeliveryQuery;

use super::{
    ask::{Ask, refusal},
    objects::{Delivery, DeliveryConnection, DeliveryState, Event, EventConnection, EventEdge, Health, PageInfo},
    objects::{Fate, Subscription},
    scalars::Time,
};
use crate::{admin::events::Narrowed, stream::Sight};

/// Events or deliveries of one page.
const PAGE: i32 = 200;

/// Questions about the log and the deliveries.
#[derive(Default)]
pub(crate) struct LogQuery;

/// Questions about the log and the deliveries.
#[Object]
impl LogQuery {
    /// One event, by its id.
    async fn event(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Event>> {
        let ask = Ask::may(ctx, "events:read")?;
        Ok(find(ask, &id).await?.map(Event))
    }

    /// Events of the log, a page at a time.
    #[graphql(complexity = "5 + (first.unwrap_or(50).clamp(0, 1000) as usize) * child_complexity / 2")]
    #[expect(clippy::too_many_arguments, reason = "the arguments of a field")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "type", desc = "Event types or filters: order.created, order.*")] kinds: Option<Vec<String>>,
        #[graphql(desc = "Of this source")] source: Option<String>,
        #[graphql(desc = "About this subject")] subject: Option<String>,
        #[graphql(desc = "That belong to this correlation id")] correlation: Option<String>,
        #[graphql(desc = "Committed at or after")] from: Option<Time>,
        #[graphql(desc = "Committed before")] until: Option<Time>,
        #[graphql(desc = "Newest first", default)] newest_first: bool,
        #[graphql(desc = "At most so many: 1 to 200, default 50")] first: Option<i32>,
        #[graphql(desc = "endCursor of the page before")] after: Option<String>,
    ) -> Result<EventConnection> {
        let ask = Ask::may(ctx, "events:read")?;
        let narrowed = Narrowed::of(kinds.iter().flatten().map(String::as_str)).map_err(|p| refusal(&p))?;
        let place = after.as_deref().map(|text| place(text, newest_first)).transpose()?;
        let asked = EventQuery {
            types: narrowed.types.clone(),
            source,
            subject,
            correlation,
            from: from.map(|t| t.0),
            until: until.map(|t| t.0),
            after: place.filter(|_| !newest_first),
            before: place.filter(|_| newest_first),
            newest_first,
        };
        let page = ask.hub().query(asked, limit(first)?).await.map_err(|p| refusal(&p))?;
        let word = if newest_first { "before" } else { "after" };
        let sight = Sight::of(&ask.who.principal);
        let edges = page.events.into_iter().filter(|e| sight.sees(e) && narrowed.wants(e));
        let edges = edges.map(|e| EventEdge { cursor: format!("{word}-{}", e.seq), node: Event(e) }).collect();
        let end_cursor = page.next.map(|seq| format!("{word}-{seq}"));
        Ok(EventConnection { edges, page_info: PageInfo { has_next_page: end_cursor.is_some(), end_cursor } })
    }

    /// What became of an event.
    #[graphql(complexity = "60 + child_complexity")]
    async fn fate(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Fate>> {
        let ask = Ask::may(ctx, "events:read")?;
        let Some(event) = find(ask, &id).await? else { return Ok(None) };
        Ok(Some(ask.hub().fate(event.id).await.map_err(|p| refusal(&p))?.into()))
    }

    /// Deliveries out of the ordinary: retrying, dead, or kept with their exchange.
    #[graphql(complexity = "5 + (first.unwrap_or(50).clamp(0, 1000) as usize) * child_complexity / 2")]
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this subscription")] subscription: Option<String>,
        #[graphql(desc = "Of this event")] event: Option<ID>,
        #[graphql(desc = "In this state")] state: Option<DeliveryState>,
        #[graphql(desc = "At most so many: 1 to 200, default 50")] first: Option<i32>,
        #[graphql(desc = "endCursor of the page before")] after: Option<String>,
    ) -> Result<DeliveryConnection> {
        let ask = Ask::may(ctx, "subscriptions:read")?;
        let event = match event {
            Some(id) => Some(id.parse().map_err(|_| refusal(&Problem::field("event", "is no event id")))?),
            None => None,
        };
        let asked =
            DeliveryQuery { subscription, event, state: state.map(Into::into), cursor: after, limit: limit(first)? };
        let (found, end_cursor) = ask.hub().deliveries().list(asked).await.map_err(|p| refusal(&p))?;
        let nodes = found.into_iter().map(Delivery::from).collect();
        Ok(DeliveryConnection { nodes, page_info: PageInfo { has_next_page: end_cursor.is_some(), end_cursor } })
    }

    /// Which events go where.
    #[graphql(complexity = "5 + 10 * child_complexity")]
    async fn subscriptions(&self, ctx: &Context<'_>) -> Result<Vec<Subscription>> {
        let ask = Ask::may(ctx, "subscriptions:read")?;
        Ok(ask.hub().subscriptions().list().iter().map(Subscription::from).collect())
    }

    /// One subscription, by its name.
    async fn subscription(&self, ctx: &Context<'_>, name: String) -> Result<Option<Subscription>> {
        let ask = Ask::may(ctx, "subscriptions:read")?;
        match ask.hub().subscriptions().get(&name) {
            Ok(found) => Ok(Some(Subscription::from(&found))),
            Err(problem) if problem.code == Code::NotFound => Ok(None),
            Err(problem) => Err(refusal(&problem)),
        }
    }

    /// Whether the hub is well.
    #[graphql(complexity = "10 + child_complexity")]
    async fn health(&self, ctx: &Context<'_>) -> Result<Health> {
        Ok(Ask::of(ctx)?.hub().health().await.into())
    }
}

/// An event that the caller may see. One that is not there, or can't be, is none.
async fn find(ask: &Ask, id: &ID) -> Result<Option<std::sync::Arc<StoredEvent>>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let Some(event) = ask.hub().event(id).await.map_err(|p| refusal(&p))? else { return Ok(None) };
    if Sight::of(&ask.who.principal).sees(&event) {
        return Ok(Some(event));
    }
    Err(unseen(&ask.who.principal, &event))
}

fn unseen(principal: &Principal, event: &StoredEvent) -> Error {
    let message = format!("{} lacks the scope events:read for {}", principal.name, event.topic);
    refusal(&Problem::new(Code::Forbidden, message))
}

/// `first` within its bounds.
pub(super) fn limit(first: Option<i32>) -> Result<usize> {
    let first = first.unwrap_or(50);
    if (1..=PAGE).contains(&first) {
        return Ok(usize::try_from(first).unwrap_or(50));
    }
    Err(refusal(&Problem::field("first", format!("{first} is outside 1 to {PAGE}"))))
}

/// The seq of a cursor that a list in this order gave.
fn place(cursor: &str, newest_first: bool) -> Result<u64> {
    let seq = match (cursor.split_once('-'), newest_first) {
        (Some(("after", seq)), false) | (Some(("before", seq)), true) => seq.parse().ok(),
        _ => None,
    };
    let reason = "take endCursor of the page before, with the same order";
    seq.ok_or_else(|| refusal(&Problem::field("after", reason)))
}
