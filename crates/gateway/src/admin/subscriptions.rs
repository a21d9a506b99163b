//! Subscriptions: which events go where.

use nexus_core::problem::Problem;
use nexus_engine::subscription::{NewSubscription, SubscriptionPatch};
use serde::Deserialize;
use serde_json::Value;

use super::{many, one, removed, with};
use crate::{answer::Answer, call::Call};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(default)]
    payload: Option<Value>,
}

/// `GET /api/v1/subscriptions`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    many(&call.hub().subscriptions().list(), None)
}

/// `GET /api/v1/subscriptions/{name}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    one(&call.hub().subscriptions().get(&call.param("name")?)?)
}

/// `POST /api/v1/subscriptions`.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Problem> {
    let new: NewSubscription = call.json().await?;
    let created = call.hub().subscriptions().create(new, call.principal()?).await?;
    Ok(with(&created.value, "secret", created.secret)?.created())
}

/// `PATCH /api/v1/subscriptions/{name}`.
pub(crate) async fn update(mut call: Call) -> Result<Answer, Problem> {
    let patch: SubscriptionPatch = call.json().await?;
    let updated = call.hub().subscriptions().update(&call.param("name")?, patch, call.principal()?).await?;
    with(&updated.value, "secret", updated.secret)
}

/// `DELETE /api/v1/subscriptions/{name}`.
pub(crate) async fn delete(call: Call) -> Result<Answer, Problem> {
    let name = call.param("name")?;
    call.hub().subscriptions().delete(&name, call.principal()?).await?;
    removed("name", &name)
}

/// `GET /api/v1/subscriptions/{name}/status`.
pub(crate) async fn status(call: Call) -> Result<Answer, Problem> {
    one(&call.hub().subscriptions().status(&call.param("name")?).await?)
}

/// `POST /api/v1/subscriptions/{name}/pause`.
pub(crate) async fn pause(mut call: Call) -> Result<Answer, Problem> {
    let Reason { reason } = call.json().await?;
    one(&call.hub().subscriptions().pause(&call.param("name")?, reason, call.principal()?).await?)
}

/// `POST /api/v1/subscriptions/{name}/resume`.
pub(crate) async fn resume(call: Call) -> Result<Answer, Problem> {
    one(&call.hub().subscriptions().resume(&call.param("name")?, call.principal()?).await?)
}

/// `POST /api/v1/subscriptions/{name}/test`.
pub(crate) async fn test(mut call: Call) -> Result<Answer, Problem> {
    let Sample { payload } = call.json().await?;
    one(&call.hub().subscriptions().test(&call.param("name")?, payload).await?)
}

/// `GET /api/v1/endpoints`.
pub(crate) async fn endpoints(call: Call) -> Result<Answer, Problem> {
    many(&call.hub().subscriptions().endpoints().await?, None)
}
