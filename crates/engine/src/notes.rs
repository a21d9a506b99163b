//! Small things about deliveries that must outlive the process and belong to no row of their own.

use nexus_core::{
    record::{Collection, Record, Value},
    store::SubNo,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// Something noted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// Every dead letter that died before was made known.
    DeadTold {
        /// When the last one died that was.
        until: Timestamp,
    },
    /// An endpoint has only failed.
    Failing {
        /// Subscription.
        no: SubNo,
        /// First failure after the last success.
        since: Timestamp,
        /// The latest failure when this was noted.
        last: Timestamp,
    },
}

impl Note {
    /// The key of [`Note::DeadTold`].
    pub const DEAD_TOLD: &'static str = "dead_told";

    /// The key of a subscription's [`Note::Failing`].
    pub fn failing(no: SubNo) -> String {
        format!("failing/{no}")
    }
}

static NOTES: Collection = Collection { name: "delivery_notes", columns: &[], indexes: &[] };

impl Record for Note {
    const COLLECTION: &'static Collection = &NOTES;
    fn key(&self) -> String {
        match self {
            Self::DeadTold { .. } => Self::DEAD_TOLD.to_owned(),
            Self::Failing { no, .. } => Self::failing(*no),
        }
    }
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}
