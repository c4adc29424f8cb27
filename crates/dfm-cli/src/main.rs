//! What does `dfm` do?

mod application;
mod args;
mod candidates;
mod child;
mod chosen;
mod closed_stdout;
mod commands;
mod context;
mod deployment;
mod fetch;
mod flare;
mod neighbours;
mod output;
mod package;
mod processes;
mod program;
mod python;
#[cfg(test)]
mod reference;
mod ui;
mod working;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;

use crate::args::{Command, Fed};
use crate::context::Context;

fn main() -> ExitCode {
    // Ends the process where a shell asks.
    CompleteEnv::with_factory(args::Args::command).var(commands::completion::VARIABLE).bin("dfm").complete();
    let args = args::Args::try_parse().unwrap_or_else(|told| {
        if told.use_stderr() {
            let _ = told.print();
        } else {
            output::written(|| told.print());
        }
        std::process::exit(told.exit_code());
    });
    let context = match &args.command {
        Command::Fed(Fed::Init(_)) => Context::for_new(&args.global),
        _ => Context::new(&args.global),
    };
    match commands::run(&context, args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.output.failure(&failure.report);
            ExitCode::from(failure.exit)
        }
    }
}
