//! The permissions file: in force from the start, and again whenever it changes.

use std::{path::PathBuf, time::Duration};

use nexus_engine::{Hub, supervisor::TaskKind};

use crate::{config::read_permissions, output::Failure};

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// What tells one state of the file from another: its time of change and its length.
type Stamp = Option<(std::time::SystemTime, u64)>;

/// Puts the file in force and keeps watching it. A wrong file ends the start; a file that becomes wrong later leaves the
/// last good one in force.
pub(crate) fn start(hub: &Hub, file: PathBuf) -> Result<(), Failure> {
    let seen = stamp(&file);
    if seen.is_some() {
        apply(hub, &file).map_err(|reason| Failure::usage(format!("{}: {reason}", file.display())))?;
    }
    let watching = hub.clone();
    hub.spawn().start(TaskKind::Background, async move { watch(watching, file, seen).await });
    Ok(())
}

async fn watch(hub: Hub, file: PathBuf, mut seen: Stamp) {
    loop {
        // A matter of the file, not of the hub's time: an advance of the test clock would stop at every second of a week.
        tokio::time::sleep(PERIOD).await;
        let now = stamp(&file);
        if now == seen {
            continue;
        }
        seen = now;
        if seen.is_none() {
            hub.sources().set_permissions(None);
            tracing::info!(file = %file.display(), "the permissions file is gone; sources may dispatch what they allow themselves");
        } else {
            match apply(&hub, &file) {
                Ok(sources) => tracing::info!(file = %file.display(), sources, "the permissions file is in force"),
                Err(reason) => {
                    tracing::error!(file = %file.display(), reason, "the permissions file is wrong; the last good one stays in force");
                }
            }
        }
    }
}

fn apply(hub: &Hub, file: &std::path::Path) -> Result<usize, String> {
    let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
    let permissions = read_permissions(&text).map_err(|e| e.to_string())?;
    let sources = permissions.len();
    hub.sources().set_permissions(Some(permissions));
    Ok(sources)
}

fn stamp(file: &std::path::Path) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}
