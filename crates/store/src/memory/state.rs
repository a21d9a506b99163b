//! Everything a memory store holds, and how one commit changes it: whole or not at all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use nexus_core::{
    chain::{Checkpoint, genesis},
    event::{Seq, StoredEvent},
    id::{EventId, IdGenerator},
    store::{Appended, Commit, CommitError, Committed, Exception, Guard, Head, ReceiptBlock, SubNo, Timer, TimerWrite},
    time::Timestamp,
};

use super::documents::Documents;

/// What an idempotency key was used for.
#[derive(Clone, Debug)]
pub(super) struct Used {
    pub(super) seq: Seq,
    pub(super) id: EventId,
    pub(super) digest: [u8; 16],
    pub(super) until: Timestamp,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) head: Head,
    /// About the last event that was dropped.
    pub(super) cut: Option<Checkpoint>,
    pub(super) events: BTreeMap<Seq, Arc<StoredEvent>>,
    pub(super) ids: HashMap<EventId, Seq>,
    pub(super) types: HashSet<Arc<str>>,
    pub(super) sources: HashSet<Arc<str>>,
    pub(super) once: BTreeMap<(String, String), Used>,
    pub(super) documents: Documents,
    pub(super) timers: BTreeMap<String, Timer>,
    pub(super) timer_version: u64,
    pub(super) shards: BTreeMap<u16, u64>,
    pub(super) positions: BTreeMap<(SubNo, u8), Seq>,
    pub(super) receipts: Vec<ReceiptBlock>,
    pub(super) exceptions: BTreeMap<(SubNo, Seq, u32), Exception>,
    pub(super) random: Random,
    pub(super) commits: u64,
}

/// SplitMix64: ids and salts from a seed, so that a run can be repeated.
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
        out
    }
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            head: Head { epoch: 1, seq: 0, first: 1, hash: genesis(1), time: Timestamp::default() },
            cut: None,
            events: BTreeMap::new(),
            ids: HashMap::new(),
            types: HashSet::new(),
            sources: HashSet::new(),
            once: BTreeMap::new(),
            documents: Documents::default(),
            timers: BTreeMap::new(),
            timer_version: 0,
            shards: BTreeMap::new(),
            positions: BTreeMap::new(),
            receipts: Vec::new(),
            exceptions: BTreeMap::new(),
            random: Random(seed),
            commits: 0,
        }
    }

    /// A generator whose ids come after all that were made before.
    pub(super) fn ids_after(&self) -> IdGenerator {
        let bound = IdGenerator::bound(self.head.time);
        IdGenerator::after(self.head.time, self.ids.keys().copied().filter(|id| *id < bound).max())
    }

    /// Applies a commit; the events appended lie at the end of the log.
    pub(super) fn commit(
        &mut self,
        ids: &mut IdGenerator,
        commit: &Commit,
        now: Timestamp,
    ) -> Result<(Committed, Vec<Arc<StoredEvent>>), CommitError> {
        let now = now.max(self.head.time);
        let planned = self.plan(&commit.events, now)?;
        if !planned.is_empty() && planned.iter().all(Option::is_some) {
            let mut events: Vec<Appended> = Vec::new();
            for plan in planned.into_iter().flatten() {
                events.push(plan.appended(&events));
            }
            return Ok((Committed { events, versions: Vec::new() }, Vec::new()));
        }
        self.check(&commit.guards)?;
        let timers = (!commit.timers.is_empty()).then(|| (self.timers.clone(), self.timer_version));
        let changed = self.set_timers(&commit.timers).and_then(|()| self.documents.apply(&commit.documents, now));
        let versions = match changed {
            Ok(versions) => versions,
            Err(error) => {
                if let Some(timers) = timers {
                    (self.timers, self.timer_version) = timers;
                }
                return Err(error);
            }
        };
        let mut events: Vec<Appended> = Vec::with_capacity(planned.len());
        let mut fresh = Vec::new();
        for (event, plan) in commit.events.iter().zip(planned) {
            events.push(match plan {
                Some(plan) => plan.appended(&events),
                None => {
                    let stored = self.append(ids, event, now)?;
                    let appended = Appended { seq: stored.seq, id: stored.id, repeat: false };
                    fresh.push(stored);
                    appended
                }
            });
        }
        self.commits += 1;
        Ok((Committed { events, versions }, fresh))
    }

    fn check(&self, guards: &[Guard]) -> Result<(), CommitError> {
        for (n, guard) in guards.iter().enumerate() {
            let holds = match guard {
                Guard::Version(key, version) => self.documents.version(key)? == Some(*version),
                Guard::Absent(key) => self.documents.version(key)?.is_none(),
                Guard::Empty(range) => self.documents.count(range)? == 0,
                Guard::AtMost(range, most) => self.documents.count(range)? <= *most as usize,
                Guard::Head(seq) => self.head.seq <= *seq,
            };
            if !holds {
                return Err(CommitError::Conflict { guard: n });
            }
        }
        Ok(())
    }

    fn set_timers(&mut self, writes: &[TimerWrite]) -> Result<(), CommitError> {
        for write in writes {
            match write {
                TimerWrite::Set { id, due, kind, body } => {
                    self.timer_version += 1;
                    let timer = Timer {
                        id: id.clone(),
                        due: *due,
                        kind: kind.clone(),
                        body: body.clone(),
                        version: self.timer_version,
                    };
                    self.timers.insert(id.clone(), timer);
                }
                TimerWrite::Cancel(id) => {
                    self.timers.remove(id);
                }
                TimerWrite::Fire { id, version } => {
                    if self.timers.get(id).map(|t| t.version) != Some(*version) {
                        return Err(CommitError::Timer(id.clone()));
                    }
                    self.timers.remove(id);
                }
            }
        }
        Ok(())
    }
}
