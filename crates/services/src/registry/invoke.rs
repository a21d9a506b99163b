//! The call: pick an instance, send, and try another one where that can do no harm.
//!
//! A request is sent again only when the first instance can't have seen it (no connection), or when the caller said that
//! a repeat does no harm (an idempotency key). The time is one for all tries together.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use nexus_core::{
    limits::EVENT_DEPTH,
    problem::{Code, Problem},
    store::CommitError,
};
use nexus_engine::{desk::refused, trace};
use nexus_outbound::{Kind, Reach, Request, Response, SendError};

use super::{
    Registry,
    book::{Group, Instance},
    choice::{Draw, Strategy, choose, hash, mix},
    metrics::Outcome,
    options::{INVOKE_ANSWER_BYTES, INVOKE_TRIES, INVOKES_AT_ONCE},
    unknown,
};

/// A timeout that a caller chose shorter than this says nothing about the instance.
const FAIR_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest time after which a caller is asked to come back.
const COME_BACK: Duration = Duration::from_secs(30);

/// One call.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// One JSON value.
    pub body: Bytes,
    /// For the whole call; absent = the hub's, bounded by its longest.
    pub timeout: Option<Duration>,
    /// How the instance is chosen; absent = as the service or the hub says.
    pub strategy: Option<Strategy>,
    /// For [`Strategy::ConsistentHash`], which a key without a strategy means.
    pub key: Option<String>,
    /// A repeat does no harm.
    pub idempotent: bool,
    /// Passed on; it also says that a repeat does no harm.
    pub idempotency_key: Option<String>,
    /// W3C trace context of the caller.
    pub traceparent: Option<String>,
    /// What the call belongs to.
    pub correlation: Option<String>,
    /// Steps from the first cause, this call's own not counted.
    pub depth: u8,
}

/// The service's answer, as it came.
#[derive(Clone, Debug)]
pub struct Invoked {
    /// Its status.
    pub status: StatusCode,
    /// Those of its headers that concern the content.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
    /// Who answered.
    pub instance: String,
    /// How many instances were tried.
    pub tries: usize,
}

/// Headers of an answer that are passed on: what describes the content, and when to come back.
const PASSED: [HeaderName; 8] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CACHE_CONTROL,
    header::ETAG,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::RETRY_AFTER,
];

/// One call under way, wherever it ends: counted out, and its breaker's probe given back, also when the caller goes away.
struct Under<'a> {
    registry: &'a Registry,
    instance: Arc<Instance>,
    settled: bool,
}

impl<'a> Under<'a> {
    /// Begins, if the breaker lets it.
    fn begin(registry: &'a Registry, instance: Arc<Instance>) -> Option<Self> {
        let now = registry.0.hub.clock().mono();
        if !instance.live.state().breaker.admit(now) {
            return None;
        }
        instance.live.enter();
        registry.0.metrics.in_flight.inc();
        Some(Self { registry, instance, settled: false })
    }

    /// Ends with what it says about the instance: it failed, it did well, or nothing.
    fn settle(mut self, failed: Option<bool>) -> bool {
        let Some(failed) = failed else { return false };
        self.settled = true;
        let now = self.registry.0.hub.clock().mono();
        let mut state = self.instance.live.state();
        if failed {
            state.breaker.failure(now);
        } else {
            state.breaker.success();
        }
        let change = state.vitals.called(failed, now);
        self.registry.note(&mut state, change);
        !state.pending.is_empty()
    }
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.instance.live.leave();
        self.registry.0.metrics.in_flight.dec();
        if !self.settled {
            self.instance.live.state().breaker.probe_lost();
        }
    }
}

/// Counts a call when it ends, however it ends.
struct Counted<'a> {
    registry: &'a Registry,
    began: Duration,
    outcome: Outcome,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let took = self.registry.0.hub.clock().mono().saturating_sub(self.began);
        self.registry.0.metrics.invoked(self.outcome, took);
    }
}

/// How one try ended without an answer to pass on.
struct Missed {
    problem: Problem,
    /// The instance can't have seen the request.
    unsent: bool,
}

impl Registry {
    /// Calls the service of this name (or the one instance of this id) and passes its answer on.
    pub async fn invoke(&self, name: &str, call: Invocation) -> Result<Invoked, Problem> {
        let began = self.0.hub.clock().mono();
        let mut counted = Counted { registry: self, began, outcome: Outcome::Cancelled };
        let result = self.call(name, call).await;
        counted.outcome = match &result {
            Ok(answer) if answer.status.is_server_error() => Outcome::Failed,
            Ok(_) => Outcome::Answered,
            Err(problem) => match problem.code {
                Code::NotFound => Outcome::Unknown,
                Code::Unavailable => Outcome::Unavailable,
                Code::Timeout => Outcome::Late,
                Code::BadGateway => Outcome::Broken,
                _ => Outcome::Refused,
            },
        };
        result
    }

    async fn call(&self, name: &str, mut call: Invocation) -> Result<Invoked, Problem> {
        let group = self.0.book.group(name).ok_or_else(|| unknown(name))?;
        if call.depth >= EVENT_DEPTH {
            let message = format!(
                "this call would be step {} of one chain of cause and effect; chains end at {EVENT_DEPTH}, as this looks like a loop",
                u16::from(call.depth) + 1
            );
            return Err(Problem::new(Code::Conflict, message));
        }
        let Ok(_place) = self.0.calls.try_acquire() else {
            let message = format!("{INVOKES_AT_ONCE} calls are under way, which is the most");
            return Err(Problem::new(Code::Unavailable, message).retry_after(Duration::from_secs(1)));
        };
        let service = group.instances.first().map_or(name, |i| i.service.name.as_str());
        if self.0.plugins.watches_invokes() {
            call.body = self.ask_plugins(service, &call.body).await?;
        }
        let parent = call.traceparent.as_deref().and_then(trace::Context::parse);
        let span = self.0.hub.tracer().begin("invoke", parent.as_ref(), trace::Kind::Client);
        if let Some(span) = &span {
            call.traceparent = Some(span.context.to_string());
        }
        let result = self.tried(name, &group, &call).await;
        if let Some(span) = span {
            let (status, error) = match &result {
                Ok(answer) => {
                    (answer.status.as_u16(), answer.status.is_server_error().then(|| answer.status.to_string()))
                }
                Err(problem) => (0, Some(problem.message.clone())),
            };
            let attributes =
                vec![("nexus.service", service.to_owned()), ("http.response.status_code", status.to_string())];
            self.0.hub.tracer().end(span, attributes, error);
        }
        let answer = result?;
        if self.0.plugins.watches_invokes() {
            self.0.plugins.after_service_invoke(service, answer.status.as_u16(), &answer.body).await;
        }
        Ok(answer)
    }

    async fn ask_plugins(&self, service: &str, body: &Bytes) -> Result<Bytes, Problem> {
        let value = serde_json::from_slice(body)
            .map_err(|e| Problem::new(Code::Malformed, format!("the body is no JSON: {e}")))?;
        let value = self.0.plugins.before_service_invoke(service, value).await?;
        serde_json::to_vec(&value).map(Bytes::from).map_err(|e| refused(&CommitError::Broken(e.to_string())))
    }

    /// Sends to one instance after the other, as far as that is safe and there is time.
    async fn tried(&self, name: &str, group: &Group, call: &Invocation) -> Result<Invoked, Problem> {
        let options = &self.0.options;
        let timeout = call.timeout.unwrap_or(options.invoke_timeout).min(options.longest_invoke_timeout);
        let deadline = tokio::time::Instant::now() + timeout;
        let repeatable = call.idempotent || call.idempotency_key.is_some();
        let mut tried = HashSet::new();
        let mut last: Option<Result<Invoked, Problem>> = None;
        while tried.len() < INVOKE_TRIES {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if last.is_some() && left.is_zero() {
                break;
            }
            let Some(under) = self.pick(group, call, &mut tried) else { break };
            if last.is_some() {
                self.0.metrics.retries.inc();
            }
            match self.send(under, call, left, timeout).await {
                Ok(answer) => {
                    let unwell = matches!(answer.status.as_u16(), 502..=504);
                    let answer = Invoked { tries: tried.len(), ..answer };
                    if !(unwell && repeatable) {
                        return Ok(answer);
                    }
                    last = Some(Ok(answer));
                }
                Err(missed) if missed.unsent || repeatable => last = Some(Err(missed.problem)),
                Err(missed) => return Err(missed.problem),
            }
        }
        last.unwrap_or_else(|| Err(self.nobody(name, group)))
    }

    /// The next instance to try, counted in.
    fn pick(&self, group: &Group, call: &Invocation, tried: &mut HashSet<String>) -> Option<Under<'_>> {
        let asked = call.strategy.or_else(|| call.key.as_ref().map(|_| Strategy::ConsistentHash));
        let says = || group.instances.iter().find_map(|i| i.strategy);
        let strategy = asked.or_else(says).unwrap_or(self.0.options.strategy);
        let turn = group.turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let key = call.key.as_deref().map_or(0, hash);
        let now = self.0.hub.clock().mono();
        let others = |tried: &HashSet<String>| -> Vec<Arc<Instance>> {
            group.instances.iter().filter(|i| !tried.contains(&i.service.id)).cloned().collect()
        };
        // The first time there is nothing to leave out, and nothing is copied.
        let mut left = if tried.is_empty() { None } else { Some(others(tried)) };
        let mut random = mix(turn ^ hash(&group.instances.first()?.service.id) ^ micros(now));
        loop {
            let among = left.as_ref().unwrap_or(&group.instances);
            let look = |i: usize| among[i].candidate(now);
            let draw = Draw { strategy, turn, random, key };
            let chosen = Arc::clone(among.get(choose(among.len(), look, draw)?)?);
            tried.insert(chosen.service.id.clone());
            if let Some(under) = Under::begin(self, chosen) {
                return Some(under);
            }
            left = Some(others(tried));
            random = mix(random);
        }
    }

    async fn send(
        &self,
        under: Under<'_>,
        call: &Invocation,
        left: Duration,
        timeout: Duration,
    ) -> Result<Invoked, Missed> {
        let instance = Arc::clone(&under.instance);
        let mut request = Request::post(instance.invoke_url.clone(), call.body.clone(), Reach::Private);
        request.headers = headers(call);
        request.timeout = Some(left);
        request.keep = Some(INVOKE_ANSWER_BYTES);
        let result = self.0.hub.client().send(request).await;
        let fair = timeout >= FAIR_TIMEOUT.min(self.0.options.invoke_timeout);
        let failed = match &result {
            Ok(answer) => Some(answer.status.is_server_error()),
            Err(error) => match error.kind {
                Kind::Timeout | Kind::TooSlow => fair.then_some(true),
                _ => Some(true),
            },
        };
        if under.settle(failed) {
            self.settle_later(&instance);
        }
        match result {
            Ok(answer) if answer.truncated => Err(too_large(&instance)),
            Ok(answer) => Ok(passed(answer, &instance)),
            Err(error) => {
                self.check_soon(&instance);
                Err(missed(&error, &instance, timeout))
            }
        }
    }

    /// Writes a change of status without making the caller wait.
    fn settle_later(&self, instance: &Arc<Instance>) {
        let (registry, instance) = (self.clone(), Arc::clone(instance));
        self.0.hub.spawn().start(nexus_engine::supervisor::TaskKind::Background, async move {
            // What can't be written now is written after the next check.
            drop(registry.settle(&instance).await);
        });
    }

    /// Why nobody can be called, and when that may have changed.
    fn nobody(&self, name: &str, group: &Group) -> Problem {
        let now = self.0.hub.clock().mono();
        let mut wait = self.0.options.check_interval.min(COME_BACK);
        let mut reasons = Vec::new();
        for instance in &group.instances {
            let state = instance.live.state();
            let (status, reason) = state.vitals.shown();
            let id = &instance.service.id;
            if let Some(until) = state.breaker.open_until() {
                wait = wait.min(until.saturating_sub(now));
                reasons.push(format!("{id}: its breaker is open"));
            } else {
                reasons.push(format!("{id}: {status}{}", reason.map_or_else(String::new, |r| format!(" ({r})"))));
            }
        }
        let more = reasons.len().saturating_sub(3);
        reasons.truncate(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!("no instance of {name:?} can be called now: {}{more}", reasons.join("; "));
        Problem::new(Code::Unavailable, message).retry_after(wait.max(Duration::from_secs(1)))
    }
}

fn micros(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}

/// What the service is told beside the body.
fn headers(call: &Invocation) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let texts = [
        ("traceparent", call.traceparent.as_deref()),
        ("x-correlation-id", call.correlation.as_deref()),
        ("idempotency-key", call.idempotency_key.as_deref()),
    ];
    for (name, text) in texts {
        if let Some(Ok(value)) = text.map(HeaderValue::from_str) {
            headers.insert(name, value);
        }
    }
    headers.insert("x-nexus-depth", HeaderValue::from(u16::from(call.depth) + 1));
    headers
}

fn passed(answer: Response, instance: &Instance) -> Invoked {
    let mut headers = HeaderMap::new();
    for name in &PASSED {
        if let Some(value) = answer.headers.get(name) {
            headers.insert(name, value.clone());
        }
    }
    Invoked { status: answer.status, headers, body: answer.body_head, instance: instance.service.id.clone(), tries: 1 }
}

fn too_large(instance: &Instance) -> Missed {
    let id = &instance.service.id;
    let message = format!("the answer of {id} is larger than {INVOKE_ANSWER_BYTES} bytes");
    Missed { problem: Problem::new(Code::BadGateway, message), unsent: false }
}

/// A failed exchange, as its caller is told.
fn missed(error: &SendError, instance: &Instance, timeout: Duration) -> Missed {
    let id = &instance.service.id;
    let second = Duration::from_secs(1);
    let (problem, unsent) = match error.kind {
        Kind::Connect | Kind::Dns | Kind::Tls | Kind::Refused => {
            let message = format!("{id} can't be reached: {}", error.message);
            (Problem::new(Code::Unavailable, message).retry_after(second), true)
        }
        Kind::Timeout | Kind::TooSlow => {
            let message = format!("{id} did not answer within {} ms", timeout.as_millis());
            (Problem::new(Code::Timeout, message), false)
        }
        Kind::Closed | Kind::Protocol | Kind::BadUrl => {
            (Problem::new(Code::BadGateway, format!("{id} gave no usable answer: {}", error.message)), false)
        }
    };
    Missed { problem, unsent }
}
