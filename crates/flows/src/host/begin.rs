//! Runs begun: at once, in their turn, in place of another, or not at all.

use std::sync::Arc;

use nexus_core::{
    problem::{Code, Problem},
    store::{Commit, CommitError, Guard, Key, Lane},
};
use nexus_engine::desk::refused;

use super::{
    Flows,
    commit::Hitch,
    record::Run,
    runner::{ATTEMPTS, Loaded, PAUSE, Turn, held_of},
    shelf::Published,
    turns::Coming,
};
use crate::{
    effect::{Effect, Input},
    error::FlowError,
    plan::OnConflict,
};

/// What became of a run that was to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It runs.
    Started(String),
    /// It begins when the run that has its key has ended.
    Queued(String),
    /// It was begun before.
    Already(String),
    /// Another run has its key: it does not begin.
    Skipped {
        /// Which.
        by: String,
    },
    /// What begins it is older than what began another run of its key, which replaces it: it has ended.
    Replaced(String),
}

impl Begun {
    /// The run that is there now.
    pub fn run(&self) -> &str {
        match self {
            Self::Started(run)
            | Self::Queued(run)
            | Self::Already(run)
            | Self::Replaced(run)
            | Self::Skipped { by: run } => run,
        }
    }
}

/// What another run of the same key leads to.
enum Beaten {
    /// Come again: the key is free, or is about to be.
    Again,
    /// It does not begin, or not now.
    Settled(Begun),
}

impl Flows {
    /// Begins a run. What `with` holds is committed together with it, also where it is skipped. Of one key one begins at a
    /// time, in the order of what begins them; `coming` is the event that does, if it is one.
    pub(super) async fn begin(
        &self,
        mut new: Run,
        published: &Arc<Published>,
        with: Commit,
        coming: Option<&Coming>,
    ) -> Result<Begun, Problem> {
        let policy = match published.definition.concurrency_key(&new.state.input) {
            Ok(found) => found,
            Err(error) => {
                let what = error.detail.unwrap_or_default();
                return Err(Problem::new(Code::Invalid, format!("the key of nexus.dev/concurrency: {what}")));
            }
        };
        let Some((key, on_conflict)) = policy else { return self.begin_keyed(new, published, with, None).await };
        let _turn = self.inner.turns.enter(&new.flow(), &key, new.place(), coming).await;
        new.key = Some(key.clone());
        if on_conflict == OnConflict::Replace && self.is_outrun(&new, &key).await? {
            return self.replaced(new, published, with).await;
        }
        self.begin_keyed(new, published, with, Some((key, on_conflict))).await
    }

    async fn begin_keyed(
        &self,
        new: Run,
        published: &Arc<Published>,
        mut with: Commit,
        policy: Option<(String, OnConflict)>,
    ) -> Result<Begun, Problem> {
        let id = new.state.id.clone();
        let cell = self.inner.table.cell(&id);
        let mut loaded = cell.loaded.lock().await;
        if let Some((key, OnConflict::Queue)) = &policy {
            // Those who wait come first.
            with.guards.insert(0, Guard::Empty(super::queries::queued(&new.flow(), key)));
        }
        let mut broken = None;
        for _ in 0..ATTEMPTS {
            let mut held = Loaded { run: new.clone(), version: 0, published: Arc::clone(published) };
            match self.first_turn(&mut held, Input::Start, with.clone(), broken.clone()).await {
                Ok(effects) => {
                    *loaded = Some(held);
                    self.follow(&cell, held_of(&loaded)?, effects);
                    return Ok(Begun::Started(id));
                }
                Err(Hitch::Store(CommitError::Conflict { guard: 0 })) => return Ok(Begun::Already(id)),
                Err(Hitch::Store(CommitError::Conflict { .. })) if matches!(policy, Some((_, OnConflict::Queue))) => {
                    with.guards.remove(0);
                    return self.queue(Run { queued: true, ..new }, with).await;
                }
                Err(Hitch::Store(CommitError::Unique { .. })) => {
                    let Some(policy) = &policy else { break };
                    if let Beaten::Settled(begun) = self.beaten(&new, published, policy, &with).await? {
                        return Ok(begun);
                    }
                }
                Err(Hitch::Store(CommitError::Busy { retry_after })) => self.clock().sleep(retry_after).await,
                Err(Hitch::Store(CommitError::Unknown)) => self.clock().sleep(PAUSE).await,
                Err(hitch) => match hitch.lasting().filter(|_| broken.is_none()) {
                    Some(error) => broken = Some(error),
                    None => return Err(hitch.problem()),
                },
            }
        }
        Err(Problem::new(Code::Unavailable, format!("flow {} is too busy; try again", new.flow())))
    }

    /// Another run has the key.
    async fn beaten(
        &self,
        new: &Run,
        published: &Arc<Published>,
        (key, on_conflict): &(String, OnConflict),
        with: &Commit,
    ) -> Result<Beaten, Problem> {
        let Some(other) = self.active(&new.flow(), key).await? else { return Ok(Beaten::Again) };
        let mut with = with.clone();
        match on_conflict {
            OnConflict::Skip => {
                with.timers.extend(super::schedule::again(new, &published.definition, self.desk().now()));
                self.skip(new, key, other, with).await.map(Beaten::Settled)
            }
            // It is older: whoever could be younger was looked for, and waits its turn.
            OnConflict::Replace => self.tell(&other, Input::Cancel, None).await.map(|_| Beaten::Again),
            OnConflict::Queue => {
                with.guards.remove(0);
                self.queue(Run { queued: true, ..new.clone() }, with).await.map(Beaten::Settled)
            }
        }
    }

    /// Whether something later than what begins this run has begun one of its key already, which may have ended since.
    async fn is_outrun(&self, new: &Run, key: &str) -> Result<bool, Problem> {
        let newest = self.newest_of_key(&new.flow(), key).await?;
        Ok(newest.is_some_and(|newest| newest.place() > new.place()))
    }

    /// A run that comes after the one that is to replace it ends as it would have then.
    async fn replaced(&self, mut new: Run, published: &Arc<Published>, with: Commit) -> Result<Begun, Problem> {
        // It takes nothing out of its flow's budget.
        new.spent = None;
        let id = new.state.id.clone();
        let cell = self.inner.table.cell(&id);
        let mut loaded = cell.loaded.lock().await;
        for _ in 0..ATTEMPTS {
            let mut held = Loaded { run: new.clone(), version: 0, published: Arc::clone(published) };
            match self.first_turn(&mut held, Input::Cancel, with.clone(), None).await {
                Ok(effects) => {
                    *loaded = Some(held);
                    self.follow(&cell, held_of(&loaded)?, effects);
                    return Ok(Begun::Replaced(id));
                }
                Err(Hitch::Store(CommitError::Conflict { guard: 0 })) => return Ok(Begun::Already(id)),
                Err(Hitch::Store(CommitError::Busy { retry_after })) => self.clock().sleep(retry_after).await,
                Err(Hitch::Store(CommitError::Unknown)) => self.clock().sleep(PAUSE).await,
                Err(hitch) => return Err(hitch.problem()),
            }
        }
        Err(Problem::new(Code::Unavailable, format!("flow {} is too busy; try again", new.flow())))
    }

    /// The run before its first step, without any: it was made by the run that waits for it, or waits for its turn.
    async fn first_turn(
        &self,
        held: &mut Loaded,
        input: Input,
        with: Commit,
        broken: Option<FlowError>,
    ) -> Result<Vec<Effect>, Hitch> {
        match self.step(held, input, None, with, broken).await? {
            Turn::Taken(effects) => Ok(effects),
            Turn::Ignored | Turn::Stale => Err(CommitError::Broken("a new run did not take its start".into()).into()),
        }
    }

    /// A run that does not begin because another has its key: said in the log, and no more.
    async fn skip(&self, new: &Run, key: &str, by: String, mut commit: Commit) -> Result<Begun, Problem> {
        let detail = serde_json::json!({
            "flow": new.flow(), "key": key, "run": by, "trigger": new.trigger,
            "reason": "another run has this key, and nexus.dev/concurrency says skip",
        });
        let mut event = self.desk().notice("flow.run_skipped", &detail);
        event.subject.clone_from(&new.about);
        event.correlation.clone_from(&new.lineage.correlation);
        event.causation = new.lineage.causation;
        event.depth = new.lineage.depth;
        commit.events.push(event);
        self.desk().commit(commit).await?;
        Ok(Begun::Skipped { by })
    }

    async fn queue(&self, new: Run, with: Commit) -> Result<Begun, Problem> {
        let (id, flow) = (new.state.id.clone(), new.flow());
        let key = new.key.clone().unwrap_or_default();
        let mut commit = with;
        commit.documents.push(super::commit::put(&new)?);
        commit.guards.push(Guard::Absent(Key::of::<Run>(&id)));
        commit.guards.push(Guard::AtMost(super::queries::queued(&flow, &key), super::QUEUED - 1));
        commit.lane = Lane::Own;
        // Tried again here: later, with the event delivered anew, another could be before it.
        for _ in 0..ATTEMPTS {
            match self.desk().try_commit(commit.clone()).await {
                // The run with the key may have ended meanwhile. Already there: the outcome of an earlier try was not known.
                Ok(_) | Err(CommitError::Conflict { guard: 0 }) => {
                    self.next_of_key(&flow, &key);
                    return Ok(Begun::Queued(id));
                }
                Err(CommitError::Conflict { .. }) => {
                    let what =
                        format!("{} runs of flow {flow} wait for key {key:?} already; this one can't", super::QUEUED);
                    return Err(Problem::new(Code::Unavailable, what));
                }
                Err(CommitError::Busy { retry_after }) => self.clock().sleep(retry_after).await,
                Err(CommitError::Unknown) => self.clock().sleep(PAUSE).await,
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(Problem::new(Code::Unavailable, format!("flow {flow} is too busy; try again")))
    }
}
