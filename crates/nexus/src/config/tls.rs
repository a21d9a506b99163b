//! `[tls]`: the certificate of the doors.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Both or none. Read again when they change.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// PEM file with the chain, the hub's own certificate first.
    pub(crate) cert: Option<PathBuf>,
    /// PEM file with its key, not encrypted.
    pub(crate) key: Option<PathBuf>,
}

impl Tls {
    /// Both files, or neither.
    pub(crate) fn files(&self) -> Result<Option<(PathBuf, PathBuf)>, String> {
        match (&self.cert, &self.key) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some((cert.clone(), key.clone()))),
            _ => Err("cert and key belong together; set both or none".into()),
        }
    }
}
