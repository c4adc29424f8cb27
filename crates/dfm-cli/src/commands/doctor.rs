//! How does `dfm doctor` say what is installed, what is missing and what is running?

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use dfm_config::Loaded;
use dfm_config::registry::Registry;
use dfm_diag::Report;
use serde_json::{Value, json};

use super::{completion, poc};
use crate::application::stale;
use crate::chosen::{Chosen, load_with_project};
use crate::context::{Context, Failure};
use crate::output::counted;
use crate::{program, python};

/// Programs that what dfm generates may call, and who needs them.
const PROGRAMS: [(&str, &str); 4] = [
    ("docker", "to build and run images; or podman"),
    ("podman", "to build and run images; or docker"),
    ("helm", "to install charts"),
    ("kubectl", "to look into a cluster"),
];

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Nothing is wrong, but something could not be done.
    Absent,
    Bad,
}

/// One thing that was looked at.
struct Found {
    part: &'static str,
    state: State,
    what: String,
    /// What to do; empty for nothing.
    help: String,
}

/// Looks at everything; fails with exit code 1 if something is bad.
///
/// # Errors
/// Something is bad, which has been told.
pub fn run(context: &Context) -> Result<(), Failure> {
    let mut all = vec![];
    look_at_python(&mut all);
    look_at_programs(&mut all);
    if let Some((shell, lacks)) = completion::own() {
        let help = format!("run `dfm completion setup --shell {shell}`");
        all.push(match lacks {
            None => found("installed", State::Good, format!("completion in {shell}"), ""),
            Some(lacks) => found("installed", State::Absent, format!("completion in {shell}: {lacks}"), &help),
        });
    }
    look_at_federations(context, &mut all);
    if context.output.json {
        let documents: Vec<Value> = all.iter().map(document).collect();
        context.output.document(&json!({"found": documents, "registry": context.registry}));
    } else {
        tell(context, &all);
    }
    match all.iter().any(|one| one.state == State::Bad) {
        true => Err(Failure::failed(Report::default())),
        false => Ok(()),
    }
}

fn found(part: &'static str, state: State, what: impl Into<String>, help: &str) -> Found {
    Found { part, state, what: what.into(), help: help.to_owned() }
}

fn word(state: State) -> &'static str {
    match state {
        State::Good => "ok",
        State::Absent => "none",
        State::Bad => "bad",
    }
}

fn document(one: &Found) -> Value {
    let help = Some(&one.help).filter(|help| !help.is_empty());
    json!({"part": one.part, "state": word(one.state), "what": one.what, "help": help})
}

fn tell(context: &Context, all: &[Found]) {
    let mut part = "";
    for one in all {
        if one.part != part {
            let gap = if part.is_empty() { "" } else { "\n" };
            part = one.part;
            context.output.result(&format!("{gap}{part}"));
        }
        let help = if one.help.is_empty() { String::new() } else { format!("; {}", one.help) };
        context.output.result(&format!("  {:<5} {}{help}", word(one.state), one.what));
    }
}

fn look_at_python(all: &mut Vec<Found>) {
    let own = env!("CARGO_PKG_VERSION");
    let command = env::current_exe().unwrap_or_default();
    all.push(found("installed", State::Good, format!("dfm {own} ({})", command.display()), ""));
    if let Some(other) = on_path("dfm").filter(|other| !is_same(other, &command)) {
        let what = format!("another dfm comes first on the PATH: {}", other.display());
        let help = "put the folder of this one before it, or remove the other; `dfm` may be a stranger's program";
        all.push(found("installed", State::Bad, what, help));
    }
    let python = match python::find() {
        Ok(python) => python,
        Err(diagnostic) => {
            all.push(found("installed", State::Bad, diagnostic.message, &diagnostic.help.unwrap_or_default()));
            return;
        }
    };
    let asked = program::python(&python).args(["-m", "dfm._command.installed"]).stdin(Stdio::null()).output();
    let answer: Option<Value> = asked.ok().and_then(|done| serde_json::from_slice(&done.stdout).ok());
    let Some(answer) = answer else {
        let what = format!("the Python {} has no dfm", python.display());
        all.push(found("installed", State::Bad, what, "install it there: `pip install data-federation-mesh`"));
        return;
    };
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let (version, there) = (text(&answer["python"]), text(&answer["dfm"]));
    let what = format!("Python {version} ({}), with dfm {there}", python.display());
    all.push(if there == own {
        found("installed", State::Good, what, "")
    } else {
        found("installed", State::Bad, what, &format!("this command is {own}; install both of the same version"))
    });
    if let Some(version) = answer["stranger"].as_str() {
        let what = format!("a distribution `dfm` {version} is installed there too, which is somebody else's");
        let help = "run `pip uninstall dfm`, then `pip install --force-reinstall --no-deps data-federation-mesh`";
        all.push(found("installed", State::Bad, what, help));
    }
    for package in answer["packages"].as_array().into_iter().flatten() {
        let (name, wanted) = (text(&package["name"]), text(&package["wanted"]));
        let extra = package["extra"].as_str();
        all.push(match (package["found"].as_str(), extra) {
            (Some(version), _) if wanted.strip_prefix("==").is_some_and(|only| only != version) => {
                let what = format!("{name} {version} (tested: {wanted})");
                found("installed", State::Bad, what, &format!("run `pip install '{name}{wanted}'`"))
            }
            (Some(version), _) => found("installed", State::Good, format!("{name} {version} (wanted: {wanted})"), ""),
            (None, Some(extra)) => found(
                "installed",
                State::Absent,
                name,
                &format!("if you need it, `pip install 'data-federation-mesh[{extra}]'`"),
            ),
            (None, None) => {
                found("installed", State::Bad, name, "run `pip install --force-reinstall data-federation-mesh`")
            }
        });
    }
}

/// Where a shell finds a program.
fn on_path(program: &str) -> Option<PathBuf> {
    let runs = |path: &PathBuf| path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(runs)
}

/// Whether two paths lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn look_at_programs(all: &mut Vec<Found>) {
    for (program, needed) in PROGRAMS {
        all.push(match on_path(program) {
            Some(place) => found("installed", State::Good, format!("{program} ({})", place.display()), ""),
            None => found("installed", State::Absent, program, &format!("needed {needed}")),
        });
    }
}

fn look_at_federations(context: &Context, all: &mut Vec<Found>) {
    let place = context.shown(&context.registry).display().to_string();
    let registry = match Registry::read(&context.registry) {
        Ok(registry) => registry,
        Err(report) => {
            let count = errors(&report);
            let what = format!("the registry {place}: {count}");
            all.push(found("federations", State::Bad, what, "`dfm fed config list-all` shows them"));
            return;
        }
    };
    if registry.records.is_empty() {
        let help = "`dfm fed init NAME` writes one, `dfm fed config set NAME …` adds one";
        all.push(found("federations", State::Absent, format!("no federation in the registry {place}"), help));
    }
    let mut running = vec![];
    for name in registry.records.keys() {
        let Some(paths) = registry.paths(name) else { continue };
        all.push(match load_with_project(context, name, &paths, None) {
            Err(report) => {
                let help = format!("`dfm fed check {name}` shows them");
                found("federations", State::Bad, format!("{name}: {}", errors(&report)), &help)
            }
            Ok(loaded) => {
                let Loaded { federation, report } = loaded;
                let sites = counted(federation.sites.len(), "site");
                match stale(context, &Chosen { name: name.clone(), paths, federation, sources: report.sources }) {
                    Some(stale) => found("federations", State::Bad, stale.message, &stale.help.unwrap_or_default()),
                    None => found("federations", State::Good, format!("{name}: {sites}"), ""),
                }
            }
        });
        if let count @ 1.. = poc::running(context, name) {
            let what = format!("the federation {name} on this machine: {}", counted(count, "process"));
            running.push(found("running", State::Good, what, &format!("`dfm poc status -f {name}` says how they are")));
        }
    }
    all.extend(running);
}

fn errors(report: &Report) -> String {
    counted(report.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count(), "error")
}
