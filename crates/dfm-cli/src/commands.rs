//! Which command does the work?

mod calling;
mod check;
pub mod completion;
mod config;
mod crossing;
mod doctor;
mod explain;
mod gen_code;
mod gen_docker;
mod gen_helm;
mod gen_provision;
mod history;
mod import;
mod init;
mod jobs;
mod migrate;
mod network;
mod plan;
mod planned;
pub mod poc;
mod replay;
mod rules;
mod simulate;
mod site;
pub mod submit;
pub mod supervise;
mod ui;

use crate::args::{Command, Fed, Gen, Import};
use crate::context::{Context, Failure};

/// Does what a command says.
///
/// # Errors
/// Whatever kept it from its work.
pub fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Fed(Fed::Init(args)) => init::run(context, &args),
        Command::Fed(Fed::Config(config)) => config::run(context, config),
        Command::Fed(Fed::Gen(Gen::Code(args))) => gen_code::run(context, &args),
        Command::Fed(Fed::Gen(Gen::Provision(args))) => gen_provision::run(context, &args),
        Command::Poc(command) => poc::run(context, command),
        Command::Fed(Fed::Gen(Gen::Docker(args))) => gen_docker::run(context, &args),
        Command::Fed(Fed::Gen(Gen::Helm(args))) => gen_helm::run(context, &args),
        Command::Fed(Fed::Check(args)) => check::run(context, &args),
        Command::Fed(Fed::Schema) => {
            context.output.result(&format!("{:#}", dfm_config::json_schema()));
            Ok(())
        }
        Command::Fed(Fed::Import(Import::Openapi(args))) => import::run(context, &args),
        Command::Fed(Fed::Plan(args)) => plan::run(context, &args),
        Command::Fed(Fed::Simulate(args)) => simulate::run(context, &args),
        Command::Fed(Fed::Submit(args)) => submit::run(context, &args),
        Command::Fed(Fed::Replay(args)) => replay::run(context, &args),
        Command::Site(command) => site::run(context, &command),
        Command::Jobs(command) => jobs::run(context, command),
        Command::Ui(args) => ui::run(context, &args),
        Command::Completion(command) => completion::run(context, command),
        Command::Explain { code } => explain::run(context, &code),
        Command::Doctor => doctor::run(context),
        Command::Migrate(args) => migrate::run(context, &args),
        Command::Supervise(args) => supervise::run(context, &args),
    }
}
