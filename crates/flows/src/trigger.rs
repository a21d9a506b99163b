//! What starts a flow, as a host asks for it: by event, and at most one run per key.

use serde_json::Value;

use crate::{
    detect::{DetectPlan, Hit},
    error::FlowError,
    plan::{Definition, FilterPlan, Node, OnConflict, Work},
};

impl Definition {
    /// The types of the events that may start it; `None` for a filter without one: any event may.
    pub fn trigger_kinds(&self) -> Vec<Option<&str>> {
        self.schedule.on.iter().flat_map(|strategy| strategy.filters()).map(FilterPlan::kind).collect()
    }

    /// True when the event (a CloudEvent) starts it. The run's input is then a list of that event.
    pub fn starts_on(&self, event: &Value) -> bool {
        self.schedule.on.as_ref().is_some_and(|strategy| {
            let filters = strategy.filters();
            filters.is_empty() || filters.iter().any(|filter| filter.matches(event, &()))
        })
    }

    /// What the event is to each of its detectors, and to which key.
    pub fn detected(&self, event: &Value) -> Vec<Hit> {
        self.settings.detect.iter().enumerate().flat_map(|(n, plan)| plan.hits(n, event)).collect()
    }

    /// The types of the events that its detectors look at; `None` for a filter without one: any event may.
    pub fn detector_kinds(&self) -> Vec<Option<&str>> {
        self.settings.detect.iter().flat_map(DetectPlan::kinds).collect()
    }

    /// The key of which it has at most one active run with this input, and what happens to another.
    pub fn concurrency_key(&self, input: &Value) -> Result<Option<(String, OnConflict)>, FlowError> {
        let Some(concurrency) = &self.settings.concurrency else { return Ok(None) };
        let key = concurrency.key.eval(input, &())?;
        Ok(Some((crate::openapi::plain(&key), concurrency.on_conflict)))
    }

    /// Every filter of every `listen`, by task and number: what a host evaluates once per event, for all runs together.
    /// [`FilterPlan::correlation`] gives the values to look waiting runs up by.
    pub fn interests(&self) -> Vec<(&str, usize, &FilterPlan)> {
        let mut found = Vec::new();
        self.each_node(&mut |node: &Node| {
            if let Work::Listen(plan) = &node.work {
                for (n, filter) in plan.strategy.filters().into_iter().enumerate() {
                    found.push((node.pointer.as_str(), n, filter));
                }
            }
        });
        found
    }
}
