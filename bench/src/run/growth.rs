//! Ingest on a log that is long already, beside the same on an empty one.

use clap::Args;

use super::{Settings, Subject, file_bytes, take_turns};
use crate::{
    error::Fallible,
    hub::{Hub, single},
    progress,
    report::{Report, Verdict},
};

/// How long the log is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Events in the log.
    #[arg(long, value_name = "N", default_value_t = 5_000_000)]
    pub(crate) events: u64,
}

/// Runs it.
pub(crate) async fn run(settings: &Settings, options: &Options) -> Fallible<Report> {
    let folder = settings.folder()?;
    let nexus = settings.nexus()?;
    let long = Hub::fresh(&nexus, &folder.path().join("long")).await?;
    progress(format_args!("filling a log with {} events", options.events));
    let filled = long.fill(options.events).await?;
    let empty = Hub::fresh(&nexus, &folder.path().join("empty")).await?;
    let subjects = vec![
        Subject::http(
            &format!("hub, {} events in the log", options.events),
            &long.server,
            single(false),
            settings.connections,
        ),
        Subject::http("hub, empty log", &empty.server, single(false), settings.connections),
    ];
    let series = take_turns(subjects, settings).await?;
    let mut report = Report::new(format!("ingest-at: single events with {} in the log", options.events), "events");
    if let [long, empty] = &series[..] {
        let ratio = long.rate_by(empty);
        report.verdict(Verdict::at_least("rate by that on an empty log, at least 0.90", ratio, 0.9));
    }
    report.series(series);
    report.figure("filling the log in batches of 500", "events/s", &[filled.rate()]);
    let bytes: u64 = files(&long).iter().map(|f| file_bytes(f)).sum();
    report.figure("largest file of the folder per event", "bytes", &[bytes as f64 / filled.events.max(1) as f64]);
    long.server.stop().await?;
    empty.server.stop().await?;
    Ok(report)
}

/// The largest file of the hub's folder, which is its database.
fn files(hub: &Hub) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(hub.data()).into_iter().flatten().flatten().map(|e| e.path());
    entries.max_by_key(|path| file_bytes(path)).into_iter().collect()
}
