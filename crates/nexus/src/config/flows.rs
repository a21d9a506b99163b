//! `[flows]`: where flow files lie, and how long ended runs are kept.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::value::Period;

/// Automations.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Flows {
    /// Folder whose flow files are published, and published again when they change; `off` for none. A relative one lies
    /// beside the configuration file, or where the hub was started.
    pub(crate) dir: PathBuf,
    /// How long runs that have ended are kept, with what their tasks did.
    pub(crate) history: Period,
}

impl Default for Flows {
    fn default() -> Self {
        Self { dir: "flows".into(), history: Period(nexus_flows::host::HISTORY) }
    }
}

impl Flows {
    /// The folder, unless there is none.
    pub(crate) fn folder(&self, config_file: Option<&Path>) -> Option<PathBuf> {
        if self.dir.as_os_str() == "off" {
            return None;
        }
        let beside = config_file.and_then(Path::parent).filter(|_| self.dir.is_relative());
        Some(beside.map_or_else(|| self.dir.clone(), |beside| beside.join(&self.dir)))
    }
}
