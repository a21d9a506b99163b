//! Subscriptions: which events go where.

use nexus_core::problem::Problem;
use nexus_engine::subscription::{NewSubscription, Subscription, SubscriptionPatch};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{many, one, removed, shown};
use crate::{
    answer::Answer,
    call::{Call, typed},
};

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

/// A subscription without the name under which the vault keeps its secret; `secret` is the secret itself, this once.
fn told(subscription: &Subscription, secret: Option<String>) -> Result<Value, Problem> {
    let mut value = shown(subscription)?;
    if let Value::Object(fields) = &mut value {
        let signed = fields.remove("secret_ref").is_some();
        fields.insert("signed".to_owned(), signed.into());
        if let Some(secret) = secret {
            fields.insert("secret".to_owned(), secret.into());
        }
    }
    Ok(value)
}

fn one_of(subscription: &Subscription) -> Result<Answer, Problem> {
    Answer::data(&told(subscription, None)?)
}

/// `GET /api/v1/subscriptions`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    let all = call.hub().subscriptions().list();
    let all = all.iter().map(|s| told(s, None)).collect::<Result<Vec<_>, _>>()?;
    Answer::page(&all, None)
}

/// `GET /api/v1/subscriptions/{name}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    one_of(&call.hub().subscriptions().get(&call.param("name")?)?)
}

/// `POST /api/v1/subscriptions`.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Problem> {
    let new: NewSubscription = call.json().await?;
    let created = call.hub().subscriptions().create(new, call.principal()?).await?;
    Ok(Answer::data(&told(&created.value, created.secret)?)?.created())
}

/// `PATCH /api/v1/subscriptions/{name}`.
pub(crate) async fn update(mut call: Call) -> Result<Answer, Problem> {
    let patch: SubscriptionPatch = call.json().await?;
    let updated = call.hub().subscriptions().update(&call.param("name")?, patch, call.principal()?).await?;
    Answer::data(&told(&updated.value, updated.secret)?)
}

/// `PUT /api/v1/subscriptions/{name}`: the name may be left out of the body.
pub(crate) async fn ensure(mut call: Call) -> Result<Answer, Problem> {
    let name = call.param("name")?;
    let mut fields: Map<String, Value> = call.json().await?;
    match fields.get("name") {
        None => {
            fields.insert("name".to_owned(), name.into());
        }
        Some(said) if *said == name => {}
        Some(_) => {
            return Err(Problem::field("name", format!("the path names {name:?}; leave it out, or say the same")));
        }
    }
    let body = Value::Object(fields).to_string();
    let new: NewSubscription = typed(body.as_bytes())?;
    let ensured = call.hub().subscriptions().ensure(new, call.principal()?).await?;
    Answer::data(&told(&ensured.value, ensured.secret)?)
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
    one_of(&call.hub().subscriptions().pause(&call.param("name")?, reason, call.principal()?).await?)
}

/// `POST /api/v1/subscriptions/{name}/resume`.
pub(crate) async fn resume(call: Call) -> Result<Answer, Problem> {
    one_of(&call.hub().subscriptions().resume(&call.param("name")?, call.principal()?).await?)
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
