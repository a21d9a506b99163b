//! Traces: one from the request that brought an event, through its commit, to each delivery.
//!
//! The context travels in the event itself (`traceparent` among its attributes), so that a delivery hours later, by
//! another process, still belongs to the same trace. Spans are sent as OTLP/HTTP JSON when an endpoint is configured;
//! without one the context is only passed on.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    sign::{hex, unhex},
    time::{Clock, Timestamp},
};
use nexus_outbound::{Client, Reach, Request};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use tokio::sync::mpsc;

/// Spans waiting to be sent; more are dropped, as a trace must never hold up what it traces.
const WAITING: usize = 4_096;
/// Spans per request.
const BATCH: usize = 512;
/// Spans are sent at least this often.
const EVERY: Duration = Duration::from_secs(2);

/// A W3C trace context: which trace, and which span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

impl Context {
    /// Reads `00-<32 hex>-<16 hex>-<2 hex>`; ids of zeros and other versions' longer forms are read as the standard says.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = parts.next()?;
        let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        let lengths = version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
        let lower = text.bytes().all(|b| !b.is_ascii_uppercase());
        if !lengths || !lower || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        unhex(version)?;
        let trace: [u8; 16] = unhex(trace)?.try_into().ok()?;
        let span: [u8; 8] = unhex(span)?.try_into().ok()?;
        let flags = unhex(flags)?;
        if trace == [0; 16] || span == [0; 8] {
            return None;
        }
        Some(Self { trace, span, sampled: flags.first().is_some_and(|f| f & 1 == 1) })
    }
}

impl std::fmt::Display for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "00-{}-{}-{:02x}", hex(&self.trace), hex(&self.span), u8::from(self.sampled))
    }
}

/// What a span is a part of; the number is OTLP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Work within the hub.
    Internal = 1,
    /// A request that came in.
    Server = 2,
    /// A request that went out.
    Client = 3,
}

/// A finished span.
#[derive(Clone, Debug)]
pub struct Span {
    context: Context,
    parent: Option<[u8; 8]>,
    name: &'static str,
    kind: Kind,
    from: Timestamp,
    to: Timestamp,
    attributes: Vec<(&'static str, String)>,
    error: Option<String>,
}

/// A span under way.
#[derive(Clone, Debug)]
pub struct Open {
    /// Its context: what to pass on.
    pub context: Context,
    parent: Option<[u8; 8]>,
    name: &'static str,
    kind: Kind,
    from: Timestamp,
}

impl Open {
    /// Begun earlier than it was opened.
    #[must_use]
    pub fn since(self, from: Timestamp) -> Self {
        Self { from, ..self }
    }
}

/// Makes spans. Cheap to clone; does nothing but pass contexts on when no endpoint is configured.
#[derive(Clone)]
pub struct Tracer {
    spans: Option<mpsc::Sender<Span>>,
    clock: Arc<dyn Clock>,
    random: SystemRandom,
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tracer(exporting: {})", self.spans.is_some())
    }
}

impl Tracer {
    /// One that exports to nobody.
    pub fn off(clock: Arc<dyn Clock>) -> Self {
        Self { spans: None, clock, random: SystemRandom::new() }
    }

    /// One whose spans `Exporter` sends.
    pub fn exporting(clock: Arc<dyn Clock>) -> (Self, Exporter) {
        let (sender, spans) = mpsc::channel(WAITING);
        let tracer = Self { spans: Some(sender), clock: Arc::clone(&clock), random: SystemRandom::new() };
        (tracer, Exporter { spans, clock })
    }

    /// Begins a span under `parent`, or a new trace. `None` when nothing is exported: pass the parent on as it is.
    pub fn begin(&self, name: &'static str, parent: Option<&Context>, kind: Kind) -> Option<Open> {
        self.spans.as_ref()?;
        if parent.is_some_and(|p| !p.sampled) {
            return None;
        }
        let mut bytes = [0u8; 24];
        self.random.fill(&mut bytes).ok()?;
        let mut context = Context { trace: [0; 16], span: [0; 8], sampled: true };
        context.trace.copy_from_slice(&bytes[..16]);
        context.span.copy_from_slice(&bytes[16..]);
        if let Some(parent) = parent {
            context.trace = parent.trace;
        }
        Some(Open { context, parent: parent.map(|p| p.span), name, kind, from: self.clock.now() })
    }

    /// Ends a span. Dropped when the exporter can't keep up.
    pub fn end(&self, open: Open, attributes: Vec<(&'static str, String)>, error: Option<String>) {
        let Some(spans) = &self.spans else { return };
        let Open { context, parent, name, kind, from } = open;
        let _ = spans.try_send(Span { context, parent, name, kind, from, to: self.clock.now(), attributes, error });
    }
}

/// Sends spans as OTLP/HTTP JSON.
pub struct Exporter {
    spans: mpsc::Receiver<Span>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exporter")
    }
}

impl Exporter {
    /// Runs until every tracer is gone. `endpoint` is the collector's base URL; spans go to `/v1/traces` below it.
    pub async fn run(mut self, client: Client, endpoint: String) {
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let mut batch = Vec::with_capacity(BATCH);
        while self.spans.recv_many(&mut batch, BATCH).await > 0 {
            let late = self.clock.sleep(EVERY);
            tokio::pin!(late);
            while batch.len() < BATCH {
                tokio::select! {
                    more = self.spans.recv_many(&mut batch, BATCH) => if more == 0 { break },
                    () = &mut late => break,
                }
            }
            let mut request = Request::post(url.clone(), body(&batch).to_string(), Reach::Private);
            request.headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
            match client.send(request).await {
                Ok(answer) if answer.status.is_success() => {}
                Ok(answer) => tracing::debug!(status = answer.status.as_u16(), "the trace collector refused spans"),
                Err(error) => tracing::debug!(error = %error.message, "the trace collector can't be reached"),
            }
            batch.clear();
        }
    }
}

/// `ExportTraceServiceRequest` in OTLP's JSON form.
fn body(spans: &[Span]) -> serde_json::Value {
    let nanos = |t: Timestamp| (i128::from(t.micros()) * 1_000).to_string();
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let spans: Vec<_> = spans
        .iter()
        .map(|s| {
            let status = s.error.as_ref().map_or_else(|| json!({"code": 1}), |e| json!({"code": 2, "message": e}));
            let attributes: Vec<_> = s.attributes.iter().map(|(k, v)| text(k, v)).collect();
            json!({
                "traceId": hex(&s.context.trace), "spanId": hex(&s.context.span),
                "parentSpanId": s.parent.map(|p| hex(&p)).unwrap_or_default(),
                "name": s.name, "kind": s.kind as u8,
                "startTimeUnixNano": nanos(s.from), "endTimeUnixNano": nanos(s.to),
                "attributes": attributes, "status": status,
            })
        })
        .collect();
    let resource =
        json!({"attributes": [text("service.name", "nexus"), text("service.version", env!("CARGO_PKG_VERSION"))]});
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "nexus"}, "spans": spans}]}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_read_as_the_standard_says() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(Context::parse(text).map(|c| c.to_string()).as_deref(), Some(text));
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-zzf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Context::parse(bad), None, "{bad}");
        }
    }
}
