//! Replays: events of the past sent to a subscription again, marked as such.

use std::sync::Arc;

use nexus_core::{
    access::Principal,
    event::Seq,
    limits::EVENT_DEPTH,
    problem::{Code, Problem},
    record::{Collection, Column, ColumnType, Record, Value},
    store::{Commit, Entry, Guard, Key, Limit, Position, SeqRange, SubNo, Write},
    time::Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    delivery::{driver::Change, lane::REPLAY, spec::Spec},
    desk::{Desk, Shelf, unreadable},
    dispatch::Dispatch,
    subscriptions::Subscriptions,
};

/// A place in the log: a seq, or a time (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// This seq.
    Seq(Seq),
    /// The first event committed at or after.
    Time(Timestamp),
}

impl std::str::FromStr for At {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seq) = text.parse() {
            return Ok(Self::Seq(seq));
        }
        Timestamp::parse(text)
            .map(Self::Time)
            .ok_or_else(|| format!("{text:?} is neither a seq nor a time such as 2026-01-02T03:04:05Z"))
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(d)? {
            serde_json::Value::Number(n) => {
                n.as_u64().map(Self::Seq).ok_or_else(|| serde::de::Error::custom("a seq is a whole number"))
            }
            serde_json::Value::String(text) => text.parse().map_err(serde::de::Error::custom),
            _ => Err(serde::de::Error::custom("expected a seq (number) or a time (RFC 3339 text)")),
        }
    }
}

/// What to send again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// To this subscription, by its present filter.
    pub subscription: String,
    /// From here on; absent = from the log's beginning.
    #[serde(default)]
    pub from: Option<At>,
    /// Up to and including this seq, or before this time; absent = up to now.
    #[serde(default)]
    pub to: Option<At>,
    /// Only count.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a replay would send.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReplayCount {
    /// Matching events.
    pub events: u64,
    /// First seq looked at.
    pub from_seq: Seq,
    /// Last seq looked at.
    pub to_seq: Seq,
}

/// State of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayState {
    /// Under way.
    Running,
    /// Everything was sent; what failed is retrying or dead.
    Done,
    /// Ended by a person.
    Cancelled,
}

/// A replay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replay {
    /// Its number, which its deliveries carry as `X-Nexus-Replay`.
    pub id: u32,
    /// Subscription.
    pub subscription: String,
    /// Its number.
    pub no: SubNo,
    /// First seq.
    pub from_seq: Seq,
    /// Last seq.
    pub to_seq: Seq,
    /// State.
    pub state: ReplayState,
    /// Next seq to be settled; progress is `(position - from_seq) / (to_seq - from_seq + 1)`.
    pub position: Seq,
    /// Begun at.
    pub created_at: Timestamp,
    /// Ended at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

static REPLAYS: Collection = Collection {
    name: "replays",
    columns: &[Column { name: "no", kind: ColumnType::Int }, Column { name: "running", kind: ColumnType::Bool }],
    indexes: &[],
};

impl Record for Replay {
    const COLLECTION: &'static Collection = &REPLAYS;
    fn key(&self) -> String {
        format!("{:010}", self.id)
    }
    fn columns(&self) -> Vec<Value> {
        vec![self.no.into(), (self.state == ReplayState::Running).into()]
    }
}

/// The replay desk.
#[derive(Debug)]
pub struct Replays {
    desk: Desk,
    dispatch: Dispatch,
    subscriptions: Arc<Subscriptions>,
    shelf: Shelf<Replay>,
    changing: tokio::sync::Mutex<()>,
}

impl Replays {
    /// Over what was read at the start.
    pub fn new(desk: Desk, dispatch: Dispatch, subscriptions: Arc<Subscriptions>, stored: Vec<(Replay, u64)>) -> Self {
        let shelf = stored.into_iter().map(|(r, v)| (r.key(), (r, v))).collect();
        Self {
            desk,
            dispatch,
            subscriptions,
            shelf: std::sync::RwLock::new(shelf),
            changing: tokio::sync::Mutex::default(),
        }
    }

    async fn bounds(&self, request: &ReplayRequest) -> Result<(Seq, Seq), Problem> {
        let head = self.desk.store.head();
        let from = match request.from {
            None => head.first,
            Some(At::Seq(seq)) => seq.max(head.first),
            Some(At::Time(time)) => self.desk.store.seq_at(time).await.map_err(unreadable)?,
        };
        let to = match request.to {
            None => head.seq,
            Some(At::Seq(seq)) => seq.min(head.seq),
            Some(At::Time(time)) => self.desk.store.seq_at(time).await.map_err(unreadable)?.saturating_sub(1),
        };
        Ok((from.max(1), to))
    }

    /// Counts what a replay would send.
    pub async fn count(&self, request: &ReplayRequest) -> Result<ReplayCount, Problem> {
        let subscription = self.subscriptions.get(&request.subscription)?;
        let (from, to) = self.bounds(request).await?;
        let revisions = [crate::subscription::Revision {
            no: subscription.no,
            name: subscription.name.clone(),
            revision: subscription.revision,
            from_seq: 0,
            filters: subscription.filters.clone(),
            predicate: subscription.predicate.clone(),
        }];
        let spec = Spec::compile(subscription, &revisions).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
        let mut events = 0;
        let mut after = from - 1;
        while after < to {
            let range = SeqRange { after, until: Some(to), priority: None };
            let page = self.desk.store.read(range, Limit::items(1_000)).await.map_err(unreadable)?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            events += page.iter().filter(|e| spec.takes_now(e)).count() as u64;
        }
        Ok(ReplayCount { events, from_seq: from, to_seq: to })
    }

    /// Begins a replay; one at a time per subscription.
    pub async fn start(&self, request: &ReplayRequest, by: &Principal) -> Result<Replay, Problem> {
        let _one = self.changing.lock().await;
        let subscription = self.subscriptions.get(&request.subscription)?;
        let (from_seq, to_seq) = self.bounds(request).await?;
        let running = self.list().into_iter().find(|r| r.no == subscription.no && r.state == ReplayState::Running);
        if let Some(other) = running {
            let message =
                format!("replay {} of {:?} still runs; wait for it or cancel it", other.id, subscription.name);
            return Err(Problem::new(Code::Conflict, message));
        }
        let id = self.list().iter().map(|r| r.id).max().unwrap_or(0) + 1;
        let replay = Replay {
            id,
            subscription: subscription.name.clone(),
            no: subscription.no,
            from_seq,
            to_seq,
            state: ReplayState::Running,
            position: from_seq,
            created_at: self.desk.now(),
            ended_at: None,
        };
        let detail = serde_json::json!({"id": id, "subscription": subscription.name, "from": from_seq, "to": to_seq});
        // Its position comes first: what an earlier replay left must not be taken for it after a crash.
        self.dispatch.flush().await?;
        let position = Position { sub: subscription.no, lane: REPLAY, next: from_seq };
        self.dispatch.save(vec![Entry::Position(position)]).await?;
        self.write(replay.clone(), 0, by, "replay.started", &detail).await?;
        self.dispatch.change(Change::Replay(subscription.no, id, from_seq, to_seq)).await?;
        Ok(replay)
    }

    async fn write(
        &self,
        replay: Replay,
        version: u64,
        by: &Principal,
        action: &str,
        detail: &serde_json::Value,
    ) -> Result<(), Problem> {
        let key = Key::of::<Replay>(replay.key());
        let guard = if version == 0 { Guard::Absent(key) } else { Guard::Version(key, version) };
        let write = Write::put(&replay).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
        let mut event = self.desk.audit(by, action, detail);
        // A replay of everything must not feed on its own audit trail.
        event.depth = EVENT_DEPTH;
        let commit = Commit { guards: vec![guard], documents: vec![write], events: vec![event], ..Commit::default() };
        self.desk.commit(commit).await?;
        self.shelf
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(replay.key(), (replay, version + 1));
        Ok(())
    }

    /// All, oldest first; without the progress of those under way.
    pub fn list(&self) -> Vec<Replay> {
        let shelf = self.shelf.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        shelf.values().map(|(r, _)| r.clone()).collect()
    }

    fn held(&self, id: u32) -> Result<(Replay, u64), Problem> {
        let shelf = self.shelf.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let found = shelf.get(&format!("{id:010}")).cloned();
        found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no replay {id}")))
    }

    /// One, with its progress.
    pub async fn get(&self, id: u32) -> Result<Replay, Problem> {
        let (mut replay, _) = self.held(id)?;
        if replay.state == ReplayState::Running {
            let position = self
                .dispatch
                .state(replay.no, move |_, state, _| {
                    let running = state.replay.as_ref().is_some_and(|r| r.generation == id);
                    running.then(|| state.lanes[usize::from(REPLAY)].position())
                })
                .await?;
            replay.position = position.flatten().unwrap_or(replay.to_seq + 1);
        }
        Ok(replay)
    }

    /// Ends a replay; what is out is not called back.
    pub async fn cancel(&self, id: u32, by: &Principal) -> Result<Replay, Problem> {
        let (replay, _) = self.held(id)?;
        if replay.state == ReplayState::Running {
            self.dispatch.change(Change::CancelReplay(replay.no)).await?;
            self.end(id, ReplayState::Cancelled, by).await?;
        }
        self.held(id).map(|(r, _)| r)
    }

    /// The dispatcher has sent everything (`completed`), or its subscription is gone.
    pub async fn finished(&self, id: u32, completed: bool) -> Result<(), Problem> {
        let state = if completed { ReplayState::Done } else { ReplayState::Cancelled };
        self.end(id, state, &Principal::admin("hub")).await
    }

    async fn end(&self, id: u32, state: ReplayState, by: &Principal) -> Result<(), Problem> {
        let (mut replay, version) = self.held(id)?;
        if replay.state != ReplayState::Running {
            return Ok(());
        }
        replay.state = state;
        replay.position = replay.to_seq + 1;
        replay.ended_at = Some(self.desk.now());
        let detail = serde_json::json!({"id": id, "subscription": replay.subscription, "state": state});
        self.write(replay, version, by, "replay.ended", &detail).await
    }
}
