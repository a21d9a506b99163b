//! Events as lines of a file: what an export writes and an import takes.

use nexus_core::{
    event::{Attributes, Data, NewEvent, Priority, Seq, StoredEvent},
    id::EventId,
    problem::{Code, Problem},
    time::Timestamp,
    topic::Topic,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One event of an export, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportLine {
    /// Epoch of the log it was exported from: an import into an empty hub begins a later one.
    #[serde(default)]
    pub epoch: u32,
    /// Seq in the log it was exported from.
    pub seq: Seq,
    /// Its id, kept by an import.
    pub id: EventId,
    /// Type.
    #[serde(rename = "type")]
    pub topic: Topic,
    /// Source.
    pub source: String,
    /// Subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Commit time in microseconds; an import keeps it as `occurred`.
    pub time: Timestamp,
    /// Priority.
    pub priority: Priority,
    /// Correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// Causation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
    /// Depth.
    #[serde(default)]
    pub depth: u8,
    /// Attributes.
    #[serde(default)]
    pub attributes: Attributes,
    /// Data as stored; absent when erased.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// A value that is there, be it `null`.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(d).map(Some)
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ImportReport {
    /// New events.
    pub stored: u64,
    /// Events whose id was there already.
    pub repeated: u64,
    /// Events without data, which can't be imported.
    pub erased: u64,
    /// The epoch that began with this import, as the hub held nothing but its own events before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
}

/// The line of one event.
pub(super) fn export_line(epoch: u32, event: &StoredEvent) -> Result<ExportLine, Problem> {
    let data = match &event.data {
        Data::Erased { .. } => None,
        Data::Present { json, .. } => {
            let text = String::from_utf8_lossy(json).into_owned();
            Some(RawValue::from_string(text).map_err(|e| {
                tracing::error!(seq = event.seq, error = %e, "stored data is no JSON");
                Problem::new(Code::Internal, format!("the data of event {} is unreadable", event.seq))
            })?)
        }
    };
    Ok(ExportLine {
        epoch,
        seq: event.seq,
        id: event.id,
        topic: event.topic.clone(),
        source: event.source.to_string(),
        subject: event.subject.as_deref().map(str::to_owned),
        time: event.time,
        priority: event.priority,
        correlation: event.correlation.as_deref().map(str::to_owned),
        causation: event.causation,
        depth: event.depth,
        attributes: event.attributes(),
        data,
    })
}

/// The event of one line; `None` where its data was erased.
pub(super) fn import_event(line: ExportLine, now: Timestamp) -> Option<NewEvent> {
    let data = line.data?;
    let mut event = NewEvent::new(line.topic, line.source, data.get().to_owned(), now);
    event.id = Some(line.id);
    event.subject = line.subject;
    event.priority = line.priority;
    event.correlation = line.correlation;
    event.causation = line.causation;
    event.depth = line.depth;
    event.attributes = line.attributes;
    event.attributes.occurred.get_or_insert_with(|| line.time.to_string());
    Some(event)
}
