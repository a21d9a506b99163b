//! `[retention]`: how long the data of events is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::value::Period;

/// What is erased when.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// One rule per filter: `[[retention.events]]`. What no rule names is kept.
    pub(crate) events: Vec<EventRule>,
}

/// How long the data of some events is kept. The log's chain stays whole.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventRule {
    /// Which events.
    pub(crate) filter: String,
    /// Erased when older.
    pub(crate) age: Period,
    /// A subscription that was not delivered to keeps its events this much longer; then they expire, with a gap event.
    #[serde(default = "week")]
    pub(crate) grace: Period,
}

fn week() -> Period {
    Period(Duration::from_secs(7 * 24 * 3600))
}
