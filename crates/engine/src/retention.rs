//! What the log forgets, and when: by age per topic filter, never past what is still to be delivered (up to a cap).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use nexus_core::{
    event::Seq,
    limits::RECEIPT_RETENTION,
    store::{Commit, Trim},
    topic::TopicFilter,
};
use serde::{Deserialize, Serialize};

use crate::{desk::Desk, dispatch::Dispatch};

/// Rows per step, so that the writer is never held for long.
const STEP: usize = 1_000;
/// Steps per run.
const STEPS: usize = 200;

/// Data of matching events is erased after this time; stubs at the log's beginning are then dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRule {
    /// Which topics.
    pub filter: TopicFilter,
    /// How long their data is kept.
    pub max_age: Duration,
    /// A subscription that has not been delivered to keeps its events this much longer, then they expire with a gap event.
    pub grace: Duration,
}

/// Runs the rules.
#[derive(Debug)]
pub struct Retention {
    desk: Desk,
    dispatch: Dispatch,
    rules: Vec<RetentionRule>,
    /// Up to where losses were reported, by rule.
    reported: Mutex<HashMap<String, Seq>>,
}

impl Retention {
    /// With these rules; none keeps everything.
    pub fn new(desk: Desk, dispatch: Dispatch, rules: Vec<RetentionRule>) -> Self {
        Self { desk, dispatch, rules, reported: Mutex::default() }
    }

    /// One bounded run over everything.
    pub async fn run(&self) {
        let now = self.desk.now();
        for _ in 0..STEPS {
            match self.desk.store.sweep(now.minus(RECEIPT_RETENTION), now).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(%error, "removing expired bookkeeping failed");
                    break;
                }
            }
        }
        for rule in &self.rules {
            if let Err(error) = self.apply(rule).await {
                tracing::error!(filter = %rule.filter, %error, "retention failed");
            }
        }
    }

    async fn apply(&self, rule: &RetentionRule) -> Result<(), String> {
        let now = self.desk.now();
        let store = &self.desk.store;
        let aged = store.seq_at(now.minus(rule.max_age)).await.map_err(|e| e.to_string())?;
        let capped = store.seq_at(now.minus(rule.max_age + rule.grace)).await.map_err(|e| e.to_string())?;
        let oldest = self.dispatch.ask(|machine, _| machine.oldest_position()).await.map_err(|e| e.message)?;
        let erase_before = aged.min(oldest.max(capped));
        let topics = store.topics().await.map_err(|e| e.to_string())?;
        let types: Vec<String> = topics.into_iter().filter(|t| rule.filter.matches(t)).collect();
        if types.is_empty() || erase_before <= 1 {
            return Ok(());
        }
        let mut erased = 0;
        for _ in 0..STEPS {
            let trim = Trim { erase_before, types: types.clone(), drop_before: erase_before, limit: STEP };
            let done = store.trim(trim).await.map_err(|e| e.to_string())?;
            erased += done.erased;
            if !done.more {
                break;
            }
        }
        if erased > 0 && oldest < erase_before {
            self.report_gap(rule, oldest, erase_before).await?;
        }
        Ok(())
    }

    /// Someone had not been delivered to: what was lost is said in the log.
    async fn report_gap(&self, rule: &RetentionRule, from: Seq, until: Seq) -> Result<(), String> {
        let last = {
            let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            reported.insert(rule.filter.as_str().to_owned(), until)
        };
        let from = from.max(last.unwrap_or(0));
        let behind = self.dispatch.ask(move |machine, _| machine.behind(until)).await.map_err(|e| e.message)?;
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
