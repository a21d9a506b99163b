//! What changes, as it changes: events as they are committed.

use async_graphql::{Context, Result, Subscription};
use futures_util::{Stream, StreamExt};
use nexus_core::problem::{Code, Problem};
use nexus_engine::tail::{Batch, Start};

use super::{
    ask::{Ask, refusal},
    objects::Event,
};
use crate::{
    admin::events::Narrowed,
    stream::{Sight, parse_since, since_form},
};

/// Filters of one subscription.
const FILTERS: usize = 64;

/// What changes, as it changes.
#[derive(Default)]
pub(crate) struct Live;

/// What changes, as it changes.
#[Subscription]
impl Live {
    /// Events as they are committed, in the order of the log. A reader that falls too far behind gets an error that names the
    /// gap, and then goes on.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Event types or filters: order.created, order.*; all when absent")] filter: Option<
            Vec<String>,
        >,
        #[graphql(desc = "Go on after this position: a seq, or epoch:seq")] since: Option<String>,
    ) -> Result<impl Stream<Item = Result<Event>>> {
        let ask = Ask::may(ctx, "events:read")?;
        let names = filter.unwrap_or_default();
        if names.len() > FILTERS {
            let message = format!("one subscription has at most {FILTERS} filters");
            return Err(refusal(&Problem::new(Code::TooLarge, message)));
        }
        let start = match since.as_deref() {
            Some(text) => parse_since(text).ok_or_else(|| refusal(&since_form("since")))?,
            None => Start::Now,
        };
        let narrowed = Narrowed::live(names.iter().map(String::as_str)).map_err(|p| refusal(&p))?;
        let sight = Sight::of(&ask.who.principal);
        sight.permit(narrowed.filters()).map_err(|p| refusal(&p))?;
        let gate = std::sync::Arc::clone(&ask.gate);
        let follower = ask.hub().tail().follow(start);
        let batches = futures_util::stream::unfold(follower, |mut follower| async move {
            follower.next().await.map(|batch| (batch, follower))
        });
        Ok(batches.flat_map(move |batch| {
            let items: Vec<Result<Event>> = match batch {
                Batch::Events(entries) => {
                    let wanted = entries.iter().filter(|e| sight.sees(&e.event) && narrowed.wants(&e.event));
                    wanted.map(|e| Ok(Event(std::sync::Arc::clone(&e.event)))).collect()
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

/// Events that are not sent, as an error of the stream.
pub(super) fn gap(from: u64, to: u64, reason: &str) -> async_graphql::Error {
    let mut error = refusal(&Problem::new(Code::Unavailable, format!("events {from} to {to} were not sent: {reason}")));
    if let Some(values) = &mut error.extensions {
        values.set("code", "GAP");
        values.set("retryable", false);
        values.set("from", from);
        values.set("to", to);
    }
    error
}
