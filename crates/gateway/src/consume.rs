//! Remote consumers over HTTP: pull, acknowledge, refuse, extend. How a delivery looks on the wire stands here too.

use std::time::Duration;

use nexus_core::{
    access::Principal,
    limits::{CONSUMER_HELD, CONSUMER_WAIT},
    problem::{Code, Problem},
    store::SubNo,
};
use nexus_engine::consumers::Taken;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{answer::Answer, call::Call, stream::frame_out};

/// The scope; a token may be narrowed to subscriptions by name.
pub(crate) const SCOPE: &str = "subscriptions:consume";
/// Deliveries of a pull that does not say.
const PULLED: usize = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pull {
    #[serde(default)]
    max: Option<usize>,
    #[serde(default)]
    wait_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ack {
    leases: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nack {
    lease: String,
    #[serde(default)]
    delay_ms: Option<u64>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extend {
    lease: String,
    #[serde(default)]
    ms: Option<u64>,
}

/// 403 that names the scope, narrowed to the one subscription that was asked for.
pub(crate) fn may_consume(principal: &Principal, subscription: &str) -> Result<(), Problem> {
    if principal.may_for(SCOPE, subscription) {
        return Ok(());
    }
    let message = format!("{} lacks the scope {SCOPE} for subscription {subscription:?}", principal.name);
    Err(Problem::new(Code::Forbidden, message))
}

/// How many deliveries a consumer may hold: 1 to [`CONSUMER_HELD`], or none at all to take no more for now.
pub(crate) fn check_most(most: usize, least: usize) -> Result<usize, Problem> {
    if (least..=CONSUMER_HELD).contains(&most) {
        return Ok(most);
    }
    Err(Problem::field("max", format!("{most} is outside {least} to {CONSUMER_HELD}")))
}

/// The subscription of the path, which the caller may consume.
fn consumed(call: &Call) -> Result<(String, SubNo), Problem> {
    let name = call.param("subscription")?;
    may_consume(call.principal()?, &name)?;
    let no = call.hub().consumed(&name)?;
    Ok((name, no))
}

/// `POST /api/v1/consumers/{subscription}/pull`.
pub(crate) async fn pull(mut call: Call) -> Result<Answer, Problem> {
    let Pull { max, wait_ms } = call.json().await?;
    let most = check_most(max.unwrap_or(PULLED), 1)?;
    let patience = Duration::from_millis(wait_ms);
    if patience > CONSUMER_WAIT {
        let most = CONSUMER_WAIT.as_millis();
        return Err(Problem::field("wait_ms", format!("a pull waits at most {most} ms; pull again to wait longer")));
    }
    let (name, _) = consumed(&call)?;
    let taken = call.hub().pull(&name, most, patience).await?;
    let shown: Vec<String> = taken.iter().map(pulled).collect();
    Ok(Answer::json(format!("[{}]", shown.join(","))))
}

/// `POST /api/v1/consumers/{subscription}/ack`.
pub(crate) async fn ack(mut call: Call) -> Result<Answer, Problem> {
    let Ack { leases } = call.json().await?;
    check_most(leases.len(), 1).map_err(|_| Problem::field("leases", format!("name 1 to {CONSUMER_HELD} leases")))?;
    let (_, no) = consumed(&call)?;
    let consumers = call.hub().consumers();
    let (held, unheld): (Vec<String>, Vec<String>) = leases.into_iter().partition(|l| consumers.ack(no, l).is_ok());
    Answer::data(&json!({"acked": held.len(), "unheld": unheld}))
}

/// `POST /api/v1/consumers/{subscription}/nack`.
pub(crate) async fn nack(mut call: Call) -> Result<Answer, Problem> {
    let Nack { lease, delay_ms, reason } = call.json().await?;
    let (_, no) = consumed(&call)?;
    call.hub().consumers().nack(no, &lease, delay_ms.map(Duration::from_millis), reason.as_deref())?;
    Answer::data(&json!({"nacked": 1}))
}

/// `POST /api/v1/consumers/{subscription}/extend`.
pub(crate) async fn extend(mut call: Call) -> Result<Answer, Problem> {
    let Extend { lease, ms } = call.json().await?;
    let (_, no) = consumed(&call)?;
    let by = call.hub().consumers().extend(no, &lease, ms.map(Duration::from_millis))?;
    Answer::data(&json!({"lease": lease, "extended_ms": u64::try_from(by.as_millis()).unwrap_or(u64::MAX)}))
}

/// What a delivery says beside its payload and its time.
fn fields(taken: &Taken) -> Map<String, Value> {
    let event = &taken.event;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("subscription", taken.subscription.as_str().into());
    put("lease", taken.lease.as_str().into());
    put("lease_ms", u64::try_from(taken.lasts.as_millis()).unwrap_or(u64::MAX).into());
    put("delivery_id", taken.delivery_id.as_str().into());
    put("attempt", taken.attempt.into());
    put("event", taken.name.as_str().into());
    put("topic", event.topic.as_str().into());
    put("id", event.id.to_string().into());
    put("seq", event.seq.into());
    put("source", (&*event.source).into());
    put("correlation_id", event.correlation_id().as_str().into());
    if let Some(subject) = event.subject.as_deref() {
        put("subject", subject.into());
    }
    if taken.generation > 0 {
        put("replay", taken.generation.into());
    }
    fields
}

fn object(fields: &Map<String, Value>, taken: &Taken, timestamp: &str) -> String {
    let mut text = Value::from_iter(fields.clone()).to_string();
    text.pop();
    format!("{text},\"timestamp\":{timestamp},\"payload\":{}}}", frame_out::payload(&taken.event))
}

/// A delivery as pulled: under `/api/v1` times are ISO 8601.
fn pulled(taken: &Taken) -> String {
    object(&fields(taken), taken, &format!("\"{}\"", taken.event.time))
}

/// A delivery as a frame: on `/ws` times are epoch seconds.
pub(crate) fn frame(taken: &Taken) -> String {
    let mut fields = fields(taken);
    fields.insert("type".to_owned(), "delivery".into());
    object(&fields, taken, &frame_out::seconds(taken.event.time))
}
