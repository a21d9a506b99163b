//! Handlers: functions of this process that take events, as an endpoint would.

use std::any::Any;

use async_trait::async_trait;
use nexus_core::{
    event::{Seq, StoredEvent},
    problem::Problem,
};

/// What a handler made of the news that an event is coming; kept until the attempt is over.
pub type Announced = Box<dyn Any + Send + Sync>;

/// What a handler is told beside the event.
#[derive(Clone, Copy, Debug)]
pub struct Handed<'a> {
    /// What [`Handler::coming`] gave for this attempt.
    pub announced: Option<&'a Announced>,
    /// The same at every attempt.
    pub delivery_id: &'a str,
    /// What of the handler the subscription means.
    pub argument: Option<&'a str>,
}

/// Why a handler did not take an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhandled {
    /// What it is, for people.
    pub reason: String,
    /// It would be refused whenever it is tried: it is a dead letter at once.
    pub dead: bool,
}

impl From<String> for Unhandled {
    fn from(reason: String) -> Self {
        Self { reason, dead: false }
    }
}

impl From<&str> for Unhandled {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

impl From<Problem> for Unhandled {
    fn from(problem: Problem) -> Self {
        problem.message.into()
    }
}

/// A function of this process that takes events.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles one event; an error is a failed attempt. May be called again with the same delivery id.
    async fn handle(&self, event: &StoredEvent, handed: Handed<'_>) -> Result<(), Unhandled>;

    /// An event of this place in the log is about to be handed over. Told in the order in which events go out, one after
    /// the other, while the events themselves are handled side by side: whoever minds their order knows here whom to wait
    /// for. Must not block.
    fn coming(&self, _seq: Seq, _argument: Option<&str>) -> Option<Announced> {
        None
    }
}
