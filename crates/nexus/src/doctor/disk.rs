//! The data folder and the disk under it.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;

use super::Finding;
use crate::config::Config;

/// Free space at which events are soon refused.
const TIGHT: u64 = 4;
/// Syncs that are timed; their median counts.
const SYNCS: usize = 15;
/// A sync slower than this makes every publisher wait noticeably.
const SLOW: Duration = Duration::from_millis(30);

/// The folder exists, is ours and nobody else's.
pub(super) fn folder(config: &Config) -> Finding {
    let dir = &config.data.dir;
    let shown = dir.display();
    let Ok(meta) = std::fs::metadata(dir) else {
        return match std::fs::metadata(existing(dir)) {
            Ok(_) => Finding::ok("folder", format!("{shown} is not there yet; the first start makes it")),
            Err(e) => Finding::fail("folder", format!("{shown}: {e}"), "name another folder with --data"),
        };
    };
    if !meta.is_dir() {
        return Finding::fail("folder", format!("{shown} is no folder"), "name another one with --data");
    }
    if let Err(e) = probe(dir) {
        return Finding::fail(
            "folder",
            format!("{shown} can't be written: {e}"),
            "give it to the user that runs the hub",
        );
    }
    if meta.permissions().mode() & 0o007 != 0 {
        return Finding::warn(
            "folder",
            format!("{shown} is open to everybody on this machine"),
            format!("chmod 750 {shown}"),
        );
    }
    Finding::ok("folder", shown.to_string())
}

/// Free space on its disk.
pub(super) fn space(config: &Config) -> Finding {
    let dir = existing(&config.data.dir);
    let reserve = config.data.disk_reserve.0;
    match rustix::fs::statvfs(&dir) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let detail = format!("{} MiB free, {} MiB reserved", free >> 20, reserve >> 20);
            let remedy = "make room or set [retention]; below the reserve the hub refuses events (503)";
            if free < reserve {
                Finding::fail("space", detail, remedy)
            } else if free < reserve.saturating_mul(TIGHT) {
                Finding::warn("space", detail, remedy)
            } else {
                Finding::ok("space", detail)
            }
        }
        Err(e) => Finding::warn("space", format!("{}: {e}", dir.display()), "look at the disk by hand"),
    }
}

/// How long the disk takes to make a small write durable: what every accepted event waits for, alone.
pub(super) fn sync(config: &Config) -> Finding {
    let dir = existing(&config.data.dir);
    match time_syncs(&dir) {
        Ok(median) if median > SLOW => Finding::warn(
            "fsync",
            format!("{:.1} ms (median of {SYNCS})", median.as_secs_f64() * 1e3),
            "use a local SSD; on network disks every answer waits for the network",
        ),
        Ok(median) => Finding::ok("fsync", format!("{:.2} ms (median of {SYNCS})", median.as_secs_f64() * 1e3)),
        Err(e) => Finding::fail("fsync", format!("{}: {e}", dir.display()), "the disk must be able to sync"),
    }
}

fn time_syncs(dir: &Path) -> std::io::Result<Duration> {
    let clock = SystemClock::new();
    let path = probe_path(dir);
    let measured = (|| {
        let mut file = File::create(&path)?;
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            file.write_all(&[0; 4096])?;
            let before = clock.mono();
            file.sync_data()?;
            times.push(clock.mono() - before);
        }
        times.sort();
        Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
    })();
    // A probe that was never made needs no removal.
    let _ = std::fs::remove_file(path);
    measured
}

fn probe(dir: &Path) -> std::io::Result<()> {
    let path = probe_path(dir);
    File::create(&path)?;
    std::fs::remove_file(path)
}

fn probe_path(dir: &Path) -> PathBuf {
    dir.join(format!(".doctor-{}", std::process::id()))
}

/// The folder itself, or the nearest one above it that is there.
fn existing(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    absolute.ancestors().find(|p| p.is_dir()).map_or_else(|| PathBuf::from("/"), Path::to_owned)
}
