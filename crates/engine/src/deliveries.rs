//! Deliveries that were out of the ordinary, and the dead letters among them.

use std::sync::Arc;

use nexus_core::{
    access::Principal,
    event::{Seq, StoredEvent},
    id::EventId,
    problem::{Code, Problem},
    store::{Entry, Exception, ExceptionQuery, ExceptionState, Limit, SeqRange, SubNo},
};
use serde::Serialize;

use crate::{
    delivery::{attempt::delivery_id, driver::Change, outcome::AttemptRecord},
    desk::{Desk, unreadable},
    dispatch::Dispatch,
    subscriptions::Subscriptions,
};

/// A delivery as shown.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// `<subscription number>-<seq>-<generation>`.
    pub id: String,
    /// The id that every attempt carries.
    pub delivery_id: String,
    /// Subscription.
    pub subscription: String,
    /// Event.
    pub event_id: EventId,
    /// Its type.
    pub event: String,
    /// Its seq.
    pub seq: Seq,
    /// 0, or the replay's number.
    pub generation: u32,
    /// `retrying`, `dead` or `delivered`.
    pub state: ExceptionState,
    /// Attempts that count.
    pub attempts_made: u16,
    /// The last attempts, oldest first.
    pub attempts: Vec<AttemptRecord>,
    /// Due at, for `retrying`, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// Ordering key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Events that wait behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Seq>,
    /// Changed at, ISO 8601.
    pub updated_at: String,
}

/// Which deliveries.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    /// Of this subscription.
    pub subscription: Option<String>,
    /// Of this event.
    pub event: Option<EventId>,
    /// In this state.
    pub state: Option<ExceptionState>,
    /// Continue after this id.
    pub cursor: Option<String>,
    /// At most so many (1 to 200).
    pub limit: usize,
}

/// Which dead letters an act concerns.
#[derive(Clone, Debug)]
pub enum Select {
    /// One, by id.
    One(String),
    /// All of a subscription.
    Subscription(String),
    /// All.
    All,
}

/// Deliveries and dead letters.
#[derive(Debug)]
pub struct Deliveries {
    desk: Desk,
    dispatch: Dispatch,
    subscriptions: Arc<Subscriptions>,
    /// One act at a time: what it decides on must be what it finds.
    acting: tokio::sync::Mutex<()>,
}

type RowKey = (SubNo, Seq, u32);

fn parse_id(id: &str) -> Option<RowKey> {
    let mut parts = id.splitn(3, '-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl Deliveries {
    /// Over the store and the dispatcher.
    pub fn new(desk: Desk, dispatch: Dispatch, subscriptions: Arc<Subscriptions>) -> Self {
        Self { desk, dispatch, subscriptions, acting: tokio::sync::Mutex::new(()) }
    }

    async fn rows(&self, query: ExceptionQuery) -> Result<Vec<Exception>, Problem> {
        self.desk.store.exceptions(query).await.map_err(unreadable)
    }

    /// A page of deliveries, and the cursor of the next.
    pub async fn list(&self, query: DeliveryQuery) -> Result<(Vec<Delivery>, Option<String>), Problem> {
        self.dispatch.flush().await?;
        let limit = query.limit.clamp(1, 200);
        let sub = query.subscription.as_deref().map(|name| self.subscriptions.get(name)).transpose()?.map(|s| s.no);
        let seq = match query.event {
            None => None,
            Some(id) => match self.desk.store.event(id).await.map_err(unreadable)? {
                Some(event) => Some(event.seq),
                None => return Err(Problem::new(Code::NotFound, format!("there is no event {id}"))),
            },
        };
        let after = match &query.cursor {
            None => None,
            Some(cursor) => {
                Some(parse_id(cursor).ok_or_else(|| Problem::field("cursor", "is not one that a list gave"))?)
            }
        };
        let wanted = ExceptionQuery { sub, seq, state: query.state, after, limit, ..ExceptionQuery::default() };
        let rows = self.rows(wanted).await?;
        let next = if rows.len() == limit { rows.last().map(row_id) } else { None };
        let mut shown = Vec::with_capacity(rows.len());
        for row in rows {
            shown.push(self.show(row).await?);
        }
        Ok((shown, next))
    }

    async fn event(&self, seq: Seq) -> Result<Option<Arc<StoredEvent>>, Problem> {
        let range = SeqRange { after: seq.saturating_sub(1), until: Some(seq), priority: None };
        Ok(self.desk.store.read(range, Limit::items(1)).await.map_err(unreadable)?.into_iter().next())
    }

    async fn show(&self, row: Exception) -> Result<Delivery, Problem> {
        let event = self.event(row.seq).await?;
        let nil = EventId::from_bytes([0; 16]);
        Ok(Delivery {
            id: row_id(&row),
            delivery_id: event.as_ref().map(|e| delivery_id(row.sub, e, row.generation)).unwrap_or_default(),
            subscription: self.subscriptions.name_of(row.sub).unwrap_or_default(),
            event_id: event.as_ref().map_or(nil, |e| e.id),
            event: event.as_ref().map_or_else(|| "<expired>".into(), |e| e.topic.to_string()),
            seq: row.seq,
            generation: row.generation,
            state: row.state,
            attempts_made: row.attempts,
            attempts: serde_json::from_str(&row.log).unwrap_or_default(),
            next_at: (row.state == ExceptionState::Retrying).then(|| row.next_at.to_string()),
            key: row.key,
            waiting: row.waiting,
            updated_at: row.updated_at.to_string(),
        })
    }

    async fn row(&self, id: &str) -> Result<Exception, Problem> {
        let missing = || Problem::new(Code::NotFound, format!("there is no delivery {id:?}"));
        let (sub, seq, generation) = parse_id(id).ok_or_else(missing)?;
        self.dispatch.flush().await?;
        let query = ExceptionQuery { sub: Some(sub), seq: Some(seq), limit: 1000, ..ExceptionQuery::default() };
        self.rows(query).await?.into_iter().find(|r| r.generation == generation).ok_or_else(missing)
    }

    /// One delivery.
    pub async fn get(&self, id: &str) -> Result<Delivery, Problem> {
        let row = self.row(id).await?;
        self.show(row).await
    }

    /// The dead letters that an act concerns, a page at a time.
    async fn dead(&self, select: &Select, after: Option<RowKey>) -> Result<Vec<Exception>, Problem> {
        let sub = match select {
            Select::One(_) if after.is_some() => return Ok(Vec::new()),
            Select::One(id) => {
                let row = self.row(id).await?;
                if row.state != ExceptionState::Dead {
                    return Err(Problem::new(Code::Conflict, format!("delivery {id} is not dead")));
                }
                return Ok(vec![row]);
            }
            Select::Subscription(name) => Some(self.subscriptions.get(name)?.no),
            Select::All => None,
        };
        let state = Some(ExceptionState::Dead);
        self.rows(ExceptionQuery { sub, state, after, limit: 500, ..ExceptionQuery::default() }).await
    }

    /// Tries dead letters again, with their attempts counted anew. How many.
    pub async fn redrive(&self, select: Select, by: &Principal) -> Result<u64, Problem> {
        self.act(select, by, "dead_letter.redriven", |row| Change::Redrive(Box::new(row.clone()))).await
    }

    /// Deletes dead letters. How many. A key that one of them held goes on.
    pub async fn delete(&self, select: Select, by: &Principal) -> Result<u64, Problem> {
        self.act(select, by, "dead_letter.deleted", |row| Change::Forget(row.sub, (row.seq, row.generation))).await
    }

    async fn act(
        &self,
        select: Select,
        by: &Principal,
        action: &str,
        change: impl Fn(&Exception) -> Change,
    ) -> Result<u64, Problem> {
        let _one = self.acting.lock().await;
        self.dispatch.flush().await?;
        let mut done = 0;
        let mut after = None;
        loop {
            let rows = self.dead(&select, after).await?;
            let Some(last) = rows.last() else { break };
            after = Some((last.sub, last.seq, last.generation));
            for row in &rows {
                let gone =
                    self.subscriptions.name_of(row.sub).is_none_or(|name| self.subscriptions.get(&name).is_err());
                if gone && matches!(change(row), Change::Forget(..)) {
                    self.dispatch.save(vec![Entry::ExceptionGone(row.sub, row.seq, row.generation)]).await?;
                } else if gone {
                    continue;
                } else {
                    self.dispatch.change(change(row)).await?;
                }
                done += 1;
            }
        }
        self.dispatch.flush().await?;
        if done > 0 {
            let what = match &select {
                Select::One(id) => serde_json::json!({"id": id, "count": done}),
                Select::Subscription(name) => serde_json::json!({"subscription": name, "count": done}),
                Select::All => serde_json::json!({"all": true, "count": done}),
            };
            let commit = nexus_core::store::Commit {
                events: vec![self.desk.audit(by, action, &what)],
                ..nexus_core::store::Commit::default()
            };
            self.desk.commit(commit).await?;
        }
        Ok(done)
    }
}

fn row_id(row: &Exception) -> String {
    format!("{}-{}-{}", row.sub, row.seq, row.generation)
}
