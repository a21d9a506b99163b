//! The hub under test: its binary on a folder of its own, and the few administrative calls that the runs need.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    error::{Doing, Error, Fallible},
    http::{Connection, Http},
    load::{self, Tally},
    process::{Server, free_address},
    template::{Template, batch_body, single_body},
};

/// Secret of the source that all runs sign as.
pub(crate) const SECRET: &str = "bench-secret-0123456789abcdef0123456789abcdef";
/// Events of one request when a log is filled.
const FILL_BATCH: usize = 500;

/// A running hub.
pub(crate) struct Hub {
    /// Its process.
    pub(crate) server: Server,
    /// The administrator's token.
    pub(crate) token: String,
    nexus: PathBuf,
    data: PathBuf,
}

impl Hub {
    /// Starts `nexus` on the folder `data`, which is made when it is not there.
    pub(crate) async fn start(nexus: &Path, data: &Path) -> Fallible<Self> {
        std::fs::create_dir_all(data).doing(format_args!("creating {}", data.display()))?;
        let mut command = Command::new(nexus);
        command.arg("serve").arg("--listen").arg(free_address()?.to_string()).arg("--data").arg(data);
        // Administration is limited for each token, and a bench has one.
        command.current_dir(data).env("NEXUS_INGRESS_API_RATE", "off");
        let server = Server::start(command, &data.with_extension("log")).await?;
        let token = std::fs::read_to_string(data.join("admin.token")).doing("reading admin.token")?;
        Ok(Self { server, token: token.trim().to_owned(), nexus: nexus.to_owned(), data: data.to_owned() })
    }

    /// Starts on a new folder and adds the source `bench` without a rate limit.
    pub(crate) async fn fresh(nexus: &Path, data: &Path) -> Fallible<Self> {
        let hub = Self::start(nexus, data).await?;
        let source = json!({"id": "bench", "secrets": [SECRET], "rate_limit": "off"});
        hub.call("POST", "/api/v1/sources", Some(source)).await?;
        Ok(hub)
    }

    /// Stops it in good order, then starts it again on the same folder.
    pub(crate) async fn restart(self) -> Fallible<Self> {
        let (nexus, data) = (self.nexus.clone(), self.data.clone());
        self.server.stop().await?;
        Self::start(&nexus, &data).await
    }

    /// Kills it, then starts it again on the same folder.
    pub(crate) async fn crash(self) -> Fallible<Self> {
        let (nexus, data) = (self.nexus.clone(), self.data.clone());
        self.server.kill().await?;
        Self::start(&nexus, &data).await
    }

    /// The folder it keeps its data in.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// One administrative request; the `data` of its answer.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Fallible<Value> {
        let (status, mut answer) = self.raw_call(method, path, body).await?;
        if status >= 300 {
            return Err(Error::new(format!("{method} {path} was answered {status}: {answer}")));
        }
        Ok(answer.get_mut("data").map(Value::take).unwrap_or(answer))
    }

    async fn raw_call(&self, method: &str, path: &str, body: Option<Value>) -> Fallible<(u16, Value)> {
        let mut connection = Connection::open(self.server.addr).await?;
        let answer = connection.exchange(self.request(method, path, body).as_bytes(), &Http).await?;
        let json = serde_json::from_slice(&connection.body(&answer)).doing(format_args!("reading {path}"))?;
        Ok((answer.status, json))
    }

    /// The text of a request with the administrator's token.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<Value>) -> String {
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.server.addr,
            self.token,
            body.len()
        )
    }

    /// Waits until `GET /health` answers 200; the time since the process was executed.
    pub(crate) async fn healthy(&self) -> Fallible<Duration> {
        for _ in 0..10_000 {
            let answer = self.raw_call("GET", "/health", None).await;
            if let Ok((200, body)) = answer
                && body["status"] != "unhealthy"
            {
                return Ok(self.server.executed.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(Error::new("the hub did not become healthy"))
    }

    /// Puts `events` events into the log, in batches.
    pub(crate) async fn fill(&self, events: u64) -> Fallible<Tally> {
        let requests = events.div_ceil(FILL_BATCH as u64);
        // A hub built for debugging fills at about 2,000/s; the bound is for a hang, not a target.
        let limit = Duration::from_secs(60 + events / 1_000);
        load::send(self.server.addr, &Http, &batch(FILL_BATCH), 4, requests, limit).await
    }
}

/// One signed event a request.
pub(crate) fn single(timed: bool) -> Template {
    Template::signed("/events", "application/json", &single_body(timed), 1, SECRET)
}

/// A signed CloudEvents batch a request.
pub(crate) fn batch(events: usize) -> Template {
    let kind = "application/cloudevents-batch+json";
    // Ids are dedupe keys: a second template on the same log must not repeat the first one's.
    let body = batch_body(events).replace("\"b-", &format!("\"b{:x}-", crate::template::wall_nanos()));
    Template::signed("/events", kind, &body, events as u64, SECRET)
}
