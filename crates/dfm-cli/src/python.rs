//! Which Python runs what dfm itself cannot?

use std::env;
use std::path::{Path, PathBuf};

use dfm_diag::Diagnostic;

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

fn in_folder(folder: &Path) -> Option<PathBuf> {
    ["python3", "python"].iter().map(|name| folder.join(name)).find(|path| path.is_file())
}
