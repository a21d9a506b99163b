//! What the machine decided and others must hear of: the store, the log, people.

use nexus_core::{event::Seq, store::SubNo, time::Timestamp};

/// Something the machine decided that others must hear of.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// It stopped by itself: record it, say so in the log, alert.
    Stop {
        /// Subscription.
        sub: SubNo,
        /// Disabled (endpoint) rather than paused (limit).
        disabled: bool,
        /// Why.
        reason: String,
    },
    /// A delivery has used up its attempts.
    Dead(Death),
    /// A breaker opened (or closed).
    Breaker {
        /// Subscription.
        sub: SubNo,
        /// It opened.
        opened: bool,
    },
    /// An endpoint has only failed since, and did so at the last; without a time: it works again, or is given up.
    Failing {
        /// Subscription.
        sub: SubNo,
        /// First failure after the last success, and the latest one.
        since: Option<(Timestamp, Timestamp)>,
    },
    /// A replay is over.
    Replayed {
        /// Its number.
        generation: u32,
        /// It has sent everything; otherwise its subscription is gone.
        completed: bool,
    },
    /// More has died than could be told one by one; the store has all of it.
    ManyDead,
}

/// A dead letter as it is told. Everything in it stands in its row, so that it can be told again from there.
#[derive(Clone, Debug, PartialEq)]
pub struct Death {
    /// Subscription.
    pub sub: SubNo,
    /// Event.
    pub seq: Seq,
    /// 0, or the number of the replay that sent it.
    pub generation: u32,
    /// Its priority's lane.
    pub lane: u8,
    /// Attempts made.
    pub attempts: u16,
    /// The last error.
    pub error: String,
    /// When it died: a delivery that is redriven can die again.
    pub at: Timestamp,
}
