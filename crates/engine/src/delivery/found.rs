//! What the store knows of the deliveries of an earlier process.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use nexus_core::{
    event::Seq,
    store::{Exception, ExceptionQuery, ExceptionState, Position, Store, StoreError, SubNo},
    time::Timestamp,
};

use super::{lane::REPLAY, spec::Spec};
use crate::receipts::{self, Receipt};

/// Blocks of receipts read, of each scope: what one window of deliveries can leave.
const RECEIPT_BLOCKS: usize = 2_048;

/// What was found in the store.
#[derive(Debug, Default)]
pub struct Found {
    /// Last seq of the log.
    pub log_head: Seq,
    /// Subscriptions and whether they deliver.
    pub specs: Vec<(Arc<Spec>, bool)>,
    /// Saved positions.
    pub positions: Vec<Position>,
    /// Open exceptions, and all others at or beyond their subscription's position.
    pub exceptions: Vec<Exception>,
    /// Receipts at or beyond their subscription's position.
    pub receipts: Vec<Receipt>,
    /// Endpoints that had only failed: since when, and when last.
    pub failing: Vec<(SubNo, Timestamp, Timestamp)>,
    /// Replays under way.
    pub replays: Vec<FoundReplay>,
}

/// A replay that was under way.
#[derive(Clone, Debug)]
pub struct FoundReplay {
    /// Subscription.
    pub sub: SubNo,
    /// Its number.
    pub generation: u32,
    /// First seq.
    pub from: Seq,
    /// Last seq.
    pub until: Seq,
    /// What it had sent beyond its position. Read by [`Found::read`].
    pub settled: HashSet<Seq>,
}

impl Found {
    /// Reads what the machine needs to go on with these subscriptions and replays.
    pub async fn read(
        store: &dyn Store,
        specs: Vec<(Arc<Spec>, bool)>,
        failing: Vec<(SubNo, Timestamp, Timestamp)>,
        mut replays: Vec<FoundReplay>,
    ) -> Result<Self, StoreError> {
        let ordered: HashSet<SubNo> =
            specs.iter().map(|(s, _)| &s.subscription).filter(|s| s.ordered).map(|s| s.no).collect();
        let positions = store.positions().await?;
        let watermark = positions.iter().find(|p| p.sub == 0).map_or(1, |p| p.next);
        let mut first: BTreeMap<SubNo, Seq> = BTreeMap::new();
        for position in positions.iter().filter(|p| p.sub != 0 && p.lane != REPLAY) {
            let next = first.entry(position.sub).or_insert(position.next);
            *next = position.next.min(*next);
        }
        let first_of = |sub| first.get(&sub).copied().unwrap_or(watermark);
        let exceptions = find_exceptions(store, &ordered, first_of).await?;
        let mut found = Vec::new();
        for (scope, from) in std::iter::once((0, watermark)).chain(first) {
            let blocks = store.receipts(scope, None, RECEIPT_BLOCKS).await?;
            let recent = blocks.iter().filter(|b| b.last >= from);
            found.extend(recent.flat_map(receipts::decode).filter(|r| r.seq >= from));
        }
        for replay in &mut replays {
            let position = positions.iter().find(|p| p.sub == replay.sub && p.lane == REPLAY);
            let from = position.map_or(replay.from, |p| p.next);
            let blocks = store.receipts(replay.sub, None, RECEIPT_BLOCKS).await?;
            let sent = blocks.iter().filter(|b| b.last >= from).flat_map(receipts::decode);
            let sent = sent.filter(|r| r.sub == replay.sub && r.generation == replay.generation && r.seq >= from);
            replay.settled = sent.map(|r| r.seq).collect();
        }
        Ok(Self { log_head: store.head().seq, specs, positions, exceptions, receipts: found, failing, replays })
    }
}

/// Rows that the machine needs: all that are open, and of those that are over the ones at or beyond the position.
async fn find_exceptions(
    store: &dyn Store,
    ordered: &HashSet<SubNo>,
    first: impl Fn(SubNo) -> Seq,
) -> Result<Vec<Exception>, StoreError> {
    let mut exceptions = Vec::new();
    let counts = store.exception_counts().await?;
    for (sub, state) in counts.iter().map(|(sub, state, _)| (*sub, *state)) {
        let from = first(sub);
        // A dead letter of an ordered subscription may hold its key, however old it is.
        let open = match state {
            ExceptionState::Retrying => true,
            ExceptionState::Dead => ordered.contains(&sub),
            ExceptionState::Delivered => false,
        };
        let mut after = (!open).then(|| (sub, from.saturating_sub(1), u32::MAX));
        loop {
            let query =
                ExceptionQuery { sub: Some(sub), state: Some(state), after, limit: 1_000, ..ExceptionQuery::default() };
            let page = store.exceptions(query).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.sub, last.seq, last.generation));
            exceptions.extend(page);
        }
    }
    Ok(exceptions)
}
