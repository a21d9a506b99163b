//! Events: publish with a token, dispatch with a signature, look up, ask for their fate.

use http::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Client, Error, Page,
    client::{More, Path, to_json},
};

/// The answer to [`Client::publish`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Published {
    /// The event's id.
    pub message_id: String,
    /// Its canonical type.
    pub topic: String,
    /// Its place in the log.
    pub seq: u64,
}

/// The answer to [`Client::dispatch`] and [`Client::webhook`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Accepted {
    /// `accepted`, `processed` or `ignored`.
    pub status: String,
    /// The event's name; absent when it was ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The event's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: More,
}

/// Which events to look up; all given conditions hold at once.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Event type or filter.
    pub topic: Option<String>,
    /// Who sent it.
    pub source: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// What it belongs to.
    pub correlation: Option<String>,
    /// Not before this time (RFC 3339).
    pub from: Option<String>,
    /// Before this time (RFC 3339).
    pub until: Option<String>,
    /// After this seq.
    pub after: Option<u64>,
    /// Newest first.
    pub newest_first: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

/// What goes beside the body of a signed request.
#[derive(Clone, Debug, Default)]
pub struct SignedOptions {
    /// `X-Nexus-Source`: which source signs.
    pub source: Option<String>,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Further headers, for example `X-Correlation-ID`.
    pub headers: Vec<(String, String)>,
}

impl Client {
    /// Publishes `payload` under `topic` (`POST /events/{topic}`, scope `events:publish`). `priority` is `LOW`, `NORMAL`
    /// (the default), `HIGH` or `CRITICAL`.
    pub async fn publish(&self, topic: &str, payload: &Value, priority: Option<&str>) -> Result<Published, Error> {
        let mut body = serde_json::json!({ "payload": payload });
        if let (Some(map), Some(priority)) = (body.as_object_mut(), priority) {
            map.insert("priority".into(), priority.into());
        }
        self.post(Path::new("/events").segment(topic).as_str(), &body).await
    }

    /// Dispatches `event` as the source whose `secret` this is (`POST /events` with `X-Nexus-Signature`).
    pub async fn dispatch(
        &self,
        event: &str,
        payload: &Value,
        secret: &str,
        options: &SignedOptions,
    ) -> Result<Accepted, Error> {
        let body = to_json(&serde_json::json!({ "event": event, "payload": payload }))?;
        self.signed("/events", body, secret, options).await
    }

    /// Posts `body` to the webhook door of `source` (`POST /webhook/{source}`), signed as the `nexus`, `flowpay` and
    /// `factory` presets expect.
    pub async fn webhook(
        &self,
        source: &str,
        body: &Value,
        secret: &str,
        options: &SignedOptions,
    ) -> Result<Accepted, Error> {
        let path = Path::new("/webhook").segment(source);
        self.signed(path.as_str(), to_json(body)?, secret, options).await
    }

    async fn signed(
        &self,
        path: &str,
        body: bytes::Bytes,
        secret: &str,
        options: &SignedOptions,
    ) -> Result<Accepted, Error> {
        let mut headers = HeaderMap::new();
        let given = options.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let named = [("x-nexus-source", &options.source), ("idempotency-key", &options.idempotency_key)];
        let named = named.iter().filter_map(|(n, v)| v.as_deref().map(|v| (*n, v)));
        let signature = signature(secret, &body);
        for (name, value) in given.chain(named).chain([("x-nexus-signature", signature.as_str())]) {
            let wrong = || Error::Setting(format!("{name:?} can't be a header with this value"));
            let name: HeaderName = name.parse().map_err(|_| wrong())?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
        }
        let answer = self.json(http::Method::POST, path, headers, Some(body)).await?;
        self.read(answer)
    }

    /// One page of the log, by condition (scope `events:read`).
    pub async fn events(&self, query: &EventQuery) -> Result<Page<Value>, Error> {
        let path = Path::new("/api/v1/events")
            .query("type", query.topic.as_deref())
            .query("source", query.source.as_deref())
            .query("subject", query.subject.as_deref())
            .query("correlation", query.correlation.as_deref())
            .query("from", query.from.as_deref())
            .query("until", query.until.as_deref())
            .query("after", query.after)
            .query("order", query.newest_first.then_some("desc"))
            .query("limit", query.limit);
        self.page(path.as_str()).await
    }

    /// One event.
    pub async fn event(&self, id: &str) -> Result<Value, Error> {
        self.get(Path::new("/api/v1/events").segment(id).as_str()).await
    }

    /// What became of one event: each subscription that matched it, and how far that is.
    pub async fn fate(&self, id: &str) -> Result<Value, Error> {
        self.get(Path::new("/api/v1/events").segment(id).segment("fate").as_str()).await
    }

    /// The health report (`GET /health`); with a token it names its components. An unhealthy hub is no error here.
    pub async fn health(&self) -> Result<Value, Error> {
        match self.get("/health").await {
            Err(Error::Refused(problem)) if problem.status == 503 => {
                Ok(serde_json::json!({ "status": "unhealthy", "message": problem.message }))
            }
            other => other,
        }
    }
}

/// `X-Nexus-Signature` of a body: lower-case hex of HMAC-SHA256 over its raw bytes.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body);
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    /// The vector of checklist line N-003; made by: printf '{"a":1}' | openssl dgst -sha256 -hmac s
    #[test]
    fn a_signature_equals_the_one_openssl_makes() {
        assert_eq!(
            super::signature("s", br#"{"a":1}"#),
            "37beaf650f70b40ec9706929c2e9d835cbd63729988f48781e6383a147215f07"
        );
    }
}
