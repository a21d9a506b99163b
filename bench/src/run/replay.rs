//! Reading the log from its first event to its last, through the export that a person would use.

use std::time::Instant;

use clap::Args;

use super::{Settings, footprint::last_seq};
use crate::{
    error::{Error, Fallible},
    http::{Connection, Http},
    hub::Hub,
    load::Tally,
    meter::Meter,
    progress,
    report::{Report, Sample, Series},
};

/// Events of one page.
const PAGE: usize = 1_000;

/// How long the log is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Events in the log.
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    pub(crate) events: u64,
}

/// Runs it.
pub(crate) async fn run(settings: &Settings, options: &Options) -> Fallible<Report> {
    let folder = settings.folder()?;
    let hub = Hub::fresh(&settings.nexus()?, &folder.path().join("hub")).await?;
    progress(format_args!("filling a log with {} events", options.events));
    hub.fill(options.events).await?;
    let mut export = Series::new("hub, HTTP export");
    for round in 1..=settings.rounds {
        progress(format_args!("round {round} of {}: export", settings.rounds));
        export.push(exported(&hub, options.events).await?);
    }
    let mut report = Report::new(format!("replay: {} events read from first to last", options.events), "events");
    report.series([export]);
    hub.server.stop().await?;
    Ok(report)
}

async fn exported(hub: &Hub, events: u64) -> Fallible<Sample> {
    let mut connection = Connection::open(hub.server.addr).await?;
    let meter = Meter::start(&[hub.server.pid]);
    let started = Instant::now();
    let (mut after, mut tally) = (0, Tally::default());
    loop {
        let request = hub.request("GET", &format!("/api/v1/log/export?after={after}&limit={PAGE}"), None);
        let answer = connection.exchange(request.as_bytes(), &Http).await?;
        let page = connection.body(&answer);
        if answer.status >= 300 {
            return Err(Error::new(format!("the export was answered {}", answer.status)));
        }
        let Some(last) = last_seq(&page) else { break };
        tally.events += page.iter().filter(|b| **b == b'\n').count() as u64;
        after = last;
    }
    tally.seconds = started.elapsed().as_secs_f64();
    if tally.events < events {
        return Err(Error::new(format!("the export had {} of {events} events", tally.events)));
    }
    Ok(Sample::new(&tally, meter.stop()))
}
