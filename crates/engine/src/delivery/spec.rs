//! A subscription compiled for matching: which events it takes, by which key, under which name.

use std::collections::BTreeMap;

use nexus_core::{
    event::{Seq, StoredEvent},
    topic::{Topic, TopicFilter},
};

use crate::{
    jq::{Jq, JqError},
    subscription::{Revision, Subscription, Target},
};

/// What was in force from a seq on.
#[derive(Debug)]
pub struct Rule {
    /// First seq it holds for.
    pub from_seq: Seq,
    /// Any of these; empty = nothing.
    pub filters: Vec<TopicFilter>,
    /// And this.
    pub predicate: Option<Jq>,
}

impl Rule {
    /// Compiles a stored revision.
    pub fn compile(revision: &Revision) -> Result<Self, JqError> {
        let predicate = revision.predicate.as_deref().map(Jq::compile).transpose()?;
        Ok(Self { from_seq: revision.from_seq, filters: revision.filters.clone(), predicate })
    }

    /// The name under which it takes `event`, before the predicate is asked.
    pub fn name_for(&self, event: &StoredEvent) -> Option<String> {
        let alias = event.attributes.as_ref().and_then(|_| event.attributes().alias);
        self.filters.iter().find_map(|f| f.name_for(event.topic.as_str(), alias.as_deref())).map(str::to_owned)
    }

    /// Whether it takes `event`.
    pub fn takes(&self, event: &StoredEvent) -> bool {
        match self.name_for(event) {
            None => false,
            Some(name) => self.predicate.as_ref().is_none_or(|p| p.holds(&view(event, &name))),
        }
    }
}

/// The JSON that expressions see: `{event, payload, id, seq, time, source, subject, correlation, causation, depth}`.
pub fn view(event: &StoredEvent, name: &str) -> Vec<u8> {
    let head = serde_json::json!({
        "event": name, "type": event.topic.as_str(), "id": event.id, "seq": event.seq, "time": event.time.to_string(),
        "source": &*event.source, "subject": event.subject.as_deref(), "correlation": event.correlation_id(),
        "causation": event.causation, "depth": event.depth, "priority": event.priority.as_str(),
    })
    .to_string();
    let mut out = head.into_bytes();
    out.pop();
    out.extend_from_slice(b",\"payload\":");
    out.extend_from_slice(event.json());
    out.push(b'}');
    out
}

/// A subscription with its rules in order of revision.
#[derive(Debug)]
pub struct Spec {
    /// As stored.
    pub subscription: Subscription,
    /// At least the present rule; earlier ones for a subscription that is still behind them.
    pub rules: Vec<Rule>,
    /// The ordering key's expression.
    pub key: Option<Jq>,
    /// The target's expressions by their text: compiling one costs more than sending a request.
    expressions: BTreeMap<String, Jq>,
}

/// The jq expressions in a target.
fn expressions(target: &Target) -> Vec<&str> {
    let (url, headers, body) = match target {
        Target::Webhook { headers, .. } => (None, headers, None),
        Target::Http { url, headers, body, .. } => (url.strip_prefix('='), headers, body.as_deref()),
        Target::Handler { .. } | Target::Consumer {} => return Vec::new(),
    };
    let values = headers.values().filter_map(|value| value.strip_prefix('='));
    url.into_iter().chain(body).chain(values).collect()
}

impl Spec {
    /// Compiles a stored subscription with its revisions, in any order.
    pub fn compile(subscription: Subscription, revisions: &[Revision]) -> Result<Self, JqError> {
        // By revision, not by seq: after a crash the dispatcher may stand before the seq an earlier revision began at.
        let mut ascending: Vec<&Revision> = revisions.iter().collect();
        ascending.sort_by_key(|r| r.revision);
        let rules = ascending.into_iter().map(Rule::compile).collect::<Result<_, _>>()?;
        let key = subscription.key.as_deref().map(Jq::compile).transpose()?;
        let target = expressions(&subscription.target).into_iter();
        let expressions = target.map(|text| Ok((text.to_owned(), Jq::compile(text)?))).collect::<Result<_, _>>()?;
        Ok(Self { subscription, rules, key, expressions })
    }

    /// Runs one of the target's expressions over the view of an event; the result is JSON text.
    pub fn evaluate(&self, expression: &str, input: &[u8]) -> Result<String, String> {
        let jq = self.expressions.get(expression).ok_or("an expression of the target was not compiled")?;
        let text = jq.run_text(input).map_err(|e| e.to_string())?;
        serde_json::from_str::<serde::de::IgnoredAny>(&text)
            .map_err(|_| "its result is no JSON (NaN, or a binary string)")?;
        Ok(text)
    }

    /// The rule in force at `seq`: the latest revision that holds for it.
    pub fn rule_at(&self, seq: Seq) -> Option<&Rule> {
        self.rules.iter().rev().find(|r| r.from_seq <= seq)
    }

    /// Whether it takes `event`, by the rule in force at its seq.
    pub fn takes(&self, event: &StoredEvent) -> bool {
        self.rule_at(event.seq).is_some_and(|rule| rule.takes(event))
    }

    /// Whether it takes `event` by its present rule: for replays, which run over events from before it existed.
    pub fn takes_now(&self, event: &StoredEvent) -> bool {
        self.rules.last().is_some_and(|rule| rule.takes(event))
    }

    /// Whether any of its rules could take an event of this type, before predicates are asked.
    pub fn names(&self, kind: &str) -> bool {
        let asks = |f: &TopicFilter| f.matches(kind) || Topic::aliases(kind).any(|alias| f.matches(alias));
        self.rules.iter().any(|rule| rule.filters.iter().any(asks))
    }

    /// The name `event` goes out under.
    pub fn name_for(&self, event: &StoredEvent) -> String {
        let rule = self.rule_at(event.seq).or(self.rules.last());
        rule.and_then(|r| r.name_for(event)).unwrap_or_else(|| event.topic.as_str().to_owned())
    }

    /// The ordering key of `event`.
    pub fn key_of(&self, event: &StoredEvent) -> String {
        let computed = self.key.as_ref().and_then(|jq| jq.run(&view(event, event.topic.as_str())).ok());
        match computed {
            Some(serde_json::Value::String(text)) => text,
            Some(value) if !value.is_null() => value.to_string(),
            _ => event.subject.as_deref().unwrap_or(&event.source).to_owned(),
        }
    }
}
