//! The moment at which a proof ends, for what outlives the request that showed it.

use std::{sync::Arc, time::Duration};

use nexus_core::time::{Clock, Timestamp};
use nexus_engine::Hub;

use super::wire::End;
use crate::identity::Presented;

/// Wall time may jump; whoever sleeps for longer than this looks again.
const LOOK: Duration = Duration::from_secs(3600);

/// The end of a proof: of its token, of the grace of one that was rotated, of the key that it was made with.
pub(crate) struct Ending {
    clock: Arc<dyn Clock>,
    at: Option<Timestamp>,
}

impl Ending {
    /// Of what `who` showed; `None` has no end.
    pub(crate) fn of(hub: &Hub, who: Option<&Presented>) -> Self {
        Self { clock: Arc::clone(hub.clock()), at: who.and_then(|who| who.ends(hub)) }
    }

    /// Asks again: what it may do and for how long may have changed.
    pub(crate) fn renew(&mut self, hub: &Hub, who: Option<&Presented>) {
        *self = Self::of(hub, who);
    }

    /// Whether it has not come yet: nothing is heard and nothing said after it.
    pub(crate) fn check(&self) -> Result<(), End> {
        if self.at.is_some_and(|at| at <= self.clock.now()) { Err(End::TokenEnded) } else { Ok(()) }
    }

    /// Ends when it has come; never where there is none. Cancel-safe.
    pub(crate) async fn passed(&self) -> End {
        let Some(at) = self.at else { return std::future::pending().await };
        while let Ok(()) = self.check() {
            self.clock.sleep(at.since(self.clock.now()).min(LOOK)).await;
        }
        End::TokenEnded
    }
}
