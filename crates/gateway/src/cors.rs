//! Which pages of other origins may read answers, and what `OPTIONS` says: the preflight of a browser, the handshake of
//! CloudEvents webhooks, or simply the methods of a path.

use http::{HeaderMap, HeaderValue, Method, Response, header};

use crate::{address, answer::Body, config::GatewayConfig};

/// The origins that may.
pub(crate) struct Cors {
    origins: Vec<HeaderValue>,
    any: bool,
    /// With `--dev`, pages of this machine may as well.
    loopback: bool,
}

impl Cors {
    /// As configured; what is no header value can never be an origin and is left out.
    pub(crate) fn new(config: &GatewayConfig) -> Self {
        let clean = config.cors_origins.iter().map(|o| o.trim_end_matches('/'));
        Self {
            origins: clean.filter_map(|o| HeaderValue::from_str(o).ok()).collect(),
            any: config.cors_origins.iter().any(|o| o == "*"),
            loopback: config.dev,
        }
    }

    /// The request's `Origin`, where it is allowed.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let local = || self.loopback && origin.to_str().is_ok_and(address::is_loopback_origin);
        (self.any || self.origins.contains(origin) || local()).then(|| origin.clone())
    }
}

/// Lets a page of this origin read the answer.
pub(crate) fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let exposed =
        "X-Request-ID, Retry-After, Idempotency-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset";
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
}

/// The answer to `OPTIONS` at a path that has these methods.
pub(crate) fn options(asked: &HeaderMap, origin_allowed: bool, methods: &str) -> Response<Body> {
    let mut response = Response::new(Body::full(format!("{{\"methods\":\"{methods}\"}}")));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(methods) {
        headers.insert(header::ALLOW, value.clone());
        if origin_allowed && asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, value);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
            let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
            let wanted = wanted.unwrap_or_else(|| HeaderValue::from_static("Authorization, Content-Type"));
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        }
    }
    cloudevents_handshake(asked, headers, methods);
    response
}

/// CloudEvents HTTP webhooks: whoever is to send here asks first, and may, as every event must be signed anyway.
fn cloudevents_handshake(asked: &HeaderMap, headers: &mut HeaderMap, methods: &str) {
    let Some(origin) = asked.get("webhook-request-origin") else { return };
    if !methods.split(", ").any(|m| m == Method::POST.as_str()) {
        return;
    }
    headers.insert("webhook-allowed-origin", origin.clone());
    let rate = asked.get("webhook-request-rate").cloned().unwrap_or_else(|| HeaderValue::from_static("*"));
    headers.insert("webhook-allowed-rate", rate);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], dev: bool) -> Cors {
        let cors_origins = origins.iter().map(|o| (*o).to_owned()).collect();
        Cors::new(&GatewayConfig { cors_origins, dev, ..GatewayConfig::default() })
    }

    fn asked(origin: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))])
    }

    #[test]
    fn only_configured_origins_may_read() {
        let cors = cors(&["https://app.example.com/"], false);
        assert!(cors.origin(&asked("https://app.example.com")).is_some());
        assert!(cors.origin(&asked("https://app.example.com.evil.example")).is_none());
        assert!(cors.origin(&asked("http://localhost:3000")).is_none());
        assert!(cors.origin(&HeaderMap::new()).is_none());
        assert!(super::tests::cors(&[], true).origin(&asked("http://localhost:3000")).is_some());
    }

    #[test]
    fn the_webhook_handshake_is_granted_where_events_are_taken() {
        let asked = HeaderMap::from_iter([(
            http::HeaderName::from_static("webhook-request-origin"),
            HeaderValue::from_static("events.example.com"),
        )]);
        let granted = options(&asked, false, "POST, OPTIONS");
        assert_eq!(granted.headers()["webhook-allowed-origin"], "events.example.com");
        assert_eq!(granted.headers()["webhook-allowed-rate"], "*");
        assert!(!options(&asked, false, "GET, HEAD, OPTIONS").headers().contains_key("webhook-allowed-origin"));
    }
}
