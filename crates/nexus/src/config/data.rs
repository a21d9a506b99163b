//! `[data]`: where everything is kept, and the key that seals secrets.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::value::Size;

/// The data folder.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Data {
    /// The folder. One hub at a time.
    pub(crate) dir: PathBuf,
    /// File with the key that seals secrets, made at the first start; absent: `vault.key` in the folder. It is no part of a backup.
    pub(crate) key_file: Option<PathBuf>,
    /// What each source may dispatch; absent: `config/permissions.json` beside the configuration or in the data folder.
    pub(crate) permissions: Option<PathBuf>,
    /// Free bytes on the disk below which events are refused while deliveries go on.
    pub(crate) disk_reserve: Size,
    /// Reading connections to the database.
    pub(crate) readers: usize,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            dir: "nexus-data".into(),
            key_file: None,
            permissions: None,
            disk_reserve: Size(nexus_core::limits::DISK_RESERVE_BYTES),
            readers: 3,
        }
    }
}

impl Data {
    /// Where the key lies.
    pub(crate) fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.dir.join("vault.key"))
    }
}
