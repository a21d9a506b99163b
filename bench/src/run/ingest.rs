//! One signed event a request: the hub beside bare servers that do less and less of the work, and beside peers.

use super::{Settings, Subject, take_turns};
use crate::{
    error::Fallible,
    hub::{Hub, SECRET, single},
    peers::{etcd, redis},
    reference,
    report::{Report, Series, Verdict},
    template::{Template, single_body},
};

/// Name of the reference that the targets are about.
const DURABLE: &str = "durable reference: HMAC + parse + one synced append";

/// Runs it; without the hub it shows the limits of the machine alone.
pub(crate) async fn run(settings: &Settings, with_hub: bool) -> Fallible<Report> {
    let folder = settings.folder()?;
    let connections = settings.connections;
    let bare = reference::start(folder.path()).await?;
    let redis = redis::start(folder.path()).await?;
    let etcd = etcd::start(folder.path()).await?;
    let to = |path: &str| Template::signed(path, "application/json", &single_body(false), 1, SECRET);
    let mut subjects = vec![
        Subject::http(DURABLE, &bare, to("/durable"), connections),
        Subject::http("HMAC + parse, not kept", &bare, to("/hmac"), connections),
        Subject::http("raw 204", &bare, to("/raw"), connections),
    ];
    let mut report =
        Report::new(format!("ingest: one signed event of 500 bytes a request, {connections} connections"), "events");
    if let Some(redis) = &redis {
        subjects.push(Subject::redis("Redis Streams XADD, appendfsync always", redis, 1, connections));
        report.note("Redis takes no HTTP, checks no signature and plans no delivery.");
    }
    if let Some(etcd) = &etcd {
        subjects.push(Subject::etcd("etcd put", etcd, single_body(false), connections));
    }
    if !with_hub {
        report.series(take_turns(subjects, settings).await?);
        return Ok(report);
    }
    let hub = Hub::fresh(&settings.nexus()?, &folder.path().join("hub")).await?;
    subjects.insert(0, Subject::http("hub", &hub.server, single(false), connections));
    let series = take_turns(subjects, settings).await?;
    if let [hub, durable, ..] = &series[..] {
        targets(&mut report, hub, durable);
    }
    report.series(series);
    hub.server.stop().await?;
    Ok(report)
}

fn targets(report: &mut Report, hub: &Series, durable: &Series) {
    let rate = hub.rate_by(durable);
    report.verdict(Verdict::at_least("rate by the durable reference's, at least 0.60", rate, 0.6));
    let p99 = hub.p99_by(durable);
    report.verdict(Verdict::at_most("p99 by the durable reference's, at most 3", p99, 3.0));
}
