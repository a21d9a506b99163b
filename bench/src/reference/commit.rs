//! Group commit at its barest: one thread appends what waits and syncs once for all of it.

use std::{
    fs::File,
    io::{Seek, Write},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error::{Doing, Error, Fallible};

/// Records of one sync at most.
const GROUP: usize = 1_024;
/// Waiting records.
const QUEUE: usize = 8_192;
/// The file begins again at this size: the run is about syncs, not about a full disk.
const FILE_BYTES: u64 = 1 << 30;

type Waiting = (Bytes, oneshot::Sender<()>);

/// Where handlers hand their records to.
#[derive(Clone)]
pub(crate) struct Committer(SyncSender<Waiting>);

impl Committer {
    /// Starts the thread on a new file in `folder`.
    pub(crate) fn start(folder: &Path) -> Fallible<Self> {
        let path = folder.join("reference.log.data");
        let file = File::create(&path).doing(format_args!("creating {}", path.display()))?;
        let (sender, receiver) = sync_channel(QUEUE);
        std::thread::spawn(move || {
            if let Err(error) = run(file, &receiver) {
                // Its standard error is the log that the parent quotes.
                let _ = writeln!(std::io::stderr(), "{error}");
                std::process::exit(1);
            }
        });
        Ok(Self(sender))
    }

    /// Returns when the record is on the disk.
    pub(crate) async fn append(&self, record: Bytes) -> Fallible<()> {
        let (done, wait) = oneshot::channel();
        self.0.try_send((record, done)).map_err(|_| Error::new("the queue is full"))?;
        wait.await.map_err(|_| Error::new("the committer ended"))
    }
}

fn run(mut file: File, receiver: &Receiver<Waiting>) -> Fallible<()> {
    let mut group = Vec::with_capacity(GROUP);
    let mut block = Vec::new();
    let mut written = 0;
    while let Ok(first) = receiver.recv() {
        group.push(first);
        while group.len() < GROUP
            && let Ok(next) = receiver.try_recv()
        {
            group.push(next);
        }
        block.clear();
        for (record, _) in &group {
            block.extend_from_slice(record);
            block.push(b'\n');
        }
        file.write_all(&block).doing("appending")?;
        file.sync_data().doing("syncing")?;
        for (_, done) in group.drain(..) {
            let _ = done.send(());
        }
        written += block.len() as u64;
        if written > FILE_BYTES {
            file.rewind().doing("beginning the file again")?;
            file.set_len(0).doing("beginning the file again")?;
            written = 0;
        }
    }
    Ok(())
}
