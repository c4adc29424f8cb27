//! How does `dfm fed replay` run a recorded job again?

use std::path::{Path, PathBuf};

use dfm_config::registry::Registry;
use dfm_diag::{Diagnostic, nearest};
use dfm_events::{Fault, Recording, read_recording};

use super::supervise;
use crate::args::Replay;
use crate::chosen::{Chosen, federation, load};
use crate::context::{Context, Failure};
use crate::{application, child};

/// Whoever looks at a job in a debugger takes their time.
const NO_LIMIT: f64 = 1e9;

/// Replays it; a failure's exit code is 1 where it went otherwise than it did then.
///
/// # Errors
/// A file that is no recording, a federation that is not there or another one, or that it went otherwise, which has been
/// told.
pub fn run(context: &Context, args: &Replay) -> Result<(), Failure> {
    let recording = read_recording(&args.file).map_err(|fault| Failure::wrong(unreadable(&args.file, fault)))?;
    let header = &recording.beginning.header;
    let tell = args.tell || recording.only_told().is_some();
    if let Some(why) = recording.only_told().filter(|_| !args.tell) {
        context.output.status(&format!("the job is only told, not run: {why}"));
    }
    let mut command = application::interpreter(context, "dfm._command.replay")?;
    let asks = if args.pdb {
        "pdb"
    } else if args.step {
        "step"
    } else {
        ""
    };
    let how = if tell { "tell" } else { asks };
    command.arg(context.here.join(&args.file));
    command.args([context.output.format(), how]);
    if !tell {
        let chosen = of_recording(context, args, &recording)?;
        if let Some(stale) = application::stale(context, &chosen) {
            context.output.problems(&stale.into());
        }
        application::set_environment(&mut command, &chosen, &header.homesite)?;
    }
    let code = child::run(&mut supervise::command(context, &command, NO_LIMIT))
        .map_err(|error| Failure::failed(child::not_started("submit-not-started", &error)))?;
    if code == 0 { Ok(()) } else { Err(Failure { exit: code, report: Default::default() }) }
}

/// The federation that a recording is of.
fn of_recording(context: &Context, args: &Replay, recording: &Recording) -> Result<Chosen, Failure> {
    let header = &recording.beginning.header;
    let package = &header.federation;
    if let Some(name) = &args.federation {
        let chosen = federation(context, name)?;
        if chosen.federation.info.code_package != *package {
            let is = &chosen.federation.info.code_package;
            let message = format!("`{}` is of a job of the code package `{package}`, not `{is}`", args.file.display());
            let help = "name the federation with that code package, or `--tell` what happened";
            return Err(Failure::wrong(Diagnostic::error("replay-other-federation", message).help(help)));
        }
        return has_homesite(chosen, &header.homesite);
    }
    let registry = Registry::read(&context.registry).map_err(Failure::wrong)?;
    let is_of = |name: &&String| {
        let loaded = registry.paths(name).and_then(|paths| load(context, name, &paths).ok());
        loaded.is_some_and(|loaded| loaded.federation.info.code_package == *package)
    };
    let Some(name) = registry.records.keys().find(is_of) else {
        let place = context.shown(&context.registry);
        let message = format!(
            "`{}` is of a job of the code package `{package}`, and `{}` has no federation with that",
            args.file.display(),
            place.display()
        );
        let help = "run this where that federation is, with `--config FILE`, or `--tell` what happened";
        return Err(Failure::wrong(Diagnostic::error("replay-other-federation", message).help(help)));
    };
    has_homesite(federation(context, name)?, &header.homesite)
}

fn has_homesite(chosen: Chosen, site: &str) -> Result<Chosen, Failure> {
    if chosen.federation.sites.contains_key(site) {
        return Ok(chosen);
    }
    let sites: Vec<&str> = chosen.federation.sites.keys().map(String::as_str).collect();
    let near =
        nearest(site, sites.iter().copied()).map_or_else(String::new, |near| format!("; `{near}` may be it now"));
    let message = format!("the job's application was at site `{site}`, which `{}` does not have", chosen.name);
    let help = format!("it has: {}{near}; replay it with the configuration of then, or `--tell` it", sites.join(", "));
    Err(Failure::wrong(Diagnostic::error("replay-other-federation", message).help(help)))
}

/// Why a file cannot be replayed, with its line, and what to do.
fn unreadable(file: &Path, fault: Fault) -> Diagnostic {
    let shown = file.display();
    match &fault {
        Fault::Io(_) => {
            let diagnostic = Diagnostic::error("replay-unreadable", format!("`{shown}` cannot be replayed: {fault}"));
            match parts(file).first() {
                Some(part) => diagnostic.help(format!(
                    "`{}` is what was recorded until the job's application was killed; it can be replayed as far as it goes",
                    part.display()
                )),
                None => diagnostic.help("name a file that `dfm fed submit NAME --record FILE …` has written"),
            }
        }
        Fault::Version(_) => Diagnostic::error("replay-version", format!("`{shown}`, line 1: {fault}"))
            .help("replay it with the version of dfm that has recorded it"),
        Fault::Record => Diagnostic::error("replay-no-recording", format!("`{shown}`, line 1: {fault}")).help(
            "`dfm jobs show` and `dfm jobs trace` read records; `dfm fed submit --record FILE` makes a recording",
        ),
        Fault::NoRecording | Fault::TooLong => {
            Diagnostic::error("replay-no-recording", format!("`{shown}`, line 1: {fault}"))
                .help("name a file that `dfm fed submit NAME --record FILE …` has written")
        }
        Fault::Line(line, _) => Diagnostic::error("replay-no-recording", format!("`{shown}`, line {line}: {fault}"))
            .help("the file was changed or damaged: have it sent again as it was written, such as in an archive"),
    }
}

/// What recordings of this name were not ended.
fn parts(file: &Path) -> Vec<PathBuf> {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return vec![] };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_part =
        |other: &str| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".part"));
    let names = entries.map(|entry| entry.file_name());
    let parts = names.filter(|name| name.to_str().is_some_and(is_part)).map(|name| file.with_file_name(name));
    let mut parts: Vec<PathBuf> = parts.collect();
    parts.sort();
    parts
}
