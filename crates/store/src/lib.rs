//! Where a hub keeps everything: the [`nexus_core::store::Store`] contract over SQLite and over plain memory.
//!
//! - [`sqlite`]: one file, one writer thread with group commit, a pool of readers.
//! - [`memory`]: the same semantics without a disk, with faults on demand, for the simulator and for tests.
//! - [`verify`]: walks the hash chain of a file or of a running store, restores a backup.
//! - `conformance` (a feature of that name): what every backend has to pass.

#[cfg(feature = "conformance")]
pub mod conformance;
mod cursor;
pub mod memory;
mod shape;
pub mod sqlite;
pub mod verify;

pub use memory::{FaultKind, MemoryStore};
pub use sqlite::{OpenError, SqliteOptions, SqliteStore};
pub use verify::{Checks, RestoreError, VerifyError, VerifyReport, restore, verify, verify_pages};
