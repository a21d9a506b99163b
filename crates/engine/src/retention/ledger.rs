//! How much the data of matching events takes, counted block by block of the log: the oldest ones beyond a budget are
//! found without walking the log again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use nexus_core::{
    event::Seq,
    store::{WEIGHED_EVENTS, Weight},
    topic::TopicFilter,
};

/// Seqs of one block.
pub(crate) const BLOCK: u64 = WEIGHED_EVENTS;

fn block_of(seq: Seq) -> u64 {
    seq / BLOCK
}

/// Events whose data was erased by someone else, by block: what was counted there has to be counted again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched(Arc<Mutex<BTreeSet<u64>>>);

impl Touched {
    /// These events lost their data.
    pub(crate) fn add(&self, seqs: impl IntoIterator<Item = Seq>) {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.extend(seqs.into_iter().map(block_of));
    }

    fn take(&self) -> BTreeSet<u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one rule's events take.
#[derive(Debug)]
struct Account {
    filter: TopicFilter,
    blocks: BTreeMap<u64, u64>,
    total: u64,
}

impl Account {
    fn weigh(&self, weights: &[Weight]) -> u64 {
        weights.iter().filter(|w| self.filter.matches(w.topic.as_str())).map(|w| w.bytes).sum()
    }

    fn set(&mut self, block: u64, bytes: u64) {
        let before = if bytes == 0 { self.blocks.remove(&block) } else { self.blocks.insert(block, bytes) };
        self.total = self.total - before.unwrap_or(0) + bytes;
    }
}

/// A run of seqs within one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: Seq,
    pub(crate) last: Seq,
}

/// The accounts of all rules with a budget.
#[derive(Debug)]
pub(crate) struct Ledger {
    accounts: Vec<Account>,
    counted_to: Seq,
    stale: BTreeSet<u64>,
    touched: Touched,
}

impl Ledger {
    /// One account per filter, with nothing counted yet.
    pub(crate) fn new(filters: impl IntoIterator<Item = TopicFilter>, touched: Touched) -> Self {
        let account = |filter| Account { filter, blocks: BTreeMap::new(), total: 0 };
        Self { accounts: filters.into_iter().map(account).collect(), counted_to: 0, stale: BTreeSet::new(), touched }
    }

    /// Whether there is anything to count for.
    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Nothing has to be counted again, as nothing is counted.
    pub(crate) fn discard(&mut self) {
        self.touched.take();
        self.stale.clear();
    }

    /// Events of this run may have lost their data.
    pub(crate) fn touch(&mut self, from: Seq, until: Seq) {
        self.stale.extend(block_of(from)..=block_of(until));
    }

    /// What is to be counted next, given the log's last seq: blocks that changed, then what is new.
    pub(crate) fn next(&mut self, head: Seq) -> Option<Span> {
        self.stale.append(&mut self.touched.take());
        while let Some(block) = self.stale.pop_first() {
            let first = block * BLOCK;
            if first <= self.counted_to {
                return Some(Span { first, last: (first + BLOCK - 1).min(self.counted_to) });
            }
        }
        let first = self.counted_to + 1;
        // A block that is begun is counted from its beginning, as its sum is replaced.
        let first = block_of(first) * BLOCK;
        (self.counted_to < head).then(|| Span { first, last: (first + BLOCK - 1).min(head) })
    }

    /// Takes in what a span weighs, which began at its block's beginning.
    pub(crate) fn count(&mut self, span: Span, weights: &[Weight]) {
        let block = block_of(span.first);
        for account in &mut self.accounts {
            let bytes = account.weigh(weights);
            account.set(block, bytes);
        }
        self.counted_to = self.counted_to.max(span.last);
    }

    /// Where the oldest events of an account end that are beyond `budget`: a block, and how many bytes of it (and all
    /// before) are too many. What is not counted yet only makes the truth larger, so this never says too much.
    pub(crate) fn beyond(&self, account: usize, budget: u64) -> Option<(Span, u64)> {
        let account = self.accounts.get(account)?;
        let mut excess = account.total.checked_sub(budget).filter(|excess| *excess > 0)?;
        for (block, bytes) in &account.blocks {
            if *bytes >= excess {
                let first = block * BLOCK;
                return Some((Span { first, last: first + BLOCK - 1 }, excess));
            }
            excess -= bytes;
        }
        None
    }

    /// The first seq to keep, given the weights of the block that [`Self::beyond`] named.
    pub(crate) fn keep_from(&self, account: usize, span: Span, excess: u64, weights: &[Weight]) -> Seq {
        let Some(account) = self.accounts.get(account) else { return 0 };
        let mut sum = 0;
        for weight in weights.iter().filter(|w| account.filter.matches(w.topic.as_str())) {
            sum += weight.bytes;
            if sum >= excess {
                return weight.seq + 1;
            }
        }
        // Something was erased since it was counted: nothing of this block is beyond the budget for sure.
        span.first
    }
}

#[cfg(test)]
mod tests {
    use nexus_core::topic::Topic;
    use proptest::prelude::*;

    use super::*;

    /// A log as a list of (type, bytes), erased where `None`; seqs begin at 1.
    type Log = Vec<Option<(bool, u64)>>;

    fn weights(log: &Log, span: Span) -> Vec<Weight> {
        let topic = |a| Topic::parse(if a { "a.x" } else { "b.x" }).unwrap();
        let rows = log.iter().zip(1u64..).filter(|(_, seq)| (span.first..=span.last).contains(seq));
        rows.filter_map(|(row, seq)| row.map(|(a, bytes)| Weight { seq, topic: topic(a), bytes })).collect()
    }

    fn count(ledger: &mut Ledger, log: &Log) {
        while let Some(span) = ledger.next(log.len() as u64) {
            ledger.count(span, &weights(log, span));
        }
    }

    /// The first seq to keep, found the slow way.
    fn slow(log: &Log, of_a: bool, budget: u64) -> Seq {
        let mut kept = 0;
        for (row, seq) in log.iter().rev().zip((1..=log.len() as u64).rev()) {
            let bytes = row.filter(|(a, _)| *a == of_a).map_or(0, |(_, bytes)| bytes);
            if kept + bytes > budget {
                return seq + 1;
            }
            kept += bytes;
        }
        0
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// However the log grows and whatever is erased from it meanwhile: exactly the oldest events go that are beyond
        /// the budget, and no more.
        #[test]
        fn the_oldest_events_beyond_the_budget_are_found_exactly(
            rounds in prop::collection::vec(
                (prop::collection::vec((any::<bool>(), 1..2_000u64), 0..6_000), prop::collection::vec(0..9_000usize, 0..5)),
                1..4,
            ),
            budgets in (0..4_000_000u64, 0..4_000_000u64),
        ) {
            let touched = Touched::default();
            let filters = ["a.*", "b.*"].map(|f| TopicFilter::parse(f).unwrap());
            let mut ledger = Ledger::new(filters, touched.clone());
            let mut log: Log = Vec::new();
            for (fresh, erased) in rounds {
                log.extend(fresh.into_iter().map(Some));
                count(&mut ledger, &log);
                for at in erased {
                    if let Some(row) = log.get_mut(at) {
                        *row = None;
                        touched.add([at as u64 + 1]);
                    }
                }
                count(&mut ledger, &log);
                for (account, of_a, budget) in [(0, true, budgets.0), (1, false, budgets.1)] {
                    let found = ledger.beyond(account, budget).map_or(0, |(span, excess)| {
                        ledger.keep_from(account, span, excess, &weights(&log, span))
                    });
                    let expected = slow(&log, of_a, budget);
                    prop_assert_eq!(found, expected);
                    for (row, _) in log.iter_mut().zip(1u64..).filter(|(_, seq)| *seq < found) {
                        if row.is_some_and(|(a, _)| a == of_a) {
                            *row = None;
                        }
                    }
                    if found > 0 {
                        ledger.touch(1, found - 1);
                    }
                }
                count(&mut ledger, &log);
            }
        }
    }
}
