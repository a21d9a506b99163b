//! What outlasts a restart: a provider's word on its limits, and what was used of long quotas.

use std::time::Duration;

use nexus_core::{
    record::{Collection, Record, Value},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::connectors::{limit::Used, manifest::LimitOf};

/// A provider's word that nothing is to be sent before a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LimitNote {
    pub(super) connector: String,
    pub(super) of: LimitOf,
    pub(super) account: String,
    pub(super) operation: String,
    pub(super) until: Timestamp,
}

static LIMITS: Collection = Collection { name: "connector_limits", columns: &[], indexes: &[] };

impl Record for LimitNote {
    const COLLECTION: &'static Collection = &LIMITS;
    fn key(&self) -> String {
        key(self.of, &self.connector, &self.account, &self.operation)
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// What was used of a long quota.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsageNote {
    pub(super) connector: String,
    of: LimitOf,
    account: String,
    operation: String,
    begun: Vec<(Timestamp, u32)>,
    /// Requests that may have begun since.
    ahead: u32,
    /// Milliseconds of the longest span that is counted.
    span_ms: u64,
}

static USAGE: Collection = Collection { name: "connector_usage", columns: &[], indexes: &[] };

impl Record for UsageNote {
    const COLLECTION: &'static Collection = &USAGE;
    fn key(&self) -> String {
        key(self.of, &self.connector, &self.account, &self.operation)
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

fn key(of: LimitOf, connector: &str, account: &str, operation: &str) -> String {
    match of {
        LimitOf::App => format!("app/{connector}"),
        LimitOf::Account => format!("account/{connector}/{account}"),
        LimitOf::Operation => format!("operation/{connector}/{account}/{operation}"),
    }
}

impl UsageNote {
    pub(super) fn of(connector: &str, used: &Used, wall: impl Fn(Duration) -> Timestamp) -> Self {
        Self {
            connector: connector.to_owned(),
            of: used.of,
            account: used.account.clone(),
            operation: used.operation.clone(),
            begun: used.begun.iter().map(|(at, count)| (wall(*at), *count)).collect(),
            ahead: used.ahead,
            span_ms: u64::try_from(used.span.as_millis()).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn used(&self, at: impl Fn(Timestamp) -> Duration) -> Used {
        Used {
            of: self.of,
            account: self.account.clone(),
            operation: self.operation.clone(),
            begun: self.begun.iter().map(|(wall, count)| (at(*wall), *count)).collect(),
            ahead: self.ahead,
            span: Duration::from_millis(self.span_ms),
            owed: 0,
        }
    }

    /// Nothing of it counts any more.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let last = self.begun.last().map(|(at, _)| at.plus(Duration::from_millis(self.span_ms)));
        self.ahead == 0 && last.is_none_or(|last| last <= now)
    }
}
