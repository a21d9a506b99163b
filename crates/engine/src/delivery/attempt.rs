//! One attempt: the request is built, signed and sent, and its answer judged.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use nexus_core::{
    event::{Seq, StoredEvent},
    retry::{Verdict, classify},
    sign::hex,
    time::{Clock, Timestamp},
};
use nexus_outbound::{Client, Reach, Request};
use ring::digest;

use super::{
    exchange::{Exchange, Received, Sent, head},
    handler::{Announced, Handed, Handler, Unhandled},
    outcome::Answer,
    spec::{Spec, view},
};
use crate::{
    connectors::http_date,
    hide::Hider,
    subscription::Target,
    trace::{Context, Kind, Open, Tracer},
    vault::Vault,
};

/// Headers that a delivery normally has, those of the client included.
const HEADERS: usize = 16;

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
static WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
static WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
static NEXUS_SIGNATURE: HeaderName = HeaderName::from_static("x-nexus-signature");
static EVENT_ID: HeaderName = HeaderName::from_static("x-nexus-event-id");
static ATTEMPT: HeaderName = HeaderName::from_static("x-nexus-attempt");
static DEPTH: HeaderName = HeaderName::from_static("x-nexus-depth");
static REPLAY: HeaderName = HeaderName::from_static("x-nexus-replay");
static CAUSATION_ID: HeaderName = HeaderName::from_static("x-causation-id");
static CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Makes attempts.
pub struct Sender {
    client: Client,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    handlers: BTreeMap<String, Arc<dyn Handler>>,
    tracer: Tracer,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({} handlers)", self.handlers.len())
    }
}

/// What goes out beside the event itself.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// How to send.
    pub spec: &'a Spec,
    /// 0, or the replay's number.
    pub generation: u32,
    /// Which attempt, from 1.
    pub attempt: u16,
    /// What the handler said when it was announced.
    pub announced: Option<&'a Announced>,
}

/// The id that every attempt of one delivery carries.
pub fn delivery_id(sub: u32, event: &StoredEvent, generation: u32) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&sub.to_be_bytes());
    context.update(event.id.as_bytes());
    context.update(&generation.to_be_bytes());
    format!("msg_{}", hex(&context.finish().as_ref()[..16]))
}

/// The trace that an event belongs to.
fn context(event: &StoredEvent) -> Option<Context> {
    event.attributes.as_ref().and_then(|_| Context::parse(&event.attributes().traceparent?))
}

impl Sender {
    /// Over this client, these secrets and handlers.
    pub fn new(
        client: Client,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        handlers: BTreeMap<String, Arc<dyn Handler>>,
        tracer: Tracer,
    ) -> Self {
        Self { client, vault, clock, handlers, tracer }
    }

    /// Whether a handler of this name is registered.
    pub fn has_handler(&self, name: &str) -> bool {
        self.handlers.contains_key(name)
    }

    /// Tells the handler of a subscription, if it has one, that this event is coming.
    pub fn announce(&self, spec: &Spec, seq: Seq) -> Option<Announced> {
        let Target::Handler { name, argument } = &spec.subscription.target else { return None };
        self.handlers.get(name)?.coming(seq, argument.as_deref())
    }

    /// The client, for what else the hub sends.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Makes one attempt, as a span of the event's trace.
    pub async fn attempt(&self, event: &StoredEvent, delivery: Delivery<'_>) -> Answer {
        let parent = context(event);
        let span = self.tracer.begin("deliver", parent.as_ref(), Kind::Client);
        let context = span.as_ref().map(|s| s.context).or(parent);
        let answer = self.send(event, delivery, context).await;
        self.told(span, event, delivery, &answer);
        answer
    }

    /// An attempt that a consumer made, as a span of the event's trace: from when it took the event to its answer.
    pub fn consumed(&self, event: &StoredEvent, delivery: Delivery<'_>, answer: &Answer) {
        let span = self.tracer.begin("deliver", context(event).as_ref(), Kind::Internal);
        self.told(span.map(|span| span.since(answer.started)), event, delivery, answer);
    }

    fn told(&self, span: Option<Open>, event: &StoredEvent, delivery: Delivery<'_>, answer: &Answer) {
        let Some(span) = span else { return };
        let mut attributes = vec![
            ("nexus.event.id", event.id.to_string()),
            ("nexus.event.type", event.topic.to_string()),
            ("nexus.subscription", delivery.spec.subscription.name.clone()),
            ("nexus.attempt", delivery.attempt.to_string()),
        ];
        attributes.extend(answer.status.map(|status| ("http.response.status_code", status.to_string())));
        self.tracer.end(span, attributes, answer.error.clone());
    }

    async fn send(&self, event: &StoredEvent, delivery: Delivery<'_>, context: Option<Context>) -> Answer {
        let started = self.clock.now();
        let begun = self.clock.mono();
        if let Target::Handler { name, argument } = &delivery.spec.subscription.target {
            let result = self.call(name, argument.as_deref(), event, delivery).await;
            let verdict = match &result {
                Ok(()) => Verdict::Success,
                Err(Unhandled { dead: false, .. }) => Verdict::Retry,
                Err(Unhandled { dead: true, .. }) => Verdict::Refused,
            };
            let latency = self.clock.mono().saturating_sub(begun);
            let error = result.err().map(|unhandled| unhandled.reason);
            return Answer {
                verdict,
                status: None,
                error,
                retry_after: None,
                retry_in: None,
                started,
                latency,
                request_head: None,
                response_head: None,
            };
        }
        let keep = delivery.spec.subscription.keep_exchanges;
        let (request, hider) = match self.request(event, delivery, context) {
            Ok(built) => built,
            // The event or the configuration is at fault, not the endpoint.
            Err(error) => {
                let mut answer = failed(error, started, Duration::ZERO);
                answer.verdict = Verdict::Retry;
                return answer;
            }
        };
        // What is kept lies in the data folder as it is: no secret goes into it, also where an endpoint repeats one.
        let line = hider.text(&format!("{} {}", request.method, request.url));
        let request_head = keep.then(|| format!("{line}\n{}", head(&request.body, &hider)));
        match self.client.send(request).await {
            Ok(response) => {
                let status = response.status.as_u16();
                let verdict = classify(Some(status));
                let success = verdict == Verdict::Success;
                Answer {
                    verdict,
                    status: Some(status),
                    error: (!success).then(|| format!("the endpoint answered {status}")),
                    retry_after: retry_after(&response.headers, self.clock.now()),
                    retry_in: None,
                    started,
                    latency: response.latency,
                    request_head: request_head.or_else(|| (!success).then_some(line)),
                    response_head: (keep || !success).then(|| head(&response.body_head, &hider)),
                }
            }
            Err(error) => {
                // An answer whose body would not end still was an answer.
                let verdict = classify(error.status);
                let message = (verdict != Verdict::Success).then(|| hider.text(&error.message));
                let mut answer = failed(message.unwrap_or_default(), started, error.latency);
                answer.verdict = verdict;
                answer.status = error.status;
                if verdict == Verdict::Success {
                    answer.error = None;
                }
                answer
            }
        }
    }

    async fn call(
        &self,
        name: &str,
        argument: Option<&str>,
        event: &StoredEvent,
        delivery: Delivery<'_>,
    ) -> Result<(), Unhandled> {
        let handler = self.handlers.get(name).ok_or_else(|| format!("no handler {name:?} is registered"))?;
        let id = delivery_id(delivery.spec.subscription.no, event, delivery.generation);
        let limit = self.clock.sleep(delivery.spec.subscription.timeout());
        tokio::select! {
            result = handler.handle(event, Handed { announced: delivery.announced, delivery_id: &id, argument }) => result,
            () = limit => Err(format!("the handler took longer than {} ms", delivery.spec.subscription.timeout_ms).into()),
        }
    }

    /// Sends `event` once and shows everything.
    pub async fn test(&self, event: &StoredEvent, delivery: Delivery<'_>) -> Result<Exchange, String> {
        if let Target::Handler { name, argument } = &delivery.spec.subscription.target {
            let begun = self.clock.mono();
            let error =
                self.call(name, argument.as_deref(), event, delivery).await.err().map(|unhandled| unhandled.reason);
            let request = Sent {
                method: "CALL".into(),
                url: format!("handler:{name}"),
                headers: BTreeMap::new(),
                body: head(event.json(), &Hider::default()),
            };
            let latency_ms = self.clock.mono().saturating_sub(begun).as_secs_f64() * 1e3;
            return Ok(Exchange { request, response: None, error, latency_ms });
        }
        let (request, hider) = self.request(event, delivery, None)?;
        let sent = Sent::of(&request, &hider);
        Ok(match self.client.send(request).await {
            Ok(response) => Exchange {
                request: sent,
                latency_ms: response.latency.as_secs_f64() * 1e3,
                response: Some(Received::of(&response, &hider)),
                error: None,
            },
            Err(error) => Exchange {
                request: sent,
                latency_ms: error.latency.as_secs_f64() * 1e3,
                response: None,
                error: Some(hider.text(&error.message)),
            },
        })
    }

    /// The request, and what of it nobody may be shown.
    fn request(
        &self,
        event: &StoredEvent,
        delivery: Delivery<'_>,
        context: Option<Context>,
    ) -> Result<(Request, Hider), String> {
        let mut hider = Hider::default();
        let subscription = &delivery.spec.subscription;
        let name = delivery.spec.name_for(event);
        let reach = if subscription.private { Reach::Private } else { Reach::Public };
        let (method, url, extra, body) = match &subscription.target {
            Target::Webhook { url, headers } => ("POST", url.clone(), headers, webhook_body(event, &name)),
            Target::Http { method, url, headers, body } => {
                let input = view(event, &name);
                let url = if let Some(expression) = url.strip_prefix('=') {
                    text(delivery.spec, expression, &input)?
                } else {
                    self.vault.expand_hiding(url, &mut hider)?
                };
                let body = match body {
                    Some(expression) => {
                        delivery.spec.evaluate(expression, &input).map_err(|e| format!("body: {e}"))?.into()
                    }
                    None => Bytes::copy_from_slice(event.json()),
                };
                (method.as_str(), url, headers, body)
            }
            Target::Handler { .. } => return Err("a handler has no request".into()),
            Target::Consumer {} => return Err("consumers take deliveries by themselves: no request is sent".into()),
        };
        let mut request = Request::post(url, body, reach);
        request.method = method.parse().map_err(|_| format!("{method:?} is no HTTP method"))?;
        request.timeout = Some(subscription.timeout());
        self.headers(&mut request, event, delivery)?;
        if let Some(context) = context {
            put(&mut request, &TRACEPARENT, &context.to_string())?;
        }
        for (key, value) in extra {
            let value = match value.strip_prefix('=') {
                Some(expression) => text(delivery.spec, expression, &view(event, &name))?,
                None => self.vault.expand_hiding(value, &mut hider)?,
            };
            set(&mut request, key, &value)?;
        }
        Ok((request, hider))
    }

    /// What every request carries: who it is, where it belongs, and proof that it is ours.
    fn headers(&self, request: &mut Request, event: &StoredEvent, delivery: Delivery<'_>) -> Result<(), String> {
        let subscription = &delivery.spec.subscription;
        let id = delivery_id(subscription.no, event, delivery.generation);
        let event_id = event.id.to_string();
        let secs = self.clock.now().secs().to_string();
        request.headers.reserve(HEADERS);
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        put(request, &IDEMPOTENCY_KEY, &id)?;
        put(request, &WEBHOOK_ID, &id)?;
        put(request, &WEBHOOK_TIMESTAMP, &secs)?;
        put(request, &EVENT_ID, &event_id)?;
        request.headers.insert(ATTEMPT.clone(), delivery.attempt.into());
        // Whoever sends an event back because of this one echoes it: loops end at a depth.
        request.headers.insert(DEPTH.clone(), u16::from(event.depth.saturating_add(1)).into());
        put(request, &CAUSATION_ID, &event_id)?;
        // Correlation ids are the producer's: one that is no header value is left out rather than failing the delivery.
        let _ = put(request, &CORRELATION_ID, event.correlation.as_deref().unwrap_or(&event_id));
        if delivery.generation > 0 {
            request.headers.insert(REPLAY.clone(), delivery.generation.into());
        }
        if let Some(signer) = subscription.secret.as_deref().and_then(|name| self.vault.request_signer(name)) {
            put(request, &NEXUS_SIGNATURE, &signer.nexus(&request.body))?;
            let standard = signer.standard(&id, &secs, &request.body).map_err(|e| e.to_string())?;
            put(request, &WEBHOOK_SIGNATURE, &standard)?;
        }
        Ok(())
    }
}

fn webhook_body(event: &StoredEvent, name: &str) -> Bytes {
    let mut out = Vec::with_capacity(event.json().len() + 160);
    out.extend_from_slice(b"{\"event\":");
    out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
    out.extend_from_slice(b",\"payload\":");
    out.extend_from_slice(event.json());
    out.extend_from_slice(format!(",\"timestamp\":{},\"id\":\"{}\"}}", event.time.millis(), event.id).as_bytes());
    out.into()
}

fn text(spec: &Spec, expression: &str, input: &[u8]) -> Result<String, String> {
    let result = spec.evaluate(expression, input)?;
    // A JSON text goes out as what it says, everything else as it is written.
    Ok(serde_json::from_str::<String>(&result).unwrap_or(result))
}

fn set(request: &mut Request, key: &str, value: &str) -> Result<(), String> {
    let name: http::HeaderName = key.parse().map_err(|_| format!("{key:?} is no header name"))?;
    let value =
        value.parse().map_err(|_| format!("the value of header {key:?} has characters a header can't carry"))?;
    request.headers.insert(name, value);
    Ok(())
}

/// Sets a header of our own.
fn put(request: &mut Request, name: &HeaderName, value: &str) -> Result<(), String> {
    let value = HeaderValue::from_str(value)
        .map_err(|_| format!("the value of header {name} has characters a header can't carry"))?;
    request.headers.insert(name.clone(), value);
    Ok(())
}

fn failed(error: String, started: Timestamp, latency: Duration) -> Answer {
    Answer {
        verdict: Verdict::RetryUnwell,
        status: None,
        error: Some(error),
        retry_after: None,
        retry_in: None,
        started,
        latency,
        request_head: None,
        response_head: None,
    }
}

/// How long the endpoint asks to wait: seconds, or until a date. That goes by the endpoint's own clock where it tells it.
fn retry_after(headers: &http::HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let there = text(header::DATE).and_then(http_date).unwrap_or(now);
    http_date(asked).map(|until| until.since(there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date_by_the_clock_of_the_endpoint() {
        let now = Timestamp::parse("2026-01-02T03:04:05Z").expect("a time");
        let wait = |pairs: &[(HeaderName, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            retry_after(&pairs.collect(), now).map(|wait| wait.as_secs())
        };
        let after = header::RETRY_AFTER;
        assert_eq!(wait(&[(after.clone(), " 120 ")]), Some(120));
        let date = "Fri, 02 Jan 2026 03:05:05 GMT";
        assert_eq!(wait(&[(after.clone(), date)]), Some(60));
        assert_eq!(wait(&[(after.clone(), date), (header::DATE, "Fri, 02 Jan 2026 03:05:00 GMT")]), Some(5));
        assert_eq!(wait(&[(after.clone(), "Fri, 02 Jan 2026 03:00:00 GMT")]), Some(0));
        assert_eq!(wait(&[(after, "soon")]), None);
        assert_eq!(wait(&[]), None);
    }
}
