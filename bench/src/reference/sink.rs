//! The receiving end of deliveries: counts, and can tell how old each one was on arrival.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::template::wall_nanos;

/// Ages that are kept; later ones are counted only.
const AGES: usize = 200_000;
/// How long a request may wait for a count.
const WAIT: Duration = Duration::from_secs(120);

#[derive(Clone, Default)]
struct Sink(Arc<Counted>);

#[derive(Default)]
struct Counted {
    count: AtomicU64,
    ages: Mutex<Vec<u64>>,
    first: Mutex<Option<Vec<u8>>>,
}

/// `/sink` counts, `/sink/timed` also keeps ages; the others are for the bench itself.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/sink", post(receive))
        .route("/sink/timed", post(receive_timed))
        .route("/sink/count", get(count))
        .route("/sink/wait/{count}", get(wait))
        .route("/sink/ages", get(ages))
        .route("/sink/first", get(first))
        .route("/sink/reset", post(reset))
        .with_state(Sink::default())
}

async fn receive(State(Sink(sink)): State<Sink>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if sink.count.fetch_add(1, Ordering::Relaxed) == 0 {
        *sink.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(request(&headers, &body));
    }
    StatusCode::OK
}

async fn receive_timed(State(Sink(sink)): State<Sink>, body: Bytes) -> StatusCode {
    let now = wall_nanos();
    if let Some(sent) = sent(&body) {
        let mut ages = sink.ages.lock().unwrap_or_else(PoisonError::into_inner);
        if ages.len() < AGES {
            ages.push(now.saturating_sub(sent));
        }
    }
    sink.count.fetch_add(1, Ordering::Relaxed);
    StatusCode::OK
}

async fn count(State(Sink(sink)): State<Sink>) -> Json<Value> {
    Json(json!({"count": sink.count.load(Ordering::Relaxed)}))
}

/// Answers when so many have arrived, or with fewer when the time is up.
async fn wait(State(Sink(sink)): State<Sink>, Path(wanted): Path<u64>) -> Json<Value> {
    let arrived = async {
        while sink.count.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = tokio::time::timeout(WAIT, arrived).await;
    Json(json!({"count": sink.count.load(Ordering::Relaxed)}))
}

async fn ages(State(Sink(sink)): State<Sink>) -> Json<Vec<u64>> {
    Json(sink.ages.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// The first request since the reset, written out again: what a bare client has to send to do the same work.
async fn first(State(Sink(sink)): State<Sink>) -> Result<Bytes, StatusCode> {
    let first = sink.first.lock().unwrap_or_else(PoisonError::into_inner);
    first.clone().map(Bytes::from).ok_or(StatusCode::NOT_FOUND)
}

async fn reset(State(Sink(sink)): State<Sink>) -> Json<Value> {
    sink.ages.lock().unwrap_or_else(PoisonError::into_inner).clear();
    *sink.first.lock().unwrap_or_else(PoisonError::into_inner) = None;
    Json(json!({"count": sink.count.swap(0, Ordering::Relaxed)}))
}

fn request(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut text = b"POST /sink HTTP/1.1\r\n".to_vec();
    // The body is written out in one piece, however it came.
    for (name, value) in headers.iter().filter(|(n, _)| !matches!(n.as_str(), "content-length" | "transfer-encoding")) {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    text.extend_from_slice(body);
    text
}

/// The `sent_ns` of a body, found without parsing it: the sink must not be what is measured.
fn sent(body: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"sent_ns\":";
    let at = body.windows(NAME.len()).position(|w| w == NAME)? + NAME.len();
    let digits = body[at..].split(|b| !b.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
