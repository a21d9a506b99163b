//! Work on a data folder without its hub: verify the log in place, make a folder from a backup.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

use nexus_core::{chain::Signer, store::Head};
use nexus_store::verify::{self, Checks, VerifyError};
use serde_json::Value;

use crate::{
    command::backup::whole,
    config::{Config, Environment},
    output::Failure,
    serve::read_key,
};

/// Public keys that may have cut the log of this folder, by the key of its secrets; none where that key is not here.
pub(crate) fn signers(config: &Config) -> Result<Vec<String>, Failure> {
    let environment = Environment::of_process();
    let given = environment.get("NEXUS_ENCRYPTION_KEY");
    let file = config.data.key_path();
    if given.is_none() && !file.is_file() {
        return Ok(Vec::new());
    }
    let key = read_key(given, environment.get("NEXUS_ENCRYPTION_KEY_PREVIOUS"), &file)?;
    let signers = key.signers().map_err(|e| Failure::failed(e.to_string()))?;
    Ok(signers.iter().map(Signer::public_key).collect())
}

/// Whether there is a log to look at.
pub(crate) fn has_database(dir: &Path) -> bool {
    dir.join("nexus.db").is_file()
}

/// Walks the chain of a folder; the report has the form of a running hub's. A hub that runs meanwhile is not disturbed.
pub(crate) fn verify(dir: &Path, checks: &Checks<'_>) -> Value {
    match verify::verify_with(dir, checks) {
        Ok(report) => serde_json::json!({
            "ok": true,
            "events": report.present + report.erased,
            "first": report.first,
            "last": report.last,
            "erased": report.erased,
            "epoch": report.epoch,
            "compared": report.compared,
            "cut": report.cut.map(|cut| serde_json::json!({
                "seq": cut.seq, "time": cut.time.to_string(), "public_key": cut.public_key, "known": cut.known,
            })),
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
        | VerifyError::CutUnsigned { seq }
        | VerifyError::CutForged { seq, .. }
        | VerifyError::CutForeign { seq, .. }
        | VerifyError::Missing { seq, .. }
        | VerifyError::Unreadable { seq, .. }
        | VerifyError::Rewritten { seq } => Some(*seq),
        VerifyError::Cut { last, .. } => Some(last + 1),
        _ => None,
    }
}

/// Verifies a backup and makes `dir`, which must be empty or not there, a data folder with it.
pub(crate) fn restore(file: &Path, dir: &Path, checks: &Checks<'_>) -> Result<Head, Failure> {
    // For its owner only, as the first start would have made it.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| Failure::failed(format!("{} can't be made: {e}", dir.display())))?;
    verify::restore_with(file, dir, checks)
        .map_err(|e| Failure::failed(format!("{} was not restored: {}", file.display(), whole(&e))))
}
