//! What is forgotten: runs that ended long ago, with what their tasks did. And what is wrong with the files of flows.

use std::{collections::BTreeMap, time::Duration};

use nexus_core::{
    problem::Problem,
    record::Record,
    store::{Commit, IndexQuery, Key, Range, Write},
};
use nexus_engine::desk::unreadable;

use super::{
    Flows,
    record::{Heard, Listening, Run, Steps},
};

/// How long ended runs are kept unless the settings say otherwise.
pub const HISTORY: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often what is too old is looked for.
const PERIOD: Duration = Duration::from_secs(3600);
/// Runs looked at in one go.
const LOOKED_AT: usize = 200;

impl Flows {
    /// Notes what is wrong with a file of a flow, or that nothing is.
    pub fn note_file(&self, file: &str, wrong: Option<String>) {
        let mut files = self.inner.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match wrong {
            Some(reason) => drop(files.insert(file.to_owned(), reason)),
            None => drop(files.remove(file)),
        }
    }

    /// Forgets what is wrong with files that are gone.
    pub fn keep_files(&self, there: &[String]) {
        let mut files = self.inner.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        files.retain(|file, _| there.contains(file));
    }

    /// Files that hold no flow that could be published, and why.
    pub fn wrong_files(&self) -> BTreeMap<String, String> {
        self.inner.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Forgets ended runs that are older than `history`, again and again.
    pub(super) async fn keep_house(self, history: Duration) {
        loop {
            if let Err(problem) = self.sweep(history).await {
                tracing::warn!(
                    error = problem.message,
                    "old runs could not be forgotten; it is tried again in an hour"
                );
            }
            if let Err(problem) = self.sweep_memories().await {
                tracing::warn!(
                    error = problem.message,
                    "what detectors need no more could not be forgotten; it is tried again in an hour"
                );
            }
            self.clock().sleep(PERIOD).await;
        }
    }

    async fn sweep(&self, history: Duration) -> Result<(), Problem> {
        let until = self.desk().now().minus(history);
        let mut after = None;
        loop {
            let range = Range {
                collection: Run::COLLECTION,
                index: "by_time",
                prefix: Vec::new(),
                from: None,
                until: Some(until.into()),
            };
            let filters = vec![("is_open", false.into())];
            let query = IndexQuery { range, descending: false, filters, after, limit: LOOKED_AT };
            let page = self.desk().store.list(query).await.map_err(unreadable)?;
            for document in page.items {
                // One that can't be read is set aside until it can be.
                if self.readable(&document).and_then(|run| run.ended_at).is_some_and(|at| at < until) {
                    self.forget(&document.key).await?;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// First what its tasks did, so that a crash in between leaves the run to be found again.
    pub(super) async fn forget(&self, run: &str) -> Result<(), Problem> {
        self.forget_approvals(run).await?;
        self.forget_all_of::<Steps>(run).await?;
        self.forget_all_of::<Heard>(run).await?;
        self.forget_all_of::<Listening>(run).await?;
        let documents = vec![Write::Delete(Key::of::<Run>(run))];
        self.desk().commit(Commit { documents, ..Commit::default() }).await.map(|_| ())
    }
}
