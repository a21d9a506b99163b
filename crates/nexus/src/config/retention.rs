//! `[retention]`: how long things are kept.

use serde::{Deserialize, Serialize};

use super::value::{Period, Size};

/// What is erased when.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// Receipts of successful deliveries; afterwards a fate says "delivered, receipt expired".
    pub(crate) receipts: Period,
    /// One rule per filter: `[[retention.events]]`.
    pub(crate) events: Vec<EventRule>,
}

/// How long the data of some events is kept. The log's chain stays whole.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventRule {
    /// Which events.
    pub(crate) filter: String,
    /// Erased when older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) age: Option<Period>,
    /// Oldest erased while they take more room than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<Size>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { receipts: Period(nexus_core::limits::RECEIPT_RETENTION), events: Vec::new() }
    }
}
