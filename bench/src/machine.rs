//! The machine a run was made on: figures without it say nothing.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    error::{Doing, Fallible},
    histogram::Histogram,
};

/// What the figures depend on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Cores this process may use.
    pub(crate) cores: usize,
    /// Model name of the processor.
    pub(crate) processor: String,
    /// Memory in GiB.
    pub(crate) memory_gib: f64,
    /// Kernel release.
    pub(crate) kernel: String,
    /// File system of the data folder.
    pub(crate) file_system: String,
    /// Tasks that wanted to run in the last minute.
    pub(crate) load_average: String,
    /// The disk.
    pub(crate) disk: Vec<SyncRate>,
}

/// How fast the disk makes appends durable.
#[derive(Debug, Serialize)]
pub(crate) struct SyncRate {
    /// Records of 500 bytes per sync.
    pub(crate) records: u64,
    /// Syncs per second.
    pub(crate) syncs_per_second: f64,
    /// Milliseconds.
    pub(crate) p50_ms: f64,
    /// Milliseconds.
    pub(crate) p99_ms: f64,
}

impl Machine {
    /// Reads the machine and measures the disk under `folder` for about two seconds.
    pub(crate) fn measure(folder: &Path) -> Fallible<Self> {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            text.lines()
                .find(|line| line.starts_with(name))
                .and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned())
                .unwrap_or_default()
        };
        let memory = field(&text("/proc/meminfo"), "MemTotal");
        let memory_kib: f64 = memory.split_whitespace().next().and_then(|m| m.parse().ok()).unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field(&text("/proc/cpuinfo"), "model name"),
            memory_gib: memory_kib / (1024.0 * 1024.0),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(folder),
            load_average: text("/proc/loadavg").split_whitespace().next().unwrap_or_default().to_owned(),
            disk: vec![sync_rate(folder, 1)?, sync_rate(folder, 64)?],
        })
    }

    /// As a paragraph and a small table.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "Machine: {} cores ({}), {:.0} GiB, Linux {}, data on {}; load average at the start {}. Everything on loopback; load generator and servers share the cores.\n\n\
             | append + fdatasync | syncs/s | records/s | p50 ms | p99 ms |\n| --- | --- | --- | --- | --- |\n",
            self.cores, self.processor, self.memory_gib, self.kernel, self.file_system, self.load_average
        );
        for disk in &self.disk {
            text.push_str(&format!(
                "| {} × 500 B | {:.0} | {:.0} | {:.2} | {:.2} |\n",
                disk.records,
                disk.syncs_per_second,
                disk.syncs_per_second * disk.records as f64,
                disk.p50_ms,
                disk.p99_ms
            ));
        }
        text
    }
}

/// Type of the mount with the longest matching path.
fn file_system(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounted = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        folder.starts_with(point).then(|| (point.len(), kind.to_owned()))
    });
    mounted.max_by_key(|(length, _)| *length).map_or_else(|| "an unknown file system".into(), |(_, kind)| kind)
}

fn sync_rate(folder: &Path, records: u64) -> Fallible<SyncRate> {
    let path = folder.join("sync-rate");
    let mut file = File::create(&path).doing(format_args!("creating {}", path.display()))?;
    let block = vec![b'x'; 500 * records as usize];
    let mut latency = Histogram::default();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        let before = Instant::now();
        file.write_all(&block).doing("appending to measure the disk")?;
        file.sync_data().doing("syncing to measure the disk")?;
        latency.record(before.elapsed());
    }
    let seconds = started.elapsed().as_secs_f64();
    fs::remove_file(&path).doing(format_args!("removing {}", path.display()))?;
    Ok(SyncRate {
        records,
        syncs_per_second: latency.count() as f64 / seconds,
        p50_ms: latency.quantile_ms(0.5).unwrap_or_default(),
        p99_ms: latency.quantile_ms(0.99).unwrap_or_default(),
    })
}
