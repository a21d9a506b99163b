//! `[retention]`: how long, and how much of, the data of events is kept, and how long receipts are.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::value::{Period, Size};

/// What is erased when.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// How long receipts of deliveries are kept.
    pub(crate) receipts: Period,
    /// One rule per filter: `[[retention.events]]`. What no rule names is kept.
    pub(crate) events: Vec<EventRule>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { receipts: Period(nexus_core::limits::RECEIPT_RETENTION), events: Vec::new() }
    }
}

/// How long, and how much of, the data of some events is kept. The log's chain stays whole.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventRule {
    /// Which events.
    pub(crate) filter: String,
    /// Erased when older.
    #[serde(default)]
    pub(crate) age: Option<Period>,
    /// The oldest are erased when all together take more.
    #[serde(default)]
    pub(crate) size: Option<Size>,
    /// A subscription that was not delivered to keeps its events this much longer than `age`, and beyond `size` until they
    /// are this old; then they expire, with a gap event.
    #[serde(default = "week")]
    pub(crate) grace: Period,
}

fn week() -> Period {
    Period(Duration::from_secs(7 * 24 * 3600))
}
