//! Proving that a log is what was written: walking its hash chain in a file or a running store, and restoring a backup
//! that passed.

mod file;
mod restore;
mod walk;

pub use file::verify;
pub use restore::{RestoreError, restore};
pub use walk::{VerifyError, VerifyReport, verify_pages};
