//! One look at an instance, and what it says. Whatever answers there, the look has an end: its time, and the bytes that
//! the guarded client keeps.

use std::time::Duration;

use nexus_outbound::{Client, Reach, Request, Response};
use serde::Deserialize;

use super::{service::Service, vitals::Seen};

/// What a health check may say of itself.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    status: Option<String>,
}

/// Looks.
pub(super) async fn probe(client: &Client, service: &Service, timeout: Duration) -> Seen {
    let Some(url) = service.check_url() else {
        return match client.knock(&service.base(), Reach::Private, timeout).await {
            Ok(took) => Seen::Well { took },
            Err(error) => Seen::Failed { reason: error.message },
        };
    };
    let mut request = Request::get(url, Reach::Private);
    request.timeout = Some(timeout);
    let wanted = service.health_check_url.as_deref().unwrap_or_default();
    match client.send(request).await {
        Ok(answer) => judge(&answer, wanted),
        Err(error) => Seen::Failed { reason: format!("health check {wanted}: {}", error.message) },
    }
}

/// A status below 400 is well, 429 is degraded, any other is down; a JSON body with a `status` may make it worse. A body
/// that is longer than what is kept is not looked into.
fn judge(answer: &Response, wanted: &str) -> Seen {
    let code = answer.status.as_u16();
    if code == 429 {
        return Seen::Degraded { reason: format!("health check {wanted} answered 429") };
    }
    if code >= 400 {
        return Seen::Failed { reason: format!("health check {wanted} answered {code}") };
    }
    let said = serde_json::from_slice::<Said>(&answer.body_head).ok().and_then(|s| s.status);
    let said = said.map(|s| s.to_ascii_lowercase()).unwrap_or_default();
    match said.as_str() {
        "degraded" | "warn" | "warning" => Seen::Degraded { reason: format!("health check {wanted} says {said}") },
        "unhealthy" | "down" | "fail" | "failed" | "error" | "critical" => {
            Seen::Failed { reason: format!("health check {wanted} says {said}") }
        }
        _ => Seen::Well { took: answer.latency },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Response {
        Response {
            status: http::StatusCode::from_u16(status).expect("a status"),
            headers: http::HeaderMap::new(),
            body_head: body.into(),
            truncated: false,
            latency: Duration::from_millis(3),
        }
    }

    #[test]
    fn the_status_decides_and_the_body_may_make_it_worse() {
        let well = Seen::Well { took: Duration::from_millis(3) };
        assert_eq!(judge(&answer(200, ""), "/h"), well);
        assert_eq!(judge(&answer(204, "{\"status\":\"ok\"}"), "/h"), well);
        assert_eq!(judge(&answer(200, "{\"status\":7}"), "/h"), well);
        assert!(matches!(judge(&answer(200, "{\"status\":\"DEGRADED\"}"), "/h"), Seen::Degraded { .. }));
        assert!(matches!(judge(&answer(200, "{\"status\":\"down\"}"), "/h"), Seen::Failed { .. }));
        assert!(matches!(judge(&answer(429, ""), "/h"), Seen::Degraded { .. }));
        let failed = judge(&answer(404, "{\"status\":\"ok\"}"), "/wrong");
        assert_eq!(failed, Seen::Failed { reason: "health check /wrong answered 404".into() });
    }
}
