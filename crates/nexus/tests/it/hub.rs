//! A hub as a process: started on a free port and a folder, read line by line, ended as a test needs it.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_nexus")
}

/// A command of the binary that sees nothing of the shell that runs the tests.
pub fn nexus(dir: &Path) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| n.starts_with("NEXUS_") || ["PORT", "SSL_CERT_FILE"].contains(&n)) {
            command.env_remove(name);
        }
    }
    command.current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub async fn run(dir: &Path, args: &[&str]) -> Output {
    let output = nexus(dir).args(args).output();
    tokio::time::timeout(PATIENCE, output).await.expect("it ends in time").expect("it runs")
}

/// What a program printed, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running hub. Dropped, it is killed.
pub struct Hub {
    child: Child,
    /// Its data folder.
    pub data: PathBuf,
    /// Its first address.
    pub url: String,
    stdout: Lines,
    stderr: Lines,
    _readers: JoinSet<()>,
}

/// Lines as they come.
#[derive(Clone)]
struct Lines(Arc<Mutex<Vec<String>>>, watch::Sender<usize>);

impl Lines {
    fn new() -> Self {
        Self(Arc::default(), watch::channel(0).0)
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no reader panics").clone()
    }

    async fn read(self, from: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.0.lock().expect("no reader panics").push(line);
            self.1.send_modify(|count| *count += 1);
        }
    }

    /// Waits until a line holds `wanted`.
    async fn with(&self, wanted: &str) -> Option<String> {
        let mut changed = self.1.subscribe();
        let search = async {
            loop {
                if let Some(line) = self.all().into_iter().find(|line| line.contains(wanted)) {
                    return line;
                }
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.ok()
    }
}

impl Hub {
    /// Starts `nexus serve` on `data` and waits until it is ready.
    pub async fn start(data: &Path, args: &[&str]) -> Self {
        Self::start_with(data, args, &[]).await
    }

    /// As [`Self::start`], with variables.
    pub async fn start_with(data: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        std::fs::create_dir_all(data).expect("a folder");
        let mut command = nexus(data);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(args);
        // A machine that stands still for a while is no address that can't be reached.
        command.env("NEXUS_DELIVERY_CONNECT_TIMEOUT", "1m");
        command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the hub starts");
        let (stdout, stderr) = (Lines::new(), Lines::new());
        let mut readers = JoinSet::new();
        readers.spawn(stdout.clone().read(child.stdout.take().expect("piped")));
        readers.spawn(stderr.clone().read(child.stderr.take().expect("piped")));
        stderr
            .with("ready")
            .await
            .unwrap_or_else(|| panic!("the hub is not ready: {:?} {:?}", stdout.all(), stderr.all()));
        let line = stderr.with("listening on http").await;
        let line = line.expect("it said so before it was ready");
        let url = line.trim_start_matches("listening on ").to_owned();
        Self { child, data: data.to_owned(), url, stdout, stderr, _readers: readers }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.split_once("://").map_or(self.url.as_str(), |(_, address)| address)
    }

    /// The token of its first start.
    pub fn token(&self) -> String {
        std::fs::read_to_string(self.data.join("admin.token")).expect("a token").trim().to_owned()
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        Client::new(&self.url, Some(&self.token())).expect("a good URL").timeout(PATIENCE)
    }

    /// Runs a command against it.
    pub async fn cli(&self, args: &[&str]) -> Output {
        let token = self.token();
        run(&self.data, &[&["--url", &self.url, "--token", &token], args].concat()).await
    }

    /// Runs a command against it that must end well, and reads its JSON.
    pub async fn json(&self, args: &[&str]) -> serde_json::Value {
        let output = self.cli(&[args, &["--json"]].concat()).await;
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {}", text(&output.stdout)))
    }

    /// Every line of standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// Every line of standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Waits for a log line that holds `wanted`.
    pub async fn logged(&self, wanted: &str) -> String {
        self.stdout.with(wanted).await.unwrap_or_else(|| panic!("no line says {wanted:?}: {:#?}", self.stdout()))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Pulls the plug.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("it runs");
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").expect("it ran")
    }

    /// Asks it to end, and waits for a good end.
    pub async fn stop(mut self) {
        self.terminate();
        let status = self.ended().await;
        assert!(status.success(), "{status}: {:#?}", self.stdout());
    }
}
