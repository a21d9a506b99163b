//! What has to be true, known from outside: who wants which event, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::{event::Seq, store::SubNo};
use nexus_engine::subscription::{OnDead, Revision, Subscription};

/// A delivery: subscription, seq, generation.
pub(super) type Delivery = (SubNo, Seq, u32);

/// SplitMix64.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `0..n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// True once in `n`.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("small")
    }
}

/// What the model keeps of an event.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) seq: Seq,
    pub(super) topic: String,
    pub(super) key: String,
    pub(super) ok: bool,
    /// Endpoints answer 400 to it.
    pub(super) poison: bool,
}

/// A subscription with its documents: what a restart finds.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) subscription: Subscription,
    pub(super) revisions: Vec<Revision>,
    pub(super) active: bool,
    pub(super) mood: Mood,
}

/// How an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Down,
    Flaky,
    Picky,
    Gone,
}

/// A replay's document.
#[derive(Clone, Debug)]
pub(super) struct KeptReplay {
    pub(super) sub: SubNo,
    pub(super) from: Seq,
    pub(super) until: Seq,
    /// Its subscription kept its rule and the replay was not cancelled: everything must have been tried.
    pub(super) whole: bool,
}

/// Everything known from outside.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) facts: BTreeMap<Seq, Fact>,
    pub(super) subs: BTreeMap<SubNo, Kept>,
    pub(super) removed: BTreeSet<SubNo>,
    pub(super) replays: BTreeMap<u32, KeptReplay>,
    /// Times an endpoint took it.
    pub(super) taken: BTreeMap<Delivery, u32>,
    /// Attempts since it was (re)driven, and ever.
    pub(super) attempts: BTreeMap<Delivery, (u32, u32)>,
    pub(super) dead: BTreeSet<Delivery>,
    /// Dead letters that hold their key.
    pub(super) held: BTreeSet<Delivery>,
    /// Dead letters deleted by a person.
    pub(super) forgotten: BTreeSet<Delivery>,
    /// Replays of which something was offered in vain.
    pub(super) withdrawn: BTreeSet<u32>,
    pub(super) watermark: Seq,
    /// Up to where nothing can be lost any more, by subscription: taken, deleted, or not wanted.
    pub(super) safe: BTreeMap<SubNo, Seq>,
}

impl Model {
    /// Whether `sub` is to get this event, by the revision in force at its seq.
    pub(super) fn wants(&self, sub: SubNo, fact: &Fact) -> bool {
        let Some(kept) = self.subs.get(&sub) else { return false };
        let in_force = kept.revisions.iter().filter(|r| r.from_seq <= fact.seq).max_by_key(|r| r.revision);
        in_force.is_some_and(|r| Self::fits(r, fact))
    }

    pub(super) fn fits(revision: &Revision, fact: &Fact) -> bool {
        revision.filters.iter().any(|f| f.matches(&fact.topic)) && (revision.predicate.is_none() || fact.ok)
    }

    /// The last events before `seq` of the same key that `sub` is to get.
    pub(super) fn before(&self, sub: SubNo, seq: Seq) -> Vec<Seq> {
        let Some(this) = self.facts.get(&seq) else { return Vec::new() };
        let earlier = self.facts.range(..seq).map(|(_, f)| f);
        let same = earlier.rev().filter(|f| f.key == this.key).take(40);
        same.filter(|f| self.wants(sub, f)).map(|f| f.seq).collect()
    }

    pub(super) fn took(&self, delivery: Delivery) -> bool {
        self.taken.contains_key(&delivery)
    }

    /// Nobody has to do anything about it any more.
    pub(super) fn settled(&self, delivery: Delivery) -> bool {
        self.took(delivery)
            || self.forgotten.contains(&delivery)
            || (self.dead.contains(&delivery) && !self.held.contains(&delivery))
    }

    pub(super) fn holds(&self, sub: SubNo) -> bool {
        self.subs.get(&sub).is_some_and(|k| k.subscription.ordered && k.subscription.on_dead == OnDead::Hold)
    }
}
