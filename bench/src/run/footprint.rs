//! What the hub takes when it has nothing to do, how fast it starts, and whether it stays the same under a long load.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use tokio::{process::Command, task::JoinSet};

use super::{Settings, file_bytes};
use crate::{
    error::{Error, Fallible},
    http::{Connection, Http},
    hub::{Hub, single},
    load,
    meter::{peak_rss_mib, rss_mib},
    process::installed,
    progress,
    report::{Report, Verdict},
};

/// Events a second of the soak.
const SOAK_RATE: f64 = 5_000.0;
/// Connections of the soak's load.
const SOAK_CONNECTIONS: usize = 32;
/// Events of a reader's page.
const PAGE: usize = 1_000;

/// How long the soak is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Seconds of 5,000 events a second beside two readers that page without a pause; 0 leaves it out.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) soak: u64,
}

/// Runs it.
pub(crate) async fn run(settings: &Settings, options: &Options) -> Fallible<Report> {
    let folder = settings.folder()?;
    let nexus = settings.nexus()?;
    let mut report = Report::new("footprint", "");
    let (megabytes, stripped) = binary_size(&nexus, folder.path()).await;
    report.figure(if stripped { "binary, stripped" } else { "binary, as it is" }, "MB", &[megabytes]);
    report.verdict(Verdict::at_most("stripped binary in MB, at most 40", megabytes, 40.0));

    let (mut new, mut again, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        progress(format_args!("round {round} of {}: starting", settings.rounds));
        let hub = Hub::start(&nexus, &folder.path().join(format!("idle-{round}"))).await?;
        new.push(hub.server.started_in.as_secs_f64() * 1e3);
        let hub = hub.restart().await?;
        again.push(hub.server.started_in.as_secs_f64() * 1e3);
        tokio::time::sleep(settings.time()).await;
        idle.push(rss_mib(hub.server.pid));
        hub.server.stop().await?;
    }
    let worst = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    report.figure("start, new folder", "ms", &new);
    report.figure("start, existing folder", "ms", &again);
    report.figure("idle RSS", "MiB", &idle);
    report.verdict(Verdict::at_most("slowest start in ms, at most 150", worst(&new).max(worst(&again)), 150.0));
    // The target is in MB; a MiB is 1.048576 of them.
    report.verdict(Verdict::at_most("largest idle RSS in MB, at most 40", worst(&idle) * 1.048_576, 40.0));
    if options.soak > 0 {
        let hub = Hub::fresh(&nexus, &folder.path().join("soak")).await?;
        soak(&hub, Duration::from_secs(options.soak), &mut report).await?;
        hub.server.stop().await?;
    }
    Ok(report)
}

/// Megabytes of the binary without symbols, or as it is where no `strip` is installed.
async fn binary_size(nexus: &Path, folder: &Path) -> (f64, bool) {
    let stripped = folder.join("stripped");
    let done = match installed("strip") {
        Some(strip) => {
            Command::new(strip).arg("-o").arg(&stripped).arg(nexus).status().await.is_ok_and(|s| s.success())
        }
        None => false,
    };
    let bytes = file_bytes(if done { &stripped } else { nexus });
    (bytes as f64 / 1e6, done)
}

/// One look at the hub.
struct Look {
    rss: f64,
    wal: f64,
}

async fn soak(hub: &Hub, time: Duration, report: &mut Report) -> Fallible<()> {
    progress(format_args!("soaking for {} s", time.as_secs()));
    let mut readers = JoinSet::new();
    for _ in 0..2 {
        let addr = hub.server.addr;
        let pages = PageRequest { head: hub.request("GET", "@", None) };
        readers.spawn(async move { read_pages(Connection::open(addr).await?, pages, Instant::now() + time).await });
    }
    let template = single(false);
    let load = load::paced(hub.server.addr, &Http, &template, SOAK_CONNECTIONS, SOAK_RATE, time);
    let looks = async {
        let (mut looks, end) = (Vec::new(), Instant::now() + time);
        while Instant::now() < end {
            looks.push(Look { rss: rss_mib(hub.server.pid), wal: wal_bytes(hub.data()) as f64 / f64::from(1 << 20) });
            tokio::time::sleep((time / 20).min(Duration::from_secs(1))).await;
        }
        looks
    };
    let (tally, looks) = tokio::join!(load, looks);
    let tally = tally?;
    let mut read = 0;
    while let Some(done) = readers.join_next().await {
        read += done.map_err(|e| Error::new(e.to_string()))??;
    }
    let (early, late) = (mean(&looks, 1, 2), mean(&looks, 3, 4));
    let wal: Vec<f64> = looks.iter().map(|l| l.wal).collect();
    let largest = wal.iter().copied().fold(0.0, f64::max);
    report.figure("soak: accepted", "events/s", &[tally.rate()]);
    report.figure("soak: refused", "requests", &[tally.refused as f64]);
    report.figure("soak: p99 from when it was due", "ms", &[tally.latency.quantile_ms(0.99).unwrap_or_default()]);
    report.figure("soak: read by two readers without a pause", "events/s", &[read as f64 / time.as_secs_f64()]);
    report.figure("soak: RSS, second quarter", "MiB", &[early]);
    report.figure("soak: RSS, last quarter", "MiB", &[late]);
    report.figure("soak: RSS at its highest", "MiB", &[peak_rss_mib(hub.server.pid)]);
    report.figure("soak: WAL", "MiB", &wal);
    report.verdict(Verdict::at_most("soak: RSS of the last quarter by the second's, at most 1.10", late / early, 1.1));
    report.verdict(Verdict::at_most("soak: largest WAL in MiB, at most 64", largest, 64.0));
    report.verdict(Verdict::at_least("soak: rate kept, at least 0.99 of 5,000/s", tally.rate() / SOAK_RATE, 0.99));
    Ok(())
}

/// Mean RSS from quarter `from` up to quarter `until`.
fn mean(looks: &[Look], from: usize, until: usize) -> f64 {
    let part = looks.get(looks.len() * from / 4..looks.len() * until / 4).unwrap_or_default();
    part.iter().map(|l| l.rss).sum::<f64>() / part.len().max(1) as f64
}

/// Bytes of the write-ahead log, wherever in the folder it is.
fn wal_bytes(data: &Path) -> u64 {
    let entries = std::fs::read_dir(data).into_iter().flatten().flatten().map(|e| e.path());
    let wal = |path: &PathBuf| path.to_string_lossy().ends_with("-wal");
    entries.filter(wal).map(|path| file_bytes(&path)).sum()
}

/// A request whose path is filled in for each page.
struct PageRequest {
    head: String,
}

impl PageRequest {
    fn after(&self, seq: u64) -> String {
        self.head.replacen('@', &format!("/api/v1/log/export?after={seq}&limit={PAGE}"), 1)
    }
}

/// Reads the log from its start, page by page, and begins again at the end; the number of events read.
async fn read_pages(mut connection: Connection, pages: PageRequest, end: Instant) -> Fallible<u64> {
    let (mut after, mut read) = (0, 0);
    while Instant::now() < end {
        let answer = connection.exchange(pages.after(after).as_bytes(), &Http).await?;
        if matches!(answer.status, 429 | 503) {
            // While the log is short, its pages come faster than a token may ask.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        let body = connection.body(&answer);
        if answer.status >= 300 {
            return Err(Error::new(format!(
                "a reader was answered {}: {}",
                answer.status,
                String::from_utf8_lossy(&body)
            )));
        }
        read += body.iter().filter(|b| **b == b'\n').count() as u64;
        after = last_seq(&body).unwrap_or(0);
    }
    Ok(read)
}

/// The last `"seq":N` of a page, found without parsing it.
pub(crate) fn last_seq(page: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"seq\":";
    let at = page.windows(NAME.len()).rposition(|w| w == NAME)? + NAME.len();
    let digits = page[at..].split(|b| !b.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seq_of_a_page_is_found() {
        assert_eq!(last_seq(b"{\"seq\":1,\"x\":{}}\n{\"seq\":27,\"x\":{}}\n"), Some(27));
        assert_eq!(last_seq(b""), None);
    }
}
