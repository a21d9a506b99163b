//! What every administrative service needs: the store, the time, randomness, and one way to write what was done into the log.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use nexus_core::{
    access::Principal,
    event::NewEvent,
    limits::DICTIONARY_ENTRIES,
    own,
    problem::{Code, Problem},
    record::{Record, Value},
    store::{Commit, CommitError, Committed, IndexQuery, Lane, Range, Store, StoreError},
    time::{Clock, Timestamp},
    topic::Topic,
};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Notify;

/// How often a decision is made anew when what it relied on changed meanwhile.
pub(crate) const ATTEMPTS: usize = 8;
/// What passes before the second attempt.
const AFTER_CONFLICT: Duration = Duration::from_millis(5);

/// Handles shared by the services. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    random: SystemRandom,
    timers_set: Arc<Notify>,
}

impl Desk {
    /// Over this store and clock.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, random: SystemRandom::new(), timers_set: Arc::default() }
    }

    /// Wall time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Random bytes from the system.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], Problem> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).map_err(|_| Problem::new(Code::Internal, "the system gave no randomness"))?;
        Ok(bytes)
    }

    /// A uniform u64 for jitter; not for secrets.
    pub fn jitter(&self) -> u64 {
        self.random::<8>().map(u64::from_le_bytes).unwrap_or(0)
    }

    /// The event that says who did what: topic `audit.<action>`.
    pub fn audit(&self, by: &Principal, action: &str, detail: &serde_json::Value) -> NewEvent {
        let topic = Topic::from_canonical(format!("audit.{action}"));
        let data = serde_json::json!({"by": &*by.name, "action": action, "detail": detail}).to_string();
        NewEvent::new(topic, "hub", data, self.now())
    }

    /// An event of the hub about itself.
    pub fn notice(&self, topic: &str, data: &serde_json::Value) -> NewEvent {
        debug_assert!(own::is_own(topic), "{topic} is missing in nexus_core::own: others could say it too");
        NewEvent::new(Topic::from_canonical(topic), "hub", Bytes::from(data.to_string()), self.now())
    }

    /// Commits in the hub's own lane.
    pub async fn commit(&self, mut commit: Commit) -> Result<Committed, Problem> {
        commit.lane = Lane::Own;
        self.try_commit(commit).await.map_err(|e| refused(&e))
    }

    /// Commits in the lane that it names; for those who read again and decide again on a conflict.
    pub async fn try_commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let sets_timers = !commit.timers.is_empty();
        let committed = self.store.commit(commit).await;
        // Of an unknown outcome it may have been made.
        if sets_timers && matches!(committed, Ok(_) | Err(CommitError::Unknown)) {
            self.timers_set.notify_one();
        }
        committed
    }

    /// A moment for whoever changed the same thing to bring what is in memory up to date; longer each time.
    pub(crate) async fn let_pass(&self, attempt: usize) {
        self.clock.sleep(AFTER_CONFLICT * u32::try_from(attempt + 1).unwrap_or(1)).await;
    }

    /// Ends when a timer was set since the last look.
    pub(crate) async fn timers_set(&self) {
        self.timers_set.notified().await;
    }

    /// Every record of a collection. For the small ones, at start.
    pub async fn load<R: Record>(&self) -> Result<Vec<(R, u64)>, StoreError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let range =
                Range { collection: R::COLLECTION, index: "", prefix: Vec::<Value>::new(), from: None, until: None };
            let query = IndexQuery { range, descending: false, filters: Vec::new(), after, limit: 1_000 };
            let page = self.store.list(query).await?;
            for document in page.items {
                let record = serde_json::from_str(&document.body).map_err(|e| {
                    StoreError::Broken(format!("{} {:?} is unreadable: {e}", R::COLLECTION.name, document.key))
                })?;
                found.push((record, document.version));
            }
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

/// How a refused commit is said to whoever asked for it.
pub fn refused(error: &CommitError) -> Problem {
    let second = Duration::from_secs(1);
    match error {
        CommitError::Conflict { .. } | CommitError::Timer(_) => {
            Problem::new(Code::Conflict, "it changed meanwhile; read it again and repeat the request")
        }
        CommitError::Unique { .. } | CommitError::Overlap { .. } => Problem::new(Code::Conflict, error.to_string()),
        CommitError::KeyReused { id, .. } => Problem::new(
            Code::IdempotencyKeyReused,
            format!("this Idempotency-Key was used with another body, stored as event {id}; send a new key"),
        ),
        CommitError::Names(_) => Problem::new(
            Code::Conflict,
            format!("the log already knows {DICTIONARY_ENTRIES} different names of this kind; use one it knows"),
        ),
        CommitError::TooLarge(what) => Problem::new(Code::TooLarge, what.clone()),
        CommitError::Full => {
            Problem::new(Code::Unavailable, "the disk is full or below its reserve").retry_after(second * 30)
        }
        CommitError::Busy { retry_after } => {
            Problem::new(Code::Unavailable, "the hub is busy").retry_after((*retry_after).max(second))
        }
        CommitError::Unknown => Problem::new(
            Code::Unavailable,
            "it is not known whether this was stored; repeat it with the same Idempotency-Key",
        )
        .retry_after(second),
        CommitError::Closed => Problem::new(Code::Unavailable, "the hub is stopping").retry_after(second),
        CommitError::Broken(what) => {
            tracing::error!(error = %what, "a commit failed");
            Problem::new(Code::Internal, "storing failed; the log of the hub says why")
        }
    }
}

/// How a failed read is said.
pub fn unreadable(error: StoreError) -> Problem {
    match error {
        StoreError::Closed => {
            Problem::new(Code::Unavailable, "the hub is stopping").retry_after(Duration::from_secs(1))
        }
        StoreError::Cursor => Problem::field("cursor", "is not one that a list gave"),
        StoreError::Broken(what) => {
            tracing::error!(error = %what, "a read failed");
            Problem::new(Code::Internal, "reading failed; the log of the hub says why")
        }
    }
}

/// Checks a name against `[a-z0-9_.-]{1,64}`.
pub fn check_name(field: &str, name: &str) -> Result<(), Problem> {
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.'));
    if fits { Ok(()) } else { Err(Problem::field(field, format!("{name:?} must be 1 to 64 of a-z, 0-9, _, - and ."))) }
}

/// What a create call returns: the thing, and a secret that is shown this once when the hub made it.
#[derive(Clone, Debug)]
pub struct Created<T> {
    /// The thing.
    pub value: T,
    /// Its new secret.
    pub secret: Option<String>,
}

/// A keyed cache of records, in step with the store because this process makes all the writes.
pub type Shelf<R> = std::sync::RwLock<BTreeMap<String, (R, u64)>>;
