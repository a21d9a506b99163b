//! Runs found in the store.

use nexus_core::{
    problem::{Code, Problem},
    record::{Document, Record, Value},
    store::{IndexQuery, Range},
};
use nexus_engine::desk::unreadable;
use serde::Serialize;

use super::{
    Flows,
    record::{Run, Steps, Version, active_key, keys_of},
    shelf::Held,
};

/// Most runs of one page.
pub const PAGE: usize = 200;
/// Commits of one run of which the steps are shown.
const SHOWN: usize = 1_000;

/// Which runs.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// `namespace/name`.
    pub flow: Option<String>,
    /// `running`, `waiting`, …; `open` for all that have not ended.
    pub status: Option<String>,
    /// What they belong to.
    pub correlation: Option<String>,
}

/// A page of something.
#[derive(Clone, Debug, Serialize)]
pub struct Listed<T> {
    /// Found.
    pub items: Vec<T>,
    /// Where to go on.
    pub next: Option<String>,
}

fn range(index: &'static str, prefix: Vec<Value>) -> Range {
    Range { collection: Run::COLLECTION, index, prefix, from: None, until: None }
}

/// Runs that wait for this key.
pub(super) fn queued(flow: &str, key: &str) -> Range {
    range("queued", vec![active_key(flow, key).into()])
}

impl Flows {
    async fn first(&self, range: Range) -> Result<Option<Document>, Problem> {
        let query = IndexQuery { range, descending: false, filters: Vec::new(), after: None, limit: 1 };
        Ok(self.desk().store.list(query).await.map_err(unreadable)?.items.into_iter().next())
    }

    /// The run that has this key.
    pub(super) async fn active(&self, flow: &str, key: &str) -> Result<Option<String>, Problem> {
        Ok(self.first(range("active", vec![active_key(flow, key).into()])).await?.map(|document| document.key))
    }

    /// The run of this key that the latest event or request began, whether it has ended or not.
    pub(super) async fn newest_of_key(&self, flow: &str, key: &str) -> Result<Option<Run>, Problem> {
        let range = range("by_key", vec![active_key(flow, key).into()]);
        let query = IndexQuery { range, descending: true, filters: Vec::new(), after: None, limit: 1 };
        let page = self.desk().store.list(query).await.map_err(unreadable)?;
        Ok(page.items.first().and_then(|document| self.readable(document)))
    }

    /// The run that has waited longest for this key.
    pub(super) async fn first_queued(&self, flow: &str, key: &str) -> Result<Option<String>, Problem> {
        Ok(self.first(queued(flow, key)).await?.map(|document| document.key))
    }

    /// One run.
    pub(super) async fn find(&self, id: &str) -> Result<Run, Problem> {
        let document = self.desk().store.get(Run::COLLECTION, id).await.map_err(unreadable)?;
        let document = document.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no run {id:?}")))?;
        self.readable(&document).ok_or_else(|| {
            let reason = self.unreadable_runs().remove(id).unwrap_or_default();
            Problem::new(Code::Internal, format!("run {id} is set aside: {reason}"))
        })
    }

    /// Runs that can be read, the newest first.
    pub(super) async fn select(
        &self,
        filter: &RunFilter,
        after: Option<String>,
        limit: usize,
    ) -> Result<Listed<Run>, Problem> {
        let page = self.select_any(filter, after, limit).await?;
        Ok(Listed { items: page.items.iter().filter_map(|run| self.readable(run)).collect(), next: page.next })
    }

    /// Runs as they are kept, the newest first.
    pub(super) async fn select_any(
        &self,
        filter: &RunFilter,
        after: Option<String>,
        limit: usize,
    ) -> Result<Listed<Document>, Problem> {
        let mut filters: Vec<(&'static str, Value)> = Vec::new();
        match filter.status.as_deref() {
            None => {}
            Some("open") => filters.push(("is_open", true.into())),
            Some(status) => filters.push(("status", status.into())),
        }
        filters.extend(filter.correlation.as_deref().map(|correlation| ("correlation", correlation.into())));
        let range = match &filter.flow {
            Some(flow) => range("by_flow", vec![flow.as_str().into()]),
            None => range("by_time", Vec::new()),
        };
        let query = IndexQuery { range, descending: true, filters, after, limit: limit.clamp(1, PAGE) };
        let page = self.desk().store.list(query).await.map_err(unreadable)?;
        Ok(Listed { items: page.items, next: page.next })
    }

    /// Every run of an index that can be read, in pages, handed to `visit`.
    pub(super) async fn each_of(&self, index: &'static str, mut visit: impl FnMut(Run)) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let query = IndexQuery {
                range: range(index, Vec::new()),
                descending: false,
                filters: Vec::new(),
                after,
                limit: PAGE,
            };
            let page = self.desk().store.list(query).await.map_err(unreadable)?;
            page.items.iter().filter_map(|document| self.readable(document)).for_each(&mut visit);
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// What the tasks of a run did, in order, as far as it is shown.
    pub(super) async fn steps_of(&self, run: &str) -> Result<Vec<Steps>, Problem> {
        let (from, until) = keys_of(run);
        let range = Range {
            collection: Steps::COLLECTION,
            index: "",
            prefix: Vec::new(),
            from: Some(from.into()),
            until: Some(until.into()),
        };
        let query = IndexQuery { range, descending: false, filters: Vec::new(), after: None, limit: SHOWN };
        let page = self.desk().store.list(query).await.map_err(unreadable)?;
        Ok(page.items.iter().filter_map(|steps| super::read(steps).ok()).collect())
    }

    /// The document of the version that a flow's new runs begin with, as it was published.
    pub async fn text(&self, held: &Held) -> Result<String, Problem> {
        Ok(self.version_text(&held.current.definition.id.to_string()).await?.text)
    }

    /// One version of a flow, as it was published.
    pub(super) async fn version_text(&self, id: &str) -> Result<Version, Problem> {
        let document = self.desk().store.get(Version::COLLECTION, id).await.map_err(unreadable)?;
        let document = document.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no flow {id}")))?;
        super::read(&document)
    }
}
