//! `[state]`: how long versions are kept, the copy as a file, and rules for conflicts.

use std::path::{Path, PathBuf};

use nexus_services::state::{self, MergeKind, NewPolicy, OnConflict};
use serde::{Deserialize, Serialize};

use super::value::Period;

/// Shared state.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct State {
    /// JSON file that the state is copied to, and read from while the log has never held any; relative to the data
    /// folder; `off` for none. Also `state_file` at the top.
    pub(crate) file: PathBuf,
    /// How often the file is written, where something changed.
    pub(crate) snapshot_interval: Period,
    /// Versions of a key that are kept, the present one included; at least 2.
    pub(crate) history_versions: u64,
    /// How long replaced versions, deletions and ended conflicts are kept; at least a day.
    pub(crate) history_age: Period,
    /// Rules for conflicts: `[[state.policies]]`. Stored ones with the same prefix go before them.
    pub(crate) policies: Vec<Rule>,
}

/// What becomes of conflicts of the keys that begin so.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Its name.
    pub(crate) name: String,
    /// Keys that begin so.
    pub(crate) prefix: String,
    /// `last_write_wins`, `merge`, `user_confirmation` or `custom`.
    pub(crate) on_conflict: OnConflict,
    /// `json`, `set`, `counter` or `list`.
    #[serde(default)]
    pub(crate) merge: Option<MergeKind>,
    /// Name of a plugin's resolver.
    #[serde(default)]
    pub(crate) resolver: Option<String>,
    /// jq over `{key, base, current, wanted}`.
    #[serde(default)]
    pub(crate) jq: Option<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            file: "nexus_state.json".into(),
            snapshot_interval: Period(state::SNAPSHOT_INTERVAL),
            history_versions: state::HISTORY_VERSIONS,
            history_age: Period(state::HISTORY_AGE),
            policies: Vec::new(),
        }
    }
}

impl State {
    /// Where the file lies, unless it is switched off.
    pub(crate) fn file_in(&self, data: &Path) -> Option<PathBuf> {
        (self.file.as_os_str() != "off").then(|| data.join(&self.file))
    }

    /// The rules by name.
    pub(crate) fn rules(&self) -> Vec<(String, NewPolicy)> {
        let rule = |rule: &Rule| {
            let Rule { name, prefix, on_conflict, merge, resolver, jq } = rule.clone();
            (name, NewPolicy { prefix, on_conflict, merge, resolver, jq })
        };
        self.policies.iter().map(rule).collect()
    }
}
