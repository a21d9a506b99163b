//! From exec to healthy on a large log and on a small one, after a stop in good order and after a kill.

use clap::Args;

use super::Settings;
use crate::{
    error::Fallible,
    hub::Hub,
    progress,
    report::{Report, Verdict, median},
};

/// Events of the log that the large one is compared with.
const SMALL: u64 = 1_000;

/// How large the log is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Events in the log.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) events: u64,
}

/// Runs it.
pub(crate) async fn run(settings: &Settings, options: &Options) -> Fallible<Report> {
    let folder = settings.folder()?;
    let nexus = settings.nexus()?;
    let mut report =
        Report::new(format!("restart: from exec to healthy with {} events in the log", options.events), "");
    let mut medians = Vec::new();
    for (name, events) in [("small", SMALL.min(options.events)), ("large", options.events)] {
        progress(format_args!("filling a log with {events} events"));
        let mut hub = Hub::fresh(&nexus, &folder.path().join(name)).await?;
        hub.fill(events).await?;
        let (mut stopped, mut killed) = (Vec::new(), Vec::new());
        for round in 1..=settings.rounds {
            progress(format_args!("round {round} of {}: restarting with {events} events", settings.rounds));
            hub = hub.restart().await?;
            stopped.push(hub.healthy().await?.as_secs_f64() * 1e3);
            // Something to recover: a log that was just written to.
            hub.fill(SMALL).await?;
            hub = hub.crash().await?;
            killed.push(hub.healthy().await?.as_secs_f64() * 1e3);
        }
        report.figure(format!("{events} events, stopped in good order"), "ms", &stopped);
        report.figure(format!("{events} events, killed after {SMALL} more"), "ms", &killed);
        medians.push(median(stopped));
        hub.server.stop().await?;
    }
    if let [small, large] = medians[..] {
        report.verdict(Verdict::at_most("healthy in ms, at most 300", large, 300.0));
        report.verdict(Verdict::at_most("more than on the small log, in ms, at most 100", large - small, 100.0));
    }
    Ok(report)
}
