//! Erasing what events held: in the log, in what its deliveries kept, and with whoever else keeps it.
//!
//! Whoever keeps what events held ([`Keeps`]) forgets first, while the events can still be read, and names the events that
//! told of what it forgot; those are erased with all that was kept of them, too, until nothing more is found. Then the log
//! itself. All of it can be repeated: an erasure that was interrupted has not answered, and asked for again it goes on.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use nexus_core::{
    access::Principal,
    event::{Seq, StoredEvent},
    id::EventId,
    problem::Problem,
    store::{Commit, EventQuery, Redact},
};
use serde::{Deserialize, Serialize};

use super::Log;
use crate::{delivery::driver::Change, desk::unreadable};

/// Events looked at in one go.
const PAGE: usize = 500;
/// Seqs that the audit names.
const NAMED: usize = 1_000;

/// Whose data to erase, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactRequest {
    /// One event.
    #[serde(default)]
    pub event_id: Option<EventId>,
    /// All events of a subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// Kept in the log; name no person here.
    pub reason: String,
}

/// What was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Redacted {
    /// Events whose data is gone now and was there before.
    pub redacted: u64,
    /// What else, by what it is.
    #[serde(flatten)]
    pub kept: BTreeMap<&'static str, u64>,
}

/// What is to be forgotten.
#[derive(Clone, Copy, Debug)]
pub enum Forget<'a> {
    /// What these events held. Their data may be erased already.
    Events(&'a [Arc<StoredEvent>]),
    /// What is about this subject itself.
    Subject(&'a str),
}

/// What somebody forgot.
#[derive(Clone, Debug, Default)]
pub struct Forgotten {
    /// How much, by what it is.
    pub counts: BTreeMap<&'static str, u64>,
    /// Events that told of it: they are to be erased, too.
    pub told_in: Vec<EventId>,
}

/// Somebody beside the log who keeps what events held.
#[async_trait]
pub trait Keeps: Send + Sync {
    /// Forgets it, for good, before this returns; also what is still on its way there. May be asked for the same again.
    async fn forget(&self, what: Forget<'_>) -> Result<Forgotten, Problem>;
}

/// Those who keep something.
#[derive(Default)]
pub(super) struct Keepers(RwLock<Vec<Arc<dyn Keeps>>>);

/// What is left to do.
struct Erasing {
    seen: HashSet<EventId>,
    next: Vec<EventId>,
    kept: BTreeMap<&'static str, u64>,
    seqs: Vec<Seq>,
}

impl Log {
    /// Adds somebody who keeps what events held.
    pub fn kept_by(&self, keeper: Arc<dyn Keeps>) {
        self.keepers.0.write().unwrap_or_else(PoisonError::into_inner).push(keeper);
    }

    /// Erases data and logs who did it.
    pub async fn redact(&self, request: RedactRequest, by: &Principal) -> Result<Redacted, Problem> {
        if request.reason.trim().is_empty() {
            return Err(Problem::field("reason", "say why; it is kept in the log"));
        }
        let none = Erasing { seen: HashSet::new(), next: Vec::new(), kept: BTreeMap::new(), seqs: Vec::new() };
        let mut erasing = none;
        match (request.event_id, request.subject) {
            (Some(id), None) => erasing.next.push(id),
            (None, Some(subject)) => self.redact_subject(&mut erasing, &subject).await?,
            _ => return Err(Problem::field("event_id", "give event_id or subject, one of the two")),
        }
        while !erasing.next.is_empty() {
            let rest = erasing.next.split_off(erasing.next.len().min(PAGE));
            let ids = std::mem::replace(&mut erasing.next, rest);
            let mut events = Vec::with_capacity(ids.len());
            for id in &ids {
                erasing.seen.insert(*id);
                events.extend(self.desk.store.event(*id).await.map_err(unreadable)?);
            }
            self.forget(&mut erasing, Forget::Events(&events)).await?;
            self.erase(&mut erasing, Redact::Events(ids)).await?;
        }
        let Erasing { kept, mut seqs, .. } = erasing;
        seqs.sort_unstable();
        // The audit names the seqs, not the subject: a subject can itself be what is to be forgotten.
        let named: Vec<Seq> = seqs.iter().copied().take(NAMED).collect();
        let detail =
            serde_json::json!({"seqs": named, "count": seqs.len(), "erased_with_them": kept, "reason": request.reason});
        let commit = Commit { events: vec![self.desk.audit(by, "log.redacted", &detail)], ..Commit::default() };
        self.desk.commit(commit).await?;
        Ok(Redacted { redacted: seqs.len() as u64, kept })
    }

    /// Erases what was told by somebody who stored something of an event while it was being erased. Part of that erasure, which
    /// has its place in the audit.
    pub async fn erase_with(&self, told_in: Vec<EventId>) -> Result<(), Problem> {
        if told_in.is_empty() {
            return Ok(());
        }
        let mut part = Erasing { seen: HashSet::new(), next: Vec::new(), kept: BTreeMap::new(), seqs: Vec::new() };
        self.erase(&mut part, Redact::Events(told_in)).await
    }

    async fn redact_subject(&self, erasing: &mut Erasing, subject: &str) -> Result<(), Problem> {
        self.forget(erasing, Forget::Subject(subject)).await?;
        let mut after = None;
        loop {
            let query = EventQuery { subject: Some(subject.to_owned()), after, ..EventQuery::default() };
            let page = self.desk.store.query(query, PAGE).await.map_err(unreadable)?;
            erasing.seen.extend(page.events.iter().map(|event| event.id));
            self.forget(erasing, Forget::Events(&page.events)).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.erase(erasing, Redact::Subject(subject.to_owned())).await
    }

    async fn forget(&self, erasing: &mut Erasing, what: Forget<'_>) -> Result<(), Problem> {
        let keepers = self.keepers.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        for keeper in keepers {
            let done = keeper.forget(what).await?;
            for (name, count) in done.counts {
                *erasing.kept.entry(name).or_default() += count;
            }
            for id in done.told_in {
                if erasing.seen.insert(id) {
                    erasing.next.push(id);
                }
            }
        }
        Ok(())
    }

    async fn erase(&self, erasing: &mut Erasing, what: Redact) -> Result<(), Problem> {
        let done = self.desk.store.redact(what.clone()).await.map_err(unreadable)?;
        // What lies in memory, for sockets or on its way to an endpoint, is to be forgotten too.
        let gone: HashSet<Seq> = done.erased.iter().chain(&done.cleared).copied().collect();
        self.tail.forget(&gone);
        self.touched.add(done.erased.iter().copied());
        self.dispatch.change(Change::Erased(gone)).await?;
        // Bookkeeping of before may have been on its way into the store meanwhile.
        self.dispatch.flush().await?;
        self.desk.store.redact(what).await.map_err(unreadable)?;
        erasing.seqs.extend(done.erased);
        Ok(())
    }
}
