//! Subscriptions: which events go where, and how hard to try.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Client, Error, Page,
    client::{More, Path},
};

const SUBSCRIPTIONS: &str = "/api/v1/subscriptions";

/// A subscription as the hub shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// Event types or filters; an event that fits one of them matches.
    #[serde(default)]
    pub filters: Vec<String>,
    /// Where matching events go.
    #[serde(default)]
    pub target: Value,
    /// Whether it delivers: `{state: active|paused|disabled, reason?, since?}`.
    #[serde(default)]
    pub activity: Value,
    /// Shown once, when the hub made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: More,
}

/// A subscription to add; everything but `name`, `filter` and one of `url` and `target` may be left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewSubscription {
    /// `[a-z0-9_.-]{1,64}`.
    pub name: String,
    /// Event types or filters.
    pub filters: Vec<String>,
    /// jq that must be true of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Where a signed webhook goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Another kind of target: `{"kind":"http","method":"POST","url":…,"headers":{…},"body":"<jq>"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Value>,
    /// Signing secret; a webhook without one gets a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// One after the other per key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ordered: bool,
    /// jq for the key of an ordered subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `continue` or `hold`: what a dead letter does to its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_dead: Option<String>,
    /// Deliveries in flight at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u16>,
    /// `1s,5s,30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// Attempts until an event is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u16>,
    /// Time for one attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Keep request and response heads of successes too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_exchanges: bool,
    /// Begin after this seq instead of now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

impl Client {
    /// Adds a subscription (scope `subscriptions:write`; `endpoints:private` for a private or loopback address).
    pub async fn subscribe(&self, subscription: &NewSubscription) -> Result<Subscription, Error> {
        self.post(SUBSCRIPTIONS, subscription).await
    }

    /// All subscriptions.
    pub async fn subscriptions(&self) -> Result<Page<Subscription>, Error> {
        self.page(SUBSCRIPTIONS).await
    }

    /// One subscription.
    pub async fn subscription(&self, name: &str) -> Result<Subscription, Error> {
        self.get(Path::new(SUBSCRIPTIONS).segment(name).as_str()).await
    }

    /// Lag, retries, breaker, and what it waits for.
    pub async fn subscription_status(&self, name: &str) -> Result<Value, Error> {
        self.get(Path::new(SUBSCRIPTIONS).segment(name).segment("status").as_str()).await
    }

    /// Changes a subscription; fields absent from `patch` stay.
    pub async fn change_subscription(&self, name: &str, patch: &Value) -> Result<Subscription, Error> {
        self.call(Method::PATCH, Path::new(SUBSCRIPTIONS).segment(name).as_str(), Some(patch)).await
    }

    /// Stops deliveries; events wait in the log.
    pub async fn pause(&self, name: &str, reason: Option<&str>) -> Result<Value, Error> {
        let path = Path::new(SUBSCRIPTIONS).segment(name).segment("pause");
        self.post(path.as_str(), &reason.map_or_else(|| serde_json::json!({}), |r| serde_json::json!({ "reason": r })))
            .await
    }

    /// Goes on where it stopped.
    pub async fn resume(&self, name: &str) -> Result<Value, Error> {
        self.post(Path::new(SUBSCRIPTIONS).segment(name).segment("resume").as_str(), &serde_json::json!({})).await
    }

    /// Sends a sample and returns the whole exchange.
    pub async fn test_subscription(&self, name: &str, sample: Option<&Value>) -> Result<Value, Error> {
        let path = Path::new(SUBSCRIPTIONS).segment(name).segment("test");
        self.post(path.as_str(), sample.unwrap_or(&serde_json::json!({}))).await
    }

    /// Removes a subscription; what it delivered stays in the log's account.
    pub async fn unsubscribe(&self, name: &str) -> Result<Value, Error> {
        self.delete(Path::new(SUBSCRIPTIONS).segment(name).as_str()).await
    }

    /// Every endpoint with its breaker.
    pub async fn endpoints(&self) -> Result<Page<Value>, Error> {
        self.page("/api/v1/endpoints").await
    }
}
