//! One version of a key, and the collections that hold versions.

use nexus_core::{
    event::NewEvent,
    id::EventId,
    limits::EVENT_DEPTH,
    problem::{Code, Problem},
    record::{Collection, Column, ColumnType, Document, Index, IndexKind},
    store::StoreError,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The present version of every key, deleted ones included, so that versions go on ascending.
pub(super) static STATE: Collection = Collection {
    name: "state",
    columns: &[
        Column { name: "deleted", kind: ColumnType::Bool },
        Column { name: "changed_at", kind: ColumnType::Int },
    ],
    indexes: &[Index {
        name: "state_deleted",
        columns: &["changed_at"],
        kind: IndexKind::Plain,
        only: Some("deleted"),
    }],
};

/// Every version that a later one has replaced.
pub(super) static HISTORY: Collection = Collection {
    name: "state_history",
    columns: &[Column { name: "replaced_at", kind: ColumnType::Int }],
    indexes: &[Index { name: "state_history_age", columns: &["replaced_at"], kind: IndexKind::Plain, only: None }],
};

/// One version of a key. Its value is kept as the text that it came as.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// 1 at first, then ascending by one with every change, deletions included.
    pub version: u64,
    /// The key was deleted by this version; its value is then `null`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// JSON text.
    pub value: Box<RawValue>,
    /// When.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Why, where it was no plain write: expired, merged, rolled back, resolved, imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it will be deleted by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl Version {
    /// The value, unless it is a deletion.
    pub fn live(&self) -> Option<&RawValue> {
        (!self.deleted).then_some(&*self.value)
    }
}

/// A version with the number that the store knows its document by.
#[derive(Debug)]
pub(super) struct Held {
    /// The version.
    pub(super) version: Version,
    /// Of the document; restarts when a deleted key was forgotten.
    pub(super) document: u64,
}

impl Held {
    pub(super) fn read(document: &Document) -> Result<Self, StoreError> {
        Ok(Self { version: read(document)?, document: document.version })
    }

    /// Approximate bytes in memory.
    pub(super) fn weight(&self) -> usize {
        300 + self.version.value.get().len()
    }
}

/// A document's version.
pub(super) fn read(document: &Document) -> Result<Version, StoreError> {
    serde_json::from_str(&document.body)
        .map_err(|e| StoreError::Broken(format!("state {:?} is unreadable: {e}", document.key)))
}

/// Whose change it is and what it belongs to.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Shown in the history: `token:ci`, `hub`.
    pub by: String,
    /// What it belongs to.
    pub correlation: Option<String>,
    /// The event that caused it.
    pub causation: Option<EventId>,
    /// Steps from the first cause.
    pub depth: u8,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

impl Origin {
    /// The hub's own doing.
    pub fn hub() -> Self {
        Self { by: "hub".to_owned(), ..Self::default() }
    }

    pub(super) fn mark(&self, event: &mut NewEvent) {
        event.correlation.clone_from(&self.correlation);
        event.causation = self.causation;
        event.depth = self.depth;
        event.attributes.traceparent.clone_from(&self.traceparent);
    }

    /// 409 for what looks like a loop.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.depth <= EVENT_DEPTH {
            return Ok(());
        }
        let message = format!(
            "this would be step {} of one chain of cause and effect; chains end at {EVENT_DEPTH}, as this looks like a loop",
            self.depth
        );
        Err(Problem::new(Code::Conflict, message))
    }
}
