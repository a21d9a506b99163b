//! Durable puts of small values: the hub's state beside etcd, each answered when it is synced, the same keys and values.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;

use super::{Settings, Subject, take_turns};
use crate::{
    error::{Doing, Error, Fallible},
    http::{Connection, Http},
    hub::Hub,
    load::Tally,
    peers::etcd::{self, KEYS, next_key},
    report::{Report, Series, Verdict},
};

/// Bytes of a value, quotes included.
const VALUE_BYTES: usize = 200;

/// Runs it; etcd takes part where it is installed.
pub(crate) async fn run(settings: &Settings) -> Fallible<Report> {
    let folder = settings.folder()?;
    let clients = settings.connections;
    let value = json!("v".repeat(VALUE_BYTES - 2)).to_string();
    let title = format!("state: one durable put of {VALUE_BYTES} bytes a request, {clients} clients, {KEYS} keys");
    let mut report = Report::new(title, "puts");
    let etcd = etcd::start(folder.path()).await?;
    let hub = Hub::start(&settings.nexus()?, &folder.path().join("hub")).await?;
    let mut subjects = vec![Subject::state("hub", &hub.server, &hub.token, &value, clients)];
    if let Some(etcd) = &etcd {
        subjects.push(Subject::etcd("etcd put", etcd, value.clone(), clients));
        report.note("etcd is one member with its defaults; the hub's put also stores the version before and an event.");
    } else {
        report.note("etcd is not installed; there is nothing to compare with.");
    }
    let series = take_turns(subjects, settings).await?;
    if let [hub, etcd] = &series[..] {
        targets(&mut report, hub, etcd);
    }
    report.series(series);
    hub.server.stop().await?;
    Ok(report)
}

fn targets(report: &mut Report, hub: &Series, etcd: &Series) {
    report.verdict(Verdict::at_least("rate by etcd's, at least 2", hub.rate_by(etcd), 2.0));
    report.verdict(Verdict::at_most("p99 by etcd's, at most 1", hub.p99_by(etcd), 1.0));
}

/// `clients` clients, each with its next put as soon as the last one is answered, for `time`.
pub(crate) async fn put_loop(
    addr: SocketAddr,
    token: &str,
    value: &str,
    clients: usize,
    time: Duration,
) -> Fallible<Tally> {
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(Connection::open(addr).await?);
    }
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for (client, connection) in (0_u64..).zip(connections) {
        let body = format!("{{\"value\":{value}}}");
        let rest = format!(
            " HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        tasks.spawn(put_client(connection, rest, client, end));
    }
    let mut sum = Tally { seconds: time.as_secs_f64(), ..Tally::default() };
    while let Some(done) = tasks.join_next().await {
        sum.merge(&done.doing("joining a client")??);
    }
    Ok(sum)
}

async fn put_client(mut connection: Connection, rest: String, client: u64, end: Instant) -> Fallible<Tally> {
    let mut tally = Tally::default();
    let mut number = client;
    let mut started = Instant::now();
    loop {
        let request = format!("PUT /state/k-{:05}{rest}", number % KEYS);
        let answer = connection.exchange(request.as_bytes(), &Http).await?;
        if answer.status != 200 {
            let body = String::from_utf8_lossy(&connection.body(&answer)).into_owned();
            return Err(Error::new(format!("a put was answered {}: {body}", answer.status)));
        }
        let ended = Instant::now();
        if ended > end {
            return Ok(tally);
        }
        tally.events += 1;
        tally.latency.record(ended - started);
        started = ended;
        number = next_key(number);
    }
}
