//! What the log forgets, and when: by age and by size per topic filter, never past what is still to be delivered (up to
//! a cap).

mod ledger;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_core::{
    chain::Signer,
    event::Seq,
    limits::RECEIPT_RETENTION,
    store::{Commit, StoreError, Trim, WEIGHED_EVENTS},
    time::Timestamp,
    topic::TopicFilter,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as AsyncMutex;

use self::ledger::Ledger;
pub(crate) use self::ledger::Touched;
use crate::{desk::Desk, dispatch::Dispatch};

/// Rows per step, so that the writer is never held for long.
const STEP: usize = 1_000;
/// Steps per run.
const STEPS: usize = 200;
/// Blocks of the log that are counted per run, 4,096 events each: after a start, the whole log is.
const COUNTED_BLOCKS: usize = 2_000;

/// Data of matching events is erased after a time, or when newer ones fill a budget, whichever comes first; stubs at the
/// log's beginning are then dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRule {
    /// Which topics.
    pub filter: TopicFilter,
    /// How long their data is kept.
    pub max_age: Option<Duration>,
    /// How many bytes their data may take together; the oldest goes first.
    pub max_bytes: Option<u64>,
    /// A subscription that has not been delivered to keeps its events this much longer than `max_age`, and beyond
    /// `max_bytes` until they are this old; then they expire with a gap event.
    pub grace: Duration,
}

/// What is kept how long.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// For the log; none keeps everything.
    pub rules: Vec<RetentionRule>,
    /// For receipts of deliveries.
    pub receipts: Duration,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { rules: Vec::new(), receipts: RECEIPT_RETENTION }
    }
}

/// Runs the rules.
#[derive(Debug)]
pub struct Retention {
    desk: Desk,
    dispatch: Dispatch,
    signer: Arc<Signer>,
    /// Not where someone else has cut the log: a cut of our own would hide that.
    drops: bool,
    keeping: Keeping,
    /// What the rules with a budget have used of it.
    ledger: AsyncMutex<Ledger>,
    /// Up to where each rule has erased, by its place in the list.
    erased_to: Mutex<HashMap<usize, Seq>>,
    /// Up to where losses were reported, by rule.
    reported: Mutex<HashMap<String, Seq>>,
}

impl Retention {
    /// With these rules. Cuts are signed by `signer`, where there may be any; `touched` tells what others erase.
    pub(crate) fn new(
        desk: Desk,
        dispatch: Dispatch,
        signer: Arc<Signer>,
        drops: bool,
        keeping: Keeping,
        touched: Touched,
    ) -> Self {
        // Rules without a budget have no account.
        let budgeted = keeping.rules.iter().filter(|rule| rule.max_bytes.is_some()).map(|rule| rule.filter.clone());
        let ledger = AsyncMutex::new(Ledger::new(budgeted, touched));
        Self { desk, dispatch, signer, drops, keeping, ledger, erased_to: Mutex::default(), reported: Mutex::default() }
    }

    /// One bounded run over everything.
    pub async fn run(&self) {
        let now = self.desk.now();
        for _ in 0..STEPS {
            match self.desk.store.sweep(now.minus(self.keeping.receipts), now).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(%error, "removing expired bookkeeping failed");
                    break;
                }
            }
        }
        if let Err(error) = self.count().await {
            tracing::error!(%error, "counting what events take failed");
        }
        let mut account = 0;
        for (place, rule) in self.keeping.rules.iter().enumerate() {
            if let Err(error) = self.apply(place, rule, account).await {
                tracing::error!(filter = %rule.filter, %error, "retention failed");
            }
            account += usize::from(rule.max_bytes.is_some());
        }
    }

    /// Brings the accounts up to date.
    async fn count(&self) -> Result<(), StoreError> {
        let mut ledger = self.ledger.lock().await;
        if ledger.is_empty() {
            ledger.discard();
            return Ok(());
        }
        let head = self.desk.store.head().seq;
        for _ in 0..COUNTED_BLOCKS {
            let Some(span) = ledger.next(head) else { break };
            match self.desk.store.weights(span.first, span.last).await {
                Ok(weights) => ledger.count(span, &weights),
                Err(error) => {
                    ledger.touch(span.first, span.last);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The first seq that the rule's budget has room for.
    async fn budgeted(&self, rule: &RetentionRule, account: usize) -> Result<Seq, StoreError> {
        let Some(budget) = rule.max_bytes else { return Ok(0) };
        let ledger = self.ledger.lock().await;
        let Some((span, excess)) = ledger.beyond(account, budget) else { return Ok(0) };
        let weights = self.desk.store.weights(span.first, span.last).await?;
        Ok(ledger.keep_from(account, span, excess, &weights))
    }

    /// Up to where the rule wants to erase, and up to where it does whoever still waits.
    async fn cutoffs(&self, rule: &RetentionRule, account: usize, now: Timestamp) -> Result<(Seq, Seq), StoreError> {
        let store = &self.desk.store;
        let mut wanted = self.budgeted(rule, account).await?;
        let mut forced = wanted.min(store.seq_at(now.minus(rule.grace)).await?);
        if let Some(age) = rule.max_age {
            wanted = wanted.max(store.seq_at(now.minus(age)).await?);
            forced = forced.max(store.seq_at(now.minus(age + rule.grace)).await?);
        }
        Ok((wanted, forced))
    }

    async fn apply(&self, place: usize, rule: &RetentionRule, account: usize) -> Result<(), String> {
        let store = &self.desk.store;
        let (wanted, forced) = self.cutoffs(rule, account, self.desk.now()).await.map_err(|e| e.to_string())?;
        let oldest = self.dispatch.ask(|machine, _| machine.oldest_position()).await.map_err(|e| e.message)?;
        let erase_before = wanted.min(oldest.max(forced));
        let topics = store.topics().await.map_err(|e| e.to_string())?;
        let types: Vec<String> = topics.into_iter().filter(|t| rule.filter.matches(t)).collect();
        if types.is_empty() || erase_before <= 1 {
            return Ok(());
        }
        // First it is told, then it is done: whatever ends the process in between, nobody loses anything unawares.
        if oldest < erase_before {
            self.report_gap(rule, types.clone(), oldest, erase_before).await?;
        }
        let mut erased = 0;
        let mut whole = false;
        for _ in 0..STEPS {
            let trim = Trim {
                erase_before,
                types: types.clone(),
                drop_before: if self.drops { erase_before } else { 0 },
                limit: STEP,
                signer: Arc::clone(&self.signer),
            };
            let done = store.trim(trim).await.map_err(|e| e.to_string())?;
            erased += done.erased;
            if !done.more {
                whole = true;
                break;
            }
        }
        if erased > 0 {
            self.forget(place, erase_before, whole).await;
        }
        Ok(())
    }

    /// What was counted there has to be counted again.
    async fn forget(&self, place: usize, erase_before: Seq, whole: bool) {
        let from = {
            let mut erased_to = self.erased_to.lock().unwrap_or_else(PoisonError::into_inner);
            let from = erased_to.get(&place).copied().unwrap_or(0);
            if whole {
                erased_to.insert(place, erase_before);
            }
            from
        };
        self.ledger.lock().await.touch(from.min(erase_before), erase_before);
    }

    /// The first event of the rule in `from..until` whose data is still there.
    async fn first_there(&self, rule: &RetentionRule, mut from: Seq, until: Seq) -> Result<Option<Seq>, StoreError> {
        while from < until {
            let last = until.min(from.saturating_add(WEIGHED_EVENTS)) - 1;
            let weights = self.desk.store.weights(from, last).await?;
            if let Some(found) = weights.iter().find(|w| rule.filter.matches(w.topic.as_str())) {
                return Ok(Some(found.seq));
            }
            from = last + 1;
        }
        Ok(None)
    }

    /// Someone whom these types concern has not been delivered to: what will be lost is said in the log.
    async fn report_gap(&self, rule: &RetentionRule, types: Vec<String>, from: Seq, until: Seq) -> Result<(), String> {
        let name = rule.filter.as_str();
        let told = {
            let reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            reported.get(name).copied().unwrap_or(0)
        };
        let first = self.first_there(rule, from.max(told), until).await.map_err(|e| e.to_string())?;
        if let Some(first) = first {
            self.tell_gap(rule, types, first, until).await?;
        }
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        reported.insert(name.to_owned(), until.max(told));
        Ok(())
    }

    async fn tell_gap(&self, rule: &RetentionRule, types: Vec<String>, from: Seq, until: Seq) -> Result<(), String> {
        let behind = self.dispatch.ask(move |machine, _| machine.behind(until, &types)).await.map_err(|e| e.message)?;
        let mut events = Vec::new();
        for (name, position) in behind {
            let detail = serde_json::json!({
                "subscription": name, "filter": rule.filter.as_str(), "from_seq": position.max(from), "to_seq": until - 1,
                "reason": "these events passed their retention before they could be delivered",
            });
            events.push(self.desk.notice("subscription.gap", &detail));
        }
        if events.is_empty() {
            return Ok(());
        }
        self.desk.commit(Commit { events, ..Commit::default() }).await.map(|_| ()).map_err(|e| e.message)
    }
}
