//! Smart Factory's stand-in: takes mint calls, "mints", and calls back signed.

use std::{future::Future, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use nexus_client::{
    Client, Error,
    event::{Accepted, SignedOptions, signature},
};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::{FACTORY_API_KEY, FACTORY_SECRET, Happening, Teller, cast::Ledger};

/// Headers by which the callback is tied to the event that caused the call.
const ECHOED: [&str; 3] = ["x-correlation-id", "x-causation-id", "x-nexus-depth"];

/// Attempts of a callback while the hub can't be reached.
const ATTEMPTS: u32 = 5;

/// A mint call as it came.
#[derive(Clone, Debug)]
pub(crate) struct MintCall {
    pub(crate) body: Value,
    pub(crate) key: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl MintCall {
    /// Which flow it says it belongs to.
    pub(crate) fn correlation(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == "x-correlation-id").map(|(_, value)| value.as_str())
    }

    /// The transaction a real factory would get from its chain: the same for the same call.
    fn tx_hash(&self) -> String {
        format!("0x{}", signature("tx", self.key.as_bytes()))
    }
}

struct Desk {
    tell: Teller,
    ledger: Ledger,
    jobs: mpsc::Sender<MintCall>,
}

/// The factory's door and its mint.
pub(crate) fn new(
    hub: Client,
    tell: Teller,
    ledger: Ledger,
    gate: watch::Receiver<bool>,
) -> (Router, impl Future<Output = ()> + Send + 'static) {
    let (jobs, queue) = mpsc::channel(64);
    let desk = Arc::new(Desk { tell: tell.clone(), ledger, jobs });
    (Router::new().route("/api/mint", post(mint_asked)).with_state(desk), mint(hub, queue, tell, gate))
}

/// `POST /api/mint {address, amount}` with `Authorization: Bearer <FACTORY_API_KEY>`.
async fn mint_asked(State(desk): State<Arc<Desk>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let proof = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    if proof != Some(&format!("Bearer {FACTORY_API_KEY}")) {
        let reason = "the mint call has no or a wrong Authorization header".to_owned();
        return refuse(&desk, StatusCode::UNAUTHORIZED, reason).await;
    }
    if !body.get("address").is_some_and(Value::is_string) || body.get("amount").is_none_or(Value::is_null) {
        return refuse(&desk, StatusCode::UNPROCESSABLE_ENTITY, format!("{body} has no address or amount")).await;
    }
    let Some((key, times)) = desk.ledger.count(&headers) else {
        let reason = "the mint call has no Idempotency-Key".to_owned();
        return refuse(&desk, StatusCode::BAD_REQUEST, reason).await;
    };
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(|v| (name.to_owned(), v.to_owned()));
    let call = MintCall { body, key, headers: ECHOED.iter().filter_map(|name| text(name)).collect() };
    let answer = serde_json::json!({"status": "accepted", "txHash": call.tx_hash()});
    if times > 1 {
        // The same order told again: it gets the same answer, and nothing is minted for it.
        return Json(answer).into_response();
    }
    desk.tell.tell(Happening::MintAsked(call.clone())).await;
    // The queue ends with the factory.
    let _ = desk.jobs.send(call).await;
    Json(answer).into_response()
}

async fn refuse(desk: &Desk, status: StatusCode, reason: String) -> Response {
    let answer = serde_json::json!({ "message": reason });
    desk.tell.tell(Happening::Refused { who: "Smart Factory", reason }).await;
    (status, Json(answer)).into_response()
}

/// Mints one call after the other and reports each to the hub's `/webhook/factory`.
async fn mint(hub: Client, mut queue: mpsc::Receiver<MintCall>, tell: Teller, mut gate: watch::Receiver<bool>) {
    while let Some(call) = queue.recv().await {
        if gate.wait_for(|open| *open).await.is_err() {
            return;
        }
        let tx_hash = call.tx_hash();
        tell.tell(Happening::Minted { tx_hash: tx_hash.clone() }).await;
        let report = serde_json::json!({
            "contractAddress": format!("0x{}", &signature("contract", b"demo")[..40]),
            "txHash": tx_hash,
            "status": "confirmed",
            "address": call.body.get("address"),
            "amount": call.body.get("amount"),
        });
        let options =
            SignedOptions { headers: call.headers, idempotency_key: Some(tx_hash), ..SignedOptions::default() };
        let happening = match call_back(&hub, &report, &options).await {
            Ok(accepted) => Happening::CalledBack(accepted),
            Err(error) => Happening::Refused { who: "Nexus", reason: format!("the factory's callback: {error}") },
        };
        tell.tell(happening).await;
    }
}

/// Calls back, again while the hub can't be reached: its connections from before may be dead ones.
async fn call_back(hub: &Client, report: &Value, options: &SignedOptions) -> Result<Accepted, Error> {
    let mut attempt = 1;
    loop {
        match hub.webhook("factory", report, FACTORY_SECRET, options).await {
            Err(error) if error.is_retryable() && attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}
