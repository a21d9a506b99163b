//! One process per data folder: an advisory lock on `nexus.lock`, which also says who holds it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use super::options::OpenError;

/// The lock; released when dropped, also by a crash.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of `folder`, or says which process has it.
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join("nexus.lock");
        let failed = |source| OpenError::Io { path: PathBuf::from(&path), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // An unreadable pid must not hide that the folder is held.
                let _ = file.read_to_string(&mut text);
                return Err(OpenError::Held { pid: text.trim().parse().unwrap_or(0) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}
