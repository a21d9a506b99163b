//! A consistent copy while the store is in use. The copy runs on the writer's own connection: changes to pages that were
//! copied already go to both files, whereas a copy from another connection would begin again at each commit.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::writer::{Writer, serve};

/// Pages copied between two groups: about a millisecond.
const STEP_PAGES: i32 = 256;

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("{} exists and is not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the copy failed: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error("the store was closed during the copy")]
    Closed,
}

/// A copy under way, in a file beside its final name.
pub(super) struct Copy {
    partial: PathBuf,
    path: PathBuf,
    conn: Connection,
}

impl Copy {
    /// Makes the partial file.
    pub(super) fn begin(path: &Path) -> Result<Self, CopyError> {
        if std::fs::metadata(path).is_ok_and(|m| m.len() > 0) {
            return Err(CopyError::NotEmpty(path.to_owned()));
        }
        let mut partial = path.to_owned().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        match std::fs::remove_file(&partial) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(CopyError::Io { path: partial, source });
            }
            _ => {}
        }
        let conn = Connection::open(&partial)?;
        Ok(Self { partial, path: path.to_owned(), conn })
    }

    /// Copies every page, serving the writer's queues in between.
    pub(super) fn run(&mut self, conn: &Connection, w: &mut Writer) -> Result<(), CopyError> {
        let backup = Backup::new(conn, &mut self.conn)?;
        loop {
            match backup.step(STEP_PAGES)? {
                StepResult::Done => return Ok(()),
                StepResult::More => {}
                // Another program writes to our file; it can't keep at it, as we hold the lock that matters.
                _ => std::thread::yield_now(),
            }
            if !serve(conn, w, false) {
                return Err(CopyError::Closed);
            }
        }
    }

    /// Makes the copy durable under its name.
    pub(super) fn finish(self) -> Result<(), CopyError> {
        let Self { partial, path, conn } = self;
        // A file that stands alone: no WAL beside it.
        conn.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        conn.close().map_err(|(_, error)| error)?;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| CopyError::Io { path, source }
        };
        File::open(&partial).and_then(|f| f.sync_all()).map_err(io(&partial))?;
        std::fs::rename(&partial, &path).map_err(io(&path))?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(folder).and_then(|f| f.sync_all()).map_err(io(folder))
    }
}
