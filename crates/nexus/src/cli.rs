//! What can be typed. Each command's arguments stand in its own file; this one lists them and says which need what.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use nexus_client::{Client, Settings};

use crate::{
    command::{
        backup, config as config_command, connections, connectors, consume, dead, deliveries, event, flows, generate,
        log, replay, secret, services, source, state, subscription, token, transfer,
    },
    demo, doctor,
    output::{Failure, Screen},
    serve,
};

/// One hub that receives signed events, remembers them in a durable log, reacts and delivers.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "Exit codes: 0 done, 1 failed or a check came out negative, 2 wrong usage or configuration.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Taken by every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Base URL of the hub [env: NEXUS_URL] [default: http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL", help_heading = "Hub")]
    pub(crate) url: Option<String>,
    /// Token to show [env: NEXUS_TOKEN] [default: the file admin.token in the data folder]
    #[arg(long, global = true, value_name = "TOKEN", help_heading = "Hub")]
    pub(crate) token: Option<String>,
    /// Further certificates to trust, in PEM: of the authority that signed the hub's [env: NEXUS_CA]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Hub")]
    pub(crate) ca: Option<PathBuf>,
    /// Data folder of the hub [env: NEXUS_DATA] [default: ./nexus-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Hub")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file [env: NEXUS_CONFIG] [default: ./nexus.toml, then nexus.toml in the data folder]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Hub")]
    pub(crate) config: Option<PathBuf>,
    /// Machine output: JSON, one document per command, one per line where it streams
    #[arg(long, global = true, help_heading = "Hub")]
    pub(crate) json: bool,
}

impl Global {
    /// The hub these arguments name.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let Self { url, token, ca, data, .. } = self.clone();
        Ok(Client::discover(Settings { url, token, data, ca })?)
    }

    pub(crate) fn screen(&self) -> Screen {
        Screen { json: self.json }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the hub
    Serve(serve::Arguments),
    /// Run a hub with stand-ins for FlowPay, Smart Factory and Neobot, and play payment → mint → notification
    Demo(demo::Arguments),
    /// Sources: who may send events in
    #[command(subcommand)]
    Source(source::Command),
    /// Shared state: keys with versions, their history and their watches
    #[command(subcommand)]
    State(state::Command),
    /// Deliver matching events to an endpoint
    Subscribe(Box<subscription::Subscribe>),
    /// Subscriptions: what is delivered where
    #[command(subcommand)]
    Subscription(subscription::Command),
    /// Services: who is registered, how they are, and calling them
    #[command(subcommand)]
    Services(services::Command),
    /// Flows: automations as Open Workflow documents
    #[command(subcommand)]
    Flows(flows::Command),
    /// Connectors: outside services that can be called
    #[command(subcommand)]
    Connectors(connectors::Command),
    /// Connections: accounts at outside services
    #[command(subcommand)]
    Connections(connections::Command),
    /// Publish an event
    Publish(event::Publish),
    /// Watch events as they come
    Tail(event::Tail),
    /// Take the deliveries of a subscription, instead of having them sent to an endpoint
    Consume(consume::Arguments),
    /// Look up events of the log
    Events(event::Query),
    /// What became of an event
    Fate(event::Fate),
    /// Deliveries that are retrying, were given up, or succeeded late
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Dead letters: deliveries that were given up
    #[command(subcommand)]
    Dead(dead::Command),
    /// Send past events once more to a subscription
    Replay(replay::Arguments),
    /// Tokens: who may call the hub
    #[command(subcommand)]
    Token(token::Command),
    /// Named secrets, for ${secret:NAME} in targets
    #[command(subcommand)]
    Secret(secret::Command),
    /// The log itself: verify, erase a person's data, checkpoint
    #[command(subcommand)]
    Log(log::Command),
    /// Write a consistent copy of a running hub
    Backup(backup::Backup),
    /// Make a data folder from a backup (no hub may run on it)
    Restore(backup::Restore),
    /// Write the log to a file of JSON lines; an existing file is continued
    Export(transfer::Export),
    /// Read a file of JSON lines into the log; events that are there already are skipped
    Import(transfer::Import),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(config_command::Command),
    /// How the hub is
    Health(event::Health),
    /// Check folder, disk, clock, ports, key, log, configuration and risky settings
    Doctor(doctor::Arguments),
    /// Print a completion script for a shell
    Completions(generate::Completions),
    /// Print the manual page, or write one page per command to a folder
    Man(generate::Man),
}

impl Command {
    /// How a complaint names it.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Serve(_) => "serve",
            Self::Demo(_) => "demo",
            Self::Source(_) => "source",
            Self::State(_) => "state",
            Self::Subscribe(_) => "subscribe",
            Self::Subscription(_) => "subscription",
            Self::Services(_) => "services",
            Self::Flows(_) => "flows",
            Self::Connectors(_) => "connectors",
            Self::Connections(_) => "connections",
            Self::Publish(_) => "publish",
            Self::Tail(_) => "tail",
            Self::Consume(_) => "consume",
            Self::Events(_) => "events",
            Self::Fate(_) => "fate",
            Self::Deliveries(_) => "deliveries",
            Self::Dead(_) => "dead",
            Self::Replay(_) => "replay",
            Self::Token(_) => "token",
            Self::Secret(_) => "secret",
            Self::Log(_) => "log",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Export(_) => "export",
            Self::Import(_) => "import",
            Self::Config(_) => "config",
            Self::Health(_) => "health",
            Self::Doctor(_) => "doctor",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

impl Cli {
    /// Does what was typed.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let global = self.global;
        match self.command {
            Command::Serve(args) => serve::run(&global, &args),
            Command::Config(command) => config_command::run(&global, &command),
            Command::Completions(args) => generate::completions(&args),
            Command::Man(args) => generate::man(&args),
            other => tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(talk(global, other)),
        }
    }
}

/// Commands that talk to a hub or wait for something.
async fn talk(global: Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(&global, &args).await,
        Command::Source(command) => source::run(&global, command).await,
        Command::State(command) => state::run(&global, command).await,
        Command::Subscribe(args) => subscription::subscribe(&global, *args).await,
        Command::Subscription(command) => subscription::run(&global, command).await,
        Command::Services(command) => services::run(&global, command).await,
        Command::Connectors(command) => connectors::run(&global, command).await,
        Command::Connections(command) => connections::run(&global, command).await,
        Command::Flows(command) => flows::run(&global, command).await,
        Command::Publish(args) => event::publish(&global, &args).await,
        Command::Tail(args) => event::tail(&global, &args).await,
        Command::Consume(args) => consume::run(&global, &args).await,
        Command::Events(args) => event::query(&global, args).await,
        Command::Fate(args) => event::fate(&global, &args).await,
        Command::Deliveries(command) => deliveries::run(&global, command).await,
        Command::Dead(command) => dead::run(&global, command).await,
        Command::Replay(args) => replay::run(&global, &args).await,
        Command::Token(command) => token::run(&global, command).await,
        Command::Secret(command) => secret::run(&global, command).await,
        Command::Log(command) => log::run(&global, command).await,
        Command::Backup(args) => backup::backup(&global, &args).await,
        Command::Restore(args) => backup::restore(&global, &args),
        Command::Export(args) => transfer::export(&global, &args).await,
        Command::Import(args) => transfer::import(&global, &args).await,
        Command::Health(_) => event::health(&global).await,
        Command::Doctor(args) => doctor::run(&global, &args).await,
        // Handled without a runtime, before this.
        Command::Serve(_) | Command::Config(_) | Command::Completions(_) | Command::Man(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_table_is_sound() {
        super::Cli::command().debug_assert();
    }
}
