//! The two bounded queues to the writer: what doors bring, and the hub's own work with a reserved share of each group.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nexus_core::{
    limits::{WRITER_QUEUE_BYTES, WRITER_QUEUE_ITEMS, WRITER_WAIT},
    store::{Commit, CommitError, Committed, Entry, Fence, SaveError},
};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::writer::Writer;

/// Events and documents of one group.
pub(super) const GROUP_UNITS: usize = 1_024;
/// Bytes of one group.
pub(super) const GROUP_BYTES: usize = 1 << 20;

/// Work that runs alone, between groups.
pub(super) type Task = Box<dyn FnOnce(&Connection, &mut Writer) + Send>;

/// What a job does.
pub(super) enum Work {
    /// A commit and where its outcome goes.
    Commit(Box<Commit>, oneshot::Sender<Result<Committed, CommitError>>),
    /// Bookkeeping and where its outcome goes.
    Save(Fence, Vec<Entry>, oneshot::Sender<Result<(), SaveError>>),
    /// Anything else.
    Task(Task),
}

/// One thing for the writer to do.
pub(super) struct Job {
    pub(super) work: Work,
    /// Events and documents, at least 1.
    pub(super) units: usize,
    /// Roughly, in memory and on disk.
    pub(super) bytes: usize,
    /// A place in the own queue, given back once the job is done.
    pub(super) _place: Option<OwnedSemaphorePermit>,
}

/// What the writer does next.
pub(super) enum Batch {
    /// One transaction.
    Group(Vec<Job>),
    /// One task.
    Task(Task),
    /// Nothing waits.
    Idle,
    /// Nothing waits and nothing more will come.
    Closed,
}

/// How fast the writer has been of late, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Per unit, without the sync.
    pub(super) unit: f64,
    /// Per sync.
    pub(super) sync: f64,
}

#[derive(Default)]
struct State {
    own: VecDeque<Job>,
    door: VecDeque<Job>,
    door_units: usize,
    door_bytes: usize,
    pace: Pace,
    closed: bool,
}

/// Figures for [`nexus_core::store::StoreStats`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub(super) door_items: usize,
    pub(super) door_bytes: usize,
    pub(super) own_items: usize,
}

/// Both queues.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over a job from a door, unless too much waits already.
    pub(super) fn push_door(&self, job: Job) -> Result<(), CommitError> {
        let mut state = self.lock();
        if state.closed {
            return Err(CommitError::Closed);
        }
        let wait = expected_wait(&state);
        if state.door.len() >= WRITER_QUEUE_ITEMS || state.door_bytes >= WRITER_QUEUE_BYTES || wait > WRITER_WAIT {
            return Err(CommitError::Busy {
                retry_after: wait.clamp(Duration::from_millis(100), Duration::from_secs(5)),
            });
        }
        state.door_units += job.units;
        state.door_bytes += job.bytes;
        state.door.push_back(job);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Hands over the hub's own job; false when closed. The caller holds a place, which bounds this queue.
    pub(super) fn push_own(&self, job: Job) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.own.push_back(job);
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// The next thing to do; waits for it when `wait`.
    pub(super) fn take(&self, wait: bool) -> Batch {
        let mut state = self.lock();
        while state.own.is_empty() && state.door.is_empty() {
            if state.closed {
                return Batch::Closed;
            }
            if !wait {
                return Batch::Idle;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(Job { work: Work::Task(_), .. }) = state.own.front()
            && let Some(Job { work: Work::Task(task), .. }) = state.own.pop_front()
        {
            return Batch::Task(task);
        }
        let mut group = Group::default();
        // Own work first, up to half; then doors; then own work again, if there is room.
        group.fill(&mut state.own, GROUP_UNITS / 2, GROUP_BYTES / 2);
        let before = group.jobs.len();
        group.fill(&mut state.door, GROUP_UNITS, GROUP_BYTES);
        let (units, bytes) =
            group.jobs[before..].iter().fold((0, 0), |(units, bytes), job| (units + job.units, bytes + job.bytes));
        state.door_units = state.door_units.saturating_sub(units);
        state.door_bytes = state.door_bytes.saturating_sub(bytes);
        group.fill(&mut state.own, GROUP_UNITS, GROUP_BYTES);
        Batch::Group(group.jobs)
    }

    /// Takes in how long the last group took.
    pub(super) fn learn(&self, units: usize, apply: Duration, sync: Duration) {
        let mut state = self.lock();
        let pace = &mut state.pace;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let unit = apply.as_secs_f64() / units.max(1) as f64;
        pace.unit += (unit - pace.unit) * 0.1;
        pace.sync += (sync.as_secs_f64() - pace.sync) * 0.1;
    }

    /// Takes no more; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Takes no more and gives back what waits.
    pub(super) fn abort(&self) -> Vec<Job> {
        let mut state = self.lock();
        state.closed = true;
        let mut jobs: Vec<Job> = state.own.drain(..).collect();
        jobs.extend(state.door.drain(..));
        (state.door_units, state.door_bytes) = (0, 0);
        self.arrived.notify_all();
        jobs
    }

    pub(super) fn depth(&self) -> Depth {
        let state = self.lock();
        Depth { door_items: state.door.len(), door_bytes: state.door_bytes, own_items: state.own.len() }
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most millions")]
fn expected_wait(state: &State) -> Duration {
    let groups = state.door_units.div_ceil(GROUP_UNITS) as f64;
    Duration::from_secs_f64((state.door_units as f64 * state.pace.unit + groups * state.pace.sync).clamp(0.0, 3600.0))
}

#[derive(Default)]
struct Group {
    jobs: Vec<Job>,
    units: usize,
    bytes: usize,
}

impl Group {
    /// Takes from the front while below both caps; a task ends the run, as it has its own turn.
    fn fill(&mut self, from: &mut VecDeque<Job>, units: usize, bytes: usize) {
        while self.units < units && self.bytes < bytes {
            match from.front() {
                None | Some(Job { work: Work::Task(_), .. }) => return,
                Some(_) => {}
            }
            let Some(job) = from.pop_front() else { return };
            self.units += job.units;
            self.bytes += job.bytes;
            self.jobs.push(job);
        }
    }
}
