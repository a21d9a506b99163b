//! The parts that tasks share: schemas, lengths of time, timeouts, retries, errors.

use std::{sync::Arc, time::Duration};

use super::Validator;
use crate::{
    duration,
    expression::Place,
    model::part::{self as model, DurationText, Given, Timeout},
    plan::{BackoffPlan, Length, RaisePlan, RetryPlan, Schema},
    pointer::Pointer,
    problem::nearest,
};

impl Validator<'_> {
    pub(super) fn schema(&mut self, schema: &model::Schema, at: &Pointer) -> Option<Schema> {
        if schema.format.as_deref().is_some_and(|format| format != "json" && !format.starts_with("json:")) {
            self.problems.add(&at.key("format"), "only JSON Schema is supported: write json, or leave it out");
        }
        if schema.resource.is_some() {
            self.problems
                .add(&at.key("resource"), "schemas elsewhere are not supported; write it in place under `document`");
            return None;
        }
        let Some(document) = &schema.document else {
            self.problems.add(at, "the field \"document\" is missing");
            return None;
        };
        if !document.is_object() && !document.is_boolean() {
            self.problems.add(&at.key("document"), "a JSON Schema is a map");
            return None;
        }
        match nexus_engine::schema::Schema::compile(document) {
            Ok(schema) => Some(Schema(schema)),
            Err(error) => {
                self.problems.add(&at.key("document"), format!("not a JSON Schema: {error}"));
                None
            }
        }
    }

    /// A length that may be an expression.
    pub(super) fn length(&mut self, text: &DurationText, at: &Pointer, place: Place) -> Option<Length> {
        if let DurationText::Text(text) = text
            && crate::expression::inside(text).is_some()
        {
            return self.expression(text, at, place).map(Length::Expression);
        }
        self.fixed(text, at).map(Length::Fixed)
    }

    /// A length that is known now.
    pub(super) fn fixed(&mut self, text: &DurationText, at: &Pointer) -> Option<Duration> {
        let length = match text {
            DurationText::Text(text) => duration::parse(text),
            DurationText::Parts(parts) => {
                let given = [parts.days, parts.hours, parts.minutes, parts.seconds, parts.milliseconds];
                if given.iter().all(Option::is_none) {
                    Err("days, hours, minutes, seconds or milliseconds are expected here".to_owned())
                } else {
                    let part = |n: Option<u32>, millis: u64| u64::from(n.unwrap_or(0)).saturating_mul(millis);
                    let millis = part(parts.days, 86_400_000)
                        .saturating_add(part(parts.hours, 3_600_000))
                        .saturating_add(part(parts.minutes, 60_000))
                        .saturating_add(part(parts.seconds, 1_000))
                        .saturating_add(part(parts.milliseconds, 1));
                    duration::bounded(Duration::from_millis(millis))
                }
            }
        };
        length.map_err(|error| self.problems.add(at, error)).ok()
    }

    pub(super) fn timeout(&mut self, timeout: &Given<Timeout>, at: &Pointer, place: Place) -> Option<Length> {
        match timeout {
            Given::Inline(timeout) => self.length(&timeout.after, &at.key("after"), place),
            Given::Named(name) => {
                let workflow = self.workflow;
                let known = workflow.use_.as_ref().and_then(|u| u.timeouts.as_ref());
                match known.and_then(|known| known.get(name)) {
                    Some(timeout) => self.length(&timeout.after, at, place),
                    None => {
                        self.unknown("timeout", "timeouts", name, known.into_iter().flat_map(|k| k.keys()), at);
                        None
                    }
                }
            }
        }
    }

    pub(super) fn unknown<'k>(
        &mut self,
        what: &str,
        list: &str,
        name: &str,
        known: impl Iterator<Item = &'k String>,
        at: &Pointer,
    ) {
        if self.mended.any_in("/use") {
            return;
        }
        let hint = nearest(name, known.map(String::as_str));
        self.problems.add(at, format!("there is no {what} {name:?} under use.{list}{hint}"));
    }

    pub(super) fn retry_given(&mut self, retry: &Given<model::Retry>, at: &Pointer) -> Option<Arc<RetryPlan>> {
        match retry {
            Given::Inline(retry) => self.retry(retry, at),
            Given::Named(name) => {
                let workflow = self.workflow;
                let known = workflow.use_.as_ref().and_then(|u| u.retries.as_ref());
                match known.and_then(|known| known.get(name)) {
                    Some(retry) => self.retry(retry, at),
                    None => {
                        self.unknown("retry policy", "retries", name, known.into_iter().flat_map(|k| k.keys()), at);
                        None
                    }
                }
            }
        }
    }

    pub(super) fn retry(&mut self, retry: &model::Retry, at: &Pointer) -> Option<Arc<RetryPlan>> {
        let condition = |this: &mut Self, text: &Option<String>, key| {
            text.as_ref().and_then(|text| this.expression(text, &at.key(key), Place::Task))
        };
        let when = condition(self, &retry.when, "when");
        let except_when = condition(self, &retry.except_when, "exceptWhen");
        let delay = retry.delay.as_ref().and_then(|delay| self.length(delay, &at.key("delay"), Place::Task));
        let backoff = self.backoff(retry.backoff.as_ref(), &at.key("backoff"));
        let jitter = retry.jitter.as_ref().and_then(|jitter| {
            let at = at.key("jitter");
            let from = self.length(&jitter.from, &at.key("from"), Place::Task)?;
            let to = self.length(&jitter.to, &at.key("to"), Place::Task)?;
            if let (Length::Fixed(from), Length::Fixed(to)) = (&from, &to)
                && from > to
            {
                self.problems.add(&at, "`from` is longer than `to`; swap them");
            }
            Some((from, to))
        });
        let limit = retry.limit.as_ref();
        let limit_at = at.key("limit");
        let attempt = limit.and_then(|l| l.attempt.as_ref());
        let attempt_length = attempt
            .and_then(|a| a.duration.as_ref())
            .and_then(|d| self.length(d, &limit_at.key("attempt").key("duration"), Place::Task));
        let total = limit
            .and_then(|l| l.duration.as_ref())
            .and_then(|d| self.length(d, &limit_at.key("duration"), Place::Task));
        let count = attempt.and_then(|a| a.count);
        if count.is_none() && total.is_none() {
            self.problems
                .add(at, "without limit.attempt.count or limit.duration it would retry for ever; set one of them");
        }
        Some(Arc::new(RetryPlan { when, except_when, delay, backoff, jitter, count, attempt: attempt_length, total }))
    }

    fn backoff(&mut self, backoff: Option<&model::Backoff>, at: &Pointer) -> BackoffPlan {
        let Some(backoff) = backoff else { return BackoffPlan::Constant };
        for (key, parameters) in
            [("constant", &backoff.constant), ("linear", &backoff.linear), ("exponential", &backoff.exponential)]
        {
            if parameters.as_ref().is_some_and(|p| !p.is_empty()) {
                self.problems.add(&at.key(key), "takes no parameters; write {}");
            }
        }
        match (&backoff.constant, &backoff.linear, &backoff.exponential) {
            (Some(_), None, None) => BackoffPlan::Constant,
            (None, Some(_), None) => BackoffPlan::Linear,
            (None, None, Some(_)) => BackoffPlan::Exponential,
            _ => {
                self.problems.add(at, "exactly one of constant, linear and exponential is expected here");
                BackoffPlan::Constant
            }
        }
    }

    pub(super) fn raise(&mut self, error: &Given<model::ErrorDefinition>, at: &Pointer) -> Option<RaisePlan> {
        let workflow = self.workflow;
        let error = match error {
            Given::Inline(error) => error,
            Given::Named(name) => {
                let known = workflow.use_.as_ref().and_then(|u| u.errors.as_ref());
                match known.and_then(|known| known.get(name)) {
                    Some(error) => error,
                    None => {
                        self.unknown("error", "errors", name, known.into_iter().flat_map(|k| k.keys()), at);
                        return None;
                    }
                }
            }
        };
        let status = u16::try_from(error.status);
        if status.is_err() {
            self.problems.add(&at.key("status"), "a status such as 400 is expected here");
        }
        let optional = |this: &mut Self, text: &Option<String>, key| match text {
            None => Some(None),
            Some(text) => this.text(text, &at.key(key), Place::Task).map(Some),
        };
        let kind = self.text(&error.type_, &at.key("type"), Place::Task);
        let title = optional(self, &error.title, "title");
        let detail = optional(self, &error.detail, "detail");
        Some(RaisePlan { kind: kind?, status: status.ok()?, title: title?, detail: detail? })
    }
}
