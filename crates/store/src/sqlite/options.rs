//! What a SQLite store can be told when it is opened, and why it may refuse to open.

use std::path::PathBuf;

use nexus_core::limits;

/// Settings of a store.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Reading connections, each with a thread of its own.
    pub reader_count: usize,
    /// Pages the file may have; above: [`nexus_core::store::CommitError::Full`]. For tests and small disks.
    pub page_limit: Option<u32>,
    /// Pages in the WAL at which they are moved into the file. The longer it is, the more often a page that many commits
    /// changed is moved only once; it may become half as long again.
    pub wal_pages: u64,
    /// Free bytes on the disk below which doors are refused.
    pub disk_reserve_bytes: u64,
    /// Name of a registered SQLite VFS; `None` = the platform's.
    pub vfs: Option<String>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            reader_count: 3,
            page_limit: None,
            // 32 MiB.
            wal_pages: 8_000,
            disk_reserve_bytes: limits::DISK_RESERVE_BYTES,
            vfs: None,
        }
    }
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the data folder is in use by process {pid}")]
    Held {
        /// That process.
        pid: u32,
    },
    /// Written by a newer version.
    #[error("the database has format {found}, this program knows formats up to {known}; use the newer program")]
    Newer {
        /// Format of the file.
        found: u32,
        /// Newest format known here.
        known: u32,
    },
    /// A database of another program.
    #[error("{} is a database, but not one of this program", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The folder or a file in it can't be used.
    #[error("{} can't be used", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("the database {} can't be opened", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A collection's declaration is no good.
    #[error("{0}")]
    Declaration(String),
}
