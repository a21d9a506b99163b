//! Neobot's stand-in: takes notifications for WhatsApp.

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use nexus_client::event::signature;
use serde::Deserialize;
use serde_json::Value;

use super::{Happening, NEOBOT_SIGNING_KEY, Teller, cast::Ledger};

/// What Neobot is asked to send.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Notice {
    /// `whatsapp`.
    pub(crate) channel: String,
    /// To whom.
    pub(crate) to: Value,
    /// What.
    pub(crate) message: String,
}

/// Neobot's door: `POST /api/notify {channel, to, message}`, signed in `X-Nexus-Signature` over the raw body.
pub(crate) fn new(tell: Teller, ledger: Ledger) -> Router {
    Router::new().route("/api/notify", post(notify)).with_state((tell, ledger))
}

async fn notify(State((tell, ledger)): State<(Teller, Ledger)>, headers: HeaderMap, body: Bytes) -> Response {
    let refuse = async |status: StatusCode, reason: &str| {
        tell.tell(Happening::Refused { who: "Neobot", reason: reason.to_owned() }).await;
        (status, Json(serde_json::json!({ "message": reason }))).into_response()
    };
    let proof = headers.get("x-nexus-signature").and_then(|v| v.to_str().ok());
    if proof != Some(&signature(NEOBOT_SIGNING_KEY, &body)) {
        return refuse(StatusCode::UNAUTHORIZED, "the notification has no or a wrong X-Nexus-Signature").await;
    }
    let Ok(notice) = serde_json::from_slice::<Notice>(&body) else {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "the notification is not {channel, to, message}").await;
    };
    match ledger.count(&headers) {
        None => return refuse(StatusCode::BAD_REQUEST, "the notification has no Idempotency-Key").await,
        Some((_, 1)) => tell.tell(Happening::Notified(notice)).await,
        // Told again, it sends nothing again.
        Some(_) => {}
    }
    Json(serde_json::json!({"status": "sent"})).into_response()
}
