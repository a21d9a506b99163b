//! Requests that are written once and stamped for each use: a number, a time and a signature change, nothing else.
//!
//! All widths are fixed, so one buffer serves a connection for its whole life and a stamp costs little more than the
//! HMAC. Markers in the text say where the stamps go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use data_encoding::HEXLOWER;
use ring::hmac;

/// Replaced by a number that is never used twice.
pub(crate) const NUMBER: &str = "############";
/// Replaced by the wall time in nanoseconds at which the request was stamped.
pub(crate) const TIME: &str = "@@@@@@@@@@@@@@@@@@@";
/// Replaced by the lower-case hex HMAC-SHA256 of the body.
const SIGNATURE: &str = "$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$";
/// Type of every event that the bench sends.
pub(crate) const EVENT: &str = "order.created";
/// Bytes of an event's body where nothing else is asked for.
pub(crate) const BODY_BYTES: usize = 500;

#[derive(Clone)]
struct Signed {
    key: hmac::Key,
    body_at: usize,
    signature_at: usize,
}

/// A request with its stamps.
#[derive(Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    numbers_at: Vec<usize>,
    times_at: Vec<usize>,
    signed: Option<Signed>,
    next: Arc<AtomicU64>,
    /// Events that one request carries.
    pub(crate) events: u64,
}

impl Template {
    /// Any bytes, unsigned; for protocols other than HTTP and for requests that need no proof.
    pub(crate) fn plain(bytes: Vec<u8>, events: u64) -> Self {
        Self {
            numbers_at: find(&bytes, NUMBER),
            times_at: find(&bytes, TIME),
            bytes,
            signed: None,
            next: Arc::new(AtomicU64::new(0)),
            events,
        }
    }

    /// A `POST` of `body` to `path`, signed in `X-Nexus-Signature` under `secret`.
    pub(crate) fn signed(path: &str, content_type: &str, body: &str, events: u64, secret: &str) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nx-nexus-signature: {SIGNATURE}\r\n\r\n",
            body.len()
        );
        let signature_at = head.find(SIGNATURE).unwrap_or_default();
        let mut template = Self::plain(format!("{head}{body}").into_bytes(), events);
        template.signed = Some(Signed {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            body_at: head.len(),
            signature_at,
        });
        template
    }

    /// The request with fresh stamps.
    pub(crate) fn stamp(&mut self) -> &[u8] {
        let first = self.next.fetch_add(self.numbers_at.len() as u64, Ordering::Relaxed);
        for (number, at) in (first..).zip(&self.numbers_at) {
            write_digits(&mut self.bytes[*at..*at + NUMBER.len()], number);
        }
        if !self.times_at.is_empty() {
            let now = wall_nanos();
            for at in &self.times_at {
                write_digits(&mut self.bytes[*at..*at + TIME.len()], now);
            }
        }
        if let Some(signed) = &self.signed {
            let tag = hmac::sign(&signed.key, &self.bytes[signed.body_at..]);
            let slot = &mut self.bytes[signed.signature_at..signed.signature_at + SIGNATURE.len()];
            HEXLOWER.encode_mut(tag.as_ref(), slot);
        }
        &self.bytes
    }
}

/// Wall time in nanoseconds: the only clock that two processes share.
pub(crate) fn wall_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn find(bytes: &[u8], marker: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = bytes[at..].windows(marker.len()).position(|w| w == marker.as_bytes()) {
        found.push(at + next);
        at += next + marker.len();
    }
    found
}

fn write_digits(slot: &mut [u8], mut number: u64) {
    for digit in slot.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The data of one event: `bytes` long, numbered, and with its time of sending when `timed`.
pub(crate) fn data(bytes: usize, timed: bool) -> String {
    let sent = if timed { format!("\"sent_ns\":{TIME},") } else { String::new() };
    let head = format!(
        "{{\"order\":\"o-{NUMBER}\",{sent}\"amount\":1999,\"currency\":\"EUR\",\"customer\":\"c-4711\",\"note\":\""
    );
    let text = "a line of the order with a few words in it, ";
    let room = bytes.saturating_sub(head.len() + 2);
    let note: String = text.chars().cycle().take(room).collect();
    format!("{head}{note}\"}}")
}

/// A body of `POST /events`, [`BODY_BYTES`] long.
pub(crate) fn single_body(timed: bool) -> String {
    let wrap = |data: &str| format!("{{\"event\":\"{EVENT}\",\"payload\":{data}}}");
    let around = wrap("").len();
    wrap(&data(BODY_BYTES - around, timed))
}

/// A CloudEvents batch of `events`, each with [`BODY_BYTES`] in all.
pub(crate) fn batch_body(events: usize) -> String {
    let wrap = |data: &str| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"b-{NUMBER}\",\"source\":\"/bench\",\"type\":\"{EVENT}\",\"data\":{data}}}"
        )
    };
    let around = wrap("").len();
    let one = wrap(&data(BODY_BYTES - around, false));
    format!("[{}]", vec![one; events].join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_body_is_json_of_the_promised_size_and_never_repeats() {
        let mut template = Template::signed("/events", "application/json", &single_body(true), 1, "secret");
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 {
            let request = String::from_utf8(template.stamp().to_vec()).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.len(), BODY_BYTES);
            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(json["event"], EVENT);
            assert!(json["payload"]["sent_ns"].as_u64().unwrap() > 1_700_000_000_000_000_000);
            let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
            let tag = HEXLOWER.encode(hmac::sign(&key, body.as_bytes()).as_ref());
            assert!(head.ends_with(&format!("x-nexus-signature: {tag}")));
            assert!(seen.insert(json["payload"]["order"].as_str().unwrap().to_owned()));
        }
    }

    #[test]
    fn a_batch_numbers_each_event() {
        let mut template = Template::plain(batch_body(100).into_bytes(), 100);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..2 {
            let events: Vec<serde_json::Value> = serde_json::from_slice(template.stamp()).unwrap();
            assert_eq!(events.len(), 100);
            assert!(events.iter().all(|e| seen.insert(e["id"].as_str().unwrap().to_owned())));
        }
    }
}
