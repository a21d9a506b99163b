//! The stand-ins' servers, each on a free port of this machine.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, http::HeaderMap};
use nexus_client::Client;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::{Teller, factory, neobot};
use crate::output::Failure;

/// How often each thing was asked of the stand-ins, by its `Idempotency-Key`.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<BTreeMap<String, u32>>>);

impl Ledger {
    /// Counts a request: how often its key has come now. One without a key counts for nothing and can't be told apart.
    pub(crate) fn count(&self, headers: &HeaderMap) -> Option<(String, u32)> {
        let key = headers.get("idempotency-key")?.to_str().ok()?.to_owned();
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = asked.entry(key.clone()).or_default();
        *times += 1;
        Some((key, *times))
    }

    /// Every key and how often it came.
    pub(crate) fn all(&self) -> BTreeMap<String, u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The running stand-ins. Dropped, they end.
pub(crate) struct Cast {
    pub(crate) factory_url: String,
    pub(crate) neobot_url: String,
    pub(crate) ledger: Ledger,
    mint: watch::Sender<bool>,
    _running: JoinSet<()>,
}

impl Cast {
    /// Starts them all.
    pub(crate) async fn start(hub: &Client, tell: &Teller) -> Result<Self, Failure> {
        let mut running = JoinSet::new();
        let ledger = Ledger::default();
        let (open, gate) = watch::channel(false);
        let (factory, mint) = factory::new(hub.clone(), tell.clone(), ledger.clone(), gate);
        running.spawn(mint);
        let factory_url = serve(&mut running, factory).await?;
        let neobot_url = serve(&mut running, neobot::new(tell.clone(), ledger.clone())).await?;
        Ok(Self { factory_url, neobot_url, ledger, mint: open, _running: running })
    }

    /// Lets the factory mint; until then it only takes orders.
    pub(crate) fn let_mint(&self) {
        self.mint.send_replace(true);
    }
}

async fn serve(running: &mut JoinSet<()>, router: Router) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    running.spawn(async move {
        // It serves until it is dropped; an error of its listener shows as a step that does not happen.
        let _ = axum::serve(listener, router).await;
    });
    Ok(url)
}
