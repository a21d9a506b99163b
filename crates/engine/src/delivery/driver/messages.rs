//! What the dispatcher is told.

use std::{collections::HashSet, sync::Arc};

use nexus_core::{
    event::Seq,
    store::{Entry, Exception, SubNo},
};
use tokio::sync::oneshot;

use super::super::{
    key::DeliveryKey,
    machine::{Machine, Now},
    spec::Spec,
};

/// A change of what is delivered.
#[derive(Debug)]
pub enum Change {
    /// A new subscription; whether it is active, and its first seq.
    Add(Arc<Spec>, bool, Seq),
    /// A changed one.
    Update(Arc<Spec>),
    /// Pause or resume.
    Active(SubNo, bool),
    /// Gone.
    Remove(SubNo),
    /// A dead letter is to be tried again.
    Redrive(Box<Exception>),
    /// A dead letter was deleted.
    Forget(SubNo, DeliveryKey),
    /// A replay begins: subscription, number, first and last seq.
    Replay(SubNo, u32, Seq, Seq),
    /// A replay ends.
    CancelReplay(SubNo),
    /// The data of these events was erased.
    Erased(HashSet<Seq>),
}

/// A look at the machine.
pub(super) type Question = Box<dyn FnOnce(&Machine, Now) + Send>;

/// What the dispatcher is told.
pub enum Command {
    /// Stop dispatching after the present head, report it, and go on when the change comes (or its sender is dropped).
    /// So a change holds from exactly the reported seq + 1 on.
    Hold(oneshot::Sender<Seq>, oneshot::Receiver<Change>),
    /// A change that needs no exact seq.
    Change(Change),
    /// Save everything now, then answer.
    Flush(oneshot::Sender<()>),
    /// Save these entries now, then answer: positions of a subscription that is about to be made.
    Save(Vec<Entry>, oneshot::Sender<()>),
    /// Look at the machine.
    Ask(Question),
}
