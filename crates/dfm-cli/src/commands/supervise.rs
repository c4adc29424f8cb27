//! How does a second `dfm` run a program for the first?

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dfm_diag::Diagnostic;

use crate::args::Supervise;
use crate::child::{self, End};
use crate::context::{Context, Failure};
use crate::program;

/// The exit code of a command whose time was up, as `timeout` has it.
const TIME_IS_UP: u8 = 124;

/// The command line that runs `program` for at most `timeout` seconds, in `program`'s environment.
pub fn command(context: &Context, program: &Command, timeout: f64) -> Command {
    let mut command = program::itself();
    command.arg0("dfm").arg("supervise").args(context.output.options());
    command.args(["--caller", &std::process::id().to_string(), "--timeout", &timeout.to_string(), "--"]);
    command.arg(program.get_program()).args(program.get_args());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// Runs it to its end, whose exit code is the failure's.
///
/// # Errors
/// It cannot be started, or did not succeed.
pub fn run(context: &Context, args: &Supervise) -> Result<(), Failure> {
    let limit = Duration::try_from_secs_f64(args.timeout).unwrap_or(Duration::MAX);
    let end = child::supervise(&args.program, limit, args.caller).map_err(|error| {
        let program = args.program.first().map(Path::new).unwrap_or(Path::new(""));
        let message = format!("`{}` cannot be started: {error}", program.display());
        let diagnostic = Diagnostic::error("submit-not-started", message);
        Failure::failed(match why_not(program, &error) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        })
    })?;
    match end {
        End::Code(0) => Ok(()),
        End::Code(exit) => Err(Failure { exit, report: Default::default() }),
        End::TimeIsUp => {
            context.output.status(&format!("the time was up after {} s; everything was ended", args.timeout));
            Err(Failure { exit: TIME_IS_UP, report: Default::default() })
        }
    }
}

/// What the system does not say of a program that it refuses to start.
fn why_not(program: &Path, error: &io::Error) -> Option<String> {
    if let Some(help) = child::remedy(error) {
        return Some(help.to_owned());
    }
    let mut line = String::new();
    BufReader::new(File::open(program).ok()?).read_line(&mut line).ok()?;
    let line = line.trim_end();
    if line.starts_with("#!") {
        return (error.kind() == io::ErrorKind::NotFound)
            .then(|| format!("its first line is `{line}`; is that there?"));
    }
    // "Exec format error", which has no kind of its own.
    let no_format = Some(rustix::io::Errno::NOEXEC.raw_os_error());
    (error.raw_os_error() == no_format)
        .then(|| "its first line has to name its interpreter, such as `#!/bin/sh`".to_owned())
}
