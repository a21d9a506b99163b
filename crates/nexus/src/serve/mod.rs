//! `nexus serve`: the hub itself, in the order in which it comes up.
//!
//! Telemetry, config, bind, build, run. Addresses are bound before any work, so that a port that is taken costs nothing; a
//! connection that comes in meanwhile waits in the kernel until the log is recovered.

mod bind;
mod build;
mod flows;
mod functions;
mod jwks;
mod key;
mod permissions;
mod recover;
mod run;
mod tls;

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;

pub(crate) use self::{key::read_key, recover::recover};
use crate::{
    cli::Global,
    config::{Config, Environment, Flags, Format, Secrets, load, permissions_file},
    output::Failure,
    telemetry,
};

/// `nexus serve`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A request from loopback without a token acts as admin. For development; signatures are still demanded
    #[arg(long)]
    dev: bool,
    /// POST /__clock moves the hub's time (needs --dev)
    #[arg(long)]
    test_clock: bool,
    /// Address to listen on; repeat it for several [default: 127.0.0.1:8080, or 0.0.0.0:$PORT]
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Certificate chain for TLS, as PEM (with --tls-key); read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate, as PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Speak plain HTTP also beyond this machine: tokens and events can then be read on the way
    #[arg(long)]
    plain_http: bool,
    /// Form of log lines [default: pretty at a terminal, JSON otherwise]
    #[arg(long, value_enum, value_name = "FORM")]
    log_format: Option<Format>,
}

/// What the parts of the start need to know.
pub(crate) struct Plan {
    config: Config,
    secrets: Secrets,
    permissions: PathBuf,
    flow_files: Option<PathBuf>,
    previous_keys: Option<String>,
    given_key: Option<String>,
    dev: bool,
    test_clock: bool,
    json: bool,
    clock: SystemClock,
}

impl Plan {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }
}

/// Runs a hub until it is told to stop.
pub(crate) fn run(global: &Global, args: &Arguments) -> Result<(), Failure> {
    if args.test_clock && !args.dev {
        return Err(Failure::usage("--test-clock is only for --dev: whoever moves the clock moves every deadline"));
    }
    let environment = Environment::of_process();
    let flags = Flags {
        config: global.config.clone(),
        data: global.data.clone(),
        listen: args.listen.clone(),
        log_format: args.log_format,
        tls_cert: args.tls_cert.clone(),
        tls_key: args.tls_key.clone(),
        plain_http: args.plain_http,
    };
    let loaded = load(&flags, &environment)?;
    let clock = SystemClock::new();
    let json = telemetry::start(&loaded.config.log, Arc::new(clock.clone()))?;
    let plan = Plan {
        permissions: permissions_file(&loaded.config, loaded.file.as_deref()),
        flow_files: loaded.config.flows.folder(loaded.file.as_deref()),
        config: loaded.config,
        secrets: loaded.secrets,
        previous_keys: environment.get("NEXUS_ENCRYPTION_KEY_PREVIOUS").map(str::to_owned),
        given_key: environment.get("NEXUS_ENCRYPTION_KEY").map(str::to_owned),
        dev: args.dev,
        test_clock: args.test_clock,
        json,
        clock,
    };
    take_small_pages();
    raise_open_files(plan.config.server.open_files);
    let files = plan.config.tls.files().map_err(Failure::Usage)?;
    let tls = files.map(tls::TlsFiles::read).transpose()?;
    let listeners = bind::bind(&plan.config.server.addresses(), tls.is_some())?;
    let excused = plan.config.server.plain_http
        || !plan.config.server.trusted_proxies.is_empty()
        || environment.get("PORT").is_some();
    if tls.is_none() && !excused {
        bind::refuse_plain(&listeners)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let built = build::build(&plan, tls).await?;
        run::run(&plan, built, listeners).await
    })
}

/// Where the system gives huge pages to everybody, each area of the allocator takes 2 MiB for its first byte, and an idle
/// hub four times what it holds. (Where it gives them to who asks, the allocator is built not to ask.)
fn take_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages could not be declined; memory may look larger");
    }
}

/// Sockets are files: with the usual 1,024 a hub refuses connections long before its own limit.
fn raise_open_files(wanted: u64) {
    match rlimit::increase_nofile_limit(wanted) {
        Ok(got) if got < wanted => {
            tracing::debug!(got, wanted, "the system allows fewer open files than asked for");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}
