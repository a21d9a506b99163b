//! A way back in where every admin's token is lost: whoever holds the data folder makes a new one, while no hub runs.

use std::{path::PathBuf, sync::Arc};

use nexus_core::store::Store;
use nexus_engine::{clock::SystemClock, desk::Desk, tokens::Tokens};

use super::build::{admin_token, open_store};
use crate::{config::Config, offline::has_database, output::Failure};

/// Makes an admin's token in a stopped hub's folder: where it was left, and itself.
pub(crate) async fn recover(config: &Config, name: &str) -> Result<(PathBuf, String), Failure> {
    let dir = &config.data.dir;
    if !has_database(dir) {
        return Err(Failure::usage(format!("{} is no data folder of a hub; name it with --data", dir.display())));
    }
    let clock = Arc::new(SystemClock::new());
    // It is locked while a hub runs in it.
    let store = open_store(&config.data, clock.clone())?;
    let desk = Desk::new(Arc::clone(&store) as Arc<_>, clock);
    let made = async {
        let changes = Arc::new(tokio::sync::watch::channel(0).0);
        let tokens = Tokens::open(desk.clone(), changes).await.map_err(|e| Failure::failed(e.to_string()))?;
        admin_token(&Arc::new(tokens), &desk, dir, name).await
    };
    let token = made.await;
    store.close().await;
    Ok((dir.join(nexus_client::discover::TOKEN_FILE), token?))
}
