//! Where a hub keeps everything: the [`nexus_core::store::Store`] contract over SQLite.
//!
//! - [`sqlite`]: one file, one writer thread with group commit, a pool of readers.
//! - `conformance` (a feature of that name): what every backend has to pass.

#[cfg(feature = "conformance")]
pub mod conformance;
mod cursor;
mod shape;
pub mod sqlite;

pub use sqlite::{OpenError, SqliteOptions, SqliteStore};
