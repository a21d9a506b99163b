//! The subscriptions that one socket consumes: what it takes, holds and settles.

use std::time::Duration;

use futures_util::future::select_all;
use nexus_core::{
    limits::SOCKET_CONSUMERS,
    problem::{Code, Problem},
};
use nexus_engine::{
    Hub,
    consumers::{Consumer, Taken},
};

use crate::{
    consume::{check_most, may_consume},
    identity::Presented,
};

/// Deliveries a consumer holds at once when it does not say.
const HELD: usize = 16;

/// What a frame asks of consumption.
#[derive(Debug)]
pub(crate) enum Consumption {
    /// Deliveries of a subscription, so many unacknowledged at once.
    Consume {
        /// Its name.
        subscription: String,
        /// At most.
        most: Option<usize>,
    },
    /// These are done.
    Ack(Vec<String>),
    /// This one failed.
    Nack {
        /// Which.
        lease: String,
        /// Tried again after this.
        delay: Option<Duration>,
        /// Why, for people.
        reason: Option<String>,
    },
    /// This one needs more time.
    Extend {
        /// Which.
        lease: String,
        /// So much from now.
        by: Option<Duration>,
    },
}

impl Consumption {
    /// It only settles what was handed out, so that the hub's own deliveries bound how often it can come.
    pub(crate) fn settles(&self) -> bool {
        matches!(self, Self::Ack(_) | Self::Nack { .. })
    }
}

/// What a socket consumes.
#[derive(Debug, Default)]
pub(crate) struct Consuming(Vec<(String, Consumer)>);

/// What a refusal is about.
#[derive(Debug)]
pub(crate) enum About {
    /// A lease.
    Lease(String),
    /// A subscription.
    Subscription(String),
}

/// What came of waiting for deliveries.
pub(crate) enum Came {
    /// Deliveries.
    Taken(Vec<Taken>),
    /// This subscription is gone, or takes no consumers any more.
    Gone(String),
}

impl Consuming {
    /// Does what a frame asks for; the answer, where there is one.
    pub(crate) fn obey(
        &mut self,
        hub: &Hub,
        who: &Presented,
        asked: Consumption,
    ) -> Result<Option<String>, (Problem, About)> {
        match asked {
            Consumption::Consume { subscription, most } => {
                let consumed = self.consume(hub, who, subscription.clone(), most);
                consumed.map(Some).map_err(|problem| (problem, About::Subscription(subscription)))
            }
            Consumption::Ack(leases) => {
                // One that ended meanwhile must not keep the others from being acknowledged.
                let mut first = None;
                for lease in leases {
                    if let Err(problem) = self.settle(&lease, |c| c.desk().ack(c.subscription(), &lease)) {
                        first.get_or_insert((problem, About::Lease(lease)));
                    }
                }
                first.map_or(Ok(None), Err)
            }
            Consumption::Nack { lease, delay, reason } => {
                let settle = |c: &Consumer| c.desk().nack(c.subscription(), &lease, delay, reason.as_deref());
                self.settle(&lease, settle).map_err(|p| (p, About::Lease(lease)))?;
                Ok(None)
            }
            Consumption::Extend { lease, by } => {
                let extended = self.settle(&lease, |c| c.desk().extend(c.subscription(), &lease, by));
                let by = extended.map_err(|p| (p, About::Lease(lease.clone())))?;
                let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
                Ok(Some(serde_json::json!({"type": "extended", "lease": lease, "extended_ms": ms}).to_string()))
            }
        }
    }

    /// Whether `who` may still consume all that is consumed here.
    pub(crate) fn may_go_on(&self, who: &Presented) -> bool {
        self.0.iter().all(|(subscription, _)| may_consume(&who.principal, subscription).is_ok())
    }

    fn consume(
        &mut self,
        hub: &Hub,
        who: &Presented,
        subscription: String,
        most: Option<usize>,
    ) -> Result<String, Problem> {
        may_consume(&who.principal, &subscription)?;
        let most = check_most(most.unwrap_or(HELD), 0)?;
        if let Some((_, consumer)) = self.0.iter().find(|(name, _)| *name == subscription) {
            consumer.resize(most);
        } else if self.0.len() >= SOCKET_CONSUMERS {
            let message = format!("one socket consumes at most {SOCKET_CONSUMERS} subscriptions");
            return Err(Problem::new(Code::TooLarge, message));
        } else {
            self.0.push((subscription.clone(), hub.consume(&subscription, most)?));
        }
        Ok(serde_json::json!({"type": "consuming", "subscription": subscription, "max": most}).to_string())
    }

    /// Only what this socket consumes can be settled here.
    fn settle<T>(&self, lease: &str, act: impl FnOnce(&Consumer) -> Result<T, Problem>) -> Result<T, Problem> {
        let of = self.0.first().and_then(|(_, c)| c.desk().subscription_of(lease));
        let consumer = self.0.iter().map(|(_, c)| c).find(|c| Some(c.subscription()) == of);
        let unknown = || {
            let message = format!("lease {lease:?} is of no subscription that this socket consumes");
            Problem::new(Code::NotFound, message)
        };
        act(consumer.ok_or_else(unknown)?)
    }

    /// The next deliveries of any of them; waits for ever where there are none. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Came {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let (taken, at) = {
            let waiting = self.0.iter().map(|(_, consumer)| Box::pin(consumer.take()));
            let (taken, at, _) = select_all(waiting).await;
            (taken, at)
        };
        match taken {
            Some(taken) => {
                // Whoever was served goes to the back: a busy subscription must not starve the others.
                self.0[at..].rotate_left(1);
                Came::Taken(taken)
            }
            None => Came::Gone(self.0.remove(at).0),
        }
    }
}
