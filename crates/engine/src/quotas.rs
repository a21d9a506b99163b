//! How much of their rates callers have used, written down: a limit per hour is not begun anew by a restart.

use nexus_core::{
    problem::{Code, Problem},
    record::{Collection, Record, Value},
    store::{Commit, Key, StoreError, Write},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::desk::Desk;

/// One page of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QuotaPage {
    page: u32,
    used: Vec<(String, Timestamp)>,
}

static QUOTAS: Collection = Collection { name: "quotas", columns: &[], indexes: &[] };

impl Record for QuotaPage {
    const COLLECTION: &'static Collection = &QUOTAS;
    fn key(&self) -> String {
        self.page.to_string()
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// Keeps what was used, by caller.
#[derive(Debug)]
pub struct Quotas {
    desk: Desk,
}

impl Quotas {
    /// Over this store.
    pub fn new(desk: Desk) -> Self {
        Self { desk }
    }

    /// Callers, and when their bucket is full again.
    pub async fn load(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let pages: Vec<(QuotaPage, u64)> = self.desk.load().await?;
        Ok(pages.into_iter().flat_map(|(page, _)| page.used).collect())
    }

    /// Replaces one page.
    pub async fn save(&self, page: u32, used: Vec<(String, Timestamp)>) -> Result<(), Problem> {
        let write = if used.is_empty() {
            Write::Delete(Key::of::<QuotaPage>(page.to_string()))
        } else {
            Write::put(&QuotaPage { page, used }).map_err(|e| Problem::new(Code::Internal, e.to_string()))?
        };
        self.desk.commit(Commit { documents: vec![write], ..Commit::default() }).await.map(|_| ())
    }
}
