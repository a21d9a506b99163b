//! The stand-ins' servers, each on a free port of this machine.

use axum::Router;
use nexus_client::Client;
use tokio::{net::TcpListener, task::JoinSet};

use super::{Teller, factory, neobot};
use crate::output::Failure;

/// The running stand-ins. Dropped, they end.
pub(crate) struct Cast {
    pub(crate) factory_url: String,
    pub(crate) neobot_url: String,
    _running: JoinSet<()>,
}

impl Cast {
    /// Starts them all.
    pub(crate) async fn start(hub: &Client, tell: &Teller) -> Result<Self, Failure> {
        let mut running = JoinSet::new();
        let (factory, mint) = factory::new(hub.clone(), tell.clone());
        running.spawn(mint);
        let factory_url = serve(&mut running, factory).await?;
        let neobot_url = serve(&mut running, neobot::new(tell.clone())).await?;
        Ok(Self { factory_url, neobot_url, _running: running })
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
