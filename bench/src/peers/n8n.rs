//! n8n: a webhook, one expression, its answer, in a database of its own that is empty.
//!
//! It is looked for in the folder `n8n` within the one that `NEXUS_BENCH_PEERS` names. Version 1.123's dependency `xlsx`
//! needs `"overrides": {"xlsx": "0.18.5"}` there before `npm install n8n@1.123.81 node@24`. Its `legacy` expression
//! engine is the one that is fast: the other makes an isolate for each run.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    error::{Doing, Error, Fallible, within},
    http::{Connection, Http},
    process::{Server, free_address},
};

/// How long one of its commands may take; the first migrates the database.
const COMMAND: Duration = Duration::from_secs(180);

/// Starts one of its own; `None` where it is not installed.
pub(crate) async fn start(folder: &Path) -> Fallible<Option<Server>> {
    let Some(programs) = programs() else { return Ok(None) };
    let folder = folder.join("n8n");
    std::fs::create_dir_all(&folder).doing(format_args!("creating {}", folder.display()))?;
    let file = folder.join("workflow.json");
    std::fs::write(&file, workflow().to_string()).doing("writing the workflow")?;
    let addr = free_address()?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(programs.join("node"));
        command.arg(programs.join("n8n")).args(arguments).current_dir(&folder);
        for (name, value) in [
            ("N8N_EXPRESSION_ENGINE", "legacy"),
            ("N8N_RUNNERS_ENABLED", "false"),
            ("N8N_DIAGNOSTICS_ENABLED", "false"),
            ("N8N_VERSION_NOTIFICATIONS_ENABLED", "false"),
            ("N8N_TEMPLATES_ENABLED", "false"),
            ("N8N_LISTEN_ADDRESS", "127.0.0.1"),
            ("N8N_LOG_LEVEL", "warn"),
        ] {
            command.env(name, value);
        }
        command.env("N8N_USER_FOLDER", &folder).env("N8N_PORT", addr.port().to_string());
        command
    };
    let input = format!("--input={}", file.display());
    for arguments in [["import:workflow", &input, ""], ["update:workflow", "--id=benchbenchbench1", "--active=true"]] {
        let arguments: Vec<&str> = arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
        let done = async { command(&arguments).output().await.doing("running n8n") };
        let done = within(COMMAND, "waiting for n8n", done).await?;
        if !done.status.success() {
            return Err(Error::new(format!("n8n {}: {}", arguments[0], String::from_utf8_lossy(&done.stderr))));
        }
    }
    let server = Server::start_at(command(&["start"]), addr, &folder.join("log")).await?;
    answers(addr).await?;
    Ok(Some(server))
}

/// The request that begins the workflow.
pub(crate) fn request(addr: SocketAddr, body: &str) -> String {
    format!(
        "POST /webhook/bench HTTP/1.1\r\nhost: {addr}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn programs() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("NEXUS_BENCH_PEERS")?).join("n8n/node_modules/.bin");
    (folder.join("n8n").is_file() && folder.join("node").is_file()).then_some(folder)
}

fn workflow() -> Value {
    let node = |id: &str, name: &str, kind: &str, version: f64, parameters: Value| {
        json!({"id": id, "name": name, "type": format!("n8n-nodes-base.{kind}"), "typeVersion": version,
            "position": [0, 0], "webhookId": id, "parameters": parameters})
    };
    let next = |name: &str| json!({"main": [[{"node": name, "type": "main", "index": 0}]]});
    let total = json!({"id": "total", "name": "total", "value": "={{ $json.body.amount * 2 }}", "type": "number"});
    json!({
        "id": "benchbenchbench1", "name": "bench", "active": true, "settings": {"executionOrder": "v1"},
        "connections": {"Webhook": next("Set"), "Set": next("Answer")},
        "nodes": [
            node("hook", "Webhook", "webhook", 2.0, json!({"httpMethod": "POST", "path": "bench", "responseMode": "responseNode"})),
            node("set", "Set", "set", 3.4, json!({"assignments": {"assignments": [total]}})),
            node("answer", "Answer", "respondToWebhook", 1.1, json!({"respondWith": "firstIncomingItem"})),
        ],
    })
}

/// It listens some seconds before it knows its webhooks.
async fn answers(addr: SocketAddr) -> Fallible<()> {
    let request = request(addr, r#"{"amount":1}"#);
    let mut last = String::new();
    for _ in 0..300 {
        if let Ok(mut connection) = Connection::open(addr).await {
            match connection.exchange(request.as_bytes(), &Http).await {
                Ok(answer) if answer.status < 300 => return Ok(()),
                Ok(answer) => last = String::from_utf8_lossy(&connection.body(&answer)).into_owned(),
                Err(error) => last = error.to_string(),
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(Error::new(format!("n8n did not answer the webhook: {last}")))
}
