//! Replays: old events delivered again.

use nexus_core::problem::Problem;
use nexus_engine::replays::ReplayRequest;

use super::{many, one};
use crate::{answer::Answer, call::Call, error::not_found};

/// `POST /api/v1/replays`; with `dry_run` only counts, which stores nothing.
pub(crate) async fn start(mut call: Call) -> Result<Answer, Problem> {
    let request: ReplayRequest = call.json().await?;
    if request.dry_run {
        return one(&call.hub().replays().count(&request).await?);
    }
    Ok(one(&call.hub().replays().start(&request, call.principal()?).await?)?.created())
}

/// `GET /api/v1/replays`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    many(&call.hub().replays().list(), None)
}

/// `GET /api/v1/replays/{id}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    one(&call.hub().replays().get(id(&call)?).await?)
}

/// `POST /api/v1/replays/{id}/cancel`.
pub(crate) async fn cancel(call: Call) -> Result<Answer, Problem> {
    one(&call.hub().replays().cancel(id(&call)?, call.principal()?).await?)
}

fn id(call: &Call) -> Result<u32, Problem> {
    let text = call.param("id")?;
    text.parse().map_err(|_| not_found("replay", &text))
}
