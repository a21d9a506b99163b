//! Deliveries out of the ordinary, and dead letters.

use nexus_core::{problem::Problem, store::ExceptionState};
use nexus_engine::deliveries::{DeliveryQuery, Select};
use serde::Deserialize;

use super::{count, many, one};
use crate::{answer::Answer, call::Call, query::Query};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    subscription: Option<String>,
    #[serde(default)]
    all: bool,
}

impl Selection {
    /// Exactly one of the three: to select everything by mistake must not be possible.
    fn select(self) -> Result<Select, Problem> {
        match (self.id, self.subscription, self.all) {
            (Some(id), None, false) => Ok(Select::One(id)),
            (None, Some(name), false) => Ok(Select::Subscription(name)),
            (None, None, true) => Ok(Select::All),
            _ => Err(Problem::field("body", "give exactly one of id, subscription, or all: true")),
        }
    }
}

/// `GET /api/v1/deliveries`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let state = match query.text("state") {
        None => None,
        Some("retrying") => Some(ExceptionState::Retrying),
        Some("dead") => Some(ExceptionState::Dead),
        Some("delivered") => Some(ExceptionState::Delivered),
        Some(other) => return Err(Problem::field("state", format!("{other:?}: retrying, dead or delivered"))),
    };
    page(&call, &query, state).await
}

/// `GET /api/v1/dead-letters`.
pub(crate) async fn dead(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    page(&call, &query, Some(ExceptionState::Dead)).await
}

async fn page(call: &Call, query: &Query, state: Option<ExceptionState>) -> Result<Answer, Problem> {
    let asked = DeliveryQuery {
        subscription: query.text("subscription").map(str::to_owned),
        event: query.read("event")?,
        state,
        cursor: query.text("cursor").map(str::to_owned),
        limit: query.limit(50, 200)?,
    };
    let (found, next) = call.hub().deliveries().list(asked).await?;
    many(&found, next.as_deref())
}

/// `GET /api/v1/deliveries/{id}` and `GET /api/v1/dead-letters/{id}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    one(&call.hub().deliveries().get(&call.param("id")?).await?)
}

/// `POST /api/v1/dead-letters/redrive`.
pub(crate) async fn redrive_many(mut call: Call) -> Result<Answer, Problem> {
    let selection: Selection = call.json().await?;
    redrive(&call, selection.select()?).await
}

/// `POST /api/v1/dead-letters/{id}/redrive`.
pub(crate) async fn redrive_one(call: Call) -> Result<Answer, Problem> {
    let id = call.param("id")?;
    redrive(&call, Select::One(id)).await
}

async fn redrive(call: &Call, select: Select) -> Result<Answer, Problem> {
    count("redriven", call.hub().deliveries().redrive(select, call.principal()?).await?)
}

/// `DELETE /api/v1/dead-letters`.
pub(crate) async fn delete_many(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let subscription = query.text("subscription").map(str::to_owned);
    let selection = Selection { id: None, subscription, all: query.flag("all")? };
    let select = match selection.select() {
        Ok(select) => select,
        Err(_) => return Err(Problem::field("subscription", "give ?subscription= or ?all=true")),
    };
    delete(&call, select).await
}

/// `DELETE /api/v1/dead-letters/{id}`.
pub(crate) async fn delete_one(call: Call) -> Result<Answer, Problem> {
    let id = call.param("id")?;
    delete(&call, Select::One(id)).await
}

async fn delete(call: &Call, select: Select) -> Result<Answer, Problem> {
    count("deleted", call.hub().deliveries().delete(select, call.principal()?).await?)
}
