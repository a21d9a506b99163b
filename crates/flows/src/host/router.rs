//! Events told to the runs that listen for them: each event of the log is looked at once, for all runs together.
//!
//! Who listens is found by the event's type and by what its correlations must give. A listen begins in the past, at the
//! run's trigger: what came before it was registered is read for it alone. How far the log was told is written down now and
//! then; after a restart the telling goes on from there, which tells a few events twice and misses none.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use nexus_core::{
    event::{Seq, StoredEvent},
    problem::{Code, Problem},
    record::Record,
    store::{Commit, EventQuery, Lane, Limit, SeqRange},
};
use nexus_engine::{
    desk::unreadable,
    supervisor::TaskKind,
    tail::{Batch, Start},
};

use super::{
    Flows,
    commit::put,
    event::Seen,
    record::{Listening, TOLD_KEY, Told as Position},
    runner::{Cell, Loaded},
    shelf::{Published, readable},
    waits::{Place, Who, plan_at, topic_of},
};
use crate::effect::{Input, Listen, WaitId};

/// Runs that are told at the same time.
const AT_ONCE: usize = 64;
/// How often it is written down how far the log was told, at most.
const WRITTEN: Duration = Duration::from_secs(1);
/// Events read at a time for one listen.
const PAGE: usize = 256;
/// Between two tries at what can't be read or stored.
const AGAIN: Duration = Duration::from_millis(500);

impl Flows {
    /// A committed step listens: what lies in the log already is read for it, then it is told with all others.
    pub(super) fn listen(&self, cell: &Arc<Cell>, held: &Loaded, listen: Listen) {
        let after = listen.after.unwrap_or(if listen.from_trigger { held.run.from_seq } else { self.position() });
        self.read_for(&cell.id, listen, &held.published, after);
    }

    /// The end of the log.
    pub(super) fn position(&self) -> Seq {
        self.desk().store.head().seq
    }

    fn read_for(&self, run: &str, listen: Listen, published: &Arc<Published>, after: Seq) {
        let who = (run.to_owned(), listen.id);
        let asked;
        {
            let mut index = self.inner.router.index();
            let floor = index.announced.remove(&who).unwrap_or_default();
            if after >= index.position {
                index.insert(run, &listen, published);
                return;
            }
            // Asked for again with other filters: it stays where it is until the past is read for the new ones.
            index.asked += 1;
            asked = index.asked;
            index.reading.insert(who.clone(), (floor, asked));
        }
        let (flows, published, work) = (self.clone(), Arc::clone(published), self.inner.hub.at_work());
        self.inner.hub.spawn().start(TaskKind::Delivery, async move {
            let _work = work;
            let stop = flows.inner.hub.spawn().engine_stopping();
            let mut after = after;
            loop {
                tokio::select! {
                    done = flows.catch_up((&who, asked), &listen, &published, &mut after) => match done {
                        Ok(()) => return,
                        Err(problem) => {
                            tracing::warn!(run = who.0, error = problem.message, "the log can't be read for a run; trying again");
                            flows.clock().sleep(AGAIN).await;
                        }
                    },
                    () = stop.cancelled() => return,
                }
            }
        });
    }

    /// Tells one wait what came after `after`, until it has caught up with all others.
    async fn catch_up(
        &self,
        (who, asked): (&Who, u64),
        listen: &Listen,
        published: &Arc<Published>,
        after: &mut Seq,
    ) -> Result<(), Problem> {
        let topics: Option<Vec<String>> =
            listen.filters.iter().map(|interest| Some(topic_of(interest)).filter(|topic| !topic.is_empty())).collect();
        loop {
            let until = {
                let mut index = self.inner.router.index();
                // It is over, or was asked for anew.
                if index.reading.get(who).is_none_or(|(_, latest)| *latest != asked) {
                    return Ok(());
                }
                if *after >= index.position {
                    index.insert(&who.0, listen, published);
                    index.reading.remove(who);
                    return Ok(());
                }
                index.position
            };
            let (events, next) = self.past(topics.as_deref(), *after, until).await?;
            for event in events {
                let mut seen = Seen::new(&event);
                let wanted = listen.filters.iter().any(|interest| {
                    let place = Place { flow: String::new(), task: listen.task.clone(), filter: interest.filter };
                    plan_at(published, &place).and_then(|plan| seen.for_filter(plan).map(|e| plan.matches(e, &())))
                        == Some(true)
                });
                if wanted {
                    let input = Input::Event { id: who.1, seq: event.seq, event: seen.plain().clone() };
                    self.tell(&who.0, input, None).await?;
                }
                *after = (*after).max(event.seq);
            }
            *after = (*after).max(next);
        }
    }

    /// Events after `after` up to `until`, and up to where the log was looked at.
    pub(super) async fn past(
        &self,
        topics: Option<&[String]>,
        after: Seq,
        until: Seq,
    ) -> Result<(Vec<Arc<StoredEvent>>, Seq), Problem> {
        let store = &self.desk().store;
        match topics {
            Some(types) => {
                let query = EventQuery {
                    types: types.to_vec(),
                    after: Some(after),
                    before: Some(until + 1),
                    ..EventQuery::default()
                };
                let page = store.query(query, PAGE).await.map_err(unreadable)?;
                Ok((page.events, page.next.unwrap_or(until)))
            }
            None => {
                let range = SeqRange { after, until: Some(until), priority: None };
                let events = store.read(range, Limit::items(PAGE)).await.map_err(unreadable)?;
                let next = events.last().map_or(until, |event| event.seq);
                Ok((events, next))
            }
        }
    }

    /// Registers what every run listened for when the last process ended. Before [`Self::follow_log`].
    pub(super) async fn restore_listens(&self) -> Result<(), nexus_engine::StartError> {
        let store = &self.desk().store;
        let told = store.get(Position::COLLECTION, TOLD_KEY).await?;
        let told = told.and_then(|document| serde_json::from_str::<Position>(&document.body).ok());
        let head = store.head().seq;
        let position = told.map_or(head, |told| told.seq.min(head));
        self.inner.router.index().position = position;
        for (listening, _) in readable::<Listening>(self.desk()).await? {
            let Ok(published) = self.inner.shelf.version(self.desk(), &listening.flow).await else { continue };
            // At that very place its past may not have been read yet.
            if listening.since < position && told.is_some() {
                self.inner.router.index().insert(&listening.run, &listening.listen, &published);
            } else {
                self.read_for(&listening.run, listening.listen, &published, listening.after);
            }
        }
        Ok(())
    }

    /// Follows the log and tells those who listen.
    pub(super) async fn follow_log(self) {
        let start = self.inner.router.index().position;
        let mut follower = self.inner.hub.tail().follow(Start::After(start));
        let mut written = start;
        let mut due = self.clock().mono();
        loop {
            let entries = match follower.next().await {
                None => break,
                Some(Batch::Gap { to, .. }) => {
                    // What retention has cut can't be told to anyone.
                    let mut index = self.inner.router.index();
                    index.position = index.position.max(to);
                    continue;
                }
                Some(Batch::Events(entries)) => entries,
            };
            let _work = self.inner.hub.at_work();
            let mut told: BTreeMap<String, Vec<(WaitId, Arc<StoredEvent>)>> = BTreeMap::new();
            {
                let mut index = self.inner.router.index();
                for entry in &entries {
                    if !index.groups.is_empty() {
                        for (run, wait) in index.concerned(&entry.event) {
                            told.entry(run).or_default().push((wait, Arc::clone(&entry.event)));
                        }
                    }
                    index.position = entry.event.seq;
                }
            }
            stream::iter(told).for_each_concurrent(AT_ONCE, |(run, events)| self.tell_events(run, events)).await;
            if self.clock().mono() >= due {
                due = self.clock().mono() + WRITTEN;
                written = self.write_position(written).await;
            }
        }
        self.write_position(written).await;
    }

    async fn tell_events(&self, run: String, events: Vec<(WaitId, Arc<StoredEvent>)>) {
        let stop = self.inner.hub.spawn().engine_stopping();
        for (wait, event) in events {
            let input = Input::Event { id: wait, seq: event.seq, event: Seen::new(&event).plain().clone() };
            while let Err(problem) = self.tell(&run, input.clone(), None).await {
                if !matches!(problem.code, Code::Unavailable | Code::Conflict) {
                    // A run that can't be read, or a store that is broken: the others are not to wait for it.
                    tracing::error!(run, seq = event.seq, error = problem.message, "an event can't be told to a run");
                    break;
                }
                tracing::warn!(run, error = problem.message, "an event can't be told to a run; trying again");
                if stop.is_cancelled() {
                    return;
                }
                self.clock().sleep(AGAIN).await;
            }
        }
    }

    /// Writes down how far the log was told, where anybody listens. Gives what is written now.
    async fn write_position(&self, written: Seq) -> Seq {
        let seq = {
            let index = self.inner.router.index();
            if index.placed.is_empty() && index.reading.is_empty() {
                return written;
            }
            let reading = index.reading.values().map(|(floor, _)| *floor);
            let first = reading.chain(index.announced.values().copied()).min();
            first.map_or(index.position, |first| first.min(index.position))
        };
        if seq <= written {
            return written;
        }
        let Ok(write) = put(&Position { seq }) else { return written };
        let commit = Commit { documents: vec![write], lane: Lane::Own, ..Commit::default() };
        match self.desk().try_commit(commit).await {
            Ok(_) => seq,
            Err(_) => written,
        }
    }
}
