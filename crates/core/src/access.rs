//! Who may do what: principals, and scopes with patterns.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Every scope there is, with what it allows. A token may also hold `admin` (all of them) or narrow `events:publish`
/// and `events:read` to a topic filter (`events:publish:order.*`), and `subscriptions:consume` to subscriptions whose names
/// fit one (`subscriptions:consume:billing`).
pub const SCOPES: &[(&str, &str)] = &[
    ("admin", "everything"),
    ("events:publish", "publish events"),
    ("events:read", "read, stream and query events, fates included"),
    ("sources:read", "list sources, never their secrets"),
    ("sources:write", "add, change and remove sources"),
    ("subscriptions:read", "list subscriptions, deliveries and dead letters"),
    ("subscriptions:write", "add, change, pause, test and remove subscriptions; redrive and replay"),
    ("subscriptions:consume", "take and settle deliveries of subscriptions whose target is a consumer"),
    ("endpoints:private", "name loopback and private addresses as delivery targets"),
    ("secrets:write", "set named secrets"),
    ("tokens:read", "list tokens, never their secrets"),
    ("tokens:write", "create and revoke tokens"),
    ("log:redact", "erase a person's data"),
    ("log:verify", "verify the log and fetch signed checkpoints"),
    ("metrics:read", "read metrics"),
    ("health:read", "read the components of the health report"),
    ("backup", "write a backup"),
];

/// One scope a token holds, for example `events:publish:order.*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

impl Scope {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = |name: &str| SCOPES.iter().any(|(s, _)| *s == name);
        let narrowed = ["events:publish:", "events:read:", "subscriptions:consume:"]
            .iter()
            .any(|p| text.strip_prefix(p).is_some_and(|f| crate::topic::TopicFilter::parse(f).is_ok()));
        let family =
            text.strip_suffix(":*").is_some_and(|f| SCOPES.iter().any(|(s, _)| s.starts_with(&format!("{f}:"))));
        if known(text) || narrowed || family {
            return Ok(Self(text.to_owned()));
        }
        let names: Vec<_> = SCOPES.iter().map(|(s, _)| *s).collect();
        Err(format!("{text:?} is no scope; known are {}", names.join(", ")))
    }
}

impl TryFrom<String> for Scope {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Shown in the log: `token:ci`, `dev`, `source:flowpay`, `cli`.
    pub name: Arc<str>,
    scopes: BTreeSet<Scope>,
}

impl Principal {
    /// With these scopes.
    pub fn new(name: impl Into<Arc<str>>, scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self { name: name.into(), scopes: scopes.into_iter().collect() }
    }

    /// With every scope.
    pub fn admin(name: impl Into<Arc<str>>) -> Self {
        Self::new(name, [Scope("admin".into())])
    }

    /// Its scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter()
    }

    /// Whether it may do what `scope` (one of [`SCOPES`]) allows, for every topic.
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| {
            held.0 == "admin"
                || held.0 == scope
                || held.0.strip_suffix('*').is_some_and(|f| f.ends_with(':') && scope.starts_with(f))
        })
    }

    /// Whether it may do `scope` for this topic: in whole, or by a narrowed scope.
    pub fn may_for(&self, scope: &str, topic: &str) -> bool {
        self.may(scope)
            || self.scopes.iter().any(|held| {
                held.0
                    .strip_prefix(scope)
                    .and_then(|rest| rest.strip_prefix(':'))
                    .and_then(|f| crate::topic::TopicFilter::parse(f).ok())
                    .is_some_and(|f| f.matches(topic))
            })
    }

    /// Whether it holds `scope` in whole or for some topics.
    pub fn may_some(&self, scope: &str) -> bool {
        self.may(scope)
            || self.scopes.iter().any(|held| held.0.strip_prefix(scope).is_some_and(|rest| rest.starts_with(':')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrowed_scope_allows_its_topics_only() {
        let p = Principal::new("t", ["events:publish:order.*".parse().expect("valid")]);
        assert!(p.may_for("events:publish", "order.created"));
        assert!(!p.may_for("events:publish", "user.created"));
        assert!(!p.may("events:publish"));
        assert!(p.may_some("events:publish"));
        assert!(!p.may_some("events:read"));
        assert!("evnts:publish".parse::<Scope>().is_err());
        assert!(Principal::admin("a").may_for("events:publish", "x"));
        let family = Principal::new("t", ["events:*".parse().expect("valid")]);
        assert!(family.may("events:read") && !family.may("sources:read"));
    }
}
