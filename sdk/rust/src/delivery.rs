//! Deliveries that are not done: those that retry, and the dead letters.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Client, Error, Page,
    client::{More, Path},
};

const DEAD: &str = "/api/v1/dead-letters";

/// One delivery of one event to one subscription.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Delivery {
    /// `<subscription no>-<seq>-<generation>`.
    pub id: String,
    /// To whom.
    #[serde(default)]
    pub subscription: String,
    /// Which event.
    #[serde(default)]
    pub event_id: String,
    /// Its type.
    #[serde(default)]
    pub event: String,
    /// Its place in the log.
    #[serde(default)]
    pub seq: u64,
    /// `retry`, `dead`, ….
    #[serde(default)]
    pub state: Value,
    /// `[{at, status, latency_ms, error, response_head}]`.
    #[serde(default)]
    pub attempts: Vec<Value>,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: More,
}

/// Which dead letters.
#[derive(Clone, Debug)]
pub enum Select {
    /// This one.
    One(String),
    /// All of one subscription.
    Subscription(String),
    /// All.
    All,
}

impl Select {
    fn body(&self) -> Value {
        match self {
            Self::One(id) => serde_json::json!({ "id": id }),
            Self::Subscription(name) => serde_json::json!({ "subscription": name }),
            Self::All => serde_json::json!({ "all": true }),
        }
    }
}

impl Client {
    /// One page of deliveries that retry or are dead.
    pub async fn deliveries(
        &self,
        subscription: Option<&str>,
        event: Option<&str>,
        state: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page<Delivery>, Error> {
        let path = Path::new("/api/v1/deliveries")
            .query("subscription", subscription)
            .query("event", event)
            .query("state", state)
            .query("cursor", cursor);
        self.page(path.as_str()).await
    }

    /// One delivery.
    pub async fn delivery(&self, id: &str) -> Result<Delivery, Error> {
        self.get(Path::new("/api/v1/deliveries").segment(id).as_str()).await
    }

    /// One page of dead letters.
    pub async fn dead_letters(
        &self,
        subscription: Option<&str>,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Page<Delivery>, Error> {
        let path = Path::new(DEAD).query("subscription", subscription).query("cursor", cursor).query("limit", limit);
        self.page(path.as_str()).await
    }

    /// One dead letter with every attempt.
    pub async fn dead_letter(&self, id: &str) -> Result<Delivery, Error> {
        self.get(Path::new(DEAD).segment(id).as_str()).await
    }

    /// Tries dead letters again, with fresh attempts.
    pub async fn redrive(&self, select: &Select) -> Result<Value, Error> {
        self.post(Path::new(DEAD).segment("redrive").as_str(), &select.body()).await
    }

    /// Gives dead letters up for good.
    pub async fn delete_dead(&self, select: &Select) -> Result<Value, Error> {
        let path = match select {
            Select::One(id) => Path::new(DEAD).segment(id),
            Select::Subscription(name) => Path::new(DEAD).query("subscription", Some(name)),
            Select::All => Path::new(DEAD).query("all", Some(true)),
        };
        self.delete(path.as_str()).await
    }
}
