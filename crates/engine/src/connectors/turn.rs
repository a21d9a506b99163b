//! Waiting for one's turn, and remembering over a restart what a provider said of its limits and what was used of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nexus_core::{
    problem::Problem,
    record::Record,
    store::{Commit, Key, Write},
    time::Timestamp,
};
use tokio::sync::Notify;

pub use self::notes::{LimitNote, UsageNote};
use super::{
    check::Connector,
    limit::{Gate, Ticket, Turn, WAITERS, Wanted},
    manifest::LimitOf,
};
use crate::desk::Desk;

mod notes;

/// A shorter wait is not worth writing down.
const SHORT: Duration = Duration::from_secs(2);
/// Before the start of this process, in the gates' time: what an earlier one sent has a time, too. More than the longest
/// span of a quota.
const BEFORE: Duration = Duration::from_secs(32 * 86_400);

/// For what is lost in rounding and between two looks at a clock.
const SLACK: Duration = Duration::from_millis(1);

/// The gate of one connector, and the bell of those who wait at it.
#[derive(Debug)]
struct Door {
    gate: Mutex<Gate>,
    changed: Notify,
    /// Held while it is written down what was used.
    writing: tokio::sync::Mutex<()>,
}

impl Door {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue; leaves it when dropped.
struct Place<'a> {
    door: &'a Door,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.door.gate().leave(self.ticket);
        self.door.changed.notify_waiters();
    }
}

/// A call can't be sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// When it can.
    pub(super) until: Timestamp,
    /// The provider asked for it; otherwise it is a quota of the manifest.
    pub(super) asked: bool,
}

/// Why it never became this call's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// Too many wait.
    Full(usize),
    /// Longer than the caller waits.
    Held(Held),
}

/// All gates.
#[derive(Debug)]
pub(super) struct Turns {
    desk: Desk,
    doors: Mutex<BTreeMap<String, Arc<Door>>>,
    limits: Mutex<Vec<LimitNote>>,
    usage: Mutex<Vec<UsageNote>>,
}

impl Turns {
    /// With what was written down before.
    pub(super) async fn open(desk: Desk) -> Result<Self, Problem> {
        let limits: Vec<(LimitNote, u64)> = desk.load().await.map_err(crate::desk::unreadable)?;
        let usage: Vec<(UsageNote, u64)> = desk.load().await.map_err(crate::desk::unreadable)?;
        let now = desk.now();
        let (over, limits): (Vec<_>, Vec<_>) = limits.into_iter().map(|(n, _)| n).partition(|note| note.until <= now);
        let (spent, usage): (Vec<_>, Vec<_>) = usage.into_iter().map(|(n, _)| n).partition(|note| note.is_over(now));
        let over = over.iter().map(|note| Key::of::<LimitNote>(note.key()));
        let gone = over.chain(spent.iter().map(|note| Key::of::<UsageNote>(note.key())));
        let documents: Vec<Write> = gone.map(Write::Delete).collect();
        if !documents.is_empty() {
            desk.commit(Commit { documents, ..Commit::default() }).await?;
        }
        Ok(Self { desk, doors: Mutex::default(), limits: Mutex::new(limits), usage: Mutex::new(usage) })
    }

    fn door(&self, connector: &Connector) -> Arc<Door> {
        let manifest = &connector.manifest;
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = doors.get(&manifest.name) {
            return Arc::clone(door);
        }
        let mut gate = Gate::new(manifest.limits.app.clone(), manifest.limits.account.clone());
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        for note in limits.extract_if(.., |note| note.connector == manifest.name) {
            gate.block(note.of, &note.account, &note.operation, self.at(note.until));
        }
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        for note in usage.extract_if(.., |note| note.connector == manifest.name) {
            gate.restore(&note.used(|at| self.at(at)), self.time());
        }
        let door = Door { gate: Mutex::new(gate), changed: Notify::new(), writing: tokio::sync::Mutex::default() };
        let door = Arc::new(door);
        doors.insert(manifest.name.clone(), Arc::clone(&door));
        door
    }

    /// Now, in the gates' time.
    fn time(&self) -> Duration {
        self.desk.clock.mono() + BEFORE
    }

    /// A wall time in the gates' time; never earlier than it is.
    fn at(&self, wall: Timestamp) -> Duration {
        let now = self.desk.now();
        let time = self.time();
        if wall >= now { time + wall.since(now) } else { time.saturating_sub(now.since(wall)) }
    }

    /// The gates' time as a wall time; never earlier than it is.
    fn wall(&self, at: Duration) -> Timestamp {
        let time = self.time();
        let now = self.desk.now().plus(SLACK);
        if at >= time { now.plus(at - time) } else { now.minus(time - at) }
    }

    /// When a call could be sent at the earliest, were nobody else waiting, if that is after `deadline` (monotonic).
    pub(super) fn too_late(&self, connector: &Connector, wanted: &Wanted, deadline: Duration) -> Option<Held> {
        let (door, now) = (self.door(connector), self.time());
        let (free, asked) = {
            let gate = door.gate();
            (gate.free_at(wanted, now), gate.is_asked(wanted, now))
        };
        (free > deadline + BEFORE).then(|| Held { until: self.wall(free), asked })
    }

    /// Waits for a turn, until `deadline` at most (monotonic).
    pub(super) async fn wait(&self, connector: &Connector, wanted: Wanted, deadline: Duration) -> Result<(), NoTurn> {
        let door = self.door(connector);
        let deadline = deadline + BEFORE;
        let ticket = door.gate().enter(wanted.clone()).ok_or(NoTurn::Full(WAITERS))?;
        let place = Place { door: &door, ticket };
        loop {
            let changed = door.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let now = self.time();
            let (turn, owes) = {
                let mut gate = place.door.gate();
                (gate.ask(place.ticket, now), gate.owes(&wanted))
            };
            let (at, known) = match turn {
                Turn::Go => {
                    drop(place);
                    if owes {
                        self.write_used(connector, &door, &wanted).await;
                    }
                    return Ok(());
                }
                Turn::At(at) => (at, true),
                Turn::Behind => (deadline, false),
            };
            if now >= deadline || (known && at > deadline) {
                let (free, asked) = {
                    let gate = place.door.gate();
                    (gate.free_at(&wanted, now).max(now + Duration::from_millis(1)), gate.is_asked(&wanted, now))
                };
                return Err(NoTurn::Held(Held { until: self.wall(free), asked }));
            }
            tokio::select! {
                () = changed => {}
                () = self.desk.clock.sleep(at.min(deadline).saturating_sub(now)) => {}
            }
        }
    }

    /// Writes down what was used, unless whoever wrote before did.
    async fn write_used(&self, connector: &Connector, door: &Door, wanted: &Wanted) {
        let _turn = door.writing.lock().await;
        let used = {
            let mut gate = door.gate();
            if !gate.owes(wanted) {
                return;
            }
            gate.used(wanted, self.time())
        };
        let name = &connector.manifest.name;
        let notes: Vec<UsageNote> = used.iter().map(|used| UsageNote::of(name, used, |at| self.wall(at))).collect();
        self.keep(name, &notes).await;
        let mut gate = door.gate();
        used.iter().for_each(|used| gate.written(used));
    }

    async fn keep(&self, connector: &str, notes: &[UsageNote]) {
        let documents: Vec<Write> = notes.iter().filter_map(|note| Write::put(note).ok()).collect();
        if documents.is_empty() {
            return;
        }
        if let Err(error) = self.desk.commit(Commit { documents, ..Commit::default() }).await {
            // The call is not held up by the hub's own trouble: its provider still counts.
            tracing::warn!(connector, %error, "what was used of a quota was not written down");
        }
    }

    /// Writes down exactly what was used: the end.
    pub(super) async fn close(&self) {
        let doors: Vec<_> = {
            let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
            doors.iter().map(|(name, door)| (name.clone(), Arc::clone(door))).collect()
        };
        for (name, door) in doors {
            let _turn = door.writing.lock().await;
            let used = door.gate().all_used(self.time());
            let notes: Vec<UsageNote> =
                used.iter().map(|used| UsageNote::of(&name, used, |at| self.wall(at))).collect();
            self.keep(&name, &notes).await;
        }
    }

    /// A provider said that nothing is to be sent before `until`.
    pub(super) async fn block(&self, connector: &Connector, of: LimitOf, wanted: &Wanted, until: Timestamp) {
        let door = self.door(connector);
        door.gate().block(of, &wanted.account, &wanted.operation, self.at(until));
        if until.since(self.desk.now()) < SHORT {
            return;
        }
        let note = LimitNote {
            connector: connector.manifest.name.clone(),
            of,
            account: wanted.account.clone(),
            operation: wanted.operation.clone(),
            until,
        };
        let Ok(write) = Write::put(&note) else { return };
        if let Err(error) = self.desk.commit(Commit { documents: vec![write], ..Commit::default() }).await {
            tracing::warn!(connector = %note.connector, %error, "a provider's limit was not written down");
        }
    }

    /// Forgets what no longer limits anything.
    pub(super) fn tidy(&self) {
        let now = self.time();
        let doors: Vec<_> = self.doors.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        doors.iter().for_each(|door| door.gate().tidy(now));
    }
}
