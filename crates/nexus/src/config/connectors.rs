//! `[connectors]`: where further connectors are described.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Connectors beside those in the binary.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Connectors {
    /// Folder with one manifest per file; read when the hub starts. It need not be there.
    pub(crate) dir: PathBuf,
}

impl Default for Connectors {
    fn default() -> Self {
        Self { dir: "connectors".into() }
    }
}
