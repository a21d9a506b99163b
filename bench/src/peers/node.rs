//! Programs of the npm registry: the handler that is a flow's step, and Restate, whose own copy of it is.
//!
//! They are looked for in the folder that `NEXUS_BENCH_PEERS` names: `npm install @restatedev/restate-server
//! @restatedev/restate-sdk` there.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use tokio::process::Command;

use crate::{
    error::{Doing, Error, Fallible},
    http::{Connection, Http},
    process::{Server, free_address, installed},
};

const SCRIPT: &str = include_str!("handler.cjs");

/// Starts the handler as a plain server; `None` without Node.
pub(crate) async fn handler(folder: &Path) -> Fallible<Option<Server>> {
    start(folder, "plain", None).await
}

async fn start(folder: &Path, what: &str, modules: Option<&Path>) -> Fallible<Option<Server>> {
    let Some(node) = node() else { return Ok(None) };
    let script = folder.join("handler.cjs");
    std::fs::write(&script, SCRIPT).doing("writing the handler")?;
    let addr = free_address()?;
    let mut command = Command::new(node);
    command.arg(&script).arg(what).arg(addr.port().to_string());
    if let Some(modules) = modules {
        command.env("NODE_PATH", modules);
    }
    Server::start_at(command, addr, &folder.join(format!("{what}.log"))).await.map(Some)
}

/// Restate with its handler.
pub(crate) struct Restate {
    /// The server; its address is where flows are called.
    pub(crate) server: Server,
    /// The handler's process.
    pub(crate) handler: Server,
}

/// Node: the one beside the peers where there is one, as Restate's SDK wants a newer one than many machines have.
fn node() -> Option<PathBuf> {
    let beside = modules().map(|modules| modules.join(".bin/node")).filter(|node| node.is_file());
    beside.or_else(|| installed("node"))
}

fn modules() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("NEXUS_BENCH_PEERS")?).join("node_modules");
    folder.join(".bin/restate-server").is_file().then_some(folder)
}

/// Starts one of its own, empty, with the handler registered; `None` where it is not installed.
pub(crate) async fn restate(folder: &Path) -> Fallible<Option<Restate>> {
    let Some(modules) = modules() else { return Ok(None) };
    let Some(handler) = start(folder, "restate", Some(&modules)).await? else { return Ok(None) };
    let (ingress, admin, node) = (free_address()?, free_address()?, free_address()?);
    let mut command = Command::new(program(&modules)?);
    command.arg("--base-dir").arg(folder.join("restate-data")).current_dir(folder);
    command.env("RESTATE_INGRESS__BIND_ADDRESS", ingress.to_string());
    command.env("RESTATE_ADMIN__BIND_ADDRESS", admin.to_string());
    command.env("RESTATE_BIND_ADDRESS", node.to_string());
    command.env("RESTATE_DISABLE_TELEMETRY", "true");
    let server = Server::start_at(command, ingress, &folder.join("restate-server.log")).await?;
    register(admin, handler.addr).await?;
    Ok(Some(Restate { server, handler }))
}

/// The server itself: what npm puts in its place is a process around it, whose figures would say nothing.
fn program(modules: &Path) -> Fallible<PathBuf> {
    let folder = modules.join("@restatedev");
    let entries = std::fs::read_dir(&folder).doing(format_args!("looking into {}", folder.display()))?;
    let programs = entries.flatten().map(|entry| entry.path().join("bin/restate-server"));
    let mut found = programs.filter(|path| path.is_file() && !path.starts_with(folder.join("restate-server")));
    found.next().ok_or_else(|| Error::new(format!("{} holds no restate-server", folder.display())))
}

/// It takes a moment after the port is open.
async fn register(admin: SocketAddr, handler: SocketAddr) -> Fallible<()> {
    let body = json!({"uri": format!("http://{handler}")}).to_string();
    let request = format!(
        "POST /deployments HTTP/1.1\r\nhost: {admin}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut last = String::new();
    for _ in 0..100 {
        if let Ok(mut connection) = Connection::open(admin).await {
            match connection.exchange(request.as_bytes(), &Http).await {
                Ok(answer) if answer.status < 300 => return Ok(()),
                Ok(answer) => last = String::from_utf8_lossy(&connection.body(&answer)).into_owned(),
                Err(error) => last = error.to_string(),
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(Error::new(format!("Restate did not take the handler: {last}")))
}
