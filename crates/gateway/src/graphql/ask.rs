//! Who asks, and what of it a field may answer. Scopes are checked field by field; refusals are the hub's own problems.

use std::sync::Arc;

use async_graphql::{Context, Error, ErrorExtensionValues, ServerError, Value};
use nexus_core::{
    problem::{Code, Problem},
    time::Timestamp,
};
use nexus_engine::Hub;

use super::admission::Unfit;
use crate::{error, gate::Gate, identity::Presented};

/// What every resolver knows of its request.
pub(super) struct Ask {
    /// What all requests share.
    pub(super) gate: Arc<Gate>,
    /// Whose request it is.
    pub(super) who: Presented,
}

impl Ask {
    /// The request's, which the doors put there.
    pub(super) fn of<'c>(ctx: &Context<'c>) -> Result<&'c Self, Error> {
        ctx.data::<Self>().map_err(|_| refusal(&Problem::new(Code::Internal, "the request has no caller")))
    }

    /// The request's, of whoever holds `scope` (for some topics or keys at least).
    pub(super) fn may<'c>(ctx: &Context<'c>, scope: &str) -> Result<&'c Self, Error> {
        let ask = Self::of(ctx)?;
        if ask.who.principal.may_some(scope) {
            return Ok(ask);
        }
        let message = format!("{} lacks the scope {scope}", ask.who.principal.name);
        Err(refusal(&Problem::new(Code::Forbidden, message)))
    }

    /// The hub.
    pub(super) fn hub(&self) -> &Hub {
        &self.gate.hub
    }

    /// The hub's time.
    pub(super) fn now(&self) -> Timestamp {
        self.gate.hub.clock().now()
    }
}

/// A problem as an error of a field.
pub(super) fn refusal(problem: &Problem) -> Error {
    let mut error = Error::new(problem.message.clone());
    error.extensions = Some(extensions(problem));
    error
}

/// A problem as an error of a whole request.
pub(super) fn refused(why: &Unfit) -> ServerError {
    let mut error = ServerError::new(why.problem.message.clone(), None);
    error.extensions = Some(extensions(&why.problem));
    error.locations.clone_from(&why.at);
    error
}

/// `code`, `retryable`, and what else there is to say.
fn extensions(problem: &Problem) -> ErrorExtensionValues {
    let mut values = ErrorExtensionValues::default();
    values.set("code", problem.code.as_str());
    values.set("retryable", error::retryable(problem.code));
    if !problem.details.is_empty() {
        let details = problem.details.iter().map(|(k, v)| (async_graphql::Name::new(k), Value::from(v.as_str())));
        values.set("details", Value::Object(details.collect()));
    }
    if let Some(after) = problem.retry_after {
        values.set("retryAfterMs", u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    }
    values
}

/// Gives the library's own errors, which have no code, the one that fits: the document does not fit the schema.
pub(super) fn label(errors: &mut [ServerError]) {
    for error in errors {
        let values = error.extensions.get_or_insert_default();
        if values.get("code").is_none() {
            // The library says its limit in these words only.
            let large = error.message == "Query is nested too deep.";
            let code = if large { Code::TooLarge } else { Code::Invalid };
            values.set("code", code.as_str());
            values.set("retryable", false);
        }
    }
}
