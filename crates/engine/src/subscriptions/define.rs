//! What a caller may say of a subscription: checked, with the defaults filled in, and compared with what is there.

use std::collections::BTreeMap;

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    retry::RetrySchedule,
    topic::TopicFilter,
};
use nexus_outbound::{Reach, check_url};

use super::Subscriptions;
use crate::{
    desk::{Created, check_name},
    jq::Jq,
    subscription::{Activity, NewSubscription, Subscription, Target},
};

impl Subscriptions {
    /// Checks everything a caller said, and fills in the defaults.
    pub(super) fn build(
        &self,
        new: NewSubscription,
        by: &Principal,
    ) -> Result<(Subscription, Option<String>), Problem> {
        check_name("name", &new.name)?;
        let now = self.desk.now();
        let filters: Vec<TopicFilter> = new.filter.into_iter().chain(new.filters).collect();
        let target = match (new.url, new.target) {
            (Some(url), None) => Target::Webhook { url, headers: BTreeMap::new() },
            (None, Some(target)) => target,
            (None, None) => return Err(Problem::field("url", "say where to deliver: url for a webhook, or target")),
            (Some(_), Some(_)) => return Err(Problem::field("url", "give url or target, not both")),
        };
        let activity = if new.active {
            Activity::Active
        } else {
            Activity::Paused { reason: "created paused".into(), since: now }
        };
        let subscription = Subscription {
            name: new.name,
            no: 0,
            revision: 1,
            filters,
            predicate: new.predicate.filter(|p| !p.is_empty()),
            target,
            secret: None,
            private: by.may("endpoints:private"),
            ordered: new.ordered,
            key: new.key,
            on_dead: new.on_dead,
            concurrency: new.concurrency.unwrap_or(16),
            retry: new.retry.map_or_else(RetrySchedule::default, |r| r.0),
            max_attempts: new.max_attempts.unwrap_or(10),
            timeout_ms: new.timeout_ms.unwrap_or(15_000),
            keep_exchanges: new.keep_exchanges,
            activity,
            since_seq: 0,
            created_at: now,
            updated_at: now,
        };
        self.check(&subscription)?;
        Ok((subscription, new.secret))
    }

    pub(super) fn check(&self, s: &Subscription) -> Result<(), Problem> {
        if s.filters.is_empty() || s.filters.len() > 64 {
            return Err(Problem::field("filters", "name 1 to 64 topics or filters, for example payment.*"));
        }
        for (field, text) in [("predicate", &s.predicate), ("key", &s.key)] {
            if let Some(text) = text {
                Jq::compile(text).map_err(|e| Problem::field(field, e.to_string()))?;
            }
        }
        for (field, value, range) in [
            ("concurrency", u64::from(s.concurrency), 1..=1024),
            ("max_attempts", u64::from(s.max_attempts), 1..=100),
            ("timeout_ms", s.timeout_ms, 100..=60_000),
        ] {
            if !range.contains(&value) {
                return Err(Problem::field(
                    field,
                    format!("{value} is not within {} to {}", range.start(), range.end()),
                ));
            }
        }
        if let RetrySchedule::Explicit { waits_ms } = &s.retry
            && (waits_ms.is_empty() || waits_ms.len() > 100)
        {
            return Err(Problem::field("retry", "give 1 to 100 waits, for example 1s,5s,30s"));
        }
        self.check_target(s)
    }

    fn check_target(&self, s: &Subscription) -> Result<(), Problem> {
        let reach = if s.private { Reach::Private } else { Reach::Public };
        if let Some(url) = s.target.url().filter(|u| !u.contains("${secret:")) {
            check_url(url, reach).map_err(|e| Problem::field("url", e.message))?;
        }
        match &s.target {
            Target::Webhook { headers, .. } => check_headers(headers),
            Target::Http { url, headers, body, method } => {
                let expressions = [url.strip_prefix('='), body.as_deref()];
                for expression in expressions.into_iter().flatten() {
                    Jq::compile(expression).map_err(|e| Problem::field("target", e.to_string()))?;
                }
                if !method.bytes().all(|b| b.is_ascii_uppercase()) || !(1..=16).contains(&method.len()) {
                    return Err(Problem::field("target.method", format!("{method:?} is no HTTP method such as POST")));
                }
                check_headers(headers)
            }
            Target::Handler { name, .. } if self.sender.has_handler(name) => Ok(()),
            Target::Handler { name, .. } => {
                Err(Problem::field("target.name", format!("no handler {name:?} is registered")))
            }
            Target::Consumer {} => Ok(()),
        }
    }
}

/// The subscription, if it is as `new` says.
pub(super) fn same(new: &NewSubscription, found: Subscription) -> Result<Created<Subscription>, Problem> {
    let filters: Vec<&TopicFilter> = new.filter.iter().chain(&new.filters).collect();
    let target = match &new.url {
        Some(url) => found.target.url() == Some(url.as_str()),
        None => new.target.as_ref().is_none_or(|t| *t == found.target),
    };
    let differs = [
        ("filters", filters != found.filters.iter().collect::<Vec<_>>()),
        ("predicate", new.predicate.as_deref().unwrap_or_default() != found.predicate.as_deref().unwrap_or_default()),
        ("target", !target),
        ("ordered", new.ordered != found.ordered),
        ("key", new.key != found.key),
        ("concurrency", new.concurrency.is_some_and(|n| n != found.concurrency)),
        ("retry", new.retry.as_ref().is_some_and(|r| r.0 != found.retry)),
        ("max_attempts", new.max_attempts.is_some_and(|n| n != found.max_attempts)),
        ("timeout_ms", new.timeout_ms.is_some_and(|n| n != found.timeout_ms)),
    ];
    let differing: Vec<&str> = differs.iter().filter(|(_, differs)| *differs).map(|(field, _)| *field).collect();
    if differing.is_empty() {
        return Ok(Created { value: found, secret: None });
    }
    let message = format!(
        "subscription {:?} exists with another {}; change it, or ask for another name",
        found.name,
        differing.join(", ")
    );
    let mut problem = Problem::new(Code::Conflict, message);
    problem.details = differing.iter().map(|f| ((*f).to_owned(), "differs".to_owned())).collect();
    Err(problem)
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), Problem> {
    for (name, value) in headers {
        if name.parse::<http::HeaderName>().is_err() {
            return Err(Problem::field("target.headers", format!("{name:?} is no header name")));
        }
        if let Some(expression) = value.strip_prefix('=') {
            Jq::compile(expression).map_err(|e| Problem::field("target.headers", e.to_string()))?;
        }
    }
    Ok(())
}
