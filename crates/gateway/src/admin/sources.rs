//! Sources: who may send events in.

use std::time::Duration;

use nexus_core::problem::Problem;
use nexus_engine::source::{NewSource, SourcePatch};
use serde::Deserialize;

use super::{many, one, removed, with};
use crate::{answer::Answer, call::Call, ingress::schema::demand_schemas, presets::Preset};

/// Longest overlap of two secrets: a year.
const OVERLAP_SECONDS: u64 = 366 * 24 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSecret {
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    overlap_seconds: Option<u64>,
}

/// `GET /api/v1/sources`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    many(&call.hub().sources().list(), None)
}

/// `GET /api/v1/sources/{id}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    one(&call.hub().sources().get(&call.param("id")?)?)
}

/// `POST /api/v1/sources`.
pub(crate) async fn create(mut call: Call) -> Result<Answer, Problem> {
    let new: NewSource = call.json().await?;
    demand_preset(new.preset.as_deref())?;
    demand_schemas(new.schemas.iter())?;
    let created = call.hub().sources().create(new, call.principal()?).await?;
    Ok(with(&created.value, "secret", created.secret)?.created())
}

/// `PATCH /api/v1/sources/{id}`.
pub(crate) async fn update(mut call: Call) -> Result<Answer, Problem> {
    let patch: SourcePatch = call.json().await?;
    demand_preset(patch.preset.as_deref())?;
    demand_schemas(patch.schemas.iter().flatten())?;
    one(&call.hub().sources().update(&call.param("id")?, patch, call.principal()?).await?)
}

/// `DELETE /api/v1/sources/{id}`.
pub(crate) async fn delete(call: Call) -> Result<Answer, Problem> {
    let id = call.param("id")?;
    call.hub().sources().delete(&id, call.principal()?).await?;
    removed("id", &id)
}

/// `POST /api/v1/sources/{id}/secrets`.
pub(crate) async fn add_secret(mut call: Call) -> Result<Answer, Problem> {
    let new: NewSecret = call.json().await?;
    if new.overlap_seconds.is_some_and(|s| s > OVERLAP_SECONDS) {
        return Err(Problem::field("overlap_seconds", format!("at most {OVERLAP_SECONDS}")));
    }
    let overlap = new.overlap_seconds.map(Duration::from_secs);
    let sources = call.hub().sources();
    let created = sources.add_secret(&call.param("id")?, new.secret, overlap, call.principal()?).await?;
    Ok(with(&created.value, "secret", created.secret)?.created())
}

/// `DELETE /api/v1/sources/{id}/secrets/{name}`.
pub(crate) async fn remove_secret(call: Call) -> Result<Answer, Problem> {
    let (id, name) = (call.param("id")?, call.param("name")?);
    one(&call.hub().sources().remove_secret(&id, &name, call.principal()?).await?)
}

fn demand_preset(preset: Option<&str>) -> Result<(), Problem> {
    match preset.map(str::parse::<Preset>) {
        Some(Err(error)) => Err(Problem::field("preset", error.to_string())),
        _ => Ok(()),
    }
}
