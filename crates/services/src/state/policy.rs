//! Rules for conflicts, by prefix of the key: stored ones and those of the configuration.

use std::sync::{Arc, PoisonError, RwLock};

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    record::{Collection, Column, ColumnType, Index, IndexKind, Record, Value},
    store::{Commit, CommitError, Guard, IndexQuery, Key, Lane, Range, StoreError, Write},
    time::Timestamp,
};
use nexus_engine::{
    desk::{Desk, check_name, refused, unreadable},
    jq::Jq,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{key::KEY_BYTES, merge::MergeKind};

/// Stored rules; one more is refused (409).
const POLICIES: u32 = 1_000;

static COLLECTION: Collection = Collection {
    name: "state_policies",
    columns: &[Column { name: "prefix", kind: ColumnType::Text }],
    indexes: &[Index { name: "state_policies_prefix", columns: &["prefix"], kind: IndexKind::Unique, only: None }],
};

/// What becomes of a write whose `expected_version` is not the present one. A precondition (`If-Match`) is refused always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// It is refused (409). A write that expects nothing wins over what stood.
    #[default]
    LastWriteWins,
    /// It is merged with what was written meanwhile.
    Merge,
    /// It is refused (409) and kept as a conflict until somebody chooses.
    UserConfirmation,
    /// A resolver decides: a plugin's, by name, or a jq expression over `{key, base, current, wanted}`.
    Custom,
}

/// A rule, as it is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPolicy {
    /// Keys that begin so; of several rules the longest prefix counts.
    pub prefix: String,
    /// What becomes of a conflict.
    pub on_conflict: OnConflict,
    /// How to merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeKind>,
    /// Name of a plugin's resolver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
    /// Screened jq.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jq: Option<String>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// What it says. (Not flattened: `deny_unknown_fields` and `flatten` do not go together.)
    pub rule: NewPolicy,
    /// By whom; `config` for one of the configuration.
    pub updated_by: String,
    /// When.
    pub updated_at: Timestamp,
}

impl Record for Policy {
    const COLLECTION: &'static Collection = &COLLECTION;
    fn key(&self) -> String {
        self.name.clone()
    }
    fn columns(&self) -> Vec<Value> {
        vec![self.rule.prefix.as_str().into()]
    }
}

/// A rule in force.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) policy: Policy,
    pub(super) jq: Option<Jq>,
}

/// The rules in force, the longest prefix first.
#[derive(Debug)]
pub(super) struct Policies {
    configured: Vec<Policy>,
    rules: RwLock<Arc<Vec<Arc<Rule>>>>,
    /// Held by whoever changes the stored rules, from the look at the store until the change is in force: otherwise the
    /// list of an earlier change could replace that of a later one.
    turn: tokio::sync::Mutex<()>,
}

impl NewPolicy {
    /// 422 for what contradicts itself; the compiled expression, where there is one.
    fn compile(&self) -> Result<Option<Jq>, Problem> {
        if self.prefix.len() > KEY_BYTES || self.prefix.chars().any(char::is_control) {
            let reason = format!("at most {KEY_BYTES} bytes without control characters");
            return Err(Problem::field("prefix", reason));
        }
        if self.merge.is_some() && self.on_conflict != OnConflict::Merge {
            return Err(Problem::field("merge", "only with on_conflict = merge"));
        }
        let named = self.resolver.is_some() || self.jq.is_some();
        match (self.on_conflict, &self.resolver, &self.jq) {
            (OnConflict::Custom, Some(_), None) => Ok(None),
            (OnConflict::Custom, None, Some(text)) => {
                Jq::compile(text).map(Some).map_err(|e| Problem::field("jq", e.to_string()))
            }
            (OnConflict::Custom, ..) => Err(Problem::field("resolver", "a custom rule has either resolver or jq")),
            _ if named => Err(Problem::field("resolver", "resolver and jq are only for on_conflict = custom")),
            _ => Ok(None),
        }
    }
}

impl Policies {
    /// Those of the configuration, and those that are stored.
    pub(super) async fn open(desk: &Desk, configured: Vec<(String, NewPolicy)>) -> Result<Self, Problem> {
        index_prefixes(desk).await?;
        Self::new(configured, stored(desk).await?, desk.now())
    }

    fn new(configured: Vec<(String, NewPolicy)>, stored: Vec<Policy>, now: Timestamp) -> Result<Self, Problem> {
        let configured = configured.into_iter().map(|(name, rule)| {
            let policy = Policy { name, rule, updated_by: "config".to_owned(), updated_at: now };
            policy.rule.compile().map(|_| policy)
        });
        let configured = configured.collect::<Result<Vec<_>, _>>()?;
        let policies = Self { configured, rules: RwLock::default(), turn: tokio::sync::Mutex::default() };
        policies.enforce(stored);
        Ok(policies)
    }

    fn rules(&self) -> Arc<Vec<Arc<Rule>>> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rule for a key.
    pub(super) fn find(&self, key: &str) -> Option<Arc<Rule>> {
        self.rules().iter().find(|rule| key.starts_with(&rule.policy.rule.prefix)).map(Arc::clone)
    }

    /// All, the longest prefix first.
    pub(super) fn list(&self) -> Vec<Policy> {
        self.rules().iter().map(|rule| rule.policy.clone()).collect()
    }

    /// Sets a stored rule. A stored rule goes before one of the configuration with the same prefix.
    pub(super) async fn set(
        &self,
        desk: &Desk,
        name: &str,
        rule: NewPolicy,
        by: &Principal,
    ) -> Result<Policy, Problem> {
        check_name("name", name)?;
        rule.compile()?;
        let _turn = self.turn.lock().await;
        // From the store: a change whose caller went away may have been made without being put in force.
        let mut known = stored(desk).await?;
        room(&known, name, &rule.prefix)?;
        let policy = Policy { name: name.to_owned(), rule, updated_by: by.name.to_string(), updated_at: desk.now() };
        let write = Write::put(&policy).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
        let audit = desk.audit(by, "state.policy_set", &json!({"name": name, "rule": policy.rule}));
        let mut commit = Commit { documents: vec![write], events: vec![audit], lane: Lane::Own, ..Commit::default() };
        if !known.iter().any(|p| p.name == name) {
            commit.guards.push(Guard::AtMost(all(), POLICIES - 1));
        }
        match desk.try_commit(commit).await {
            Ok(_) => {}
            Err(CommitError::Unique { .. }) => return Err(taken("another policy")),
            Err(CommitError::Conflict { .. }) => return Err(full()),
            Err(error) => return Err(refused(&error)),
        }
        known.retain(|p| p.name != name);
        known.push(policy.clone());
        self.enforce(known);
        Ok(policy)
    }

    /// Removes a stored rule.
    pub(super) async fn remove(&self, desk: &Desk, name: &str, by: &Principal) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let mut known = stored(desk).await?;
        if !known.iter().any(|p| p.name == name) {
            let message = format!("there is no stored policy {name:?}; those of the configuration are removed there");
            return Err(Problem::new(Code::NotFound, message));
        }
        let documents = vec![Write::Delete(Key::of::<Policy>(name))];
        let audit = desk.audit(by, "state.policy_removed", &json!({"name": name}));
        desk.commit(Commit { documents, events: vec![audit], ..Commit::default() }).await?;
        known.retain(|p| p.name != name);
        self.enforce(known);
        Ok(())
    }

    /// Puts these and those of the configuration in force.
    fn enforce(&self, stored: Vec<Policy>) {
        let mut all = stored;
        let configured = self.configured.iter().filter(|c| !all.iter().any(|p| p.rule.prefix == c.rule.prefix));
        all.extend(configured.cloned().collect::<Vec<_>>());
        all.sort_by(|a, b| b.rule.prefix.len().cmp(&a.rule.prefix.len()).then(a.name.cmp(&b.name)));
        let compile = |policy: Policy| match policy.rule.compile() {
            Ok(jq) => Some(Arc::new(Rule { policy, jq })),
            Err(error) => {
                // It was checked when it was set; a stricter screen of a later release may refuse it.
                tracing::error!(policy = policy.name, %error, "a stored policy can't be used any more");
                None
            }
        };
        let rules = all.into_iter().filter_map(compile).collect();
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

/// 409 unless there is room for a rule of this name and prefix beside those that are stored.
fn room(stored: &[Policy], name: &str, prefix: &str) -> Result<(), Problem> {
    if let Some(other) = stored.iter().find(|p| p.name != name && p.rule.prefix == prefix) {
        return Err(taken(&format!("policy {:?}", other.name)));
    }
    if stored.len() >= POLICIES as usize && !stored.iter().any(|p| p.name == name) {
        return Err(full());
    }
    Ok(())
}

fn taken(by: &str) -> Problem {
    Problem::new(Code::Conflict, format!("{by} has this prefix already; change or remove that one"))
}

fn full() -> Problem {
    Problem::new(Code::Conflict, format!("there are {POLICIES} policies already"))
}

fn all() -> Range {
    Range { collection: &COLLECTION, index: "", prefix: Vec::new(), from: None, until: None }
}

async fn stored(desk: &Desk) -> Result<Vec<Policy>, Problem> {
    let found = desk.load::<Policy>().await.map_err(unreadable)?;
    Ok(found.into_iter().map(|(policy, _)| policy).collect())
}

/// Writes again the rules that an earlier release stored without the column of the index. Where it let two have one
/// prefix, the later name stays out of the index, and out of force until the other is removed or changed.
async fn index_prefixes(desk: &Desk) -> Result<(), Problem> {
    let filters = vec![("prefix", Value::Null)];
    let query = IndexQuery { range: all(), descending: false, filters, after: None, limit: 10 * POLICIES as usize };
    for document in desk.store.list(query).await.map_err(unreadable)?.items {
        let policy: Policy = serde_json::from_str(&document.body)
            .map_err(|e| unreadable(StoreError::Broken(format!("policy {:?} is unreadable: {e}", document.key))))?;
        let write = Write::put(&policy).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
        match desk.try_commit(Commit { documents: vec![write], lane: Lane::Own, ..Commit::default() }).await {
            Ok(_) => {}
            Err(CommitError::Unique { .. }) => {
                let (policy, prefix) = (policy.name, policy.rule.prefix);
                tracing::warn!(policy, prefix, "another policy has the same prefix; remove one of them");
            }
            Err(error) => return Err(refused(&error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, on_conflict: OnConflict) -> NewPolicy {
        NewPolicy { prefix: prefix.into(), on_conflict, ..NewPolicy::default() }
    }

    #[test]
    fn the_longest_prefix_counts_and_a_stored_rule_goes_before_a_configured_one() {
        let configured = vec![
            ("all".to_owned(), rule("", OnConflict::UserConfirmation)),
            ("carts".to_owned(), rule("cart/", OnConflict::LastWriteWins)),
        ];
        let stored = Policy {
            name: "mine".into(),
            rule: rule("cart/", OnConflict::Merge),
            updated_by: "x".into(),
            updated_at: Timestamp::default(),
        };
        let policies = Policies::new(configured, vec![stored], Timestamp::default()).expect("sound");
        assert_eq!(policies.find("cart/7").expect("a rule").policy.name, "mine");
        assert_eq!(policies.find("other").expect("a rule").policy.name, "all");
        assert_eq!(policies.list().len(), 2);
    }

    #[test]
    fn a_rule_that_contradicts_itself_is_refused() {
        let custom = |resolver: Option<&str>, jq: Option<&str>| NewPolicy {
            resolver: resolver.map(str::to_owned),
            jq: jq.map(str::to_owned),
            ..rule("", OnConflict::Custom)
        };
        assert!(custom(Some("r"), None).compile().is_ok());
        assert!(custom(None, Some(".wanted")).compile().is_ok_and(|jq| jq.is_some()));
        assert!(custom(None, None).compile().is_err());
        assert!(custom(Some("r"), Some(".")).compile().is_err());
        assert!(custom(None, Some("env")).compile().is_err());
        assert!(NewPolicy { merge: Some(MergeKind::Set), ..rule("", OnConflict::Custom) }.compile().is_err());
        assert!(NewPolicy { jq: Some(".".into()), ..rule("", OnConflict::Merge) }.compile().is_err());
    }
}
