//! The load: closed loops that send as fast as answers come, fixed counts, and a fixed rate.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    error::{Error, Fallible, within},
    histogram::Histogram,
    http::{Connection, Protocol},
    template::Template,
};

/// How long past its end a run may take to come home.
const GRACE: Duration = Duration::from_secs(30);

/// What a load did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Events accepted.
    pub(crate) events: u64,
    /// Requests answered 429 or 503.
    pub(crate) refused: u64,
    /// Wall seconds.
    pub(crate) seconds: f64,
    /// Per request.
    pub(crate) latency: Histogram,
}

impl Tally {
    /// Events per second.
    pub(crate) fn rate(&self) -> f64 {
        self.events as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Counts another worker of the same run.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.refused += other.refused;
        self.latency.merge(&other.latency);
    }
}

/// When a worker stops.
#[derive(Clone, Copy)]
enum Stop {
    /// At this time; what is answered later does not count.
    At(Instant),
    /// After so many accepted requests.
    After(u64),
}

/// `connections` clients, each sending its next request as soon as the last one is answered, for `time`.
pub(crate) async fn closed_loop<P: Protocol>(
    addr: SocketAddr,
    protocol: &P,
    template: &Template,
    connections: usize,
    time: Duration,
) -> Fallible<Tally> {
    let workers = open_all(addr, connections).await?;
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for connection in workers {
        tasks.spawn(worker(connection, protocol.clone(), template.clone(), Stop::At(started + time)));
    }
    let mut tally = within(time + GRACE, "a closed loop", join(tasks)).await?;
    tally.seconds = time.as_secs_f64();
    Ok(tally)
}

/// Sends `requests` requests over `connections` clients; fails if they are not accepted within `limit`.
pub(crate) async fn send<P: Protocol>(
    addr: SocketAddr,
    protocol: &P,
    template: &Template,
    connections: usize,
    requests: u64,
    limit: Duration,
) -> Fallible<Tally> {
    let workers = open_all(addr, connections).await?;
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (i, connection) in (0..).zip(workers) {
        let share = requests / connections as u64 + u64::from(i < requests % connections as u64);
        tasks.spawn(worker(connection, protocol.clone(), template.clone(), Stop::After(share)));
    }
    let mut tally = within(limit, format_args!("sending {requests} requests"), join(tasks)).await?;
    tally.seconds = started.elapsed().as_secs_f64();
    Ok(tally)
}

/// `rate` requests a second over `connections` clients for `time`. A latency counts from when its request was due, so
/// that a server which falls behind can't hide it.
pub(crate) async fn paced<P: Protocol>(
    addr: SocketAddr,
    protocol: &P,
    template: &Template,
    connections: usize,
    rate: f64,
    time: Duration,
) -> Fallible<Tally> {
    let workers = open_all(addr, connections).await?;
    let started = Instant::now();
    let step = Duration::from_secs_f64(connections as f64 / rate);
    let mut tasks = JoinSet::new();
    for (i, connection) in (0_u32..).zip(workers) {
        let first = started + step * i / connections as u32;
        tasks.spawn(paced_worker(connection, protocol.clone(), template.clone(), first, step, started + time));
    }
    let mut tally = within(time + GRACE, "a paced load", join(tasks)).await?;
    tally.seconds = started.elapsed().as_secs_f64();
    Ok(tally)
}

async fn open_all(addr: SocketAddr, connections: usize) -> Fallible<Vec<Connection>> {
    let mut all = Vec::with_capacity(connections);
    for _ in 0..connections {
        all.push(Connection::open(addr).await?);
    }
    Ok(all)
}

async fn join(mut tasks: JoinSet<Fallible<Tally>>) -> Fallible<Tally> {
    let mut sum = Tally::default();
    while let Some(done) = tasks.join_next().await {
        sum.merge(&done.map_err(|e| Error::new(e.to_string()))??);
    }
    Ok(sum)
}

async fn worker<P: Protocol>(
    mut connection: Connection,
    protocol: P,
    mut template: Template,
    stop: Stop,
) -> Fallible<Tally> {
    let mut tally = Tally::default();
    let mut accepted = 0;
    let mut started = Instant::now();
    loop {
        match stop {
            Stop::At(end) if started >= end => return Ok(tally),
            Stop::After(requests) if accepted >= requests => return Ok(tally),
            _ => {}
        }
        let taken = request(&mut connection, &protocol, &mut template).await?;
        let ended = Instant::now();
        let in_time = !matches!(stop, Stop::At(end) if ended > end);
        if !taken {
            tally.refused += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        } else if in_time {
            accepted += 1;
            tally.events += template.events;
            tally.latency.record(ended - started);
        }
        started = ended;
    }
}

async fn paced_worker<P: Protocol>(
    mut connection: Connection,
    protocol: P,
    mut template: Template,
    first: Instant,
    step: Duration,
    end: Instant,
) -> Fallible<Tally> {
    let mut tally = Tally::default();
    let mut due = first;
    while due < end {
        tokio::time::sleep_until(due.into()).await;
        if request(&mut connection, &protocol, &mut template).await? {
            tally.events += template.events;
            tally.latency.record(due.elapsed());
        } else {
            tally.refused += 1;
        }
        due += step;
    }
    Ok(tally)
}

/// Whether one request was accepted; a refusal because of load is an answer, anything else ends the run.
async fn request<P: Protocol>(connection: &mut Connection, protocol: &P, template: &mut Template) -> Fallible<bool> {
    let answer = connection.exchange(template.stamp(), protocol).await?;
    match answer.status {
        200..=299 => Ok(true),
        429 | 503 => Ok(false),
        status => {
            let body = connection.body(&answer);
            Err(Error::new(format!("answered {status}: {}", String::from_utf8_lossy(&body))))
        }
    }
}
