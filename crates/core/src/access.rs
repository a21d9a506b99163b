//! Who may do what: principals, and scopes with patterns.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    problem::{Code, Problem},
    topic::TopicFilter,
};

/// Every scope there is, with what it allows. A token may also hold a family (`events:*`) or one of [`NARROWED`] for
/// some topics, keys or services only: `events:publish:order.*`, `state:write:app/*`, `services:invoke:billing-*`.
pub const SCOPES: &[(&str, &str)] = &[
    ("admin", "everything"),
    ("events:publish", "publish events"),
    ("events:read", "read, stream and query events, fates included"),
    ("services:read", "discover services"),
    ("services:register", "register services, also on private addresses, and send their heartbeats"),
    ("services:invoke", "call services through the hub"),
    ("state:read", "read and watch state"),
    ("state:write", "write and delete state"),
    ("flows:read", "see flows, their runs and what these wait for"),
    ("flows:run", "begin runs, cancel, halt, resume and repeat them"),
    ("flows:approve", "approve and reject what flows ask, and make links to the pages on which that is done"),
    (
        "flows:publish",
        "publish flows, turn them on and off, remove them; what a flow does needs its publisher's own scopes",
    ),
    ("secrets:use", "publish flows that pass on named secrets"),
    ("commands", "send commands; each type asks for its own scope besides"),
    ("sources:read", "list sources, never their secrets"),
    ("sources:write", "add, change and remove sources"),
    ("subscriptions:read", "list subscriptions, deliveries and dead letters"),
    ("subscriptions:write", "add, change, pause, test and remove subscriptions; redrive and replay"),
    ("subscriptions:consume", "take and settle deliveries of subscriptions whose target is a consumer"),
    ("endpoints:private", "name loopback and private addresses as delivery targets"),
    ("connectors:read", "list connectors and connections, never their secrets"),
    ("connectors:call", "call operations of connectors"),
    ("connectors:admin", "make, change, authorize and remove connections"),
    ("secrets:write", "set named secrets"),
    ("tokens:read", "list tokens and other credentials, never their secrets"),
    ("tokens:write", "create, change, rotate and revoke tokens and other credentials"),
    ("log:redact", "erase a person's data"),
    ("log:verify", "verify the log and fetch signed checkpoints"),
    ("metrics:read", "read metrics"),
    ("health:read", "read the components of the health report"),
    ("backup", "write a backup"),
];

/// What the pattern of a narrowed scope is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrowing {
    /// A topic, by a topic filter (`order.*`).
    Topic,
    /// Any text (a state key, a service's name), by a glob: `*` stands for any run of characters, slashes and dots
    /// included, and everything else for itself.
    Text,
}

/// The scopes that may be followed by a pattern, and what it is a pattern of.
pub const NARROWED: &[(&str, Narrowing)] = &[
    ("events:publish", Narrowing::Topic),
    ("events:read", Narrowing::Topic),
    ("services:invoke", Narrowing::Text),
    ("flows:run", Narrowing::Text),
    ("flows:approve", Narrowing::Text),
    ("secrets:use", Narrowing::Text),
    ("state:read", Narrowing::Text),
    ("state:write", Narrowing::Text),
    ("subscriptions:consume", Narrowing::Text),
    ("connectors:call", Narrowing::Text),
];

/// Bytes of a narrowed scope's glob.
const GLOB_BYTES: usize = 256;

impl Narrowing {
    fn is_pattern(self, pattern: &str) -> bool {
        match self {
            Self::Topic => TopicFilter::parse(pattern).is_ok(),
            Self::Text => {
                (1..=GLOB_BYTES).contains(&pattern.len()) && !pattern.contains(|c: char| c.is_control() || c == ' ')
            }
        }
    }

    fn matches(self, pattern: &str, text: &str) -> bool {
        match self {
            Self::Topic => TopicFilter::parse(pattern).is_ok_and(|filter| filter.matches(text)),
            Self::Text => glob(pattern, text),
        }
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any run of characters. Steps back to the last star only, so
/// its time is bounded by the product of the lengths.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut in_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match (pattern.get(at), star) {
            (Some(b'*'), _) => {
                star = Some((at, in_text));
                at += 1;
            }
            (Some(byte), _) if Some(byte) == text.get(in_text) => {
                at += 1;
                in_text += 1;
            }
            (_, Some((star_at, taken))) => {
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                in_text = taken + 1;
            }
            (_, None) => return false,
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

/// One scope a token holds, for example `events:publish:order.*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

impl Scope {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it allows everything.
    pub fn is_admin(&self) -> bool {
        self.0 == "admin"
    }
}

/// The pattern behind `base:`.
fn narrowed_part<'a>(scope: &'a str, base: &str) -> Option<&'a str> {
    scope.strip_prefix(base)?.strip_prefix(':')
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = |name: &str| SCOPES.iter().any(|(s, _)| *s == name);
        let narrowed =
            NARROWED.iter().any(|(base, by)| narrowed_part(text, base).is_some_and(|pattern| by.is_pattern(pattern)));
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

/// The token that a principal showed: which, and which it descends from by rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Id of the token.
    pub id: Arc<str>,
    /// Id of the first token of its line: the same before and after a rotation. Names of tokens need not be unique, this is.
    pub line: Arc<str>,
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Shown in the log: `token:ci`, `jwt:alice`, `dev`, `source:flowpay`, `cli`.
    pub name: Arc<str>,
    /// What it showed, where that is a token of the hub's own.
    pub credential: Option<Credential>,
    scopes: BTreeSet<Scope>,
}

impl Principal {
    /// With these scopes.
    pub fn new(name: impl Into<Arc<str>>, scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self { name: name.into(), credential: None, scopes: scopes.into_iter().collect() }
    }

    /// The same, having shown this token.
    #[must_use]
    pub fn showing(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// What tells it from every other principal, and stays when its token is rotated.
    pub fn identity(&self) -> &str {
        self.credential.as_ref().map_or(&self.name, |credential| &credential.line)
    }

    /// Whether it showed the token with this id.
    pub fn is_token(&self, id: &str) -> bool {
        self.credential.as_ref().is_some_and(|credential| &*credential.id == id)
    }

    /// A refusal that names the scope, unless it holds `scope` in whole.
    pub fn demand(&self, scope: &str) -> Result<(), Problem> {
        if self.may(scope) {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden, format!("{} lacks the scope {scope}", self.name)))
    }

    /// With every scope.
    pub fn admin(name: impl Into<Arc<str>>) -> Self {
        Self::new(name, [Scope("admin".into())])
    }

    /// Its scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter()
    }

    /// Whether it may do what `scope` (one of [`SCOPES`]) allows, for everything.
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| {
            held.0 == "admin"
                || held.0 == scope
                || held.0.strip_suffix('*').is_some_and(|f| f.ends_with(':') && scope.starts_with(f))
        })
    }

    /// Whether it may do `scope` (one of [`NARROWED`]) for this topic, key or service: in whole, or by a narrowed scope.
    pub fn may_for(&self, scope: &str, what: &str) -> bool {
        self.may(scope)
            || NARROWED.iter().find(|(base, _)| *base == scope).is_some_and(|(base, by)| {
                self.scopes.iter().any(|held| narrowed_part(&held.0, base).is_some_and(|p| by.matches(p, what)))
            })
    }

    /// Whether it holds `scope` in whole or for something.
    pub fn may_some(&self, scope: &str) -> bool {
        self.may(scope) || self.scopes.iter().any(|held| narrowed_part(&held.0, scope).is_some())
    }

    /// Whether it holds all that `scope` allows, so that it may give it to another. A narrowed scope is held by who holds
    /// the very same one, or the whole.
    pub fn may_give(&self, scope: &Scope) -> bool {
        self.may(&scope.0) || NARROWED.iter().any(|(base, _)| narrowed_part(&scope.0, base).is_some() && self.may(base))
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

    #[test]
    fn state_and_services_are_narrowed_by_a_glob_over_the_text() {
        let p = Principal::new(
            "t",
            ["state:write:app.*", "state:read:*/public/*", "services:invoke:billing"]
                .map(|s| s.parse().expect("a scope")),
        );
        assert!(p.may_for("state:write", "app.a/b") && !p.may_for("state:write", "apx.a"));
        assert!(!p.may_for("state:write", "my.app.a"), "a glob holds from the first character on");
        assert!(p.may_for("state:read", "x/public/y") && !p.may_for("state:read", "public/y"));
        assert!(p.may_for("services:invoke", "billing") && !p.may_for("services:invoke", "billing2"));
        assert!(!p.may("state:write") && p.may_some("state:write") && !p.may_some("services:read"));
        for bad in ["state:write:", "state:write:a b", "services:read:x", "state:x"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_glob_finds_its_last_part_wherever_it_stands() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("*ab", "aab", true),
            ("ab", "abc", false),
            ("", "a", false),
            ("ü*", "üx", true),
            ("**x", "yx", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} over {text}");
        }
        assert!(!glob(&"*a".repeat(100), &"b".repeat(10_000)));
    }

    #[test]
    fn only_what_is_held_can_be_given() {
        let p = Principal::new("t", ["events:publish", "state:read:a*"].map(|s| s.parse().expect("a scope")));
        let gives = |scope: &str| p.may_give(&scope.parse().expect("a scope"));
        assert!(gives("events:publish") && gives("events:publish:x.*") && gives("state:read:a*"));
        assert!(!gives("state:read:ab*") && !gives("state:read") && !gives("events:*") && !gives("admin"));
        assert!(Principal::admin("a").may_give(&"admin".parse().expect("a scope")));
    }
}
