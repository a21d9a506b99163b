//! `nexus flows graph`: the control flow of a file, for programs that draw.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use nexus_flows::graph;

use super::test;
use crate::{cli::Global, output::Failure};

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A Mermaid flowchart
    Mermaid,
    /// Graphviz
    Dot,
    /// Nodes and edges
    Json,
}

/// `nexus flows graph`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The flow file
    file: PathBuf,
    /// mermaid, dot or json
    #[arg(long, value_enum, default_value = "mermaid", hide_possible_values = true)]
    format: Format,
}

pub(crate) fn run(global: &Global, args: &Arguments) -> Result<(), Failure> {
    let (screen, graph) = (global.screen(), test::definition(&args.file)?.graph());
    match args.format {
        Format::Json => screen.json(&graph),
        _ if global.json => screen.json(&graph),
        Format::Mermaid => screen.line(graph::mermaid(&graph).trim_end()),
        Format::Dot => screen.line(graph::dot(&graph).trim_end()),
    }
}
