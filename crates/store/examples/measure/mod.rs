//! What both measurements need: the time, and what the process has used of the machine.

use std::time::{Duration, Instant, SystemTime};

use nexus_core::time::{Clock, Pending, Timestamp};

/// The clock of this machine.
pub(crate) struct RealClock(Instant);

impl RealClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }
    fn mono(&self) -> Duration {
        self.0.elapsed()
    }
    fn sleep(&self, by: Duration) -> Pending<()> {
        Box::pin(tokio::time::sleep(by))
    }
}

/// Seconds of CPU that this process has used: in user mode, in the kernel.
pub(crate) fn cpu() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let seconds = |n: usize| fields[n].parse::<f64>().unwrap() / 100.0;
    (seconds(11), seconds(12))
}
