//! The end of the log, followed: the recent events in memory, and cursors that fall back to the store.

use std::{
    borrow::Cow,
    collections::{HashSet, VecDeque},
    sync::{
        Arc, OnceLock, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use nexus_core::{
    event::{Seq, StoredEvent},
    limits::{RECENT_BYTES, RECENT_EVENTS, SOCKET_LAG_EVENTS},
    store::{Limit, SeqRange, Store},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Renderings of one event that all sockets share.
const SLOTS: usize = 8;
/// Events in one batch.
const BATCH: usize = 256;

/// A recent event with its renderings.
#[derive(Debug)]
pub struct Entry {
    /// The event.
    pub event: Arc<StoredEvent>,
    frames: [OnceLock<Bytes>; SLOTS],
}

impl Entry {
    fn new(event: Arc<StoredEvent>) -> Self {
        Self { event, frames: Default::default() }
    }

    /// The rendering in `slot` (0..8; a slot means the same form everywhere), made by whoever asks first.
    pub fn frame(&self, slot: usize, render: impl FnOnce(&StoredEvent) -> String) -> Bytes {
        match self.frames.get(slot) {
            Some(cell) => cell.get_or_init(|| render(&self.event).into()).clone(),
            None => render(&self.event).into(),
        }
    }
}

#[derive(Debug, Default)]
struct Recent {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
}

/// What is shared between the writer's hook and everyone who follows.
pub struct Tail {
    store: Arc<dyn Store>,
    recent: RwLock<Recent>,
    head: watch::Sender<Seq>,
    epoch: AtomicU32,
    stop: CancellationToken,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tail(head {})", *self.head.borrow())
    }
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Now,
    /// After this seq of the present epoch.
    After(Seq),
    /// After this seq of that epoch; another epoch gets a gap first.
    At {
        /// Epoch of the log.
        epoch: u32,
        /// Seq in it.
        seq: Seq,
    },
}

/// What a follower gets.
#[derive(Debug)]
pub enum Batch {
    /// The next events, in order, without gaps.
    Events(Vec<Arc<Entry>>),
    /// Events `from..=to` are not handed out here; what follows begins after `to`.
    Gap {
        /// The first of them; 0 where the log is empty.
        from: Seq,
        /// The last of them, never less than `from`: the position from which it goes on.
        to: Seq,
        /// Why.
        reason: Cow<'static, str>,
    },
}

impl Tail {
    /// A tail of `store` from its present head. Feed it from the store's commit hook.
    pub fn new(store: Arc<dyn Store>, stop: CancellationToken) -> Arc<Self> {
        let head = store.head();
        Arc::new(Self {
            epoch: AtomicU32::new(head.epoch),
            recent: RwLock::default(),
            head: watch::channel(head.seq).0,
            store,
            stop,
        })
    }

    /// Takes newly committed events, in order.
    pub fn push(&self, events: &[Arc<StoredEvent>]) {
        let Some(last) = events.last() else { return };
        {
            let mut recent = self.recent.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            for event in events {
                recent.bytes += event.weight();
                recent.entries.push_back(Arc::new(Entry::new(Arc::clone(event))));
            }
            while recent.entries.len() > RECENT_EVENTS || (recent.bytes > RECENT_BYTES && recent.entries.len() > 1) {
                if let Some(old) = recent.entries.pop_front() {
                    recent.bytes -= old.event.weight().min(recent.bytes);
                }
            }
        }
        self.head.send_replace(last.seq);
    }

    /// The data of these events was erased: readers get them from the store from now on, if at all.
    pub fn forget(&self, seqs: &HashSet<Seq>) {
        let mut recent = self.recent.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(last) = recent.entries.iter().rposition(|e| seqs.contains(&e.event.seq)) {
            recent.entries.drain(..=last);
            recent.bytes = recent.entries.iter().map(|e| e.event.weight()).sum();
        }
    }

    /// A new epoch began: positions given from now on are of it. Who follows already goes on without a gap.
    pub fn renew(&self, epoch: u32) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// Epoch and last seq.
    pub fn position(&self) -> (u32, Seq) {
        (self.epoch.load(Ordering::Acquire), *self.head.borrow())
    }

    /// Changes whenever there is something new.
    pub fn watch(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }

    /// Up to `limit` entries after `after`, from memory; `None` when memory does not reach back that far.
    pub fn recent(&self, after: Seq, limit: usize) -> Option<Vec<Arc<Entry>>> {
        let recent = self.recent.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(first) = recent.entries.front().map(|e| e.event.seq) else {
            return (after >= *self.head.borrow()).then(Vec::new);
        };
        let skip = usize::try_from((after + 1).checked_sub(first)?).ok()?;
        Some(recent.entries.iter().skip(skip).take(limit).cloned().collect())
    }

    /// Up to `limit` entries after `after`, from memory or the store. Empty at the head.
    pub async fn read(&self, after: Seq, limit: usize) -> Result<Vec<Arc<Entry>>, nexus_core::store::StoreError> {
        if let Some(entries) = self.recent(after, limit) {
            return Ok(entries);
        }
        let range = SeqRange { after, until: None, priority: None };
        let events = self.store.read(range, Limit::items(limit)).await?;
        Ok(events.into_iter().map(|e| Arc::new(Entry::new(e))).collect())
    }

    /// A cursor over the log from `start` on.
    pub fn follow(self: &Arc<Self>, start: Start) -> Follower {
        let (epoch, head) = self.position();
        let (after, gap) = match start {
            Start::Now => (head, None),
            Start::After(seq) if seq > head => {
                let reason =
                    format!("the position {seq} is ahead of the log, which ends at {head}: it is of another log");
                (head, Some(foreign(head, reason)))
            }
            Start::After(seq) => (seq, None),
            Start::At { epoch: e, seq } if e == epoch => return self.follow(Start::After(seq)),
            Start::At { .. } => (head, Some(foreign(head, "the position is of another epoch of the log"))),
        };
        Follower { tail: Arc::clone(self), head: self.head.subscribe(), after, gap, live: false }
    }
}

/// Of a position that says nothing about this log: which of its events the reader has, nobody knows.
fn foreign(head: Seq, reason: impl Into<Cow<'static, str>>) -> Batch {
    Batch::Gap { from: head.min(1), to: head, reason: reason.into() }
}

/// A cursor over the log.
#[derive(Debug)]
pub struct Follower {
    tail: Arc<Tail>,
    head: watch::Receiver<Seq>,
    after: Seq,
    gap: Option<Batch>,
    /// It has been at the head once: from then on the lag limit holds, while a first catch-up may take its time.
    live: bool,
}

impl Follower {
    /// The last seq handed out or skipped.
    pub fn seq(&self) -> Seq {
        self.after
    }

    /// The next events or a gap; waits for them. `None` when the hub is stopping. Cancel-safe.
    pub async fn next(&mut self) -> Option<Batch> {
        loop {
            if let Some(gap) = self.gap.take() {
                return Some(gap);
            }
            if self.tail.stop.is_cancelled() {
                return None;
            }
            let head = *self.head.borrow_and_update();
            if self.after < head {
                match self.step(head).await {
                    Some(batch) => return Some(batch),
                    None => continue,
                }
            }
            tokio::select! {
                changed = self.head.changed() => changed.ok()?,
                () = self.tail.stop.cancelled() => return None,
            }
        }
    }

    /// One read. What memory still has goes on however far behind; what only the disk has, up to the lag limit.
    async fn step(&mut self, head: Seq) -> Option<Batch> {
        if let Some(entries) = self.tail.recent(self.after, BATCH) {
            self.live = true;
            return self.advance(entries);
        }
        let first = self.tail.store.head().first;
        if self.after + 1 < first {
            return Some(self.skip(first - 1, "these events are past their retention"));
        }
        if self.live && head - self.after > SOCKET_LAG_EVENTS {
            return Some(self.skip(head, "the reader fell too far behind"));
        }
        match self.tail.read(self.after, BATCH).await {
            Ok(entries) => self.advance(entries),
            Err(error) => {
                tracing::error!(%error, "following the log failed");
                Some(self.skip(head, "these events could not be read"))
            }
        }
    }

    fn advance(&mut self, entries: Vec<Arc<Entry>>) -> Option<Batch> {
        self.after = entries.last()?.event.seq;
        Some(Batch::Events(entries))
    }

    fn skip(&mut self, to: Seq, reason: &'static str) -> Batch {
        let from = self.after + 1;
        self.after = to;
        Batch::Gap { from, to, reason: reason.into() }
    }
}
