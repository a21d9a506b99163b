//! Flow files: which there are, and what they hold.

use std::path::{Path, PathBuf};

use nexus_flows::{files, yaml::DOCUMENT_BYTES};

use crate::output::Failure;

/// Files that one command takes.
const FILES: usize = 1_000;
/// Folders within folders that are looked through.
const DEPTH: usize = 8;

/// The flow files that `paths` name; folders are looked through.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = found.len();
            folder(path, 0, &mut found)?;
            if found.len() == before {
                return Err(Failure::usage(format!(
                    "{} holds no flow files: they end in .yaml, .yml or .json, and not in .cases.yaml",
                    path.display()
                )));
            }
        } else {
            found.push(path.clone());
        }
        if found.len() > FILES {
            return Err(Failure::usage(format!("more than {FILES} files; name some of them")));
        }
    }
    Ok(found)
}

fn folder(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |e: std::io::Error| Failure::failed(format!("{} can't be read: {e}", path.display()));
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        inside.push(entry.map_err(unreadable)?.path());
    }
    inside.sort();
    for path in inside {
        if path.is_dir() {
            if depth < DEPTH {
                folder(&path, depth + 1, found)?;
            }
        } else if files::is_flow(&path) && found.len() <= FILES {
            found.push(path);
        }
    }
    Ok(())
}

/// A file's text; what is too long for a flow is not read whole.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let wrong = |e: std::io::Error| Failure::failed(format!("{} can't be read: {e}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(wrong)?;
    // One byte more than is allowed, so that the reader of the document says how it should be.
    file.take(DOCUMENT_BYTES as u64 + 1).read_to_string(&mut text).map_err(wrong)?;
    Ok(text)
}
