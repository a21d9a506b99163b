//! Receiving signed events: nothing; HMAC and parse; the same and one synced append before the answer.

use std::{borrow::Cow, path::Path};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::post,
};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use ring::hmac;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::commit::Committer;
use crate::{error::Fallible, hub::SECRET};

#[derive(Clone)]
struct Ingest {
    key: hmac::Key,
    committer: Committer,
}

/// What is read of a body: enough to route the event, and the proof that the rest is JSON.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, alias = "type")]
    event: Cow<'a, str>,
    #[serde(borrow, alias = "data")]
    payload: &'a RawValue,
}

/// `/raw`, `/hmac`, `/durable` and `/durable-batch`.
pub(crate) fn router(folder: &Path) -> Fallible<Router> {
    let state =
        Ingest { key: hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), committer: Committer::start(folder)? };
    Ok(Router::new()
        .route("/raw", post(raw))
        .route("/hmac", post(checked))
        .route("/durable", post(durable))
        .route("/durable-batch", post(durable_batch))
        .with_state(state))
}

/// Reads the body, since any server has to.
async fn raw(_body: Bytes) -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn checked(State(state): State<Ingest>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    match verify(&state.key, &headers, &body).and_then(|()| one(&body)) {
        Ok(()) => accepted(),
        Err(status) => refused(status),
    }
}

async fn durable(State(state): State<Ingest>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    match verify(&state.key, &headers, &body).and_then(|()| one(&body)) {
        Ok(()) => commit(&state, body).await,
        Err(status) => refused(status),
    }
}

async fn durable_batch(State(state): State<Ingest>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    match verify(&state.key, &headers, &body).and_then(|()| many(&body)) {
        Ok(()) => commit(&state, body).await,
        Err(status) => refused(status),
    }
}

type Reply = (StatusCode, [(axum::http::HeaderName, &'static str); 1], &'static str);

async fn commit(state: &Ingest, body: Bytes) -> Reply {
    match state.committer.append(body).await {
        Ok(()) => accepted(),
        Err(_) => refused(StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn accepted() -> Reply {
    (StatusCode::OK, [(CONTENT_TYPE, "application/json")], r#"{"status":"accepted"}"#)
}

fn refused(status: StatusCode) -> Reply {
    (status, [(CONTENT_TYPE, "application/json")], r#"{"status":"refused"}"#)
}

fn verify(key: &hmac::Key, headers: &HeaderMap, body: &[u8]) -> Result<(), StatusCode> {
    let given = headers.get("x-nexus-signature").ok_or(StatusCode::UNAUTHORIZED)?;
    let tag = HEXLOWER.decode(given.as_bytes()).map_err(|_| StatusCode::UNAUTHORIZED)?;
    hmac::verify(key, body, &tag).map_err(|_| StatusCode::UNAUTHORIZED)
}

fn one(body: &[u8]) -> Result<(), StatusCode> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    plausible(&envelope)
}

fn many(body: &[u8]) -> Result<(), StatusCode> {
    let events: Vec<Envelope<'_>> = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    events.iter().try_for_each(plausible)
}

fn plausible(envelope: &Envelope<'_>) -> Result<(), StatusCode> {
    let empty = envelope.event.is_empty() || envelope.payload.get().is_empty();
    if empty { Err(StatusCode::BAD_REQUEST) } else { Ok(()) }
}
