//! Work on a data folder without its hub: verify the log in place, make a folder from a backup.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

use nexus_core::{chain::Checkpoint, store::Head};
use nexus_store::verify::{self, VerifyError};
use serde_json::Value;

use crate::{command::backup::whole, output::Failure};

/// Whether there is a log to look at.
pub(crate) fn has_database(dir: &Path) -> bool {
    dir.join("nexus.db").is_file()
}

/// Walks the chain of a folder; the report has the form of a running hub's. A hub that runs meanwhile is not disturbed.
pub(crate) fn verify(dir: &Path, against: Option<&Checkpoint>) -> Value {
    match verify::verify(dir, against) {
        Ok(report) => serde_json::json!({
            "ok": true,
            "events": report.present + report.erased,
            "first": report.first,
            "last": report.last,
            "erased": report.erased,
            "epoch": report.epoch,
            "compared": report.compared,
        }),
        Err(error) => serde_json::json!({
            "ok": false,
            "bad_seq": bad_seq(&error),
            "problem": whole(&error),
        }),
    }
}

fn bad_seq(error: &VerifyError) -> Option<u64> {
    match error {
        VerifyError::Changed { seq }
        | VerifyError::Missing { seq, .. }
        | VerifyError::Unreadable { seq, .. }
        | VerifyError::Rewritten { seq } => Some(*seq),
        VerifyError::Cut { last, .. } => Some(last + 1),
        _ => None,
    }
}

/// Verifies a backup and makes `dir`, which must be empty or not there, a data folder with it.
pub(crate) fn restore(file: &Path, dir: &Path) -> Result<Head, Failure> {
    // For its owner only, as the first start would have made it.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| Failure::failed(format!("{} can't be made: {e}", dir.display())))?;
    verify::restore(file, dir)
        .map_err(|e| Failure::failed(format!("{} was not restored: {}", file.display(), whole(&e))))
}
