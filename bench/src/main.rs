//! `nexus-bench`: what the hub reaches, beside the raw limit of the same machine in the same run.
//!
//! Absolute figures move with the machine and with whatever else runs on it; the ratios of one run hold. Each subcommand
//! starts the hub and its references on free loopback ports and on folders of its own, and ends them.
#![expect(
    clippy::disallowed_methods,
    reason = "a load generator measures real time, and its tasks end with the process"
)]

mod error;
mod histogram;
mod http;
mod hub;
mod load;
mod machine;
mod meter;
mod peers;
mod process;
mod reference;
mod report;
mod run;
mod sockets;
mod template;

use std::{fmt, io::Write, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    error::{Doing, Error, Fallible},
    machine::Machine,
    report::Report,
    run::{
        Settings, batch, deliver, everything, fanout, flow, footprint, graphql, growth, ingest, invoke, replay,
        restart, state,
    },
};

// The hub has it, so the references have it: the comparison is about what is built on top.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about, version)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Signed single events.
    Ingest,
    /// A hundred events a request.
    IngestBatch,
    /// Webhooks to a local sink.
    Deliver(deliver::Options),
    /// Calls of a service through the hub.
    Invoke,
    /// One message to many WebSockets.
    Fanout(fanout::Options),
    /// Durable puts of shared state, beside etcd.
    State,
    /// The same by GraphQL and by REST.
    Graphql,
    /// Flows of HTTP calls, beside Restate; and many runs that wait.
    Flow(flow::Options),
    /// The log read from first to last.
    Replay(replay::Options),
    /// From exec to healthy.
    Restart(restart::Options),
    /// Single events on a log that is long already.
    IngestAt(growth::Options),
    /// Memory, size and start; with --soak under a long load.
    Footprint(footprint::Options),
    /// The references and the peers alone, without the hub.
    Limits(fanout::Options),
    /// All of these.
    All(everything::Options),
    /// The reference servers; the other subcommands start them.
    #[command(hide = true)]
    ServeReference {
        /// Where the durable reference keeps its file.
        #[arg(long)]
        data: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "nexus-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> Fallible<()> {
    // A thousand sockets have two ends; servers inherit the limit.
    rlimit::increase_nofile_limit(65_536).doing("raising the limit of open files")?;
    if let What::ServeReference { data } = cli.what {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting threads")?;
        return runtime.block_on(reference::serve(data));
    }
    // One thread: the generator must not take the cores from what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().doing("starting")?;
    runtime.block_on(async {
        tokio::select! {
            done = measure(&cli) => done,
            // Leaving by the front door kills the servers and removes the folders.
            _ = tokio::signal::ctrl_c() => Err(Error::new("interrupted")),
        }
    })
}

async fn measure(cli: &Cli) -> Fallible<()> {
    let settings = &cli.settings;
    let machine = Machine::measure(settings.folder()?.path())?;
    let reports = match &cli.what {
        What::Limits(options) => {
            let mut reports = vec![ingest::run(settings, false).await?];
            reports.extend(fanout::run(settings, options, false).await?);
            reports
        }
        What::Ingest => vec![ingest::run(settings, true).await?],
        What::IngestBatch => vec![batch::run(settings).await?],
        What::State => vec![state::run(settings).await?],
        What::Deliver(options) => vec![deliver::run(settings, options).await?],
        What::Invoke => invoke::run(settings).await?,
        What::Fanout(options) => fanout::run(settings, options, true).await?,
        What::Graphql => vec![graphql::run(settings).await?],
        What::Flow(options) => flow::run(settings, options).await?,
        What::Replay(options) => vec![replay::run(settings, options).await?],
        What::Restart(options) => vec![restart::run(settings, options).await?],
        What::IngestAt(options) => vec![growth::run(settings, options).await?],
        What::Footprint(options) => vec![footprint::run(settings, options).await?],
        What::All(options) => everything::run(settings, options).await,
        What::ServeReference { .. } => Vec::new(),
    };
    let mut text = machine.markdown();
    text.push('\n');
    reports.iter().for_each(|report| text.push_str(&report.markdown()));
    std::io::stdout().write_all(text.as_bytes()).doing("printing")?;
    if let Some(path) = &settings.json {
        let figures: Vec<_> = reports.iter().map(Report::json).collect();
        let json = serde_json::json!({"machine": machine, "reports": figures});
        std::fs::write(path, format!("{json:#}\n")).doing(format_args!("writing {}", path.display()))?;
    }
    if reports.iter().all(Report::is_complete) { Ok(()) } else { Err(Error::new("not everything could be measured")) }
}

/// Says on standard error what is going on: some of it takes minutes.
fn progress(what: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
