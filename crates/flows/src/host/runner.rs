//! Stepping runs: one input at a time per run, one commit per step, and only then what the step asked for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use nexus_core::{
    event::Seq,
    problem::{Code, Problem},
    record::Record,
    store::{Commit, CommitError, Committed, Lane, Timer, TimerWrite},
};
use nexus_engine::desk::{refused, unreadable};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    Flows,
    commit::{Draft, Hitch, put},
    record::{Heard, Run},
    shelf::Published,
};
use crate::{
    effect::{Effect, Input, WaitId},
    error::FlowError,
    run::{self, Host},
    secrets::Secrets,
};

/// How often a step is taken anew when what it relied on changed meanwhile, or the store is busy.
pub(super) const ATTEMPTS: usize = 20;
/// Between attempts at least.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// A run in memory: as long as something of it is going on.
pub(super) struct Cell {
    pub(super) id: String,
    pub(super) loaded: tokio::sync::Mutex<Option<Loaded>>,
    calls: Mutex<HashMap<WaitId, CancellationToken>>,
}

/// A run as it was last committed.
pub(super) struct Loaded {
    pub(super) run: Run,
    pub(super) version: u64,
    pub(super) published: Arc<Published>,
}

impl Cell {
    fn new(id: &str) -> Arc<Self> {
        Arc::new(Self { id: id.to_owned(), loaded: tokio::sync::Mutex::default(), calls: Mutex::default() })
    }

    /// The calls that are being made, to be cut off by.
    pub(super) fn calls(&self) -> MutexGuard<'_, HashMap<WaitId, CancellationToken>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runs in memory.
#[derive(Default)]
pub(super) struct Table {
    cells: Mutex<(HashMap<String, Weak<Cell>>, usize)>,
}

impl Table {
    /// The run's cell; the same for everyone as long as anyone holds it.
    pub(super) fn cell(&self, id: &str) -> Arc<Cell> {
        let mut guard = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let (cells, swept) = &mut *guard;
        if let Some(cell) = cells.get(id).and_then(Weak::upgrade) {
            return cell;
        }
        if cells.len() >= 2 * *swept + 64 {
            cells.retain(|_, cell| cell.strong_count() > 0);
            *swept = cells.len();
        }
        let cell = Cell::new(id);
        cells.insert(id.to_owned(), Arc::downgrade(&cell));
        cell
    }
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The run took it.
    Taken,
    /// The run no longer waits for it.
    Ignored,
}

/// What a step found.
pub(super) enum Turn {
    Taken(Vec<Effect>),
    Ignored,
    /// There is no such run, or what it was told of changed.
    Stale,
}

impl Flows {
    /// Tells a run something; its step is on disk when this returns. With a timer, the timer has fired in the same commit.
    pub(super) async fn tell(&self, id: &str, input: Input, timer: Option<&Timer>) -> Result<Told, Problem> {
        let cell = self.inner.table.cell(id);
        let event = match &input {
            Input::Event { seq, .. } => Some(*seq),
            _ => None,
        };
        let told = self.tell_cell(&cell, input, timer).await?;
        match event.filter(|_| told == Told::Taken) {
            // Boxed: erasing tells runs in its turn.
            Some(seq) => Box::pin(self.after_storing(seq, id)).await.map(|()| told),
            None => Ok(told),
        }
    }

    pub(super) async fn tell_cell(
        &self,
        cell: &Arc<Cell>,
        input: Input,
        timer: Option<&Timer>,
    ) -> Result<Told, Problem> {
        let mut loaded = cell.loaded.lock().await;
        let mut broken = None;
        for _ in 0..ATTEMPTS {
            if loaded.is_none() {
                *loaded = self.load(&cell.id).await?;
            }
            let Some(held) = loaded.as_mut() else {
                return self.forget_timer(timer).await;
            };
            let turn = self.turn(held, input.clone(), timer, broken.clone()).await;
            if !matches!(turn, Ok(Turn::Ignored | Turn::Taken(_))) {
                // The state in memory may be ahead of the store.
                *loaded = None;
            }
            match turn {
                Ok(Turn::Taken(effects)) => {
                    self.follow(cell, held_of(&loaded)?, effects);
                    return Ok(Told::Taken);
                }
                Ok(Turn::Ignored) => return self.forget_timer(timer).await,
                Ok(Turn::Stale) => {}
                Err(Hitch::Store(CommitError::Busy { retry_after })) => self.clock().sleep(retry_after).await,
                Err(Hitch::Store(CommitError::Unknown)) => self.clock().sleep(PAUSE).await,
                Err(hitch) => match hitch.lasting().filter(|_| broken.is_none()) {
                    Some(error) => broken = Some(error),
                    None => return Err(hitch.problem()),
                },
            }
        }
        Err(Problem::new(Code::Unavailable, format!("run {} changes all the time; try again", cell.id)))
    }

    /// The timer that led here is of no more use.
    async fn forget_timer(&self, timer: Option<&Timer>) -> Result<Told, Problem> {
        if let Some(timer) = timer {
            let timers = vec![TimerWrite::Fire { id: timer.id.clone(), version: timer.version }];
            let commit = Commit { timers, lane: Lane::Own, ..Commit::default() };
            match self.desk().try_commit(commit).await {
                Ok(_) | Err(CommitError::Timer(_)) => {}
                Err(error) => return Err(refused(&error)),
            }
        }
        Ok(Told::Ignored)
    }

    async fn turn(
        &self,
        held: &mut Loaded,
        input: Input,
        timer: Option<&Timer>,
        broken: Option<FlowError>,
    ) -> Result<Turn, Hitch> {
        // A run that waits for its turn begins with it, or is cut off before.
        if held.run.queued {
            match input {
                Input::Start | Input::Cancel => held.run.queued = false,
                _ => return Ok(Turn::Ignored),
            }
        }
        match self.step(held, input, timer, Commit::default(), broken).await {
            Err(Hitch::Store(CommitError::Conflict { .. } | CommitError::Timer(_))) => Ok(Turn::Stale),
            other => other,
        }
    }

    /// One step and its commit.
    pub(super) async fn step(
        &self,
        held: &mut Loaded,
        input: Input,
        timer: Option<&Timer>,
        with: Commit,
        broken: Option<FlowError>,
    ) -> Result<Turn, Hitch> {
        let decided = self.decide(held, input, timer, broken)?;
        let Some((mut commit, mut effects)) = decided else { return Ok(Turn::Ignored) };
        commit.guards.extend(with.guards);
        commit.events.extend(with.events);
        commit.documents.extend(with.documents);
        // What fired comes first: the end of the run may set the same timer again.
        commit.timers.splice(0..0, with.timers);
        let head = self.position();
        let done = match self.desk().try_commit(commit).await {
            Ok(Committed { versions, events }) => {
                listen_from(&mut effects, events.last().map_or(head, |event| event.seq));
                Ok(versions.first().copied().unwrap_or_default())
            }
            // Only this process steps the run, and only here: it is there as it was to be, or the step never happened.
            Err(CommitError::Unknown) => {
                listen_from(&mut effects, head);
                self.found(&held.run).await.ok_or(CommitError::Unknown)
            }
            Err(error) => Err(error),
        };
        held.version = done.inspect_err(|_| self.inner.router.retract(&held.run.state.id, &effects))?;
        Ok(Turn::Taken(effects))
    }

    /// The version under which the store has the run just like this.
    async fn found(&self, run: &Run) -> Option<u64> {
        let document = self.desk().store.get(Run::COLLECTION, &run.state.id).await.ok()??;
        super::read::<Run>(&document).is_ok_and(|stored| stored == *run).then_some(document.version)
    }

    /// What an input leads to; `None`: nothing.
    fn decide(
        &self,
        held: &mut Loaded,
        input: Input,
        timer: Option<&Timer>,
        broken: Option<FlowError>,
    ) -> Result<Option<(Commit, Vec<Effect>)>, Hitch> {
        let now = self.desk().now();
        let definition = &held.published.definition;
        let secrets = self.secrets(&definition.secrets);
        let mut random = || self.desk().jitter();
        let may_emit = |kind: &str| super::rights::may_emit(&held.published.principal, kind);
        let mut host = Host { now, random: &mut random, secrets: &secrets, may_emit: &may_emit };
        let heard = heard(&held.run.state.id, &input);
        let mut taken = match broken {
            None => run::step(definition, &mut held.run.state, input, &mut host),
            Some(error) => run::fault(definition, &mut held.run.state, error, &mut host),
        };
        if taken.ignored {
            return Ok(None);
        }
        self.inner.metrics.stepped(taken.cost);
        // Before the end of the log is looked at.
        self.inner.router.announce(&held.run.state.id, &taken.effects);
        let draft = Draft {
            run: &mut held.run,
            version: held.version,
            now,
            head: self.desk().store.head().seq,
            timer,
            random: self.desk().random().map_err(|problem| CommitError::Broken(problem.message))?,
        };
        let resolve = |id: &_| self.inner.shelf.resolve(id).map(|(id, _)| id);
        let drafted = draft.commit(&mut taken.effects, resolve);
        let drafted = drafted.and_then(|mut commit| {
            commit.documents.extend(heard.filter(|_| taken.heard).as_ref().map(put).transpose()?);
            Ok(commit)
        });
        let mut commit = drafted.map_err(|problem| {
            self.inner.router.retract(&held.run.state.id, &taken.effects);
            Hitch::Content(problem)
        })?;
        self.after_end(held, &taken.effects, &mut commit).map_err(|problem| CommitError::Broken(problem.message))?;
        Ok(Some((commit, taken.effects)))
    }

    async fn load(&self, id: &str) -> Result<Option<Loaded>, Problem> {
        let document = self.desk().store.get(Run::COLLECTION, id).await.map_err(unreadable)?;
        let Some(document) = document else { return Ok(None) };
        let Some(run) = self.readable(&document) else {
            let reason = self.unreadable_runs().remove(id).unwrap_or_default();
            return Err(Problem::new(Code::Internal, format!("run {id} is set aside: {reason}")));
        };
        let published = self.inner.shelf.version(self.desk(), &run.state.flow).await?;
        Ok(Some(Loaded { run, version: document.version, published }))
    }

    /// The values that a flow may pass on. A secret whose value is a JSON object has fields.
    pub(super) fn secrets(&self, names: &[String]) -> Secrets {
        let vault = self.inner.hub.secrets();
        names
            .iter()
            .filter_map(|name| {
                let secret = vault.get(&format!("named/{name}"))?;
                let text = secret.expose();
                let value = match serde_json::from_str(text) {
                    Ok(object @ Value::Object(_)) => object,
                    _ => Value::String(text.to_owned()),
                };
                Some((name.clone(), value))
            })
            .collect()
    }
}

/// What is written down of an event that a run takes.
fn heard(run: &str, input: &Input) -> Option<Heard> {
    let Input::Event { seq, event, .. } = input else { return None };
    let about = event.get("subject").and_then(Value::as_str).map(str::to_owned);
    Some(Heard { run: run.to_owned(), seq: *seq, about })
}

/// What listens from now on does so from its own commit on, whenever it is registered.
fn listen_from(effects: &mut [Effect], seq: Seq) {
    for effect in effects {
        if let Effect::Listen(listen) = effect
            && !listen.from_trigger
        {
            listen.after.get_or_insert(seq);
        }
    }
}

pub(super) fn held_of(loaded: &Option<Loaded>) -> Result<&Loaded, Problem> {
    loaded.as_ref().ok_or_else(|| Problem::new(Code::Internal, "a run was lost between its commit and what follows"))
}

impl Flows {
    /// Asks again for effects of a run that were open when the last process ended.
    pub(super) async fn resume_effects(&self, id: &str, effects: Vec<Effect>) -> Result<(), Problem> {
        let cell = self.inner.table.cell(id);
        let mut loaded = cell.loaded.lock().await;
        if loaded.is_none() {
            *loaded = self.load(id).await?;
        }
        if let Some(held) = loaded.as_ref() {
            self.follow(&cell, held, effects);
        }
        Ok(())
    }
}
