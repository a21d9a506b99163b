//! Where an event belongs, by the headers of its request: correlation, cause, depth and trace.

use nexus_core::{event::NewEvent, id::EventId, limits::ID_BYTES, problem::Problem};

use nexus_services::state::Origin;

use crate::{call::Call, error::malformed};

/// What the headers say of all events of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineage {
    correlation: Option<String>,
    causation: Option<EventId>,
    depth: u8,
    traceparent: Option<String>,
    /// `Idempotency-Key`.
    pub(super) key: Option<String>,
}

impl Lineage {
    /// Reads `X-Correlation-ID`, `X-Causation-ID`, `X-Nexus-Depth`, `traceparent` and `Idempotency-Key`. Deliveries carry
    /// the first three with the values that an effect of the delivered event has, for its receiver to hand back.
    pub(crate) async fn of(call: &Call) -> Result<Self, Problem> {
        let causation: Option<EventId> = match call.header("x-causation-id") {
            Some(text) => Some(text.parse().map_err(|error| malformed(format!("X-Causation-ID: {error}")))?),
            None => None,
        };
        let depth: Option<u8> = match call.header("x-nexus-depth") {
            Some(text) => {
                Some(text.trim().parse().map_err(|_| malformed("X-Nexus-Depth must be a number from 0 to 255"))?)
            }
            None => None,
        };
        let mut lineage = Self {
            correlation: id_header(call, "x-correlation-id", "X-Correlation-ID")?,
            causation,
            depth: depth.unwrap_or(0),
            // The standard says to go on without a trace context that can't be read.
            traceparent: call.header("traceparent").filter(|t| is_traceparent(t)).map(str::to_owned),
            key: id_header(call, "idempotency-key", "Idempotency-Key")?,
        };
        if let Some(cause) = causation
            && (depth.is_none() || lineage.correlation.is_none())
            && let Some(cause) = call.hub().event(cause).await?
        {
            // What the caller left out is known here.
            lineage.correlation.get_or_insert_with(|| cause.correlation_id());
            if depth.is_none() {
                lineage.depth = cause.depth.saturating_add(1);
            }
        }
        Ok(lineage)
    }

    /// It as that of a run that the request begins; what belongs to nothing belongs to the request.
    pub(crate) fn of_run(&self, request: &str) -> nexus_flows::host::Lineage {
        nexus_flows::host::Lineage {
            correlation: Some(self.correlation.clone().unwrap_or_else(|| request.to_owned())),
            causation: self.causation,
            depth: self.depth.max(1),
            traceparent: self.traceparent.clone(),
        }
    }

    /// The caller's `Idempotency-Key`.
    pub(crate) fn idempotency_key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// It as the origin of a change of state by `who`.
    pub(crate) fn origin(self, who: &str) -> Origin {
        Origin {
            by: who.to_owned(),
            correlation: self.correlation,
            causation: self.causation,
            depth: self.depth,
            traceparent: self.traceparent,
        }
    }

    /// The share of one of several events of a request: one `Idempotency-Key` covers them all.
    pub(crate) fn share(&self, n: usize) -> Self {
        Self { key: self.key.as_ref().map(|key| format!("{key}#{n}")), ..self.clone() }
    }

    /// Writes it into an event; what the event says itself goes first.
    pub(crate) fn mark(&self, event: &mut NewEvent) {
        event.correlation = event.correlation.take().or_else(|| self.correlation.clone());
        event.causation = event.causation.or(self.causation);
        event.depth = self.depth;
        event.attributes.traceparent = event.attributes.traceparent.take().or_else(|| self.traceparent.clone());
    }
}

/// A header that holds an id.
pub(crate) fn id_header(call: &Call, name: &str, shown: &str) -> Result<Option<String>, Problem> {
    let Some(value) = call.parts.headers.get(name) else { return Ok(None) };
    match value.to_str().map(str::trim) {
        Ok(text) if id_fits(text) => Ok(Some(text.to_owned())),
        _ => Err(malformed(format!("{shown} must be 1 to {ID_BYTES} visible ASCII characters"))),
    }
}

/// Whether a text may be an id: not empty, not long, no control characters.
pub(crate) fn id_fits(text: &str) -> bool {
    (1..=ID_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, not all zero.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |part: &str| part.bytes().all(|b| b == b'0');
    matches!(parts.as_slice(), [v, trace, span, flags, ..]
        if hex(v, 2) && *v != "ff" && hex(trace, 32) && !zero(trace) && hex(span, 16) && !zero(span) && hex(flags, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_taken_only_in_its_form() {
        assert!(is_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
        assert!(id_fits("order-7") && !id_fits("") && !id_fits("a\nb") && !id_fits(&"x".repeat(257)));
    }
}
