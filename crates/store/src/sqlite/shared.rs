//! What the writer, the readers and the store's handle have in common.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nexus_core::{
    store::{CommitHook, Head, StoreStats},
    time::Clock,
};
use tokio::sync::watch;

use super::{collections::Shapes, dictionary::Names, options::SqliteOptions, queue::Queue};

/// How often the free disk space is looked at.
const DISK_LOOK: Duration = Duration::from_secs(1);

/// Counters of the writer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) commits: u64,
    pub(super) groups: u64,
    pub(super) events: u64,
    pub(super) last_group: Duration,
    pub(super) all_groups: Duration,
    pub(super) last_sync: Duration,
    pub(super) all_syncs: Duration,
}

/// See the module.
pub(super) struct Shared {
    pub(super) file: PathBuf,
    pub(super) wal: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: SqliteOptions,
    pub(super) shapes: Shapes,
    pub(super) names: Arc<Names>,
    pub(super) queue: Queue,
    /// Held shared for one page of a read, and exclusively while the WAL is emptied: overlapping readers would otherwise keep it from ever starting anew.
    pub(super) gate: RwLock<()>,
    pub(super) hook: OnceLock<CommitHook>,
    head: Mutex<Head>,
    figures: Mutex<Figures>,
    disk_looked_at: AtomicU64,
    disk_free: AtomicU64,
    fatal: watch::Sender<Option<String>>,
}

impl Shared {
    pub(super) fn new(
        file: PathBuf,
        clock: Arc<dyn Clock>,
        options: SqliteOptions,
        shapes: Shapes,
        names: Arc<Names>,
        head: Head,
    ) -> Self {
        let mut wal = file.clone().into_os_string();
        wal.push("-wal");
        let shared = Self {
            file,
            wal: wal.into(),
            clock,
            options,
            shapes,
            names,
            queue: Queue::default(),
            gate: RwLock::new(()),
            hook: OnceLock::new(),
            head: Mutex::new(head),
            figures: Mutex::new(Figures::default()),
            disk_looked_at: AtomicU64::new(0),
            disk_free: AtomicU64::new(u64::MAX),
            fatal: watch::Sender::new(None),
        };
        shared.look_at_disk();
        shared
    }

    pub(super) fn head(&self) -> Head {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_head(&self, head: Head) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Says that the process has to end, and why. The first reason stays.
    pub(super) fn fail(&self, reason: &str) {
        self.fatal.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                tracing::error!(reason, "the store has stopped");
                *now = Some(reason.to_owned());
            }
            first
        });
    }

    pub(super) fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.fatal.subscribe()
    }

    fn look_at_disk(&self) {
        if let Ok(figures) = rustix::fs::statvfs(self.file.parent().unwrap_or(Path::new("."))) {
            self.disk_free.store(figures.f_bavail.saturating_mul(figures.f_frsize), Ordering::Relaxed);
        }
    }

    /// Free bytes, looked up at most once a second.
    pub(super) fn disk_free(&self) -> u64 {
        let now = u64::try_from(self.clock.mono().as_millis()).unwrap_or(u64::MAX);
        let last = self.disk_looked_at.load(Ordering::Relaxed);
        if now.saturating_sub(last) >= u64::try_from(DISK_LOOK.as_millis()).unwrap_or(1_000)
            && self.disk_looked_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.look_at_disk();
        }
        self.disk_free.load(Ordering::Relaxed)
    }

    pub(super) fn wal_bytes(&self) -> u64 {
        std::fs::metadata(&self.wal).map_or(0, |m| m.len())
    }

    pub(super) fn stats(&self) -> StoreStats {
        let figures = *self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        let depth = self.queue.depth();
        StoreStats {
            commits: figures.commits,
            groups: figures.groups,
            events: figures.events,
            last_group_seconds: figures.last_group.as_secs_f64(),
            group_seconds: figures.all_groups.as_secs_f64(),
            last_sync_seconds: figures.last_sync.as_secs_f64(),
            sync_seconds: figures.all_syncs.as_secs_f64(),
            door_queue_items: depth.door_items as u64,
            door_queue_bytes: depth.door_bytes as u64,
            own_queue_items: depth.own_items as u64,
            own_queue_bytes: depth.own_bytes as u64,
            file_bytes: std::fs::metadata(&self.file).map_or(0, |m| m.len()),
            wal_bytes: self.wal_bytes(),
            disk_free_bytes: self.disk_free(),
            disk_reserve_bytes: self.options.disk_reserve_bytes,
        }
    }
}
