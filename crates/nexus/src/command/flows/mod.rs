//! `nexus flows`: automations as files, checked before a hub sees them.

mod approvals;
mod file;
mod functions;
mod graph;
mod input;
mod new;
mod online;
mod past;
mod shown;
mod test;
mod validate;

use clap::Subcommand;

use crate::{cli::Global, output::Failure};

/// What can be done with flows.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a flow file to begin with; it is valid and runs as it stands
    New(new::Arguments),
    /// Check flow files without a hub: what is wrong, where, and what would be right
    Validate(validate::Arguments),
    /// Run a flow file against a table of cases without a hub, on a test clock, with stand-ins for its calls
    Test(test::Arguments),
    /// Show what comes after what in a flow file
    Graph(graph::Arguments),
    /// Show the hub's own functions: what each takes and gives
    Functions(functions::Arguments),
    #[command(flatten)]
    Online(online::Command),
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::New(args) => new::run(global, &args),
        Command::Validate(args) => validate::run(global, &args),
        Command::Test(args) => test::run(global, &args),
        Command::Graph(args) => graph::run(global, &args),
        Command::Functions(args) => functions::run(global, &args),
        Command::Online(command) => online::run(global, command).await,
    }
}
