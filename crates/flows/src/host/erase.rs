//! Erasing: runs that a redacted event began, or that took it, lose what they held; so do those that had it from them.
//!
//! What stays of a run says how it went: its flow, its cause, its status, its tasks by name, its times. Where something
//! was, `[erased]` stands. A run that has not ended is cut off: it can't go on without what it knew. With the runs go
//! what their approvals asked and were answered, what detectors remember of the events' keys, and the events that
//! told of all that: those about the runs and their approvals, and those that the runs published about nobody else.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use nexus_core::{
    event::{Seq, StoredEvent},
    id::EventId,
    problem::{Code, Problem},
    record::{Record, Value as Cell},
    store::{Commit, CommitError, EventQuery, Guard, IndexQuery, Key, Lane, Range, Write},
};
use nexus_engine::{
    desk::{refused, unreadable},
    log::{Forget, Forgotten, Keeps},
};

use super::{
    Flows, behaviour,
    budget::SPENT,
    commit::{correlation, put, source},
    queries::PAGE,
    record::{Erased, Heard, Listening, Run, Steps, Trigger, keys_of},
    runner::{ATTEMPTS, PAUSE},
};
use crate::{
    effect::{Input, Outcome},
    run::state::ERASED,
};

/// How long it is known that an event was erased: longer than anything that holds it takes to be stored.
const KNOWN: Duration = Duration::from_secs(3600);
/// Events of a run's life that hold nothing of its data.
const BARE: [&str; 5] = ["started", "suspended", "resumed", "cancelled", "retried"];

/// Events that were erased a short while ago: whoever has one in hand still looks here once it is stored.
#[derive(Default)]
pub(super) struct Erasures(Mutex<Vec<(Duration, HashSet<Seq>)>>);

impl Erasures {
    fn note(&self, now: Duration, seqs: HashSet<Seq>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(at, _)| now.saturating_sub(*at) < KNOWN);
        known.push((now, seqs));
    }

    fn holds(&self, seq: Seq) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|(_, seqs)| seqs.contains(&seq))
    }
}

/// Has the flows forget what is redacted.
pub(super) struct Owner(pub(super) Flows);

#[async_trait]
impl Keeps for Owner {
    async fn forget(&self, what: Forget<'_>) -> Result<Forgotten, Problem> {
        let flows = &self.0;
        match what {
            Forget::Events(events) => flows.forget_events(events).await,
            Forget::Subject(subject) => flows.forget_subject(subject).await,
        }
    }
}

fn count(done: &mut Forgotten, what: &'static str, by: u64) {
    if by > 0 {
        *done.counts.entry(what).or_default() += by;
    }
}

/// Whether an event about a run holds something of what the run knew.
fn tells(event: &StoredEvent) -> bool {
    let bare = event.topic.as_str().strip_prefix("io.serverlessworkflow.").and_then(|rest| rest.strip_suffix(".v1"));
    bare.and_then(|rest| rest.rsplit_once('.')).is_none_or(|(_, what)| !BARE.contains(&what))
}

impl Flows {
    async fn forget_events(&self, events: &[Arc<StoredEvent>]) -> Result<Forgotten, Problem> {
        self.inner.erasures.note(self.clock().mono(), events.iter().map(|event| event.seq).collect());
        let mut done = Forgotten::default();
        let mut runs = Vec::new();
        for event in events {
            runs.extend(self.keys("by_cause", event.id.to_string().into()).await?);
            runs.extend(
                self.heard_by("by_seq", vec![Cell::Int(i64::try_from(event.seq).unwrap_or(i64::MAX))], None).await?,
            );
            count(&mut done, "memories", self.forget_keys_of(event).await?);
        }
        done.told_in.extend(self.told_because_of(events).await?);
        self.erase_runs(runs, &mut done).await?;
        Ok(done)
    }

    async fn forget_subject(&self, subject: &str) -> Result<Forgotten, Problem> {
        let mut done = Forgotten::default();
        // A run, or an approval, by its own id.
        let mut runs = vec![subject.to_owned()];
        runs.extend(self.run_of_approval(subject).await?);
        runs.extend(self.heard_by("", Vec::new(), Some(subject)).await?);
        let range =
            Range { collection: Run::COLLECTION, index: "by_time", prefix: Vec::new(), from: None, until: None };
        let mut after = None;
        loop {
            let filters = vec![("about", subject.into())];
            let query = IndexQuery { range: range.clone(), descending: false, filters, after, limit: PAGE };
            let page = self.desk().store.scan(query).await.map_err(unreadable)?;
            runs.extend(page.items.into_iter().map(|(key, _)| key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        count(&mut done, "memories", self.forget_key(subject).await?);
        self.erase_runs(runs, &mut done).await?;
        Ok(done)
    }

    /// Whoever stored something of an event looks whether the event was erased meanwhile.
    pub(super) async fn after_storing(&self, event: Seq, run: &str) -> Result<(), Problem> {
        if !self.inner.erasures.holds(event) {
            return Ok(());
        }
        let mut done = Forgotten::default();
        self.erase_runs(vec![run.to_owned()], &mut done).await?;
        self.inner.hub.log().erase_with(done.told_in).await
    }

    /// The same of what a detector remembers.
    pub(super) async fn after_remembering(&self, event: &StoredEvent) -> Result<(), Problem> {
        match self.inner.erasures.holds(event.seq) {
            true => self.forget_keys_of(event).await.map(|_| ()),
            false => Ok(()),
        }
    }

    /// These runs, those that they began, and those that took over what they gave.
    async fn erase_runs(&self, runs: Vec<String>, done: &mut Forgotten) -> Result<(), Problem> {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut next: VecDeque<String> = runs.into();
        while let Some(id) = next.pop_front() {
            if !seen.insert(id.clone()) {
                continue;
            }
            let document = self.desk().store.get(Run::COLLECTION, &id).await.map_err(unreadable)?;
            let Some(document) = document else { continue };
            next.extend(self.keys("by_cause", id.as_str().into()).await?);
            let Some(run) = self.readable(&document) else {
                // What can't be read can't be told apart: all of it goes.
                self.forget(&id).await?;
                self.inner.aside.forget(&id);
                count(done, "runs", 1);
                continue;
            };
            let gave = matches!(run.state.outcome, Some(Outcome::Completed { .. } | Outcome::Faulted { .. }));
            if let Trigger::Flow { run: parent, wait: Some(_) } = &run.trigger
                && gave
            {
                next.push_back(parent.clone());
            }
            let cut_off = !run.state.status.has_ended();
            if cut_off {
                self.tell(&id, Input::Cancel, None).await?;
            }
            if run.erased.is_none() {
                self.wipe(&id, cut_off).await?;
                count(done, "runs", 1);
            }
            let approvals = self.erase_approvals(&id).await?;
            count(done, "approvals", approvals.changed);
            for subject in approvals.ids.iter().chain([&id]) {
                let query = EventQuery { subject: Some(subject.clone()), ..EventQuery::default() };
                done.told_in.extend(self.events_of(query, tells).await?);
            }
            let query = EventQuery { correlation: Some(correlation(&run)), ..EventQuery::default() };
            let (by, cause) = (source(&run), run.lineage.causation);
            let own = |event: &StoredEvent| *event.source == *by && event.causation == cause && event.subject.is_none();
            done.told_in.extend(self.events_of(query, own).await?);
        }
        Ok(())
    }

    /// Takes the data out of a run that has ended: first what its tasks did, so that a crash in between leaves it to be done
    /// again.
    async fn wipe(&self, id: &str, cut_off: bool) -> Result<(), Problem> {
        self.wipe_steps(id).await?;
        self.forget_all_of::<Heard>(id).await?;
        self.forget_all_of::<Listening>(id).await?;
        let cell = self.inner.table.cell(id);
        let mut loaded = cell.loaded.lock().await;
        *loaded = None;
        for _ in 0..ATTEMPTS {
            let document = self.desk().store.get(Run::COLLECTION, id).await.map_err(unreadable)?;
            let Some((version, mut run)) = document.and_then(|d| Some((d.version, self.readable(&d)?))) else {
                return Ok(());
            };
            run.state.erase();
            (run.key, run.about) = (None, None);
            run.erased = Some(Erased { at: self.desk().now(), cut_off });
            let guards = vec![Guard::Version(Key::of::<Run>(id), version)];
            let commit = Commit { guards, documents: vec![put(&run)?], lane: Lane::Own, ..Commit::default() };
            match self.desk().try_commit(commit).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict { .. } | CommitError::Unknown) => self.clock().sleep(PAUSE).await,
                Err(CommitError::Busy { retry_after }) => self.clock().sleep(retry_after).await,
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(Problem::new(Code::Unavailable, format!("run {id} changes all the time; try again")))
    }

    async fn wipe_steps(&self, run: &str) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let query =
                IndexQuery { range: of_run::<Steps>(run), descending: false, filters: Vec::new(), after, limit: PAGE };
            let page = self.desk().store.list(query).await.map_err(unreadable)?;
            let mut documents = Vec::with_capacity(page.items.len());
            for document in &page.items {
                let Ok(mut steps) = super::read::<Steps>(document) else {
                    documents.push(Write::Delete(Key::of::<Steps>(&document.key)));
                    continue;
                };
                for step in steps.steps.iter_mut().filter(|step| !step.data.is_null()) {
                    step.data = ERASED.into();
                }
                documents.push(put(&steps)?);
            }
            self.desk().commit(Commit { documents, ..Commit::default() }).await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Forgets what is kept under the keys of a run.
    pub(super) async fn forget_all_of<R: Record>(&self, run: &str) -> Result<(), Problem> {
        loop {
            let range = of_run::<R>(run);
            let query = IndexQuery { range, descending: false, filters: Vec::new(), after: None, limit: PAGE };
            let page = self.desk().store.list(query).await.map_err(unreadable)?;
            if page.items.is_empty() {
                return Ok(());
            }
            let documents = page.items.iter().map(|document| Write::Delete(Key::of::<R>(&document.key))).collect();
            self.desk().commit(Commit { documents, ..Commit::default() }).await?;
        }
    }

    /// Runs with this in an index.
    async fn keys(&self, index: &'static str, what: Cell) -> Result<Vec<String>, Problem> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let range =
                Range { collection: Run::COLLECTION, index, prefix: vec![what.clone()], from: None, until: None };
            let query = IndexQuery { range, descending: false, filters: Vec::new(), after, limit: PAGE };
            let page = self.desk().store.scan(query).await.map_err(unreadable)?;
            found.extend(page.items.into_iter().map(|(key, _)| key));
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Runs that took an event, by its place or its subject.
    async fn heard_by(
        &self,
        index: &'static str,
        prefix: Vec<Cell>,
        about: Option<&str>,
    ) -> Result<Vec<String>, Problem> {
        let filters: Vec<(&'static str, Cell)> = about.map(|about| ("about", about.into())).into_iter().collect();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let range = Range { collection: Heard::COLLECTION, index, prefix: prefix.clone(), from: None, until: None };
            let query = IndexQuery { range, descending: false, filters: filters.clone(), after, limit: PAGE };
            let page = self.desk().store.scan(query).await.map_err(unreadable)?;
            found.extend(page.items.into_iter().filter_map(|(key, _)| Some(key.split_once('/')?.0.to_owned())));
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// What the hub told because of these events: matches that they completed, runs that they did not begin.
    async fn told_because_of(&self, events: &[Arc<StoredEvent>]) -> Result<Vec<EventId>, Problem> {
        let causes: HashSet<EventId> = events.iter().map(|event| event.id).collect();
        let correlations: BTreeSet<String> = events.iter().map(|event| event.correlation_id()).collect();
        let ours = |event: &StoredEvent| {
            let told =
                event.source.starts_with("detect:") || [SPENT, "flow.run_skipped"].contains(&event.topic.as_str());
            told && event.causation.is_some_and(|cause| causes.contains(&cause))
        };
        let mut found = Vec::new();
        for correlation in correlations {
            let query = EventQuery { correlation: Some(correlation), ..EventQuery::default() };
            found.extend(self.events_of(query, ours).await?);
        }
        Ok(found)
    }

    async fn events_of(
        &self,
        query: EventQuery,
        wanted: impl Fn(&StoredEvent) -> bool,
    ) -> Result<Vec<EventId>, Problem> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.inner.hub.query(EventQuery { after, ..query.clone() }, PAGE).await?;
            found.extend(page.events.iter().filter(|event| wanted(event)).map(|event| event.id));
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Forgets what detectors remember of the keys of an event.
    async fn forget_keys_of(&self, event: &StoredEvent) -> Result<u64, Problem> {
        let mut gone = 0;
        for held in self.list() {
            let definition = &held.current.definition;
            if definition.settings.detect.is_empty() {
                continue;
            }
            let mut seen = super::event::Seen::new(event);
            for hit in definition.detected(seen.plain()) {
                if let Some(plan) = definition.settings.detect.get(hit.detector) {
                    gone += self.forget_memory(&behaviour::address(&held.flow.name, &plan.name, &hit.key)).await?;
                }
            }
        }
        Ok(gone)
    }

    /// Forgets what detectors remember of a key.
    async fn forget_key(&self, key: &str) -> Result<u64, Problem> {
        let mut gone = 0;
        for held in self.list() {
            for plan in held.current.definition.settings.detect.iter() {
                gone += self.forget_memory(&behaviour::address(&held.flow.name, &plan.name, key)).await?;
            }
        }
        Ok(gone)
    }
}

/// The keys of a run's records.
fn of_run<R: Record>(run: &str) -> Range {
    let (from, until) = keys_of(run);
    Range {
        collection: R::COLLECTION,
        index: "",
        prefix: Vec::new(),
        from: Some(from.into()),
        until: Some(until.into()),
    }
}
