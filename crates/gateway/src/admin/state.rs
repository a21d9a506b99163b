//! What surrounds shared state: policies, conflicts, transactions, figures.

use std::time::Duration;

use nexus_core::{
    json,
    limits::JSON_DEPTH,
    problem::{Code, Problem},
};
use nexus_services::state::{
    CONFIRM_WITHIN_SECONDS, Change, Choice, Chosen, Expect, LONGEST_TTL_SECONDS, NewPolicy, Parked, Settled,
    StateError, TRANSACTION_BYTES, Transaction,
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{one, removed, shown};
use crate::{
    answer::{Answer, render},
    call::{Call, typed},
    error::malformed,
    state::{origin, permitted, refused},
};

/// Bytes of the body of a transaction: its values and what is said beside them.
const TRANSACTION_BODY: usize = TRANSACTION_BYTES + (256 << 10);
/// Bytes of the body of a choice.
const RESOLVE_BODY: usize = 512 << 10;

fn problem(error: StateError) -> Problem {
    error.problem
}

/// `GET /api/v1/state/summary`.
pub(crate) async fn summary(call: Call) -> Result<Answer, Problem> {
    let summary = call.gate.state.summary().await.map_err(problem)?;
    let who = call.principal()?;
    let mut value = shown(&summary)?;
    // The last conflict names a key: for those who may read it.
    if summary.last_conflict.is_some_and(|last| !who.may_for("state:read", &last.key)) {
        value["last_conflict"] = Value::Null;
    }
    Answer::data(&value)
}

/// `GET /api/v1/state/policies`.
pub(crate) async fn policies(call: Call) -> Result<Answer, Problem> {
    super::many(&call.gate.state.policies(), None)
}

/// `PUT /api/v1/state/policies/{name}`.
pub(crate) async fn set_policy(mut call: Call) -> Result<Answer, Problem> {
    demand_whole(&call)?;
    let rule: NewPolicy = call.json().await?;
    one(&call.gate.state.set_policy(&call.param("name")?, rule, call.principal()?).await?)
}

/// `DELETE /api/v1/state/policies/{name}`.
pub(crate) async fn remove_policy(call: Call) -> Result<Answer, Problem> {
    demand_whole(&call)?;
    let name = call.param("name")?;
    call.gate.state.remove_policy(&name, call.principal()?).await?;
    removed("name", &name)
}

/// Rules are for all keys of a prefix, so they are not for a token that may write some keys only.
fn demand_whole(call: &Call) -> Result<(), Problem> {
    let who = call.principal()?;
    if who.may("state:write") {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden, format!("{} lacks the scope state:write for every key", who.name)))
}

/// A conflict as it is shown. Its value goes out as it came in.
fn parked(conflict: &Parked) -> Result<String, Problem> {
    let mut value = shown(conflict)?;
    if let Value::Object(fields) = &mut value {
        fields.remove("wanted");
    }
    let text = render(&value)?;
    let fields = text.strip_suffix('}').unwrap_or(&text);
    Ok(format!(r#"{fields},"wanted":{}}}"#, conflict.wanted.get()))
}

/// `GET /api/v1/state/conflicts`.
pub(crate) async fn conflicts(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let who = call.principal()?;
    let (key, all) = (query.text("key"), query.flag("all")?);
    let after = query.text("cursor").map(str::to_owned);
    let page = call.gate.state.conflicts(key, !all, after, query.limit(50, 500)?).await.map_err(problem)?;
    let seen = page.items.iter().filter(|c| who.may_for("state:read", &c.key));
    let items = seen.map(parked).collect::<Result<Vec<_>, _>>()?;
    Answer::listed(format!("[{}]", items.join(",")), page.next.as_deref())
}

/// `GET /api/v1/state/conflicts/{id}`.
pub(crate) async fn conflict(call: Call) -> Result<Answer, Problem> {
    let found = call.gate.state.conflict(&call.param("id")?).await.map_err(problem)?;
    permitted(found.key.clone(), call.principal()?, "state:read")?;
    Ok(Answer::json(parked(&found)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolve<'a> {
    choice: Choice,
    #[serde(default, borrow, deserialize_with = "crate::state::present")]
    value: Option<&'a RawValue>,
    #[serde(default)]
    expected_version: Option<u64>,
}

/// `POST /api/v1/state/conflicts/{id}/resolve`.
pub(crate) async fn resolve(mut call: Call) -> Result<Answer, Problem> {
    let bytes = call.bytes(RESOLVE_BODY).await?;
    json::check(&bytes, JSON_DEPTH)?;
    let id = call.param("id")?;
    let found = call.gate.state.conflict(&id).await.map_err(problem)?;
    let key = permitted(found.key, call.principal()?, "state:write")?;
    let body: Resolve<'_> = typed(&bytes)?;
    let origin = origin(&call).await?;
    let value = body.value.map(ToOwned::to_owned);
    let chosen = Chosen { choice: body.choice, value, expected_version: body.expected_version };
    match call.gate.state.resolve(&id, &chosen, &origin).await {
        Ok(done) => Ok(Answer::json(parked(&done)?)),
        Err(mut error) => {
            // What stands is for those who may read it.
            let reads = call.principal()?.may_for("state:read", &key);
            error.present = error.present.filter(|_| reads);
            refused(&call, error)
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewChange<'a> {
    key: String,
    #[serde(default, borrow, deserialize_with = "crate::state::present")]
    value: Option<&'a RawValue>,
    #[serde(default)]
    delete: bool,
    #[serde(default)]
    expected_version: Option<u64>,
    #[serde(default, deserialize_with = "nexus_core::ranged::maybe_whole::<1, LONGEST_TTL_SECONDS, _>")]
    ttl_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTransaction<'a> {
    #[serde(borrow)]
    changes: Vec<NewChange<'a>>,
    #[serde(default)]
    checks: Vec<String>,
    #[serde(default, deserialize_with = "nexus_core::ranged::maybe_whole::<1, CONFIRM_WITHIN_SECONDS, _>")]
    confirm_within_seconds: Option<u64>,
}

impl NewChange<'_> {
    fn read(self, n: usize) -> Result<Change, Problem> {
        if self.delete == self.value.is_some() {
            let reason = "a change has a value, or delete: true";
            return Err(Problem::field(&format!("changes[{n}]"), reason));
        }
        Ok(Change {
            key: self.key,
            value: self.value.map(ToOwned::to_owned),
            expect: self.expected_version.map_or(Expect::Anything, Expect::Version),
            strict: true,
            ttl: self.ttl_seconds.map(Duration::from_secs),
        })
    }
}

/// `POST /api/v1/state/transactions`.
pub(crate) async fn transact(mut call: Call) -> Result<Answer, Problem> {
    let bytes = call.bytes(TRANSACTION_BODY).await?;
    json::check(&bytes, JSON_DEPTH)?;
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(malformed(r#"the body must be a JSON object: {"changes":[{"key","value"}]}"#));
    }
    let body: NewTransaction<'_> = typed(&bytes)?;
    let changes: Vec<Change> =
        body.changes.into_iter().enumerate().map(|(n, change)| change.read(n)).collect::<Result<_, _>>()?;
    for change in &changes {
        permitted(change.key.clone(), call.principal()?, "state:write")?;
    }
    let confirm_within = body.confirm_within_seconds.map(Duration::from_secs);
    let transaction = Transaction { changes, checks: body.checks, confirm_within };
    let origin = origin(&call).await?;
    match call.gate.state.transact(&transaction, &origin).await {
        Ok(done) if confirm_within.is_some() => settled(&done),
        Ok(done) => {
            // Nothing of it is kept but its versions, so there is nothing to name it by.
            let mut value = shown(&done)?;
            if let Value::Object(fields) = &mut value {
                fields.retain(|name, _| matches!(name.as_str(), "keys" | "by" | "made_at"));
            }
            Answer::data(&value)
        }
        Err(error) => refused(&call, error),
    }
}

fn settled(done: &Settled) -> Result<Answer, Problem> {
    one(done)
}

async fn found(call: &Call, scope: &str) -> Result<Settled, Problem> {
    let found = call.gate.state.transaction(&call.param("id")?).await.map_err(problem)?;
    for moved in &found.keys {
        permitted(moved.key.clone(), call.principal()?, scope)?;
    }
    Ok(found)
}

/// `GET /api/v1/state/transactions/{id}`.
pub(crate) async fn transaction(call: Call) -> Result<Answer, Problem> {
    settled(&found(&call, "state:read").await?)
}

/// `POST /api/v1/state/transactions/{id}/confirm`.
pub(crate) async fn confirm(call: Call) -> Result<Answer, Problem> {
    let id = found(&call, "state:write").await?.id;
    settled(&call.gate.state.confirm(&id, call.principal()?).await.map_err(problem)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBack {
    #[serde(default)]
    reason: Option<String>,
}

/// `POST /api/v1/state/transactions/{id}/rollback`.
pub(crate) async fn roll_back(mut call: Call) -> Result<Answer, Problem> {
    let body: RollBack = call.json().await?;
    let reason = body.reason.unwrap_or_else(|| "asked for".to_owned());
    if reason.is_empty() || reason.len() > 256 || reason.chars().any(char::is_control) {
        return Err(Problem::field("reason", "1 to 256 bytes without control characters"));
    }
    let id = found(&call, "state:write").await?.id;
    settled(&call.gate.state.roll_back(&id, &reason, call.principal()?, None).await.map_err(problem)?)
}
