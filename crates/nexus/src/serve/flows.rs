//! Flow files: published at the start and whenever they change. What a folder holds is what its flows are: a file that is
//! gone takes its flow away, and one that is wrong leaves the last good version in force.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nexus_core::access::Principal;
use nexus_engine::{Hub, supervisor::TaskKind};
use nexus_flows::{
    files,
    host::{Flows, Publishing},
    yaml::DOCUMENT_BYTES,
};

/// How often the folder is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// Files of one folder.
const FILES: usize = 1_000;
/// Folders within folders.
const DEPTH: usize = 8;

/// What tells one state of a file from another.
type Stamp = (Option<SystemTime>, u64);

/// A folder that is watched.
struct Folder {
    flows: Flows,
    dir: PathBuf,
    seen: BTreeMap<PathBuf, Stamp>,
    /// There was such a folder.
    there: bool,
}

/// Publishes what the folder holds, and keeps watching it.
pub(super) async fn start(hub: &Hub, flows: &Flows, dir: PathBuf) {
    let mut folder = Folder { flows: flows.clone(), there: dir.is_dir(), dir, seen: BTreeMap::new() };
    folder.look().await;
    if folder.there {
        tracing::info!(dir = %folder.dir.display(), files = folder.seen.len(), "flow files are watched");
    }
    hub.spawn().start(TaskKind::Background, async move {
        loop {
            // As with the permissions: an advance of the test clock must not stop here.
            tokio::time::sleep(PERIOD).await;
            folder.look().await;
        }
    });
}

impl Folder {
    /// Publishes what changed since the last look.
    async fn look(&mut self) {
        let dir = self.dir.clone();
        if !dir.is_dir() && !self.there {
            return;
        }
        self.there = true;
        let mut found = BTreeMap::new();
        if let Err(error) = list(&dir, 0, &mut found) {
            // A folder that can't be read says nothing about its files.
            tracing::error!(dir = %dir.display(), %error, "the folder of flows can't be read");
            return;
        }
        let by = Principal::admin("files");
        for (path, stamp) in &found {
            if self.seen.get(path) != Some(stamp) {
                self.publish(path, &by).await;
            }
        }
        self.remove_lost(&found, &by).await;
        self.seen = found;
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.dir).unwrap_or(path).display().to_string()
    }

    async fn publish(&self, path: &Path, by: &Principal) {
        let file = self.name(path);
        let text = match std::fs::read(path) {
            Ok(bytes) if bytes.len() > DOCUMENT_BYTES => Err(format!("it has more than {DOCUMENT_BYTES} bytes")),
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let done = match text {
            Ok(text) => {
                let with = Publishing { file: Some(file.clone()) };
                self.flows.publish(&text, with, by).await.map_err(|problem| problem.message)
            }
            Err(reason) => Err(reason),
        };
        match done {
            Ok(done) => {
                self.flows.note_file(&file, None);
                if done.new {
                    let version = done.held.current.definition.id.to_string();
                    tracing::info!(file, flow = version, "a flow file was published");
                    // What is off needs nothing yet; it is told when it is turned on.
                    if done.held.flow.enabled {
                        for warning in self.flows.warnings(&done.held).await {
                            tracing::warn!(file, flow = version, "{warning}");
                        }
                    }
                }
            }
            Err(reason) => {
                tracing::error!(file, reason, "a flow file is wrong; what was published of it before stays in force");
                self.flows.note_file(&file, Some(reason));
            }
        }
    }

    /// Flows of files that are no longer there.
    async fn remove_lost(&self, found: &BTreeMap<PathBuf, Stamp>, by: &Principal) {
        let there: Vec<String> = found.keys().map(|path| self.name(path)).collect();
        self.flows.keep_files(&there);
        for held in self.flows.list() {
            let Some(file) = held.flow.origin.strip_prefix("file:") else { continue };
            if there.iter().any(|name| name == file) {
                continue;
            }
            match self.flows.remove(&held.flow.name, by).await {
                Ok(()) => tracing::info!(
                    file,
                    flow = held.flow.name,
                    "a flow file is gone, and its flow with it; its runs go on"
                ),
                Err(problem) => tracing::error!(file, error = problem.message, "a flow could not be taken away"),
            }
        }
    }
}

fn list(dir: &Path, depth: usize, found: &mut BTreeMap<PathBuf, Stamp>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if meta.is_dir() {
            if depth < DEPTH {
                list(&path, depth + 1, found)?;
            }
        } else if files::is_flow(&path) && found.len() < FILES {
            found.insert(path, (meta.modified().ok(), meta.len()));
        }
    }
    Ok(())
}
