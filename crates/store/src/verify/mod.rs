//! Proving that a log is what was written: walking its hash chain in a file or a running store, and restoring a backup
//! that passed.

mod file;
mod restore;
mod walk;

pub use file::{verify, verify_with};
pub use restore::{RestoreError, restore, restore_with};
pub use walk::{Checks, Cut, Phase, Progress, VerifyError, VerifyReport, verify_pages};
