//! What the cases stand on: a clock moved by hand and a collection with every kind of index.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use nexus_core::{
    chain::{Signer, genesis, link},
    event::{NewEvent, StoredEvent},
    record::{Collection, Column, ColumnType, Document, Index, IndexKind, Record, Value},
    store::{Commit, IndexQuery, Limit, Range, SeqRange, Store, Write},
    time::{Clock, Pending, Timestamp},
    topic::Topic,
};
use serde::{Deserialize, Serialize};

/// A clock that stands still until it is moved; monotonic time moves with it, except backwards.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    mono: AtomicI64,
}

impl ManualClock {
    /// Starts on 2026-01-01.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { wall: AtomicI64::new(1_767_225_600_000_000), mono: AtomicI64::new(0) })
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).expect("short");
        self.wall.fetch_add(micros, Ordering::SeqCst);
        self.mono.fetch_add(micros, Ordering::SeqCst);
    }

    /// Moves wall time back, as a corrected system clock does.
    pub fn step_back(&self, by: Duration) {
        self.wall.fetch_sub(i64::try_from(by.as_micros()).expect("short"), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.wall.load(Ordering::SeqCst))
    }
    fn mono(&self) -> Duration {
        Duration::from_micros(self.mono.load(Ordering::SeqCst).unsigned_abs())
    }
    fn sleep(&self, _by: Duration) -> Pending<()> {
        Box::pin(std::future::pending())
    }
}

/// A store and its clock.
#[derive(Clone)]
pub struct Rig {
    /// Under test; opened with [`ITEMS`].
    pub store: Arc<dyn Store>,
    /// The store's clock.
    pub clock: Arc<ManualClock>,
}

/// A document with every kind of column and index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Key.
    pub id: String,
    /// Leading column of most indexes.
    pub owner: String,
    /// May be absent, so that nulls sort somewhere.
    pub rank: Option<i64>,
    /// A float.
    pub score: f64,
    /// Condition of a partial index.
    pub active: bool,
    /// Unique.
    pub email: Option<String>,
    /// Begin of an exclusive interval.
    pub starts: Option<i64>,
    /// End of it.
    pub ends: Option<i64>,
}

/// Collection of [`Item`].
pub static ITEMS: Collection = Collection {
    name: "items",
    columns: &[
        Column { name: "owner", kind: ColumnType::Text },
        Column { name: "rank", kind: ColumnType::Int },
        Column { name: "score", kind: ColumnType::Float },
        Column { name: "active", kind: ColumnType::Bool },
        Column { name: "email", kind: ColumnType::Text },
        Column { name: "starts", kind: ColumnType::Int },
        Column { name: "ends", kind: ColumnType::Int },
    ],
    indexes: &[
        Index { name: "rank", columns: &["owner", "rank"], kind: IndexKind::Plain, only: None },
        Index { name: "score", columns: &["score"], kind: IndexKind::Plain, only: None },
        Index { name: "active", columns: &["owner"], kind: IndexKind::Plain, only: Some("active") },
        Index { name: "email", columns: &["email"], kind: IndexKind::Unique, only: None },
        Index { name: "busy", columns: &["owner", "starts", "ends"], kind: IndexKind::Exclusive, only: None },
    ],
};

impl Record for Item {
    const COLLECTION: &'static Collection = &ITEMS;
    fn key(&self) -> String {
        self.id.clone()
    }
    fn columns(&self) -> Vec<Value> {
        vec![
            self.owner.clone().into(),
            self.rank.into(),
            self.score.into(),
            self.active.into(),
            self.email.clone().into(),
            self.starts.into(),
            self.ends.into(),
        ]
    }
}

impl Item {
    /// With a key and an owner.
    pub fn new(id: impl Into<String>, owner: &str) -> Self {
        Self { id: id.into(), owner: owner.to_owned(), ..Self::default() }
    }

    /// Its write.
    pub fn put(&self) -> Write {
        Write::put(self).expect("an item serialises")
    }

    /// Back from a document.
    pub fn of(document: &Document) -> Self {
        serde_json::from_str(&document.body).expect("an item")
    }
}

/// An event of this type.
pub fn event(topic: &str, data: &str) -> NewEvent {
    NewEvent::new(Topic::parse(topic).expect("a topic"), "test", data.to_owned(), Timestamp::from_secs(1))
}

/// Who signs cuts here.
pub fn signer() -> Arc<Signer> {
    Arc::new(Signer::from_seed(&[7; 32]).expect("a seed"))
}

/// A range of one index of [`ITEMS`].
pub fn items(index: &'static str, prefix: Vec<Value>) -> Range {
    Range { collection: &ITEMS, index, prefix, from: None, until: None }
}

impl Rig {
    /// Commits these writes and nothing else.
    pub async fn write(&self, documents: Vec<Write>) -> Result<Vec<u64>, nexus_core::store::CommitError> {
        self.store.commit(Commit { documents, ..Commit::default() }).await.map(|c| c.versions)
    }

    /// Commits these events and nothing else.
    pub async fn append(&self, events: Vec<NewEvent>) -> Vec<nexus_core::store::Appended> {
        self.store.commit(Commit { events, ..Commit::default() }).await.expect("appended").events
    }

    /// Every event of the log.
    pub async fn all(&self) -> Vec<Arc<StoredEvent>> {
        let mut found: Vec<Arc<StoredEvent>> = Vec::new();
        loop {
            let after = found.last().map_or(0, |e| e.seq);
            let page =
                self.store.read(SeqRange { after, ..SeqRange::default() }, Limit::items(1_000)).await.expect("read");
            if page.is_empty() {
                return found;
            }
            found.extend(page);
        }
    }

    /// Every event chains to the one before it, the first to the beginning of the log when that is there.
    pub async fn check_chain(&self) {
        let events = self.all().await;
        let mut before = events.first().filter(|e| e.seq == 1).map(|_| genesis(self.store.head().epoch));
        let mut seq = events.first().map_or(0, |e| e.seq - 1);
        for event in &events {
            seq += 1;
            assert_eq!(event.seq, seq);
            if let Some(before) = before {
                assert_eq!(link(&before, event), event.hash, "seq {seq}");
            }
            before = Some(event.hash);
        }
        let head = self.store.head();
        assert_eq!(events.last().map_or(head.seq, |e| e.seq), head.seq);
        assert_eq!(before.unwrap_or(head.hash), head.hash);
    }

    /// The ids of all documents of a range, page by page.
    pub async fn walk(&self, mut query: IndexQuery) -> Vec<String> {
        let mut found = Vec::new();
        loop {
            let page = self.store.list(query.clone()).await.expect("listed");
            found.extend(page.items.iter().map(|d| d.key.clone()));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return found,
            }
        }
    }
}

/// A query over a whole range.
pub fn query(range: Range, limit: usize) -> IndexQuery {
    IndexQuery { range, descending: false, filters: Vec::new(), after: None, limit }
}
