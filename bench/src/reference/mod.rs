//! Bare servers that do one thing each, as well as the same libraries can: the raw limit that a hub is measured against.

mod commit;
mod ingest;
mod proxy;
mod sink;
mod sockets;

use std::{
    io::{Read, Write},
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, process::Command};

use crate::{
    error::{Doing, Fallible},
    process::{READY, Server},
};

/// Starts the reference servers as a child of this process; `folder` holds what they make durable.
pub(crate) async fn start(folder: &Path) -> Fallible<Server> {
    let program = std::env::current_exe().doing("finding our own program")?;
    let mut command = Command::new(program);
    command.arg("serve-reference").arg("--data").arg(folder);
    Server::start(command, &folder.join("reference.log")).await
}

/// Serves every reference until standard input ends, which it does when the parent is gone.
pub(crate) async fn serve(folder: PathBuf) -> Fallible<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.doing("listening")?;
    let addr = listener.local_addr().doing("listening")?;
    let listener = listener.tap_io(|stream| {
        // Without it small answers wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    let router: Router = ingest::router(&folder)?.merge(sink::router()).merge(sockets::router()).merge(proxy::router());
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    writeln!(std::io::stdout(), "{READY}{addr}").doing("printing the address")?;
    axum::serve(listener, router).await.doing("serving")
}
