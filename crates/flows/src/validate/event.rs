//! Events: those a flow waits for, and those it publishes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Validator;
use crate::{
    expression::{Expression, Place, Template, inside},
    model::{
        part::{EventFilter, Strategy, Until},
        task::Emit,
    },
    plan::{AttributeTest, CorrelationPlan, FilterPlan, StrategyPlan, UntilPlan},
    pointer::Pointer,
    uri::UriTemplate,
};

impl Validator<'_> {
    /// A name of a correlation stands for one value in all of a `listen`: filters that ask for different ones under the same
    /// name would never all be met.
    pub(super) fn correlations(&mut self, strategy: &Strategy, at: &Pointer) {
        let mut filters = Vec::new();
        gather(strategy, at, &mut filters);
        let mut known: BTreeMap<&str, (Pointer, &str)> = BTreeMap::new();
        for (filter, at) in filters {
            for (name, correlation) in filter.correlate.iter().flatten() {
                let Some(text) = &correlation.expect else { continue };
                let at = at.key("correlate").key(name).key("expect");
                let expect = inside(text).unwrap_or_else(|| text.trim());
                match known.get(name.as_str()) {
                    Some((_, first)) if *first == expect => {}
                    Some((place, first)) => {
                        let what = format!(
                            "the correlation {name:?} must be {first:?} at {place} and {expect:?} here, which no event is: a name stands for one value in the whole listen; give this one another name"
                        );
                        self.problems.add(&at, what);
                    }
                    None => drop(known.insert(name, (at, expect))),
                }
            }
        }
    }

    pub(super) fn strategy(&mut self, strategy: &Strategy, at: &Pointer, place: Place) -> Option<StrategyPlan> {
        Some(match strategy {
            Strategy::One { one } => StrategyPlan::One(self.filter(one, &at.key("one"), place)?),
            Strategy::All { all } => {
                if all.is_empty() {
                    self.problems.add(&at.key("all"), "at least one filter is expected here");
                }
                StrategyPlan::All(self.filters(all, &at.key("all"), place)?)
            }
            Strategy::Any { any, until } => {
                let filters = self.filters(any, &at.key("any"), place)?;
                let at = at.key("until");
                let until = match until {
                    None => None,
                    Some(Until::Condition(text)) => Some(UntilPlan::Condition(self.expression(text, &at, place)?)),
                    Some(Until::Events(strategy)) => {
                        Some(UntilPlan::Events(Box::new(self.strategy(strategy, &at, place)?)))
                    }
                };
                StrategyPlan::Any(filters, until)
            }
        })
    }

    fn filters(&mut self, filters: &[EventFilter], at: &Pointer, place: Place) -> Option<Vec<FilterPlan>> {
        let plans: Vec<Option<FilterPlan>> =
            filters.iter().enumerate().map(|(n, filter)| self.filter(filter, &at.index(n), place)).collect();
        plans.into_iter().collect()
    }

    fn filter(&mut self, filter: &EventFilter, at: &Pointer, place: Place) -> Option<FilterPlan> {
        let plan = self.selection(&filter.with, &at.key("with"), place);
        let mut correlate = Vec::new();
        for (name, correlation) in filter.correlate.iter().flatten() {
            let at = at.key("correlate").key(name);
            if place == Place::Trigger {
                self.problems
                    .add(&at, "an event that starts a flow has nothing to correlate with; use `with`, or a listen");
            }
            let from = self.expression(&correlation.from, &at.key("from"), place);
            let expect = match &correlation.expect {
                None => Some(None),
                Some(expect) => self.text(expect, &at.key("expect"), place).map(Some),
            };
            let both = from.zip(expect);
            correlate.push(both.map(|(from, expect)| CorrelationPlan { name: name.clone(), from, expect }));
        }
        // Everything is looked at before one fault fails the filter.
        Some(FilterPlan { correlate: correlate.into_iter().collect::<Option<_>>()?, ..plan? })
    }

    /// What stands under `with`: attributes, and the data.
    pub(super) fn selection(&mut self, with: &Map<String, Value>, at: &Pointer, place: Place) -> Option<FilterPlan> {
        if with.is_empty() {
            self.problems.add(at, "at least one attribute is expected here, for example type");
        }
        let mut attributes = Vec::new();
        let mut data = None;
        let tests: Vec<_> = with
            .iter()
            .map(|(name, value)| {
                self.misspelt(name, &at.key(name));
                self.attribute(value, &at.key(name), place).map(|test| (name, test))
            })
            .collect();
        for (name, test) in tests.into_iter().collect::<Option<Vec<_>>>()? {
            if name == "data" {
                data = Some(test);
            } else {
                attributes.push((name.clone(), test));
            }
        }
        Some(FilterPlan { attributes, data, correlate: Vec::new() })
    }

    /// An extension may have any name; one that is nearly an attribute of every event is hardly meant.
    fn misspelt(&mut self, name: &str, at: &Pointer) {
        if let Some(near) = nearly(name) {
            let what = format!(
                "events have no attribute {name:?} of their own, so it is taken for an extension, and no event without one fits; did you mean {near:?}?"
            );
            self.warnings.add(at, what);
        }
    }

    fn attribute(&mut self, value: &Value, at: &Pointer, place: Place) -> Option<AttributeTest> {
        let Value::String(text) = value else {
            if self.template(value, at, place)?.plain().is_none() {
                self.problems.add(
                    at,
                    "an expression here decides over the whole: write one for the attribute, not for parts of it",
                );
                return None;
            }
            return Some(AttributeTest::Equals(value.clone()));
        };
        if inside(text).is_some() {
            return self.expression(text, at, place).map(AttributeTest::Expression);
        }
        if !is_pattern(text) {
            return self.text(text, at, place).map(|_| AttributeTest::Equals(value.clone()));
        }
        let whole = Value::String(format!("^(?:{text})$")).to_string();
        match Expression::compile(&format!("type == \"string\" and test({whole})"), &[]) {
            // A pattern is compiled when it is used; one that can't be is found by using it.
            Ok(test) => match test.holds(&Value::String(String::new()), &()) {
                Ok(_) => Some(AttributeTest::Expression(test)),
                Err(error) => {
                    self.problems.add(at, format!("not a regular expression: {}", error.detail.unwrap_or_default()));
                    None
                }
            },
            Err(error) => {
                self.problems.add(at, format!("not a regular expression: {error}"));
                None
            }
        }
    }

    pub(super) fn emit(&mut self, emit: &Emit, at: &Pointer) -> Option<Template> {
        let with = &emit.event.with;
        let at = at.key("event").key("with");
        for name in ["source", "type"] {
            match with.get(name) {
                None => self.problems.add(&at, format!("the attribute {name:?} is missing")),
                Some(Value::String(_)) => {}
                Some(_) => self.problems.add(&at.key(name), "text is expected here"),
            }
        }
        if let Some(Value::String(source)) = with.get("source")
            && inside(source).is_none()
            && let Err(error) = UriTemplate::parse(source)
        {
            self.problems.add(&at.key("source"), error);
        }
        for (name, value) in with.iter().filter(|(name, _)| *name != "data") {
            let lower = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            if !lower {
                self.problems.add(&at.key(name), "attributes of events are lower-case letters and digits");
            }
            if value.is_object() || value.is_array() {
                self.problems
                    .add(&at.key(name), "attributes of events are text, numbers or true and false; put it into data");
            }
        }
        if with.contains_key("specversion") {
            self.problems.add(&at.key("specversion"), "it is always 1.0; leave it out");
        }
        self.template(&Value::Object(with.clone()), &at, Place::Task)
    }
}

/// Attributes that CloudEvents themselves have.
const ATTRIBUTES: [&str; 9] =
    ["type", "source", "subject", "time", "id", "data", "datacontenttype", "dataschema", "specversion"];

/// The attribute that a name is one slip away from, or two where it is long.
fn nearly(name: &str) -> Option<&'static str> {
    if ATTRIBUTES.contains(&name) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let slips = |known: &str| match known.len() {
        0..=2 => 0,
        3..=4 => 1,
        _ => 2,
    };
    let distances = ATTRIBUTES.iter().map(|known| (strsim::damerau_levenshtein(&lower, known), *known));
    distances.filter(|(distance, known)| *distance <= slips(known)).min().map(|(_, known)| known)
}

/// The filters of a strategy, with their places.
fn gather<'s>(strategy: &'s Strategy, at: &Pointer, found: &mut Vec<(&'s EventFilter, Pointer)>) {
    let mut list = |filters: &'s [EventFilter], at: &Pointer| {
        found.extend(filters.iter().enumerate().map(|(n, filter)| (filter, at.index(n))));
    };
    match strategy {
        Strategy::One { one } => found.push((one, at.key("one"))),
        Strategy::All { all } => list(all, &at.key("all")),
        Strategy::Any { any, until } => {
            list(any, &at.key("any"));
            if let Some(Until::Events(until)) = until {
                gather(until, &at.key("until"), found);
            }
        }
    }
}

/// A text that can't be meant as it stands.
fn is_pattern(text: &str) -> bool {
    text.starts_with('^')
        || text.ends_with('$')
        || [".*", ".+", "[", "(", "|", "\\"].iter().any(|mark| text.contains(mark))
}
