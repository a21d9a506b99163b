//! The published specification, where a copy lies beside the project: its examples and its test kit are read, not copied.

use std::path::{Path, PathBuf};

/// The specification's folder (`NEXUS_SPECS`, or beside the repository); says so when there is none.
pub(crate) fn folder(inside: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NEXUS_SPECS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs/open-workflow"),
        PathBuf::from,
    );
    let found = root.join(inside);
    if found.is_dir() {
        return Some(found);
    }
    println!(
        "skipped: {} is not there; NEXUS_SPECS may name a copy of the Open Workflow specification",
        found.display()
    );
    None
}

/// Every file in a folder with this ending, sorted.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok);
    let mut found: Vec<(String, String)> = entries
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(ending))
        .map(|entry| {
            let text = std::fs::read_to_string(entry.path()).expect("a text");
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .collect();
    found.sort();
    found
}
