//! Structured and batch mode: the JSON event format.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::value::RawValue;

use super::{
    CloudEvent,
    parts::{Parts, Payload},
};
use crate::{
    json,
    limits::{BATCH_EVENTS, JSON_DEPTH},
    problem::{Code, Problem},
};

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// One event in structured mode. Its data stays a slice of `body`.
pub fn structured(body: &Bytes) -> Result<CloudEvent, Problem> {
    json::check(body, JSON_DEPTH)?;
    let members: Members<'_> = serde_json::from_slice(body).map_err(|_| no_object("the body"))?;
    event(members, |raw| body.slice_ref(raw.as_bytes()))
}

/// The events of a batch, all or none. An empty batch is valid.
pub fn batch(body: &[u8]) -> Result<Vec<CloudEvent>, Problem> {
    json::check(body, JSON_DEPTH)?;
    let items: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|_| Problem::new(Code::Malformed, "the body is no JSON array; a batch is an array of CloudEvents"))?;
    if items.len() > BATCH_EVENTS {
        let message = format!("the batch has {} events; at most {BATCH_EVENTS} are allowed", items.len());
        return Err(Problem::new(Code::TooLarge, message));
    }
    let read = |item: &RawValue| {
        let members: Members<'_> = serde_json::from_str(item.get()).map_err(|_| no_object("it"))?;
        // Copied, as one event that is kept would keep the whole batch.
        event(members, |raw| Bytes::copy_from_slice(raw.as_bytes()))
    };
    items.into_iter().enumerate().map(|(i, item)| read(item).map_err(|problem| numbered(i, problem))).collect()
}

fn numbered(index: usize, mut problem: Problem) -> Problem {
    problem.message = format!("event {index} of the batch: {}", problem.message);
    problem
}

fn no_object(what: &str) -> Problem {
    Problem::new(Code::Malformed, format!("{what} is no JSON object; a CloudEvent is an object"))
}

fn event<'a>(members: Members<'a>, keep: impl Fn(&'a str) -> Bytes) -> Result<CloudEvent, Problem> {
    let mut parts = Parts::default();
    let mut payload = Payload::Absent;
    for (name, raw) in members {
        match name.as_str() {
            "data" if matches!(payload, Payload::Absent) => payload = Payload::Json(keep(raw.get())),
            "data_base64" if raw.get() == "null" => {}
            "data_base64" if matches!(payload, Payload::Absent) => payload = Payload::Decoded(decoded(raw)?),
            "data" | "data_base64" => {
                return Err(Problem::field("data_base64", "data and data_base64 exclude each other; send one"));
            }
            name => {
                let value = serde_json::from_str(raw.get())
                    .map_err(|_| Problem::field(name, "an attribute must be a string, an integer or a boolean"))?;
                parts.set(name, value)?;
            }
        }
    }
    parts.finish(payload)
}

fn decoded(raw: &RawValue) -> Result<Vec<u8>, Problem> {
    let text: String =
        serde_json::from_str(raw.get()).map_err(|_| Problem::field("data_base64", "must be a string of base64"))?;
    BASE64.decode(text.as_bytes()).map_err(|error| {
        Problem::field("data_base64", format!("is no base64: {error}; use the standard alphabet with padding"))
    })
}
