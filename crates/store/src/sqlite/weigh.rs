//! What a job weighs before it is handed over: the bounds of queues and groups count in these.

use nexus_core::{
    limits::EVENT_DATA_BYTES,
    store::{Commit, CommitError, Entry, Write},
};

use crate::shape;

/// What a commit weighs: `(units, bytes)`; refuses what is larger than a limit or does not fit its declaration.
pub(super) fn commit(commit: &Commit) -> Result<(usize, usize), CommitError> {
    let mut bytes = 64;
    for event in &commit.events {
        if event.data.len() > EVENT_DATA_BYTES {
            return Err(CommitError::TooLarge(format!("an event's data is larger than {EVENT_DATA_BYTES} bytes")));
        }
        bytes += 200 + event.data.len();
    }
    for write in &commit.documents {
        shape::write(write)?;
        if let Write::Put { body, .. } = write {
            bytes += 200 + body.len();
        }
    }
    Ok(((commit.events.len() + commit.documents.len()).max(1), bytes))
}

/// What bookkeeping weighs, in bytes.
pub(super) fn entries(entries: &[Entry]) -> usize {
    entries
        .iter()
        .map(|entry| match entry {
            Entry::Receipts(block) => 100 + block.block.len(),
            Entry::Exception(e) => 200 + e.log.len() + 8 * e.waiting.len(),
            _ => 50,
        })
        .sum()
}
