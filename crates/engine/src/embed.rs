//! Library mode: the hub inside a program, without any door. `dispatch` and `on_event`, as seed 003 has them.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use nexus_core::{
    access::Principal,
    event::{NewEvent, StoredEvent},
    id::EventId,
    problem::{Code, Problem},
    store::Appended,
    topic::{Topic, TopicFilter},
};

use crate::{
    delivery::handler::{Handed, Handler, Unhandled},
    hub::{Hub, HubBuilder},
    subscription::NewSubscription,
};

/// Source of events that the program itself dispatches.
const SOURCE: &str = "app";

/// An event as a handler sees it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name, as it was asked for.
    pub event: String,
    /// Its data.
    pub payload: serde_json::Value,
    /// Its id; the same at every attempt.
    pub id: EventId,
    /// When it was stored, milliseconds since the epoch.
    pub timestamp: i64,
}

/// A closure as a handler.
struct Closure<F> {
    filter: TopicFilter,
    call: F,
}

#[async_trait]
impl<F, R> Handler for Closure<F>
where
    F: Fn(Message) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), String>> + Send + 'static,
{
    async fn handle(&self, event: &StoredEvent, _handed: Handed<'_>) -> Result<(), Unhandled> {
        let alias = event.attributes().alias;
        let name = self.filter.name_for(event.topic.as_str(), alias.as_deref()).unwrap_or(event.topic.as_str());
        let message = Message {
            event: name.to_owned(),
            payload: serde_json::from_slice(event.json()).map_err(|e| e.to_string())?,
            id: event.id,
            timestamp: event.time.millis(),
        };
        (self.call)(message).await.map_err(Unhandled::from)
    }
}

/// A handler that wants a subscription of its own.
pub(crate) struct Wanted {
    name: String,
    filter: TopicFilter,
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wanted({} <- {})", self.name, self.filter)
    }
}

/// The same filter gets the same subscription at every start, so that a program goes on where it stopped.
fn name_of(filter: &TopicFilter, taken: &[Wanted]) -> String {
    let text = filter.as_str().to_ascii_lowercase().replace("**", "rest").replace('>', "rest").replace('*', "any");
    let short: String = text.chars().take(48).collect();
    let same = taken.iter().filter(|w| w.filter.as_str() == filter.as_str()).count();
    if same == 0 { format!("on-{short}") } else { format!("on-{short}-{}", same + 1) }
}

impl HubBuilder {
    /// Calls `handler` with each event that `filter` takes, durably: what was dispatched while the program was down is
    /// handled after the next start, and an error is tried again as any delivery is.
    #[must_use]
    pub fn on_event<F, R>(mut self, filter: TopicFilter, handler: F) -> Self
    where
        F: Fn(Message) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        let name = name_of(&filter, &self.wanted);
        let closure = Closure { filter: filter.clone(), call: handler };
        self.wanted.push(Wanted { name: name.clone(), filter });
        self.handler(&name, Arc::new(closure))
    }
}

impl Hub {
    /// Stores an event of this program and delivers it. `Ok` means it is on disk.
    pub async fn dispatch(&self, event: &str, payload: &serde_json::Value) -> Result<Appended, Problem> {
        let topic = Topic::parse(event).map_err(|e| Problem::field("event", e.to_string()))?;
        self.publish(NewEvent::new(topic, SOURCE, payload.to_string(), self.clock().now())).await
    }

    /// Makes the subscriptions that handlers were registered for, where they are not there from an earlier start.
    pub(crate) async fn subscribe_handlers(&self, wanted: Vec<Wanted>) -> Result<(), Problem> {
        for Wanted { name, filter } in wanted {
            if self.subscriptions().get(&name).is_ok() {
                continue;
            }
            let new = serde_json::json!({
                "name": name, "filter": filter, "target": {"kind": "handler", "name": name},
            });
            let new: NewSubscription =
                serde_json::from_value(new).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
            self.subscriptions().create(new, &Principal::admin("program")).await?;
        }
        Ok(())
    }
}
