//! CloudEvents 1.0 at `POST /events`: structured, batch and binary mode.

use bytes::Bytes;
use http::HeaderMap;
use nexus_core::{
    cloudevents::{self, CloudEvent, ORIGINAL_TYPE},
    event::Priority,
    problem::Problem,
};

use super::draft::Draft;

/// One event, all in the body.
pub(crate) fn structured(body: &Bytes) -> Result<Vec<Draft>, Problem> {
    cloudevents::structured(body).map(|event| vec![draft(event)])
}

/// An array of events.
pub(crate) fn batch(body: &Bytes) -> Result<Vec<Draft>, Problem> {
    Ok(cloudevents::batch(body)?.into_iter().map(draft).collect())
}

/// The attributes in `ce-*` headers, the data in the body.
pub(crate) fn binary(headers: &HeaderMap, body: &Bytes) -> Result<Vec<Draft>, Problem> {
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    cloudevents::binary(pairs, body).map(|event| vec![draft(event)])
}

fn draft(event: CloudEvent) -> Draft {
    let name = event.attributes.extensions.get(ORIGINAL_TYPE).and_then(|v| v.as_str());
    Draft {
        name: name.map_or_else(|| event.topic.to_string(), str::to_owned),
        topic: event.topic,
        digested: event.data.clone(),
        data: event.data,
        subject: event.subject,
        correlation: event.correlation,
        priority: Priority::default(),
        attributes: event.attributes,
        // An id is unique within its source only. A URI-reference holds no space, so the pair can't be mistaken.
        key: Some(format!("{} {}", event.source, event.id)),
        source_id: Some(event.id),
        said_source: Some(event.source),
    }
}
