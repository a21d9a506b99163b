//! The store in one SQLite file: an append-only log, typed tables for bookkeeping, one table per collection.
//!
//! One thread writes, in groups of commits per sync; one moves the WAL into the file beside it; a few threads read. The file `schema.rs` has the tables,
//! `docs/sql-views.md` the views a person may query.

mod append;
mod backup;
mod collections;
mod constraints;
mod dictionary;
mod document_reads;
mod documents;
mod entry_reads;
mod group;
mod guards;
mod lock;
mod log_reads;
pub(crate) mod meta;
mod mover;
mod options;
mod query;
mod queue;
mod readers;
pub(crate) mod rows;
mod saves;
pub(crate) mod schema;
mod segments;
pub(crate) mod settings;
mod shared;
mod store;
mod timers;
mod trim;
mod upkeep;
mod weigh;
mod writer;

pub use options::{OpenError, SqliteOptions};
pub use store::SqliteStore;
