//! The two bounded queues to the writer: what doors bring, and the hub's own work with a reserved share of each group.
//!
//! Each queue holds at most [`WRITER_QUEUE_ITEMS`] jobs and [`WRITER_QUEUE_BYTES`] bytes, or one job that is larger by
//! itself. At the bound a door is refused, and the hub's own work waits. A group holds at most [`GROUP_UNITS`] units and
//! [`GROUP_BYTES`] bytes, or one job that is larger by itself. No queue that holds something is passed over twice in a row.

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
    /// A place in the own queue, and room for its bytes, given back once the job is done.
    pub(super) _place: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
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

/// Jobs in order, and what they weigh together.
#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    units: usize,
    bytes: usize,
}

impl Line {
    fn push(&mut self, job: Job) {
        self.units += job.units;
        self.bytes += job.bytes;
        self.jobs.push_back(job);
    }

    fn pop(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        self.units -= job.units;
        self.bytes -= job.bytes;
        Some(job)
    }

    fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Takes the first job if it is a task.
    fn pop_task(&mut self) -> Option<Task> {
        let Some(Job { work: Work::Task(_), .. }) = self.jobs.front() else { return None };
        match self.pop()?.work {
            Work::Task(task) => Some(task),
            _ => None,
        }
    }
}

#[derive(Default)]
struct State {
    own: Line,
    door: Line,
    /// The last turn took nothing from the doors although something waited.
    doors_passed_over: bool,
    pace: Pace,
    closed: bool,
}

/// Figures for [`nexus_core::store::StoreStats`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub(super) door_items: usize,
    pub(super) door_bytes: usize,
    pub(super) own_items: usize,
    pub(super) own_bytes: usize,
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
        let over = state.door.bytes > 0 && state.door.bytes.saturating_add(job.bytes) > WRITER_QUEUE_BYTES;
        if state.door.jobs.len() >= WRITER_QUEUE_ITEMS || over || wait > WRITER_WAIT {
            return Err(CommitError::Busy {
                retry_after: wait.clamp(Duration::from_millis(100), Duration::from_secs(5)),
            });
        }
        state.door.push(job);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Hands over the hub's own job; false when closed. The caller holds a place, which bounds this queue in items and bytes.
    pub(super) fn push_own(&self, job: Job) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.own.push(job);
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
        let State { own, door, doors_passed_over, .. } = &mut *state;
        let doors_first = *doors_passed_over && !door.is_empty();
        if !doors_first && let Some(task) = own.pop_task() {
            *doors_passed_over = !door.is_empty();
            return Batch::Task(task);
        }
        let waiting = door.jobs.len();
        // Own work first, up to half; then doors; then own work again, if there is room. After a turn without doors, vice versa.
        let mut group = Group::default();
        let (first, second) = if doors_first { (&mut *door, &mut *own) } else { (&mut *own, &mut *door) };
        group.fill(first, GROUP_UNITS / 2, GROUP_BYTES / 2);
        group.fill(second, GROUP_UNITS, GROUP_BYTES);
        group.fill(first, GROUP_UNITS, GROUP_BYTES);
        *doors_passed_over = waiting > 0 && door.jobs.len() == waiting;
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
        let (own, door) = (std::mem::take(&mut state.own), std::mem::take(&mut state.door));
        let jobs = own.jobs.into_iter().chain(door.jobs).collect();
        self.arrived.notify_all();
        jobs
    }

    pub(super) fn depth(&self) -> Depth {
        let state = self.lock();
        Depth {
            door_items: state.door.jobs.len(),
            door_bytes: state.door.bytes,
            own_items: state.own.jobs.len(),
            own_bytes: state.own.bytes,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most millions")]
fn expected_wait(state: &State) -> Duration {
    let groups = state.door.units.div_ceil(GROUP_UNITS) as f64;
    Duration::from_secs_f64((state.door.units as f64 * state.pace.unit + groups * state.pace.sync).clamp(0.0, 3600.0))
}

#[derive(Default)]
struct Group {
    jobs: Vec<Job>,
    units: usize,
    bytes: usize,
}

impl Group {
    /// Takes from the front what keeps the group within both caps; the first job is taken however large. A task ends the
    /// run, as it has its own turn.
    fn fill(&mut self, from: &mut Line, units: usize, bytes: usize) {
        while let Some(job) = from.jobs.front() {
            let fits = self.units + job.units <= units && self.bytes + job.bytes <= bytes;
            if matches!(job.work, Work::Task(_)) || !(fits || self.jobs.is_empty()) {
                return;
            }
            let Some(job) = from.pop() else { return };
            self.units += job.units;
            self.bytes += job.bytes;
            self.jobs.push(job);
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
