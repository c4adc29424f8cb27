//! What does `dfm` do?

mod args;
mod child;
mod commands;
mod deployment;
mod fetch;
mod flare;
mod neighbours;
mod output;
mod package;
mod processes;
mod python;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let context = commands::Context::new(&args.global);
    match commands::run(&context, args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.output.failure(&failure.report);
            ExitCode::from(failure.exit)
        }
    }
}
