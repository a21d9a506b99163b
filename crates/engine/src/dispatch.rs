//! A handle on the dispatcher: the few questions and changes others have for it.

use nexus_core::{
    event::Seq,
    problem::{Code, Problem},
    store::{Entry, SubNo},
};
use tokio::sync::{mpsc, oneshot};

use crate::delivery::{
    driver::{Change, Command},
    machine::{Machine, Now},
};

/// Talks to the dispatcher. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dispatch(mpsc::Sender<Command>);

fn stopping() -> Problem {
    Problem::new(Code::Unavailable, "the hub is stopping").retry_after(std::time::Duration::from_secs(1))
}

/// The dispatcher waits for a change; dropping this lets it go on without one.
#[derive(Debug)]
pub struct Hold {
    /// Last seq dispatched: the change holds from the next one on.
    pub head: Seq,
    change: oneshot::Sender<Change>,
}

impl Hold {
    /// Makes the change and lets the dispatcher go on.
    pub fn apply(self, change: Change) {
        let _ = self.change.send(change);
    }
}

impl Dispatch {
    /// Over the driver's command channel.
    pub fn new(commands: mpsc::Sender<Command>) -> Self {
        Self(commands)
    }

    async fn send(&self, command: Command) -> Result<(), Problem> {
        self.0.send(command).await.map_err(|_| stopping())
    }

    /// Stops dispatching until the hold is used or dropped.
    pub async fn hold(&self) -> Result<Hold, Problem> {
        let (reply, head) = oneshot::channel();
        let (change, awaited) = oneshot::channel();
        self.send(Command::Hold(reply, awaited)).await?;
        let head = head.await.map_err(|_| stopping())?;
        Ok(Hold { head, change })
    }

    /// Makes a change that needs no exact seq.
    pub async fn change(&self, change: Change) -> Result<(), Problem> {
        self.send(Command::Change(change)).await
    }

    /// Saves all bookkeeping; what was answered before this call is in the store after it.
    pub async fn flush(&self) -> Result<(), Problem> {
        let (reply, done) = oneshot::channel();
        self.send(Command::Flush(reply)).await?;
        done.await.map_err(|_| stopping())
    }

    /// Saves `entries`.
    pub async fn save(&self, entries: Vec<Entry>) -> Result<(), Problem> {
        let (reply, done) = oneshot::channel();
        self.send(Command::Save(entries, reply)).await?;
        done.await.map_err(|_| stopping())
    }

    /// Looks at the machine.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Machine, Now) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let ask = Command::Ask(Box::new(move |machine, now| {
            let _ = reply.send(question(machine, now));
        }));
        self.send(ask).await?;
        answer.await.map_err(|_| stopping())
    }

    /// Looks at one subscription's state.
    pub async fn state<T: Send + 'static>(
        &self,
        sub: SubNo,
        question: impl FnOnce(&Machine, &crate::delivery::state::State, Now) -> T + Send + 'static,
    ) -> Result<Option<T>, Problem> {
        self.ask(move |machine, now| machine.state(sub).map(|state| question(machine, state, now))).await
    }
}
