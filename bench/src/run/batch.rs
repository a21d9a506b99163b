//! A hundred events a request, beside Redis one at a time and a hundred at a time.

use super::{Settings, Subject, take_turns};
use crate::{
    error::Fallible,
    hub::{Hub, SECRET, batch},
    peers::redis,
    reference,
    report::{Report, Verdict},
    template::{Template, batch_body},
};

/// Events of one request.
const EVENTS: usize = 100;
/// The peer that the target is about.
const REDIS: &str = "Redis Streams XADD, appendfsync always";

/// Runs it.
pub(crate) async fn run(settings: &Settings) -> Fallible<Report> {
    let folder = settings.folder()?;
    let connections = settings.connections;
    // So many requests of so many events would fill any bounded queue; a batch client needs fewer connections.
    let clients = (connections / 4).max(1);
    let hub = Hub::fresh(&settings.nexus()?, &folder.path().join("hub")).await?;
    let bare = reference::start(folder.path()).await?;
    let redis = redis::start(folder.path()).await?;
    let kind = "application/cloudevents-batch+json";
    let to_bare = Template::signed("/durable-batch", kind, &batch_body(EVENTS), EVENTS as u64, SECRET);
    let mut subjects = vec![
        Subject::http(&format!("hub, {clients} connections"), &hub.server, batch(EVENTS), clients),
        Subject::http(&format!("durable reference, {clients} connections"), &bare, to_bare, clients),
    ];
    if let Some(redis) = &redis {
        subjects.push(Subject::redis(&format!("{REDIS}, {connections} connections"), redis, 1, connections));
        let piped = format!("the same, pipelined by {EVENTS}, {clients} connections");
        subjects.push(Subject::redis(&piped, redis, EVENTS, clients));
    }
    let series = take_turns(subjects, settings).await?;
    let mut report = Report::new(format!("ingest-batch: CloudEvents batches of {EVENTS} events"), "events");
    if let [hub, _, single, ..] = &series[..] {
        let ratio = hub.rate_by(single);
        report.verdict(Verdict::at_least("rate by Redis' single XADD, at least 1.50", ratio, 1.5));
    } else {
        report.note("redis-server is not installed here, so the target can't be judged.");
    }
    report.note("Each event has its own id, which the hub remembers for deduplication; Redis has no like of it.");
    report.series(series);
    hub.server.stop().await?;
    Ok(report)
}
