//! One message to many WebSockets: the hub beside a bare broadcast of ready frames, and beside core NATS.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use clap::Args;
use serde_json::json;
use tokio::{net::TcpStream, task::JoinSet};

use super::Settings;
use crate::{
    error::{Doing, Error, Fallible},
    http::{Connection, Http},
    hub::{Hub, SECRET, single},
    load::Tally,
    meter::Meter,
    peers::nats,
    process::Server,
    progress, reference,
    report::{Report, Sample, Series, Verdict},
    sockets::{self, Split, Tracker, websocket},
    template::{EVENT, Template, single_body},
};

/// Connections that publish.
const PUBLISHERS: usize = 16;
/// Sockets that are opened at once: more would overrun a listener's backlog.
const OPENING: usize = 32;

/// How many listen.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Numbers of subscribers, each measured by itself.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [100, 1_000])]
    pub(crate) subscribers: Vec<u32>,
}

/// How a subject is subscribed to and published to.
enum Way {
    WebSocket { path: &'static str, token: String, publish: Box<Template> },
    Nats,
}

struct Subject {
    series: Series,
    addr: SocketAddr,
    pid: u32,
    way: Way,
}

/// Runs it for each number of subscribers; without the hub it shows the limits of the machine alone.
pub(crate) async fn run(settings: &Settings, options: &Options, with_hub: bool) -> Fallible<Vec<Report>> {
    let folder = settings.folder()?;
    let hub = match with_hub {
        true => Some(Hub::fresh(&settings.nexus()?, &folder.path().join("hub")).await?),
        false => None,
    };
    let bare = reference::start(folder.path()).await?;
    let nats = nats::start(folder.path()).await?;
    let mut reports = Vec::new();
    for subscribers in &options.subscribers {
        let subjects = subjects(hub.as_ref(), &bare, nats.as_ref());
        reports.push(one_number(settings, *subscribers, subjects, with_hub).await?);
    }
    if let Some(hub) = hub {
        hub.server.stop().await?;
    }
    Ok(reports)
}

fn subjects(hub: Option<&Hub>, bare: &Server, nats: Option<&Server>) -> Vec<Subject> {
    let to_bare = || Template::signed("/broadcast", "application/json", &single_body(false), 1, SECRET);
    let subject = |name: &str, server: &Server, way| Subject {
        series: Series::new(name),
        addr: server.addr,
        pid: server.pid,
        way,
    };
    let socket =
        |path, token: &str, publish| Way::WebSocket { path, token: token.to_owned(), publish: Box::new(publish) };
    let mut subjects = Vec::new();
    if let Some(hub) = hub {
        subjects.push(subject("hub", &hub.server, socket("/ws", &hub.token, single(false))));
    }
    subjects.push(subject("bare axum broadcast, a write per frame", bare, socket("/sockets", "", to_bare())));
    let coalesced = socket("/sockets/coalesced", "", to_bare());
    subjects.push(subject("bare axum broadcast, coalesced writes", bare, coalesced));
    if let Some(nats) = nats {
        subjects.push(subject("core NATS, not durable", nats, Way::Nats));
    }
    subjects
}

async fn one_number(
    settings: &Settings,
    subscribers: u32,
    mut subjects: Vec<Subject>,
    with_hub: bool,
) -> Fallible<Report> {
    for round in 1..=settings.rounds {
        for subject in &mut subjects {
            let name = subject.series.name();
            progress(format_args!("1 to {subscribers}, round {round} of {}: {name}", settings.rounds));
            let sample = subject.round(settings, subscribers).await.doing(format_args!("fan-out through {name}"))?;
            subject.series.push(sample);
        }
    }
    let series: Vec<Series> = subjects.into_iter().map(|s| s.series).collect();
    let title = format!("fanout: 1 to {subscribers} WebSockets, at most {} messages outstanding", sockets::OUTSTANDING);
    let mut report = Report::new(title, "deliveries");
    if with_hub && let [hub, plain, ..] = &series[..] {
        let ratio = hub.rate_by(plain);
        report.note("The hub's messages are signed, stored and synced before they go out; the others' are not.");
        report.verdict(Verdict::at_least("rate by the bare broadcast's, at least 0.80", ratio, 0.8));
    }
    report.series(series);
    Ok(report)
}

impl Subject {
    async fn round(&self, settings: &Settings, subscribers: u32) -> Fallible<Sample> {
        let tracker = Tracker::new(subscribers);
        let (streams, split) = self.subscribe(subscribers).await?;
        let mut tasks = sockets::follow(streams, split, &tracker);
        match &self.way {
            Way::WebSocket { publish, .. } => {
                for _ in 0..PUBLISHERS {
                    let connection = Connection::open(self.addr).await?;
                    tasks.spawn(publish_loop(connection, (**publish).clone(), tracker.clone()));
                }
            }
            Way::Nats => {
                let (stream, _) = nats::connect(self.addr, false).await?;
                tasks.spawn(nats::publish(stream, tracker.clone()));
            }
        }
        let measured = async {
            tokio::time::sleep(settings.time() / 4).await;
            let (before, started) = (tracker.frames(), Instant::now());
            let meter = Meter::start(&[self.pid]);
            tokio::time::sleep(settings.time()).await;
            let events = tracker.frames() - before;
            let tally = Tally { events, seconds: started.elapsed().as_secs_f64(), ..Tally::default() };
            if events == 0 {
                return Err(Error::new("no frame arrived"));
            }
            Ok(Sample::new(&tally, meter.stop()))
        };
        // The tasks end only by failing; dropping them closes the sockets.
        tokio::select! {
            sample = measured => sample,
            Some(ended) = tasks.join_next() => match ended {
                Ok(Err(error)) => Err(error),
                other => Err(Error::new(format!("a client ended early: {other:?}"))),
            },
        }
    }

    async fn subscribe(&self, subscribers: u32) -> Fallible<(Vec<(TcpStream, Vec<u8>)>, Split)> {
        let mut streams = Vec::with_capacity(subscribers as usize);
        let mut opening: JoinSet<Fallible<(TcpStream, Vec<u8>)>> = JoinSet::new();
        let mut left = subscribers;
        while left > 0 || !opening.is_empty() {
            while left > 0 && opening.len() < OPENING {
                left -= 1;
                let addr = self.addr;
                match &self.way {
                    Way::WebSocket { path, token, .. } => {
                        let (path, token) = (*path, token.clone());
                        let frame = json!({"action": "subscribe", "events": [EVENT]}).to_string();
                        opening.spawn(async move { sockets::subscribe(addr, path, &token, &frame).await });
                    }
                    Way::Nats => drop(opening.spawn(nats::connect(addr, true))),
                }
            }
            if let Some(opened) = opening.join_next().await {
                streams.push(opened.doing("joining a subscriber")??);
            }
        }
        let split: Split = if matches!(self.way, Way::Nats) { nats::split } else { websocket };
        Ok((streams, split))
    }
}

/// Posts a message whenever there is room for one more. Ends only with an error.
async fn publish_loop(mut connection: Connection, mut template: Template, tracker: Arc<Tracker>) -> Fallible<()> {
    loop {
        tracker.room.acquire().await.doing("waiting for room")?.forget();
        let answer = connection.exchange(template.stamp(), &Http).await?;
        if answer.status >= 300 {
            let body = connection.body(&answer).into_owned();
            return Err(Error::new(format!("answered {}: {}", answer.status, String::from_utf8_lossy(&body))));
        }
    }
}
