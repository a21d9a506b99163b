//! The runs: what each subcommand starts, sends and sets side by side.

pub(crate) mod batch;
pub(crate) mod deliver;
pub(crate) mod everything;
pub(crate) mod fanout;
pub(crate) mod flow;
pub(crate) mod footprint;
pub(crate) mod graphql;
pub(crate) mod growth;
pub(crate) mod ingest;
pub(crate) mod invoke;
pub(crate) mod replay;
pub(crate) mod restart;
pub(crate) mod state;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use tempfile::TempDir;

use crate::{
    error::{Doing, Fallible},
    http::Protocol,
    load,
    meter::Meter,
    peers::{etcd, redis::Resp},
    report::{Sample, Series},
    template::Template,
};

/// How each run is made.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    /// The hub's binary.
    #[arg(long, global = true, value_name = "PATH", default_value = "target/release/nexus")]
    pub(crate) nexus: PathBuf,
    /// Where the data folders are made; it must be on the disk that is meant.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Rounds; each subject and its references take turns in every round.
    #[arg(long, global = true, value_name = "N", default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Seconds that one subject is measured in one round, after a warm-up of a quarter of it.
    #[arg(long, global = true, value_name = "S", default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Keep-alive connections of the load.
    #[arg(long, global = true, value_name = "N", default_value_t = 64)]
    pub(crate) connections: usize,
    /// Writes the figures to this file as JSON, too.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Settings {
    /// The measured time of one round.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.clamp(0.05, 600.0))
    }

    /// A folder for one run, removed with it.
    pub(crate) fn folder(&self) -> Fallible<TempDir> {
        let parent = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        std::fs::create_dir_all(&parent).doing(format_args!("creating {}", parent.display()))?;
        TempDir::with_prefix_in("nexus-bench-", &parent)
            .doing(format_args!("creating a folder in {}", parent.display()))
    }

    /// The hub's binary, checked to be there.
    pub(crate) fn nexus(&self) -> Fallible<PathBuf> {
        self.nexus.canonicalize().doing(format_args!("looking for the hub's binary {}", self.nexus.display()))
    }
}

/// How a subject is loaded.
enum Driver {
    Http(Template),
    Redis(Template, Resp),
    /// Value.
    Etcd(String),
    /// Token, value.
    State(String, String),
}

/// One of several that take turns.
pub(crate) struct Subject {
    series: Series,
    addr: SocketAddr,
    pid: u32,
    driver: Driver,
    connections: usize,
}

impl Subject {
    /// A server that takes this HTTP request.
    pub(crate) fn http(name: &str, server: &crate::process::Server, template: Template, connections: usize) -> Self {
        Self::new(name, server, Driver::Http(template), connections)
    }

    /// Redis, `depth` commands a round trip.
    pub(crate) fn redis(name: &str, server: &crate::process::Server, depth: usize, connections: usize) -> Self {
        let driver = Driver::Redis(crate::peers::redis::xadd(depth), Resp(depth));
        Self::new(name, server, driver, connections)
    }

    /// etcd, one put a round trip.
    pub(crate) fn etcd(name: &str, server: &crate::process::Server, value: String, connections: usize) -> Self {
        Self::new(name, server, Driver::Etcd(value), connections)
    }

    /// The hub's state, one put a round trip.
    pub(crate) fn state(
        name: &str,
        server: &crate::process::Server,
        token: &str,
        value: &str,
        connections: usize,
    ) -> Self {
        Self::new(name, server, Driver::State(token.to_owned(), value.to_owned()), connections)
    }

    fn new(name: &str, server: &crate::process::Server, driver: Driver, connections: usize) -> Self {
        Self { series: Series::new(name), addr: server.addr, pid: server.pid, driver, connections }
    }

    async fn round(&mut self, time: Duration) -> Fallible<()> {
        self.load(time / 4).await.doing(format_args!("warming up {:?}", self.addr))?;
        let meter = Meter::start(&[self.pid]);
        let tally = self.load(time).await?;
        self.series.push(Sample::new(&tally, meter.stop()));
        Ok(())
    }

    async fn load(&self, time: Duration) -> Fallible<load::Tally> {
        match &self.driver {
            Driver::Http(template) => self.closed(&crate::http::Http, template, time).await,
            Driver::Redis(template, resp) => self.closed(resp, template, time).await,
            Driver::Etcd(value) => etcd::put_loop(self.addr, value, self.connections, time).await,
            Driver::State(token, value) => state::put_loop(self.addr, token, value, self.connections, time).await,
        }
    }

    async fn closed<P: Protocol>(&self, protocol: &P, template: &Template, time: Duration) -> Fallible<load::Tally> {
        load::closed_loop(self.addr, protocol, template, self.connections, time).await
    }
}

/// Lets the subjects take turns for all rounds.
pub(crate) async fn take_turns(mut subjects: Vec<Subject>, settings: &Settings) -> Fallible<Vec<Series>> {
    for round in 1..=settings.rounds {
        for subject in &mut subjects {
            crate::progress(format_args!("round {round} of {}: {}", settings.rounds, subject.series.name()));
            subject.round(settings.time()).await?;
        }
    }
    Ok(subjects.into_iter().map(|s| s.series).collect())
}

/// Bytes of a file; 0 when there is none.
pub(crate) fn file_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}
