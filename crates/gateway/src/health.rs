//! Two forms of one check: bare for load balancers and the Integration Core, enveloped for Kyros. And the test clock.

use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;
use nexus_core::{
    breaker::BreakerState,
    problem::{Code, Problem},
};
use nexus_engine::health::Health;
use nexus_services::registry::Status;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, render},
    call::Call,
    error,
    stream::frame_out::seconds,
};

/// Longest step of the test clock.
const STEP: Duration = Duration::from_secs(400 * 24 * 3600);

/// `GET /health`.
pub(crate) async fn bare(call: Call) -> Result<Answer, Problem> {
    let health = call.hub().health().await;
    let told = call.who.is_some();
    let services = if told { services(&call, &health) } else { Map::new() };
    let stats = if told { json!(health.stats) } else { json!({}) };
    let checks = if told { json!(health.checks) } else { json!({}) };
    // Written by hand for the sake of `timestamp`: a float also when it is whole.
    let text = format!(
        r#"{{"status":"{}","timestamp":{},"services":{},"stats":{stats},"version":"{}","uptime_seconds":{},"checks":{checks},"ready":{}}}"#,
        health.status,
        seconds(call.now),
        render(&services)?,
        health.version,
        Value::from(health.uptime_seconds),
        health.ready
    );
    Ok(Answer::json(text).status(status(&health)))
}

/// The breakers of subscriptions and connectors, by name; where both have one name, the connector's.
fn breakers(call: &Call, health: &Health) -> BTreeMap<String, BreakerState> {
    let mut all = health.breakers.clone();
    all.extend(call.hub().connectors().connections().breakers());
    all
}

/// Each registered service as its best instance is, and `<name>_cb: closed|open|half_open` of each breaker.
fn services(call: &Call, health: &Health) -> Map<String, Value> {
    let registered = call.gate.registry.statuses().into_iter().map(|(name, (status, _))| (name, json!(status)));
    let breakers = breakers(call, health).into_iter().map(|(name, state)| (format!("{name}_cb"), json!(state)));
    registered.chain(breakers).collect()
}

fn status(health: &Health) -> StatusCode {
    if health.status == "unhealthy" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

/// `GET /api/v1/health`.
pub(crate) async fn enveloped(call: Call) -> Result<Answer, Problem> {
    let health = call.hub().health().await;
    let now = call.now.to_string();
    let mut services: Vec<Value> = health
        .checks
        .iter()
        .map(|(name, check)| {
            let status = match check.status {
                "healthy" => "up",
                "degraded" => "degraded",
                _ => "down",
            };
            json!({"name": name, "status": status, "lastCheck": now, "detail": check.detail})
        })
        .collect();
    for (name, (status, checked)) in call.gate.registry.statuses() {
        let status = match status {
            Status::Healthy => "up",
            Status::Degraded => "degraded",
            Status::Unhealthy | Status::Expired => "down",
        };
        let checked = checked.map(|at| at.to_string());
        services.push(json!({"name": name, "status": status, "lastCheck": checked, "detail": "registered service"}));
    }
    let mut fields = Map::new();
    fields.insert("status".into(), health.status.into());
    fields.insert("services".into(), services.into());
    fields.insert("lastCheck".into(), now.into());
    fields.insert("checks".into(), json!(health.checks));
    fields.insert("breakers".into(), json!(breakers(&call, &health)));
    fields.insert("stats".into(), json!(health.stats));
    fields.insert("version".into(), health.version.into());
    fields.insert("uptime_seconds".into(), health.uptime_seconds.into());
    if status(&health) == StatusCode::OK {
        return Answer::superset(&fields);
    }
    // 503 has the fields of a refusal as well; `status` at the top stays the state of the hub.
    let problem = Problem::new(Code::Unavailable, "the hub is unhealthy; checks say which part");
    let path = call.parts.uri.path().to_owned();
    let envelope = call.route.envelope;
    let context = error::Context { envelope, path: &path, request_id: call.id.as_str(), now: call.now };
    let mut top = fields.clone();
    top.insert("data".into(), Value::Object(fields));
    let body = error::body(&problem, &context, top).to_string();
    Ok(Answer::raw("application/json", crate::answer::Body::full(body)).status(StatusCode::SERVICE_UNAVAILABLE))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: String,
}

/// `POST /__clock`.
pub(crate) async fn advance(mut call: Call) -> Result<Answer, Problem> {
    let Advance { advance } = call.json().await?;
    let by = duration(&advance).filter(|by| *by <= STEP);
    let by = by
        .ok_or_else(|| Problem::field("advance", format!("{advance:?}; write for example 250ms, 30s, 5m, 2h or 7d")))?;
    let now = call.hub().advance(by).await?;
    Answer::data(&json!({"now": now.to_string()}))
}

/// `1h30m`, `7d`, `250ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (count, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            "d" => Duration::from_secs(86_400),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(count.parse().ok()?)?)?;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_clock_are_read_as_people_write_them() {
        assert_eq!(duration("7d"), Some(Duration::from_secs(7 * 86_400)));
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5_400)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        for bad in ["", "7", "d", "7x", "-1s", "99999999999999999999d", "1.5h"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
