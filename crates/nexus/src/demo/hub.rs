//! The hub of the demo: a child process on a fresh folder, as it would run anywhere else.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

use super::PATIENCE;
use crate::output::Failure;

/// How long the hub may take to end once it was told to.
const GRACE: Duration = Duration::from_secs(15);
/// Where the hub's log lines go.
const LOG: &str = "hub.log";

/// A running hub. Dropped, it is killed.
pub(crate) struct ChildHub {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
    data: PathBuf,
    urls: Vec<String>,
    token: String,
}

impl ChildHub {
    /// Starts `nexus serve --dev` on a fresh folder and waits until it is ready.
    pub(crate) async fn start(addresses: &[String]) -> Result<Self, Failure> {
        let data = std::env::temp_dir().join(format!("nexus-demo-{}", std::process::id()));
        std::fs::create_dir_all(&data)?;
        Self::start_on(data, addresses).await
    }

    /// Pulls the plug: SIGKILL, no goodbye.
    pub(crate) async fn kill(&mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }

    /// Starts it again after [`Self::kill`], on the folder and the addresses that it had.
    pub(crate) async fn start_again(&mut self) -> Result<(), Failure> {
        let addresses: Vec<String> = self.urls.iter().map(|url| url.replace("http://", "")).collect();
        *self = Self::start_on(self.data.clone(), &addresses).await?;
        Ok(())
    }

    async fn start_on(data: PathBuf, addresses: &[String]) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(data.join(LOG))?;
        let mut command = Command::new(program);
        command.args(["serve", "--dev", "--log-format", "json", "--data"]).arg(&data);
        for address in addresses {
            command.args(["--listen", address]);
        }
        // Settings of this shell, or a nexus.toml that happens to lie here, are for another hub.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|n| n.starts_with("NEXUS_") || n == "PORT") {
                command.env_remove(name);
            }
        }
        // Ctrl-C is for this command, which then ends the hub in order; the hub itself must not hear it twice.
        command.process_group(0);
        command.current_dir(&data).stdin(Stdio::null()).stdout(log).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| Failure::failed(format!("the hub can't be started: {e}")))?;
        let stderr = child.stderr.take().ok_or_else(|| Failure::failed("the hub has no standard error"))?;
        let mut hub =
            Self { child, stderr: BufReader::new(stderr).lines(), data, urls: Vec::new(), token: String::new() };
        match tokio::time::timeout(PATIENCE, hub.ready()).await {
            Ok(Ok(())) => Ok(hub),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::failed(format!("the hub was not ready within {} s", PATIENCE.as_secs()))),
        }
    }

    /// Reads what the hub says to people until the last of its addresses.
    async fn ready(&mut self) -> Result<(), Failure> {
        let mut said = Vec::new();
        while let Some(line) = self.stderr.next_line().await? {
            match line.strip_prefix("listening on ") {
                Some(url) => self.urls.push(url.trim().to_owned()),
                None => said.push(line),
            }
            if said.last().is_some_and(|line| line == "ready") {
                self.token =
                    std::fs::read_to_string(self.data.join(nexus_client::discover::TOKEN_FILE))?.trim().to_owned();
                return Ok(());
            }
        }
        Err(Failure::failed(format!("the hub did not start: {}", said.join("\n"))))
    }

    /// Its first address.
    pub(crate) fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    pub(crate) fn urls(&self) -> &[String] {
        &self.urls
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Waits until the hub ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) -> Failure {
        // Someone has to read what it says, or it would wait for room in the pipe.
        let mut last = String::new();
        while let Ok(Some(line)) = self.stderr.next_line().await {
            last = line;
        }
        let status = self.child.wait().await.map_or_else(|e| e.to_string(), |s| s.to_string());
        Failure::failed(format!("the hub ended ({status}): {last}; its log is {}", self.data.join(LOG).display()))
    }

    /// Tells it to end, waits, and removes its folder unless it is worth a look.
    pub(crate) async fn stop(mut self, keep: bool) -> Result<(), Failure> {
        if let Some(pid) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // A hub that has just ended by itself is fine, too.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let ended = tokio::time::timeout(GRACE, self.child.wait()).await;
        if keep {
            crate::output::note(&format!("the hub's folder and log are kept in {}", self.data.display()));
        } else {
            let _ = std::fs::remove_dir_all(&self.data);
        }
        match ended {
            Ok(Ok(status)) if status.success() || keep => Ok(()),
            Ok(Ok(status)) => Err(Failure::failed(format!("the hub ended with {status}"))),
            Ok(Err(e)) => Err(e.into()),
            Err(_) => Err(Failure::failed(format!("the hub did not end within {} s", GRACE.as_secs()))),
        }
    }
}
