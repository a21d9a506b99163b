//! The walk itself: each event has to follow the one before it, by number and by hash.

use std::path::PathBuf;

use nexus_core::{
    chain::{Checkpoint, Hash, genesis, link},
    event::{Data, Seq, StoredEvent},
    store::{Limit, SeqRange, Store, StoreError},
};

/// Events of one page.
pub(super) const PAGE_EVENTS: usize = 1_000;

/// What a sound log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Present epoch.
    pub epoch: u32,
    /// First seq there; `last + 1` when none is.
    pub first: Seq,
    /// Last seq.
    pub last: Seq,
    /// Events with their data.
    pub present: u64,
    /// Stubs whose data is erased.
    pub erased: u64,
    /// Chain hash at `last`.
    pub hash: Hash,
    /// With a checkpoint: whether the log reaches back far enough to be compared with it.
    pub compared: Option<bool>,
}

/// The first thing that is wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// An event is not what was written, or does not stand where it was.
    #[error("seq {seq} was changed or moved: its hash does not follow from its content and the event before it")]
    Changed {
        /// Its seq.
        seq: Seq,
    },
    /// One or more events are not there.
    #[error("seq {seq} is missing: the next event there is {next}")]
    Missing {
        /// First missing seq.
        seq: Seq,
        /// The seq found instead.
        next: Seq,
    },
    /// A row can't be read.
    #[error("seq {seq} can't be read: {why}")]
    Unreadable {
        /// First seq that can't be read.
        seq: Seq,
        /// Why.
        why: String,
    },
    /// The log ends before the checkpoint.
    #[error("the log ends at seq {last}, but the checkpoint covers seq {checkpoint}: its tail was cut")]
    Cut {
        /// Last seq there.
        last: Seq,
        /// Seq of the checkpoint.
        checkpoint: Seq,
    },
    /// The log has another hash than the checkpoint.
    #[error("seq {seq} has another hash than the checkpoint: the log was written anew")]
    Rewritten {
        /// Seq of the checkpoint.
        seq: Seq,
    },
    /// The checkpoint's signature is not its key's.
    #[error("the checkpoint's signature is not valid")]
    Signature,
    /// The checkpoint is of a later epoch.
    #[error("the checkpoint is of epoch {checkpoint}, the log of epoch {log}")]
    Epoch {
        /// Epoch of the checkpoint.
        checkpoint: u32,
        /// Epoch of the log.
        log: u32,
    },
    /// Not a database of ours, or of a newer format.
    #[error("{} is no database of this program, or a newer one's", .0.display())]
    Foreign(PathBuf),
    /// SQLite finds the file damaged.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The file can't be opened or read.
    #[error("the database can't be read: {0}")]
    Database(#[from] rusqlite::Error),
    /// The running store can't be read.
    #[error("the store can't be read: {0}")]
    Store(#[from] StoreError),
}

/// How far the walk has come.
pub(super) struct Walk<'a> {
    next: Seq,
    /// `None`: the event before the first is not known, so the first is taken as it stands.
    hash: Option<Hash>,
    against: Option<&'a Checkpoint>,
    report: VerifyReport,
}

impl<'a> Walk<'a> {
    /// Begins after `anchor_seq`, which has `hash`.
    pub(super) fn begin(
        epoch: u32,
        anchor_seq: Seq,
        hash: Option<Hash>,
        against: Option<&'a Checkpoint>,
    ) -> Result<Self, VerifyError> {
        if let Some(checkpoint) = against {
            if !checkpoint.verifies() {
                return Err(VerifyError::Signature);
            }
            if checkpoint.epoch > epoch {
                return Err(VerifyError::Epoch { checkpoint: checkpoint.epoch, log: epoch });
            }
        }
        let report = VerifyReport {
            epoch,
            first: anchor_seq + 1,
            last: anchor_seq,
            present: 0,
            erased: 0,
            hash: hash.unwrap_or_default(),
            compared: against.map(|_| false),
        };
        let mut walk = Self { next: anchor_seq + 1, hash, against, report };
        if let Some(hash) = hash {
            walk.compare(anchor_seq, &hash)?;
        }
        Ok(walk)
    }

    /// The seq that has to come next.
    pub(super) fn next(&self) -> Seq {
        self.next
    }

    /// Takes the next event.
    pub(super) fn step(&mut self, event: &StoredEvent) -> Result<(), VerifyError> {
        if event.seq != self.next {
            return Err(VerifyError::Missing { seq: self.next, next: event.seq });
        }
        if self.hash.is_some_and(|before| link(&before, event) != event.hash) {
            return Err(VerifyError::Changed { seq: event.seq });
        }
        self.hash = Some(event.hash);
        match event.data {
            Data::Present { .. } => self.report.present += 1,
            Data::Erased { .. } => self.report.erased += 1,
        }
        self.next += 1;
        (self.report.last, self.report.hash) = (event.seq, event.hash);
        self.compare(event.seq, &event.hash)
    }

    fn compare(&mut self, seq: Seq, hash: &Hash) -> Result<(), VerifyError> {
        let Some(checkpoint) = self.against.filter(|c| c.seq == seq) else { return Ok(()) };
        if data_encoding::HEXLOWER.encode(hash) != checkpoint.hash {
            return Err(VerifyError::Rewritten { seq });
        }
        self.report.compared = Some(true);
        Ok(())
    }

    /// The log ends here.
    pub(super) fn end(self) -> Result<VerifyReport, VerifyError> {
        match self.against {
            Some(checkpoint) if checkpoint.seq > self.report.last => {
                Err(VerifyError::Cut { last: self.report.last, checkpoint: checkpoint.seq })
            }
            _ => Ok(self.report),
        }
    }
}

/// Walks the log of a running store, up to its present head. Where the beginning was dropped, the first event there is
/// taken as it stands; [`super::verify`] on the file knows better.
pub async fn verify_pages(store: &dyn Store, against: Option<&Checkpoint>) -> Result<VerifyReport, VerifyError> {
    let head = store.head();
    let mut walk: Option<Walk<'_>> = None;
    let mut after = head.first.saturating_sub(1);
    while after < head.seq {
        let range = SeqRange { after, until: Some(head.seq), priority: None };
        let page = store.read(range, Limit::items(PAGE_EVENTS)).await?;
        let Some(first) = page.first() else { break };
        if walk.is_none() {
            walk = Some(Walk::begin(head.epoch, after, beginning(head.epoch, first), against)?);
        }
        if let Some(walk) = &mut walk {
            for event in &page {
                walk.step(event)?;
            }
            after = walk.next() - 1;
        }
    }
    let walk = match walk {
        Some(walk) => walk,
        None => Walk::begin(head.epoch, head.seq, Some(head.hash), against)?,
    };
    if walk.next() <= head.seq {
        return Err(VerifyError::Missing { seq: walk.next(), next: head.seq + 1 });
    }
    walk.end()
}

/// What the first event of a log chains to: the genesis of the epoch in which the log began, when it is still there.
fn beginning(epoch: u32, first: &StoredEvent) -> Option<Hash> {
    if first.seq != 1 {
        return None;
    }
    (1..=epoch).map(genesis).find(|hash| link(hash, first) == first.hash).or(Some(genesis(epoch)))
}
