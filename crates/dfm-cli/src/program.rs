//! How is another program begun, so that the current folder, which may be a stranger's, has no say in it?
//!
//! Clippy refuses `Command::new` everywhere else.
#![expect(clippy::disallowed_methods, reason = "all others call these functions")]

use std::ffi::OsStr;
use std::process::Command;

use dfm_diag::Diagnostic;

/// A Python that imports nothing of the current folder: without `-P`, `-m` and `-c` have it look there first.
pub fn python(interpreter: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(interpreter);
    command.arg("-P");
    command
}

/// Runs `main` of a module of dfm's. Until that has begun, an interrupt ends it without a traceback.
const MAIN: &str = "\
import importlib, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
del sys.argv[0]
try:
    import dfm
except ModuleNotFoundError:
    sys.exit(f'error: dfm is not installed for {sys.executable}; use the dfm command of an environment that it is in')
importlib.import_module(sys.argv[0]).main()";

/// A Python that runs a module of dfm's, which finds the words that are added in `sys.argv` behind its own name; or
/// says on stderr that it has no dfm.
pub fn module(interpreter: impl AsRef<OsStr>, module: &str) -> Command {
    let mut command = python(interpreter);
    command.args(["-c", MAIN, module]);
    command
}

/// That such a Python has no dfm, if that is the last that it said.
pub fn has_no_dfm(said: &str) -> Option<Diagnostic> {
    let last = said.lines().rfind(|line| !line.trim().is_empty())?;
    let (message, help) = last.strip_prefix("error: ")?.split_once("; ")?;
    message.starts_with("dfm is not installed for ").then(|| Diagnostic::error("python-has-no-dfm", message).help(help))
}

/// This very program, even where its file was replaced meanwhile.
pub fn itself() -> Command {
    Command::new("/proc/self/exe")
}

/// A program that is no Python of dfm's own; a script of the user's finds what is beside it.
pub fn any(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}
