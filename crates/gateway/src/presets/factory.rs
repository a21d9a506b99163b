//! Smart Factory: `{contractAddress, txHash, status?}`.

use nexus_core::topic::Topic;
use serde_json::Value;

use super::{
    body::{self, Parsed},
    error::MapError,
    flowpay::{required, status},
    request::Mapped,
};

fn outcome(parsed: &Value) -> Result<Option<&'static str>, MapError> {
    status(parsed, &["deployed", "confirmed"], "mint.confirmed", "mint.failed")
}

/// A transaction with the same outcome is the same delivery.
pub(super) fn delivery(parsed: &Value) -> Option<String> {
    Some(body::key(&[&required(parsed, "txHash").ok()?, outcome(parsed).ok()??]))
}

pub(super) fn map(parsed: Parsed) -> Result<Mapped, MapError> {
    body::object(&parsed)?;
    let Some(outcome) = outcome(&parsed.value)? else {
        return Ok(Mapped::Ignored { reason: "the status is neither deployed, confirmed nor failed".into() });
    };
    required(&parsed.value, "contractAddress")?;
    let hash = required(&parsed.value, "txHash")?;
    let delivery = delivery(&parsed.value);
    Ok(body::one(Topic::from_canonical(outcome), parsed.data, Some(hash), delivery))
}
