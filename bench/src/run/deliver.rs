//! Deliveries to a local sink: how many a second, beside a bare client that posts the very same requests, and how long
//! one message takes when nothing else is going on.

use std::{net::SocketAddr, time::Instant};

use clap::Args;
use serde_json::{Value, json};

use super::Settings;
use crate::{
    error::{Doing, Error, Fallible},
    http::{Connection, Http},
    hub::{Hub, single},
    load::{self, Tally},
    meter::Meter,
    process::Server,
    progress, reference,
    report::{Report, Sample, Series, Verdict, median},
    template::{EVENT, Template, single_body},
};

/// Messages a second of the idle measurement: each is long delivered when the next one comes.
const IDLE_RATE: f64 = 100.0;

/// How much is delivered.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Events that wait for a paused subscription before it is let go, in each round.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub(crate) backlog: u64,
}

struct Rig {
    hub: Hub,
    bare: Server,
    connections: usize,
    /// What the sink has been sent since it was reset, at least.
    expected: u64,
}

/// Runs it.
pub(crate) async fn run(settings: &Settings, options: &Options) -> Fallible<Report> {
    let folder = settings.folder()?;
    let hub = Hub::fresh(&settings.nexus()?, &folder.path().join("hub")).await?;
    let bare = reference::start(folder.path()).await?;
    let mut rig = Rig { hub, bare, connections: settings.connections, expected: 0 };
    rig.subscribe("sink", "/sink").await?;
    let mut backlog = Series::new("hub, a waiting backlog");
    let mut live = Series::new("hub, while events are posted one by one");
    let mut client = Series::new("bare client loop, the same requests");
    let mut accepted = Vec::new();
    for round in 1..=settings.rounds {
        progress(format_args!("round {round} of {}: backlog, live, bare client", settings.rounds));
        backlog.push(rig.backlog(options.backlog).await?);
        let (sample, posted) = rig.live(settings).await?;
        live.push(sample);
        accepted.push(posted);
        client.push(rig.client(settings).await?);
    }
    rig.hub.call("DELETE", "/api/v1/subscriptions/sink", None).await?;

    let title = format!("deliver: webhooks to a local sink, {} at once", settings.connections);
    let mut report = Report::new(title, "deliveries");
    report.verdict(Verdict::at_least(
        "backlog: rate by the bare client's, at least 0.50",
        backlog.rate_by(&client),
        0.5,
    ));
    report.note(format!(
        "live: by the bare client's {:.2}, while the same cores also take the posts in",
        live.rate_by(&client)
    ));
    report.series([backlog, live, client]);
    report.figure("accepted meanwhile (live)", "events/s", &accepted);
    idle(&rig, settings, &mut report).await?;
    rig.hub.server.stop().await?;
    Ok(report)
}

impl Rig {
    async fn subscribe(&self, name: &str, path: &str) -> Fallible<()> {
        let body = json!({
            "name": name,
            "filter": EVENT,
            "url": format!("http://{}{path}", self.bare.addr),
            "concurrency": self.connections,
        });
        self.hub.call("POST", "/api/v1/subscriptions", Some(body)).await.map(drop)
    }

    /// Lets the subscription go on a log full of undelivered events, until the last one has arrived.
    async fn backlog(&mut self, events: u64) -> Fallible<Sample> {
        self.reset().await?;
        self.hub.call("POST", "/api/v1/subscriptions/sink/pause", Some(json!({"reason": "bench"}))).await?;
        let filled = self.hub.fill(events).await?.events;
        let meter = Meter::start(&[self.hub.server.pid, self.bare.pid]);
        let started = Instant::now();
        self.hub.call("POST", "/api/v1/subscriptions/sink/resume", Some(json!({}))).await?;
        self.expected += filled;
        self.arrived().await?;
        let tally = Tally { events: filled, seconds: started.elapsed().as_secs_f64(), ..Tally::default() };
        Ok(Sample::new(&tally, meter.stop()))
    }

    /// Posts as fast as the hub takes it, and counts what arrives meanwhile; then waits for the rest.
    async fn live(&mut self, settings: &Settings) -> Fallible<(Sample, f64)> {
        self.reset().await?;
        let addr = self.hub.server.addr;
        let template = single(false);
        let warm = load::closed_loop(addr, &Http, &template, self.connections, settings.time() / 4).await?;
        let meter = Meter::start(&[self.hub.server.pid, self.bare.pid]);
        let before = self.count().await?;
        let started = Instant::now();
        let posted = load::closed_loop(addr, &Http, &template, self.connections, settings.time()).await?;
        let delivered = self.count().await? - before;
        let tally = Tally { events: delivered, seconds: started.elapsed().as_secs_f64(), ..Tally::default() };
        let sample = Sample::new(&tally, meter.stop());
        self.expected += warm.events + posted.events;
        self.arrived().await?;
        Ok((sample, posted.rate()))
    }

    /// Posts the first request that the hub sent, again and again.
    async fn client(&mut self, settings: &Settings) -> Fallible<Sample> {
        let mut connection = Connection::open(self.bare.addr).await?;
        let answer = connection.exchange(b"GET /sink/first HTTP/1.1\r\nhost: bench\r\n\r\n", &Http).await?;
        let template = Template::plain(connection.body(&answer).into_owned(), 1);
        load::closed_loop(self.bare.addr, &Http, &template, self.connections, settings.time() / 4).await?;
        let meter = Meter::start(&[self.bare.pid, self.hub.server.pid]);
        let tally = load::closed_loop(self.bare.addr, &Http, &template, self.connections, settings.time()).await?;
        Ok(Sample::new(&tally, meter.stop()))
    }

    async fn reset(&mut self) -> Fallible<()> {
        self.expected = 0;
        sink(self.bare.addr, "POST", "/sink/reset").await.map(drop)
    }

    async fn count(&self) -> Fallible<u64> {
        let answer = sink(self.bare.addr, "GET", "/sink/count").await?;
        answer["count"].as_u64().ok_or_else(|| Error::new("the sink told no count"))
    }

    /// Waits until everything that was accepted has arrived.
    async fn arrived(&self) -> Fallible<()> {
        let answer = sink(self.bare.addr, "GET", &format!("/sink/wait/{}", self.expected)).await?;
        match answer["count"].as_u64() {
            Some(count) if count >= self.expected => Ok(()),
            count => Err(Error::new(format!("{count:?} of {} deliveries arrived within two minutes", self.expected))),
        }
    }
}

/// One message at a time: from just before its POST until it stands in the sink.
async fn idle(rig: &Rig, settings: &Settings, report: &mut Report) -> Fallible<()> {
    rig.subscribe("timed", "/sink/timed").await?;
    let body = single_body(true);
    let head = format!("POST /sink/timed HTTP/1.1\r\nhost: bench\r\ncontent-length: {}\r\n\r\n", body.len());
    let direct = Template::plain(format!("{head}{body}").into_bytes(), 1);
    let (mut hub, mut bare) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for round in 1..=settings.rounds {
        progress(format_args!("round {round} of {}: one message at a time", settings.rounds));
        for (addr, template, found) in
            [(rig.hub.server.addr, single(true), &mut hub), (rig.bare.addr, direct.clone(), &mut bare)]
        {
            sink(rig.bare.addr, "POST", "/sink/reset").await?;
            let sent = load::paced(addr, &Http, &template, 1, IDLE_RATE, settings.time()).await?;
            sink(rig.bare.addr, "GET", &format!("/sink/wait/{}", sent.events)).await?;
            let ages = sink(rig.bare.addr, "GET", "/sink/ages").await?;
            let mut ages: Vec<f64> =
                ages.as_array().into_iter().flatten().filter_map(|n| Some(n.as_f64()? / 1e6)).collect();
            if (ages.len() as u64) < sent.events {
                return Err(Error::new(format!("{} of {} single messages arrived", ages.len(), sent.events)));
            }
            ages.sort_by(f64::total_cmp);
            found.0.push(ages[ages.len() / 2]);
            found.1.push(ages[(ages.len() * 99 / 100).min(ages.len() - 1)]);
        }
    }
    report.figure("one message when idle, POST to sink, p50", "ms", &hub.0);
    report.figure("one message when idle, POST to sink, p99", "ms", &hub.1);
    report.figure("bare client to the same sink, p50", "ms", &bare.0);
    report.figure("bare client to the same sink, p99", "ms", &bare.1);
    report.verdict(Verdict::at_most("one message when idle: p50 in ms, at most 1", median(hub.0), 1.0));
    Ok(())
}

/// One request to the sink's own side.
async fn sink(addr: SocketAddr, method: &str, path: &str) -> Fallible<Value> {
    let mut connection = Connection::open(addr).await?;
    let request = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: 0\r\n\r\n");
    let answer = connection.exchange(request.as_bytes(), &Http).await?;
    serde_json::from_slice(&connection.body(&answer)).doing(format_args!("reading {path}"))
}
