//! Servers as child processes: started on free loopback ports, ended with us.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::error::{Doing, Error, Fallible, within};

/// What a server of ours prints when it is ready.
pub(crate) const READY: &str = "listening on http://";
/// How long a server may take to be ready.
const START: Duration = Duration::from_secs(60);
/// How long a server may take to stop when asked.
const STOP: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Process id.
    pub(crate) pid: u32,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// When it was executed.
    pub(crate) executed: Instant,
    /// From there until it said that it is ready.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts a program that prints a line of [`READY`] and its address, on either of its outputs; `log` gets both.
    /// They go to a file, so that nobody has to read along while something is measured.
    pub(crate) async fn start(mut command: Command, log: &Path) -> Fallible<Self> {
        let executed = Instant::now();
        let mut child = spawn(&mut command, log)?;
        let ready = async {
            loop {
                if let Some(addr) = announced(&std::fs::read_to_string(log).unwrap_or_default()) {
                    return addr.parse::<SocketAddr>().doing(format_args!("reading the address {addr:?}"));
                }
                if let Some(status) = child.try_wait().doing("watching a server")? {
                    return Err(Error::new(format!("the server ended at once ({status}): {}", tail(log))));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let addr = within(START, "waiting for a server", ready).await?;
        let started_in = executed.elapsed();
        Ok(Self { pid: child.id().unwrap_or_default(), child, addr, executed, started_in })
    }

    /// Starts a program that is ready when `addr` accepts connections.
    pub(crate) async fn start_at(mut command: Command, addr: SocketAddr, log: &Path) -> Fallible<Self> {
        let executed = Instant::now();
        let mut child = spawn(&mut command, log)?;
        let ready = async {
            while TcpStream::connect(addr).await.is_err() {
                if let Some(status) = child.try_wait().doing("watching a server")? {
                    return Err(Error::new(format!("the server ended at once ({status}): {}", tail(log))));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        };
        within(START, "waiting for a server", ready).await?;
        Ok(Self { pid: child.id().unwrap_or_default(), child, addr, executed, started_in: executed.elapsed() })
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(mut self) -> Fallible<()> {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).doing("asking a server to end")?;
        }
        let waited = async { self.child.wait().await.doing("waiting for a server's end") };
        within(STOP, "waiting for a server's end", waited).await.map(|_| ())
    }

    /// Ends it as a crash would.
    pub(crate) async fn kill(mut self) -> Fallible<()> {
        self.child.kill().await.doing("killing a server")
    }
}

fn spawn(command: &mut Command, log: &Path) -> Fallible<Child> {
    let file = || {
        // Begun anew for each start, and written by two.
        std::fs::write(log, "")?;
        let file = std::fs::OpenOptions::new().append(true).open(log)?;
        Ok::<_, std::io::Error>((file.try_clone()?, file))
    };
    let (stdout, stderr) = file().doing(format_args!("creating {}", log.display()))?;
    // Settings of the person's own shell must not change what is measured.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NEXUS_") || name == "PORT" {
            command.env_remove(name);
        }
    }
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(stdout).stderr(stderr).kill_on_drop(true);
    command.spawn().doing(format_args!("starting {program}"))
}

/// The address in a complete line that begins with [`READY`].
fn announced(output: &str) -> Option<&str> {
    let complete = &output[..=output.rfind('\n')?];
    complete.lines().find_map(|line| line.strip_prefix(READY)).map(|addr| addr.trim().trim_end_matches('/'))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}

/// A loopback port that was free a moment ago.
pub(crate) fn free_address() -> Fallible<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("looking for a free port")?;
    listener.local_addr().doing("looking for a free port")
}

/// Where a program is installed, if it is.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_from_a_whole_line_of_its_own() {
        assert_eq!(announced("listening on http://127.0.0.1:80"), None);
        assert_eq!(announced("{\"msg\":\"listening on http://127.0.0.1:1\"}\n"), None);
        assert_eq!(announced("x\nlistening on http://127.0.0.1:8080\nready\n"), Some("127.0.0.1:8080"));
    }
}
