//! What is not JSON: the page that explains the API, the description it reads, and the metrics.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use nexus_core::problem::Problem;

use crate::{
    answer::{Answer, Body},
    call::Call,
};

/// Media type of the metrics.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const PAGE: &str = include_str!("page.html");

/// The page brings all it needs: nothing is loaded from elsewhere, and nothing elsewhere may frame it.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /` and `GET /docs`.
pub(crate) async fn page(_: Call) -> Result<Answer, Problem> {
    let answer = Answer::raw("text/html; charset=utf-8", Body::full(Bytes::from_static(PAGE.as_bytes())));
    let answer = answer.header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let answer = answer.header(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    Ok(answer.header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
}

/// `GET /openapi.json`.
pub(crate) async fn openapi(call: Call) -> Result<Answer, Problem> {
    Ok(Answer::raw("application/json", Body::full(call.gate.made.openapi())))
}

/// `GET /metrics`.
pub(crate) async fn metrics(call: Call) -> Result<Answer, Problem> {
    call.hub().observe().await;
    let (_, seq) = call.hub().tail().position();
    call.gate.metrics.head(call.hub().clock().mono(), seq);
    Ok(Answer::raw(OPENMETRICS, Body::full(call.hub().metrics().encode())))
}

#[cfg(test)]
mod tests {
    use super::PAGE;

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        for tag in ["src=", "href=\"http", "@import", "url(http", "<link", "//cdn"] {
            assert!(!PAGE.contains(tag), "{tag}");
        }
        assert!(PAGE.contains("/openapi.json"));
    }
}
