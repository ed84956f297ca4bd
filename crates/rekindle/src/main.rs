//! The `rekindle` command: cargo with Rekindle's wrapper, and Rekindle's own commands.
//!
//! Parts: [`invocation`] tells own commands from cargo's and reads what matters in cargo's
//! arguments; [`cli`] defines the own commands; [`commands`] has one file for each; [`error`] is
//! what a person sees of an error.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "this is the program that prints and reads the environment; files go through fsx"
)]

mod cli;
mod commands;
mod error;
mod invocation;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, OwnCommand};
use crate::error::CommandError;
use crate::invocation::Request;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let result = match invocation::classify(&arguments) {
        Request::Cargo(arguments) => commands::cargo::run(arguments),
        Request::Own => own(Cli::parse().command),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print();
            ExitCode::from(error.kind.exit_code())
        }
    }
}

fn own(command: OwnCommand) -> Result<u8, CommandError> {
    match command {
        OwnCommand::Env(args) => commands::env::run(&args)?,
        OwnCommand::Stats(args) => commands::stats::run(&args)?,
        OwnCommand::Report(args) => commands::report::run(&args)?,
        OwnCommand::Import(args) => commands::import::run(&args)?,
        OwnCommand::History(args) => commands::history::run(&args)?,
        OwnCommand::Explain(args) => commands::explain::run(&args)?,
        OwnCommand::Observe(args) => commands::observe::run(&args)?,
        OwnCommand::Doctor(args) => return commands::doctor::run(&args),
        OwnCommand::Snapshot(args) => commands::snapshot::run(&args)?,
        OwnCommand::Materialise(args) => commands::materialise::run(&args)?,
        OwnCommand::Step(args) => return commands::step::run(&args),
        OwnCommand::Cache(args) => return commands::cache::run(&args),
        OwnCommand::Init(args) => return commands::init::run(&args),
        OwnCommand::Switch(args) => commands::switch::run(&args)?,
        OwnCommand::Audit(args) => return commands::audit::run(&args),
        OwnCommand::Docs(args) => commands::docs::run(&args)?,
    }
    Ok(0)
}
