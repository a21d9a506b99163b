//! Neobot's stand-in: takes notifications for WhatsApp.

use axum::{Json, Router, extract::State, routing::post};
use serde::Deserialize;
use serde_json::Value;

use super::{Happening, Teller};

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

/// Neobot's door: `POST /api/notify {channel, to, message}`.
pub(crate) fn new(tell: Teller) -> Router {
    Router::new().route("/api/notify", post(notify)).with_state(tell)
}

async fn notify(State(tell): State<Teller>, Json(notice): Json<Notice>) -> Json<Value> {
    tell.tell(Happening::Notified(notice)).await;
    Json(serde_json::json!({"status": "sent"}))
}
