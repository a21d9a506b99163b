//! Trying an endpoint out: one sample, outside the log.

use nexus_core::{
    event::{Data, Priority, StoredEvent},
    id::EventId,
    problem::{Code, Problem},
    topic::{Topic, TopicFilter},
};

use super::Subscriptions;
use crate::delivery::{attempt::Delivery, exchange::Exchange, spec::Spec};

impl Subscriptions {
    /// Sends a sample to its endpoint, once and outside the log, and shows the whole exchange.
    pub async fn test(&self, name: &str, sample: Option<serde_json::Value>) -> Result<Exchange, Problem> {
        let s = self.get(name)?;
        let spec = Spec::compile(s, &[]).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
        let topic = spec.subscription.filters.iter().find_map(TopicFilter::exact);
        let event = self.sample(topic, sample.unwrap_or_else(|| serde_json::json!({"test": true})))?;
        let delivery = Delivery { spec: &spec, generation: 0, attempt: 1, announced: None };
        self.sender.test(&event, delivery).await.map_err(|e| Problem::new(Code::Invalid, e))
    }

    fn sample(&self, topic: Option<Topic>, payload: serde_json::Value) -> Result<StoredEvent, Problem> {
        let now = self.desk.now();
        Ok(StoredEvent {
            seq: 0,
            id: EventId::from_bytes(self.desk.random()?),
            topic: topic.unwrap_or_else(|| Topic::from_canonical("nexus.test")),
            source: "hub".into(),
            subject: None,
            time: now,
            received: now,
            priority: Priority::Normal,
            correlation: None,
            causation: None,
            depth: 0,
            attributes: None,
            data: Data::Present { salt: [0; 16], json: payload.to_string().into() },
            hash: [0; 32],
        })
    }
}
