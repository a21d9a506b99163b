//! The walk itself: each event has to follow the one before it, by number and by hash.

use std::path::PathBuf;

use nexus_core::{
    chain::{Checkpoint, Hash, genesis, link},
    event::{Data, Seq, StoredEvent},
    store::{Limit, SeqRange, Store, StoreError},
    time::Timestamp,
};

/// Events of one page.
pub(super) const PAGE_EVENTS: usize = 1_000;

/// What long work is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Walking the chain; counted in events.
    Walk,
    /// SQLite looks at the file's own structure; not counted.
    Structure,
    /// Copying; counted in pages of the file.
    Copy,
}

/// Hears the phase, how much of it is done, and how much there is.
pub type Progress<'a> = &'a dyn Fn(Phase, u64, u64);

/// What a log is held against beside itself.
#[derive(Clone, Copy, Default)]
pub struct Checks<'a> {
    /// A checkpoint that was kept elsewhere.
    pub against: Option<&'a Checkpoint>,
    /// Public keys (hex) that may have signed the cut of a trimmed log. With none, a cut by any key is taken, and named.
    pub signers: &'a [String],
    /// Whom to tell how far the work is.
    pub progress: Option<Progress<'a>>,
}

impl std::fmt::Debug for Checks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks").field("against", &self.against).field("signers", &self.signers).finish_non_exhaustive()
    }
}

impl Checks<'_> {
    pub(super) fn tell(&self, phase: Phase, done: u64, of: u64) {
        if let Some(progress) = self.progress {
            progress(phase, done, of);
        }
    }
}

/// Where and by whom the beginning of a log was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Last seq that was dropped.
    pub seq: Seq,
    /// When.
    pub time: Timestamp,
    /// The key that signed it.
    pub public_key: String,
    /// Whether that key is one of those named; `None` when none was.
    pub known: Option<bool>,
}

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
    /// The cut that it begins behind, which is signed.
    pub cut: Option<Cut>,
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
    /// The log begins later than at 1, and nothing says that it may.
    #[error("seq 1 to {seq} are gone, and no signed checkpoint says that retention dropped them")]
    CutUnsigned {
        /// Last seq that is gone.
        seq: Seq,
    },
    /// What is said about the cut does not hold.
    #[error("the signed checkpoint of the cut at seq {seq} does not hold: {why}")]
    CutForged {
        /// Last seq that is gone.
        seq: Seq,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Someone else cut the log.
    #[error("the cut at seq {seq} is signed by {public_key}, which is no key of this hub")]
    CutForeign {
        /// Last seq that is gone.
        seq: Seq,
        /// Who signed.
        public_key: String,
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

/// What the statement about a cut after `seq` (0 = there is none), which has `hash`, is worth.
pub(super) fn check_cut(
    epoch: u32,
    seq: Seq,
    hash: &Hash,
    cut: Option<Checkpoint>,
    signers: &[String],
) -> Result<Option<Cut>, VerifyError> {
    let forged = |why| Err(VerifyError::CutForged { seq, why });
    let Some(cut) = cut else {
        return if seq == 0 { Ok(None) } else { Err(VerifyError::CutUnsigned { seq }) };
    };
    if !cut.verifies() {
        return forged("its signature is not its key's");
    }
    if !cut.states(seq, hash) {
        return forged("it is about another place or another hash than the one where the log begins");
    }
    if cut.epoch > epoch {
        return forged("it is of a later epoch than the log");
    }
    let known = (!signers.is_empty()).then(|| signers.contains(&cut.public_key));
    if known == Some(false) {
        return Err(VerifyError::CutForeign { seq, public_key: cut.public_key });
    }
    Ok(Some(Cut { seq, time: cut.time, public_key: cut.public_key, known }))
}

impl<'a> Walk<'a> {
    /// Begins after `anchor_seq`, which has `hash` and was cut there as `cut` says.
    pub(super) fn begin(
        epoch: u32,
        anchor_seq: Seq,
        hash: Option<Hash>,
        cut: Option<Checkpoint>,
        checks: &Checks<'a>,
    ) -> Result<Self, VerifyError> {
        let against = checks.against;
        let cut = match &hash {
            Some(hash) => check_cut(epoch, anchor_seq, hash, cut, checks.signers)?,
            None => None,
        };
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
            cut,
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

/// Walks the log of a running store, up to its present head.
pub async fn verify_pages(store: &dyn Store, checks: &Checks<'_>) -> Result<VerifyReport, VerifyError> {
    loop {
        match walk_pages(store, checks).await {
            // Retention dropped them while this walk was on its way there.
            Err(VerifyError::Missing { seq, .. }) if store.head().first > seq => {}
            done => return done,
        }
    }
}

async fn walk_pages(store: &dyn Store, checks: &Checks<'_>) -> Result<VerifyReport, VerifyError> {
    let head = store.head();
    let cut = store.cut().await?;
    let mut after = cut.as_ref().map_or(0, |cut| cut.seq);
    let begin = after;
    let known =
        cut.as_ref().map(|cut| hash_of(cut).ok_or(VerifyError::CutForged { seq: after, why: "it has no hash" }));
    let known = known.transpose()?;
    let mut walk: Option<Walk<'_>> = None;
    while after < head.seq {
        checks.tell(Phase::Walk, after - begin, head.seq - begin);
        let range = SeqRange { after, until: Some(head.seq), priority: None };
        let page = store.read(range, Limit::items(PAGE_EVENTS)).await?;
        let Some(first) = page.first() else { break };
        if walk.is_none() {
            let before = known.or_else(|| beginning(head.epoch, first));
            walk = Some(Walk::begin(head.epoch, after, before, cut.clone(), checks)?);
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
        None => Walk::begin(head.epoch, begin, known.or(Some(head.hash)), cut, checks)?,
    };
    if walk.next() <= head.seq {
        return Err(VerifyError::Missing { seq: walk.next(), next: head.seq + 1 });
    }
    walk.end()
}

fn hash_of(checkpoint: &Checkpoint) -> Option<Hash> {
    data_encoding::HEXLOWER.decode(checkpoint.hash.as_bytes()).ok()?.try_into().ok()
}

/// What the first event of a log that was not cut chains to: the genesis of the epoch in which it began.
fn beginning(epoch: u32, first: &StoredEvent) -> Option<Hash> {
    if first.seq != 1 {
        // The walk says that it is missing.
        return Some(genesis(1));
    }
    (1..=epoch).map(genesis).find(|hash| link(hash, first) == first.hash).or(Some(genesis(epoch)))
}
