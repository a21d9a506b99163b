//! Making a backup the log that goes on: verified, copied, in a new epoch.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use nexus_core::store::Head;
use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{
    file::verify_with,
    walk::{Checks, Phase, VerifyError},
};
use crate::sqlite::meta;

/// Pages copied between two reports of how far it is.
const STEP_PAGES: i32 = 4_096;

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup is not sound.
    #[error("the backup is not sound: {0}")]
    Unsound(#[from] VerifyError),
    /// There is something in the folder already.
    #[error("{} is not empty; a backup is restored into an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// The folder can't be used.
    #[error("{} can't be used", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite failed.
    #[error("the copy failed: {0}")]
    Database(#[from] rusqlite::Error),
}

/// As [`restore_with`], held against nothing but itself.
pub fn restore(backup_file: &Path, empty_folder: &Path) -> Result<Head, RestoreError> {
    restore_with(backup_file, empty_folder, &Checks::default())
}

/// Verifies a backup and copies it into an empty (or new) folder as its `nexus.db`. Events keep their hashes and the
/// chain goes on from them, but the epoch is a new one: whoever holds a position of the old log learns of the gap.
pub fn restore_with(backup_file: &Path, empty_folder: &Path, checks: &Checks<'_>) -> Result<Head, RestoreError> {
    let report = verify_with(backup_file, checks)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Io { path, source }
    };
    std::fs::create_dir_all(empty_folder).map_err(failed(empty_folder))?;
    if std::fs::read_dir(empty_folder).map_err(failed(empty_folder))?.next().is_some() {
        return Err(RestoreError::NotEmpty(empty_folder.to_owned()));
    }
    let partial = empty_folder.join("nexus.db.partial");
    let epoch = report.epoch + 1;
    copy(backup_file, &partial, epoch, checks)?;
    File::open(&partial).and_then(|f| f.sync_all()).map_err(failed(&partial))?;
    let file = empty_folder.join("nexus.db");
    std::fs::rename(&partial, &file).map_err(failed(&file))?;
    File::open(empty_folder).and_then(|f| f.sync_all()).map_err(failed(empty_folder))?;
    let time = last_time(&file)?;
    Ok(Head { epoch, seq: report.last, first: report.first, hash: report.hash, time })
}

fn copy(from: &Path, to: &Path, epoch: u32, checks: &Checks<'_>) -> rusqlite::Result<()> {
    let from = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut conn = Connection::open(to)?;
    let backup = Backup::new(&from, &mut conn)?;
    while backup.step(STEP_PAGES)? != StepResult::Done {
        let at = backup.progress();
        let pages = |count: i32| u64::try_from(count).unwrap_or(0);
        checks.tell(Phase::Copy, pages(at.pagecount - at.remaining), pages(at.pagecount));
    }
    drop(backup);
    conn.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    meta::set(&conn, "epoch", epoch)?;
    conn.close().map_err(|(_, error)| error)
}

fn last_time(file: &Path) -> rusqlite::Result<nexus_core::time::Timestamp> {
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(meta::head(&conn)?.time)
}
