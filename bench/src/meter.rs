//! What a run costs: processor time of the server, memory, and how busy everything else on the machine was.

use std::time::Instant;

use serde::Serialize;

/// Ticks per second of the kernel's counters; fixed for user space.
const TICKS: f64 = 100.0;

/// Started before a run, stopped after it.
pub(crate) struct Meter {
    started: Instant,
    machine: u64,
    ours: u64,
    server: u64,
    helpers: u64,
    pids: Vec<u32>,
}

/// What was used between start and stop.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Usage {
    /// Wall seconds.
    pub(crate) seconds: f64,
    /// Processor seconds of the server.
    pub(crate) server_seconds: f64,
    /// Cores that neither we nor our servers used: other programs and the kernel's own threads.
    pub(crate) other_cores: f64,
    /// Resident memory of the server at the end, in MiB.
    pub(crate) server_rss_mib: f64,
}

impl Meter {
    /// `pids`: the server first, then whatever else of ours takes part.
    pub(crate) fn start(pids: &[u32]) -> Self {
        Self {
            machine: machine_ticks(),
            ours: process_ticks(std::process::id()),
            server: pids.first().map_or(0, |pid| process_ticks(*pid)),
            helpers: pids.iter().skip(1).map(|pid| process_ticks(*pid)).sum(),
            pids: pids.to_vec(),
            started: Instant::now(),
        }
    }

    /// What was used since.
    pub(crate) fn stop(self) -> Usage {
        let seconds = self.started.elapsed().as_secs_f64();
        let now = Self::start(&self.pids);
        let since = |now: u64, then: u64| now.saturating_sub(then) as f64 / TICKS;
        let server_seconds = since(now.server, self.server);
        let known = since(now.ours, self.ours) + server_seconds + since(now.helpers, self.helpers);
        Usage {
            seconds,
            server_seconds,
            other_cores: ((since(now.machine, self.machine) - known) / seconds).max(0.0),
            server_rss_mib: self.pids.first().map_or(0.0, |pid| rss_mib(*pid)),
        }
    }
}

/// Busy ticks of all cores.
fn machine_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // user nice system idle iowait irq softirq steal; what follows is counted in user already.
    fields.take(8).enumerate().filter(|(i, _)| !matches!(i, 3 | 4)).filter_map(|(_, f)| f.parse::<u64>().ok()).sum()
}

/// User and system ticks of one process.
fn process_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold spaces; the numbers begin after its closing parenthesis.
    let Some((_, fields)) = stat.rsplit_once(')') else { return 0 };
    fields.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum()
}

/// Resident memory in MiB.
pub(crate) fn rss_mib(pid: u32) -> f64 {
    status_kib(pid, "VmRSS:") as f64 / 1024.0
}

/// Highest resident memory so far in MiB.
pub(crate) fn peak_rss_mib(pid: u32) -> f64 {
    status_kib(pid, "VmHWM:") as f64 / 1024.0
}

fn status_kib(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok());
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_work_is_seen() {
        let meter = Meter::start(&[std::process::id()]);
        let begin = Instant::now();
        let used = process_ticks(std::process::id());
        let mut sum = 0_u64;
        // A busy machine gives this process little of each second.
        while process_ticks(std::process::id()) < used + 10 && begin.elapsed().as_secs() < 60 {
            sum = (0..1_000_000).fold(sum, |sum, n| std::hint::black_box(sum.wrapping_add(n)));
        }
        let usage = meter.stop();
        assert!(usage.server_seconds > 0.05, "{usage:?}");
        assert!(usage.server_rss_mib > 0.5, "{usage:?}");
    }
}
