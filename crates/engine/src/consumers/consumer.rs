//! One consumer: it takes deliveries, holds them until they are settled, and gives back what it holds when it ends.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    event::StoredEvent,
    limits::CONSUMER_BATCH_BYTES,
    problem::{Code, Problem},
    store::SubNo,
};

use super::{Consumers, End, Lease, Offer, Share, Term};
use crate::{Hub, delivery::attempt::delivery_id};

/// A delivery that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Names it until it is settled.
    pub lease: String,
    /// The same at every attempt.
    pub delivery_id: String,
    /// The subscription.
    pub subscription: String,
    /// Which attempt, from 1.
    pub attempt: u16,
    /// 0, or the replay's number.
    pub generation: u32,
    /// The event's name in the form that the subscription asked for.
    pub name: String,
    /// The event.
    pub event: Arc<StoredEvent>,
    /// How long the lease lasts.
    pub lasts: Duration,
}

/// A connected consumer. When it is dropped, what it holds is given back at once.
#[derive(Debug)]
pub struct Consumer {
    desk: Arc<Consumers>,
    sub: SubNo,
    number: u64,
}

/// Whether a consumer can take something now.
enum Look {
    Found(Vec<Taken>),
    /// It holds as much as it may.
    Full,
    /// Nothing is on offer.
    Nothing,
    Gone,
}

impl Hub {
    /// A consumer of a subscription, which holds at most `most` deliveries at once.
    pub fn consume(&self, name: &str, most: usize) -> Result<Consumer, Problem> {
        self.consumers().attach(self.consumed(name)?, most)
    }

    /// Up to `most` deliveries of a subscription; waits for the first at most `patience`.
    pub async fn pull(&self, name: &str, most: usize, patience: Duration) -> Result<Vec<Taken>, Problem> {
        let sub = self.consumed(name)?;
        self.consumers().pull(sub, most, patience).await
    }

    /// The number of a subscription that consumers take from, also before the dispatcher has heard of it.
    pub fn consumed(&self, name: &str) -> Result<SubNo, Problem> {
        let is_consumer = || self.subscriptions().get(name).map(|s| (s.no, s.target.is_consumer()));
        let (no, true) = is_consumer()? else { return Err(no_consumer()) };
        self.consumers().open(no);
        // It may have gone meanwhile, and the dispatcher have heard of that before it was opened.
        if is_consumer() != Ok((no, true)) {
            self.consumers().end(no);
            return Err(no_consumer());
        }
        Ok(no)
    }
}

impl Consumers {
    /// A consumer that holds at most `most` deliveries at once; a refusal where the subscription's target is no consumer.
    fn attach(self: &Arc<Self>, sub: SubNo, most: usize) -> Result<Consumer, Problem> {
        let mut floor = self.floor();
        floor.next += 1;
        let number = floor.next;
        let queue = floor.queues.get_mut(&sub).ok_or_else(no_consumer)?;
        queue.shares.insert(number, Share { most, held: 0 });
        drop(floor);
        Ok(Consumer { desk: Arc::clone(self), sub, number })
    }

    /// For whoever asks once; waits for the first until `patience` is over or the hub stops.
    async fn pull(&self, sub: SubNo, most: usize, patience: Duration) -> Result<Vec<Taken>, Problem> {
        let late = self.clock.sleep(patience);
        tokio::select! {
            biased;
            taken = self.take(sub, None, most) => taken.ok_or_else(no_consumer),
            () = late => Ok(Vec::new()),
            () = self.closing.cancelled() => Ok(Vec::new()),
        }
    }

    /// At least one delivery, once there is one; `None` when the subscription takes no consumers any more. Cancel-safe.
    async fn take(&self, sub: SubNo, holder: Option<u64>, most: usize) -> Option<Vec<Taken>> {
        loop {
            let (offered, room) = {
                let floor = self.floor();
                let queue = floor.queues.get(&sub)?;
                (Arc::clone(&queue.offered), Arc::clone(&queue.room))
            };
            // Made before the look, they miss no notice to all. One to a single waiter is kept for whoever comes to wait, and
            // must not go to a consumer that has no room: so only one of them is awaited.
            let (on_offer, on_room) = (offered.notified(), room.notified());
            match self.look(sub, holder, most) {
                Look::Found(taken) => return Some(taken),
                Look::Full => on_room.await,
                Look::Nothing => on_offer.await,
                Look::Gone => return None,
            }
        }
    }

    fn look(&self, sub: SubNo, holder: Option<u64>, most: usize) -> Look {
        let (wall, mono) = (self.clock.now(), self.clock.mono());
        let mut floor = self.floor();
        let Some(queue) = floor.queues.get_mut(&sub) else { return Look::Gone };
        let share = holder.and_then(|h| queue.shares.get(&h));
        let most = share.map_or(most, |s| s.most.saturating_sub(s.held));
        if most == 0 {
            return Look::Full;
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while taken.len() < most && bytes < CONSUMER_BATCH_BYTES {
            let Some((number, offer)) = queue.offers.pop_first() else { break };
            bytes += offer.what.event.weight();
            let lasts = offer.what.spec.subscription.timeout();
            offer.term.send_replace(Some(Term { taken: wall, since: mono, until: mono + lasts }));
            taken.push(shown(self.name(sub, number), &offer, lasts));
            queue.leases.insert(number, Lease { offer, holder });
        }
        if taken.is_empty() {
            return Look::Nothing;
        }
        if let Some(share) = holder.and_then(|h| queue.shares.get_mut(&h)) {
            share.held += taken.len();
        }
        if !queue.offers.is_empty() {
            queue.offered.notify_one();
        }
        Look::Found(taken)
    }

    /// A consumer is gone, by its own will or not.
    fn detach(&self, sub: SubNo, number: u64) {
        // When it is the hub that ends the connection, the consumer did nothing wrong.
        let ours = self.closing.is_cancelled();
        let mut floor = self.floor();
        let Some(queue) = floor.queues.get_mut(&sub) else { return };
        queue.shares.remove(&number);
        let mut held: Vec<u64> =
            queue.leases.iter().filter(|(_, l)| l.holder == Some(number)).map(|(n, _)| *n).collect();
        held.sort_unstable();
        for lease in held {
            let Some(offer) = queue.release(lease) else { continue };
            let end = if ours { End::Withdrawn } else { lost(&offer) };
            let _ = offer.end.send(end);
        }
    }
}

fn no_consumer() -> Problem {
    Problem::new(Code::Conflict, "the subscription's target is not a consumer: {\"kind\":\"consumer\"}")
}

/// The first time it goes out again at once; after that by the schedule, so that an event at which consumers die meets
/// them ever less often, until it is a dead letter.
fn lost(offer: &Offer) -> End {
    let wait = (offer.what.attempt <= 1).then_some(Duration::ZERO);
    End::Nacked { wait, reason: "the consumer's connection ended before it acknowledged".to_owned() }
}

fn shown(lease: String, offer: &Offer, lasts: Duration) -> Taken {
    let what = &offer.what;
    Taken {
        lease,
        delivery_id: delivery_id(what.spec.subscription.no, &what.event, what.generation),
        subscription: what.spec.subscription.name.clone(),
        attempt: what.attempt,
        generation: what.generation,
        name: what.spec.name_for(&what.event),
        event: Arc::clone(&what.event),
        lasts,
    }
}

impl Consumer {
    /// At least one delivery, once there is one and this consumer has room; `None` when the subscription is gone or takes
    /// no consumers any more. Cancel-safe.
    pub async fn take(&self) -> Option<Vec<Taken>> {
        self.desk.take(self.sub, Some(self.number), 0).await
    }

    /// Changes how many deliveries it may hold. What it holds it keeps.
    pub fn resize(&self, most: usize) {
        if let Some(queue) = self.desk.floor().queues.get_mut(&self.sub) {
            if let Some(share) = queue.shares.get_mut(&self.number) {
                share.most = most;
            }
            queue.room.notify_waiters();
        }
    }

    /// The number of its subscription.
    pub fn subscription(&self) -> SubNo {
        self.sub
    }

    /// The desk it takes from.
    pub fn desk(&self) -> &Arc<Consumers> {
        &self.desk
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.desk.detach(self.sub, self.number);
    }
}
