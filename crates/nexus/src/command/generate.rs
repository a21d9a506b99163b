//! Shell completions and manual pages, made from the command table.

use std::{io::Write, path::PathBuf};

use clap::{Args, CommandFactory};

use crate::{cli::Cli, output::Failure};

/// `nexus completions SHELL`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    shell: clap_complete::Shell,
}

/// `nexus man [DIR]`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write one page per command into this folder instead
    dir: Option<PathBuf>,
}

pub(crate) fn completions(args: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "nexus", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}

pub(crate) fn man(args: &Man) -> Result<(), Failure> {
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir)?;
        return Ok(clap_mangen::generate_to(Cli::command(), dir)?);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    std::io::stdout().write_all(&page)?;
    Ok(())
}
