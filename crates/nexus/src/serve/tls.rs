//! The certificate of the doors: from its files at the start, and again whenever they change.

use std::{path::PathBuf, time::Duration};

use nexus_engine::{Hub, supervisor::TaskKind};
use nexus_gateway::Tls;

use crate::output::Failure;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
type Stamp = Option<(std::time::SystemTime, u64)>;

/// The files, and what was last read from them.
pub(crate) struct TlsFiles {
    cert: PathBuf,
    key: PathBuf,
    seen: [Stamp; 2],
    tls: Tls,
}

impl TlsFiles {
    /// Reads both. A wrong one ends the start.
    pub(crate) fn read((cert, key): (PathBuf, PathBuf)) -> Result<Self, Failure> {
        let seen = [stamp(&cert), stamp(&key)];
        let wrong = |reason: String| Failure::usage(format!("[tls] {reason}"));
        let (chain, secret) = (load(&cert).map_err(wrong)?, load(&key).map_err(wrong)?);
        let tls = Tls::new(&chain, &secret).map_err(|e| wrong(e.to_string()))?;
        Ok(Self { cert, key, seen, tls })
    }

    /// What connections are opened with, kept up to date from now on.
    pub(crate) fn watch(self, hub: &Hub) -> Tls {
        let tls = self.tls.clone();
        hub.spawn().start(TaskKind::Background, async move {
            let mut files = self;
            // Files change in real time, wherever the hub's own may have been moved to.
            let mut tick = tokio::time::interval(PERIOD);
            loop {
                tick.tick().await;
                files.look();
            }
        });
        tls
    }

    /// Reads them again when one has changed. While the two do not fit, as in the middle of a renewal, the last good ones
    /// stay in force.
    fn look(&mut self) {
        let now = [stamp(&self.cert), stamp(&self.key)];
        if now == self.seen {
            return;
        }
        self.seen = now;
        let read = load(&self.cert).and_then(|chain| Ok((chain, load(&self.key)?)));
        let replaced = read.and_then(|(chain, key)| self.tls.replace(&chain, &key).map_err(|e| e.to_string()));
        match replaced {
            Ok(()) => tracing::info!(cert = %self.cert.display(), "the certificate is in force"),
            Err(reason) => {
                tracing::error!(reason, "the new certificate can't be used; the last good one stays in force");
            }
        }
    }
}

fn load(file: &std::path::Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))
}

fn stamp(file: &std::path::Path) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}
