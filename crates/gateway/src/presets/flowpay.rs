//! FlowPay: `{transactionId|orderId, amount, payerId, currency?, status?, metadata?}`.

use nexus_core::topic::Topic;
use serde_json::Value;

use super::{
    body::{self, Parsed},
    error::MapError,
    request::Mapped,
};

/// What a status means; `None` for one that is none of our business (pending, refunded, …).
fn outcome(parsed: &Value) -> Result<Option<&'static str>, MapError> {
    status(parsed, &["confirmed", "completed"], "payment.received", "payment.failed")
}

/// The topic for `status`: `done` when absent or in `done_when`, `failed` when `failed`, in any case of letters.
pub(super) fn status(
    parsed: &Value,
    done_when: &[&str],
    done: &'static str,
    failed: &'static str,
) -> Result<Option<&'static str>, MapError> {
    match parsed.get("status") {
        None | Some(Value::Null) => Ok(Some(done)),
        Some(Value::String(status)) if done_when.iter().any(|d| status.eq_ignore_ascii_case(d)) => Ok(Some(done)),
        Some(Value::String(status)) if status.eq_ignore_ascii_case("failed") => Ok(Some(failed)),
        Some(Value::String(_)) => Ok(None),
        Some(_) => Err(MapError::field("status", "must be a string such as confirmed or failed")),
    }
}

/// The text of a field that must be there.
pub(super) fn required(parsed: &Value, field: &'static str) -> Result<String, MapError> {
    match parsed.get(field) {
        None | Some(Value::Null) => Err(MapError::field(field, "is missing")),
        Some(_) => body::id(parsed, &[field]).ok_or_else(|| MapError::field(field, "must be a text that is not empty")),
    }
}

fn transaction(parsed: &Value) -> Result<String, MapError> {
    let given = |field| parsed.get(field).is_some_and(|v| !v.is_null());
    if !given("transactionId") && given("orderId") {
        return required(parsed, "orderId");
    }
    required(parsed, "transactionId").map_err(|error| match error {
        MapError::Field { field, reason } if reason == "is missing" => {
            MapError::field(field, "is missing; give transactionId or orderId")
        }
        error => error,
    })
}

fn amount(parsed: &Value) -> Result<(), MapError> {
    let number = match parsed.get("amount") {
        None | Some(Value::Null) => return Err(MapError::field("amount", "is missing")),
        Some(Value::Number(number)) => number.as_f64(),
        // Some gateways send decimals as text, so that no reader rounds them.
        Some(Value::String(text)) if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') => text.parse().ok(),
        Some(_) => None,
    };
    match number {
        Some(number) if number >= 0.0 => Ok(()),
        _ => Err(MapError::field("amount", "must be a number, zero or more")),
    }
}

/// A transaction with the same outcome is the same delivery, whatever it is called in between.
pub(super) fn delivery(parsed: &Value) -> Option<String> {
    Some(body::key(&[&transaction(parsed).ok()?, outcome(parsed).ok()??]))
}

pub(super) fn map(parsed: Parsed) -> Result<Mapped, MapError> {
    body::object(&parsed)?;
    let Some(outcome) = outcome(&parsed.value)? else {
        return Ok(Mapped::Ignored { reason: "the status is neither confirmed, completed nor failed".into() });
    };
    let transaction = transaction(&parsed.value)?;
    amount(&parsed.value)?;
    required(&parsed.value, "payerId")?;
    let delivery = delivery(&parsed.value);
    Ok(body::one(Topic::from_canonical(outcome), parsed.data, Some(transaction), delivery))
}
