//! All runs one after the other, with the machine named: the table of `docs/performance.md`.

use clap::Args;

use super::{
    Settings, batch, deliver, fanout, flow, footprint, graphql, growth, ingest, invoke, replay, restart, state,
};
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

/// Runs it. A run that fails is told of in its place: the others' figures are worth keeping.
pub(crate) async fn run(settings: &Settings, options: &Options) -> Vec<Report> {
    let deliver = deliver::Options { backlog: options.backlog };
    let fanout = fanout::Options { subscribers: options.subscribers.clone() };
    let replay = replay::Options { events: options.replay_events };
    let restart = restart::Options { events: options.restart_events };
    let growth = growth::Options { events: options.growth_events };
    let footprint = footprint::Options { soak: options.soak };

    let mut reports = vec![
        kept("ingest", ingest::run(settings, true).await),
        kept("ingest-batch", batch::run(settings).await),
        kept("deliver", deliver::run(settings, &deliver).await),
    ];
    match invoke::run(settings).await {
        Ok(all) => reports.extend(all),
        Err(error) => reports.push(kept("invoke", Err(error))),
    }
    match fanout::run(settings, &fanout, true).await {
        Ok(all) => reports.extend(all),
        Err(error) => reports.push(kept("fanout", Err(error))),
    }
    reports.push(kept("state", state::run(settings).await));
    reports.push(kept("graphql", graphql::run(settings).await));
    match flow::run(settings, &flow::Options { sleeping: 10_000, waiting: 100_000 }).await {
        Ok(all) => reports.extend(all),
        Err(error) => reports.push(kept("flow", Err(error))),
    }
    reports.push(kept("replay", replay::run(settings, &replay).await));
    reports.push(kept("restart", restart::run(settings, &restart).await));
    reports.push(kept("ingest-at", growth::run(settings, &growth).await));
    reports.push(kept("footprint", footprint::run(settings, &footprint).await));
    reports
}

fn kept(title: &str, result: Fallible<Report>) -> Report {
    result.unwrap_or_else(|error| Report::failed(title, &error))
}
