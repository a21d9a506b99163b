//! What detectors remember, in the store: one record per flow, detector and key, and an answer to too many of them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nexus_core::{
    event::{Once, Seq, StoredEvent},
    id::EventId,
    limits::IDEMPOTENCY_WINDOW,
    problem::Problem,
    record::{Collection, Column, ColumnType, Document, Index, IndexKind, Record, Value},
    store::{Commit, CommitError, Guard, IndexQuery, Key, Lane, Range, TimerWrite, Write},
    time::Timestamp,
};
use nexus_engine::desk::{refused, unreadable};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{super::Flows, timer_id};
use crate::{
    detect::{DetectPlan, Memory},
    host::{record::Flow, shelf::Held},
};

/// Keys that one detector remembers. At it the oldest that lead to nothing any more are forgotten; where there are none, a
/// new key counts for nobody, and `flow.detector_full` says so, at most once a day.
pub const KEYS: usize = 50_000;
/// Records forgotten in one commit.
const FORGOTTEN: usize = 500;
/// Records whose columns are read at a time.
const COUNTED: usize = 1_000;
/// How long a memory that leads to nothing is kept at least: deliveries that come again must find it.
const SETTLED: Duration = Duration::from_secs(3600);

/// Where what comes of an event belongs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// The event.
    pub id: EventId,
    /// What it belongs to.
    pub correlation: String,
    /// Its steps from the first cause.
    pub depth: u8,
}

impl Cause {
    /// This event.
    pub(super) fn of(event: &StoredEvent) -> Self {
        Self { id: event.id, correlation: event.correlation_id(), depth: event.depth }
    }
}

/// What a detector remembers of one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// `namespace/name`.
    pub flow: String,
    /// The detector.
    pub detector: String,
    /// Digest of the detector's definition.
    pub digest: String,
    /// Of which key.
    pub key: String,
    /// The last event that was taken into account: what comes again is known by it.
    pub seq: Seq,
    /// The event that began the wait, where it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Cause>,
    /// The memory.
    pub memory: Memory,
    /// From when on it may be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_at: Option<Timestamp>,
}

static MEMORIES: Collection = Collection {
    name: "flow_memories",
    columns: &[
        Column { name: "flow", kind: ColumnType::Text },
        Column { name: "place", kind: ColumnType::Text },
        Column { name: "idle_at", kind: ColumnType::Int },
    ],
    indexes: &[
        Index { name: "by_place", columns: &["flow", "place", "idle_at"], kind: IndexKind::Plain, only: None },
        Index { name: "idle", columns: &["idle_at"], kind: IndexKind::Plain, only: None },
    ],
};

/// The key of a record.
pub(in crate::host) fn address(flow: &str, detector: &str, key: &str) -> String {
    format!("{flow}/{detector}/{key}")
}

/// One definition of one detector: under it memories are counted.
pub(super) fn place(plan: &DetectPlan) -> String {
    format!("{}@{}", plan.name, plan.digest)
}

impl Record for Remembered {
    const COLLECTION: &'static Collection = &MEMORIES;
    fn key(&self) -> String {
        address(&self.flow, &self.detector, &self.key)
    }
    fn columns(&self) -> Vec<Value> {
        let place = format!("{}@{}", self.detector, self.digest);
        vec![self.flow.as_str().into(), place.into(), self.idle_at.into()]
    }
}

impl Remembered {
    /// Nothing yet.
    pub(super) fn new(flow: &str, plan: &DetectPlan, key: &str) -> Self {
        Self {
            flow: flow.to_owned(),
            detector: plan.name.clone(),
            digest: plan.digest.clone(),
            key: key.to_owned(),
            seq: 0,
            begun: None,
            memory: Memory::default(),
            idle_at: None,
        }
    }
}

/// How many are remembered, by flow and place, where that is known; and of which it was told that they are full.
#[derive(Default)]
pub(in crate::host) struct Memories(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    counts: HashMap<(String, String), usize>,
    full: HashSet<(String, String)>,
}

impl Memories {
    fn held(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more is remembered.
    pub(super) fn grew(&self, flow: &str, place: String) {
        if let Some(count) = self.held().counts.get_mut(&(flow.to_owned(), place)) {
            *count += 1;
        }
    }

    fn shrank(&self, at: &(String, String), by: usize) {
        let mut held = self.held();
        held.full.remove(at);
        if let Some(count) = held.counts.get_mut(at) {
            *count = count.saturating_sub(by);
        }
    }

    fn unknown(&self, at: &(String, String)) {
        let mut held = self.held();
        held.full.remove(at);
        held.counts.remove(at);
    }
}

fn of_place(flow: &str, place: &str) -> Range {
    let prefix = vec![flow.into(), place.into()];
    Range { collection: &MEMORIES, index: "by_place", prefix, from: None, until: None }
}

/// The first text that sorts after all that begin with this name.
fn after(name: &str) -> Value {
    format!("{name} ").into()
}

impl Flows {
    async fn memories(&self, range: Range, limit: usize) -> Result<Vec<(Remembered, Document)>, Problem> {
        let query = IndexQuery { range, descending: false, filters: Vec::new(), after: None, limit };
        let page = self.desk().store.list(query).await.map_err(unreadable)?;
        page.items.into_iter().map(|document| Ok((super::super::read::<Remembered>(&document)?, document))).collect()
    }

    /// Whether one more key fits, after what can be forgotten is.
    pub(super) async fn has_room(&self, flow: &str, plan: &DetectPlan, now: Timestamp) -> Result<bool, Problem> {
        let at = (flow.to_owned(), place(plan));
        let known = self.inner.memories.held().counts.get(&at).copied();
        let count = match known {
            Some(count) => count,
            None => {
                let count = self.count(&at).await?;
                self.inner.memories.held().counts.insert(at.clone(), count);
                count
            }
        };
        if count < KEYS {
            return Ok(true);
        }
        let idle = Range { until: Some(now.into()), ..of_place(&at.0, &at.1) };
        let found = self.memories(idle, FORGOTTEN).await?;
        Ok(self.forget_idle(found).await? > 0)
    }

    async fn count(&self, at: &(String, String)) -> Result<usize, Problem> {
        let (mut count, mut after) = (0, None);
        loop {
            let range = of_place(&at.0, &at.1);
            let query = IndexQuery { range, descending: false, filters: Vec::new(), after, limit: COUNTED };
            let page = self.desk().store.scan(query).await.map_err(unreadable)?;
            count += page.items.len();
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Forgets these unless something came for them meanwhile. Gives how many are gone.
    async fn forget_idle(&self, found: Vec<(Remembered, Document)>) -> Result<usize, Problem> {
        let mut gone = 0;
        let mut commit = Commit { lane: Lane::Own, ..Commit::default() };
        let mut counts: HashMap<(String, String), usize> = HashMap::new();
        for (remembered, document) in &found {
            let key = Key::of::<Remembered>(&document.key);
            commit.guards.push(Guard::Version(key.clone(), document.version));
            commit.documents.push(Write::Delete(key));
            let place = format!("{}@{}", remembered.detector, remembered.digest);
            *counts.entry((remembered.flow.clone(), place)).or_default() += 1;
        }
        if commit.documents.is_empty() {
            return Ok(0);
        }
        match self.desk().try_commit(commit).await {
            Ok(_) => {
                for (at, by) in counts {
                    self.inner.memories.shrank(&at, by);
                    gone += by;
                }
                Ok(gone)
            }
            // One of them is not idle any more: what was found is no longer so, and is found anew the next time.
            Err(CommitError::Conflict { .. }) => Ok(0),
            Err(error) => Err(refused(&error)),
        }
    }

    /// Forgets one memory, whatever comes for it meanwhile, and what it waits for. Gives how many are gone.
    pub(in crate::host) async fn forget_memory(&self, address: &str) -> Result<u64, Problem> {
        let document = self.desk().store.get(&MEMORIES, address).await.map_err(unreadable)?;
        let Some(document) = document else { return Ok(0) };
        let commit = Commit {
            documents: vec![Write::Delete(Key::of::<Remembered>(address))],
            timers: vec![TimerWrite::Cancel(timer_id(address))],
            lane: Lane::Own,
            ..Commit::default()
        };
        self.desk().commit(commit).await?;
        if let Ok(remembered) = super::super::read::<Remembered>(&document) {
            let place = format!("{}@{}", remembered.detector, remembered.digest);
            self.inner.memories.shrank(&(remembered.flow, place), 1);
        }
        Ok(1)
    }

    /// Says that a detector remembers all it can.
    pub(super) async fn tell_full(&self, flow: &str, plan: &DetectPlan, key: &str) -> Result<(), Problem> {
        let at = (flow.to_owned(), place(plan));
        if !self.inner.memories.held().full.insert(at) {
            return Ok(());
        }
        let detail = json!({
            "flow": flow, "detector": plan.name, "key": key, "limit": KEYS,
            "reason": format!("the detector remembers {KEYS} keys, and none that leads to nothing any more: events of further keys count for nobody; choose a coarser key or a shorter time"),
        });
        let mut notice = self.desk().notice("flow.detector_full", &detail);
        notice.once = Some(Once {
            scope: "flow.detector_full".into(),
            key: format!("{flow} {}", plan.name),
            digest: [0; 16],
            strict: false,
            window: IDEMPOTENCY_WINDOW,
        });
        self.desk().commit(Commit { events: vec![notice], ..Commit::default() }).await.map(|_| ())
    }

    /// Forgets what belongs to no detector of a flow as it stands now: all of it where the flow is off or gone.
    pub(in crate::host) async fn tidy_memories(&self, flow: &str, held: Option<&Held>) -> Result<(), Problem> {
        let on = held.filter(|held| held.flow.enabled);
        let kept: BTreeSet<String> =
            on.iter().flat_map(|held| held.current.definition.settings.detect.iter()).map(place).collect();
        let mut from = None;
        loop {
            let range = Range {
                collection: &MEMORIES,
                index: "by_place",
                prefix: vec![flow.into()],
                from: from.clone(),
                until: None,
            };
            let Some((first, _)) = self.memories(range, 1).await?.into_iter().next() else { return Ok(()) };
            let place = format!("{}@{}", first.detector, first.digest);
            if !kept.contains(&place) {
                self.forget_place(flow, &place).await?;
            }
            from = Some(after(&place));
        }
    }

    async fn forget_place(&self, flow: &str, place: &str) -> Result<(), Problem> {
        loop {
            let found = self.memories(of_place(flow, place), FORGOTTEN).await?;
            if found.is_empty() {
                self.inner.memories.unknown(&(flow.to_owned(), place.to_owned()));
                return Ok(());
            }
            let mut commit = Commit { lane: Lane::Own, ..Commit::default() };
            for (remembered, document) in found {
                if remembered.memory.due().is_some() {
                    commit.timers.push(TimerWrite::Cancel(timer_id(&document.key)));
                }
                commit.documents.push(Write::Delete(Key::of::<Remembered>(&document.key)));
            }
            self.desk().commit(commit).await?;
        }
    }

    /// As [`Self::tidy_memories`], for every flow of which something is remembered: at the start, when a crash may have left
    /// what should be gone.
    pub(in crate::host) async fn tidy_all_memories(&self) -> Result<(), Problem> {
        let mut from = None;
        loop {
            let range =
                Range { collection: &MEMORIES, index: "by_place", prefix: Vec::new(), from: from.clone(), until: None };
            let Some((first, _)) = self.memories(range, 1).await?.into_iter().next() else { return Ok(()) };
            let held = self.inner.shelf.find(&first.flow);
            let stored = self.desk().store.get(Flow::COLLECTION, &first.flow).await.map_err(unreadable)?;
            // A flow that is there and can't be compiled by this version of the hub keeps what it knows.
            if held.is_some() || stored.is_none() {
                self.tidy_memories(&first.flow, held.as_deref()).await?;
            }
            from = Some(after(&first.flow));
        }
    }

    /// Forgets what has led to nothing for a while.
    pub(in crate::host) async fn sweep_memories(&self) -> Result<(), Problem> {
        let until = self.desk().now().minus(SETTLED);
        loop {
            let range = Range {
                collection: &MEMORIES,
                index: "idle",
                prefix: Vec::new(),
                from: None,
                until: Some(until.into()),
            };
            let found = self.memories(range, FORGOTTEN).await?;
            if self.forget_idle(found).await? == 0 {
                return Ok(());
            }
        }
    }
}
