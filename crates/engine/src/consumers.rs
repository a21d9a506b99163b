//! Remote consumers: deliveries are offered, and taken under a lease by whoever asks.
//!
//! An attempt of a subscription whose target is a consumer waits here, inside the subscription's concurrency, until one
//! takes it; only then its time begins. What ends it is the consumer's word, the end of its lease or of its connection, or
//! that the subscription stops, which withdraws what nobody has taken. Nothing here is durable, and nothing needs be: a
//! delivery that was not acknowledged goes out again with the same id.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nexus_core::{
    event::StoredEvent,
    limits::LEASE_EXTENSION,
    problem::{Code, Problem},
    retry::{RETRY_AFTER_CAP, Verdict},
    store::SubNo,
    time::{Clock, Timestamp},
};
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{
        driver::Change,
        outcome::{Answer, Made},
        spec::Spec,
    },
    supervisor::Spawn,
};

mod consumer;

pub use consumer::{Consumer, Taken};

/// Characters of a consumer's reason that are kept.
const REASON_CHARS: usize = 500;

/// A delivery to be offered.
#[derive(Debug)]
pub(crate) struct Offered {
    /// The event.
    pub(crate) event: Arc<StoredEvent>,
    /// The subscription.
    pub(crate) spec: Arc<Spec>,
    /// 0, or the replay's number.
    pub(crate) generation: u32,
    /// Which attempt, from 1.
    pub(crate) attempt: u16,
}

/// How an offer ends.
#[derive(Debug)]
enum End {
    Acked,
    Nacked { wait: Option<Duration>, reason: String },
    Withdrawn,
    Erased,
}

/// Since when a lease runs, and until when.
#[derive(Clone, Copy, Debug)]
struct Term {
    taken: Timestamp,
    since: Duration,
    until: Duration,
}

#[derive(Debug)]
struct Offer {
    what: Arc<Offered>,
    end: oneshot::Sender<End>,
    term: watch::Sender<Option<Term>>,
}

#[derive(Debug)]
struct Lease {
    offer: Offer,
    /// The consumer that holds it; pulled ones are held by nobody in particular.
    holder: Option<u64>,
}

/// A consumer's share.
#[derive(Debug)]
struct Share {
    most: usize,
    held: usize,
}

/// What one subscription has on offer.
#[derive(Debug, Default)]
struct Queue {
    closed: bool,
    /// In the order in which the dispatcher decided.
    offers: BTreeMap<u64, Offer>,
    leases: HashMap<u64, Lease>,
    shares: HashMap<u64, Share>,
    /// Something is on offer.
    offered: Arc<Notify>,
    /// A consumer that held all it may has room again.
    room: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Floor {
    next: u64,
    queues: BTreeMap<SubNo, Queue>,
}

/// How a subscription's consumers stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Connected ones.
    pub consumers: usize,
    /// Deliveries that nobody has taken yet.
    pub offered: usize,
    /// Deliveries that were taken and not acknowledged yet.
    pub leased: usize,
}

/// All offers and leases.
pub struct Consumers {
    clock: Arc<dyn Clock>,
    /// The doors close: connections end because of us.
    closing: CancellationToken,
    stop: CancellationToken,
    /// Leases of an earlier process are not taken for ours.
    process: u32,
    floor: Mutex<Floor>,
}

impl std::fmt::Debug for Consumers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Consumers({:?})", self.floor())
    }
}

fn unheld(lease: &str) -> Problem {
    let message = format!(
        "lease {lease:?} is not held: it ended, was settled, or never was; the delivery comes again if it was not acknowledged"
    );
    Problem::new(Code::NotFound, message)
}

impl Consumers {
    pub(crate) fn new(clock: Arc<dyn Clock>, spawn: &Spawn, process: u32) -> Self {
        Self {
            clock,
            closing: spawn.stopping(),
            stop: spawn.engine_stopping(),
            process,
            floor: Mutex::new(Floor::default()),
        }
    }

    fn floor(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A subscription that consumers take from.
    pub(crate) fn open(&self, sub: SubNo) {
        self.floor().queues.entry(sub).or_default();
    }

    /// What the dispatcher is told concerns offers too.
    pub(crate) fn hear(&self, change: &Change) {
        match change {
            Change::Add(spec, ..) if spec.subscription.target.is_consumer() => self.open(spec.subscription.no),
            Change::Update(spec) if spec.subscription.target.is_consumer() => {
                self.open(spec.subscription.no);
                // They are offered again as they are to be from now on.
                self.withdraw(spec.subscription.no, |_| Some(End::Withdrawn));
            }
            Change::Update(spec) => self.end(spec.subscription.no),
            Change::Remove(sub) => self.end(*sub),
            Change::Active(sub, true) => {
                if let Some(queue) = self.floor().queues.get_mut(sub) {
                    queue.closed = false;
                }
            }
            Change::Active(sub, false) => self.close(*sub),
            Change::CancelReplay(sub) => {
                self.withdraw(*sub, |what| (what.generation > 0).then_some(End::Withdrawn));
            }
            Change::Erased(seqs) => {
                let all: Vec<SubNo> = self.floor().queues.keys().copied().collect();
                for sub in all {
                    self.withdraw(sub, |what| seqs.contains(&what.event.seq).then_some(End::Erased));
                }
            }
            Change::Add(..) | Change::Redrive(_) | Change::Forget(..) | Change::Replay(..) => {}
        }
    }

    /// Nothing more is offered until it is active again; what was taken may still be acknowledged.
    pub(crate) fn close(&self, sub: SubNo) {
        if let Some(queue) = self.floor().queues.get_mut(&sub) {
            queue.closed = true;
        }
        self.withdraw(sub, |_| Some(End::Withdrawn));
    }

    /// Takes back those offers for which `how` gives an end.
    fn withdraw(&self, sub: SubNo, how: impl Fn(&Offered) -> Option<End>) {
        let mut floor = self.floor();
        let Some(queue) = floor.queues.get_mut(&sub) else { return };
        let (gone, stay) = std::mem::take(&mut queue.offers).into_iter().partition(|(_, o)| how(&o.what).is_some());
        queue.offers = stay;
        let gone: BTreeMap<u64, Offer> = gone;
        for offer in gone.into_values() {
            if let Some(end) = how(&offer.what) {
                let _ = offer.end.send(end);
            }
        }
    }

    /// No consumer takes from it any more: leases end too.
    fn end(&self, sub: SubNo) {
        let Some(queue) = self.floor().queues.remove(&sub) else { return };
        let leased = queue.leases.into_values().map(|l| l.offer);
        for offer in queue.offers.into_values().chain(leased) {
            let _ = offer.end.send(End::Withdrawn);
        }
        queue.offered.notify_waiters();
        queue.room.notify_waiters();
    }

    /// Offers a delivery and waits for what comes of it.
    pub(crate) async fn offer(&self, what: Offered) -> Made {
        let what = Arc::new(what);
        let Some((number, mut end, mut term)) = self.put(&what) else {
            return Made::Withdrawn(Arc::clone(&what.event));
        };
        let sub = what.spec.subscription.no;
        loop {
            let until = term.borrow_and_update().map(|t| t.until);
            let late = async {
                match until {
                    Some(until) => self.clock.sleep(until.saturating_sub(self.clock.mono())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                ended = &mut end => return self.made(&what, *term.borrow(), ended.unwrap_or(End::Withdrawn)),
                // The sender goes with the offer, and then there is an end.
                changed = term.changed() => if changed.is_err() {
                    let ended = end.await.unwrap_or(End::Withdrawn);
                    return self.made(&what, *term.borrow(), ended);
                },
                () = late => if self.is_over(sub, number) {
                    let lasted = term.borrow().map_or(Duration::ZERO, |t| t.until.saturating_sub(t.since));
                    let reason = format!("the consumer did not acknowledge it within {} ms", lasted.as_millis());
                    return self.made(&what, *term.borrow(), End::Nacked { wait: None, reason });
                },
                () = self.stop.cancelled() => {
                    self.forget(sub, number);
                    return Made::Withdrawn(Arc::clone(&what.event));
                }
            }
        }
    }

    fn put(&self, what: &Arc<Offered>) -> Option<(u64, oneshot::Receiver<End>, watch::Receiver<Option<Term>>)> {
        let mut floor = self.floor();
        floor.next += 1;
        let number = floor.next;
        let queue = floor.queues.get_mut(&what.spec.subscription.no).filter(|q| !q.closed)?;
        let (ender, end) = oneshot::channel();
        let (term, termed) = watch::channel(None);
        queue.offers.insert(number, Offer { what: Arc::clone(what), end: ender, term });
        queue.offered.notify_one();
        Some((number, end, termed))
    }

    /// Ends a lease whose time is up; false when it was extended or settled meanwhile.
    fn is_over(&self, sub: SubNo, number: u64) -> bool {
        let now = self.clock.mono();
        let mut floor = self.floor();
        let Some(queue) = floor.queues.get_mut(&sub) else { return false };
        let over = |l: &Lease| l.offer.term.borrow().is_some_and(|t| t.until <= now);
        if !queue.leases.get(&number).is_some_and(over) {
            return false;
        }
        queue.release(number).is_some()
    }

    fn forget(&self, sub: SubNo, number: u64) {
        if let Some(queue) = self.floor().queues.get_mut(&sub) {
            queue.offers.remove(&number);
            queue.release(number);
        }
    }

    fn made(&self, what: &Offered, term: Option<Term>, end: End) -> Made {
        let now = self.clock.mono();
        let (started, latency) =
            term.map_or((self.clock.now(), Duration::ZERO), |t| (t.taken, now.saturating_sub(t.since)));
        let (verdict, error, retry_in) = match end {
            End::Withdrawn => return Made::Withdrawn(Arc::clone(&what.event)),
            End::Erased => return Made::Expired,
            End::Acked => (Verdict::Success, None, None),
            End::Nacked { wait, reason } => (Verdict::Retry, Some(reason), wait.map(|w| w.min(RETRY_AFTER_CAP))),
        };
        Made::Answered(Answer {
            verdict,
            status: None,
            error,
            retry_after: None,
            retry_in,
            started,
            latency,
            request_head: None,
            response_head: None,
        })
    }

    /// The number of a lease of this process, and its subscription.
    fn parse(&self, lease: &str) -> Option<(SubNo, u64)> {
        let mut parts = lease.splitn(3, '-');
        let process = u32::from_str_radix(parts.next()?, 16).ok()?;
        let found = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (process == self.process).then_some(found)
    }

    fn name(&self, sub: SubNo, number: u64) -> String {
        format!("{:08x}-{sub}-{number}", self.process)
    }

    /// The subscription that a lease belongs to.
    pub fn subscription_of(&self, lease: &str) -> Option<SubNo> {
        self.parse(lease).map(|(sub, _)| sub)
    }

    fn settle(&self, sub: SubNo, lease: &str, end: End) -> Result<(), Problem> {
        let (of, number) = self.parse(lease).filter(|(of, _)| *of == sub).ok_or_else(|| unheld(lease))?;
        let mut floor = self.floor();
        let released = floor.queues.get_mut(&of).and_then(|q| q.release(number));
        let offer = released.ok_or_else(|| unheld(lease))?;
        offer.end.send(end).map_err(|_| unheld(lease))
    }

    /// A delivery is done.
    pub fn ack(&self, sub: SubNo, lease: &str) -> Result<(), Problem> {
        self.settle(sub, lease, End::Acked)
    }

    /// A delivery failed: it is tried again after `wait` (an hour at most), or as the retry schedule says.
    pub fn nack(&self, sub: SubNo, lease: &str, wait: Option<Duration>, reason: Option<&str>) -> Result<(), Problem> {
        let reason = reason.filter(|r| !r.is_empty()).map_or_else(
            || "the consumer refused it".to_owned(),
            |reason| format!("the consumer refused it: {}", reason.chars().take(REASON_CHARS).collect::<String>()),
        );
        self.settle(sub, lease, End::Nacked { wait, reason })
    }

    /// Moves the end of a lease to `by` from now, or to the subscription's time for one attempt. How long that is.
    pub fn extend(&self, sub: SubNo, lease: &str, by: Option<Duration>) -> Result<Duration, Problem> {
        let (of, number) = self.parse(lease).filter(|(of, _)| *of == sub).ok_or_else(|| unheld(lease))?;
        let floor = self.floor();
        let held = floor.queues.get(&of).and_then(|q| q.leases.get(&number)).ok_or_else(|| unheld(lease))?;
        let by = by.unwrap_or_else(|| held.offer.what.spec.subscription.timeout());
        if by > LEASE_EXTENSION {
            let most = LEASE_EXTENSION.as_millis();
            return Err(Problem::field("ms", format!("a lease is extended by at most {most} ms at a time")));
        }
        let until = self.clock.mono() + by;
        held.offer.term.send_modify(|term| {
            if let Some(term) = term {
                term.until = until;
            }
        });
        Ok(by)
    }

    /// How the consumers of a subscription stand; `None` where none can be.
    pub fn standing(&self, sub: SubNo) -> Option<Standing> {
        let floor = self.floor();
        let queue = floor.queues.get(&sub)?;
        Some(Standing { consumers: queue.shares.len(), offered: queue.offers.len(), leased: queue.leases.len() })
    }

    /// Deliveries that consumers hold.
    pub(crate) fn leased(&self) -> usize {
        self.floor().queues.values().map(|q| q.leases.len()).sum()
    }
}

impl Queue {
    /// Takes a lease out, and gives its holder room.
    fn release(&mut self, number: u64) -> Option<Offer> {
        let Lease { offer, holder } = self.leases.remove(&number)?;
        if let Some(share) = holder.and_then(|h| self.shares.get_mut(&h)) {
            if share.held >= share.most {
                self.room.notify_waiters();
            }
            share.held = share.held.saturating_sub(1);
        }
        Some(offer)
    }
}
