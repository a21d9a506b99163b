//! The log as an operator sees it: verify, checkpoint, redact, export, import, back up.

mod erasure;
mod transfer;
mod verify;

use std::{path::Path, sync::Arc};

use nexus_core::{
    access::Principal,
    chain::{Checkpoint, Signer},
    event::{NewEvent, Seq},
    problem::Problem,
    store::{Commit, Head, Lane, Limit, SeqRange, StoreError},
};

pub use self::{
    erasure::{Forget, Forgotten, Keeps, RedactRequest, Redacted},
    transfer::{ExportLine, ImportReport},
    verify::{CutReport, Place, VerifyReport, VerifyRequest},
};
use self::{
    transfer::{export_line, import_event},
    verify::Walk,
};
use crate::{
    desk::{Desk, refused, unreadable},
    dispatch::Dispatch,
    retention::Touched,
    tail::Tail,
};

/// Events read at once while the chain is walked.
const WALK_PAGE: usize = 2_000;
/// Events of its own that a hub may have and still count as empty.
const OWN_EVENTS: usize = 10_000;
/// The event that tells of a new epoch.
const EPOCH_BEGUN: &str = "audit.log.epoch_begun";

/// The log.
pub struct Log {
    desk: Desk,
    dispatch: Dispatch,
    tail: Arc<Tail>,
    signer: Arc<Signer>,
    /// Public keys that may have signed a cut: the present one, then earlier ones.
    keys: Vec<String>,
    touched: Touched,
    keepers: erasure::Keepers,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Log {
    /// Over the store. The first signer signs; the others are those of earlier keys.
    pub(crate) fn new(
        desk: Desk,
        dispatch: Dispatch,
        tail: Arc<Tail>,
        signer: Arc<Signer>,
        earlier: &[Signer],
        touched: Touched,
    ) -> Self {
        let keys = std::iter::once(&*signer).chain(earlier).map(Signer::public_key).collect();
        Self { desk, dispatch, tail, signer, keys, touched, keepers: erasure::Keepers::default() }
    }

    /// Looks at the cut that the log begins behind. One that was signed with an earlier key is signed anew with the present
    /// one, as secrets are sealed anew. False when it is not this hub's: a further cut would hide that.
    pub(crate) async fn adopt_cut(&self) -> Result<bool, StoreError> {
        let Some(cut) = self.desk.store.cut().await? else {
            let whole = self.head().first == 1;
            if !whole {
                tracing::error!(
                    "the log's beginning is gone and nothing says who cut it; `nexus log verify` tells more"
                );
            }
            return Ok(whole);
        };
        let hash = data_encoding::HEXLOWER.decode(cut.hash.as_bytes()).ok().and_then(|h| h.try_into().ok());
        let hash = hash.filter(|_| cut.verifies() && self.keys.contains(&cut.public_key));
        let anew = hash.map(|hash| self.signer.checkpoint(cut.epoch, cut.seq, &hash, cut.time));
        let adopted = match anew {
            Some(anew) => match self.desk.store.resign_cut(anew).await {
                // It is about another place than the one where the log begins.
                Err(StoreError::Broken(_) | StoreError::Cursor) => false,
                done => done.map(|()| true)?,
            },
            None => false,
        };
        if !adopted {
            tracing::error!(
                seq = cut.seq,
                public_key = cut.public_key,
                "the log's beginning was not cut by this hub; `nexus log verify` tells more"
            );
        }
        Ok(adopted)
    }

    /// The end of the log.
    pub fn head(&self) -> Head {
        self.desk.store.head()
    }

    /// A signed statement of the log's present end.
    pub fn checkpoint(&self) -> Checkpoint {
        let head = self.head();
        self.signer.checkpoint(head.epoch, head.seq, &head.hash, self.desk.now())
    }

    /// Walks the chain, or the part of it that is asked for, while the hub runs.
    pub async fn verify(&self, request: &VerifyRequest) -> Result<VerifyReport, Problem> {
        let head = self.head();
        let cut = self.desk.store.cut().await.map_err(unreadable)?;
        let mut walk = Walk::new(head, cut.as_ref(), &self.keys, request.against.as_ref());
        if let Some(place) = &request.after {
            walk.go_on(place);
        }
        let limit = request.limit.unwrap_or(u64::MAX).max(1);
        while walk.goes_on() && walk.report.events < limit {
            let items = usize::try_from(limit - walk.report.events).unwrap_or(usize::MAX).min(WALK_PAGE);
            let range = SeqRange { after: walk.report.last, until: Some(head.seq), priority: None };
            let page = self.desk.store.read(range, Limit::items(items)).await.map_err(unreadable)?;
            let there = page.first().map_or(head.seq + 1, |event| event.seq);
            if there > walk.report.last + 1 {
                // Retention may have dropped them while the walk was on its way there.
                let cut = self.desk.store.cut().await.map_err(unreadable)?;
                match cut.filter(|cut| cut.seq > walk.report.last) {
                    Some(cut) => walk.begin_behind(&cut, &self.keys),
                    None => walk.fail(walk.report.last + 1, format!("it is missing: event {there} follows")),
                }
                continue;
            }
            for event in &page {
                walk.step(event);
                if !walk.report.ok {
                    break;
                }
            }
        }
        Ok(walk.end())
    }

    /// A page of events for an export.
    pub async fn export(&self, after: Seq, limit: usize) -> Result<Vec<ExportLine>, Problem> {
        let range = SeqRange { after, until: None, priority: None };
        let page = self.desk.store.read(range, Limit::items(limit.clamp(1, 5_000))).await.map_err(unreadable)?;
        let epoch = self.head().epoch;
        page.iter().map(|event| export_line(epoch, event)).collect()
    }

    /// Stores exported events under their own ids; those that are there already are left alone, so it can be repeated.
    /// A hub that holds nothing but its own events begins a new epoch first, later than the exported one: to whoever has
    /// a position of the exported log, this log is another one, and must say so.
    pub async fn import(&self, lines: Vec<ExportLine>, by: &Principal) -> Result<ImportReport, Problem> {
        let mut report = ImportReport::default();
        let mut events = Vec::with_capacity(lines.len());
        let exported = lines.iter().map(|line| line.epoch).max().unwrap_or(0);
        for line in lines {
            match import_event(line, self.desk.now()) {
                Some(event) => events.push(event),
                None => report.erased += 1,
            }
        }
        if events.is_empty() {
            return Ok(report);
        }
        if self.is_empty().await? && self.is_news(&events).await? {
            report.epoch = Some(self.begin_epoch(exported, by).await?);
        }
        let count = events.len();
        let commit = Commit { events, lane: Lane::Own, ..Commit::default() };
        let done = self.desk.store.commit(commit).await.map_err(|e| refused(&e))?;
        report.repeated = done.events.iter().filter(|e| e.repeat).count() as u64;
        report.stored = count as u64 - report.repeated;
        tracing::debug!(by = %by.name, stored = report.stored, "imported a page of events");
        Ok(report)
    }

    /// Whether the log holds nothing but what the hub wrote about itself, and no epoch began with an import yet.
    async fn is_empty(&self) -> Result<bool, Problem> {
        let mut after = 0;
        for _ in 0..OWN_EVENTS.div_ceil(WALK_PAGE) {
            let range = SeqRange { after, ..SeqRange::default() };
            let page = self.desk.store.read(range, Limit::items(WALK_PAGE)).await.map_err(unreadable)?;
            let Some(last) = page.last() else { return Ok(self.head().first == 1) };
            if page.iter().any(|e| &*e.source != "hub" || e.topic.as_str() == EPOCH_BEGUN) {
                return Ok(false);
            }
            after = last.seq;
        }
        Ok(false)
    }

    /// Whether one of these is not in the log yet.
    async fn is_news(&self, events: &[NewEvent]) -> Result<bool, Problem> {
        for id in events.iter().filter_map(|event| event.id) {
            if self.desk.store.event(id).await.map_err(unreadable)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn begin_epoch(&self, after: u32, by: &Principal) -> Result<u32, Problem> {
        let epoch = self.desk.store.begin_epoch(after).await.map_err(unreadable)?.epoch;
        self.tail.renew(epoch);
        let detail = serde_json::json!({"epoch": epoch, "reason": "a log was imported into an empty hub"});
        let commit = Commit { events: vec![self.desk.audit(by, "log.epoch_begun", &detail)], ..Commit::default() };
        self.desk.commit(commit).await?;
        Ok(epoch)
    }

    /// Writes a consistent copy of the store to `path`.
    pub async fn backup(&self, path: &Path, by: &Principal) -> Result<(), Problem> {
        self.desk.store.backup(path).await.map_err(unreadable)?;
        let commit =
            Commit { events: vec![self.desk.audit(by, "log.backed_up", &serde_json::json!({}))], ..Commit::default() };
        self.desk.commit(commit).await.map(|_| ())
    }
}
