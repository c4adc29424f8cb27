//! Which Python runs what dfm itself cannot?

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use dfm_diag::Diagnostic;

use crate::program;

/// The interpreter of the environment that dfm is installed in: beside the command, else of the active environment,
/// else the first on the `PATH`.
///
/// # Errors
/// There is none.
pub fn find() -> Result<PathBuf, Diagnostic> {
    let beside = env::current_exe().ok().and_then(|command| in_folder(command.parent()?));
    let active = || in_folder(&PathBuf::from(env::var_os("VIRTUAL_ENV")?).join("bin"));
    let path = || env::var_os("PATH").and_then(|path| env::split_paths(&path).find_map(|folder| in_folder(&folder)));
    beside.or_else(active).or_else(path).ok_or_else(|| {
        Diagnostic::error("python-not-found", "there is no Python beside this command, in VIRTUAL_ENV or on the PATH")
            .help("install Python 3.11 or newer, and dfm into an environment of it")
    })
}

/// The interpreter that finds a top-level module or package of this name, whatever the current folder has; `None` too
/// where there is no interpreter to ask.
pub fn that_has(name: &str) -> Option<PathBuf> {
    const ASK: &str = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)";
    let python = find().ok()?;
    let asked = program::python(&python).args(["-c", ASK, name]).stdin(Stdio::null()).output().ok()?;
    asked.status.success().then_some(python)
}

/// That the active environment has another Python, so that a package which is installed there is missing here.
pub fn unlike_the_active(python: &Path) -> Option<Diagnostic> {
    let active = in_folder(&PathBuf::from(env::var_os("VIRTUAL_ENV")?).join("bin"))?;
    let folder = |python: &Path| python.parent().map(|folder| folder.canonicalize().unwrap_or(folder.to_owned()));
    (folder(&active) != folder(python)).then(|| {
        let message = format!(
            "this dfm runs with `{}`, which is not the active environment's `{}`: what is installed there is not found",
            python.display(),
            active.display()
        );
        Diagnostic::warning("python-not-active", message)
            .help("install dfm into the active environment and run its `dfm`, or leave that environment: `deactivate`")
    })
}

/// That a site's own interpreter is not on this machine.
pub fn not_there(site: &str, python: &Path) -> Diagnostic {
    Diagnostic::error("python-of-site", format!("the Python of site `{site}`, {}, is not there", python.display()))
        .help("make that environment and install dfm into it, or have `python` of the site lead to another one")
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    ["python3", "python"].iter().map(|name| folder.join(name)).find(|path| path.is_file())
}
