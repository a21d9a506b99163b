//! Durable consumers: deliveries of a subscription whose target is a consumer, taken, then acknowledged or refused.

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Client, Error, Problem,
    client::{More, Path},
    socket::{Broken, Socket, backoff},
    subscription::{NewSubscription, Subscription},
};

/// A delivery that was taken. It comes again unless it is acknowledged before its lease ends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Delivery {
    /// Its subscription.
    pub subscription: String,
    /// Names it until it is settled.
    pub lease: String,
    /// How long the lease lasts, in ms from when it was taken.
    pub lease_ms: u64,
    /// The same at every attempt.
    pub delivery_id: String,
    /// Which attempt, from 1.
    pub attempt: u16,
    /// The event's name in the form that the subscription asked for.
    pub event: String,
    /// Its canonical topic.
    pub topic: String,
    /// Its data.
    #[serde(default)]
    pub payload: Value,
    /// Its id.
    pub id: String,
    /// Its place in the log.
    pub seq: u64,
    /// When it was stored: epoch seconds over a socket, ISO 8601 when pulled.
    pub timestamp: Value,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: More,
}

/// What became of acknowledgements.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Acked {
    /// So many were held, and are done.
    pub acked: u64,
    /// These were not held any more.
    pub unheld: Vec<String>,
}

/// What a consumer hears.
#[derive(Clone, Debug)]
pub enum Consumed {
    /// A delivery.
    Delivery(Box<Delivery>),
    /// A lease was not held any more: its delivery comes again, here or elsewhere.
    Unheld {
        /// Which.
        lease: String,
        /// The hub's words.
        reason: String,
    },
    /// The connection was lost and is being made again; the hub has taken back what was not acknowledged.
    Lost(String),
}

/// A consumer of one subscription, over a socket that is made again when it is lost.
pub struct Consumer {
    client: Client,
    subscription: String,
    max: usize,
    socket: Option<Socket>,
    attempt: usize,
    begun: bool,
}

fn path(subscription: &str, act: &str) -> Path {
    Path::new("/api/v1/consumers").segment(subscription).segment(act)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Client {
    /// Makes a subscription unless one of its name is there; one that differs is a conflict (scope `subscriptions:write`).
    pub async fn ensure_subscription(&self, subscription: &NewSubscription) -> Result<Subscription, Error> {
        let path = Path::new("/api/v1/subscriptions").segment(&subscription.name);
        self.call(Method::PUT, path.as_str(), Some(subscription)).await
    }

    /// Takes up to `max` deliveries; waits for the first at most `wait` (a minute at most, and less than this client's
    /// time limit).
    pub async fn pull(&self, subscription: &str, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        self.post(path(subscription, "pull").as_str(), &json!({"max": max, "wait_ms": ms(wait)})).await
    }

    /// Acknowledges deliveries.
    pub async fn ack(&self, subscription: &str, leases: &[String]) -> Result<Acked, Error> {
        self.post(path(subscription, "ack").as_str(), &json!({ "leases": leases })).await
    }

    /// Refuses a delivery: it comes again after `delay`, or by the retry schedule.
    pub async fn nack(
        &self,
        subscription: &str,
        lease: &str,
        delay: Option<Duration>,
        reason: &str,
    ) -> Result<(), Error> {
        let body = json!({"lease": lease, "delay_ms": delay.map(ms), "reason": reason});
        self.post::<Value>(path(subscription, "nack").as_str(), &body).await.map(drop)
    }

    /// Moves the end of a lease to `by` from now.
    pub async fn extend(&self, subscription: &str, lease: &str, by: Duration) -> Result<(), Error> {
        let body = json!({"lease": lease, "ms": ms(by)});
        self.post::<Value>(path(subscription, "extend").as_str(), &body).await.map(drop)
    }

    /// A consumer of a subscription that holds at most `max` deliveries at once.
    pub fn consume(&self, subscription: &str, max: usize) -> Consumer {
        Consumer {
            client: self.clone(),
            subscription: subscription.to_owned(),
            max,
            socket: None,
            attempt: 0,
            begun: false,
        }
    }
}

impl Consumer {
    /// The next delivery, or news of the connection. An error ends it: the first connection fails, the hub refuses,
    /// or it shows a certificate that is not trusted.
    pub async fn next(&mut self) -> Result<Consumed, Error> {
        loop {
            let Some(socket) = &mut self.socket else {
                self.open().await?;
                continue;
            };
            match socket.hear(&self.client).await {
                Ok(None) => {}
                Ok(Some(frame)) => {
                    self.attempt = 0;
                    if let Some(consumed) = self.understand(frame)? {
                        return Ok(consumed);
                    }
                }
                Err(Broken::Connection(reason)) => {
                    self.socket = None;
                    return Ok(Consumed::Lost(reason));
                }
                Err(Broken::Refused(error)) => return Err(error),
            }
        }
    }

    /// One attempt to connect; after the first success, a failure that another attempt may mend is none.
    async fn open(&mut self) -> Result<(), Error> {
        if self.begun {
            tokio::time::sleep(backoff(self.attempt)).await;
            self.attempt += 1;
        }
        match Socket::dial(&self.client, "/ws").await {
            Ok(mut socket) => {
                let consume = json!({"type": "consume", "subscription": self.subscription, "max": self.max});
                if socket.say(&consume).await.is_ok() {
                    self.socket = Some(socket);
                }
                self.begun = true;
                Ok(())
            }
            Err(error) if self.begun && error.is_retryable() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn understand(&self, mut frame: Value) -> Result<Option<Consumed>, Error> {
        match frame.get("type").and_then(Value::as_str).unwrap_or_default() {
            "delivery" => {
                if let Some(map) = frame.as_object_mut() {
                    map.remove("type");
                }
                self.client.read(frame).map(|delivery| Some(Consumed::Delivery(delivery)))
            }
            "error" => {
                let problem = Problem::read(400, frame.to_string().as_bytes(), None, None);
                match frame.get("lease").and_then(Value::as_str) {
                    Some(lease) => Ok(Some(Consumed::Unheld { lease: lease.to_owned(), reason: problem.message })),
                    None => Err(Error::Refused(Box::new(problem))),
                }
            }
            _ => Ok(None),
        }
    }

    /// Changes how many deliveries it holds at once; with 0 it takes no more.
    pub async fn resize(&mut self, max: usize) {
        self.max = max;
        self.say(json!({"type": "consume", "subscription": self.subscription, "max": max})).await;
    }

    /// Acknowledges a delivery. Where the connection was lost since, it comes again.
    pub async fn ack(&mut self, lease: &str) {
        self.say(json!({"type": "ack", "lease": lease})).await;
    }

    /// Refuses a delivery: it comes again after `delay`, or by the retry schedule.
    pub async fn nack(&mut self, lease: &str, delay: Option<Duration>, reason: &str) {
        self.say(json!({"type": "nack", "lease": lease, "delay_ms": delay.map(ms), "reason": reason})).await;
    }

    /// Moves the end of a lease to `by` from now.
    pub async fn extend(&mut self, lease: &str, by: Duration) {
        self.say(json!({"type": "extend", "lease": lease, "ms": ms(by)})).await;
    }

    async fn say(&mut self, frame: Value) {
        // A socket that fails here fails at the next frame too, which says so.
        if let Some(socket) = &mut self.socket {
            let _ = socket.say(&frame).await;
        }
    }

    /// Ends it. What was not acknowledged is given back.
    pub async fn close(mut self) {
        if let Some(socket) = &mut self.socket {
            socket.close().await;
        }
    }
}
