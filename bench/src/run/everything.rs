//! All runs one after the other, with the machine named: the table of `docs/performance.md`.

use clap::Args;

use super::{Settings, batch, deliver, fanout, footprint, growth, ingest, replay, restart};
use crate::{error::Fallible, report::Report};

/// Sizes; the defaults take about ten minutes on two cores, most of it to fill the large logs.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Events that wait for a paused subscription, in each round of `deliver`.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    backlog: u64,
    /// Numbers of subscribers of `fanout`.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [100, 1_000])]
    subscribers: Vec<u32>,
    /// Events in the log of `replay`.
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    replay_events: u64,
    /// Events in the log of `restart`.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    restart_events: u64,
    /// Events in the log of `ingest-at`.
    #[arg(long, value_name = "N", default_value_t = 5_000_000)]
    growth_events: u64,
    /// Seconds of the soak of `footprint`.
    #[arg(long, value_name = "S", default_value_t = 60)]
    soak: u64,
}

/// Runs it.
pub(crate) async fn run(settings: &Settings, options: &Options) -> Fallible<Vec<Report>> {
    let mut reports = vec![ingest::run(settings, true).await?, batch::run(settings).await?];
    reports.push(deliver::run(settings, &deliver::Options { backlog: options.backlog }).await?);
    let subscribers = fanout::Options { subscribers: options.subscribers.clone() };
    reports.extend(fanout::run(settings, &subscribers, true).await?);
    reports.push(replay::run(settings, &replay::Options { events: options.replay_events }).await?);
    reports.push(restart::run(settings, &restart::Options { events: options.restart_events }).await?);
    reports.push(growth::run(settings, &growth::Options { events: options.growth_events }).await?);
    reports.push(footprint::run(settings, &footprint::Options { soak: options.soak }).await?);
    Ok(reports)
}
