//! An event of the log as flows see it: a CloudEvent, under the name that they ask for.

use nexus_core::{
    cloudevents::{self, ORIGINAL_SOURCE},
    event::StoredEvent,
    topic::TopicFilter,
};
use serde_json::Value;

use crate::plan::FilterPlan;

/// An event, rendered once for all who look at it.
pub(super) struct Seen<'e> {
    event: &'e StoredEvent,
    envelope: Option<Value>,
}

impl<'e> Seen<'e> {
    pub(super) fn new(event: &'e StoredEvent) -> Self {
        Self { event, envelope: None }
    }

    fn name(&self) -> String {
        let alias = self.event.attributes.as_ref().and_then(|_| self.event.attributes().alias);
        alias.unwrap_or_else(|| self.event.topic.as_str().to_owned())
    }

    /// The event under the name that it was published with.
    pub(super) fn plain(&mut self) -> &Value {
        let name = self.name();
        let event = self.event;
        self.envelope.get_or_insert_with(|| {
            let mut envelope: Value = serde_json::from_slice(&cloudevents::render(event, &name)).unwrap_or_default();
            // What a run or a detector published has the source that the flow gave it.
            if let Some(fields) = envelope.as_object_mut()
                && (event.source.starts_with("flow:") || event.source.starts_with("detect:"))
                && let Some(original) = fields.remove(ORIGINAL_SOURCE)
            {
                fields.insert("source".to_owned(), original);
            }
            envelope
        })
    }

    /// The event under the name that a filter has for it.
    pub(super) fn named(mut self, kind: Option<&str>) -> Value {
        self.plain();
        let mut envelope = self.envelope.unwrap_or_default();
        if let (Some(kind), Some(field)) = (kind, envelope.get_mut("type")) {
            *field = kind.into();
        }
        envelope
    }

    /// The event, where it is of the type that `plan` selects.
    pub(super) fn for_filter(&mut self, plan: &FilterPlan) -> Option<&Value> {
        if let Some(kind) = plan.kind() {
            let alias = self.event.attributes.as_ref().and_then(|_| self.event.attributes().alias);
            TopicFilter::parse(kind).ok()?.name_for(self.event.topic.as_str(), alias.as_deref())?;
        }
        Some(self.plain())
    }
}
