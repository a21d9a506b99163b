//! An event of the log as structured CloudEvents JSON.

use serde_json::Value;

use super::{ORIGINAL_ID, parts};
use crate::event::{Data, StoredEvent};

/// The event under `name`: its topic, or the spelling that the reader asked for. The id and source are the log's own;
/// the producer's stand in `originalid` and `originalsource`. Erased data is left out.
pub fn structured(event: &StoredEvent, name: &str) -> Vec<u8> {
    let attributes = event.attributes();
    let mut out = Object::default();
    out.text("specversion", "1.0");
    out.text("id", &event.id.to_string());
    out.text("source", &event.source);
    out.text("type", name);
    let time = event.time.to_string();
    out.text("time", attributes.occurred.as_deref().unwrap_or(&time));
    out.text("recordedtime", &time);
    out.optional("subject", event.subject.as_deref());
    out.optional("correlationid", event.correlation.as_deref());
    out.optional("causationid", event.causation.map(|c| c.to_string()).as_deref());
    out.optional("dataschema", attributes.dataschema.as_deref());
    out.optional("traceparent", attributes.traceparent.as_deref());
    out.optional("schemaviolation", attributes.schema_violation.as_deref());
    if !attributes.extensions.contains_key(ORIGINAL_ID) {
        out.optional(ORIGINAL_ID, attributes.source_id.as_deref());
    }
    if !attributes.extensions.contains_key("sequence") {
        // Of one width, as the extension asks for a text whose order is that of the events.
        out.text("sequence", &format!("{:020}", event.seq));
    }
    for (name, value) in parts::shown(&attributes.extensions) {
        if !TAKEN.contains(&name) {
            out.value(name, value);
        }
    }
    if let Data::Present { json, .. } = &event.data {
        out.text("datacontenttype", attributes.datacontenttype.as_deref().unwrap_or("application/json"));
        out.raw(if attributes.binary { "data_base64" } else { "data" }, json);
    }
    out.finish()
}

/// Names that are written from fields; an extension of the same name would be a key that stands twice.
const TAKEN: &[&str] = &[
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "recordedtime",
    "subject",
    "correlationid",
    "causationid",
    "dataschema",
    "traceparent",
    "schemaviolation",
    "datacontenttype",
    "data",
];

/// A JSON object that is written member by member, so that the data goes in byte for byte.
#[derive(Default)]
struct Object(Vec<u8>);

impl Object {
    fn text(&mut self, name: &str, text: &str) {
        self.value(name, &Value::from(text));
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn value(&mut self, name: &str, value: &Value) {
        self.raw(name, value.to_string().as_bytes());
    }

    /// `name` is one of ours or has letters and digits only.
    fn raw(&mut self, name: &str, json: &[u8]) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        self.0.extend_from_slice(json);
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}
