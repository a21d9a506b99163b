//! The `nexus` binary: one hub that receives, remembers, reacts and delivers, and the tools around it.
//!
//! This file is the table of contents. [`cli`] says what can be typed; [`command`] talks to a running hub through the
//! client library; [`serve`] is the hub itself, in the order in which it comes up: telemetry, config, bind, build, run.

mod cli;
mod command;
mod config;
mod demo;
mod doctor;
mod offline;
mod output;
mod progress;
mod serve;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use crate::{cli::Cli, output::Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (verb, done) = (cli.command.verb(), cli.run());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has seen enough; that is no failure.
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(verb, &failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
